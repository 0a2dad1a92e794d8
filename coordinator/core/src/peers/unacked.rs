//! Settlements a peer was told of and has not acknowledged: told again when it reconnects.

use std::collections::VecDeque;

use p2c2r_protocol::message::{ServerToPeer, SettledAttempt};
use p2c2r_signing::{AttemptNonce, Digest};

use crate::limits::Limits;

/// Oldest first.
#[derive(Debug, Default)]
pub(crate) struct Unacked {
    batches: VecDeque<Batch>,
    attempts: usize,
}

#[derive(Debug)]
struct Batch {
    batch: u64,
    root: Digest,
    /// Sorted by nonce.
    entries: Vec<SettledAttempt>,
    /// Messages it takes, and so acknowledgements still to come on this connection.
    acks: usize,
}

impl Unacked {
    /// Remembers a batch. Past the bounds the oldest are dropped: their peer reads the truth from its earnings.
    pub(crate) fn push(&mut self, batch: u64, root: Digest, mut entries: Vec<SettledAttempt>, limits: &Limits) {
        entries.sort_unstable_by_key(|e| e.nonce);
        self.attempts += entries.len();
        let acks = entries.len().div_ceil(limits.settled_entries);
        self.batches.push_back(Batch { batch, root, entries, acks });
        while self.batches.len() > limits.unacked_batches || self.attempts > limits.unacked_attempts {
            let Some(dropped) = self.batches.pop_front() else { break };
            self.attempts -= dropped.entries.len();
        }
    }

    /// The messages of the newest batch.
    pub(crate) fn newest(&self, limits: &Limits) -> Vec<ServerToPeer> {
        self.batches.back().map(|batch| batch.messages(limits)).unwrap_or_default()
    }

    /// The messages of all batches, for a new connection.
    pub(crate) fn repeat(&mut self, limits: &Limits) -> Vec<ServerToPeer> {
        for batch in &mut self.batches {
            batch.acks = batch.entries.len().div_ceil(limits.settled_entries);
        }
        self.batches.iter().flat_map(|batch| batch.messages(limits)).collect()
    }

    /// One message of a batch is stored at the peer.
    pub(crate) fn ack(&mut self, batch: u64) {
        let Ok(at) = self.batches.binary_search_by_key(&batch, |b| b.batch) else { return };
        let Some(entry) = self.batches.get_mut(at) else { return };
        entry.acks = entry.acks.saturating_sub(1);
        if entry.acks == 0 {
            self.attempts -= entry.entries.len();
            self.batches.remove(at);
        }
    }

    /// Answer for one attempt, if it is in a batch remembered.
    pub(crate) fn find(&self, nonce: &AttemptNonce) -> Option<ServerToPeer> {
        self.batches.iter().rev().find_map(|b| {
            let at = b.entries.binary_search_by_key(nonce, |e| e.nonce).ok()?;
            let entries = vec![b.entries.get(at)?.clone()];
            Some(ServerToPeer::Settled { batch: b.batch, root: b.root, entries })
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }
}

impl Batch {
    fn messages(&self, limits: &Limits) -> Vec<ServerToPeer> {
        let chunks = self.entries.chunks(limits.settled_entries.max(1));
        chunks.map(|e| ServerToPeer::Settled { batch: self.batch, root: self.root, entries: e.to_vec() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_protocol::Credits;
    use p2c2r_protocol::message::Standing;

    use super::*;

    fn entries(from: u8, count: u8) -> Vec<SettledAttempt> {
        (from..from + count)
            .map(|n| SettledAttempt {
                nonce: AttemptNonce::from_bytes([n; 16]),
                standing: Standing::Agreed,
                earned: Credits::ZERO,
            })
            .collect()
    }

    const ROOT: Digest = Digest::from_bytes([0; 32]);

    #[test]
    fn a_batch_is_forgotten_when_all_its_messages_are_acknowledged() {
        let limits = Limits { settled_entries: 2, ..Limits::default() };
        let mut unacked = Unacked::default();
        unacked.push(4, ROOT, entries(0, 3), &limits);
        assert_eq!(unacked.newest(&limits).len(), 2);
        unacked.ack(4);
        unacked.ack(5);
        assert!(unacked.find(&AttemptNonce::from_bytes([2; 16])).is_some());
        assert_eq!(unacked.repeat(&limits).len(), 2, "a new connection hears all of it");
        unacked.ack(4);
        assert!(!unacked.is_empty());
        unacked.ack(4);
        assert!(unacked.is_empty());
    }

    #[test]
    fn the_oldest_go_past_the_bounds() {
        let limits = Limits { unacked_batches: 3, unacked_attempts: 5, ..Limits::default() };
        let mut unacked = Unacked::default();
        for batch in 1..=4 {
            unacked.push(batch, ROOT, entries(u8::try_from(batch).unwrap(), 1), &limits);
        }
        assert!(unacked.find(&AttemptNonce::from_bytes([1; 16])).is_none());
        assert!(unacked.find(&AttemptNonce::from_bytes([2; 16])).is_some());
        unacked.push(5, ROOT, entries(10, 4), &limits);
        assert!(unacked.find(&AttemptNonce::from_bytes([3; 16])).is_none());
        assert!(unacked.find(&AttemptNonce::from_bytes([4; 16])).is_some());
    }
}
