//! Figures a game can draw.

use std::collections::VecDeque;
use std::time::Duration;

use p2c2r_protocol::Credits;

use crate::event::{Event, Network, Provenance};
use crate::limits::SAMPLES;

/// Live figures since start.
#[derive(Debug, Clone, PartialEq)]
pub struct Stats {
    /// State of the connection.
    pub network: Network,
    /// Tasks submitted.
    pub submitted: u64,
    /// Tasks under way: submitted, and their last event not yet produced.
    pub live: usize,
    /// First answers from the network.
    pub remote: u64,
    /// Answers from this machine.
    pub local: u64,
    /// Tasks without an answer.
    pub failed: u64,
    /// Verdicts that agreed with the first answer.
    pub confirmed: u64,
    /// Verdicts that replaced it.
    pub revoked: u64,
    /// Verdicts that could not be reached.
    pub unverified: u64,
    /// Confirmed answers withdrawn since.
    pub withdrawn: u64,
    /// What the network charged, also for tasks this machine was faster with, less what it paid back.
    pub spent: Credits,
    /// Submit to first answer from the network.
    pub remote_latency: Quantiles,
    /// Submit to answer from this machine.
    pub local_latency: Quantiles,
}

/// Quantiles of the last [`SAMPLES`] durations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quantiles {
    /// Median.
    pub p50: Duration,
    /// 95 %.
    pub p95: Duration,
    /// 99 %.
    pub p99: Duration,
}

impl Stats {
    /// Share of answers that came from the network, 0 to 1; 0 before the first.
    #[must_use]
    pub fn remote_share(&self) -> f64 {
        let all = self.remote + self.local;
        if all == 0 { 0.0 } else { self.remote as f64 / all as f64 }
    }
}

/// Collects what [`Stats`] shows.
#[derive(Debug)]
pub(crate) struct Recorder {
    stats: Stats,
    remote: Samples,
    local: Samples,
}

impl Recorder {
    pub(crate) fn new(network: Network) -> Self {
        let stats = Stats {
            network,
            submitted: 0,
            live: 0,
            remote: 0,
            local: 0,
            failed: 0,
            confirmed: 0,
            revoked: 0,
            unverified: 0,
            withdrawn: 0,
            spent: Credits::ZERO,
            remote_latency: Quantiles::default(),
            local_latency: Quantiles::default(),
        };
        Self { stats, remote: Samples::new(SAMPLES), local: Samples::new(SAMPLES) }
    }

    pub(crate) fn submitted(&mut self) {
        self.stats.submitted += 1;
    }

    pub(crate) fn charged(&mut self, cost: Credits) {
        // Past 18 billion dollars the figure stops growing.
        self.stats.spent = self.stats.spent.checked_add(cost).unwrap_or(self.stats.spent);
    }

    pub(crate) fn refunded(&mut self, refund: Credits) {
        self.stats.spent = self.stats.spent.checked_sub(refund).unwrap_or(Credits::ZERO);
    }

    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::Result(result) if result.provenance == Provenance::Local => {
                self.stats.local += 1;
                self.local.push(result.latency);
            }
            Event::Result(result) => {
                self.stats.remote += 1;
                self.remote.push(result.latency);
            }
            Event::Confirmed { .. } => self.stats.confirmed += 1,
            Event::Revoked { .. } => self.stats.revoked += 1,
            Event::Unverified { .. } => self.stats.unverified += 1,
            Event::Withdrawn { .. } => self.stats.withdrawn += 1,
            Event::Failed { .. } => self.stats.failed += 1,
            Event::Network(network) => self.stats.network = network.clone(),
        }
    }

    pub(crate) fn snapshot(&self, live: usize) -> Stats {
        let quantiles = |samples: &Samples| Quantiles {
            p50: samples.quantile(50),
            p95: samples.quantile(95),
            p99: samples.quantile(99),
        };
        Stats {
            live,
            remote_latency: quantiles(&self.remote),
            local_latency: quantiles(&self.local),
            ..self.stats.clone()
        }
    }
}

/// The last few durations.
#[derive(Debug)]
pub(crate) struct Samples {
    last: VecDeque<Duration>,
    bound: usize,
}

impl Samples {
    pub(crate) fn new(bound: usize) -> Self {
        Self { last: VecDeque::new(), bound }
    }

    pub(crate) fn push(&mut self, duration: Duration) {
        if self.last.len() == self.bound {
            self.last.pop_front();
        }
        self.last.push_back(duration);
    }

    /// Nearest rank; zero without samples.
    pub(crate) fn quantile(&self, percent: usize) -> Duration {
        let mut sorted: Vec<Duration> = self.last.iter().copied().collect();
        sorted.sort_unstable();
        match sorted.len() {
            0 => Duration::ZERO,
            n => sorted[(n * percent).div_ceil(100).clamp(1, n) - 1],
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.last.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_look_at_the_last_samples_only() {
        let mut samples = Samples::new(100);
        for ms in 0..1000 {
            samples.push(Duration::from_millis(ms));
        }
        assert_eq!(samples.quantile(50), Duration::from_millis(949));
        assert_eq!(samples.quantile(99), Duration::from_millis(998));
        assert_eq!(Samples::new(1).quantile(50), Duration::ZERO);
    }
}
