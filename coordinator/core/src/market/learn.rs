//! What attempts that end say about how long such attempts take. The rules of what counts are in [`crate::predict`].

use super::Market;
use crate::sketch::Took;
use crate::task::{Attempt, AttemptState};

impl Market {
    /// The attempt that `peer` is running brought an output.
    pub(super) fn learn(&mut self, key: usize, peer: usize) {
        self.learn_that(key, peer, Took::Exactly);
    }

    /// The attempt that `peer` is running is called off: it would have taken longer.
    pub(super) fn learn_at_least(&mut self, key: usize, peer: usize) {
        self.learn_that(key, peer, Took::AtLeast);
    }

    /// From the attempt that `peer` is running, unless it had to fetch the kernel first.
    fn learn_that(&mut self, key: usize, peer: usize, took: fn(u64) -> Took) {
        let running = |a: &&Attempt| a.state == AttemptState::Running(peer) && !a.cold;
        let Some(attempt) = self.tasks.get(key).and_then(|task| task.attempts.iter().find(running)) else { return };
        let Some(work) = attempt.work else { return };
        let took = took(attempt.given.until(self.now));
        self.works.learn(work, took);
        self.peers.learn(peer, work, took, self.now);
    }
}
