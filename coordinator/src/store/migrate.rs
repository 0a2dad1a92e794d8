//! Brings an older database up to this program's schema, one embedded step after the other.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// One step per schema version; version 0 is an empty file. Steps are never edited, only added.
const STEPS: [&str; 3] = [
    include_str!("../../migrations/0001_initial.sql"),
    include_str!("../../migrations/0002_suspicions.sql"),
    include_str!("../../migrations/0003_trust.sql"),
];

/// The version this program writes.
pub(super) const VERSION: u32 = STEPS.len() as u32;

/// # Errors
/// [`StoreError::NewerSchema`], or what the database says.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<u32, StoreError> {
    let found = connection
        .pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0))
        .map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
    if found > VERSION {
        return Err(StoreError::NewerSchema { path: path.to_owned(), found, known: VERSION });
    }
    Ok(found)
}

/// # Errors
/// As [`check`]; a step that fails leaves the version before it.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let found = check(connection, path)?;
    for (version, step) in (1u32..).zip(STEPS).skip(found as usize) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
        tracing::info!(version, store = %path.display(), "store schema updated");
    }
    Ok(())
}
