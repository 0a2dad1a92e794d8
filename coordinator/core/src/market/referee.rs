//! Disputes. Where votes differ another peer is asked first, as ever; then the operator's own referee, if one is
//! connected and free, and its vote is the verdict, whatever a majority says: a majority may be a ring. Without one the
//! quorum decides. A referee that decided is asked the same once more, as a task of its own: if it answers otherwise, the kernel
//! is at fault and nobody lied.

use p2c2r_signing::Vote;

use super::Market;
use super::dispatch::Role;
use crate::task::{Answer, AttemptState, Phase, Place};
use crate::trust::Basis;

impl Market {
    /// Holds a quorum's ruling in a disputed task back until the referee has voted, or may not any more. False if no referee
    /// can be asked.
    pub(super) fn refer(&mut self, key: usize, vote: Vote, answer: &Answer) -> bool {
        let may_have_voted = self.tasks.get(key).is_some_and(|task| task.rule_from.is_some());
        if !may_have_voted && !self.ask_referee(key) {
            return false;
        }
        if let Some(task) = self.tasks.get_mut(key).filter(|task| task.ruling.is_none()) {
            task.ruling = Some(vote);
            self.tasks.keep(key, answer.clone());
        }
        true
    }

    /// Whether the referee is at the task, now or already: it is asked once.
    pub(super) fn ask_referee(&mut self, key: usize) -> bool {
        let Some(task) = self.tasks.get(key) else { return false };
        if task.attempts.iter().any(|a| a.referee) {
            return task.attempts.iter().any(|a| a.referee && a.is_running());
        }
        let Place::Class(class) = task.place else { return false };
        if self.draining || task.ends() <= self.now {
            return false;
        }
        match self.peers.pick_referee(&class, &task.excluded(), &mut self.dice) {
            Some(referee) => self.give(key, referee, class, Role::Referee),
            None => false,
        }
    }

    /// The referee has spoken. After a restart others that were right, and wrong, get the time to say so again: what comes
    /// after the settlement is void.
    pub(super) fn confirm_by_referee(&mut self, key: usize, vote: Vote, answer: Answer) {
        let Some(task) = self.tasks.get_mut(key).filter(|task| task.phase == Phase::Undecided) else { return };
        if task.rule_from.is_some() {
            task.ruling = Some(vote);
            self.tasks.keep(key, answer);
            return;
        }
        let Some(task) = self.tasks.get(key) else { return };
        let work = if self.is_referees_own(key) { None } else { task.work(&answer) };
        self.confirm(key, vote, answer, Basis::Referee);
        self.check_referee(work);
    }

    /// The ruling that waits for a referee who will not vote any more is the verdict. False if none waits so.
    pub(super) fn referee_failed(&mut self, key: usize) -> bool {
        let Some(task) = self.tasks.get(key) else { return false };
        let pending = task.attempts.iter().any(|a| a.referee && a.is_running());
        !pending && self.rule(key)
    }

    /// Confirms what was ruled and held back, if anything was.
    pub(super) fn rule(&mut self, key: usize) -> bool {
        let Some(task) = self.tasks.get_mut(key) else { return false };
        let (Some(vote), Some(answer)) = (task.ruling.take(), task.kept.clone()) else { return false };
        let says = |state| matches!(state, AttemptState::Voted { vote: Some(said), .. } if said == vote);
        let by_referee = task.attempts.iter().any(|a| a.referee && says(a.state));
        self.confirm(key, vote, answer, if by_referee { Basis::Referee } else { Basis::Quorum });
        true
    }
}
