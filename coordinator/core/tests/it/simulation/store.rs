//! A store: takes commits in order, writes them after a while, may stop for a time, loses what it has not written.

use std::collections::VecDeque;

use p2c2r_core::{Commit, CommitId, Snapshot};

#[derive(Default)]
pub(crate) struct Store {
    /// What is written: what a crash leaves.
    pub(crate) durable: Snapshot,
    queue: VecDeque<Commit>,
    pub(crate) stopped: bool,
}

impl Store {
    pub(crate) fn take(&mut self, commit: Commit) {
        let last = self.queue.back().map(|c| c.id).or(self.durable.last_commit);
        assert_eq!(commit.id, CommitId(last.map_or(1, |last| last.0 + 1)), "commits are numbered without gaps");
        self.queue.push_back(commit);
    }

    /// Writes the oldest waiting commit.
    pub(crate) fn write(&mut self) -> Option<Commit> {
        let commit = self.queue.pop_front()?;
        self.durable.apply(&commit);
        Some(commit)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The machine dies: what was not written is gone.
    pub(crate) fn crash(&mut self) {
        self.queue.clear();
        self.stopped = false;
    }
}
