//! The sandbox: engines, cache, GPU, and the two verbs `load` and `run`.

use std::path::PathBuf;
use std::sync::Arc;

use p2c2r_signing::{ClassId, Digest, VerifiedModule};

use crate::attempt::{Attempt, Execution, HostFault, PathKind};
use crate::kernel::{Kernel, LoadError};

/// How a [`Sandbox`] is set up.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Folder for compiled code; `None` compiles on every load. The key that authenticates entries is made beside it.
    pub cache_dir: Option<PathBuf>,
    /// Whether to look for a GPU.
    pub gpu: GpuPolicy,
    /// Attempts that may run at once, at most [`crate::limits::WORKERS`].
    pub workers: u32,
}

/// Whether to look for a GPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GpuPolicy {
    /// Offer the CPU class only.
    Off,
    /// Use the best adapter that passes the probe suite, if there is one.
    #[default]
    Auto,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self { cache_dir: None, gpu: GpuPolicy::Auto, workers: 8 }
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
    /// The engine refused its configuration on this machine.
    #[error("engine: {0}")]
    Engine(String),
}

/// Runs kernels. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    engine_id: Digest,
}

impl Sandbox {
    /// Sets up engines, cache and GPU.
    ///
    /// # Errors
    /// [`SandboxError`] if `workers` is out of range or the machine cannot host the engine. A missing GPU is no error.
    pub fn new(config: SandboxConfig) -> Result<Self, SandboxError> {
        let _ = config;
        Ok(Self(Arc::new(Inner { engine_id: Digest::of(b"skeleton") })))
    }

    /// Identity of everything about the engine that could change a result.
    #[must_use]
    pub fn engine_id(&self) -> Digest {
        self.0.engine_id
    }

    /// The result classes this machine can run in.
    #[must_use]
    pub fn classes(&self) -> Vec<(ClassId, PathKind)> {
        Vec::new()
    }

    /// Compiles a verified module, or takes its code from the cache.
    ///
    /// # Errors
    /// [`LoadError`] for a module over the host's limits or a failing compiler. A module that merely breaks the
    /// contract loads, and every run of it ends as `Outcome::BadAbi`.
    pub fn load(&self, module: &VerifiedModule) -> Result<Kernel, LoadError> {
        let _ = module;
        Err(LoadError::Compile("skeleton".to_owned()))
    }

    /// Runs one attempt on the calling thread, which needs a stack of at least 1 MiB.
    ///
    /// # Errors
    /// [`HostFault`] for whatever depends on this machine.
    pub fn run(&self, kernel: &Kernel, attempt: Attempt) -> Result<Execution, HostFault> {
        let _ = (kernel, attempt);
        Err(HostFault::Internal("skeleton".to_owned()))
    }
}
