//! Runs the platform orders of work that was done before, to see whether the same comes out: to their peers tasks like any
//! other. Nobody is told of their answers and no session pays for them.
//!
//! The result claimed before counts as one vote. Whoever agrees makes a quorum with it; whoever differs brings in another
//! owner, and the referee, as in any dispute.

use std::collections::BTreeSet;

use p2c2r_protocol::Credits;
use p2c2r_protocol::message::Mode;
use p2c2r_signing::{AccountId, SessionId, Vote};

use super::Market;
use super::submit::price;
use crate::identity::task_id;
use crate::quorum::Tally;
use crate::settlement::{DecidedTask, Payer};
use crate::task::{Answer, AttemptState, Needs, Phase, Place, Rerun, Task, Why, Work};
use crate::trust::Basis;

impl Market {
    /// A task of some work, given to nobody yet. `None` where there is no room for it, or nobody may run its kernel.
    pub(super) fn rerun(&mut self, work: &Work, why: Why, barred: Vec<AccountId>) -> Option<usize> {
        let limits = &self.config.limits;
        let kernel = self.kernels.get(&work.module)?;
        let room = self.tasks.len() < limits.tasks
            && self.tasks.input_bytes.saturating_add(work.input.len()) <= limits.input_bytes;
        if self.draining || !room || self.suspects.contains_key(&work.module) {
            return None;
        }
        let (needs, rate) = (Needs::of(&kernel.manifest), kernel.rate);
        // A session nobody has: its task's identity is as good as any other, and never comes twice.
        let session = SessionId::from_bytes(*self.dice.nonce().as_bytes());
        let id = task_id(session, 0);
        let claim = work.claim.vote(id, work.module, work.class.class, work.digest);
        let mut tally = Tally::new(2);
        tally.cast(claim);
        let deadline = self.now.plus(work.patience_ms).plus(self.config.verify_window_ms);
        let key = self.tasks.insert(Task {
            id,
            session,
            client: work.client,
            number: 0,
            module: work.module,
            needs,
            digest: work.digest,
            input: work.input.clone(),
            blobs: work.blobs.clone(),
            seed: work.seed,
            priority: 0,
            mode: Mode::Confirmed,
            replicas: 1,
            checks: 0,
            max_units: work.max_units,
            output_bytes: work.output_bytes,
            rate,
            reserve: Credits::ZERO,
            deadline,
            patience_ms: work.patience_ms,
            verify_by: deadline,
            timer: None,
            place: Place::Class(work.class),
            attempts: Vec::new(),
            tally,
            phase: Phase::Undecided,
            delivered: None,
            kept: None,
            ruling: None,
            rule_from: None,
            hedged: false,
            settle_from: None,
            waiting: false,
            rerun: Some(Rerun { why, claim, barred }),
        });
        Some(key)
    }

    /// The right vote of a rerun is known.
    pub(super) fn rerun_decided(&mut self, key: usize, vote: Vote, answer: Answer, basis: Basis) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let Some(rerun) = &task.rerun else { return };
        let (why, agrees, module) = (rerun.why, rerun.claim == vote, task.module);
        let cost = match why {
            Why::Recheck(unchecked) => unchecked.cost,
            Why::RefereeCheck | Why::Golden => price(task.rate, answer.units, 1).unwrap_or(Credits::ZERO),
        };
        // With the claim, an answer that agrees is one of two.
        let basis = if basis == Basis::Referee { basis } else { Basis::Quorum };
        task.phase = Phase::Confirmed(vote, cost, basis);
        self.decided(key);
        match why {
            Why::RefereeCheck if agrees => {}
            Why::RefereeCheck => self.referee_differs(module),
            Why::Recheck(unchecked) => self.rechecked(unchecked, (!agrees).then_some(answer)),
            Why::Golden if agrees => {}
            Why::Golden => self.golden_refuted(key),
        }
    }

    /// A rerun came to nothing. Its votes, if there are any, are void.
    pub(super) fn rerun_failed(&mut self, key: usize) {
        let alone = self.is_alone(key);
        let Some(task) = self.tasks.get_mut(key) else { return };
        let why = task.rerun.as_ref().map(|rerun| rerun.why);
        if task.has_votes() {
            task.phase = match &task.rerun {
                // Those who confirmed it before were several, and nobody is left to ask.
                Some(Rerun { why: Why::Golden, claim, .. }) if alone => {
                    Phase::Confirmed(*claim, Credits::ZERO, Basis::Quorum)
                }
                _ => Phase::Unverified,
            };
            self.decided(key);
        } else {
            self.cancel_running(key);
            self.forget(key);
        }
        if let Some(Why::Recheck(unchecked)) = why {
            self.recheck_failed(unchecked);
        }
    }

    /// Whether nobody offers a task's class who was not asked already, and the kernel is not at fault.
    fn is_alone(&self, key: usize) -> bool {
        let Some(task) = self.tasks.get(key) else { return false };
        let Place::Class(class) = task.place else { return false };
        let over = task.attempts.iter().all(|a| matches!(a.state, AttemptState::Voted { .. }));
        let at_fault = self.suspects.contains_key(&task.module);
        over && !at_fault && !self.peers.pool.has_other_owner(&class, &task.excluded())
    }

    /// Nobody else is asked to run it: it is the referee's alone, or over.
    pub(super) fn is_referees_own(&self, key: usize) -> bool {
        let why = self.tasks.get(key).and_then(|task| task.rerun.as_ref()).map(|rerun| rerun.why);
        why == Some(Why::RefereeCheck)
    }
}

/// Who pays for the pool's own in a batch: like audits, they have their part of what the kernel's tasks in it cost. Where there
/// are none the platform pays, as far as `platform` nano-USD go: whoever earned nothing would know what it ran.
pub(super) fn share_costs(tasks: &mut [DecidedTask], platform: u128) {
    let paid = |t: &&DecidedTask| t.payer != Payer::Pool && t.cost.is_some_and(|cost| cost > Credits::ZERO);
    let paying: BTreeSet<_> = tasks.iter().filter(paid).map(|t| t.module).collect();
    let mut left = platform;
    for task in tasks.iter_mut().filter(|t| t.payer == Payer::Pool) {
        let Some(cost) = task.cost else { continue };
        let amount = u128::from(cost.nano_usd());
        if paying.contains(&task.module) || amount > left {
            task.cost = Some(Credits::ZERO);
        } else {
            left -= amount;
            task.payer = Payer::Platform;
        }
    }
}
