//! What the demo reports: the client's own record of its tasks, and the figures of the whole run.

use serde::{Deserialize, Serialize};

use p2c2r_signing::{Digest, PublicKey};

/// What the demo client writes when it is done.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ClientRecord {
    /// Every task, in order of submission.
    pub tasks: Vec<TaskRecord>,
    /// The picture it put together, if it did.
    pub image: Option<String>,
}

/// One task as the client saw it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Name of the kernel.
    pub kernel: String,
    /// Units charged.
    pub units: u64,
    /// What it cost, nano-USD; 0 unless confirmed or revoked.
    pub cost_nano_usd: u64,
    /// From submit to the first answer, milliseconds.
    pub latency_ms: f64,
    /// From submit to the verdict, milliseconds.
    pub verdict_ms: Option<f64>,
    /// How it ended.
    pub end: TaskEnd,
    /// Digest of the right answer, as far as one came.
    pub output: Option<Digest>,
}

/// How a task ended, as the client saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskEnd {
    /// The first answer was right.
    Confirmed,
    /// The first answer was wrong, the right one followed.
    Revoked,
    /// No quorum.
    Unverified,
    /// Run on this machine.
    Local,
    /// Not run at all.
    Failed,
}

/// One line of progress on the demo client's standard output.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Progress {
    /// Tasks submitted.
    pub submitted: u64,
    /// First answers.
    pub answered: u64,
    /// Tasks at their end.
    pub ended: u64,
    /// Tasks there will be.
    pub total: u64,
}

/// `--json`.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// Tasks submitted.
    pub tasks_submitted: u64,
    /// Tasks whose first answer the quorum confirmed.
    pub tasks_confirmed: u64,
    /// Tasks whose first answer was replaced.
    pub tasks_revoked: u64,
    /// Tasks run by the client without a network, with the network's bytes.
    pub tasks_local: u64,
    /// Submit to first answer.
    pub latency_ms: Latency,
    /// Every peer.
    pub peers: Vec<PeerLine>,
    /// The platform's fee.
    pub platform_nano_usd: u64,
    /// What the client paid.
    pub client_spent_nano_usd: u64,
    /// Whether coordinator, client and our own computation agree to the nano-dollar.
    pub ledger_balanced: bool,
    /// The picture.
    pub image: Option<String>,
}

/// Quantiles, milliseconds.
#[derive(Debug, Serialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 95 %.
    pub p95: f64,
    /// 99 %.
    pub p99: f64,
}

/// A peer's line.
#[derive(Debug, Serialize)]
pub struct PeerLine {
    /// Its key.
    pub id: PublicKey,
    /// What it is in this demo.
    #[serde(skip)]
    pub name: String,
    /// What it earned.
    pub earned_nano_usd: u64,
    /// Votes that agreed with the verdict.
    pub votes_agreed: u64,
    /// Votes that did not.
    pub votes_outvoted: u64,
}

impl Latency {
    /// Nearest-rank quantiles of `samples`; zero without samples.
    #[must_use]
    pub fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let at = |percent: usize| match samples.len() {
            0 => 0.0,
            n => samples[(n * percent).div_ceil(100).clamp(1, n) - 1],
        };
        Self { p50: at(50), p95: at(95), p99: at(99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_rank() {
        let latency = Latency::of((1..=100).rev().map(f64::from).collect());
        assert_eq!((latency.p50, latency.p95, latency.p99), (50.0, 95.0, 99.0));
        assert!(Latency::of(Vec::new()).p99.abs() < f64::EPSILON);
    }
}
