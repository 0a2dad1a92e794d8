//! What the owner sees: one small JSON file, replaced whole every second, that `p2c2r-peer status` reads.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use p2c2r_protocol::message::OfferedClass;
use serde::{Deserialize, Serialize};

use crate::{file, limits};

/// Name of the file in the data folder.
pub const STATUS_FILE: &str = "status.json";

/// A running file that is older than this belongs to a peer that died.
const STALE_MS: u64 = 10_000;

/// What the peer is doing, and why it is not earning if it is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Setting up.
    Starting,
    /// On its way to the coordinator.
    Connecting,
    /// Offering work; `running` says how many attempts run now.
    Connected,
    /// Not connected; tries again.
    Offline {
        /// Why, in words.
        reason: String,
        /// Until the next try.
        retry_in_ms: u64,
    },
    /// The coordinator is about to restart; it gives no work.
    CoordinatorDraining,
    /// Asked to stop, finishing what runs.
    Stopping,
    /// Not running.
    Stopped {
        /// Why, in words.
        reason: String,
    },
}

/// The account's figures, as the coordinator says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earnings {
    /// What the account may spend or be paid, nano-USD.
    pub balance_nano_usd: u64,
    /// Earned since the account exists, nano-USD.
    pub earned_nano_usd: u64,
    /// Votes that agreed with the verdict.
    pub votes_agreed: u64,
    /// Votes that did not.
    pub votes_outvoted: u64,
}

/// Counts since this program started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Attempts that ended in an outcome.
    pub results: u64,
    /// Attempts that ended in a fault.
    pub faults: u64,
    /// Attempts called off by the coordinator.
    pub cancelled: u64,
    /// Results settled as right.
    pub agreed: u64,
    /// Results settled as wrong.
    pub outvoted: u64,
    /// Results settled without a verdict.
    pub void: u64,
    /// Settled for this peer, nano-USD.
    pub earned_nano_usd: u64,
    /// Results given up unsettled.
    pub given_up: u64,
}

/// Everything in the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// What it does.
    #[serde(flatten)]
    pub state: State,
    /// When this was written, milliseconds since the Unix epoch.
    pub updated_ms: u64,
    /// Process id.
    pub pid: u32,
    /// The coordinator.
    pub coordinator: String,
    /// The peer's key.
    pub key: String,
    /// The account that is paid, once known.
    pub account: Option<String>,
    /// The device, for people.
    pub device: String,
    /// Classes it offers.
    pub classes: Vec<OfferedClass>,
    /// Attempts it takes at once.
    pub slots: u16,
    /// Worker threads.
    pub workers: u16,
    /// Self-benchmark, operations per microsecond.
    pub speed: u32,
    /// Attempts running or waiting here now.
    pub running: usize,
    /// Attempts waiting for a kernel or blob.
    pub fetching: usize,
    /// Results not settled yet: what is still to be paid.
    pub unsettled: usize,
    /// Kernels on disk.
    pub kernels_cached: usize,
    /// Blobs on disk.
    pub blobs_cached: usize,
    /// Bytes on disk.
    pub cache_bytes: u64,
    /// Since this program started.
    pub counts: Counts,
    /// The account's figures, once known.
    pub earnings: Option<Earnings>,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// Not there, or not readable.
    #[error("no status in {}; has a peer run with this data folder?", path.display())]
    Read {
        /// Where it should be.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Not what a peer of this version writes.
    #[error("{} is not a peer's status", path.display())]
    Parse {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

impl Status {
    /// Reads the file in `data`. One that says the peer runs but has not been written for ten seconds is turned into
    /// [`State::Stopped`].
    ///
    /// # Errors
    /// [`StatusError`].
    pub fn read(data: &Path) -> Result<Self, StatusError> {
        let path = data.join(STATUS_FILE);
        let bytes = std::fs::read(&path).map_err(|source| StatusError::Read { path: path.clone(), source })?;
        let mut status: Self = serde_json::from_slice(&bytes).map_err(|source| StatusError::Parse { path, source })?;
        if status.is_running() && now_ms().saturating_sub(status.updated_ms) > STALE_MS {
            status.state = State::Stopped { reason: "it ended without saying so".to_owned() };
        }
        Ok(status)
    }

    /// Replaces the file in `data`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, data: &Path) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        file::replace(&data.join(STATUS_FILE), &bytes)
    }

    /// Whether the program runs.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        !matches!(self.state, State::Stopped { .. })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("starting"),
            Self::Connecting => f.write_str("connecting"),
            Self::Connected => f.write_str("connected, offering work"),
            Self::Offline { reason, retry_in_ms } => {
                write!(f, "paused: not connected ({reason}); next try in {:.1} s", *retry_in_ms as f64 / 1e3)
            }
            Self::CoordinatorDraining => f.write_str("paused: the coordinator is restarting"),
            Self::Stopping => f.write_str("stopping: finishing what runs"),
            Self::Stopped { reason } => write!(f, "not running: {reason}"),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "state        {}", self.state)?;
        writeln!(f, "coordinator  {}", self.coordinator)?;
        writeln!(f, "account      {}", self.account.as_deref().unwrap_or("not known yet"))?;
        writeln!(f, "device       {}", self.device)?;
        writeln!(f, "workers      {} ({} slots, {} ops/us)", self.workers, self.slots, self.speed)?;
        writeln!(f, "running      {} ({} waiting for data)", self.running, self.fetching)?;
        let (kernels, blobs, mb) = (self.kernels_cached, self.blobs_cached, self.cache_bytes as f64 / 1e6);
        writeln!(f, "cached       {kernels} kernels, {blobs} blobs, {mb:.1} MB")?;
        let Counts { results, faults, cancelled, agreed, outvoted, .. } = self.counts;
        writeln!(f, "this run     {results} results, {faults} faults, {cancelled} called off")?;
        writeln!(f, "             {agreed} agreed, {outvoted} outvoted, {} not settled yet", self.unsettled)?;
        write!(f, "             {} earned", usd(self.counts.earned_nano_usd))?;
        match self.earnings {
            Some(earnings) => write!(f, "\n{earnings}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Earnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "earned       {} in all, {} balance", usd(self.earned_nano_usd), usd(self.balance_nano_usd))?;
        write!(f, "votes        {} agreed, {} outvoted", self.votes_agreed, self.votes_outvoted)
    }
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

const _: () = assert!(STALE_MS > 5 * limits::REPORT_EVERY.as_millis() as u64);

fn usd(nano: u64) -> p2c2r_protocol::Credits {
    p2c2r_protocol::Credits::from_nano_usd(nano)
}
