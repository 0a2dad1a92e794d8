//! Sessions: a client's budget on hold and the tasks that draw on it.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{ServerToClient, Verdict};
use p2c2r_signing::{AccountId, SessionId};

use crate::io::{ConnId, Millis};
use crate::numbers::Numbers;
use crate::record::Snapshot;

/// All sessions whose hold is open or being opened.
#[derive(Default)]
pub(crate) struct Sessions {
    by_id: BTreeMap<SessionId, Session>,
    by_number: BTreeMap<(AccountId, u64), SessionId>,
}

/// One session.
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) account: AccountId,
    pub(crate) number: u64,
    pub(crate) budget: Credits,
    pub(crate) state: SessionState,
    /// The client's connection; without one the session waits for it to come back.
    pub(crate) conn: Option<ConnId>,
    /// What tasks in flight may still take out of the hold.
    pub(crate) reserved: Credits,
    /// Tasks between submit and settlement, by the client's number.
    pub(crate) tasks: BTreeMap<u64, usize>,
    /// Numbers of tasks that are over.
    pub(crate) finished: Numbers,
    /// Ranges in `finished` that came from the store and are not held against the client.
    restored_ranges: usize,
    /// When it was taken over from the store; `None` if it was opened since.
    pub(crate) restored_at: Option<Millis>,
    /// Until then its money is kept for results from before a restart.
    pub(crate) recovering_until: Millis,
    /// When it ends if its client does not come back.
    pub(crate) expires: Option<Millis>,
    pub(crate) outbox: Kept<ServerToClient>,
    /// The newest verdicts, by task number.
    pub(crate) verdicts: Kept<(u64, Verdict)>,
}

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionState {
    /// Its hold is not durable yet.
    Opening,
    /// Tasks may come.
    Open,
    /// Its client closed it; tasks finish.
    Closing,
}

/// The newest of what a session was told, with payloads, within bounds.
pub(crate) struct Kept<T> {
    items: VecDeque<(T, Bytes)>,
    bytes: usize,
}

impl Session {
    pub(crate) fn new(id: SessionId, account: AccountId, number: u64, budget: Credits) -> Self {
        Self {
            id,
            account,
            number,
            budget,
            state: SessionState::Opening,
            conn: None,
            reserved: Credits::ZERO,
            tasks: BTreeMap::new(),
            finished: Numbers::default(),
            restored_ranges: 0,
            restored_at: None,
            recovering_until: Millis(0),
            expires: None,
            outbox: Kept::default(),
            verdicts: Kept::default(),
        }
    }

    /// A task is over. Past `most_gaps` that the client's numbers left, the oldest is closed: what was never used of it, as refused tasks'
    /// numbers, counts as used. Not while results from before a restart may come, which are known by their numbers.
    pub(crate) fn finish(&mut self, number: u64, now: Millis, most_gaps: usize) {
        self.finished.insert(number);
        while now >= self.recovering_until && self.finished.range_count() > self.restored_ranges + most_gaps.max(1) {
            self.finished.close_first_gap();
        }
    }

    /// Keeps an amount for a task.
    pub(crate) fn reserve(&mut self, amount: Credits) {
        let sum = self.reserved.checked_add(amount);
        debug_assert!(sum.is_some(), "reserves are parts of a hold");
        self.reserved = sum.unwrap_or(self.reserved);
    }

    /// Gives back what a task did not need.
    pub(crate) fn unreserve(&mut self, amount: Credits) {
        let rest = self.reserved.checked_sub(amount);
        debug_assert!(rest.is_some(), "{amount} given back, {} reserved", self.reserved);
        self.reserved = rest.unwrap_or(Credits::ZERO);
    }
}

impl Sessions {
    /// The sessions of open holds, without their clients.
    pub(crate) fn restore(snapshot: &Snapshot, now: Millis, recovery_ms: u64, grace_ms: u64) -> Self {
        let mut sessions = Self::default();
        for hold in &snapshot.holds {
            let mut session = Session::new(hold.session, hold.account, hold.number, hold.budget);
            session.state = SessionState::Open;
            session.restored_at = Some(now);
            session.recovering_until = now.plus(recovery_ms);
            session.expires = Some(now.plus(grace_ms.max(recovery_ms)));
            sessions.insert(session);
        }
        for (session, number) in &snapshot.settled {
            if let Some(session) = sessions.by_id.get_mut(session) {
                session.finished.insert(*number);
                session.restored_ranges = session.finished.range_count();
            }
        }
        sessions
    }

    pub(crate) fn insert(&mut self, session: Session) {
        self.by_number.insert((session.account, session.number), session.id);
        self.by_id.insert(session.id, session);
    }

    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Session> {
        let session = self.by_id.remove(&id)?;
        self.by_number.remove(&(session.account, session.number));
        Some(session)
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<&Session> {
        self.by_id.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn find(&self, account: AccountId, number: u64) -> Option<SessionId> {
        self.by_number.get(&(account, number)).copied()
    }

    /// Open sessions of an account; a handful by the bound on them.
    pub(crate) fn count_of(&self, account: AccountId) -> usize {
        self.by_number.range((account, 0)..=(account, u64::MAX)).count()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// In order of their identities.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Session> + '_ {
        self.by_id.values()
    }
}

impl<T> Kept<T> {
    /// Keeps one more; the oldest go past the bounds.
    pub(crate) fn push(&mut self, item: T, payload: Bytes, most: usize, most_bytes: usize) {
        self.bytes += payload.len();
        self.items.push_back((item, payload));
        while self.items.len() > most || self.bytes > most_bytes {
            let Some((_, dropped)) = self.items.pop_front() else { break };
            self.bytes -= dropped.len();
        }
    }

    /// All of it, oldest first; nothing is kept.
    pub(crate) fn take(&mut self) -> VecDeque<(T, Bytes)> {
        self.bytes = 0;
        std::mem::take(&mut self.items)
    }

    /// The newest that `is` meant.
    pub(crate) fn newest(&self, is: impl Fn(&T) -> bool) -> Option<&(T, Bytes)> {
        self.items.iter().rev().find(|(item, _)| is(item))
    }
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { items: VecDeque::new(), bytes: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_within_the_bounds() {
        let mut kept = Kept::default();
        for (number, bytes) in [4usize, 4, 4, 1, 1].into_iter().enumerate() {
            kept.push(number, Bytes::from(vec![0; bytes]), 3, 10);
        }
        assert!(kept.newest(|number| *number == 1).is_none());
        assert_eq!(kept.newest(|number| *number == 3).map(|(_, payload)| payload.len()), Some(1));
        assert_eq!(kept.take().iter().map(|(_, payload)| payload.len()).collect::<Vec<_>>(), [4, 1, 1]);
        assert_eq!(kept.bytes, 0);
    }
}
