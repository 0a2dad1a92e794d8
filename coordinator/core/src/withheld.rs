//! Pay that is earned and held back: per owner the last executions, oldest first. What leaves the window at its end is the
//! owner's for good; a lie empties it.
//!
//! The store keeps the sum of a window, which is a balance, and the last settlements. As a window is what its owner earned last, a
//! restart finds most of it again in those: see [`Withheld::restore`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use p2c2r_protocol::Credits;
use p2c2r_protocol::message::Standing;
use p2c2r_signing::{AccountId, PublicKey, SessionId};

use crate::record::{LedgerAccount, SettledExecution, Snapshot};

/// All windows with anything in them. The sum of a window is the balance of its [`LedgerAccount::Withheld`].
#[derive(Debug, Default)]
pub(crate) struct Withheld {
    windows: BTreeMap<AccountId, VecDeque<Pay>>,
}

/// Pay of one execution; in a window rebuilt from the store, of all those together that it does not tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pay {
    pub(crate) amount: Credits,
    /// The answer that was accepted on this execution alone.
    pub(crate) unchecked: Option<Unchecked>,
}

/// An answer nobody compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unchecked {
    pub(crate) client: AccountId,
    pub(crate) session: SessionId,
    pub(crate) number: u64,
    /// What the client paid for it.
    pub(crate) cost: Credits,
}

impl Withheld {
    /// What was held when the store was last written, at most `most` pays of each owner: newest first the executions of
    /// [`Snapshot::recent`], until they add up to the balance. What the batches before them say is not looked up: the rest stays
    /// held as one pay, the oldest.
    pub(crate) fn restore(snapshot: &Snapshot, most: u32) -> Self {
        let mut windows: BTreeMap<AccountId, Rebuilt> = snapshot.balances.iter().filter_map(Rebuilt::of).collect();
        let recent = || snapshot.recent.iter().flat_map(|batch| &batch.executions_detail);
        let keys: BTreeSet<PublicKey> = recent().map(|e| e.peer).collect();
        let peers = snapshot.peers.iter().filter(|peer| keys.contains(&peer.key));
        let owners: BTreeMap<PublicKey, AccountId> = peers.map(|peer| (peer.key, peer.account)).collect();
        let clients: BTreeMap<SessionId, AccountId> = snapshot.holds.iter().map(|h| (h.session, h.account)).collect();
        for batch in snapshot.recent.iter().rev() {
            let lines = &batch.executions_detail;
            let owner = |line: &SettledExecution| owners.get(&line.peer).copied();
            // A lie took what its own batch had brought, too.
            for owner in lines.iter().filter(|e| e.standing == Standing::Outvoted).filter_map(owner) {
                if let Some(window) = windows.get_mut(&owner) {
                    window.complete = true;
                }
            }
            let mut voices: BTreeMap<(SessionId, u64), u32> = BTreeMap::new();
            for line in lines.iter().filter(|e| e.standing != Standing::Void) {
                *voices.entry((line.session, line.number)).or_insert(0) += 1;
            }
            for line in lines.iter().rev().filter(|e| e.standing == Standing::Agreed) {
                let (session, number, cost) = (line.session, line.number, line.task_cost);
                let alone = voices.get(&(session, number)) == Some(&1);
                let client = clients.get(&session).filter(|_| alone);
                let unchecked = client.map(|&client| Unchecked { client, session, number, cost });
                if let Some(window) = owner(line).and_then(|owner| windows.get_mut(&owner)) {
                    window.add(Pay { amount: line.earned, unchecked }, most);
                }
            }
        }
        Self { windows: windows.into_iter().map(|(owner, window)| (owner, window.finish())).collect() }
    }

    /// Holds a pay; gives those that leave a window of `most` for it.
    pub(crate) fn push(&mut self, owner: AccountId, pay: Pay, most: u32) -> Vec<Pay> {
        let window = self.windows.entry(owner).or_default();
        window.push_back(pay);
        let leaving = window.len().saturating_sub(most as usize);
        let released = window.drain(..leaving).collect();
        if window.is_empty() {
            self.windows.remove(&owner);
        }
        released
    }

    /// What was taken wrongly is held again, as the oldest: it stays a pledge like any other pay.
    pub(crate) fn restore_pay(&mut self, owner: AccountId, amount: Credits) {
        self.windows.entry(owner).or_default().push_front(Pay { amount, unchecked: None });
    }

    /// Empties the window of a liar.
    pub(crate) fn take(&mut self, owner: AccountId) -> VecDeque<Pay> {
        self.windows.remove(&owner).unwrap_or_default()
    }
}

/// A window on its way back from the store, newest pay first.
struct Rebuilt {
    pays: VecDeque<Pay>,
    /// Of the balance, not yet found.
    rest: Credits,
    /// Whether nothing older can be in it but what was given back.
    complete: bool,
}

impl Rebuilt {
    fn of(&(account, balance): &(LedgerAccount, i128)) -> Option<(AccountId, Self)> {
        let LedgerAccount::Withheld(owner) = account else { return None };
        let rest = Credits::from_nano_usd(u64::try_from(balance).ok().filter(|&balance| balance > 0)?);
        Some((owner, Self { pays: VecDeque::new(), rest, complete: false }))
    }

    fn add(&mut self, pay: Pay, most: u32) {
        let rest = self.rest.checked_sub(pay.amount).filter(|_| self.pays.len() < most as usize);
        match rest {
            Some(rest) if !self.complete => {
                self.rest = rest;
                self.pays.push_front(pay);
            }
            _ => self.complete = true,
        }
    }

    fn finish(mut self) -> VecDeque<Pay> {
        if self.rest > Credits::ZERO {
            self.pays.push_front(Pay { amount: self.rest, unchecked: None });
        }
        self.pays
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_signing::{AttemptNonce, Digest, ModuleId, Seal, SecretKey, TaskId};

    use super::*;
    use crate::io::Millis;
    use crate::record::{HoldRecord, PeerRecord, SettlementRecord};

    const OWNER: AccountId = AccountId::from_bytes([1; 16]);

    fn pay(nano_usd: u64) -> Pay {
        Pay { amount: Credits::from_nano_usd(nano_usd), unchecked: None }
    }

    #[test]
    fn the_oldest_leaves_first_and_a_lie_takes_the_rest() {
        let mut held = Withheld::default();
        let released: Vec<_> = (1..=5).map(|n| held.push(OWNER, pay(n), 3)).collect();
        assert_eq!(released, [vec![], vec![], vec![], vec![pay(1)], vec![pay(2)]]);
        assert_eq!(held.take(OWNER), [pay(3), pay(4), pay(5)]);
        assert!(held.take(OWNER).is_empty());
        assert_eq!(held.push(OWNER, pay(9), 0), [pay(9)], "nothing is held in no window");
    }

    #[test]
    fn what_the_store_knows_is_the_oldest() {
        let balances = vec![(LedgerAccount::Withheld(OWNER), 50), (LedgerAccount::Available(OWNER), 7)];
        let mut held = Withheld::restore(&Snapshot { balances, ..Snapshot::default() }, 2);
        assert_eq!((held.push(OWNER, pay(1), 2), held.push(OWNER, pay(2), 2)), (vec![], vec![pay(50)]));
    }

    /// Executions of the owner's peer as `(number, earned, standing)`, a list for each batch, and what is held of them.
    #[track_caller]
    fn rebuilt(balance: i128, batches: &[&[(u64, u64, Standing)]], most: u32) -> Vec<(u64, Option<u64>)> {
        let key = SecretKey::from_seed(&[1; 32]).public();
        let session = SessionId::from_bytes([3; 16]);
        let client = AccountId::from_bytes([9; 16]);
        let line = |&(number, earned, standing): &(u64, u64, Standing)| SettledExecution {
            task: TaskId::from_bytes([0; 16]),
            nonce: AttemptNonce::from_bytes([0; 16]),
            module: ModuleId::from_bytes([0; 32]),
            peer: key,
            // From 100 on they are of a session that is over.
            session: if number < 100 { session } else { SessionId::from_bytes([4; 16]) },
            number,
            units: 1,
            task_cost: Credits::from_nano_usd(2 * earned),
            standing,
            earned: Credits::from_nano_usd(earned),
            seal: Seal::from_bytes([0; 32]),
        };
        let batch = |(batch, lines): (u64, &&[(u64, u64, Standing)])| SettlementRecord {
            batch,
            root: Digest::from_bytes([0; 32]),
            tasks: 0,
            executions: 0,
            charged: Credits::ZERO,
            paid: Credits::ZERO,
            fee: Credits::ZERO,
            at: Millis(0),
            executions_detail: lines.iter().map(line).collect(),
        };
        let record = PeerRecord { key, account: OWNER, agreed: 0, outvoted: 0, faults: 0, earned: Credits::ZERO };
        let (budget, expires) = (Credits::ZERO, Millis(0));
        let hold = HoldRecord { session, account: client, number: 0, budget, expires, open: true };
        let mut held = Withheld::restore(
            &Snapshot {
                balances: vec![(LedgerAccount::Withheld(OWNER), balance)],
                recent: (1..).zip(batches).map(batch).collect(),
                peers: vec![record],
                holds: vec![hold],
                ..Snapshot::default()
            },
            most,
        );
        let pays = held.take(OWNER);
        assert_eq!(pays.iter().map(|pay| i128::from(pay.amount.nano_usd())).sum::<i128>(), balance, "to the nano");
        pays.iter()
            .map(|pay| {
                let numbered = pay.unchecked.map(|of| {
                    assert_eq!(
                        (of.client, of.session, of.cost.nano_usd()),
                        (client, session, 2 * pay.amount.nano_usd())
                    );
                    of.number
                });
                (pay.amount.nano_usd(), numbered)
            })
            .collect()
    }

    #[test]
    fn the_last_settlements_say_what_a_balance_is_for() {
        use Standing::{Agreed, Outvoted, Void};
        let right = |number| (number, 10, Agreed);
        let first: &[_] = &[right(1), right(2)];
        let second: &[_] = &[right(3), (4, 0, Void), right(5)];
        let alone = |number| (10, Some(number));
        assert_eq!(rebuilt(30, &[first, second], 3), [alone(2), alone(3), alone(5)], "the newest, in their order");
        assert_eq!(rebuilt(45, &[first, second], 9), [(5, None), alone(1), alone(2), alone(3), alone(5)]);
        assert_eq!(rebuilt(40, &[first, second], 2), [(20, None), alone(3), alone(5)], "no more than a window");
        assert_eq!(rebuilt(15, &[first, second], 9), [(5, None), alone(5)], "no more than is held");
        assert_eq!(rebuilt(7, &[], 9), [(7, None)]);
        // Given by two, or wrong at first: others vouch for it, or somebody was heard on it already.
        assert_eq!(rebuilt(20, &[&[right(1), right(1)]], 9), [(10, None), (10, None)]);
        // The client of a session that is over is not known any more.
        assert_eq!(rebuilt(20, &[&[right(100), right(1)]], 9), [(10, None), alone(1)]);
        // A lie took all up to its batch: what is held besides was given back.
        let lie: &[_] = &[right(3), (4, 0, Outvoted)];
        assert_eq!(rebuilt(30, &[first, lie, &[right(6)]], 9), [(20, None), alone(6)]);
    }
}
