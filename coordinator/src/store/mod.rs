//! Where commits become durable. [`Store`] is what any database has to promise; [`SqliteStore`] is the embedded one.
//!
//! **Invariant:** a commit is there whole or not at all, and applying it twice is applying it once.
//! **Invariant:** nothing outside this module knows which database it is.

mod detail;
mod migrate;
mod name;
mod read;
mod sqlite;
mod verify;
mod write;

use std::path::PathBuf;

use p2c2r_core::record::{Commit, SettlementRecord, Snapshot};
use p2c2r_protocol::Credits;
use p2c2r_signing::{AccountId, Digest, PublicKey};

pub use sqlite::{SqliteOptions, SqliteStore};
pub use verify::Damage;

/// A database for one coordinator. Batch-first: the cost of durability is paid once per call.
pub trait Store: Send {
    /// Applies the commits in order, all of them or none. Those applied before are skipped.
    ///
    /// # Errors
    /// [`StoreError::is_temporary`] says whether trying again can help.
    fn apply(&mut self, commits: &[Commit]) -> Result<(), StoreError>;

    /// Everything a restarted market needs, after checking the journal's chain and every balance.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] says which line or balance is wrong.
    fn load(&mut self) -> Result<Snapshot, StoreError>;

    /// Trusts a publisher's key; a known key gets the new name.
    ///
    /// # Errors
    /// As [`Store::apply`].
    fn trust(&mut self, publisher: &Publisher) -> Result<(), StoreError>;

    /// Trusted publishers, in order of their keys.
    ///
    /// # Errors
    /// If the database cannot be read.
    fn publishers(&mut self) -> Result<Vec<Publisher>, StoreError>;

    /// Totals, after checking whatever was added since the last check.
    ///
    /// # Errors
    /// If the database cannot be read; damage is part of the answer.
    fn audit(&mut self) -> Result<Audit, StoreError>;

    /// Settlements after batch `after`, in order, until they hold at least `executions` executions or there are no more.
    ///
    /// # Errors
    /// If the database cannot be read.
    fn settlements(&mut self, after: u64, executions: usize) -> Result<Vec<SettlementRecord>, StoreError>;
}

/// A key whose kernels may be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publisher {
    /// The key.
    pub key: PublicKey,
    /// For people.
    pub name: String,
    /// When it was trusted, milliseconds since the Unix epoch.
    pub added_ms: u64,
}

/// What an auditor wants to know first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// What is wrong, if anything is.
    pub damage: Option<Damage>,
    /// Lines of the journal.
    pub journal_lines: u64,
    /// Head of its chain.
    pub chain: Option<Digest>,
    /// Sum of all deposits.
    pub deposited: Credits,
    /// What the platform earned.
    pub platform: Credits,
    /// What is on hold.
    pub held: Credits,
    /// Peers' pay that is not yet theirs.
    pub withheld: Credits,
    /// What each account may spend.
    pub available: Vec<(AccountId, Credits)>,
    /// Settlement batches.
    pub batches: u64,
    /// Confirmed tasks in them.
    pub tasks: u64,
    /// Right executions in them.
    pub executions: u64,
    /// What clients paid in them.
    pub charged: Credits,
    /// What peers got in them.
    pub paid: Credits,
    /// What the platform got in them.
    pub fee: Credits,
}

/// Why the store did not do as told.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be opened.
    #[error("store {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the database says.
        source: rusqlite::Error,
    },
    /// It was written by a later version of this program.
    #[error("store {} has schema version {found}, this program knows up to {known}; use a newer program", path.display())]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u32,
        /// The newest version known.
        known: u32,
    },
    /// It was written by an earlier version and opened for reading only.
    #[error("store {} has schema version {found}, this program reads {known}; start the coordinator once to update it", path.display())]
    OlderSchema {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u32,
        /// The version needed.
        known: u32,
    },
    /// What is in it contradicts itself.
    #[error("store is damaged: {0}; restore a backup, do not go on with it")]
    Damaged(#[from] Damage),
    /// Commits must follow each other; a bug.
    #[error("commit {got} does not follow commit {last}")]
    OutOfOrder {
        /// The last one applied.
        last: u64,
        /// The one given.
        got: u64,
    },
    /// More than the database's integers hold; a bug.
    #[error("amount of {nano_usd} nano-USD is over the store's limit of {}", i64::MAX)]
    Amount {
        /// The amount.
        nano_usd: u64,
    },
    /// A manifest that does not turn into JSON; a bug.
    #[error("manifest cannot be stored: {0}")]
    Manifest(String),
    /// The database failed.
    #[error("store failed: {0}")]
    Database(#[from] rusqlite::Error),
}

impl StoreError {
    /// Whether the same call may succeed later without anybody changing the program: a full disk, an I/O error, a lock.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        use rusqlite::ErrorCode;
        let (Self::Database(error) | Self::Open { source: error, .. }) = self else { return false };
        matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::CannotOpen
                    | ErrorCode::ReadOnly
                    | ErrorCode::OutOfMemory
                    | ErrorCode::FileLockingProtocolFailed
            )
        )
    }
}
