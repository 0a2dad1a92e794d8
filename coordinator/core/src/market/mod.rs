//! The market itself.

mod view;

use p2c2r_signing::TicketKey;

pub use view::{PeerView, SessionView};

use crate::config::MarketConfig;
use crate::io::{Input, Millis, Output};
use crate::record::Snapshot;
use crate::stats::Stats;

/// The market.
pub struct Market {
    stats: Stats,
}

impl Market {
    /// A market over an empty store.
    #[must_use]
    pub fn new(config: MarketConfig, seed: [u8; 32], key: TicketKey) -> Self {
        Self::restore(config, seed, key, Snapshot::default(), Millis(0))
    }

    /// A market over what a store kept.
    #[must_use]
    pub fn restore(config: MarketConfig, seed: [u8; 32], key: TicketKey, snapshot: Snapshot, now: Millis) -> Self {
        let _ = (config, seed, key, snapshot, now);
        Self { stats: Stats::default() }
    }

    /// Takes in one event.
    pub fn handle(&mut self, now: Millis, input: Input) {
        let _ = (now, input);
    }

    /// Next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }

    /// When to send [`Input::Tick`] at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Millis> {
        None
    }
}
