//! What an operator decides about the market.

use std::collections::BTreeSet;

use p2c2r_signing::AccountId;

use crate::limits::Limits;
use crate::trust::TrustConfig;

/// Settings of a market. They may differ between two runs of the same store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarketConfig {
    /// Percent of a task's cost that goes to the peers, at most 100; the rest and every remainder go to the platform.
    pub peer_share_percent: u8,
    /// Milliseconds between settlement batches.
    pub settle_every_ms: u64,
    /// Milliseconds after a task's deadline in which an answer already delivered may still be verified.
    pub verify_window_ms: u64,
    /// Milliseconds a hold stays open without its client.
    pub hold_grace_ms: u64,
    /// Milliseconds after a restart in which a session's money is kept for results from before it: no new tasks
    /// draw on that session. Peers should be back by then.
    pub recovery_ms: u64,
    /// Attempts beyond the replicas asked for before a task is given up.
    pub extra_attempts: u8,
    /// A peer with this many wrong votes among its last 64 gets no work for [`Self::suspend_ms`]. 1: votes are exact, and
    /// a cheat that knows when it is trusted lies so rarely that no larger number would ever find it.
    pub suspend_outvoted: u32,
    /// Milliseconds of a first suspension. Each further one is twice as long, up to 128 times: a peer that earns its
    /// trust again to lie again has ever less time to do so. Two hours: at a task a second, eight times as long as the honest work
    /// by which a cheat earns its trust, so that a second round of it does not raise its income.
    pub suspend_ms: u64,
    /// A peer with this many faults in a row, lost attempts included, gets no work for [`Self::cooldown_ms`]. Not a verdict on
    /// its honesty.
    pub cooldown_faults: u32,
    /// Milliseconds of a first cool-down. Each further fault before an outcome brings one twice as long, up to 128 times: who
    /// accepts and drops is soon given next to nothing.
    pub cooldown_ms: u64,
    /// Audits, and pay held back.
    pub trust: TrustConfig,
    /// Who is given work, and when a second one.
    pub dispatch: DispatchConfig,
    /// Accounts whose peers are the operator's referees: they get no ordinary work, and their vote decides a dispute.
    pub referees: BTreeSet<AccountId>,
    /// Bounds.
    pub limits: Limits,
}

/// What an operator decides about the choice of peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DispatchConfig {
    /// Hedges for a hundred attempts that are none, at most 100; 0 switches hedging off. 10: one attempt in ten runs past
    /// the 90th percentile of its forecast if forecasts are right.
    pub hedge_percent: u32,
}

impl Default for DispatchConfig {
    fn default() -> Self {
        Self { hedge_percent: 10 }
    }
}

impl Default for MarketConfig {
    fn default() -> Self {
        Self {
            peer_share_percent: 75,
            settle_every_ms: 1_000,
            verify_window_ms: 10_000,
            hold_grace_ms: 120_000,
            recovery_ms: 30_000,
            extra_attempts: 3,
            suspend_outvoted: 1,
            suspend_ms: 7_200_000,
            cooldown_faults: 3,
            cooldown_ms: 5_000,
            trust: TrustConfig::default(),
            dispatch: DispatchConfig::default(),
            referees: BTreeSet::new(),
            limits: Limits::default(),
        }
    }
}
