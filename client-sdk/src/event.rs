//! What a game is told.

use std::time::Duration;

use bytes::Bytes;

use p2c2r_protocol::Credits;
pub use p2c2r_protocol::message::Basis;
use p2c2r_protocol::message::Refusal;
use p2c2r_signing::Outcome;

use crate::task::TaskHandle;

/// Something happened. Each submitted task gives exactly one [`Event::Result`] or [`Event::Failed`]; a result from the
/// network is followed by exactly one of [`Event::Confirmed`], [`Event::Revoked`] and [`Event::Unverified`]. One that is confirmed
/// on [`Basis::HeldWindow`] may be followed by one [`Event::Withdrawn`], within minutes as a rule.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An answer.
    Result(TaskResult),
    /// The answer is right, as far as the basis goes.
    Confirmed {
        /// Which task.
        handle: TaskHandle,
        /// What it cost.
        cost: Credits,
        /// What this rests on.
        basis: Basis,
        /// From submit to here.
        after: Duration,
    },
    /// The answer was wrong; this is the right one.
    Revoked {
        /// Which task.
        handle: TaskHandle,
        /// What it cost.
        cost: Credits,
        /// How the kernel really ended.
        outcome: Outcome,
        /// The right output.
        output: Bytes,
        /// The right units.
        units: u64,
        /// What this rests on.
        basis: Basis,
        /// From submit to here.
        after: Duration,
    },
    /// An answer that was confirmed on one peer's word is not: the peer was caught lying since.
    Withdrawn {
        /// Which task.
        handle: TaskHandle,
        /// What went back to the account: all it cost, unless the right answer comes instead.
        refund: Credits,
        /// The right answer, where others could still be asked for it.
        right: Option<Right>,
    },
    /// No quorum was reached: nothing is charged, and nobody vouches for the answer.
    Unverified {
        /// Which task.
        handle: TaskHandle,
        /// Why.
        code: Refusal,
    },
    /// There will be no answer.
    Failed {
        /// Which task.
        handle: TaskHandle,
        /// Why.
        reason: Failure,
    },
    /// The connection changed.
    Network(Network),
}

/// The right answer, after a wrong one was withdrawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Right {
    /// How the kernel really ended.
    pub outcome: Outcome,
    /// The right output.
    pub output: Bytes,
    /// The right units.
    pub units: u64,
}

/// An answer and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskResult {
    /// Which task.
    pub handle: TaskHandle,
    /// Where it ran.
    pub provenance: Provenance,
    /// How the kernel ended; only [`Outcome::Output`] is a success.
    pub outcome: Outcome,
    /// The output.
    pub output: Bytes,
    /// Units charged.
    pub units: u64,
    /// From submit to here.
    pub latency: Duration,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provenance {
    /// One peer; the verdict follows.
    RemoteProvisional,
    /// A quorum of peers.
    RemoteConfirmed,
    /// This machine, in the same sandbox. Free, and there is no verdict.
    Local,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// [`crate::Client::cancel`] was called, or the client was shut down.
    #[error("cancelled")]
    Cancelled,
    /// The deadline passed, and this machine may not or could not run it either.
    #[error("no answer within the deadline")]
    Deadline,
    /// The network refused, and this machine may not or could not run it either.
    #[error("refused by the network ({code:?}): {message}")]
    Refused {
        /// Machine-readable reason.
        code: Refusal,
        /// The coordinator's words.
        message: String,
    },
    /// This machine could not run it, and there is no network.
    #[error("local run failed: {0}")]
    Local(String),
}

/// State of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// Not connected: starting, or trying again with growing pauses.
    Offline {
        /// Why, as far as known.
        reason: String,
    },
    /// Connected, budget on hold.
    Ready {
        /// What may be spent.
        budget: Credits,
    },
    /// Connected, but no budget: tasks run locally.
    NoBudget {
        /// Machine-readable reason.
        code: Refusal,
        /// The coordinator's words.
        message: String,
    },
    /// The coordinator takes no new tasks; running ones finish.
    Draining,
}
