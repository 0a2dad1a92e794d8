//! What must hold. The rule of settlement is written down a second time here, from the words of the design.

use std::collections::{BTreeMap, BTreeSet};

use p2c2r_core::record::{LedgerAccount, Record, SettlementRecord, TransferKind};
use p2c2r_core::{Commit, Snapshot};
use p2c2r_protocol::message::Standing;
use p2c2r_signing::merkle::Tree;
use p2c2r_signing::{AccountId, AttemptNonce, Digest, PublicKey, SessionId};

use crate::fixture::usd;

/// Everything an auditor with the journal, and with the truth about every task, can check.
#[derive(Default)]
pub(crate) struct Audit {
    /// What the attempts were answered with: whether it was the truth, and whether the task asked for a quorum.
    pub(crate) answers: BTreeMap<AttemptNonce, Answered>,
    /// What was settled.
    pub(crate) settled: BTreeMap<AttemptNonce, (Standing, u64)>,
    tasks: BTreeSet<(SessionId, u64)>,
    pub(crate) costs: BTreeMap<(SessionId, u64), u64>,
    /// Sessions that ever held money: all others are the platform's own.
    sessions: BTreeSet<SessionId>,
    /// What the platform paid for work it ordered.
    pub(crate) ordered: u64,
    ended: BTreeSet<SessionId>,
    chain: Option<Digest>,
    pub(crate) earned: BTreeMap<PublicKey, u64>,
    pub(crate) outvoted: u64,
    pub(crate) void: u64,
    /// Withheld pay that owners lost, to whomever.
    pub(crate) forfeited: BTreeMap<AccountId, u64>,
    /// What clients were paid back.
    pub(crate) refunded: u64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    pub(crate) right: bool,
    pub(crate) broken_seal: bool,
    pub(crate) replicas: u8,
}

impl Audit {
    pub(crate) fn commit(&mut self, commit: &Commit, after: &Snapshot) {
        let mut moved: BTreeMap<LedgerAccount, i128> = BTreeMap::new();
        let mut settlement = None;
        for record in &commit.records {
            match record {
                Record::Transfer(transfer) => {
                    assert!(transfer.follows(self.chain.unwrap_or(Digest::from_bytes([0; 32]))), "the chain is whole");
                    self.chain = Some(transfer.chain);
                    assert!(transfer.amount > usd(0));
                    let amount = i128::from(transfer.amount.nano_usd());
                    if let (TransferKind::Forfeit | TransferKind::Refund, LedgerAccount::Withheld(owner)) =
                        (transfer.kind, transfer.debit)
                    {
                        *self.forfeited.entry(owner).or_insert(0) += transfer.amount.nano_usd();
                    }
                    if let (TransferKind::Restore, LedgerAccount::Withheld(owner)) = (transfer.kind, transfer.credit) {
                        let lost = self.forfeited.get_mut(&owner).expect("only what was taken is given back");
                        *lost = lost.checked_sub(transfer.amount.nano_usd()).expect("and no more");
                    }
                    match transfer.kind {
                        TransferKind::Release | TransferKind::Forfeit | TransferKind::Restore => continue,
                        TransferKind::Refund => {
                            self.refunded += transfer.amount.nano_usd();
                            continue;
                        }
                        _ => {}
                    }
                    *moved.entry(transfer.debit).or_insert(0) -= amount;
                    *moved.entry(transfer.credit).or_insert(0) += amount;
                    if let (TransferKind::Void | TransferKind::Expire, LedgerAccount::Held(session)) =
                        (transfer.kind, transfer.debit)
                    {
                        assert!(self.ended.insert(session), "a hold ends once");
                    }
                }
                Record::Settlement(record) => settlement = Some(record),
                Record::Hold(hold) => {
                    self.sessions.insert(hold.session);
                }
                Record::Account { .. }
                | Record::Kernel(_)
                | Record::Deposit(_)
                | Record::Peer(_)
                | Record::Suspicion(_)
                | Record::Trust(_) => {}
            }
        }
        if let Some(record) = settlement {
            self.settlement(record, &moved, after);
            lies_are_remembered(commit, record);
        }
        let negative = after.balances.iter().find(|(account, b)| *b < 0 && *account != LedgerAccount::External);
        assert_eq!(negative, None, "no balance is negative");
        assert_eq!(after.balances.iter().map(|(_, b)| b).sum::<i128>(), 0, "money is conserved");
    }

    fn settlement(&mut self, record: &SettlementRecord, moved: &BTreeMap<LedgerAccount, i128>, after: &Snapshot) {
        let lines = &record.executions_detail;
        let mut costs: BTreeMap<(SessionId, u64), (p2c2r_signing::ModuleId, u64)> = BTreeMap::new();
        for line in lines {
            let task = (line.session, line.number);
            let cost = line.task_cost.nano_usd();
            let before = costs.insert(task, (line.module, cost));
            assert!(before.is_none_or(|(_, before)| before == cost));
            let earned = line.earned.nano_usd();
            assert_eq!(self.settled.insert(line.nonce, (line.standing, earned)), None, "an attempt is settled once");
            let answered = self.answers[&line.nonce];
            if answered.broken_seal {
                // Wrong when it came, but sent again with a good seal to a coordinator that never saw the bad one.
                assert!(answered.right || earned == 0, "a lie earns nothing");
            } else if answered.replicas > 1 {
                // Liars here do not agree with each other, so every quorum has an honest majority.
                assert_eq!(line.standing == Standing::Agreed, answered.right && line.standing != Standing::Void);
                assert!(answered.right || earned == 0, "a lie earns nothing");
                assert!(!answered.right || line.standing != Standing::Outvoted, "the truth is not outvoted");
            }
            match line.standing {
                Standing::Agreed => {}
                Standing::Outvoted => self.outvoted += 1,
                Standing::Void => self.void += 1,
            }
            *self.earned.entry(line.peer).or_insert(0) += earned;
        }
        for (task, (_, cost)) in &costs {
            assert!(self.tasks.insert(*task), "a task is settled once: {task:?}");
            self.costs.insert(*task, *cost);
        }

        // Per kernel: 75 % of what its tasks cost, rounded down, by units over the right executions, rounded down.
        let mut paid = 0;
        for module in lines.iter().map(|l| l.module).collect::<BTreeSet<_>>() {
            let cost: u64 = costs.values().filter(|(m, _)| *m == module).map(|(_, cost)| cost).sum();
            let right: Vec<_> = lines.iter().filter(|l| l.module == module && l.standing == Standing::Agreed).collect();
            let units: u64 = right.iter().map(|l| l.units).sum();
            for line in right {
                let share = (cost * 75 / 100) * line.units / units;
                assert_eq!(line.earned.nano_usd(), share, "the rule, to the nano");
                paid += share;
            }
        }
        let charged: u64 = costs.values().map(|(_, cost)| cost).sum();
        let own = costs.iter().filter(|((session, _), _)| !self.sessions.contains(session));
        let ordered: u64 = own.map(|(_, (_, cost))| cost).sum();
        self.ordered += ordered;
        assert_eq!((record.charged, record.paid, record.fee), (usd(charged), usd(paid), usd(charged - paid)));
        assert_eq!(
            moved.get(&LedgerAccount::Platform).copied().unwrap_or(0),
            i128::from(charged - paid) - i128::from(ordered)
        );
        let held: i128 =
            moved.iter().filter(|(a, _)| matches!(a, LedgerAccount::Held(_))).map(|(_, amount)| amount).sum();
        assert_eq!(held, -i128::from(charged - ordered), "sessions pay exactly what their tasks cost");
        let root = Tree::new(lines.iter().map(p2c2r_core::record::SettledExecution::leaf)).root();
        assert_eq!(record.root, root);
        assert_eq!(after.last_batch, record.batch);
    }
}

/// No store knows of a wrong vote and not of the trust it cost, unless its kernel is found to be at fault at once.
fn lies_are_remembered(commit: &Commit, record: &SettlementRecord) {
    let suspected = |module| commit.records.iter().any(|r| matches!(r, Record::Suspicion(s) if s.module == module));
    for lie in record.executions_detail.iter().filter(|e| e.standing == Standing::Outvoted && !suspected(e.module)) {
        let about = |r: &&Record| matches!(r, Record::Trust(t) if (t.peer, t.module) == (lie.peer, lie.module));
        let Some(Record::Trust(trust)) = commit.records.iter().find(about) else { panic!("nothing of {lie:?}") };
        let forgotten_or_bad = trust.known.is_none_or(|known| {
            let [_, wrong, _] = known.posterior.to_parts();
            wrong > 0
        });
        assert!(forgotten_or_bad, "{trust:?} after {lie:?}");
    }
}
