//! One more attempt where the first is slower than usual: the first right answer is delivered, the other is called off, and
//! paid like any if it was right and came all the same.
//!
//! **When.** An attempt is slow once it has run past the 90th percentile of its forecast, its peer's own or that of all, at the
//! latest when another has just time enough; where the tail is short, and in time, past the 99th, because there it is about to
//! end anyway. Only tasks whose votes nobody compares are hedged: the others run several times as it is. Each is hedged at most
//! once, not after an answer was delivered, and not past its deadline. Without a forecast nothing is slow.
//!
//! **How often.** Every attempt puts [`hedge_percent`](crate::config::DispatchConfig::hedge_percent) of one into the
//! budget, a hedge takes one out; [`BURST`] can be saved up. So peers that are slow on purpose cost the network that
//! share of its executions and no more.
//!
//! **What it is not.** On the wire a hedge is an attempt like any other: another owner, its own nonce, the same bytes and
//! time; its peer's own audit rate decides on a check. But it stands in for the attempt that is slow: the two are one voice in
//! the tally, so where a check is due it comes from a third owner, and two of a ring who hold both ends are found as one is.

use super::Market;
use crate::io::Millis;
use crate::task::{AttemptState, Phase, Place, Task};

/// Hedges that can be saved up: enough for a stumble of the whole network, few enough to be spent in a second.
const BURST: u32 = 64;
/// One attempt in the budget's unit.
const ATTEMPT: u32 = 100;

/// What may still be spent on hedges, in hundredths of an attempt.
#[derive(Debug, Default)]
pub(super) struct Budget(u32);

impl Budget {
    /// An attempt that is no hedge was given out.
    pub(super) fn earn(&mut self, percent: u32) {
        self.0 = self.0.saturating_add(percent.min(ATTEMPT)).min(BURST * ATTEMPT);
    }

    /// Takes a hedge out; false if there is not enough.
    fn spend(&mut self) -> bool {
        match self.0.checked_sub(ATTEMPT) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// Puts a hedge back that did not come about.
    fn restore(&mut self) {
        self.0 = (self.0 + ATTEMPT).min(BURST * ATTEMPT);
    }
}

/// When a task should be hedged by what its attempt is expected to take; `None` if not.
pub(super) fn due(task: &Task) -> Option<Millis> {
    if task.hedged || task.compared() || task.phase != Phase::Undecided || task.delivered.is_some() {
        return None;
    }
    let slow_from = task.attempts.iter().find(|a| a.is_running())?.slow_from;
    slow_from.filter(|at| *at < task.deadline)
}

impl Market {
    /// Gives a task that is slow one more attempt, if one can be had.
    pub(super) fn hedge(&mut self, key: usize) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let Place::Class(class) = task.place else { return };
        task.hedged = true;
        let most = task.planned() + usize::from(self.config.extra_attempts);
        if self.draining || task.attempts.len() >= most || !self.hedges.spend() {
            return;
        }
        if !self.issue(key, class, true) {
            self.hedges.restore();
            return;
        }
        self.stats.hedges += 1;
        // If it is to be checked, by a third.
        self.complete(key);
    }

    /// Whether the settlement of a task that was just decided should wait for the loser of its hedge: that may have done the
    /// work, and its answer be on the way.
    pub(super) fn awaits_loser(&self, key: usize) -> bool {
        self.tasks.get(key).is_some_and(|task| {
            let hedged = task.attempts.iter().any(|a| a.hedge);
            hedged && matches!(task.phase, Phase::Confirmed(..)) && task.running() > 0
        })
    }

    /// Lets a decided task into the next batch if the loser it was kept for has answered, or `late` if it may not any more.
    pub(super) fn settle_hedged(&mut self, key: usize, late: bool) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let out = task.attempts.iter().any(|a| a.state == AttemptState::Missing);
        if task.settle_from.is_none() || (out && !late) {
            return;
        }
        task.settle_from = None;
        self.time_task(key);
        self.decided.push_back(key);
        self.settle_soon();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_a_share_of_what_was_given_out() {
        let mut budget = Budget::default();
        let mut hedges = 0;
        for _ in 0..1_000 {
            budget.earn(10);
            hedges += u32::from(budget.spend());
        }
        assert_eq!(hedges, 100);
        (0..100_000).for_each(|_| budget.earn(10));
        let saved = std::iter::repeat_with(|| budget.spend()).take_while(|spent| *spent).count();
        assert_eq!(saved, BURST as usize);
        (0..1_000).for_each(|_| budget.earn(0));
        assert!(!budget.spend(), "nothing of a hundred is nothing");
    }
}
