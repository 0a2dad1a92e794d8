//! Checks the platform decides on, and the pay that answers for what nobody checked.

use std::collections::BTreeMap;

use p2c2r_protocol::Credits;
use p2c2r_protocol::message::Standing;
use p2c2r_signing::{AccountId, AttemptNonce, ModuleId, PublicKey, Vote};

use super::Market;
use super::withdrawal::Withdrawn;
use crate::ledger::Passing;
use crate::peers::ClassKey;
use crate::predict::WorkId;
use crate::record::{LedgerAccount, SettlementRecord, Transfer, TransferKind};
use crate::settlement::DecidedTask;
use crate::task::{AttemptState, Phase, Task};
use crate::trust::{Basis, ONE_PPM, Posterior};
use crate::withheld::{Pay, Unchecked};

/// What a decided task's settlement rests on.
pub(super) struct Grounds {
    client: AccountId,
    /// `None` without a verdict.
    pub(super) basis: Option<Basis>,
    /// Whether it ended with as many answers as voters, three at least.
    pub(super) split: bool,
    /// Attempts whose results broke a rule: wrong whatever the kernel is.
    pub(super) broken: Vec<AttemptNonce>,
}

/// Money on its way out of what is withheld, net per pair of accounts.
#[derive(Default)]
pub(super) struct Passings(BTreeMap<(TransferKind, LedgerAccount, LedgerAccount), u128>);

impl Grounds {
    pub(super) fn of(task: &Task) -> Self {
        let basis = match task.phase {
            Phase::Confirmed(_, _, basis) => Some(basis),
            Phase::Undecided | Phase::Unverified => None,
        };
        let voted = task.attempts.iter().filter_map(|a| match a.state {
            AttemptState::Voted { vote, .. } => Some((a.nonce, vote)),
            _ => None,
        });
        let broken = voted.clone().filter(|(_, vote)| vote.is_none()).map(|(nonce, _)| nonce).collect();
        let mut votes: Vec<Vote> = voted.filter_map(|(_, vote)| vote).collect();
        let voters = votes.len();
        votes.sort_unstable();
        votes.dedup();
        let split = basis.is_none() && voters > 2 && votes.len() == voters;
        Self { client: task.client, basis, split, broken }
    }

    /// Whether the votes were held against each other.
    pub(super) fn is_compared(&self) -> bool {
        self.split || matches!(self.basis, Some(Basis::Quorum | Basis::Referee))
    }
}

impl Passings {
    pub(super) fn add(&mut self, kind: TransferKind, from: LedgerAccount, to: LedgerAccount, amount: u128) {
        if amount > 0 {
            *self.0.entry((kind, from, to)).or_insert(0) += amount;
        }
    }

    fn all(self) -> Vec<Passing> {
        let passing = |((kind, from, to), amount)| Passing { kind, from, to, amount: credits(amount) };
        self.0.into_iter().map(passing).collect()
    }
}

impl Market {
    /// Before an attempt of a task that nobody checks yet goes to `peer`: whether somebody else shall run it too. Who asked
    /// for several executions compares them anyway. Where nobody else offers the class nobody can be asked: the peer gets a golden task
    /// of the kernel instead, if there is one it never saw.
    pub(super) fn decide_check(&mut self, key: usize, peer: usize, class: ClassKey, work: Option<WorkId>) {
        let Some(task) = self.tasks.get(key) else { return };
        if task.replicas > 1 || task.checks > 0 || task.rerun.is_some() {
            return;
        }
        let rate = self.peers.audit_ppm(peer, &task.module, work, &self.config.trust);
        let module = task.module;
        self.order_golden(module, class);
        if self.dice.below(ONE_PPM as usize) >= rate as usize {
            return;
        }
        let Some(task) = self.tasks.get(key) else { return };
        let mut excluded = task.excluded();
        excluded.extend(self.peers.get(peer).map(|peer| peer.standing.record.account));
        if !self.peers.pool.has_other_owner(&class, &excluded) {
            self.order_golden_for(module, class, peer);
            return;
        }
        if let Some(task) = self.tasks.get_mut(key) {
            task.checks = 1;
            task.tally.raise(1);
            self.stats.audits += 1;
        }
    }

    /// A check that cannot be had any more: the answer rests on its peer's window, as without the check. Not if the
    /// votes so far differ. False if there is nothing to waive.
    pub(super) fn waive_check(&mut self, key: usize) -> bool {
        let Some(task) = self.tasks.get_mut(key) else { return false };
        let checks = std::mem::take(&mut task.checks);
        if checks == 0 {
            return false;
        }
        let (Some(vote), Some(answer)) = (task.tally.waive(checks), task.kept.clone()) else { return false };
        self.stats.audits_waived += 1;
        self.confirm(key, vote, answer, Basis::HeldWindow);
        true
    }

    /// What a batch means for trust and for the pay withheld. Gives the lines of the ledger and the answers withdrawn.
    pub(super) fn hold_back(
        &mut self,
        batch: u64,
        tasks: &[DecidedTask],
        grounds: &[Grounds],
        record: &SettlementRecord,
    ) -> (Vec<Transfer>, Vec<Withdrawn>) {
        let mut passings = Passings::default();
        let mut liars: BTreeMap<AccountId, Vec<(ModuleId, PublicKey, Posterior)>> = BTreeMap::new();
        let most = self.config.trust.held_tasks;
        let executions =
            tasks.iter().zip(grounds).flat_map(|(task, g)| task.executions.iter().map(move |e| (task, g, e)));
        for ((task, grounds, execution), settled) in executions.zip(&record.executions_detail) {
            let (owner, right) = (execution.owner, execution.standing == Standing::Agreed);
            // A late result may have vouched for an answer that was accepted on one execution.
            let vouched = task.executions.iter().filter(|e| e.standing == Standing::Agreed).count() > 1;
            if execution.standing == Standing::Void {
                continue;
            }
            let peer = self.peers.find(&execution.peer);
            let before = peer.map(|peer| self.peers.posterior(peer, &task.module, &self.config.trust));
            if let Some(peer) = peer
                && (grounds.basis != Some(Basis::HeldWindow) || vouched || !right)
            {
                self.peers.compared(peer, task.module, right, &self.works, self.now, &self.config.trust);
            }
            if !right {
                let lies = liars.entry(owner).or_default();
                if !grounds.broken.contains(&execution.nonce) {
                    lies.extend(before.map(|before| (task.module, execution.peer, before)));
                }
                continue;
            }
            if vouched {
                self.archive.take((task.session, task.number));
            }
            let unchecked = (grounds.basis == Some(Basis::HeldWindow) && !vouched).then_some(Unchecked {
                client: grounds.client,
                session: task.session,
                number: task.number,
                cost: settled.task_cost,
            });
            let released = self.withheld.push(owner, Pay { amount: settled.earned, unchecked }, most);
            let (from, to) = (LedgerAccount::Withheld(owner), LedgerAccount::Available(owner));
            for pay in released {
                passings.add(TransferKind::Release, from, to, u128::from(pay.amount.nano_usd()));
                if let Some(Unchecked { session, number, .. }) = pay.unchecked {
                    self.archive.take((session, number));
                }
            }
        }
        let mut platform = self.platform_free();
        let mut withdrawn = self.recheck_outcomes(&mut passings);
        for (owner, lies) in liars {
            let mut lost = 0;
            for pay in self.withheld.take(owner) {
                lost += u128::from(pay.amount.nano_usd());
                withdrawn.extend(self.forfeit(owner, pay, &mut passings, &mut platform));
            }
            for (module, peer, before) in lies {
                self.remember_penalty(module, peer, owner, before, std::mem::take(&mut lost));
            }
        }
        self.give_back(&mut passings, &mut platform);
        self.stats.tasks_withdrawn += withdrawn.len() as u64;
        self.stats.refunded_nano_usd += withdrawn.iter().map(|w| w.refund.nano_usd()).sum::<u64>();
        let passed = self.ledger.pass_on(batch, &passings.all(), self.now);
        debug_assert!(passed.is_ok(), "batch {batch}: {passed:?}");
        (passed.unwrap_or_default(), withdrawn)
    }

    /// A liar's pay goes back to the client whose answer nobody else vouches for, with what the platform had of it as
    /// far as the platform has it; if others can still run it, as much is set aside for them instead. The rest, and the pay
    /// of answers that others confirmed, goes to the platform.
    fn forfeit(
        &mut self,
        owner: AccountId,
        pay: Pay,
        passings: &mut Passings,
        platform: &mut u128,
    ) -> Option<Withdrawn> {
        let (from, amount) = (LedgerAccount::Withheld(owner), u128::from(pay.amount.nano_usd()));
        let mut rest = amount;
        let mut withdrawn = None;
        if let Some(Unchecked { client, session, number, cost }) = pay.unchecked {
            let (to, cost) = (LedgerAccount::Available(client), u128::from(cost.nano_usd()));
            let back = amount.min(cost);
            let fee = (cost - back).min(*platform);
            *platform -= fee;
            let refund = credits(back + fee);
            if !self.plan_recheck(owner, Unchecked { client, session, number, cost: refund }) {
                passings.add(TransferKind::Refund, from, to, back);
                passings.add(TransferKind::Refund, LedgerAccount::Platform, to, fee);
                rest -= back;
                withdrawn = Some(Withdrawn { session, number, refund, right: None });
            }
        }
        passings.add(TransferKind::Forfeit, from, LedgerAccount::Platform, rest);
        self.stats.forfeited_nano_usd += pay.amount.nano_usd();
        withdrawn
    }
}

/// Sums here are parts of balances, which fit a `u64` by the ledger's bound on deposits.
pub(super) fn credits(amount: u128) -> Credits {
    Credits::from_nano_usd(u64::try_from(amount).unwrap_or(u64::MAX))
}
