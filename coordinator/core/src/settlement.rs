//! What a settlement batch pays to whom: a pure function of the decided tasks.
//!
//! The rule. A confirmed task costs `rate * units * replicas`. Per kernel, the peers' pool is the peers' share of what
//! the kernel's tasks cost in the batch, rounded down once; it is divided by units over all right executions, rounded
//! down each. All that rounding leaves goes to the platform with its own share. Wrong and void executions earn nothing.
//! A task the platform ordered and pays for itself is a task like any other here.

use std::collections::BTreeMap;

use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{SettledAttempt, Standing};
use p2c2r_signing::merkle::Tree;
use p2c2r_signing::{AccountId, AttemptNonce, ModuleId, PublicKey, Seal, SessionId, TaskId};

use crate::io::Millis;
use crate::ledger::Leg;
use crate::record::{SettledExecution, SettlementRecord};

/// A task that is decided, with the executions that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedTask {
    /// Which.
    pub task: TaskId,
    /// The session it belongs to.
    pub session: SessionId,
    /// Who pays.
    pub payer: Payer,
    /// The client's own number of it.
    pub number: u64,
    /// The kernel.
    pub module: ModuleId,
    /// What it costs; `None` without a verdict.
    pub cost: Option<Credits>,
    /// In the order the attempts were made.
    pub executions: Vec<Execution>,
}

/// Who pays for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payer {
    /// Its session, out of the hold.
    Session,
    /// The platform, that had it run.
    Platform,
    /// Nobody: as an audit, it has its part of what the kernel's other tasks in the batch cost.
    Pool,
}

/// One execution of a decided task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// The attempt.
    pub nonce: AttemptNonce,
    /// Who ran it.
    pub peer: PublicKey,
    /// Who is paid.
    pub owner: AccountId,
    /// Units it charged.
    pub units: u64,
    /// How it stands; `Agreed` only in a task with a cost.
    pub standing: Standing,
    /// The sealed vote.
    pub seal: Seal,
}

/// A batch, ready to be made durable.
#[derive(Debug, Clone, PartialEq)]
pub struct Settlement {
    /// For auditors.
    pub record: SettlementRecord,
    /// Net payments per pair of session and payee.
    pub legs: Vec<Leg>,
    /// What each peer is told.
    pub entries: BTreeMap<PublicKey, Vec<SettledAttempt>>,
}

/// Settles `tasks` as batch `batch`. `peer_share_percent` is at most 100; more counts as 100.
#[must_use]
pub fn settle(batch: u64, at: Millis, peer_share_percent: u8, tasks: &[DecidedTask]) -> Settlement {
    let pools = pools(peer_share_percent, tasks);
    let mut charges: BTreeMap<Option<SessionId>, u128> = BTreeMap::new();
    let mut earnings: BTreeMap<AccountId, u128> = BTreeMap::new();
    let mut entries: BTreeMap<PublicKey, Vec<SettledAttempt>> = BTreeMap::new();
    let mut detail = Vec::new();
    let (mut confirmed, mut right) = (0, 0);
    for task in tasks {
        let task_cost = task.cost.unwrap_or(Credits::ZERO);
        if task.cost.is_some() {
            confirmed += 1;
            let payer = match task.payer {
                Payer::Session => Some(task.session),
                Payer::Platform | Payer::Pool => None,
            };
            *charges.entry(payer).or_insert(0) += u128::from(task_cost.nano_usd());
        }
        for execution in &task.executions {
            let mut earned = Credits::ZERO;
            if execution.standing == Standing::Agreed {
                right += 1;
                earned = pools.get(&task.module).map_or(Credits::ZERO, |pool| pool.part(execution.units));
                *earnings.entry(execution.owner).or_insert(0) += u128::from(earned.nano_usd());
            }
            let Execution { nonce, peer, standing, .. } = *execution;
            entries.entry(peer).or_default().push(SettledAttempt { nonce, standing, earned });
            detail.push(SettledExecution {
                task: task.task,
                nonce,
                module: task.module,
                peer,
                session: task.session,
                number: task.number,
                units: execution.units,
                task_cost,
                standing,
                earned,
                seal: execution.seal,
            });
        }
    }
    let charged: u128 = charges.values().sum();
    let paid: u128 = earnings.values().sum();
    let record = SettlementRecord {
        batch,
        root: Tree::new(detail.iter().map(SettledExecution::leaf)).root(),
        tasks: confirmed,
        executions: right,
        charged: credits(charged),
        paid: credits(paid),
        fee: credits(charged - paid),
        at,
        executions_detail: detail,
    };
    Settlement { record, legs: legs(charges, earnings), entries }
}

/// What the right executions of one kernel share.
struct Pool {
    amount: u128,
    units: u128,
}

impl Pool {
    /// `floor(amount * units / all units)`. Nothing when nothing was charged, because then nothing was paid.
    fn part(&self, units: u64) -> Credits {
        credits((self.amount * u128::from(units)).checked_div(self.units).unwrap_or(0))
    }
}

fn pools(percent: u8, tasks: &[DecidedTask]) -> BTreeMap<ModuleId, Pool> {
    let mut pools = BTreeMap::new();
    for task in tasks {
        let Some(cost) = task.cost else { continue };
        let pool = pools.entry(task.module).or_insert(Pool { amount: 0, units: 0 });
        pool.amount += u128::from(cost.nano_usd());
        let right = task.executions.iter().filter(|e| e.standing == Standing::Agreed);
        pool.units += right.map(|e| u128::from(e.units)).sum::<u128>();
    }
    for pool in pools.values_mut() {
        pool.amount = pool.amount * u128::from(percent.min(100)) / 100;
    }
    pools
}

/// Pays `earnings`, then the platform, out of `charges`, both in order: at most one leg more than there are accounts on
/// both sides together. The charges cover the earnings; what they leave is the platform's, and the platform's own stays.
fn legs(charges: BTreeMap<Option<SessionId>, u128>, earnings: BTreeMap<AccountId, u128>) -> Vec<Leg> {
    let mut legs = Vec::new();
    let mut payees = earnings.into_iter().filter(|&(_, amount)| amount > 0);
    let mut payee = payees.next();
    for (session, mut left) in charges {
        while left > 0 {
            let (to, amount) = match &mut payee {
                Some((account, due)) => {
                    let amount = left.min(*due);
                    *due -= amount;
                    let to = Some(*account);
                    if *due == 0 {
                        payee = payees.next();
                    }
                    (to, amount)
                }
                None => (None, left),
            };
            left -= amount;
            if (session, to) == (None, None) {
                continue;
            }
            legs.push(Leg { session, to, amount: credits(amount) });
        }
    }
    legs
}

/// Sums here are parts of what sessions hold, which fits a `u64` by the ledger's bound on deposits.
fn credits(amount: u128) -> Credits {
    Credits::from_nano_usd(u64::try_from(amount).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use p2c2r_signing::{SecretKey, merkle};
    use proptest::prelude::*;

    use super::*;

    fn key(n: u8) -> PublicKey {
        SecretKey::from_seed(&[n; 32]).public()
    }

    fn task(n: u8, session: u8, module: u8, cost: Option<u64>, executions: &[(u8, u64, Standing)]) -> DecidedTask {
        DecidedTask {
            task: TaskId::from_bytes([n; 16]),
            session: SessionId::from_bytes([session; 16]),
            payer: Payer::Session,
            number: u64::from(n),
            module: ModuleId::from_bytes([module; 32]),
            cost: cost.map(Credits::from_nano_usd),
            executions: executions
                .iter()
                .map(|&(peer, units, standing)| Execution {
                    nonce: AttemptNonce::from_bytes([n ^ peer; 16]),
                    peer: key(peer),
                    owner: AccountId::from_bytes([peer; 16]),
                    units,
                    standing,
                    seal: Seal::from_bytes([peer; 32]),
                })
                .collect(),
        }
    }

    fn earned(settlement: &Settlement) -> Vec<u64> {
        settlement.record.executions_detail.iter().map(|e| e.earned.nano_usd()).collect()
    }

    #[test]
    fn the_pool_is_shared_by_units_over_right_executions() {
        use Standing::{Agreed, Outvoted, Void};
        let tasks = [
            task(1, 1, 1, Some(101), &[(1, 10, Agreed), (2, 10, Agreed)]),
            task(2, 1, 1, Some(100), &[(1, 5, Agreed), (3, 99, Outvoted), (2, 5, Agreed)]),
            task(3, 2, 1, None, &[(1, 7, Void)]),
            task(4, 2, 2, Some(8), &[(4, 1, Agreed)]),
        ];
        let settlement = settle(7, Millis(9), 75, &tasks);
        // Pool of kernel 1: floor(201 * 75 %) = 150 over 30 units; of kernel 2: 6.
        assert_eq!(earned(&settlement), [50, 50, 25, 0, 25, 0, 6]);
        let record = &settlement.record;
        assert_eq!((record.tasks, record.executions), (3, 5));
        assert_eq!(
            (record.charged, record.paid, record.fee),
            (Credits::from_nano_usd(209), Credits::from_nano_usd(156), Credits::from_nano_usd(53))
        );
        for (i, execution) in record.executions_detail.iter().enumerate() {
            let tree = Tree::new(record.executions_detail.iter().map(SettledExecution::leaf));
            let path = tree.path(i as u64).unwrap();
            assert!(merkle::verify(&record.root, &execution.leaf(), i as u64, 7, &path));
        }
    }

    #[test]
    fn a_free_kernel_pays_nothing() {
        let settlement = settle(1, Millis(1), 75, &[task(1, 1, 1, Some(0), &[(1, 0, Standing::Agreed)])]);
        assert_eq!(earned(&settlement), [0]);
        assert!(settlement.legs.is_empty());
    }

    fn any_task() -> impl Strategy<Value = DecidedTask> {
        let standing = prop::sample::select(vec![Standing::Agreed, Standing::Agreed, Standing::Outvoted]);
        (
            any::<u8>(),
            0u8..4,
            0u8..3,
            prop::option::of(0u64..1 << 40),
            prop::collection::vec((0u8..5, 0u64..1 << 40, standing), 1..5),
        )
            .prop_map(|(n, session, module, cost, mut executions)| {
                if cost.is_none() {
                    executions.iter_mut().for_each(|e| e.2 = Standing::Void);
                }
                task(n, session, module, cost, &executions)
            })
    }

    proptest! {
        #[test]
        fn parts_sum_to_what_was_charged(tasks in prop::collection::vec(any_task(), 0..20), percent in 0u8..=100) {
            let settlement = settle(1, Millis(1), percent, &tasks);
            let record = &settlement.record;
            let sum = |credits: &mut dyn Iterator<Item = Credits>| credits.map(|c| u128::from(c.nano_usd())).sum::<u128>();
            let charged = sum(&mut tasks.iter().filter_map(|t| t.cost));
            let paid = sum(&mut record.executions_detail.iter().map(|e| e.earned));
            prop_assert_eq!(u128::from(record.charged.nano_usd()), charged);
            prop_assert_eq!(u128::from(record.paid.nano_usd()), paid);
            prop_assert_eq!(record.paid.checked_add(record.fee), Some(record.charged));
            prop_assert!(paid * 100 <= charged * u128::from(percent));
            prop_assert!(record.executions_detail.iter().all(|e| e.standing == Standing::Agreed || e.earned == Credits::ZERO));

            // The legs pay exactly that: every session its costs, every owner its earnings, the platform the rest.
            let mut by_session: BTreeMap<_, u128> = BTreeMap::new();
            let mut by_payee: BTreeMap<_, u128> = BTreeMap::new();
            for leg in &settlement.legs {
                prop_assert!(leg.amount > Credits::ZERO);
                *by_session.entry(leg.session).or_insert(0) += u128::from(leg.amount.nano_usd());
                *by_payee.entry(leg.to).or_insert(0) += u128::from(leg.amount.nano_usd());
            }
            for task in &tasks {
                let costs = sum(&mut tasks.iter().filter(|t| t.session == task.session).filter_map(|t| t.cost));
                prop_assert_eq!(by_session.get(&Some(task.session)).copied().unwrap_or(0), costs);
                for e in &task.executions {
                    let owner = sum(&mut record.executions_detail.iter().filter(|d| d.peer == e.peer).map(|d| d.earned));
                    prop_assert_eq!(by_payee.get(&Some(e.owner)).copied().unwrap_or(0), owner);
                }
            }
            prop_assert_eq!(by_payee.get(&None).copied().unwrap_or(0), u128::from(record.fee.nano_usd()));
            let mut pairs: Vec<_> = settlement.legs.iter().map(|l| (l.session, l.to)).collect();
            pairs.sort_unstable();
            pairs.dedup();
            prop_assert_eq!(pairs.len(), settlement.legs.len());
        }

        /// No order of the tasks earns anybody more.
        #[test]
        fn order_earns_nothing(
            (tasks, shuffled) in prop::collection::vec(any_task(), 0..12)
                .prop_flat_map(|v| (Just(v.clone()), Just(v).prop_shuffle())),
        ) {
            let (a, b) = (settle(1, Millis(1), 75, &tasks), settle(1, Millis(1), 75, &shuffled));
            prop_assert_eq!(a.legs, b.legs);
            prop_assert_eq!(a.record.fee, b.record.fee);
        }
    }
}
