//! Rows into records.

use std::collections::BTreeSet;

use p2c2r_core::record::{
    DepositRecord, HoldRecord, KernelRecord, LedgerAccount, PeerRecord, RECENT_SETTLEMENTS, SettledExecution,
    SettlementRecord, Snapshot, SuspicionRecord, TrustRecord,
};
use p2c2r_core::trust::{Known, Posterior};
use p2c2r_core::{CommitId, Millis};
use p2c2r_protocol::Credits;
use p2c2r_signing::merkle::Tree;
use p2c2r_signing::{AccountId, Digest, Manifest, ModuleId, PublicKey, SessionId};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{Audit, Damage, Publisher, StoreError, detail, name};

const SETTLEMENT: &str = "SELECT batch, root, tasks, executions, charged, paid, fee, at_ms, detail FROM settlements";

pub(super) fn snapshot(connection: &Connection) -> Result<Snapshot, StoreError> {
    let holds = holds(connection)?;
    let last_commit = connection.query_row("SELECT last_commit FROM state", [], |row| row.get::<_, Option<i64>>(0))?;
    let recent = format!("{SETTLEMENT} ORDER BY batch DESC LIMIT {RECENT_SETTLEMENTS}");
    let mut recent = all(connection, &recent, [], |row| Ok(settlement(row)))?;
    recent.reverse();
    Ok(Snapshot {
        last_commit: last_commit.map(|id| CommitId(id.cast_unsigned())),
        last_batch: number(connection, "SELECT coalesce(max(batch), 0) FROM settlements")?,
        chain: head(connection)?,
        accounts: all(connection, "SELECT account FROM accounts", [], |row| row.get(0).map(AccountId::from_bytes))?,
        kernels: kernels(connection)?,
        balances: balances(connection)?,
        settled: settled(connection, &holds)?,
        holds: holds.into_iter().map(|(hold, _since)| hold).collect(),
        deposits: deposits(connection)?,
        journal_lines: number(connection, "SELECT count(*) FROM journal")?,
        recent: recent.into_iter().collect::<Result<_, _>>()?,
        peers: peers(connection)?,
        suspicions: suspicions(connection)?,
        trust: trust(connection)?,
    })
}

pub(super) fn publishers(connection: &Connection) -> Result<Vec<Publisher>, StoreError> {
    let rows = all(connection, "SELECT key, name, added_ms FROM publishers ORDER BY key", [], |row| {
        Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, String>(1)?, unsigned(row, 2)?))
    })?;
    rows.into_iter().map(|(bytes, name, added_ms)| Ok(Publisher { key: key(&bytes)?, name, added_ms })).collect()
}

pub(super) fn audit(connection: &Connection, damage: Option<Damage>) -> Result<Audit, StoreError> {
    let (mut platform, mut external, mut held, mut withheld) = (0i128, 0i128, 0i128, 0i128);
    let mut available = Vec::new();
    for (account, balance) in balances(connection)? {
        match account {
            LedgerAccount::External => external += balance,
            LedgerAccount::Platform => platform += balance,
            LedgerAccount::Held(_) => held += balance,
            LedgerAccount::Withheld(_) => withheld += balance,
            LedgerAccount::Available(account) => available.push((account, credits(balance))),
        }
    }
    let sum = |column: &str| number(connection, &format!("SELECT coalesce(sum({column}), 0) FROM settlements"));
    Ok(Audit {
        damage,
        journal_lines: number(connection, "SELECT count(*) FROM journal")?,
        chain: head(connection)?,
        deposited: credits(-external),
        platform: credits(platform),
        held: credits(held),
        withheld: credits(withheld),
        available,
        batches: number(connection, "SELECT count(*) FROM settlements")?,
        tasks: sum("tasks")?,
        executions: sum("executions")?,
        charged: Credits::from_nano_usd(sum("charged")?),
        paid: Credits::from_nano_usd(sum("paid")?),
        fee: Credits::from_nano_usd(sum("fee")?),
    })
}

pub(super) fn settlements(
    connection: &Connection,
    after: u64,
    executions: usize,
) -> Result<Vec<SettlementRecord>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{SETTLEMENT} WHERE batch > ?1 ORDER BY batch"))?;
    let mut rows = statement.query([after.cast_signed()])?;
    let (mut found, mut count) = (Vec::new(), 0);
    while count < executions
        && let Some(row) = rows.next()?
    {
        let settlement = settlement(row)?;
        // A batch without executions counts too, or a page could be endless.
        count += settlement.executions_detail.len().max(1);
        found.push(settlement);
    }
    Ok(found)
}

fn settlement(row: &Row<'_>) -> Result<SettlementRecord, StoreError> {
    let batch = unsigned(row, 0)?;
    let bytes = row.get_ref(8)?.as_blob().map_err(rusqlite::Error::from)?;
    let executions_detail = detail::decode(bytes)
        .map_err(|problem| Damage::Row { table: "settlements", problem: format!("batch {batch}: {problem}") })?;
    let stored = Digest::from_bytes(row.get(1)?);
    let found = Tree::new(executions_detail.iter().map(SettledExecution::leaf)).root();
    if found != stored {
        return Err(Damage::Root { batch, stored, found }.into());
    }
    Ok(SettlementRecord {
        batch,
        root: stored,
        tasks: unsigned(row, 2)?,
        executions: unsigned(row, 3)?,
        charged: Credits::from_nano_usd(unsigned(row, 4)?),
        paid: Credits::from_nano_usd(unsigned(row, 5)?),
        fee: Credits::from_nano_usd(unsigned(row, 6)?),
        at: Millis(unsigned(row, 7)?),
        executions_detail,
    })
}

/// Open holds, each with the last batch before it.
fn holds(connection: &Connection) -> Result<Vec<(HoldRecord, u64)>, StoreError> {
    let query = "SELECT session, account, number, budget, expires_ms, since_batch FROM holds WHERE open = 1";
    all(connection, query, [], |row| {
        let hold = HoldRecord {
            session: SessionId::from_bytes(row.get(0)?),
            account: AccountId::from_bytes(row.get(1)?),
            number: unsigned(row, 2)?,
            budget: Credits::from_nano_usd(unsigned(row, 3)?),
            expires: Millis(unsigned(row, 4)?),
            open: true,
        };
        Ok((hold, unsigned(row, 5)?))
    })
}

/// Task numbers settled under these holds. Only batches since the oldest of them can have any.
fn settled(connection: &Connection, holds: &[(HoldRecord, u64)]) -> Result<Vec<(SessionId, u64)>, StoreError> {
    let Some(since) = holds.iter().map(|(_hold, since)| *since).min() else { return Ok(Vec::new()) };
    let open: BTreeSet<SessionId> = holds.iter().map(|(hold, _since)| hold.session).collect();
    let query = "SELECT batch, detail FROM settlements WHERE batch > ?1 ORDER BY batch";
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query([since.cast_signed()])?;
    let mut settled = BTreeSet::new();
    while let Some(row) = rows.next()? {
        let batch = unsigned(row, 0)?;
        let executions = detail::decode(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?)
            .map_err(|problem| Damage::Row { table: "settlements", problem: format!("batch {batch}: {problem}") })?;
        settled.extend(executions.iter().filter(|e| open.contains(&e.session)).map(|e| (e.session, e.number)));
    }
    Ok(settled.into_iter().collect())
}

fn kernels(connection: &Connection) -> Result<Vec<KernelRecord>, StoreError> {
    let rows = all(connection, "SELECT module, manifest, rate FROM kernels", [], |row| {
        Ok((ModuleId::from_bytes(row.get(0)?), row.get::<_, String>(1)?, unsigned(row, 2)?))
    })?;
    rows.into_iter()
        .map(|(module, manifest, rate)| {
            let manifest: Manifest = serde_json::from_str(&manifest)
                .map_err(|e| Damage::Row { table: "kernels", problem: format!("manifest of {module}: {e}") })?;
            Ok(KernelRecord { module, manifest, rate: Credits::from_nano_usd(rate) })
        })
        .collect()
}

fn balances(connection: &Connection) -> Result<Vec<(LedgerAccount, i128)>, StoreError> {
    let rows = all(connection, "SELECT name, balance FROM ledger_accounts", [], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
    })?;
    rows.into_iter()
        .map(|(name, balance)| {
            let problem = || Damage::Row { table: "ledger_accounts", problem: format!("{name:?} is no account") };
            Ok((name::to_account(&name).ok_or_else(problem)?, i128::from(balance)))
        })
        .collect()
}

fn deposits(connection: &Connection) -> Result<Vec<DepositRecord>, StoreError> {
    all(connection, "SELECT reference, account, amount FROM deposits", [], |row| {
        Ok(DepositRecord {
            reference: row.get(0)?,
            account: AccountId::from_bytes(row.get(1)?),
            amount: Credits::from_nano_usd(unsigned(row, 2)?),
        })
    })
}

fn peers(connection: &Connection) -> Result<Vec<PeerRecord>, StoreError> {
    let rows = all(connection, "SELECT key, account, agreed, outvoted, faults, earned FROM peers", [], |row| {
        Ok((
            row.get::<_, [u8; 32]>(0)?,
            AccountId::from_bytes(row.get(1)?),
            [unsigned(row, 2)?, unsigned(row, 3)?, unsigned(row, 4)?, unsigned(row, 5)?],
        ))
    })?;
    rows.into_iter()
        .map(|(bytes, account, [agreed, outvoted, faults, earned])| {
            let earned = Credits::from_nano_usd(earned);
            Ok(PeerRecord { key: key(&bytes)?, account, agreed, outvoted, faults, earned })
        })
        .collect()
}

fn suspicions(connection: &Connection) -> Result<Vec<SuspicionRecord>, StoreError> {
    let query = "SELECT module, since_ms, cause, dissenting, owners FROM suspicions";
    let rows = all(connection, query, [], |row| {
        let module = ModuleId::from_bytes(row.get(0)?);
        Ok((module, Millis(unsigned(row, 1)?), name::to_cause(row.get(2)?, row.get(3)?, row.get(4)?)))
    })?;
    rows.into_iter()
        .map(|(module, since, cause)| {
            let problem = || Damage::Row { table: "suspicions", problem: format!("cause of {module}") };
            Ok(SuspicionRecord { module, since, cause: cause.ok_or_else(problem)?, open: true })
        })
        .collect()
}

fn trust(connection: &Connection) -> Result<Vec<TrustRecord>, StoreError> {
    let query = "SELECT peer, module, agreed, lied, probation, compared_ms FROM trust ORDER BY peer, module";
    let rows = all(connection, query, [], |row| {
        let known = Known {
            posterior: Posterior::from_parts([row.get(2)?, row.get(3)?, row.get(4)?]),
            compared: Millis(unsigned(row, 5)?),
        };
        Ok((row.get::<_, [u8; 32]>(0)?, ModuleId::from_bytes(row.get(1)?), known))
    })?;
    rows.into_iter()
        .map(|(peer, module, known)| Ok(TrustRecord { peer: key(&peer)?, module, known: Some(known) }))
        .collect()
}

fn head(connection: &Connection) -> Result<Option<Digest>, StoreError> {
    let query = "SELECT chain FROM journal ORDER BY line DESC LIMIT 1";
    Ok(connection.query_row(query, [], |row| row.get(0)).optional()?.map(Digest::from_bytes))
}

fn key(bytes: &[u8; 32]) -> Result<PublicKey, StoreError> {
    Ok(PublicKey::from_bytes(bytes).map_err(|e| Damage::Row { table: "keys", problem: e.to_string() })?)
}

fn number(connection: &Connection, query: &str) -> Result<u64, StoreError> {
    Ok(connection.prepare_cached(query)?.query_row([], |row| unsigned(row, 0))?)
}

fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

/// Balances other than the outside's are never negative; a damaged store shows them as 0 next to its damage.
fn credits(balance: i128) -> Credits {
    Credits::from_nano_usd(u64::try_from(balance.max(0)).unwrap_or(u64::MAX))
}

fn all<T, P: rusqlite::Params>(
    connection: &Connection,
    query: &str,
    params: P,
    row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    Ok(connection.prepare_cached(query)?.query_map(params, row)?.collect::<Result<_, _>>()?)
}
