//! What attempts that end say about how long such attempts take. The rules of what counts are in [`crate::predict`].

use super::Market;
use crate::predict::{Forecast, WorkId};
use crate::task::{Attempt, AttemptState, Phase};

impl Market {
    /// The attempt that `peer` is running brought an output.
    pub(super) fn learn(&mut self, key: usize, peer: usize) {
        let Some((work, ms)) = self.warm(key, peer) else { return };
        self.works.learn(work, ms);
        self.peers.learn(peer, work, ms, self.now);
    }

    /// The attempt that `peer` is running is called off. If it ran for longer than is usual, the peer is at least that
    /// slow. Of the work itself that only tells if somebody else was faster: nobody may have been, by the fault of the task.
    pub(super) fn learn_at_least(&mut self, key: usize, peer: usize) {
        let Some((work, ms)) = self.warm(key, peer) else { return };
        if self.forecast(work, peer).is_none_or(|usual| ms < usual.p50()) {
            return;
        }
        if self.tasks.get(key).is_some_and(|task| matches!(task.phase, Phase::Confirmed(..))) {
            self.works.learn(work, ms);
        }
        self.peers.learn(peer, work, ms, self.now);
    }

    /// How long the work will take `peer`: by its own past, or everybody's while there is too little of that.
    pub(super) fn forecast(&self, work: WorkId, peer: usize) -> Option<Forecast> {
        self.peers.forecast(peer, work).or_else(|| self.works.forecast(work))
    }

    /// The work of an attempt that `peer` is running and for how long it did, unless it had to fetch the kernel first.
    fn warm(&self, key: usize, peer: usize) -> Option<(WorkId, u64)> {
        let mut attempts = self.tasks.get(key)?.attempts.iter();
        let attempt = attempts.find(|a: &&Attempt| a.state == AttemptState::Running(peer) && !a.cold)?;
        Some((attempt.work?, attempt.given.until(self.now)))
    }
}
