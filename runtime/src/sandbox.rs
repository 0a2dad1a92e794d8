//! The sandbox: engines, cache, GPU, and the two verbs `load` and `run`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use p2c2r_signing::{ClassId, Digest, ResultClass, VerifiedModule};

use crate::attempt::{Attempt, Execution, HostFault, PathKind};
use crate::cache::Cache;
use crate::engine::{Bounds, Metering, Plant, code_id, engine_id};
use crate::gpu::{Gpu, GpuAttempt, GpuInfo, GpuOptions};
use crate::kernel::{Compiled, Kernel, LoadError, compile, compile_partly};
use crate::rewrite::Parts;
use crate::{limits, run};

const CLASS_DOMAIN: &str = "P2C2R 2026-11-22 result class v1";

/// How a [`Sandbox`] is set up.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Folder for compiled code; `None` compiles on every load. The key that authenticates entries is made beside it.
    pub cache_dir: Option<PathBuf>,
    /// Whether to look for a GPU.
    pub gpu: GpuPolicy,
    /// Attempts that may run at once, at most [`limits::WORKERS`].
    pub workers: u32,
    /// What ends an attempt that does not end by itself.
    pub runaway: Runaway,
}

/// What ends an attempt that does not end by itself. It changes the code that is made, never a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Runaway {
    /// The guest looks at its deadline in every loop and call: about 1.4 times the time on scalar loops.
    #[default]
    Interrupted,
    /// Nothing in here: whoever started this process kills it at the deadline.
    Killed,
}

/// Whether to look for a GPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GpuPolicy {
    /// Offer no adapter's class; exact shaders run on the CPU reference.
    Off,
    /// Use the best adapter that passes the probe suite, if there is one; a software adapter counts.
    #[default]
    Auto,
    /// As [`Self::Auto`], without software adapters.
    Hardware,
    /// As [`Self::Auto`], for kernels of class `device` only: exact ones run on the CPU reference. For referees, whose verdict
    /// should hang on no driver.
    DeviceOnly,
}

impl GpuPolicy {
    /// Which adapters to take; `None` for none.
    #[must_use]
    pub const fn options(self) -> Option<GpuOptions> {
        let (software, exact) = match self {
            Self::Off => return None,
            Self::Auto => (true, true),
            Self::Hardware => (false, true),
            Self::DeviceOnly => (true, false),
        };
        Some(GpuOptions { software, exact })
    }
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self { cache_dir: None, gpu: GpuPolicy::Auto, workers: 8, runaway: Runaway::Interrupted }
    }
}

/// A sandbox could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Too many workers, or none.
    #[error("workers is {got}, must be 1 to {max}")]
    Workers {
        /// The value given.
        got: u32,
        /// The bound.
        max: u32,
    },
    /// The cache folder or its key cannot be used.
    #[error("cache {}: {source}", .dir.display())]
    Cache {
        /// The folder given.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The engine refused its configuration on this machine.
    #[error("engine: {0}")]
    Engine(String),
}

/// Runs kernels. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    engine_id: Digest,
    workers: u32,
    runaway: Runaway,
    bounds: Bounds,
    plain: Arc<Plant>,
    /// Made when the first metered kernel is loaded: most peers never need its address space.
    metered: Mutex<Option<Arc<Plant>>>,
    cache: Option<Cache>,
    gpu: Result<Gpu, String>,
}

impl Sandbox {
    /// Sets up engines, cache and GPU. Looking for a GPU and probing it takes up to a second or so.
    ///
    /// # Errors
    /// [`SandboxError`] if `workers` is out of range, the cache folder cannot be used or the machine cannot host the
    /// engine. A missing GPU is no error; [`Self::gpu_missing`] says why.
    pub fn new(config: SandboxConfig) -> Result<Self, SandboxError> {
        Self::with_memory(config, Bounds::Guarded)
    }

    /// As [`Self::new`], with memory whose bounds every access compares: for measuring what guard pages save. Its code has
    /// another [`Self::code_id`].
    ///
    /// # Errors
    /// As [`Self::new`].
    #[doc(hidden)]
    pub fn with_compared_bounds(config: SandboxConfig) -> Result<Self, SandboxError> {
        Self::with_memory(config, Bounds::Compared)
    }

    fn with_memory(config: SandboxConfig, bounds: Bounds) -> Result<Self, SandboxError> {
        let workers = config.workers;
        if !(1..=limits::WORKERS).contains(&workers) {
            return Err(SandboxError::Workers { got: workers, max: limits::WORKERS });
        }
        let (engine_id, runaway) = (engine_id(), config.runaway);
        let plain = Plant::new(Metering::Plain, workers, runaway, bounds)
            .map_err(|e| SandboxError::Engine(format!("{e:#}")))?;
        let open = |dir: PathBuf| {
            Cache::open(&dir, engine_id, code_id(&plain.engine)).map_err(|source| SandboxError::Cache { dir, source })
        };
        let cache = config.cache_dir.map(open).transpose()?;
        let gpu = match config.gpu.options() {
            None => Err("switched off".to_owned()),
            Some(options) => Gpu::open(options).map_err(|error| error.to_string()),
        };
        match &gpu {
            Ok(gpu) => tracing::info!(adapter = gpu.info().adapter, driver = gpu.info().driver, "gpu ready"),
            Err(reason) => tracing::info!(reason, "no gpu"),
        }
        let (plain, metered) = (Arc::new(plain), Mutex::new(None));
        Ok(Self(Arc::new(Inner { engine_id, workers, runaway, bounds, plain, metered, cache, gpu })))
    }

    /// Identity of everything about the engine that could change a result.
    #[must_use]
    pub fn engine_id(&self) -> Digest {
        self.0.engine_id
    }

    /// Identity of the code this sandbox makes and takes: compiler, processor, settings. See [`crate::Cache`].
    #[must_use]
    pub fn code_id(&self) -> Digest {
        code_id(&self.0.plain.engine)
    }

    /// The result classes this machine can run in, CPU first.
    #[must_use]
    pub fn classes(&self) -> Vec<(ClassId, PathKind)> {
        result_classes(&self.0.engine_id, self.gpu_info())
    }

    /// The adapter in use.
    #[must_use]
    pub fn gpu_info(&self) -> Option<&GpuInfo> {
        self.0.gpu.as_ref().ok().map(Gpu::info)
    }

    /// Why there is no GPU, if there is none.
    #[must_use]
    pub fn gpu_missing(&self) -> Option<&str> {
        self.0.gpu.as_ref().err().map(String::as_str)
    }

    /// Does now what otherwise waits for the first attempt that needs it: opens files of the system, makes the engine of
    /// metered kernels. After it a process may give up its rights.
    ///
    /// # Errors
    /// [`SandboxError::Engine`].
    pub fn prepare(&self) -> Result<(), SandboxError> {
        crate::touched::open();
        self.metered().map(drop).map_err(|e| SandboxError::Engine(format!("{e:#}")))
    }

    /// Attempts that may run at once.
    #[must_use]
    pub fn workers(&self) -> u32 {
        self.0.workers
    }

    /// Compiles a verified module, or takes its code from the cache. Compiling a large module takes seconds and
    /// cannot be interrupted; [`limits`] bound what is tried. Neither can a driver that compiles its shaders, and nothing bounds that:
    /// who runs what others chose has it done in another process, as the jail does.
    ///
    /// # Errors
    /// [`LoadError`] for a module over the host's limits or a failing compiler. A module that merely breaks the
    /// contract loads, and every run of it ends as `Outcome::BadAbi`.
    pub fn load(&self, module: &VerifiedModule) -> Result<Kernel, LoadError> {
        Kernel::load(module, &self.plant(module)?, self.0.cache.as_ref(), self.0.gpu.as_ref().ok())
    }

    /// Compiles a verified module without making it ready to run, for [`Self::load_compiled`] in another process with
    /// the same [`Self::code_id`]. The cache is not asked.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn compile(&self, module: &VerifiedModule) -> Result<Compiled, LoadError> {
        compile(module, &*self.plant(module)?)
    }

    /// As [`Self::compile`], without what makes NaNs or the depth of the stack the same everywhere: for measuring what
    /// that costs. Such code must not vote.
    ///
    /// # Errors
    /// As [`Self::load`].
    #[doc(hidden)]
    pub fn compile_partly(&self, module: &VerifiedModule, nans: bool, stack: bool) -> Result<Compiled, LoadError> {
        compile_partly(module, &*self.plant(module)?, Parts { nans, stack })
    }

    /// As [`Self::load`], with code compiled before.
    ///
    /// # Safety
    /// `compiled` is executed as it is. It must be the unmodified result of [`Self::compile`] for this module by a sandbox
    /// of the same [`Self::code_id`] on this machine, or this process must have nothing to lose.
    ///
    /// # Errors
    /// [`LoadError::Compile`] if wasmtime sees that the code is not for this engine.
    #[expect(unsafe_code, reason = "native code cannot be checked")]
    pub unsafe fn load_compiled(&self, module: &VerifiedModule, compiled: &Compiled) -> Result<Kernel, LoadError> {
        Kernel::with_code(module, &self.plant(module)?, compiled, false, self.0.gpu.as_ref().ok())
    }

    /// Runs one attempt on the calling thread, which needs a stack of at least [`limits::THREAD_STACK_BYTES`]: with less, a
    /// guest that uses what it may ends the process. The standard library's threads have that much, the main thread of
    /// Windows has not.
    ///
    /// # Errors
    /// [`HostFault`] for whatever depends on this machine.
    pub fn run(&self, kernel: &Kernel, attempt: Attempt) -> Result<Execution, HostFault> {
        run::run(kernel, attempt, |clock, path| run::open_gpu(kernel, self.0.gpu.as_ref().ok(), path, clock))
    }

    /// As [`Self::run`] on the GPU path, with a GPU that is somewhere else.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_with_gpu(
        &self,
        kernel: &Kernel,
        attempt: Attempt,
        gpu: Box<dyn GpuAttempt>,
    ) -> Result<Execution, HostFault> {
        run::run(kernel, attempt, |_clock, _path| Ok(Some(gpu)))
    }

    fn plant(&self, module: &VerifiedModule) -> Result<Arc<Plant>, LoadError> {
        match Metering::of(module.manifest()) {
            Metering::Plain => Ok(Arc::clone(&self.0.plain)),
            Metering::Fuel => self.metered().map_err(|e| LoadError::Engine(format!("{e:#}"))),
        }
    }

    fn metered(&self) -> wasmtime::Result<Arc<Plant>> {
        let mut metered = self.0.metered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plant) = &*metered {
            return Ok(Arc::clone(plant));
        }
        let plant = Arc::new(Plant::new(Metering::Fuel, self.0.workers, self.0.runaway, self.0.bounds)?);
        *metered = Some(Arc::clone(&plant));
        Ok(plant)
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("engine_id", &self.0.engine_id)
            .field("workers", &self.0.workers)
            .field("gpu", &self.gpu_info())
            .finish_non_exhaustive()
    }
}

/// The result classes of a machine with this engine and adapter, CPU first. That of exact shaders is the same on every machine,
/// and every machine has it: what no adapter does, the CPU reference does.
#[must_use]
pub fn result_classes(engine_id: &Digest, gpu: Option<&GpuInfo>) -> Vec<(ClassId, PathKind)> {
    let everywhere = [PathKind::Cpu, PathKind::Exact].map(|path| (class(engine_id, path, None), path));
    // The class of an adapter is for its floats.
    let gpu = gpu.filter(|gpu| gpu.may_vote_on(ResultClass::Device));
    let gpu = gpu.map(|gpu| (class(engine_id, PathKind::Gpu, Some(&gpu.numeric_class)), PathKind::Gpu));
    everywhere.into_iter().chain(gpu).collect()
}

fn class(engine_id: &Digest, path: PathKind, numeric: Option<&Digest>) -> ClassId {
    let mut h = blake3::Hasher::new_derive_key(CLASS_DOMAIN);
    h.update(engine_id.as_bytes());
    h.update(match path {
        PathKind::Cpu => &b"cpu"[..],
        PathKind::Gpu => b"gpu",
        PathKind::Exact => b"exact",
    });
    if let Some(numeric) = numeric {
        h.update(numeric.as_bytes());
    }
    ClassId::from_bytes(*h.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adapter_has_a_class_if_its_floats_are_right_and_nobody_elses() {
        let engine = Digest::from_bytes([1; 32]);
        let info = GpuInfo {
            adapter: "adapter".to_owned(),
            driver: "driver".to_owned(),
            backend: "vulkan".to_owned(),
            software: false,
            long_loops: true,
            unfit_loops: Vec::new(),
            unfit_floats: None,
            numeric_class: Digest::from_bytes([2; 32]),
        };
        let bare = result_classes(&engine, None);
        assert_eq!(bare.iter().map(|(_, path)| *path).collect::<Vec<_>>(), [PathKind::Cpu, PathKind::Exact]);
        let right = result_classes(&engine, Some(&info));
        assert_eq!(right[..2], bare);
        assert_eq!(right[2].1, PathKind::Gpu);
        // Its loops are for exact shaders, which others can do.
        let loops = GpuInfo { unfit_loops: vec!["loops".to_owned()], ..info.clone() };
        assert_eq!(result_classes(&engine, Some(&loops)), right);
        let floats = GpuInfo { unfit_floats: Some("floats".to_owned()), ..info.clone() };
        assert_eq!(result_classes(&engine, Some(&floats)), bare);
        let other = GpuInfo { numeric_class: Digest::from_bytes([3; 32]), ..info };
        assert_ne!(result_classes(&engine, Some(&other))[2], right[2]);
    }
}
