//! Folding commits into what a restarted market needs: the reference for every store.

use std::collections::BTreeSet;

use crate::record::{Commit, LedgerAccount, RECENT_SETTLEMENTS, Record, Snapshot};

impl Snapshot {
    /// Applies a commit. One that was applied before changes nothing. A store must give the same snapshot as this fold
    /// over all its commits; it may keep its tables as it likes.
    ///
    /// Lists come out sorted by what they are looked up by (accounts, kernels, balances, holds, settled numbers,
    /// deposits, peers, suspicions, trust), so two equal states are equal snapshots.
    pub fn apply(&mut self, commit: &Commit) {
        if self.last_commit.is_some_and(|last| commit.id <= last) {
            return;
        }
        self.last_commit = Some(commit.id);
        for record in &commit.records {
            self.apply_record(record);
        }
    }

    fn apply_record(&mut self, record: &Record) {
        match record {
            Record::Account { account } => {
                upsert(&mut self.accounts, *account, |&a| a);
                let balance = (LedgerAccount::Available(*account), 0);
                if self.balances.binary_search_by_key(&balance.0, |&(a, _)| a).is_err() {
                    upsert(&mut self.balances, balance, |&(a, _)| a);
                }
            }
            Record::Kernel(kernel) => upsert(&mut self.kernels, kernel.clone(), |k| k.module),
            Record::Transfer(transfer) => {
                let amount = i128::from(transfer.amount.nano_usd());
                self.add(transfer.debit, -amount);
                self.add(transfer.credit, amount);
                self.chain = Some(transfer.chain);
                self.journal_lines += 1;
            }
            Record::Deposit(deposit) => upsert(&mut self.deposits, deposit.clone(), |d| d.reference.clone()),
            Record::Hold(hold) if hold.open => upsert(&mut self.holds, hold.clone(), |h| h.session),
            Record::Hold(hold) => {
                self.holds.retain(|h| h.session != hold.session);
                self.settled.retain(|(session, _)| *session != hold.session);
                self.balances.retain(|(account, _)| *account != LedgerAccount::Held(hold.session));
            }
            Record::Settlement(settlement) => {
                self.last_batch = settlement.batch;
                // What the platform had run again is under no hold, and never comes back.
                let held = |session| self.holds.binary_search_by_key(&session, |h| h.session).is_ok();
                let lines = settlement.executions_detail.iter().filter(|e| held(e.session));
                let mut settled: BTreeSet<_> = lines.map(|e| (e.session, e.number)).collect();
                settled.extend(self.settled.drain(..));
                self.settled = settled.into_iter().collect();
                self.recent.push(settlement.clone());
                if self.recent.len() > RECENT_SETTLEMENTS {
                    self.recent.remove(0);
                }
            }
            Record::Peer(peer) => upsert(&mut self.peers, peer.clone(), |p| p.key),
            Record::Suspicion(suspicion) if suspicion.open => upsert(&mut self.suspicions, *suspicion, |s| s.module),
            Record::Suspicion(suspicion) => self.suspicions.retain(|s| s.module != suspicion.module),
            Record::Trust(trust) if trust.known.is_some() => upsert(&mut self.trust, *trust, |t| (t.peer, t.module)),
            Record::Trust(trust) => self.trust.retain(|t| (t.peer, t.module) != (trust.peer, trust.module)),
        }
    }

    fn add(&mut self, account: LedgerAccount, amount: i128) {
        match self.balances.binary_search_by_key(&account, |&(a, _)| a) {
            Ok(at) => self.balances[at].1 += amount,
            Err(at) => self.balances.insert(at, (account, amount)),
        }
    }
}

/// Puts an item where its key belongs, in place of one with the same key.
fn upsert<T, K: Ord>(items: &mut Vec<T>, item: T, key: impl Fn(&T) -> K) {
    match items.binary_search_by_key(&key(&item), &key) {
        Ok(at) => items[at] = item,
        Err(at) => items.insert(at, item),
    }
}
