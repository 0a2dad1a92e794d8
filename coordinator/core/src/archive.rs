//! Work whose answer rests on one execution, kept while it could be run again: as long as its pay is withheld, and as long
//! as there is room.

use std::collections::BTreeMap;

use p2c2r_signing::SessionId;

use crate::task::Work;

/// A client's task.
type Key = (SessionId, u64);

/// Bytes a piece of work takes besides its input and blob names.
const OVERHEAD: usize = 512;
const BLOB_NAME: usize = 32;

#[derive(Debug, Default)]
pub(crate) struct Archive {
    work: BTreeMap<Key, (u64, Work)>,
    /// Oldest first.
    order: BTreeMap<u64, Key>,
    next: u64,
    bytes: usize,
}

impl Archive {
    /// Keeps the work of a task; the oldest goes past `most_bytes`.
    pub(crate) fn keep(&mut self, key: Key, work: Work, most_bytes: usize) {
        self.take(key);
        self.bytes += bytes(&work);
        self.work.insert(key, (self.next, work));
        self.order.insert(self.next, key);
        self.next += 1;
        while self.bytes > most_bytes {
            let Some((_, oldest)) = self.order.first_key_value() else { break };
            self.take(*oldest);
        }
    }

    /// The work of a task, if it is still here; it is not kept any longer.
    pub(crate) fn take(&mut self, key: Key) -> Option<Work> {
        let (at, work) = self.work.remove(&key)?;
        self.order.remove(&at);
        self.bytes -= bytes(&work);
        Some(work)
    }

    /// Bytes kept.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What a piece of work takes in memory.
pub(crate) fn bytes(work: &Work) -> usize {
    OVERHEAD + work.input.len() + BLOB_NAME * work.blobs.len()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use p2c2r_protocol::message::Path;
    use p2c2r_signing::{AccountId, ClassId, Digest, InputDigest, ModuleId, Outcome, TraceRoot};

    use super::*;
    use crate::peers::ClassKey;
    use crate::task::Claim;

    fn work(input: usize) -> Work {
        Work {
            module: ModuleId::from_bytes([1; 32]),
            class: ClassKey { path: Path::Cpu, class: ClassId::from_bytes([1; 32]) },
            client: AccountId::from_bytes([1; 16]),
            input: Bytes::from(vec![0; input]),
            blobs: Vec::new(),
            seed: 0,
            digest: InputDigest::from_bytes([0; 32]),
            max_units: 1,
            output_bytes: 1,
            patience_ms: 1,
            claim: Claim {
                outcome: Outcome::Output,
                output: Digest::of(&[]),
                units: 1,
                trace_root: TraceRoot::from_bytes([0; 32]),
            },
        }
    }

    #[test]
    fn the_oldest_goes_first_and_nothing_is_counted_twice() {
        let key = |number| (SessionId::from_bytes([1; 16]), number);
        let mut archive = Archive::default();
        let room = 3 * (OVERHEAD + 100);
        for number in 0..4 {
            archive.keep(key(number), work(100), room);
        }
        assert!(archive.take(key(0)).is_none() && archive.take(key(1)).is_some());
        archive.keep(key(2), work(50), room);
        archive.keep(key(5), work(150), room);
        assert_eq!(archive.bytes(), room, "the third place is free again, and all are full");
        archive.keep(key(6), work(room), room);
        assert_eq!((archive.bytes(), archive.order.len()), (0, 0), "what never fits is not kept");
    }
}
