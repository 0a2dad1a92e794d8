//! A kernel at fault: finding it out, refusing it, and giving back what its votes cost ([`crate::diagnosis`] has the rules).

use p2c2r_protocol::message::{Refusal, Standing};
use p2c2r_signing::{AccountId, ModuleId, PublicKey};

use super::Market;
use super::commit::After;
use super::dispatch::Role;
use super::trust::{Grounds, Passings, credits};
use crate::diagnosis::{Dissent, Penalty};
use crate::record::{Cause, LedgerAccount, Record, SuspicionRecord, TransferKind};
use crate::settlement::DecidedTask;
use crate::task::{Why, Work};
use crate::trust::Posterior;

impl Market {
    /// After the referee decided a dispute: whether it would decide the same again. Not where it is busy, or nobody knows the
    /// input any more; then the next dispute will tell.
    pub(super) fn check_referee(&mut self, work: Option<Work>) {
        let Some(work) = work else { return };
        let class = work.class;
        let Some(referee) = self.peers.pick_referee(&class, &[], &mut self.dice) else { return };
        let Some(key) = self.rerun(&work, Why::RefereeCheck, Vec::new()) else { return };
        self.stats.referee_checks += 1;
        self.give(key, referee, class, Role::Referee);
        self.time_task(key);
    }

    /// The referee gave two answers to one input.
    pub(super) fn referee_differs(&mut self, module: ModuleId) {
        if let Some(suspicion) = self.suspect(module, Cause::Referee) {
            self.commit(vec![Record::Suspicion(suspicion)], After::Nothing);
        }
    }

    /// What a batch's votes say about their kernels. Gives the suspicions that are new.
    pub(super) fn weigh(&mut self, tasks: &[DecidedTask], grounds: &[Grounds]) -> Vec<SuspicionRecord> {
        let mut doubted = std::collections::BTreeSet::new();
        for (task, grounds) in tasks.iter().zip(grounds) {
            if !grounds.is_compared() || self.suspects.contains_key(&task.module) {
                continue;
            }
            for execution in &task.executions {
                let owner = execution.owner;
                let dissents = grounds.split || execution.standing == Standing::Outvoted;
                if grounds.broken.contains(&execution.nonce) || !self.is_established(owner) {
                    continue;
                }
                let doubt = self.doubts.entry(task.module).or_default();
                doubt.note(owner, dissents, self.now, self.config.limits.doubt_owners);
                if dissents {
                    doubted.insert(task.module);
                }
            }
        }
        let config = &self.config.trust;
        let found = |module: &ModuleId| Some((*module, self.doubts.get(module)?.verdict(self.now, config)?));
        let faults: Vec<_> = doubted.iter().filter_map(found).collect();
        let causes =
            faults.into_iter().map(|(module, Dissent { dissenting, of })| (module, Cause::Owners { dissenting, of }));
        causes.filter_map(|(module, cause)| self.suspect(module, cause)).collect()
    }

    /// Whether an owner's vote counts against a kernel: it has done honest work for a whole window of withheld pay.
    fn is_established(&self, owner: AccountId) -> bool {
        !self.peers.is_referee(&owner) && self.peers.totals(owner).agreed >= u64::from(self.config.trust.held_tasks)
    }

    /// Remembers what a wrong vote costs, should it turn out to be the kernel's fault.
    pub(super) fn remember_penalty(
        &mut self,
        module: ModuleId,
        peer: PublicKey,
        owner: AccountId,
        before: Posterior,
        lost: u128,
    ) {
        let penalty = Penalty { peer, owner, before, lost };
        self.penalties.push(module, penalty, self.now, self.config.limits.penalties);
    }

    /// Holds a kernel to be at fault: it is not run any more, and nobody is punished for it. `None` if it is held to already.
    fn suspect(&mut self, module: ModuleId, cause: Cause) -> Option<SuspicionRecord> {
        if self.suspects.contains_key(&module) {
            return None;
        }
        let suspicion = SuspicionRecord { module, since: self.now, cause, open: true };
        self.suspects.insert(module, suspicion);
        self.doubts.remove(&module);
        self.goldens.forget(module);
        for penalty in self.penalties.lift(module) {
            let Some(peer) = self.peers.find(&penalty.peer) else { continue };
            self.peers.pardon(peer, module, penalty.before, &self.works, self.now, &self.config);
            self.stats.penalties_lifted += 1;
            self.work_for(peer);
        }
        let why = reason(&suspicion);
        for task in self.tasks.of_kernel(module) {
            if self.tasks.get(task).is_some_and(|t| t.is_queued()) {
                self.refuse_queued(task, Refusal::FaultyKernel, &why);
            } else {
                self.give_up(task, Refusal::FaultyKernel);
            }
        }
        self.settle_soon();
        Some(suspicion)
    }

    /// The operator trusts the kernel again. `None` if nobody doubted it.
    pub(super) fn clear(&mut self, module: ModuleId) -> Option<SuspicionRecord> {
        let suspicion = self.suspects.remove(&module)?;
        Some(SuspicionRecord { open: false, ..suspicion })
    }

    /// Gives back what is due, as far as the platform has it; the rest with a later batch.
    pub(super) fn give_back(&mut self, passings: &mut Passings, platform: &mut u128) {
        while let Some((owner, amount)) = self.penalties.pay(*platform) {
            *platform -= amount;
            passings.add(TransferKind::Restore, LedgerAccount::Platform, LedgerAccount::Withheld(owner), amount);
            self.withheld.restore_pay(owner, credits(amount));
            self.stats.restored_nano_usd += credits(amount).nano_usd();
        }
    }
}

/// For people: why a kernel is refused.
pub(super) fn reason(suspicion: &SuspicionRecord) -> String {
    format!("kernel {} seems to give different results for the same input: {}", suspicion.module, suspicion.cause)
}
