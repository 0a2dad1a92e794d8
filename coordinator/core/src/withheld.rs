//! Pay that is earned and held back: per owner the last executions, oldest first. What leaves the window at its end is the
//! owner's for good; a lie empties it.

use std::collections::{BTreeMap, VecDeque};

use p2c2r_protocol::Credits;
use p2c2r_signing::{AccountId, SessionId};

use crate::record::{LedgerAccount, Snapshot};

/// All windows with anything in them. The sum of a window is the balance of its [`LedgerAccount::Withheld`].
#[derive(Debug, Default)]
pub(crate) struct Withheld {
    windows: BTreeMap<AccountId, VecDeque<Pay>>,
}

/// Pay of one execution; of all before a restart together in a window rebuilt from the store.
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
    /// What was held when the store was last written. Which answers it was for is not durable: the money stays held as
    /// one pay, older than all to come.
    pub(crate) fn restore(snapshot: &Snapshot) -> Self {
        let windows = snapshot.balances.iter().filter_map(|&(account, balance)| match account {
            LedgerAccount::Withheld(owner) if balance > 0 => {
                let amount = Credits::from_nano_usd(u64::try_from(balance).unwrap_or(u64::MAX));
                Some((owner, VecDeque::from([Pay { amount, unchecked: None }])))
            }
            _ => None,
        });
        Self { windows: windows.collect() }
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

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut held = Withheld::restore(&Snapshot { balances, ..Snapshot::default() });
        assert_eq!((held.push(OWNER, pay(1), 2), held.push(OWNER, pay(2), 2)), (vec![], vec![pay(50)]));
    }
}
