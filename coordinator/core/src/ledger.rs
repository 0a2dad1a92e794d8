//! The double-entry ledger: who has what, and a hash-chained journal of how it came about. Balances are derived from
//! the journal; nothing is ever changed or taken back but by another line.
//!
//! Two phases, as TigerBeetle's two-phase transfers: a session's budget is *held*, settlement batches *post* from the
//! hold, the rest is *voided* or *expires*. Every transfer's id is derived from what it is for, and doing the same
//! thing again moves nothing.

use std::collections::{BTreeMap, BTreeSet};

use p2c2r_protocol::Credits;
use p2c2r_signing::{AccountId, Digest, SessionId};

use crate::identity::first_16;
use crate::io::Millis;
use crate::record::{LedgerAccount, Snapshot, Transfer, TransferKind};

const ID_DOMAIN: &str = "P2C2R 2026-11-22 transfer id v1";

/// The ledger. Every operation is done whole or not at all.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// Only `External` is ever negative; all others fit a `u64` because the sum of all deposits does.
    balances: BTreeMap<LedgerAccount, i128>,
    deposits: BTreeMap<String, (AccountId, Credits)>,
    holds: BTreeMap<SessionId, AccountId>,
    last_batch: u64,
    /// The last batch whose [`Passing`]s were done.
    last_passed: u64,
    chain: Digest,
    lines: u64,
}

/// One payment of a settlement batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leg {
    /// Out of which hold; `None` is the platform's own money, for work it ordered.
    pub session: Option<SessionId>,
    /// To whom; `None` is the platform, which pays itself nothing.
    pub to: Option<AccountId>,
    /// How much, not zero.
    pub amount: Credits,
}

/// Pay that moves on after it was withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Passing {
    /// `Release`, `Forfeit`, `Refund` or `Restore`.
    pub kind: TransferKind,
    /// From.
    pub from: LedgerAccount,
    /// To.
    pub to: LedgerAccount,
    /// How much, not zero.
    pub amount: Credits,
}

/// How a hold ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// It was not open: nothing was done.
    NotOpen,
    /// It was spent to the end: no money moved.
    Spent,
    /// The rest went back.
    Rest(Transfer),
}

/// Why nothing moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Caller: no such account.
    #[error("account {account} is not open")]
    UnknownAccount {
        /// Which.
        account: AccountId,
    },
    /// Caller: amounts are never zero.
    #[error("an amount of 0 nano-USD cannot be moved")]
    Zero,
    /// Caller: not enough money.
    #[error("{needed} needed, {account:?} has {balance}")]
    Insufficient {
        /// Where.
        account: LedgerAccount,
        /// What is there.
        balance: Credits,
        /// What was asked.
        needed: Credits,
    },
    /// Caller: the same reference for something else.
    #[error("reference {reference:?} is a deposit of {amount} to account {account} already")]
    ReferenceUsed {
        /// Which.
        reference: String,
        /// To whom it went.
        account: AccountId,
        /// How much it was.
        amount: Credits,
    },
    /// Caller: all money must fit a `u64` of nano-USD.
    #[error(
        "a deposit of {amount} on top of {deposited} deposited so far passes the ledger's bound of {}",
        Credits::from_nano_usd(u64::MAX)
    )]
    Supply {
        /// What was asked.
        amount: Credits,
        /// What came in so far, less what went out.
        deposited: Credits,
    },
    /// Bug: two holds under one identity.
    #[error("session {session} has a hold already")]
    HoldExists {
        /// Which.
        session: SessionId,
    },
    /// Bug: a payment out of a hold that is not open.
    #[error("session {session} has no open hold")]
    NoHold {
        /// Which.
        session: SessionId,
    },
    /// Bug: money passed on for a batch that is not the last, or the same way twice.
    #[error("batch {batch} cannot pass on {passing:?}")]
    Passing {
        /// Which batch.
        batch: u64,
        /// What.
        passing: Passing,
    },
    /// Bug: a batch that pays the same account twice from one place, or the platform from itself.
    #[error("batch {batch} has two payments like {leg:?}, or it pays the platform from itself")]
    DuplicateLeg {
        /// Which batch.
        batch: u64,
        /// Which payment.
        leg: Leg,
    },
}

impl Ledger {
    /// The ledger of a store; empty for an empty one.
    #[must_use]
    pub fn restore(snapshot: &Snapshot) -> Self {
        let mut balances: BTreeMap<_, _> = snapshot.balances.iter().copied().collect();
        for &account in &snapshot.accounts {
            balances.entry(LedgerAccount::Available(account)).or_insert(0);
        }
        Self {
            balances,
            deposits: snapshot.deposits.iter().map(|d| (d.reference.clone(), (d.account, d.amount))).collect(),
            holds: snapshot.holds.iter().map(|h| (h.session, h.account)).collect(),
            last_batch: snapshot.last_batch,
            last_passed: snapshot.last_batch,
            chain: snapshot.chain.unwrap_or(Digest::from_bytes([0; 32])),
            lines: snapshot.journal_lines,
        }
    }

    /// Opens an account; false if it is open.
    pub fn open_account(&mut self, account: AccountId) -> bool {
        let before = self.balances.len();
        self.balances.entry(LedgerAccount::Available(account)).or_insert(0);
        self.balances.len() > before
    }

    /// Money from outside. `None` if this deposit was made before.
    ///
    /// # Errors
    /// [`LedgerError`]; nothing moved.
    pub fn deposit(
        &mut self,
        reference: &str,
        account: AccountId,
        amount: Credits,
        at: Millis,
    ) -> Result<Option<Transfer>, LedgerError> {
        if let Some(&(to, before)) = self.deposits.get(reference) {
            if (to, before) == (account, amount) {
                return Ok(None);
            }
            return Err(LedgerError::ReferenceUsed { reference: reference.to_owned(), account: to, amount: before });
        }
        self.known(account)?;
        let deposited = credits(-self.raw(LedgerAccount::External));
        if deposited.checked_add(amount).is_none() {
            return Err(LedgerError::Supply { amount, deposited });
        }
        let id = id(TransferKind::Deposit, &[reference.as_bytes()]);
        let transfer = self.transfer(
            id,
            TransferKind::Deposit,
            LedgerAccount::External,
            LedgerAccount::Available(account),
            amount,
            at,
        )?;
        self.deposits.insert(reference.to_owned(), (account, amount));
        Ok(Some(transfer))
    }

    /// Puts part of an account's money on hold.
    ///
    /// # Errors
    /// [`LedgerError`]; nothing moved.
    pub fn hold(
        &mut self,
        session: SessionId,
        account: AccountId,
        amount: Credits,
        at: Millis,
    ) -> Result<Transfer, LedgerError> {
        if self.holds.contains_key(&session) {
            return Err(LedgerError::HoldExists { session });
        }
        self.known(account)?;
        let id = id(TransferKind::Hold, &[session.as_bytes()]);
        let transfer = self.transfer(
            id,
            TransferKind::Hold,
            LedgerAccount::Available(account),
            LedgerAccount::Held(session),
            amount,
            at,
        )?;
        self.holds.insert(session, account);
        Ok(transfer)
    }

    /// Pays a settlement batch out of holds; what peers earn is withheld for their owners. Batches count up; one that was posted before moves nothing.
    ///
    /// # Errors
    /// [`LedgerError`]; nothing moved.
    pub fn post(&mut self, batch: u64, legs: &[Leg], at: Millis) -> Result<Vec<Transfer>, LedgerError> {
        if batch <= self.last_batch {
            return Ok(Vec::new());
        }
        self.check_legs(batch, legs)?;
        let mut transfers = Vec::with_capacity(legs.len());
        for leg in legs {
            let (kind, credit) = match leg.to {
                Some(account) => (TransferKind::PostPeer, LedgerAccount::Withheld(account)),
                None => (TransferKind::PostPlatform, LedgerAccount::Platform),
            };
            let (debit, from) = match &leg.session {
                Some(session) => (LedgerAccount::Held(*session), &session.as_bytes()[..]),
                None => (LedgerAccount::Platform, &b"platform"[..]),
            };
            let id = id(kind, &[&batch.to_le_bytes(), from, &credit.to_bytes()]);
            transfers.push(self.transfer(id, kind, debit, credit, leg.amount, at)?);
        }
        self.last_batch = batch;
        Ok(transfers)
    }

    /// Passes on what was withheld, in the batch just posted. Done once a batch; again moves nothing.
    ///
    /// # Errors
    /// [`LedgerError`]; nothing moved.
    pub fn pass_on(&mut self, batch: u64, passings: &[Passing], at: Millis) -> Result<Vec<Transfer>, LedgerError> {
        if batch <= self.last_passed {
            return Ok(Vec::new());
        }
        let mut left: BTreeMap<LedgerAccount, i128> = BTreeMap::new();
        let mut ways = BTreeSet::new();
        for passing in passings {
            self.check_passing(batch, passing)?;
            if !ways.insert((passing.kind, passing.from, passing.to)) {
                return Err(LedgerError::Passing { batch, passing: *passing });
            }
            let left = left.entry(passing.from).or_insert_with(|| self.raw(passing.from));
            if *left < i128::from(passing.amount.nano_usd()) {
                let (account, balance, needed) = (passing.from, credits(*left), passing.amount);
                return Err(LedgerError::Insufficient { account, balance, needed });
            }
            *left -= i128::from(passing.amount.nano_usd());
        }
        let mut transfers = Vec::with_capacity(passings.len());
        for &Passing { kind, from, to, amount } in passings {
            let id = id(kind, &[&batch.to_le_bytes(), &from.to_bytes(), &to.to_bytes()]);
            transfers.push(self.transfer(id, kind, from, to, amount, at)?);
        }
        self.last_passed = batch;
        Ok(transfers)
    }

    /// Ends a hold; what is left goes back to its account. `kind` is `Void` or `Expire`.
    ///
    /// # Errors
    /// [`LedgerError`]; nothing moved.
    pub fn release(&mut self, session: SessionId, kind: TransferKind, at: Millis) -> Result<Released, LedgerError> {
        let Some(&account) = self.holds.get(&session) else { return Ok(Released::NotOpen) };
        let rest = self.held(session);
        let released = if rest == Credits::ZERO {
            Released::Spent
        } else {
            // One id for both kinds: a hold ends once.
            let id = id(TransferKind::Void, &[session.as_bytes()]);
            Released::Rest(self.transfer(
                id,
                kind,
                LedgerAccount::Held(session),
                LedgerAccount::Available(account),
                rest,
                at,
            )?)
        };
        self.holds.remove(&session);
        self.balances.remove(&LedgerAccount::Held(session));
        Ok(released)
    }

    /// What an account may spend; `None` if it is not open.
    #[must_use]
    pub fn available(&self, account: AccountId) -> Option<Credits> {
        self.balances.get(&LedgerAccount::Available(account)).map(|&b| credits(b))
    }

    /// What a session's hold has left.
    #[must_use]
    pub fn held(&self, session: SessionId) -> Credits {
        credits(self.raw(LedgerAccount::Held(session)))
    }

    /// What is withheld of an owner's pay.
    #[must_use]
    pub fn withheld(&self, owner: AccountId) -> Credits {
        credits(self.raw(LedgerAccount::Withheld(owner)))
    }

    /// What the platform earned.
    #[must_use]
    pub fn platform(&self) -> Credits {
        credits(self.raw(LedgerAccount::Platform))
    }

    /// Every open account with its balance, in order.
    pub fn accounts(&self) -> impl Iterator<Item = (AccountId, Credits)> + '_ {
        self.balances.iter().filter_map(|(account, &balance)| match account {
            LedgerAccount::Available(account) => Some((*account, credits(balance))),
            LedgerAccount::External | LedgerAccount::Platform | LedgerAccount::Held(_) | LedgerAccount::Withheld(_) => {
                None
            }
        })
    }

    /// Every balance, in order.
    pub fn balances(&self) -> impl Iterator<Item = (LedgerAccount, i128)> + '_ {
        self.balances.iter().map(|(&account, &balance)| (account, balance))
    }

    /// Ledger accounts kept, to bound them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.balances.len()
    }

    /// Whether nothing was ever put in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.balances.is_empty()
    }

    /// Deposit references kept, to bound them.
    #[must_use]
    pub fn deposit_count(&self) -> usize {
        self.deposits.len()
    }

    /// Whether all balances sum to zero, only the outside is negative, and money on hold belongs to an open hold.
    #[must_use]
    pub fn balanced(&self) -> bool {
        self.balances.values().sum::<i128>() == 0
            && self.balances.iter().all(|(account, &balance)| match account {
                LedgerAccount::External => balance <= 0,
                LedgerAccount::Held(session) => balance >= 0 && self.holds.contains_key(session),
                LedgerAccount::Platform | LedgerAccount::Available(_) | LedgerAccount::Withheld(_) => balance >= 0,
            })
    }

    /// Lines of the journal.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Head of the journal's chain; zeros before the first line.
    #[must_use]
    pub fn chain(&self) -> Digest {
        self.chain
    }

    /// The last batch posted; 0 before the first.
    #[must_use]
    pub fn last_batch(&self) -> u64 {
        self.last_batch
    }

    fn known(&self, account: AccountId) -> Result<(), LedgerError> {
        self.available(account).map(|_| ()).ok_or(LedgerError::UnknownAccount { account })
    }

    fn raw(&self, account: LedgerAccount) -> i128 {
        self.balances.get(&account).copied().unwrap_or(0)
    }

    fn check_legs(&self, batch: u64, legs: &[Leg]) -> Result<(), LedgerError> {
        let mut pairs = BTreeMap::new();
        let mut totals: BTreeMap<LedgerAccount, u128> = BTreeMap::new();
        for leg in legs {
            if leg.amount == Credits::ZERO {
                return Err(LedgerError::Zero);
            }
            if pairs.insert((leg.session, leg.to), ()).is_some() || (leg.session, leg.to) == (None, None) {
                return Err(LedgerError::DuplicateLeg { batch, leg: *leg });
            }
            let from = match leg.session {
                Some(session) if !self.holds.contains_key(&session) => return Err(LedgerError::NoHold { session }),
                Some(session) => LedgerAccount::Held(session),
                None => LedgerAccount::Platform,
            };
            if let Some(account) = leg.to {
                self.known(account)?;
            }
            *totals.entry(from).or_insert(0) += u128::from(leg.amount.nano_usd());
        }
        for (account, total) in totals {
            let balance = credits(self.raw(account));
            if u128::from(balance.nano_usd()) < total {
                let needed = Credits::from_nano_usd(u64::try_from(total).unwrap_or(u64::MAX));
                return Err(LedgerError::Insufficient { account, balance, needed });
            }
        }
        Ok(())
    }

    fn check_passing(&self, batch: u64, passing: &Passing) -> Result<(), LedgerError> {
        use LedgerAccount::{Available, Platform, Withheld};
        if passing.amount == Credits::ZERO {
            return Err(LedgerError::Zero);
        }
        let fits = batch == self.last_batch
            && match (passing.kind, passing.from, passing.to) {
                (TransferKind::Release, Withheld(owner), Available(to)) => owner == to,
                (TransferKind::Forfeit, Withheld(_), Platform) => true,
                (TransferKind::Refund, Withheld(_) | Platform, Available(_))
                | (TransferKind::Restore, Platform, Withheld(_)) => true,
                _ => false,
            };
        if !fits {
            return Err(LedgerError::Passing { batch, passing: *passing });
        }
        match passing.to {
            Available(account) | Withheld(account) => self.known(account),
            _ => Ok(()),
        }
    }

    /// Moves money and writes the line: the only place that changes a balance.
    fn transfer(
        &mut self,
        id: [u8; 16],
        kind: TransferKind,
        debit: LedgerAccount,
        credit: LedgerAccount,
        amount: Credits,
        at: Millis,
    ) -> Result<Transfer, LedgerError> {
        if amount == Credits::ZERO {
            return Err(LedgerError::Zero);
        }
        let moved = i128::from(amount.nano_usd());
        let left = self.raw(debit) - moved;
        if left < 0 && debit != LedgerAccount::External {
            return Err(LedgerError::Insufficient {
                account: debit,
                balance: credits(self.raw(debit)),
                needed: amount,
            });
        }
        self.balances.insert(debit, left);
        *self.balances.entry(credit).or_insert(0) += moved;
        let transfer = Transfer { id, kind, debit, credit, amount, at, chain: self.chain }.chained();
        self.chain = transfer.chain;
        self.lines += 1;
        Ok(transfer)
    }
}

/// A balance as an amount. Balances fit by the bound on deposits; one that did not would read as the nearest amount
/// and `balanced` would say so.
fn credits(balance: i128) -> Credits {
    Credits::from_nano_usd(u64::try_from(balance.max(0)).unwrap_or(u64::MAX))
}

fn id(kind: TransferKind, parts: &[&[u8]]) -> [u8; 16] {
    let mut h = blake3::Hasher::new_derive_key(ID_DOMAIN);
    h.update(&[kind.tag()]);
    for part in parts {
        h.update(&(part.len() as u64).to_le_bytes());
        h.update(part);
    }
    first_16(&h)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Millis = Millis(1);

    fn account(n: u8) -> AccountId {
        AccountId::from_bytes([n; 16])
    }

    fn session(n: u8) -> SessionId {
        SessionId::from_bytes([n; 16])
    }

    fn usd(n: u64) -> Credits {
        Credits::from_nano_usd(n)
    }

    fn funded() -> Ledger {
        let mut ledger = Ledger::restore(&Snapshot::default());
        ledger.open_account(account(1));
        ledger.open_account(account(2));
        ledger.deposit("a", account(1), usd(100), AT).unwrap().unwrap();
        ledger
    }

    #[test]
    fn a_session_from_hold_to_void() {
        let mut ledger = funded();
        ledger.hold(session(1), account(1), usd(60), AT).unwrap();
        let legs = [
            Leg { session: Some(session(1)), to: Some(account(2)), amount: usd(30) },
            Leg { session: Some(session(1)), to: None, amount: usd(10) },
        ];
        assert_eq!(ledger.post(1, &legs, AT).unwrap().len(), 2);
        assert_eq!(ledger.post(1, &legs, AT), Ok(vec![]), "the same batch again moves nothing");
        assert!(
            matches!(ledger.release(session(1), TransferKind::Void, AT), Ok(Released::Rest(t)) if t.amount == usd(20))
        );
        assert_eq!(ledger.release(session(1), TransferKind::Expire, AT), Ok(Released::NotOpen));
        assert_eq!(ledger.available(account(1)), Some(usd(60)));
        assert_eq!((ledger.withheld(account(2)), ledger.available(account(2))), (usd(30), Some(usd(0))));
        assert_eq!(ledger.platform(), usd(10));
        assert!(ledger.balanced());
    }

    #[test]
    fn withheld_pay_is_released_forfeited_or_paid_back() {
        use LedgerAccount::{Available, Platform, Withheld};
        let mut ledger = funded();
        ledger.hold(session(1), account(1), usd(60), AT).unwrap();
        let legs = [
            Leg { session: Some(session(1)), to: Some(account(2)), amount: usd(30) },
            Leg { session: Some(session(1)), to: None, amount: usd(10) },
        ];
        ledger.post(1, &legs, AT).unwrap();
        let pass = |kind, from, to, amount| Passing { kind, from, to, amount: usd(amount) };
        let (of, own) = (Withheld(account(2)), Available(account(2)));
        let before: Vec<_> = ledger.balances().collect();
        for wrong in [
            vec![pass(TransferKind::Release, of, own, 31)],
            vec![pass(TransferKind::Release, of, own, 20), pass(TransferKind::Forfeit, of, Platform, 11)],
            vec![pass(TransferKind::Release, of, own, 1), pass(TransferKind::Release, of, own, 1)],
            vec![pass(TransferKind::Release, of, Available(account(1)), 1)],
            vec![pass(TransferKind::Void, of, own, 1)],
            vec![pass(TransferKind::Refund, own, Available(account(1)), 1)],
            vec![pass(TransferKind::Refund, of, Available(account(9)), 1)],
            vec![pass(TransferKind::Release, of, own, 0)],
        ] {
            ledger.pass_on(1, &wrong, AT).unwrap_err();
        }
        assert!(ledger.pass_on(2, &[pass(TransferKind::Release, of, own, 1)], AT).is_err(), "not the last batch");
        assert_eq!(ledger.balances().collect::<Vec<_>>(), before);
        let client = Available(account(1));
        let moves = [
            pass(TransferKind::Release, of, own, 12),
            pass(TransferKind::Forfeit, of, Platform, 10),
            pass(TransferKind::Refund, of, client, 8),
            pass(TransferKind::Refund, Platform, client, 2),
        ];
        assert_eq!(ledger.pass_on(1, &moves, AT).unwrap().len(), 4);
        assert_eq!(ledger.pass_on(1, &moves, AT), Ok(vec![]), "the same batch again moves nothing");
        assert_eq!(ledger.available(account(2)), Some(usd(12)));
        assert_eq!(ledger.available(account(1)), Some(usd(50)));
        assert_eq!((ledger.withheld(account(2)), ledger.platform()), (usd(0), usd(18)));
        assert!(ledger.balanced());
    }

    #[test]
    fn refusals_move_nothing() {
        let mut ledger = funded();
        ledger.hold(session(1), account(1), usd(60), AT).unwrap();
        let before: Vec<_> = ledger.balances().collect();
        let leg = |amount| Leg { session: Some(session(1)), to: Some(account(2)), amount: usd(amount) };
        let unknown = Leg { session: Some(session(1)), to: Some(account(9)), amount: usd(1) };
        let refused = [
            ledger.deposit("a", account(1), usd(99), AT).map(drop).unwrap_err(),
            ledger.deposit("a", account(2), usd(100), AT).map(drop).unwrap_err(),
            ledger.deposit("b", account(9), usd(1), AT).map(drop).unwrap_err(),
            ledger.deposit("b", account(1), usd(0), AT).map(drop).unwrap_err(),
            ledger.deposit("b", account(1), usd(u64::MAX), AT).map(drop).unwrap_err(),
            ledger.hold(session(1), account(1), usd(1), AT).map(drop).unwrap_err(),
            ledger.hold(session(2), account(1), usd(41), AT).map(drop).unwrap_err(),
            ledger.post(1, &[leg(61)], AT).map(drop).unwrap_err(),
            ledger.post(1, &[leg(1), unknown], AT).map(drop).unwrap_err(),
            ledger.post(1, &[leg(1), leg(2)], AT).map(drop).unwrap_err(),
            ledger.post(1, &[Leg { session: Some(session(7)), ..leg(1) }], AT).map(drop).unwrap_err(),
        ];
        assert_eq!(
            refused[6].to_string(),
            "0.000000041 USD needed, Available(AccountId(01010101010101010101010101010101)) has 0.000000040 USD"
        );
        assert_eq!(ledger.balances().collect::<Vec<_>>(), before);
        assert_eq!(ledger.last_batch(), 0);
    }

    #[test]
    fn a_changed_line_breaks_the_chain() {
        let mut ledger = Ledger::restore(&Snapshot::default());
        ledger.open_account(account(1));
        let first = ledger.deposit("a", account(1), usd(100), AT).unwrap().unwrap();
        let second = ledger.deposit("b", account(1), usd(100), AT).unwrap().unwrap();
        assert!(first.follows(Digest::from_bytes([0; 32])) && second.follows(first.chain));
        assert!(!Transfer { amount: usd(101), ..second.clone() }.follows(first.chain));
        assert!(!second.follows(Digest::from_bytes([0; 32])));
        assert_ne!(first.id, second.id);
    }
}
