//! The embedded store: SQLite in WAL mode with `synchronous=FULL`, so that a commit that returned survives a power cut.

use std::path::{Path, PathBuf};
use std::time::Duration;

use p2c2r_core::record::{Commit, SettlementRecord, Snapshot};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::verify::Verifier;
use super::{Audit, Publisher, Store, StoreError, migrate, read, write};

/// How long a call waits for another process (an audit, a backup) that has the file locked.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepared statements kept: all of them.
const STATEMENTS: usize = 64;

/// How to open a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SqliteOptions {
    /// Bytes the file may grow to; past it commits fail as on a full disk. `None` leaves it to the disk.
    pub max_bytes: Option<u64>,
}

/// The embedded store.
pub struct SqliteStore {
    connection: Connection,
    path: PathBuf,
    verifier: Verifier,
}

impl SqliteStore {
    /// Opens the store for writing, makes it if there is none and updates an older schema.
    ///
    /// # Errors
    /// [`StoreError::Open`] or [`StoreError::NewerSchema`].
    pub fn open(path: &Path, options: &SqliteOptions) -> Result<Self, StoreError> {
        let open = |source| StoreError::Open { path: path.to_owned(), source };
        let mut connection = Connection::open(path).map_err(open)?;
        migrate::check(&connection, path)?;
        let configure = |connection: &Connection| {
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "full")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            if let Some(max) = options.max_bytes {
                let page: u64 = connection.pragma_query_value(None, "page_size", |row| row.get::<_, u32>(0))?.into();
                // The pragma answers with the limit it set; 0 would mean "unchanged".
                let pages = u32::try_from(max / page.max(1)).unwrap_or(u32::MAX - 1).max(1);
                connection.pragma_update_and_check(None, "max_page_count", pages, |_row| Ok(()))?;
            }
            connection.set_prepared_statement_cache_capacity(STATEMENTS);
            Ok(())
        };
        configure(&connection).map_err(open)?;
        migrate::migrate(&mut connection, path)?;
        Ok(Self { connection, path: path.to_owned(), verifier: Verifier::default() })
    }

    /// Opens an existing store for reading only, beside the coordinator that writes it or without one.
    ///
    /// # Errors
    /// As [`SqliteStore::open`]; writing through it fails.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let open = |source| StoreError::Open { path: path.to_owned(), source };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(open)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(open)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let found = migrate::check(&connection, path)?;
        if found < migrate::VERSION {
            return Err(StoreError::OlderSchema { path: path.to_owned(), found, known: migrate::VERSION });
        }
        Ok(Self { connection, path: path.to_owned(), verifier: Verifier::default() })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Store for SqliteStore {
    fn apply(&mut self, commits: &[Commit]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        write::commits(&transaction, commits)?;
        Ok(transaction.commit()?)
    }

    fn load(&mut self) -> Result<Snapshot, StoreError> {
        let transaction = self.connection.transaction()?;
        self.verifier.advance(&transaction)??;
        read::snapshot(&transaction)
    }

    fn trust(&mut self, publisher: &Publisher) -> Result<(), StoreError> {
        write::publisher(&self.connection, publisher)
    }

    fn publishers(&mut self) -> Result<Vec<Publisher>, StoreError> {
        read::publishers(&self.connection)
    }

    fn audit(&mut self) -> Result<Audit, StoreError> {
        let transaction = self.connection.transaction()?;
        let damage = self.verifier.advance(&transaction)?.err();
        read::audit(&transaction, damage)
    }

    fn settlements(&mut self, after: u64, executions: usize) -> Result<Vec<SettlementRecord>, StoreError> {
        read::settlements(&self.connection, after, executions)
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}
