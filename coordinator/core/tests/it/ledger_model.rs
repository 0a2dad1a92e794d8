//! The ledger against a model that is too simple to be wrong: three maps and a list of holds.

use std::collections::BTreeMap;

use p2c2r_core::ledger::{Ledger, Leg, Passing, Released};
use p2c2r_core::record::{LedgerAccount, Record, Transfer, TransferKind};
use p2c2r_core::{Commit, CommitId, Millis, Snapshot};
use p2c2r_signing::{Digest, SessionId};
use proptest::prelude::*;

use crate::fixture::{account, usd};

#[derive(Debug, Clone)]
enum Op {
    Open(u8),
    Deposit { reference: u8, to: u8, amount: u64 },
    Hold { session: u8, of: u8, amount: u64 },
    Post { batch: u64, legs: Vec<(u8, Option<u8>, u64)> },
    Release { session: u8, expire: bool },
    Pass { batch: u64, moves: Vec<Move> },
}

/// Withheld pay on its way.
#[derive(Debug, Clone, PartialEq)]
enum Move {
    Release {
        owner: u8,
        amount: u64,
    },
    Forfeit {
        owner: u8,
        amount: u64,
    },
    /// Out of an owner's, or out of the platform's.
    Refund {
        owner: Option<u8>,
        to: u8,
        amount: u64,
    },
}

/// What should be where.
#[derive(Debug, Default)]
struct Model {
    available: BTreeMap<u8, u64>,
    held: BTreeMap<u8, (u8, u64)>,
    withheld: BTreeMap<u8, u64>,
    platform: u64,
    deposited: u64,
    references: BTreeMap<u8, (u8, u64)>,
    batch: u64,
    passed: u64,
}

impl Model {
    /// Does it, or says no and changes nothing. True if any money should have moved.
    fn apply(&mut self, op: &Op) -> Result<bool, ()> {
        match op {
            Op::Open(n) => {
                self.available.entry(*n).or_insert(0);
                Ok(false)
            }
            Op::Deposit { reference, to, amount } => {
                if let Some(before) = self.references.get(reference) {
                    return if *before == (*to, *amount) { Ok(false) } else { Err(()) };
                }
                let balance = self.available.get_mut(to).ok_or(())?;
                if *amount == 0 || self.deposited.checked_add(*amount).is_none() {
                    return Err(());
                }
                *balance += amount;
                self.deposited += amount;
                self.references.insert(*reference, (*to, *amount));
                Ok(true)
            }
            Op::Hold { session, of, amount } => {
                if self.held.contains_key(session) || *amount == 0 {
                    return Err(());
                }
                let balance = self.available.get_mut(of).ok_or(())?;
                *balance = balance.checked_sub(*amount).ok_or(())?;
                self.held.insert(*session, (*of, *amount));
                Ok(true)
            }
            Op::Post { batch, legs } => {
                if *batch <= self.batch {
                    return Ok(false);
                }
                let (mut held, mut withheld, mut platform) = (self.held.clone(), self.withheld.clone(), self.platform);
                let mut seen = Vec::new();
                for (session, to, amount) in legs {
                    if *amount == 0 || seen.contains(&(session, to)) {
                        return Err(());
                    }
                    seen.push((session, to));
                    let (_, left) = held.get_mut(session).ok_or(())?;
                    *left = left.checked_sub(*amount).ok_or(())?;
                    match to {
                        Some(to) if !self.available.contains_key(to) => return Err(()),
                        Some(to) => *withheld.entry(*to).or_insert(0) += amount,
                        None => platform += amount,
                    }
                }
                (self.held, self.withheld, self.platform, self.batch) = (held, withheld, platform, *batch);
                Ok(!legs.is_empty())
            }
            Op::Pass { batch, moves } => {
                if *batch <= self.passed {
                    return Ok(false);
                }
                let (mut withheld, mut available) = (self.withheld.clone(), self.available.clone());
                // What comes to the platform can be given on in the next batch only.
                let (mut platform, mut income) = (self.platform, 0);
                let take = |from: Option<&mut u64>, amount: u64| {
                    let from = from.filter(|_| amount > 0).ok_or(())?;
                    *from = from.checked_sub(amount).ok_or(())?;
                    Ok(amount)
                };
                let mut ways = Vec::new();
                for pass in moves {
                    let way = match pass {
                        Move::Release { owner, amount } => {
                            let amount = take(withheld.get_mut(owner), *amount)?;
                            *available.get_mut(owner).ok_or(())? += amount;
                            (0, Some(*owner), *owner)
                        }
                        Move::Forfeit { owner, amount } => {
                            income += take(withheld.get_mut(owner), *amount)?;
                            (1, Some(*owner), 0)
                        }
                        Move::Refund { owner, to, amount } => {
                            let from = owner.map_or(Some(&mut platform), |owner| withheld.get_mut(&owner));
                            let amount = take(from, *amount)?;
                            *available.get_mut(to).ok_or(())? += amount;
                            (2, *owner, *to)
                        }
                    };
                    if ways.contains(&way) || *batch != self.batch {
                        return Err(());
                    }
                    ways.push(way);
                }
                (self.withheld, self.available) = (withheld, available);
                (self.platform, self.passed) = (platform + income, *batch);
                Ok(!moves.is_empty())
            }
            Op::Release { session, .. } => {
                let Some((of, left)) = self.held.remove(session) else { return Ok(false) };
                *self.available.entry(of).or_insert(0) += left;
                Ok(left > 0)
            }
        }
    }
}

fn session(n: u8) -> SessionId {
    SessionId::from_bytes([n; 16])
}

/// Runs an operation on the ledger; the lines it wrote.
fn run(ledger: &mut Ledger, op: &Op, at: Millis) -> Result<Vec<Transfer>, ()> {
    match op {
        Op::Open(n) => {
            ledger.open_account(account(*n));
            Ok(vec![])
        }
        Op::Deposit { reference, to, amount } => ledger
            .deposit(&format!("r{reference}"), account(*to), usd(*amount), at)
            .map(|t| t.into_iter().collect())
            .map_err(drop),
        Op::Hold { session: s, of, amount } => {
            ledger.hold(session(*s), account(*of), usd(*amount), at).map(|t| vec![t]).map_err(drop)
        }
        Op::Post { batch, legs } => {
            let legs: Vec<_> = legs
                .iter()
                .map(|(s, to, amount)| Leg { session: Some(session(*s)), to: to.map(account), amount: usd(*amount) })
                .collect();
            ledger.post(*batch, &legs, at).map_err(drop)
        }
        Op::Pass { batch, moves } => {
            let passings: Vec<_> = moves.iter().map(passing).collect();
            ledger.pass_on(*batch, &passings, at).map_err(drop)
        }
        Op::Release { session: s, expire } => {
            let kind = if *expire { TransferKind::Expire } else { TransferKind::Void };
            match ledger.release(session(*s), kind, at).map_err(drop)? {
                Released::Rest(transfer) => Ok(vec![transfer]),
                Released::NotOpen | Released::Spent => Ok(vec![]),
            }
        }
    }
}

fn passing(pass: &Move) -> Passing {
    use LedgerAccount::{Available, Platform, Withheld};
    let withheld = |owner: u8| Withheld(account(owner));
    let (kind, from, to, amount) = match *pass {
        Move::Release { owner, amount } => (TransferKind::Release, withheld(owner), Available(account(owner)), amount),
        Move::Forfeit { owner, amount } => (TransferKind::Forfeit, withheld(owner), Platform, amount),
        Move::Refund { owner, to, amount } => {
            (TransferKind::Refund, owner.map_or(Platform, withheld), Available(account(to)), amount)
        }
    };
    Passing { kind, from, to, amount: usd(amount) }
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        (0u8..4, 0u64..40).prop_map(|(owner, amount)| Move::Release { owner, amount }),
        (0u8..4, 0u64..40).prop_map(|(owner, amount)| Move::Forfeit { owner, amount }),
        (prop::option::of(0u8..4), 0u8..4, 0u64..40).prop_map(|(owner, to, amount)| Move::Refund { owner, to, amount }),
    ]
}

fn any_op() -> impl Strategy<Value = Op> {
    let amount = prop_oneof![8 => 0u64..500, 1 => Just(u64::MAX), 1 => Just(u64::MAX / 2)];
    let leg = (0u8..4, prop::option::of(0u8..4), 0u64..60);
    prop_oneof![
        1 => (0u8..4).prop_map(Op::Open),
        2 => (0u8..6, 0u8..4, amount.clone()).prop_map(|(reference, to, amount)| Op::Deposit { reference, to, amount }),
        3 => (0u8..4, 0u8..4, amount).prop_map(|(session, of, amount)| Op::Hold { session, of, amount }),
        5 => (0u64..12, prop::collection::vec(leg, 0..4)).prop_map(|(batch, legs)| Op::Post { batch, legs }),
        4 => (0u64..12, prop::collection::vec(any_move(), 0..3)).prop_map(|(batch, moves)| Op::Pass { batch, moves }),
        2 => (0u8..4, any::<bool>()).prop_map(|(session, expire)| Op::Release { session, expire }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn does_what_the_model_does(ops in prop::collection::vec(any_op(), 0..80)) {
        let mut ledger = Ledger::restore(&Snapshot::default());
        let mut model = Model::default();
        let mut journal: Vec<Transfer> = Vec::new();
        for n in 0..2 {
            let open = Op::Open(n);
            model.apply(&open).unwrap();
            run(&mut ledger, &open, Millis(0)).unwrap();
        }
        for (i, op) in ops.iter().enumerate() {
            let expected = model.apply(op);
            let got = run(&mut ledger, op, Millis(i as u64));
            prop_assert_eq!(expected.is_err(), got.is_err(), "{:?}", op);
            let lines = got.unwrap_or_default();
            prop_assert_eq!(expected == Ok(true), !lines.is_empty(), "{:?}", op);
            journal.extend(lines);
            // The same again never moves money: it is refused, or it is the same thing.
            prop_assert_eq!(run(&mut ledger, op, Millis(i as u64)).unwrap_or_default(), vec![]);
            prop_assert!(ledger.balanced());
            for (n, balance) in &model.available {
                prop_assert_eq!(ledger.available(account(*n)), Some(usd(*balance)));
            }
            for (s, (_, left)) in &model.held {
                prop_assert_eq!(ledger.held(session(*s)), usd(*left));
            }
            for (n, balance) in &model.withheld {
                prop_assert_eq!(ledger.withheld(account(*n)), usd(*balance));
            }
            prop_assert_eq!(ledger.platform(), usd(model.platform));
            let all = model.available.values().chain(model.withheld.values());
            let all = all.chain(model.held.values().map(|(_, left)| left));
            prop_assert_eq!(all.sum::<u64>() + model.platform, model.deposited, "the model itself conserves money");
        }

        // The journal alone gives the same balances, in an unbroken chain, with no id twice and one end per hold.
        let mut chain = Digest::from_bytes([0; 32]);
        let mut ids = std::collections::BTreeSet::new();
        let mut derived: BTreeMap<LedgerAccount, i128> = BTreeMap::new();
        for line in &journal {
            prop_assert!(line.follows(chain));
            chain = line.chain;
            let ends = matches!(line.kind, TransferKind::Void | TransferKind::Expire);
            prop_assert!(ids.insert(line.id) || ends || line.kind == TransferKind::Hold, "{:?}", line);
            *derived.entry(line.debit).or_insert(0) -= i128::from(line.amount.nano_usd());
            *derived.entry(line.credit).or_insert(0) += i128::from(line.amount.nano_usd());
        }
        prop_assert_eq!(ledger.chain(), chain);
        prop_assert_eq!(ledger.lines(), journal.len() as u64);
        for (account, balance) in ledger.balances() {
            prop_assert_eq!(derived.get(&account).copied().unwrap_or(0), balance);
        }

        // And so does the fold that restores a store.
        let records = journal.into_iter().map(Record::Transfer).collect();
        let mut snapshot = Snapshot::default();
        let commit = Commit { id: CommitId(1), records };
        snapshot.apply(&commit);
        snapshot.apply(&commit);
        prop_assert_eq!(snapshot.chain.unwrap_or(Digest::from_bytes([0; 32])), chain);
        for (account, balance) in snapshot.balances {
            prop_assert_eq!(derived.get(&account).copied().unwrap_or(0), balance);
        }
    }
}
