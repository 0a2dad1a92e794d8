//! Records into rows.

use p2c2r_core::record::{
    Commit, DepositRecord, HoldRecord, KernelRecord, LedgerAccount, PeerRecord, Record, SettlementRecord,
    SuspicionRecord, Transfer, TrustRecord,
};
use p2c2r_core::trust::Known;
use p2c2r_protocol::Credits;
use rusqlite::{Connection, Transaction, params};

use super::{Publisher, StoreError, detail, name};

/// Applies those commits that are new. The caller's transaction makes it all or nothing.
pub(super) fn commits(transaction: &Transaction<'_>, commits: &[Commit]) -> Result<(), StoreError> {
    let mut last = transaction
        .prepare_cached("SELECT last_commit FROM state")?
        .query_row([], |row| row.get::<_, Option<i64>>(0))?
        .map(i64::cast_unsigned);
    let before = last;
    for commit in commits {
        let done = last.unwrap_or(0);
        if commit.id.0 <= done {
            continue;
        }
        if commit.id.0 != done + 1 {
            return Err(StoreError::OutOfOrder { last: done, got: commit.id.0 });
        }
        for record in &commit.records {
            self::record(transaction, record)?;
        }
        last = Some(commit.id.0);
    }
    if last != before {
        let last = last.map(u64::cast_signed);
        transaction.prepare_cached("UPDATE state SET last_commit = ?1")?.execute([last])?;
    }
    Ok(())
}

pub(super) fn publisher(connection: &Connection, publisher: &Publisher) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO publishers (key, name, added_ms) VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET name = excluded.name",
        )?
        .execute(params![publisher.key.as_bytes(), publisher.name, publisher.added_ms.cast_signed()])?;
    Ok(())
}

fn record(transaction: &Transaction<'_>, record: &Record) -> Result<(), StoreError> {
    match record {
        Record::Account { account } => {
            transaction
                .prepare_cached("INSERT INTO accounts (account) VALUES (?1) ON CONFLICT DO NOTHING")?
                .execute([account.as_bytes()])?;
            Ok(())
        }
        Record::Kernel(kernel) => self::kernel(transaction, kernel),
        Record::Transfer(transfer) => self::transfer(transaction, transfer),
        Record::Deposit(deposit) => self::deposit(transaction, deposit),
        Record::Hold(hold) => self::hold(transaction, hold),
        Record::Settlement(settlement) => self::settlement(transaction, settlement),
        Record::Peer(peer) => self::peer(transaction, peer),
        Record::Suspicion(suspicion) => self::suspicion(transaction, suspicion),
        Record::Trust(trust) => self::trust(transaction, trust),
    }
}

fn kernel(transaction: &Transaction<'_>, kernel: &KernelRecord) -> Result<(), StoreError> {
    let manifest = serde_json::to_string(&kernel.manifest).map_err(|e| StoreError::Manifest(e.to_string()))?;
    transaction
        .prepare_cached(
            "INSERT INTO kernels (module, manifest, rate) VALUES (?1, ?2, ?3)
             ON CONFLICT (module) DO UPDATE SET manifest = excluded.manifest, rate = excluded.rate",
        )?
        .execute(params![kernel.module.as_bytes(), manifest, amount(kernel.rate)?])?;
    Ok(())
}

fn transfer(transaction: &Transaction<'_>, transfer: &Transfer) -> Result<(), StoreError> {
    let amount = amount(transfer.amount)?;
    let debit = book(transaction, transfer.debit, -amount)?;
    let credit = book(transaction, transfer.credit, amount)?;
    transaction
        .prepare_cached(
            "INSERT INTO journal (id, kind, debit, credit, amount, at_ms, chain) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            transfer.id,
            name::of_kind(transfer.kind),
            debit,
            credit,
            amount,
            transfer.at.0.cast_signed(),
            transfer.chain.as_bytes(),
        ])?;
    Ok(())
}

/// Adds to a balance and says which row it is.
fn book(transaction: &Transaction<'_>, account: LedgerAccount, change: i64) -> Result<i64, StoreError> {
    Ok(transaction
        .prepare_cached(
            "INSERT INTO ledger_accounts (name, balance) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET balance = balance + excluded.balance RETURNING id",
        )?
        .query_row(params![name::of_account(account), change], |row| row.get(0))?)
}

fn deposit(transaction: &Transaction<'_>, deposit: &DepositRecord) -> Result<(), StoreError> {
    transaction
        .prepare_cached("INSERT INTO deposits (reference, account, amount) VALUES (?1, ?2, ?3)")?
        .execute(params![deposit.reference, deposit.account.as_bytes(), amount(deposit.amount)?])?;
    Ok(())
}

fn hold(transaction: &Transaction<'_>, hold: &HoldRecord) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT INTO holds (session, account, number, budget, expires_ms, open, since_batch)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, (SELECT coalesce(max(batch), 0) FROM settlements))
             ON CONFLICT (session) DO UPDATE
             SET budget = excluded.budget, expires_ms = excluded.expires_ms, open = excluded.open",
        )?
        .execute(params![
            hold.session.as_bytes(),
            hold.account.as_bytes(),
            hold.number.cast_signed(),
            amount(hold.budget)?,
            hold.expires.0.cast_signed(),
            hold.open,
        ])?;
    Ok(())
}

fn settlement(transaction: &Transaction<'_>, settlement: &SettlementRecord) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT INTO settlements (batch, root, tasks, executions, charged, paid, fee, at_ms, detail)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            settlement.batch.cast_signed(),
            settlement.root.as_bytes(),
            settlement.tasks.cast_signed(),
            settlement.executions.cast_signed(),
            amount(settlement.charged)?,
            amount(settlement.paid)?,
            amount(settlement.fee)?,
            settlement.at.0.cast_signed(),
            detail::encode(&settlement.executions_detail),
        ])?;
    Ok(())
}

fn peer(transaction: &Transaction<'_>, peer: &PeerRecord) -> Result<(), StoreError> {
    transaction
        .prepare_cached(
            "INSERT INTO peers (key, account, agreed, outvoted, faults, earned) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (key) DO UPDATE SET account = excluded.account, agreed = excluded.agreed,
                 outvoted = excluded.outvoted, faults = excluded.faults, earned = excluded.earned",
        )?
        .execute(params![
            peer.key.as_bytes(),
            peer.account.as_bytes(),
            peer.agreed.cast_signed(),
            peer.outvoted.cast_signed(),
            peer.faults.cast_signed(),
            amount(peer.earned)?,
        ])?;
    Ok(())
}

fn suspicion(transaction: &Transaction<'_>, suspicion: &SuspicionRecord) -> Result<(), StoreError> {
    if !suspicion.open {
        transaction
            .prepare_cached("DELETE FROM suspicions WHERE module = ?1")?
            .execute([suspicion.module.as_bytes()])?;
        return Ok(());
    }
    let (cause, dissenting, owners) = name::of_cause(suspicion.cause);
    transaction
        .prepare_cached(
            "INSERT INTO suspicions (module, since_ms, cause, dissenting, owners) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (module) DO UPDATE SET since_ms = excluded.since_ms, cause = excluded.cause,
                 dissenting = excluded.dissenting, owners = excluded.owners",
        )?
        .execute(params![suspicion.module.as_bytes(), suspicion.since.0.cast_signed(), cause, dissenting, owners])?;
    Ok(())
}

fn trust(transaction: &Transaction<'_>, trust: &TrustRecord) -> Result<(), StoreError> {
    let TrustRecord { peer, module, known } = trust;
    let Some(Known { posterior, compared }) = known else {
        transaction
            .prepare_cached("DELETE FROM trust WHERE peer = ?1 AND module = ?2")?
            .execute([peer.as_bytes(), module.as_bytes()])?;
        return Ok(());
    };
    let [agreed, lied, probation] = posterior.to_parts();
    transaction
        .prepare_cached(
            "INSERT INTO trust (peer, module, agreed, lied, probation, compared_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (peer, module) DO UPDATE SET agreed = excluded.agreed, lied = excluded.lied,
                 probation = excluded.probation, compared_ms = excluded.compared_ms",
        )?
        .execute(params![peer.as_bytes(), module.as_bytes(), agreed, lied, probation, compared.0.cast_signed()])?;
    Ok(())
}

fn amount(credits: Credits) -> Result<i64, StoreError> {
    i64::try_from(credits.nano_usd()).map_err(|_over| StoreError::Amount { nano_usd: credits.nano_usd() })
}
