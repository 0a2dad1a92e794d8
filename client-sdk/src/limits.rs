//! Bounds of the client, each with its unit and reason.

use std::time::Duration;

/// Tasks between submit and their last event. A game at 60 frames a second that asks 16 things a frame with a second of
/// patience needs a quarter of it.
pub const TASKS: usize = 4096;

/// Events waiting to be polled; past it `submit` refuses, so a game that stopped polling cannot grow the queue.
pub const EVENTS: usize = 2 * TASKS + 64;

/// Commands on their way to the background thread.
pub const COMMANDS: usize = TASKS;

/// Bytes of all blobs kept for upload and for local runs.
pub const BLOB_BYTES: u64 = 1 << 30;

/// Answers on a held window whose withdrawal is still believed, the oldest forgotten first: what a busy game asks for in an
/// hour. 8 bytes each.
pub const WITHDRAWABLE: usize = 65_536;

/// Blobs kept.
pub const BLOBS: usize = 1024;

/// Kernels added.
pub const KERNELS: usize = 256;

/// Local runs waiting for a thread; more than a few never make their deadline.
pub const LOCAL_QUEUE: usize = 256;

/// Threads of the local fallback at most.
pub const LOCAL_THREADS: usize = 64;

/// Bytes of stack of a local thread: what the sandbox asks for, twice.
pub const LOCAL_STACK_BYTES: usize = 4 << 20;

/// First and longest pause between two tries to connect.
pub const RECONNECT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(15));

/// Longest local run.
pub const LOCAL_RUN: Duration = Duration::from_secs(30);

/// How long a verdict is waited for after the task's deadline, until which its other executions have time, or a first answer that is
/// later; twice the coordinator's default verification window.
pub const VERDICT_WAIT: Duration = Duration::from_secs(30);

/// Latencies kept for quantiles, per kind of answer.
pub const SAMPLES: usize = 1024;

/// Local run times kept per kernel to predict the next.
pub const RUN_SAMPLES: usize = 64;
