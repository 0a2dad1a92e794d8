//! What is handed to the store, and what may be said once it is durable.

use std::collections::{BTreeMap, VecDeque};

use p2c2r_protocol::message::SettledAttempt;
use p2c2r_signing::{AttemptNonce, Digest, PublicKey, SessionId};

use super::Market;
use super::withdrawal::Withdrawn;
use crate::io::{CommitId, ConnId, Output};
use crate::record::{Commit, Record};

/// Commits on their way.
pub(super) struct Commits {
    next: CommitId,
    in_flight: VecDeque<(CommitId, Vec<After>)>,
    /// Whether the store works, as far as the shell knows.
    pub(super) healthy: bool,
}

/// What waits for a commit to be durable.
pub(super) enum After {
    /// The session's tasks may come.
    SessionOpened(SessionId),
    /// The client is told what its session cost.
    SessionClosed { conn: Option<ConnId>, spent: p2c2r_protocol::Credits },
    /// Nobody waits for it.
    Nothing,
    /// The operator is told.
    Admin { request: u64 },
    /// The peers are told, and the clients whose answers are withdrawn.
    Settled { batch: u64, root: Digest, entries: BTreeMap<PublicKey, Vec<SettledAttempt>>, withdrawn: Vec<Withdrawn> },
}

impl Commits {
    pub(super) fn after(last: Option<CommitId>) -> Self {
        let next = CommitId(last.map_or(1, |last| last.0 + 1));
        Self { next, in_flight: VecDeque::new(), healthy: true }
    }

    /// The number the next commit will have.
    pub(super) fn next(&self) -> CommitId {
        self.next
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether an attempt is in a batch that is not durable yet, so that its peer will hear of it.
    pub(super) fn settles(&self, peer: &PublicKey, nonce: &AttemptNonce) -> bool {
        self.in_flight.iter().flat_map(|(_, after)| after).any(|after| match after {
            After::Settled { entries, .. } => {
                entries.get(peer).is_some_and(|entries| entries.iter().any(|e| e.nonce == *nonce))
            }
            After::SessionOpened(_) | After::SessionClosed { .. } | After::Nothing | After::Admin { .. } => false,
        })
    }
}

impl Market {
    /// Hands records to the store.
    pub(super) fn commit(&mut self, records: Vec<Record>, after: After) {
        let id = self.commits.next;
        self.commits.next = CommitId(id.0 + 1);
        self.commits.in_flight.push_back((id, vec![after]));
        self.out.push_back(Output::Commit(Commit { id, records }));
    }

    /// What is to be said as soon as everything handed over so far is durable.
    pub(super) fn after_commits(&mut self, after: After) {
        match self.commits.in_flight.back_mut() {
            Some((_, waiting)) => waiting.push(after),
            None => self.durable(after),
        }
    }

    /// Everything up to `commit` is durable.
    pub(super) fn committed(&mut self, commit: CommitId) {
        while self.commits.in_flight.front().is_some_and(|(id, _)| *id <= commit) {
            let Some((_, after)) = self.commits.in_flight.pop_front() else { break };
            for after in after {
                self.durable(after);
            }
        }
    }

    fn durable(&mut self, after: After) {
        match after {
            After::SessionOpened(session) => self.session_opened(session),
            After::SessionClosed { conn, spent } => self.session_closed(conn, spent),
            After::Nothing => {}
            After::Admin { request } => self.out.push_back(Output::AdminDone { request, result: Ok(()) }),
            After::Settled { batch, root, entries, withdrawn } => {
                self.tell_settled(batch, root, entries);
                self.tell_withdrawn(withdrawn);
            }
        }
    }
}
