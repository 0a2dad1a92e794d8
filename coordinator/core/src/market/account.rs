//! Accounts, deposits and kernels: what operators do, and what anybody may ask.

use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{KernelInfo, ServerToClient, ServerToPeer};
use p2c2r_signing::{AccountId, Manifest, ModuleId};

use super::Market;
use super::commit::After;
use crate::io::{Admin, ConnId, Output};
use crate::record::{DepositRecord, KernelRecord, Record};

impl Market {
    pub(super) fn admin(&mut self, request: u64, command: Admin) {
        let records = match command {
            Admin::OpenAccount { account } => self.open_account(account),
            Admin::Deposit { account, amount, reference } => self.deposit(account, amount, &reference),
            Admin::RegisterKernel { module, manifest, rate } => self.register_kernel(module, *manifest, rate),
            Admin::ClearKernel { module } => self.clear_kernel(module),
        };
        match records {
            // Done before, which may not be durable yet.
            Ok(records) if records.is_empty() => self.after_commits(After::Admin { request }),
            Ok(records) => self.commit(records, After::Admin { request }),
            Err(why) => self.out.push_back(Output::AdminDone { request, result: Err(why) }),
        }
    }

    /// New records are refused while the store is behind: operators' commands are bounded like everybody's.
    fn check_store(&self) -> Result<(), String> {
        let (waiting, limit) = (self.commits.in_flight(), self.config.limits.commits_in_flight);
        if waiting >= limit {
            return Err(format!("{waiting} commits wait for the store, at most {limit} may"));
        }
        Ok(())
    }

    fn open_account(&mut self, account: AccountId) -> Result<Vec<Record>, String> {
        if self.ledger.available(account).is_some() {
            return Ok(Vec::new());
        }
        self.check_store()?;
        check_room("ledger accounts", self.ledger.len(), self.config.limits.accounts)?;
        self.ledger.open_account(account);
        Ok(vec![Record::Account { account }])
    }

    fn deposit(&mut self, account: AccountId, amount: Credits, reference: &str) -> Result<Vec<Record>, String> {
        let limit = self.config.limits.reference_bytes;
        if reference.is_empty() || reference.len() > limit {
            return Err(format!("a reference of {} bytes; it must have 1 to {limit}", reference.len()));
        }
        self.check_store()?;
        check_room("deposit references", self.ledger.deposit_count(), self.config.limits.deposits)?;
        let transfer = self.ledger.deposit(reference, account, amount, self.now).map_err(|error| error.to_string())?;
        let Some(transfer) = transfer else { return Ok(Vec::new()) };
        let deposit = DepositRecord { reference: reference.to_owned(), account, amount };
        Ok(vec![Record::Transfer(transfer), Record::Deposit(deposit)])
    }

    fn register_kernel(&mut self, module: ModuleId, manifest: Manifest, rate: Credits) -> Result<Vec<Record>, String> {
        let kernel = KernelRecord { module, manifest, rate };
        match self.kernels.get(&module) {
            Some(before) if *before == kernel => return self.clear_kernel(module),
            Some(_) => {}
            None => check_room("kernels", self.kernels.len(), self.config.limits.kernels)?,
        }
        self.check_store()?;
        self.kernels.insert(module, kernel.clone());
        let cleared = self.clear(module).map(Record::Suspicion);
        Ok([Record::Kernel(kernel)].into_iter().chain(cleared).collect())
    }

    fn clear_kernel(&mut self, module: ModuleId) -> Result<Vec<Record>, String> {
        if !self.kernels.contains_key(&module) {
            return Err(format!("kernel {module} is not registered"));
        }
        if self.suspects.contains_key(&module) {
            self.check_store()?;
        }
        Ok(self.clear(module).map(Record::Suspicion).into_iter().collect())
    }

    pub(super) fn query_kernel(&mut self, conn: ConnId, module: ModuleId) {
        let message = match self.kernels.get(&module) {
            None => ServerToClient::KernelUnknown { module },
            Some(kernel) => ServerToClient::Kernel(KernelInfo {
                module,
                name: kernel.manifest.name.clone(),
                version: kernel.manifest.version.clone(),
                unit: kernel.manifest.unit.clone(),
                rate: kernel.rate,
                max_units: kernel.manifest.limits.units,
            }),
        };
        self.tell_client(conn, message);
    }

    pub(super) fn earnings(&mut self, conn: ConnId, peer: usize) {
        let Some(account) = self.peers.get(peer).map(|peer| peer.standing.record.account) else { return };
        let totals = self.peers.totals(account);
        let message = ServerToPeer::Earnings {
            balance: self.ledger.available(account).unwrap_or(Credits::ZERO),
            earned: Credits::from_nano_usd(totals.earned),
            agreed: totals.agreed,
            outvoted: totals.outvoted,
        };
        self.tell_peer(conn, message);
    }
}

fn check_room(what: &str, count: usize, limit: usize) -> Result<(), String> {
    if count >= limit {
        return Err(format!("there are {count} {what}, at most {limit} fit"));
    }
    Ok(())
}
