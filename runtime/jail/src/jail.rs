//! The supervisor's side: kernels are loaded and attempts run, in processes that can be killed.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use p2c2r_runtime::limits::{BLOBS, CACHE_ENTRY_BYTES, DEADLINE, WORKERS};
use p2c2r_runtime::{Attempt, Cache, Execution, GpuInfo, HostFault, Metering, PathKind, result_classes};
use p2c2r_signing::{BlobId, ClassId, Digest, Manifest, ModuleId, ResultClass, VerifiedModule};

use crate::blobs::SharedBlobs;
use crate::config::JailConfig;
use crate::confine::Protections;
use crate::gpu::{GpuLine, GpuWorker};
use crate::limits::{INLINE_BYTES, LOAD, SHARED_BLOB_BYTES, SPARES, START, TOGETHER};
use crate::memory::{Sealed, Window};
use crate::message::{About, Fault, Order, Payload, Ran, Report, Role, Run};
use crate::process::{AskError, Patience, Process};
use crate::stock::Stock;

/// The jail could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum JailError {
    /// Too many workers, or none.
    #[error("workers is {got}, must be 1 to {max}")]
    Workers {
        /// The value given.
        got: u32,
        /// The bound.
        max: u32,
    },
    /// The system does not tell where this program is.
    #[error("where this program is: {0}")]
    Program(io::Error),
    /// The worker's program is not there.
    #[error("{}: the program that runs kernels is missing; install it beside this one", .0.display())]
    Missing(PathBuf),
    /// No worker gets ready.
    #[error("{0}")]
    Worker(String),
    /// The cache folder or its key cannot be used.
    #[error("cache {}: {source}", .dir.display())]
    Cache {
        /// The folder given.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system gives no thread.
    #[error("thread: {0}")]
    Thread(io::Error),
}

/// A module that cannot be loaded here. No statement about what it would compute.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The host does not compile it: too large in some respect, or the compiler failed.
    #[error("{0}")]
    Refused(String),
    /// Compiling took too long.
    #[error("not compiled after {} s, the limit", .limit.as_secs())]
    CompileTime {
        /// The limit.
        limit: Duration,
    },
    /// This machine failed it.
    #[error("{0}")]
    Host(String),
}

/// Runs kernels in processes of their own. Cheap to clone; clones share everything, and the last one ends the processes.
#[derive(Clone)]
pub struct Jail(Arc<Inner>);

struct Inner {
    workers: usize,
    compile: Duration,
    about: About,
    cache: Option<Cache>,
    blobs: SharedBlobs,
    gpu: GpuWorker,
    floor: Mutex<Floor>,
    // Last: its thread, when it ends, takes all processes with it.
    stock: Stock,
}

/// Workers that have a kernel.
#[derive(Default)]
struct Floor {
    /// Waiting for the next attempt, most recently used last.
    idle: VecDeque<Bound>,
    /// Attempts under way.
    busy: usize,
}

/// A kernel that is compiled. Cheap to clone.
#[derive(Clone)]
pub struct JailedKernel(Arc<Compiled>);

struct Compiled {
    module: VerifiedModule,
    memory: Sealed,
    /// The code with its length, or why every run ends as `Outcome::BadAbi`.
    code: Result<(Sealed, u64), String>,
    from_cache: bool,
}

/// A worker that has loaded a kernel; it never sees another.
struct Bound {
    kernel: ModuleId,
    process: Process,
    input: Window,
    output: Window,
    held: Held,
}

/// The blobs a worker has mapped.
#[derive(Default)]
struct Held {
    clock: u64,
    blobs: BTreeMap<BlobId, (u64, u64)>,
}

impl Jail {
    /// Starts the first workers and waits for one.
    ///
    /// # Errors
    /// [`JailError`] says what is missing.
    pub fn start(config: JailConfig) -> Result<Self, JailError> {
        if !(1..=WORKERS).contains(&config.workers) {
            return Err(JailError::Workers { got: config.workers, max: WORKERS });
        }
        // Workers start in another folder: a relative path would mean another file there.
        let Ok(worker) = config.worker.canonicalize() else { return Err(JailError::Missing(config.worker)) };
        let stock = Stock::open(worker, SPARES).map_err(JailError::Thread)?;
        let first = stock.take(Role::Execute, Instant::now() + START).map_err(JailError::Worker)?;
        let about = first.about().clone();
        stock.put_back(Role::Execute, first);
        let code_id = about.code_id.ok_or_else(|| JailError::Worker("a worker of another kind".to_owned()))?;
        let open = |dir: PathBuf| {
            Cache::open(&dir, about.engine_id, code_id).map_err(|source| JailError::Cache { dir, source })
        };
        let gpu = GpuWorker::start(config.gpu, config.compile, &stock);
        let cache = config.cache_dir.map(open).transpose()?;
        Ok(Self(Arc::new(Inner {
            workers: config.workers as usize,
            compile: config.compile,
            about,
            cache,
            blobs: SharedBlobs::default(),
            gpu,
            floor: Mutex::default(),
            stock,
        })))
    }

    /// Identity of everything about the engine that could change a result.
    #[must_use]
    pub fn engine_id(&self) -> Digest {
        self.0.about.engine_id
    }

    /// The result classes this machine can run in, CPU first.
    #[must_use]
    pub fn classes(&self) -> Vec<(ClassId, PathKind)> {
        result_classes(&self.0.about.engine_id, self.gpu_info())
    }

    /// The adapter in use.
    #[must_use]
    pub fn gpu_info(&self) -> Option<&GpuInfo> {
        self.0.gpu.info()
    }

    /// Why there is no GPU, if there is none.
    #[must_use]
    pub fn gpu_missing(&self) -> Option<&str> {
        self.0.gpu.missing()
    }

    /// What stands between the graphics driver and the rest of the machine, if there is a GPU.
    #[must_use]
    pub fn gpu_protections(&self) -> Option<&Protections> {
        self.0.gpu.protections()
    }

    /// What stands between kernels and this machine.
    #[must_use]
    pub fn protections(&self) -> &Protections {
        &self.0.about.protections
    }

    /// Has a verified module compiled, or takes its code from the cache.
    ///
    /// # Errors
    /// [`LoadError`]. A module that merely breaks the contract loads, and every run of it ends as `Outcome::BadAbi`.
    pub fn load(&self, module: &VerifiedModule) -> Result<JailedKernel, LoadError> {
        let host = |error: io::Error| LoadError::Host(format!("shared memory: {error}"));
        let memory = Sealed::new(module.bytes()).map_err(host)?;
        let metering = Metering::of(module.manifest());
        let cached = self.0.cache.as_ref().and_then(|cache| cache.load(metering, &module.id()));
        let (code, from_cache) = match cached {
            Some(code) => (Ok(code), true),
            None => (self.compile(module, &memory)?, false),
        };
        if let (Some(cache), Ok(code), false) = (&self.0.cache, &code, from_cache) {
            cache.store(metering, &module.id(), code);
        }
        self.0.gpu.prepare(&self.0.stock, module, &memory);
        let code = match code {
            Ok(code) => Ok((Sealed::new(&code).map_err(host)?, code.len() as u64)),
            Err(reason) => Err(reason),
        };
        Ok(JailedKernel(Arc::new(Compiled { module: module.clone(), memory, code, from_cache })))
    }

    /// Runs one attempt; the calling thread waits. `blobs` are the identities of the attempt's blobs, in its order.
    ///
    /// # Errors
    /// [`HostFault`] for whatever depends on this machine.
    pub fn run(&self, kernel: &JailedKernel, attempt: &Attempt, blobs: &[BlobId]) -> Result<Execution, HostFault> {
        attempt.check(kernel.manifest())?;
        if blobs.len() != attempt.blobs.len() {
            return Err(HostFault::Internal(format!("{} ids for {} blobs", blobs.len(), attempt.blobs.len())));
        }
        let ran = self.run_together(kernel, &[(attempt, blobs)])?;
        ran.into_iter().next().unwrap_or_else(|| Err(HostFault::Internal("no report".to_owned())))
    }

    /// Runs attempts of one kernel, one after the other, each as [`Self::run`] does. Small ones share the way to a worker and
    /// back, and the shortest of their deadlines; if that passes, or their worker dies, none of those that were not done yet
    /// is. Nobody looks at their cancel flags.
    pub fn run_all(
        &self,
        kernel: &JailedKernel,
        attempts: &[(Attempt, Vec<BlobId>)],
    ) -> Vec<Result<Execution, HostFault>> {
        let mut results = Vec::with_capacity(attempts.len());
        while let Some(rest @ [(first, ids), ..]) = attempts.get(results.len()..) {
            let company = self.together(kernel, rest);
            if company < 2 {
                results.push(self.run(kernel, first, ids));
                continue;
            }
            let group: Vec<(&Attempt, &[BlobId])> =
                rest.iter().take(company).map(|(attempt, ids)| (attempt, ids.as_slice())).collect();
            match self.run_together(kernel, &group) {
                Ok(ran) => results.extend(ran),
                Err(fault) => results.extend(vec![Err(fault); company]),
            }
        }
        results
    }

    /// Whether the GPU worker has a part in an attempt on this path. If not, and it is [`PathKind::Exact`], the execute
    /// worker does it by itself.
    fn on_adapter(&self, kernel: &JailedKernel, path: PathKind) -> bool {
        match path {
            PathKind::Cpu => false,
            PathKind::Gpu => true,
            PathKind::Exact => {
                kernel.manifest().result_class == ResultClass::Exact
                    && self.gpu_info().is_some_and(|gpu| gpu.may_vote_on(ResultClass::Exact))
            }
        }
    }

    /// How many of these attempts, from the first, may share a message.
    fn together(&self, kernel: &JailedKernel, attempts: &[(Attempt, Vec<BlobId>)]) -> usize {
        let (mut input_bytes, mut blobs) = (0, 0);
        let fits = |(attempt, ids): &&(Attempt, Vec<BlobId>)| {
            input_bytes += attempt.input.len();
            blobs += ids.len();
            input_bytes <= INLINE_BYTES
                && blobs <= BLOBS
                && ids.len() == attempt.blobs.len()
                && !self.on_adapter(kernel, attempt.path)
                && attempt.check(kernel.manifest()).is_ok()
        };
        attempts.iter().take(TOGETHER).take_while(fits).count()
    }

    /// Runs the first of these attempts, at least one, on one worker.
    fn run_together(
        &self,
        kernel: &JailedKernel,
        group: &[(&Attempt, &[BlobId])],
    ) -> Result<Vec<Result<Execution, HostFault>>, HostFault> {
        let started = Instant::now();
        let after = group.iter().map(|(attempt, _)| attempt.deadline()).fold(DEADLINE, Duration::min);
        let until = started + after;
        let mut place = self.0.place()?;
        let mut bound = match place.take(kernel.id()) {
            Some(bound) => bound,
            None => self.bind(kernel, until).map_err(|error| fault(error, after))?,
        };
        let one = if let [(attempt, _)] = group { Some(*attempt) } else { None };
        let patience = Patience { until, cancel: one.and_then(|attempt| attempt.cancel.as_ref()) };
        let line = if one.is_some_and(|attempt| self.on_adapter(kernel, attempt.path)) {
            let (module, memory) = (&kernel.0.module, &kernel.0.memory);
            Some(self.0.gpu.attach(&self.0.stock, module, memory, &patience, after)?)
        } else {
            None
        };
        let gpu_worker = line.as_ref().map(|line| line.worker);
        let result = bound.attempts(&self.0.blobs, kernel.manifest(), group, line, &patience);
        // Whatever is no report ends the worker: it may still be running.
        let ran = result.map_err(|error| fault(error, after))?;
        place.put_back(bound);
        if let (Some(worker), true) = (gpu_worker, ran.iter().any(|ran| matches!(ran, Err(Fault::Gpu(_))))) {
            self.0.gpu.retire(worker);
        }
        Ok(ran.into_iter().map(|ran| ran.map_err(|fault| fault.into_host(after))).collect())
    }

    /// The code, or why every run of the module is `BadAbi`.
    fn compile(&self, module: &VerifiedModule, memory: &Sealed) -> Result<Result<Vec<u8>, String>, LoadError> {
        let host = |error: io::Error| LoadError::Host(format!("shared memory: {error}"));
        let limit = self.0.compile;
        let mut process = self.0.stock.take(Role::Compile, Instant::now() + START).map_err(LoadError::Host)?;
        let window = Window::new(CACHE_ENTRY_BYTES).map_err(host)?;
        let order = Order::Compile {
            signer: module.signer(),
            module_bytes: module.bytes().len() as u64,
            code_bytes: window.bytes(),
        };
        let patience = Patience { until: Instant::now() + limit, cancel: None };
        let compiled = process.ask(&order, &[memory.as_fd(), window.as_fd()], &patience, |report| match report {
            Report::Compiled(compiled) => Ok(compiled),
            other => Err(nonsense(&other)),
        });
        match compiled {
            Ok(Ok(Ok(bytes))) => window.take(bytes).map(Ok).map_err(host),
            Ok(Ok(Err(reason))) => Ok(Err(reason)),
            Ok(Err(refused)) => Err(LoadError::Refused(refused)),
            Err(AskError::Late) => Err(LoadError::CompileTime { limit }),
            Err(error) => Err(LoadError::Host(format!("compiling: {error}"))),
        }
    }

    /// Makes a fresh worker the kernel's own.
    fn bind(&self, kernel: &JailedKernel, until: Instant) -> Result<Bound, AskError> {
        let limits = &kernel.manifest().limits;
        let mut process = self.0.stock.take(Role::Execute, until).map_err(AskError::Nonsense)?;
        if process.about() != &self.0.about {
            return Err(AskError::Nonsense("it is another program than before; restart the peer".to_owned()));
        }
        let (input, output) = (Window::new(limits.input_bytes)?, Window::new(limits.output_bytes)?);
        let (code, code_bytes) = match &kernel.0.code {
            Ok((code, bytes)) => (code, Ok(*bytes)),
            // Something must be sent in its place.
            Err(reason) => (&kernel.0.memory, Err(Cow::Borrowed(reason.as_str()))),
        };
        let order = Order::Load {
            signer: kernel.0.module.signer(),
            module_bytes: kernel.0.module.bytes().len() as u64,
            code: code_bytes,
            input_bytes: input.bytes(),
            output_bytes: output.bytes(),
        };
        let descriptors = [kernel.0.memory.as_fd(), code.as_fd(), input.as_fd(), output.as_fd()];
        let patience = Patience { until: Instant::now() + LOAD, cancel: None };
        process.ask(&order, &descriptors, &patience, |report| match report {
            Report::Loaded(Ok(())) => Ok(()),
            Report::Loaded(Err(reason)) => Err(AskError::Nonsense(reason)),
            other => Err(nonsense(&other)),
        })?;
        Ok(Bound { kernel: kernel.id(), process, input, output, held: Held::default() })
    }
}

impl Inner {
    /// A place on the floor for one attempt.
    fn place(&self) -> Result<Place<'_>, HostFault> {
        let mut floor = self.floor();
        if floor.busy >= self.workers {
            return Err(HostFault::Busy { workers: self.workers as u32 });
        }
        floor.busy += 1;
        Ok(Place(self))
    }

    fn floor(&self) -> MutexGuard<'_, Floor> {
        self.floor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Taken for the time of an attempt.
struct Place<'a>(&'a Inner);

impl Place<'_> {
    /// A worker of this kernel, if one is idle. If not, and all places have workers, the longest idle one goes.
    fn take(&mut self, kernel: ModuleId) -> Option<Bound> {
        let mut floor = self.0.floor();
        let found = floor.idle.iter().rposition(|bound| bound.kernel == kernel);
        if let Some(bound) = found.and_then(|at| floor.idle.remove(at)) {
            return Some(bound);
        }
        let full = floor.busy + floor.idle.len() > self.0.workers;
        let gone = if full { floor.idle.pop_front() } else { None };
        drop(floor);
        // Outside the lock: killing a process takes a moment.
        drop(gone);
        None
    }

    fn put_back(&mut self, bound: Bound) {
        self.0.floor().idle.push_back(bound);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.floor().busy -= 1;
    }
}

impl Bound {
    /// The inner errors are the worker's own word; after the outer one the worker is of no use.
    fn attempts(
        &mut self,
        shared: &SharedBlobs,
        manifest: &Manifest,
        group: &[(&Attempt, &[BlobId])],
        gpu: Option<GpuLine>,
        patience: &Patience<'_>,
    ) -> Result<Vec<Result<Execution, Fault>>, AskError> {
        let (mut memories, mut given, mut runs) = (Vec::new(), Vec::new(), Vec::with_capacity(group.len()));
        for (attempt, ids) in group {
            for (id, bytes) in ids.iter().zip(&attempt.blobs) {
                let len = bytes.len() as u64;
                if self.held.note(*id, len) {
                    memories.push(shared.share(*id, bytes)?);
                    given.push((*id, len));
                }
            }
            let input = if attempt.input.len() <= INLINE_BYTES {
                Payload::Inline(&attempt.input)
            } else {
                self.input.write(0, &attempt.input)?;
                Payload::Window(attempt.input.len() as u64)
            };
            runs.push(Run {
                input,
                blobs: ids.to_vec(),
                seed: attempt.seed,
                gpu: gpu.as_ref().map(|gpu| gpu.window.bytes()),
                exact: attempt.path == PathKind::Exact,
                max_units: attempt.max_units,
                deadline: attempt.deadline(),
            });
        }
        let order = Order::Run { forget: self.held.forget(group), given, runs };
        let line = gpu.iter().flat_map(|gpu| [gpu.line.as_fd(), gpu.window.as_fd()]);
        let descriptors: Vec<BorrowedFd<'_>> = memories.iter().map(|memory| memory.as_fd()).chain(line).collect();
        let output_window = &self.output;
        let result = self.process.ask(&order, &descriptors, patience, |report| match report {
            Report::Ran(ended) if (1..=group.len()).contains(&ended.len()) => {
                let hear = |(ran, (attempt, _)): (Result<Ran<'_>, _>, &(&Attempt, _))| match ran {
                    Ok(ran) => checked(ran, output_window, manifest, attempt).map(Ok),
                    Err(fault) => Ok(Err(fault)),
                };
                ended.into_iter().zip(group).map(hear).collect()
            }
            other => Err(nonsense(&other)),
        });
        if let [(attempt, _)] = group
            && attempt.input.len() > INLINE_BYTES
        {
            self.input.release(attempt.input.len() as u64)?;
        }
        result
    }
}

/// What a worker says of one attempt, if it can be.
fn checked(mut ran: Ran<'_>, window: &Window, manifest: &Manifest, attempt: &Attempt) -> Result<Execution, AskError> {
    let output = match std::mem::replace(&mut ran.output, Payload::Window(0)) {
        Payload::Inline(bytes) => bytes.to_vec(),
        Payload::Window(bytes) => {
            let output = window.take(bytes)?;
            window.release(bytes)?;
            output
        }
    };
    let (units, most) = (ran.units, manifest.limits.units.min(attempt.max_units));
    if output.len() as u64 > manifest.limits.output_bytes || units > most {
        return Err(AskError::Nonsense(format!(
            "{} bytes and {units} units, at most {} and {most} are possible",
            output.len(),
            manifest.limits.output_bytes
        )));
    }
    Ok(ran.into_execution(output))
}

impl Held {
    /// Whether the blob is new to the worker.
    fn note(&mut self, id: BlobId, bytes: u64) -> bool {
        self.clock += 1;
        self.blobs.insert(id, (self.clock, bytes)).is_none()
    }

    /// What the worker is to forget: the longest unused beyond the bound, never what is in use.
    fn forget(&mut self, in_use: &[(&Attempt, &[BlobId])]) -> Vec<BlobId> {
        let mut forgotten = Vec::new();
        let mut bytes: u64 = self.blobs.values().map(|(_, bytes)| bytes).sum();
        while bytes > SHARED_BLOB_BYTES || self.blobs.len() > 2 * BLOBS {
            let used = |id: &BlobId| in_use.iter().any(|(_, ids)| ids.contains(id));
            let candidates = self.blobs.iter().filter(|(id, _)| !used(id));
            let Some((id, size)) = candidates.min_by_key(|(_, (used, _))| *used).map(|(id, (_, size))| (*id, *size))
            else {
                break;
            };
            self.blobs.remove(&id);
            bytes -= size;
            forgotten.push(id);
        }
        forgotten
    }
}

impl JailedKernel {
    /// The module's identity.
    #[must_use]
    pub fn id(&self) -> ModuleId {
        self.0.module.id()
    }

    /// The module's manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.0.module.manifest()
    }

    /// Whether the code came from the cache.
    #[must_use]
    pub fn from_cache(&self) -> bool {
        self.0.from_cache
    }
}

impl std::fmt::Debug for Jail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jail").field("workers", &self.0.workers).field("about", &self.0.about).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for JailedKernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JailedKernel").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// What it means for an attempt that its worker gave no report.
fn fault(error: AskError, after: Duration) -> HostFault {
    match error {
        AskError::Late => HostFault::Deadline { after },
        AskError::Cancelled => HostFault::Cancelled,
        error @ (AskError::Died(_) | AskError::Nonsense(_) | AskError::System(_)) => {
            HostFault::Internal(error.to_string())
        }
    }
}

pub(crate) fn nonsense(report: &Report<'_>) -> AskError {
    AskError::Nonsense(format!("{report:?} out of turn"))
}
