//! What supervisor and worker say to each other: one order, one report. The supervisor trusts nothing in a report but
//! that it is about the kernel this worker was given.

use std::borrow::Cow;
use std::time::Duration;

use p2c2r_runtime::{Execution, HostFault, LogLevel, LogLine, PathKind};
use p2c2r_signing::{BlobId, Digest, Outcome, PublicKey, TraceRoot};
use serde::{Deserialize, Serialize};

use crate::confine::Protections;

/// The kinds of worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Compile,
    Execute,
}

impl Role {
    /// As on the command line of the worker.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Compile => "compile",
            Self::Execute => "execute",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Compile, Self::Execute].into_iter().find(|role| role.name() == name)
    }
}

/// From the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order<'a> {
    /// To a compile worker, once. Descriptors: module (sealed), window for the code.
    Compile { signer: PublicKey, module_bytes: u64, code_bytes: u64 },
    /// To an execute worker, once. Descriptors: module and code (sealed), windows for input and output. Without code, the
    /// reason why every run is `BadAbi`.
    Load { signer: PublicKey, module_bytes: u64, code: Result<u64, Cow<'a, str>>, input_bytes: u64, output_bytes: u64 },
    /// To an execute worker that has loaded. Descriptors: blobs it has not been given yet (sealed).
    #[serde(borrow)]
    Run(Run<'a>),
}

/// One attempt.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Run<'a> {
    #[serde(borrow)]
    pub(crate) input: Payload<'a>,
    pub(crate) blobs: Vec<Blob>,
    /// Blobs the worker may forget.
    pub(crate) forget: Vec<BlobId>,
    pub(crate) seed: [u8; 32],
    pub(crate) path: Path,
    pub(crate) max_units: u64,
    pub(crate) deadline: Duration,
}

/// Bytes in the message, or so many in the window.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Payload<'a> {
    #[serde(borrow, with = "serde_bytes")]
    Inline(&'a [u8]),
    Window(u64),
}

/// A blob of an attempt.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Blob {
    pub(crate) id: BlobId,
    pub(crate) bytes: u64,
    /// Whether its descriptor comes with this message.
    pub(crate) here: bool,
}

/// [`PathKind`] on the wire.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Path {
    Cpu,
    Gpu,
}

/// From a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report<'a> {
    /// The doors are shut.
    Ready {
        engine_id: Digest,
        code_id: Digest,
        protections: Protections,
    },
    /// Bytes of code in the window, why every run is `BadAbi`, or why the module is not for this host.
    Compiled(Result<Result<u64, String>, String>),
    Loaded(Result<(), String>),
    #[serde(borrow)]
    Ran(Result<Ran<'a>, Fault>),
}

/// [`Execution`] on the wire.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ran<'a> {
    pub(crate) outcome: Outcome,
    #[serde(borrow)]
    pub(crate) output: Payload<'a>,
    pub(crate) units: u64,
    pub(crate) trace_root: TraceRoot,
    pub(crate) log: Vec<(Level, String)>,
    pub(crate) duration: Duration,
}

/// [`LogLevel`] on the wire.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Level {
    Debug,
    Info,
    Warn,
    Panic,
}

/// [`HostFault`] on the wire.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Fault {
    Deadline,
    Cancelled,
    OutOfMemory(String),
    StackOverflow,
    Gpu(String),
    Internal(String),
}

impl From<PathKind> for Path {
    fn from(path: PathKind) -> Self {
        match path {
            PathKind::Cpu => Self::Cpu,
            PathKind::Gpu => Self::Gpu,
        }
    }
}

impl From<Path> for PathKind {
    fn from(path: Path) -> Self {
        match path {
            Path::Cpu => Self::Cpu,
            Path::Gpu => Self::Gpu,
        }
    }
}

impl From<HostFault> for Fault {
    fn from(fault: HostFault) -> Self {
        match fault {
            HostFault::Deadline { .. } => Self::Deadline,
            HostFault::Cancelled => Self::Cancelled,
            HostFault::OutOfMemory(reason) => Self::OutOfMemory(reason),
            HostFault::StackOverflow { .. } => Self::StackOverflow,
            HostFault::Gpu(reason) => Self::Gpu(reason),
            // The supervisor checks sizes and gives one attempt at a time.
            fault @ (HostFault::Busy { .. } | HostFault::TooLarge { .. }) => Self::Internal(fault.to_string()),
            HostFault::Internal(reason) => Self::Internal(reason),
        }
    }
}

impl Fault {
    /// Back again; `after` is the deadline that was given.
    pub(crate) fn into_host(self, after: Duration) -> HostFault {
        match self {
            Self::Deadline => HostFault::Deadline { after },
            Self::Cancelled => HostFault::Cancelled,
            Self::OutOfMemory(reason) => HostFault::OutOfMemory(reason),
            Self::StackOverflow => HostFault::StackOverflow { bytes: p2c2r_runtime::limits::WASM_STACK_BYTES },
            Self::Gpu(reason) => HostFault::Gpu(reason),
            Self::Internal(reason) => HostFault::Internal(reason),
        }
    }
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Debug => Self::Debug,
            LogLevel::Info => Self::Info,
            LogLevel::Warn => Self::Warn,
            LogLevel::Panic => Self::Panic,
        }
    }
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Panic => Self::Panic,
        }
    }
}

impl Ran<'_> {
    /// The execution, with its output wherever it was.
    pub(crate) fn into_execution(self, output: Vec<u8>) -> Execution {
        let line = |(level, text): (Level, String)| LogLine { level: level.into(), text };
        Execution {
            outcome: self.outcome,
            output,
            units: self.units,
            trace_root: self.trace_root,
            log: self.log.into_iter().map(line).collect(),
            duration: self.duration,
        }
    }
}
