//! Read-only views, for reports and tests.

use p2c2r_protocol::Credits;
use p2c2r_signing::{AccountId, ModuleId, SessionId};

use super::Market;
use crate::record::{KernelRecord, PeerRecord};
use crate::stats::Stats;

/// A peer as a report shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerView {
    /// Its standing.
    pub record: PeerRecord,
    /// Whether it is connected.
    pub online: bool,
    /// Whether it is suspended for wrong votes.
    pub suspended: bool,
    /// Attempts it is running.
    pub running: usize,
}

/// An open session as a report shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// Which.
    pub session: SessionId,
    /// Whose.
    pub account: AccountId,
    /// Whether its client is connected.
    pub connected: bool,
    /// What was put on hold.
    pub budget: Credits,
    /// What of it is charged so far, in batches already cut.
    pub spent: Credits,
    /// What tasks in flight may still cost.
    pub reserved: Credits,
    /// Tasks between submit and settlement.
    pub tasks: usize,
}

impl Market {
    /// Counters and gauges.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// What an account may spend; `None` if there is no such account.
    #[must_use]
    pub fn balance(&self, account: AccountId) -> Option<Credits> {
        let _ = account;
        None
    }

    /// What the platform earned.
    #[must_use]
    pub fn platform(&self) -> Credits {
        Credits::ZERO
    }

    /// Every account with its balance, in order.
    pub fn accounts(&self) -> impl Iterator<Item = (AccountId, Credits)> + '_ {
        std::iter::empty()
    }

    /// Every peer known, in order of its key.
    pub fn peers(&self) -> impl Iterator<Item = PeerView> + '_ {
        std::iter::empty()
    }

    /// Every open session, in order.
    pub fn sessions(&self) -> impl Iterator<Item = SessionView> + '_ {
        std::iter::empty()
    }

    /// A registered kernel.
    #[must_use]
    pub fn kernel(&self, module: ModuleId) -> Option<&KernelRecord> {
        let _ = module;
        None
    }

    /// Every registered kernel, in order.
    pub fn kernels(&self) -> impl Iterator<Item = &KernelRecord> + '_ {
        std::iter::empty()
    }

    /// Whether the sum over all ledger accounts is zero and only the outside is negative.
    #[must_use]
    pub fn ledger_balanced(&self) -> bool {
        true
    }

    /// Lines of the journal.
    #[must_use]
    pub fn journal_lines(&self) -> u64 {
        0
    }

    /// Number of the last settlement batch.
    #[must_use]
    pub fn last_batch(&self) -> u64 {
        0
    }

    /// Whether a drained market has nothing left to do: no task, no undurable commit. Holds stay open for the restart.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        true
    }
}
