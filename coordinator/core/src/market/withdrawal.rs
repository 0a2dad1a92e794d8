//! Answers that were confirmed on one execution of a peer that was caught lying since. Where the input is still here and
//! another owner can be asked, the answer is run again, out of the liar's pay: if others come to the same, it stands; if not,
//! its client hears the right one. All others are withdrawn, and their clients paid back.
//!
//! The money of an answer that is run again is set aside in the platform's account until it is known whether it goes to those
//! who ran it or back to the client. That is not durable: over a restart it stays the platform's, and the answer stands.

use bytes::Bytes;
use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{RightAnswer, ServerToClient};
use p2c2r_signing::{AccountId, SessionId};

use super::Market;
use super::trust::Passings;
use crate::record::{LedgerAccount, TransferKind};
use crate::task::{Answer, Why, Work};
use crate::withheld::Unchecked;

/// What a client is to hear once it is durable.
#[derive(Debug, Clone)]
pub(super) struct Withdrawn {
    pub(super) session: SessionId,
    pub(super) number: u64,
    /// What went back to its account.
    pub(super) refund: Credits,
    /// The right answer, with its output.
    pub(super) right: Option<(RightAnswer, Bytes)>,
}

/// Answers of liars, on their way to be run again and back.
#[derive(Debug, Default)]
pub(super) struct Rechecks {
    /// To be started when the batch is cut: the work, whom not to ask, what it is about.
    planned: Vec<(Work, AccountId, Unchecked)>,
    /// Running.
    running: usize,
    /// Nano-USD of the platform's account that are spoken for.
    pub(super) set_aside: u128,
    /// What came of them, for the next batch: the right answer, or nothing, which is a refund.
    pub(super) outcomes: Vec<(Unchecked, Option<(RightAnswer, Bytes)>)>,
}

impl Market {
    /// Keeps the work of a task that is confirmed on one execution.
    pub(super) fn archive_work(&mut self, key: usize, answer: &Answer) {
        if self.config.trust.held_tasks == 0 {
            return;
        }
        let Some(task) = self.tasks.get(key) else { return };
        if let Some(work) = task.work(answer) {
            self.archive.keep((task.session, task.number), work, self.config.limits.recheck_bytes);
        }
    }

    /// Nano-USD of the platform's account that nothing is promised of.
    pub(super) fn platform_free(&self) -> u128 {
        u128::from(self.ledger.platform().nano_usd()).saturating_sub(self.rechecks.set_aside)
    }

    /// Sets the money of a liar's answer aside to have it run again. False if it cannot be.
    pub(super) fn plan_recheck(&mut self, liar: AccountId, unchecked: Unchecked) -> bool {
        let Some(work) = self.archive.take((unchecked.session, unchecked.number)) else { return false };
        let mut excluded = vec![work.client, liar];
        excluded.dedup();
        let room = self.rechecks.running + self.rechecks.planned.len() < self.config.limits.rechecks;
        if !room || self.draining || !self.peers.pool.has_other_owner(&work.class, &excluded) {
            return false;
        }
        self.rechecks.set_aside += u128::from(unchecked.cost.nano_usd());
        self.rechecks.planned.push((work, liar, unchecked));
        true
    }

    /// Gives out what was planned in a batch.
    pub(super) fn start_rechecks(&mut self) {
        for (work, liar, unchecked) in std::mem::take(&mut self.rechecks.planned) {
            self.rechecks.running += 1;
            match self.rerun(&work, Why::Recheck(unchecked), vec![liar]) {
                Some(key) => {
                    self.stats.rechecks += 1;
                    self.complete(key);
                    self.time_task(key);
                }
                None => self.recheck_failed(unchecked),
            }
        }
    }

    /// Others ran it: `right` is their answer if it is another one. Those who were right are paid with its own settlement.
    pub(super) fn rechecked(&mut self, unchecked: Unchecked, right: Option<Answer>) {
        self.rechecks.running = self.rechecks.running.saturating_sub(1);
        match right {
            None => self.stats.rechecks_right += 1,
            Some(Answer { outcome, units, output, .. }) => {
                self.stats.rechecks_wrong += 1;
                self.rechecks.outcomes.push((unchecked, Some((RightAnswer { outcome, units }, output))));
            }
        }
    }

    /// Nobody else could be had for it.
    pub(super) fn recheck_failed(&mut self, unchecked: Unchecked) {
        self.rechecks.running = self.rechecks.running.saturating_sub(1);
        self.rechecks.outcomes.push((unchecked, None));
        self.settle_soon();
    }

    /// What clients are to hear of reruns that are over, and the money that goes back.
    pub(super) fn recheck_outcomes(&mut self, passings: &mut Passings) -> Vec<Withdrawn> {
        let outcomes = std::mem::take(&mut self.rechecks.outcomes);
        let mut withdrawn = Vec::with_capacity(outcomes.len());
        for (Unchecked { client, session, number, cost }, right) in outcomes {
            let mut refund = Credits::ZERO;
            if right.is_none() {
                refund = cost;
                let (to, amount) = (LedgerAccount::Available(client), u128::from(cost.nano_usd()));
                self.rechecks.set_aside = self.rechecks.set_aside.saturating_sub(amount);
                passings.add(TransferKind::Refund, LedgerAccount::Platform, to, amount);
            }
            withdrawn.push(Withdrawn { session, number, refund, right });
        }
        withdrawn
    }

    /// Tells clients whose sessions are still open that an answer they were told was confirmed is not.
    pub(super) fn tell_withdrawn(&mut self, withdrawn: Vec<Withdrawn>) {
        for Withdrawn { session, number, refund, right } in withdrawn {
            let (right, output) = right.map_or((None, Bytes::new()), |(right, output)| (Some(right), output));
            self.tell_session(session, ServerToClient::TaskWithdrawn { number, refund, right }, output);
        }
    }
}
