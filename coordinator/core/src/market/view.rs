//! Read-only views, for reports and tests.

use p2c2r_protocol::Credits;
use p2c2r_signing::{AccountId, ModuleId, SessionId};

use super::Market;
use crate::ledger::Ledger;
use crate::record::{KernelRecord, PeerRecord, SuspicionRecord};
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
    /// Kernels it is past its probation with.
    pub kernels_trusted: usize,
}

/// An open session as a report shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// Which.
    pub session: SessionId,
    /// Whose.
    pub account: AccountId,
    /// The client's own number of it.
    pub number: u64,
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
    /// Counters, and gauges as they are now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let peers = self.conns.values().filter(|conn| matches!(conn, super::Conn::Peer(_))).count() as u64;
        Stats {
            clients: self.conns.len() as u64 - peers,
            peers,
            sessions: self.sessions.len() as u64,
            tasks: self.tasks.len() as u64,
            pending: self.queue.len() as u64,
            unsettled: self.decided.len() as u64,
            commits_in_flight: self.commits.in_flight() as u64,
            golden_bytes: self.goldens.bytes() as u64,
            recheck_bytes: self.archive.bytes() as u64,
            kernels_suspected: self.suspects.len() as u64,
            ..self.stats.clone()
        }
    }

    /// What an account may spend; `None` if there is no such account.
    #[must_use]
    pub fn balance(&self, account: AccountId) -> Option<Credits> {
        self.ledger.available(account)
    }

    /// What the platform earned.
    #[must_use]
    pub fn platform(&self) -> Credits {
        self.ledger.platform()
    }

    /// Every account with its balance, in order.
    pub fn accounts(&self) -> impl Iterator<Item = (AccountId, Credits)> + '_ {
        self.ledger.accounts()
    }

    /// Every peer known, in order of its key.
    pub fn peers(&self) -> impl Iterator<Item = PeerView> + '_ {
        self.peers.iter().map(|peer| PeerView {
            record: peer.standing.record.clone(),
            online: peer.link.is_some(),
            suspended: peer.standing.suspended(self.now),
            running: peer.running(),
            kernels_trusted: peer.kernels_trusted(&self.config.trust),
        })
    }

    /// Every open session, in order.
    pub fn sessions(&self) -> impl Iterator<Item = SessionView> + '_ {
        self.sessions.iter().map(|session| SessionView {
            session: session.id,
            account: session.account,
            number: session.number,
            connected: session.conn.is_some(),
            budget: session.budget,
            spent: session.budget.checked_sub(self.ledger.held(session.id)).unwrap_or(Credits::ZERO),
            reserved: session.reserved,
            tasks: session.tasks.len(),
        })
    }

    /// A registered kernel.
    #[must_use]
    pub fn kernel(&self, module: ModuleId) -> Option<&KernelRecord> {
        self.kernels.get(&module)
    }

    /// Every registered kernel, in order.
    pub fn kernels(&self) -> impl Iterator<Item = &KernelRecord> + '_ {
        self.kernels.values()
    }

    /// Why a kernel is held to be at fault; `None` if it is not.
    #[must_use]
    pub fn suspicion(&self, module: ModuleId) -> Option<&SuspicionRecord> {
        self.suspects.get(&module)
    }

    /// The ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whether the sum over all ledger accounts is zero and only the outside is negative.
    #[must_use]
    pub fn ledger_balanced(&self) -> bool {
        self.ledger.balanced()
    }

    /// Lines of the journal.
    #[must_use]
    pub fn journal_lines(&self) -> u64 {
        self.ledger.lines()
    }

    /// Number of the last settlement batch.
    #[must_use]
    pub fn last_batch(&self) -> u64 {
        self.ledger.last_batch()
    }

    /// Whether a drained market has nothing left to do: no task, no undurable commit. Holds stay open for the restart.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.tasks.len() == 0 && self.commits.in_flight() == 0
    }
}
