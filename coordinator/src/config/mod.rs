//! Settings: flags over `P2C2R_*` variables over the file over defaults.

mod settings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use p2c2r_core::{MarketConfig, TrustConfig};
use p2c2r_signing::AccountId;
use serde::{Deserialize, Serialize};

pub use settings::{ConfigError, Settings};

/// Who may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Accounts {
    /// Any key that proves itself gets an account.
    Open,
    /// Only accounts that have been given a deposit.
    Known,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The settings in force. Field names are the keys of the file; `docs/OPERATING.md` explains each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Folder for everything the coordinator keeps.
    pub data: PathBuf,
    /// Local certificate authority and open accounts, for trying things out.
    pub dev: bool,
    /// Names and addresses besides localhost that a development certificate is for.
    pub hostnames: Vec<String>,
    /// Certificate chain, PEM, leaf first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    /// Its key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// Who may come in.
    pub accounts: Accounts,
    /// Log filter, as `RUST_LOG` has it.
    pub log: String,
    /// Log form.
    pub log_format: LogFormat,
    /// Connections in all.
    pub max_connections: usize,
    /// Connections from one IPv4 address or IPv6 /64.
    pub max_connections_per_ip: usize,
    /// Silence after which a connection is closed, milliseconds.
    pub idle_ms: u64,
    /// Longest drain, milliseconds.
    pub drain_ms: u64,
    /// Bytes for kernels and blobs on disk.
    pub content_bytes: u64,
    /// Bytes of the blobs one account may store.
    pub account_blob_bytes: u64,
    /// Bytes the database may grow to; absent leaves it to the disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_bytes: Option<u64>,
    /// Percent of a task's cost that goes to the peers.
    pub peer_share_percent: u8,
    /// Milliseconds between settlement batches.
    pub settle_every_ms: u64,
    /// Milliseconds after a task's deadline in which its answer may still be verified.
    pub verify_window_ms: u64,
    /// Milliseconds a hold stays open without its client.
    pub hold_grace_ms: u64,
    /// Milliseconds after a restart in which peers may bring results from before it.
    pub recovery_ms: u64,
    /// Wrong votes among a peer's last 64 that suspend it.
    pub suspend_outvoted: u32,
    /// Milliseconds of a first suspension; each further one is twice as long.
    pub suspend_ms: u64,
    /// Percent of a trusted peer's tasks that are checked; 0 switches checks and the holding back of pay off.
    pub audit_percent: u8,
    /// Accounts whose peers are referees.
    pub referees: Vec<AccountId>,
}

impl Config {
    /// As [`Duration`].
    #[must_use]
    pub const fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms)
    }

    /// As [`Duration`].
    #[must_use]
    pub const fn drain_limit(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }

    /// The market's part.
    #[must_use]
    pub fn market(&self) -> MarketConfig {
        MarketConfig {
            peer_share_percent: self.peer_share_percent,
            settle_every_ms: self.settle_every_ms,
            verify_window_ms: self.verify_window_ms,
            hold_grace_ms: self.hold_grace_ms,
            recovery_ms: self.recovery_ms,
            suspend_outvoted: self.suspend_outvoted,
            suspend_ms: self.suspend_ms,
            referees: self.referees.iter().copied().collect(),
            trust: TrustConfig::with_floor(u32::from(self.audit_percent) * 10_000),
            ..MarketConfig::default()
        }
    }

    /// The database file.
    #[must_use]
    pub fn store_path(&self) -> PathBuf {
        self.data.join("coordinator.sqlite")
    }
}
