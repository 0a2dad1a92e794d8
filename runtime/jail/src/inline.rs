//! Where there is no jail: kernels run in the peer's own process, and [`Jail::protections`] says so.

use std::io;

use p2c2r_runtime::{
    Attempt, Execution, GpuInfo, HostFault, Kernel, PathKind, Runaway, Sandbox, SandboxConfig, SandboxError,
};
use p2c2r_signing::{BlobId, ClassId, Digest, Manifest, ModuleId, VerifiedModule};

use crate::config::JailConfig;
use crate::confine::Protections;

/// The sandbox could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum JailError {
    /// The system does not tell where this program is.
    #[error("where this program is: {0}")]
    Program(io::Error),
    /// The sandbox.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// A module that cannot be loaded here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The host does not compile it.
    #[error("{0}")]
    Refused(String),
}

/// Runs kernels. Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct Jail {
    sandbox: Sandbox,
    protections: Protections,
}

/// A kernel that is compiled. Cheap to clone.
#[derive(Debug, Clone)]
pub struct JailedKernel(Kernel);

impl Jail {
    /// Sets up the sandbox.
    ///
    /// # Errors
    /// [`JailError`] says what is wrong.
    pub fn start(config: JailConfig) -> Result<Self, JailError> {
        let (cache_dir, workers) = (config.cache_dir, config.workers);
        let config = SandboxConfig { cache_dir, gpu: config.gpu, workers, runaway: Runaway::Interrupted };
        let mut protections = Protections::default();
        let why = format!("not built for {} yet: kernels run in the peer's own process", std::env::consts::OS);
        ["process", "limits", "file and network rules", "system call filter"]
            .into_iter()
            .for_each(|name| protections.off(name, why.as_str()));
        Ok(Self { sandbox: Sandbox::new(config)?, protections })
    }

    /// Identity of everything about the engine that could change a result.
    #[must_use]
    pub fn engine_id(&self) -> Digest {
        self.sandbox.engine_id()
    }

    /// The result classes this machine can run in, CPU first.
    #[must_use]
    pub fn classes(&self) -> Vec<(ClassId, PathKind)> {
        self.sandbox.classes()
    }

    /// The adapter in use.
    #[must_use]
    pub fn gpu_info(&self) -> Option<&GpuInfo> {
        self.sandbox.gpu_info()
    }

    /// Why there is no GPU, if there is none.
    #[must_use]
    pub fn gpu_missing(&self) -> Option<&str> {
        self.sandbox.gpu_missing()
    }

    /// What stands between the graphics driver and the rest of the machine, if there is a GPU.
    #[must_use]
    pub fn gpu_protections(&self) -> Option<&Protections> {
        self.gpu_info().map(|_| &self.protections)
    }

    /// What stands between kernels and this machine.
    #[must_use]
    pub const fn protections(&self) -> &Protections {
        &self.protections
    }

    /// Compiles a verified module, or takes its code from the cache.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(&self, module: &VerifiedModule) -> Result<JailedKernel, LoadError> {
        self.sandbox.load(module).map(JailedKernel).map_err(|error| LoadError::Refused(error.to_string()))
    }

    /// Runs one attempt on the calling thread.
    ///
    /// # Errors
    /// [`HostFault`] for whatever depends on this machine.
    pub fn run(&self, kernel: &JailedKernel, attempt: &Attempt, _blobs: &[BlobId]) -> Result<Execution, HostFault> {
        self.sandbox.run(&kernel.0, attempt.clone())
    }

    /// Runs attempts of one kernel, one after the other, each as [`Self::run`] does.
    pub fn run_all(
        &self,
        kernel: &JailedKernel,
        attempts: &[(Attempt, Vec<BlobId>)],
    ) -> Vec<Result<Execution, HostFault>> {
        attempts.iter().map(|(attempt, blobs)| self.run(kernel, attempt, blobs)).collect()
    }
}

impl JailedKernel {
    /// The module's identity.
    #[must_use]
    pub fn id(&self) -> ModuleId {
        self.0.id()
    }

    /// The module's manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.0.manifest()
    }

    /// Whether the code came from the cache.
    #[must_use]
    pub fn from_cache(&self) -> bool {
        self.0.from_cache()
    }
}
