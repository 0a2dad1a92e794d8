//! What supervisor and worker say to each other: one order, one report. The supervisor trusts nothing in a report but
//! that it is about the kernel this worker was given.

use std::borrow::Cow;
use std::time::Duration;

use p2c2r_runtime::gpu::{GpuFault, GpuStop, Interface};
use p2c2r_runtime::{Execution, GpuInfo, HostFault, LogLevel, LogLine};
use p2c2r_signing::{BlobId, Digest, ModuleId, Outcome, PublicKey, TraceRoot, VerifiedModule};
use serde::{Deserialize, Serialize};

use crate::confine::Protections;

/// The kinds of worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Compile,
    Execute,
    /// With software adapters, or without.
    Gpu {
        software: bool,
    },
}

impl Role {
    /// As on the command line of the worker.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Compile => "compile",
            Self::Execute => "execute",
            Self::Gpu { software: true } => "gpu",
            Self::Gpu { software: false } => "gpu-hardware",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Compile, Self::Execute, Self::Gpu { software: true }, Self::Gpu { software: false }]
            .into_iter()
            .find(|role| role.name() == name)
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
    /// To an execute worker that has loaded: attempts, one after the other. Several only if they are small and none is on
    /// the GPU path. Descriptors: the blobs that are given (sealed); then, on the GPU path, the attempt's line to the GPU
    /// worker and the window they share.
    Run {
        /// Blobs the worker may forget, before anything else.
        forget: Vec<BlobId>,
        /// Blobs that are new to it, with their bytes.
        given: Vec<(BlobId, u64)>,
        #[serde(borrow)]
        runs: Vec<Run<'a>>,
    },
    /// To a GPU worker: the shaders of a kernel. Descriptor: module (sealed).
    Prepare { kernel: KernelRef },
    /// To a GPU worker: a session for one attempt. Descriptors: module (sealed), line to the execute worker, window, and one to
    /// be closed when the session is over.
    Attach { kernel: KernelRef, window_bytes: u64, deadline: Duration },
}

/// A module for a GPU worker, which looks into it the first time it hears of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KernelRef {
    pub(crate) id: ModuleId,
    pub(crate) signer: PublicKey,
    /// Length of the module.
    pub(crate) bytes: u64,
}

impl KernelRef {
    pub(crate) fn of(module: &VerifiedModule) -> Self {
        Self { id: module.id(), signer: module.signer(), bytes: module.bytes().len() as u64 }
    }
}

/// One attempt.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Run<'a> {
    #[serde(borrow)]
    pub(crate) input: Payload<'a>,
    pub(crate) blobs: Vec<BlobId>,
    pub(crate) seed: [u8; 32],
    /// Bytes of the window shared with the GPU worker, if that does the work.
    pub(crate) gpu: Option<u64>,
    /// Exact shaders, which the CPU reference runs if no GPU worker does.
    pub(crate) exact: bool,
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

/// From a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report<'a> {
    /// The doors are shut.
    Ready(Box<About>),
    /// Bytes of code in the window, why every run is `BadAbi`, or why the module is not for this host.
    Compiled(Result<Result<u64, String>, String>),
    Loaded(Result<(), String>),
    /// Whether the shaders are compiled and the session, if one was asked for, is open.
    Attached(Result<(), Refusal>),
    /// The first of the attempts that were asked for, at least one: as many as a message holds. The rest is to be asked
    /// for again.
    #[serde(borrow)]
    Ran(Vec<Result<Ran<'a>, Fault>>),
}

/// What a worker is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) engine_id: Digest,
    /// Of a compile or execute worker.
    pub(crate) code_id: Option<Digest>,
    pub(crate) protections: Protections,
    /// Of a GPU worker: its adapter, or why there is none.
    pub(crate) adapter: Option<Result<Adapter, String>>,
}

/// [`GpuInfo`] on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Adapter {
    name: String,
    driver: String,
    backend: String,
    software: bool,
    long_loops: bool,
    unfit_loops: Vec<String>,
    unfit_floats: Option<String>,
    numeric_class: Digest,
}

/// Why there is no session.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Refusal {
    /// The kernel's shaders are not for this host.
    Kernel(String),
    /// The device is gone and there is no other.
    Device(String),
}

/// From an execute worker to the GPU worker, on the line of one attempt: one call of the guest.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum GpuCall<'a> {
    Create(i64),
    Write {
        handle: i32,
        offset: i64,
        #[serde(borrow)]
        bytes: Payload<'a>,
    },
    Read {
        handle: i32,
        offset: i64,
        bytes: u64,
    },
    Drop(i32),
    Dispatch {
        #[serde(borrow, with = "serde_bytes")]
        name: &'a [u8],
        groups: [u32; 3],
        bindings: Vec<(u32, i32)>,
    },
    Trace,
}

impl GpuCall<'_> {
    /// Whether the guest waits for it. What it is told of the other calls is known before ([`p2c2r_runtime::gpu::Statuses`]).
    pub(crate) const fn is_answered(&self) -> bool {
        match self {
            Self::Create(_) | Self::Drop(_) | Self::Dispatch { .. } => false,
            // The window is in use until then.
            Self::Write { bytes, .. } => matches!(bytes, Payload::Window(_)),
            Self::Read { .. } | Self::Trace => true,
        }
    }
}

/// And back. The first says what dispatches must give the shaders, before any call.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum GpuReply<'a> {
    /// It is written.
    Done,
    Trace(Digest),
    /// A shader ran out of its loop budget.
    Trapped,
    /// Of this call, or of one before it that is not answered.
    Fault(GpuTrouble),
    Interfaces(Vec<Interface>),
    #[serde(borrow)]
    Read(Payload<'a>),
}

/// [`GpuFault`] on the wire.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum GpuTrouble {
    Lost(String),
    Deadline,
    Cancelled,
    OutOfMemory,
    Refused(String),
    Unavailable(String),
}

/// [`Execution`] on the wire.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ran<'a> {
    pub(crate) outcome: Outcome,
    #[serde(borrow)]
    pub(crate) output: Payload<'a>,
    pub(crate) units: u64,
    pub(crate) trace_root: TraceRoot,
    #[serde(borrow)]
    pub(crate) log: Vec<(Level, Cow<'a, str>)>,
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

impl From<&GpuInfo> for Adapter {
    fn from(info: &GpuInfo) -> Self {
        Self {
            name: info.adapter.clone(),
            driver: info.driver.clone(),
            backend: info.backend.clone(),
            software: info.software,
            long_loops: info.long_loops,
            unfit_loops: info.unfit_loops.clone(),
            unfit_floats: info.unfit_floats.clone(),
            numeric_class: info.numeric_class,
        }
    }
}

impl From<Adapter> for GpuInfo {
    fn from(adapter: Adapter) -> Self {
        Self {
            adapter: adapter.name,
            driver: adapter.driver,
            backend: adapter.backend,
            software: adapter.software,
            long_loops: adapter.long_loops,
            unfit_loops: adapter.unfit_loops,
            unfit_floats: adapter.unfit_floats,
            numeric_class: adapter.numeric_class,
        }
    }
}

impl From<GpuFault> for GpuTrouble {
    fn from(fault: GpuFault) -> Self {
        match fault {
            GpuFault::Lost(reason) => Self::Lost(reason),
            GpuFault::Deadline => Self::Deadline,
            GpuFault::Cancelled => Self::Cancelled,
            GpuFault::OutOfMemory => Self::OutOfMemory,
            GpuFault::Refused(reason) => Self::Refused(reason),
            GpuFault::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

impl From<GpuStop> for GpuReply<'_> {
    fn from(stop: GpuStop) -> Self {
        match stop {
            GpuStop::Fault(fault) => Self::Fault(fault.into()),
            GpuStop::Trap => Self::Trapped,
        }
    }
}

impl From<GpuTrouble> for GpuFault {
    fn from(trouble: GpuTrouble) -> Self {
        match trouble {
            GpuTrouble::Lost(reason) => Self::Lost(reason),
            GpuTrouble::Deadline => Self::Deadline,
            GpuTrouble::Cancelled => Self::Cancelled,
            GpuTrouble::OutOfMemory => Self::OutOfMemory,
            GpuTrouble::Refused(reason) => Self::Refused(reason),
            GpuTrouble::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

impl From<&HostFault> for Fault {
    fn from(fault: &HostFault) -> Self {
        match fault {
            HostFault::Deadline { .. } => Self::Deadline,
            HostFault::Cancelled => Self::Cancelled,
            HostFault::OutOfMemory(reason) => Self::OutOfMemory(reason.clone()),
            HostFault::StackOverflow { .. } => Self::StackOverflow,
            HostFault::Gpu(reason) => Self::Gpu(reason.clone()),
            // The supervisor checks sizes and lets one attempt run at a time.
            fault @ (HostFault::Busy { .. } | HostFault::TooLarge { .. }) => Self::Internal(fault.to_string()),
            HostFault::Internal(reason) => Self::Internal(reason.clone()),
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
        let line = |(level, text): (Level, Cow<'_, str>)| LogLine { level: level.into(), text: text.into_owned() };
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
