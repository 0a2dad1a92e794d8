//! One attempt: what goes in, what comes out, and what may end it without an outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use p2c2r_signing::{InputDigest, Manifest, ModuleId, Outcome, TraceRoot};

use crate::limits::{BLOB_BYTES, BLOBS, DEADLINE};

const SEED_DOMAIN: &str = "P2C2R 2026-11-22 guest seed v1";

/// Where a kernel's heavy part runs. Each is a result class of its own; quorums never mix them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathKind {
    /// In the Wasm itself; `gpu_caps` is 0.
    #[default]
    Cpu,
    /// In the module's shaders, on this machine's adapter.
    Gpu,
    /// In the module's shaders, all of them exact: on an adapter that may vote on such, else on the CPU reference. Nobody can tell.
    Exact,
}

/// Everything one attempt depends on besides the kernel.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The task's input; at most the manifest's `input_bytes`.
    pub input: Bytes,
    /// The blobs the task names, in its order. The caller has checked their hashes.
    pub blobs: Vec<Bytes>,
    /// What `seed` returns; see [`seed_for`].
    pub seed: [u8; 32],
    /// Where the heavy part runs.
    pub path: PathKind,
    /// Units the task's hold covers; the manifest's limit applies as well.
    pub max_units: u64,
    /// Time from the call of [`crate::Sandbox::run`] to [`HostFault::Deadline`].
    pub deadline: Duration,
    /// Ends the attempt from another thread.
    pub cancel: Option<CancelFlag>,
}

impl Attempt {
    /// An attempt on the CPU path with no blobs, a zero seed, no bound on units but the manifest's and a deadline of
    /// ten seconds.
    #[must_use]
    pub fn new(input: impl Into<Bytes>) -> Self {
        Self {
            input: input.into(),
            blobs: Vec::new(),
            seed: [0; 32],
            path: PathKind::Cpu,
            max_units: u64::MAX,
            deadline: Duration::from_secs(10),
            cancel: None,
        }
    }

    /// The deadline it gets: at most [`DEADLINE`].
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.deadline.min(DEADLINE)
    }

    /// Checks input and blobs against the kernel's limits and the host's.
    ///
    /// # Errors
    /// [`HostFault::TooLarge`].
    pub fn check(&self, manifest: &Manifest) -> Result<(), HostFault> {
        let blob_bytes = self.blobs.iter().map(|blob| blob.len() as u64).fold(0, u64::saturating_add);
        for (what, got, max) in [
            ("bytes of input", self.input.len() as u64, manifest.limits.input_bytes),
            ("blobs", self.blobs.len() as u64, BLOBS as u64),
            ("bytes of blobs", blob_bytes, BLOB_BYTES),
        ] {
            if got > max {
                return Err(HostFault::TooLarge { what, got, max });
            }
        }
        Ok(())
    }
}

/// The seed every peer gives a task: a function of kernel and input (which covers the client's own seed).
#[must_use]
pub fn seed_for(module: &ModuleId, input: &InputDigest) -> [u8; 32] {
    let mut h = blake3::Hasher::new_derive_key(SEED_DOMAIN);
    h.update(module.as_bytes());
    h.update(input.as_bytes());
    *h.finalize().as_bytes()
}

/// Ends a running attempt with [`HostFault::Cancelled`], within about a millisecond. Clones share one flag.
#[derive(Debug, Clone, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// A flag that is not raised.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag for good.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it was raised.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// An attempt that came to an outcome. All fields but `log` and `duration` are functions of kernel, attempt and class.
#[derive(Debug, Clone)]
pub struct Execution {
    /// How it ended.
    pub outcome: Outcome,
    /// What it wrote, also before a trap.
    pub output: Vec<u8>,
    /// Units charged.
    pub units: u64,
    /// Digest of final memory and GPU buffers; see [`crate::trace`].
    pub trace_root: TraceRoot,
    /// What it logged, for the author; never part of a vote.
    pub log: Vec<LogLine>,
    /// Wall-clock time inside the sandbox. Not part of a vote or a bill.
    pub duration: Duration,
}

/// A line a kernel logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: LogLevel,
    /// UTF-8 text; invalid bytes are replaced, and it is cut at [`crate::limits::LOG_LINE_BYTES`].
    pub text: String,
}

/// Levels of [`LogLine`], as in `p2c2r_abi::level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// Detail for the author.
    Debug,
    /// Worth knowing; also every level this host does not know.
    Info,
    /// Something is off; also standard error of a WASI program.
    Warn,
    /// The message of a panic; the trap follows.
    Panic,
}

/// Why an attempt gave no outcome. It depends on this machine, so it is never a vote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostFault {
    /// The deadline passed.
    #[error("not done after {} ms, its deadline", .after.as_millis())]
    Deadline {
        /// The deadline given.
        after: Duration,
    },
    /// [`CancelFlag::cancel`] was called.
    #[error("cancelled")]
    Cancelled,
    /// More attempts at once than [`crate::SandboxConfig::workers`].
    #[error("all {workers} workers of the sandbox are taken")]
    Busy {
        /// The bound.
        workers: u32,
    },
    /// The host could not give memory that the manifest allows.
    #[error("host out of memory: {0}")]
    OutOfMemory(String),
    /// The native stack ended before the logical one ([`crate::limits::STACK_SLOTS`]). Its depth differs between engines,
    /// so it says nothing about the kernel; only a function whose frame the compiler makes several times larger than its
    /// locals gets here.
    #[error("native stack of {bytes} bytes exhausted")]
    StackOverflow {
        /// Bytes a guest may use, [`crate::limits::WASM_STACK_BYTES`].
        bytes: usize,
    },
    /// The GPU was lost, hung, refused, or is not there.
    #[error("gpu: {0}")]
    Gpu(String),
    /// Input or blobs pass a limit; the task should not have been assigned.
    #[error("{got} {what}, at most {max} are allowed")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        got: u64,
        /// The bound.
        max: u64,
    },
    /// A bug in this crate or in one below it.
    #[error("internal: {0}")]
    Internal(String),
}
