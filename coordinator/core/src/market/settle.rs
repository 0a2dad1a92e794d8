//! Settlement batches: cut about once a second, told to peers once durable.

use std::collections::{BTreeMap, BTreeSet};

use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{SettledAttempt, Standing};
use p2c2r_signing::{Digest, PublicKey, SessionId};

use super::Market;
use super::commit::After;
use super::rerun::share_costs;
use super::trust::Grounds;
use super::verdict::cost_of;
use crate::record::Record;
use crate::settlement::{DecidedTask, Execution, Payer, Settlement, settle};
use crate::task::{AttemptState, Phase, Task, Why};
use crate::trust::Basis;

/// Executions a decided task brings as a rule, to know when a batch is full.
const EXECUTIONS_A_TASK: usize = 2;

impl Market {
    /// A task is decided: the next batch is due in a while, or now if that many wait. While the store is behind, batches
    /// wait for it.
    pub(super) fn settle_soon(&mut self) {
        let full = self.decided.len() * EXECUTIONS_A_TASK >= self.config.limits.batch_executions;
        let wait = if full && !self.store_is_behind() { 0 } else { self.config.settle_every_ms };
        let at = self.now.plus(wait);
        self.settle_at = Some(self.settle_at.map_or(at, |before| before.min(at)));
    }

    pub(super) fn settle_due(&mut self) {
        self.settle_at = None;
        let behind = self.store_is_behind();
        // What is due from the platform, and to be withdrawn, is a batch's business too.
        let due = !self.rechecks.outcomes.is_empty() || self.penalties.owes() && self.ledger.platform() > Credits::ZERO;
        if !behind && (due || !self.decided.is_empty()) {
            self.cut();
        }
        if !self.decided.is_empty() {
            let wait = if behind { self.config.settle_every_ms.max(1) } else { 0 };
            self.settle_at = Some(self.now.plus(wait));
        }
    }

    fn store_is_behind(&self) -> bool {
        self.commits.in_flight() >= self.config.limits.commits_in_flight
    }

    /// Settles the tasks decided so far, as many as a batch holds.
    fn cut(&mut self) {
        let mut tasks: Vec<DecidedTask> = Vec::new();
        let mut grounds: Vec<Grounds> = Vec::new();
        let mut executions = 0;
        // Before what is set aside for tasks of this batch is taken for spent: it is not free for others.
        let free = self.platform_free();
        while executions < self.config.limits.batch_executions {
            let Some(key) = self.decided.pop_front() else { break };
            let Some(task) = self.tasks.get(key) else { continue };
            let decided = decided_task(task, self.suspects.contains_key(&task.module));
            executions += decided.executions.len();
            if let (Some(Why::Recheck(_)), Some(cost)) = (task.rerun.as_ref().map(|rerun| rerun.why), decided.cost) {
                // Spent, now that it is paid.
                self.rechecks.set_aside = self.rechecks.set_aside.saturating_sub(u128::from(cost.nano_usd()));
            }
            tasks.push(decided);
            grounds.push(Grounds::of(task));
            self.leave(key);
        }
        share_costs(&mut tasks, free);
        let batch = self.ledger.last_batch() + 1;
        let share = self.config.peer_share_percent;
        let mut settlement = settle(batch, self.now, share, &tasks);
        let transfers = match self.ledger.post(batch, &settlement.legs, self.now) {
            Ok(transfers) => transfers,
            Err(error) => {
                // Only a bug can charge a hold more than it holds. Then nobody is charged and nobody paid.
                debug_assert!(false, "batch {batch}: {error}");
                tasks.iter_mut().for_each(void);
                grounds.iter_mut().for_each(|g| g.basis = None);
                settlement = settle(batch, self.now, share, &tasks);
                self.ledger.post(batch, &settlement.legs, self.now).unwrap_or_default()
            }
        };
        let Settlement { record, entries, .. } = settlement;
        self.count_batch(&record);
        for (task, at) in tasks.iter().flat_map(|t| t.executions.iter().map(|e| e.owner)).zip(&record.executions_detail)
        {
            let peer = self.peers.ensure(at.peer, task, &self.config);
            let resumes = self.peers.settled(peer, at.standing, at.earned, self.now, &self.config);
            self.time_peer(peer, resumes);
        }
        let sessions: BTreeSet<SessionId> = tasks.iter().map(|t| t.session).collect();
        let root = record.root;
        let (passed, withdrawn) = self.hold_back(batch, &tasks, &grounds, &record);
        let suspicions = self.weigh(&tasks, &grounds);
        let mut records: Vec<Record> = transfers.into_iter().chain(passed).map(Record::Transfer).collect();
        records.push(Record::Settlement(record));
        records.extend(suspicions.into_iter().map(Record::Suspicion));
        records.extend(self.peers.changed().into_iter().map(Record::Peer));
        let trust = self.peers.trust_changed(&self.works, self.now, &self.config);
        records.extend(trust.into_iter().map(Record::Trust));
        self.commit(records, After::Settled { batch, root, entries, withdrawn });
        for session in sessions {
            self.end_if_over(session);
        }
        self.start_rechecks();
    }

    /// Takes a decided task out: from now on its number is over.
    fn leave(&mut self, key: usize) {
        let Some(task) = self.tasks.get(key) else { return };
        let cost = cost_of(task.phase);
        if let Some(session) = self.sessions.get_mut(task.session) {
            session.tasks.remove(&task.number);
            session.finish(task.number, self.now, self.config.limits.number_gaps);
            if let Some(cost) = cost {
                session.unreserve(cost);
            }
        }
        self.tasks.remove(key);
    }

    fn count_batch(&mut self, record: &crate::record::SettlementRecord) {
        self.stats.batches += 1;
        self.stats.charged_nano_usd += record.charged.nano_usd();
        self.stats.paid_nano_usd += record.paid.nano_usd();
        self.stats.fee_nano_usd += record.fee.nano_usd();
        for execution in &record.executions_detail {
            match execution.standing {
                Standing::Agreed => self.stats.votes_agreed += 1,
                Standing::Outvoted => self.stats.votes_outvoted += 1,
                Standing::Void => {}
            }
        }
    }

    /// A batch is durable: its peers may forget their tickets.
    pub(super) fn tell_settled(&mut self, batch: u64, root: Digest, entries: BTreeMap<PublicKey, Vec<SettledAttempt>>) {
        self.last_durable = (batch, root);
        for (key, entries) in entries {
            let Some(peer) = self.peers.find(&key).and_then(|id| self.peers.get_mut(id)) else { continue };
            peer.unacked.push(batch, root, entries, &self.config.limits);
            let Some(conn) = peer.link.as_ref().map(|link| link.conn) else { continue };
            for message in peer.unacked.newest(&self.config.limits) {
                self.tell_peer(conn, message);
            }
        }
    }
}

/// What is settled of a task: the attempts that brought a result. Of a kernel at fault nobody is wrong.
fn decided_task(task: &Task, at_fault: bool) -> DecidedTask {
    let executions = task.attempts.iter().filter_map(|attempt| match attempt.state {
        AttemptState::Voted { vote, units, seal } => Some(Execution {
            nonce: attempt.nonce,
            peer: attempt.peer,
            owner: attempt.owner,
            units,
            standing: match (task.phase, vote) {
                (Phase::Confirmed(winner, ..), Some(vote)) if vote == winner => Standing::Agreed,
                (_, Some(_)) if at_fault => Standing::Void,
                // A result that broke a rule is wrong whatever the others say.
                (Phase::Confirmed(_, _, Basis::Quorum | Basis::Referee), _) | (_, None) => Standing::Outvoted,
                // One voice against another says nothing about either.
                (Phase::Confirmed(_, _, Basis::HeldWindow) | Phase::Unverified | Phase::Undecided, Some(_)) => {
                    Standing::Void
                }
            },
            seal,
        }),
        AttemptState::Running(_) | AttemptState::Missing | AttemptState::Faulted => None,
    });
    DecidedTask {
        task: task.id,
        session: task.session,
        payer: match task.rerun.as_ref().map(|rerun| rerun.why) {
            None => Payer::Session,
            Some(Why::Recheck(_)) => Payer::Platform,
            Some(Why::RefereeCheck | Why::Golden) => Payer::Pool,
        },
        number: task.number,
        module: task.module,
        cost: cost_of(task.phase),
        executions: executions.collect(),
    }
}

fn void(task: &mut DecidedTask) {
    task.cost = None;
    task.executions.iter_mut().for_each(|e| e.standing = Standing::Void);
}
