//! What runs an attempt. The peer's own program knows only [`JailExecutor`]; the trait is the seam for tests and for
//! programs that study what the network does to a peer that answers otherwise.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use p2c2r_jail::{Jail, JailConfig, JailError, JailedKernel, LoadError};
use p2c2r_protocol::message::{Fault, OfferedClass, Path};
use p2c2r_runtime::{Attempt, CancelFlag, Execution, HostFault, PathKind, seed_for};
use p2c2r_signing::{
    AttemptNonce, BlobId, ClassId, InputDigest, ModuleId, Outcome, TaskId, TraceRoot, VerifiedModule, input_digest,
};

use crate::config::PeerConfig;
use crate::limits;

/// An attempt with everything it needs at hand.
#[derive(Debug)]
pub struct Assignment {
    /// The task.
    pub task: TaskId,
    /// The attempt.
    pub nonce: AttemptNonce,
    /// The kernel, its signature checked here.
    pub kernel: VerifiedModule,
    /// The class to run in, one of [`Executor::classes`].
    pub class: ClassId,
    /// That class's path.
    pub path: Path,
    /// The task's input.
    pub input: Bytes,
    /// The task's blobs, hashes checked here, in its order.
    pub blobs: Vec<(BlobId, Bytes)>,
    /// The client's seed.
    pub seed: u64,
    /// Units it may charge.
    pub max_units: u64,
    /// Time left.
    pub deadline: Duration,
    /// Raised when nobody waits any more.
    pub cancel: CancelFlag,
}

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How it ended.
    pub outcome: Outcome,
    /// What it wrote.
    pub output: Bytes,
    /// Units charged.
    pub units: u64,
    /// Digest of final memory and buffers.
    pub trace_root: TraceRoot,
}

/// Runs attempts, on several threads at once.
pub trait Executor: Send + Sync + 'static {
    /// The classes it can run in.
    fn classes(&self) -> Vec<OfferedClass>;

    /// The device, for people.
    fn device(&self) -> String;

    /// Runs one attempt on the calling thread.
    ///
    /// # Errors
    /// The fault that kept it from an outcome.
    fn execute(&self, assignment: &Assignment) -> Result<Answer, Fault>;

    /// Runs attempts one after the other, for an executor that can save something by it.
    fn execute_all(&self, assignments: &[Assignment]) -> Vec<Result<Answer, Fault>> {
        assignments.iter().map(|assignment| self.execute(assignment)).collect()
    }
}

/// Runs attempts in the jail and answers with what came out.
pub struct JailExecutor {
    jail: Jail,
    classes: Vec<OfferedClass>,
    /// Compiled kernels, most recently used last. A cell is filled by the first to need it; the others wait for it.
    kernels: Mutex<VecDeque<(ModuleId, LoadCell)>>,
}

type LoadCell = Arc<OnceLock<Result<JailedKernel, LoadError>>>;

impl Assignment {
    /// Digest of input, blobs and seed.
    #[must_use]
    pub fn input_digest(&self) -> InputDigest {
        let ids: Vec<BlobId> = self.blobs.iter().map(|(id, _)| *id).collect();
        input_digest(&self.input, &ids, self.seed)
    }
}

impl JailExecutor {
    /// Sets up the jail a configuration asks for. Looking for a GPU and probing it takes up to a second or so.
    ///
    /// # Errors
    /// [`JailError`] says what is missing.
    pub fn start(config: &PeerConfig) -> Result<Self, JailError> {
        let worker = JailConfig::worker_beside_me().map_err(JailError::Program)?;
        let jail = Jail::start(JailConfig {
            cache_dir: Some(config.data.join("compiled")),
            gpu: config.gpu,
            // One more for quick attempts on the network's thread.
            workers: u32::from(config.workers) + 1,
            ..JailConfig::new(worker)
        })?;
        Ok(Self::new(jail))
    }

    /// Runs attempts in `jail`.
    #[must_use]
    pub fn new(jail: Jail) -> Self {
        let path = |kind| match kind {
            PathKind::Cpu => Path::Cpu,
            PathKind::Gpu => Path::Gpu,
            PathKind::Exact => Path::Exact,
        };
        let classes =
            jail.classes().into_iter().map(|(class, kind)| OfferedClass { class, path: path(kind) }).collect();
        Self { jail, classes, kernels: Mutex::default() }
    }

    fn kernel(&self, module: &VerifiedModule) -> Result<JailedKernel, LoadError> {
        self.cell(module.id()).get_or_init(|| self.jail.load(module)).clone()
    }

    fn cell(&self, id: ModuleId) -> LoadCell {
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = kernels.iter().rposition(|(known, _)| *known == id) {
            // The last is the most recent: one kernel in a row costs no move.
            if at + 1 < kernels.len()
                && let Some(entry) = kernels.remove(at)
            {
                kernels.push_back(entry);
            }
            return kernels.back().map(|(_, cell)| Arc::clone(cell)).unwrap_or_default();
        }
        if kernels.len() >= limits::HOT_KERNELS {
            kernels.pop_front();
        }
        let cell = LoadCell::default();
        kernels.push_back((id, Arc::clone(&cell)));
        cell
    }
}

impl Executor for JailExecutor {
    fn classes(&self) -> Vec<OfferedClass> {
        self.classes.clone()
    }

    fn device(&self) -> String {
        match (self.jail.gpu_info(), self.jail.gpu_missing()) {
            (Some(gpu), _) => format!("{} ({}, {})", gpu.adapter, gpu.backend, gpu.driver),
            (None, why) => format!("cpu only, no gpu: {}", why.unwrap_or("none found")),
        }
    }

    fn execute(&self, assignment: &Assignment) -> Result<Answer, Fault> {
        let kernel = self.kernel(&assignment.kernel).map_err(|error| unloadable(assignment, &error))?;
        let (attempt, ids) = attempt(assignment);
        answer(assignment, self.jail.run(&kernel, &attempt, &ids))
    }

    fn execute_all(&self, assignments: &[Assignment]) -> Vec<Result<Answer, Fault>> {
        let same_kernel = |one: &Assignment, other: &Assignment| one.kernel.id() == other.kernel.id();
        let run = |group: &[Assignment]| -> Vec<Result<Answer, Fault>> {
            let Some(first) = group.first() else { return Vec::new() };
            match self.kernel(&first.kernel) {
                Ok(kernel) => {
                    let ran = self.jail.run_all(&kernel, &group.iter().map(attempt).collect::<Vec<_>>());
                    group.iter().zip(ran).map(|(assignment, ran)| answer(assignment, ran)).collect()
                }
                Err(error) => group.iter().map(|assignment| Err(unloadable(assignment, &error))).collect(),
            }
        };
        assignments.chunk_by(same_kernel).flat_map(run).collect()
    }
}

/// What the jail is given, with the identities of the blobs.
fn attempt(assignment: &Assignment) -> (Attempt, Vec<BlobId>) {
    let attempt = Attempt {
        input: assignment.input.clone(),
        blobs: assignment.blobs.iter().map(|(_, bytes)| bytes.clone()).collect(),
        seed: seed_for(&assignment.kernel.id(), &assignment.input_digest()),
        path: match assignment.path {
            Path::Cpu => PathKind::Cpu,
            Path::Gpu => PathKind::Gpu,
            Path::Exact => PathKind::Exact,
        },
        max_units: assignment.max_units,
        deadline: assignment.deadline,
        cancel: Some(assignment.cancel.clone()),
    };
    (attempt, assignment.blobs.iter().map(|(id, _)| *id).collect())
}

fn answer(assignment: &Assignment, ran: Result<Execution, HostFault>) -> Result<Answer, Fault> {
    match ran {
        Ok(execution) => Ok(Answer {
            outcome: execution.outcome,
            output: execution.output.into(),
            units: execution.units,
            trace_root: execution.trace_root,
        }),
        Err(fault) => {
            tracing::debug!(task = %assignment.task.short(), %fault, "attempt ended without an outcome");
            Err(wire_fault(&fault))
        }
    }
}

fn unloadable(assignment: &Assignment, error: &LoadError) -> Fault {
    tracing::warn!(kernel = %assignment.kernel.id().short(), %error, "kernel does not load");
    Fault::Internal
}

impl std::fmt::Debug for JailExecutor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JailExecutor").field("jail", &self.jail).finish_non_exhaustive()
    }
}

/// The wire's word for a host fault.
const fn wire_fault(fault: &HostFault) -> Fault {
    match fault {
        HostFault::Deadline { .. } => Fault::Deadline,
        HostFault::Cancelled => Fault::Preempted,
        HostFault::Busy { .. } | HostFault::OutOfMemory(_) | HostFault::StackOverflow { .. } => Fault::Resources,
        HostFault::Gpu(_) => Fault::Gpu,
        HostFault::TooLarge { .. } | HostFault::Internal(_) => Fault::Internal,
    }
}
