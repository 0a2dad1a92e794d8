//! How a jail is set up, on every system.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use p2c2r_runtime::GpuPolicy;

use crate::limits::COMPILE;

/// How a [`crate::Jail`] is set up.
#[derive(Debug, Clone)]
pub struct JailConfig {
    /// The worker's program, where there is a jail; see [`JailConfig::worker_beside_me`].
    pub worker: PathBuf,
    /// Folder for compiled code; `None` compiles on every load. The key that authenticates entries is made beside it.
    pub cache_dir: Option<PathBuf>,
    /// Attempts that may run at once, at most [`p2c2r_runtime::limits::WORKERS`].
    pub workers: u32,
    /// Longest time to compile one module, and its shaders if that is less than [`crate::limits::GPU_COMPILE`]. Without a jail compiling cannot be interrupted, and nothing enforces it.
    pub compile: Duration,
    /// Whether to look for a GPU.
    pub gpu: GpuPolicy,
}

impl JailConfig {
    /// Eight attempts at once, the usual time to compile, no cache, any GPU.
    #[must_use]
    pub const fn new(worker: PathBuf) -> Self {
        Self { worker, cache_dir: None, workers: 8, compile: COMPILE, gpu: GpuPolicy::Auto }
    }

    /// `p2c2r-worker` in the folder of the running program, where an installation puts it.
    ///
    /// # Errors
    /// If the system does not tell where this program is.
    pub fn worker_beside_me() -> io::Result<PathBuf> {
        let name = format!("p2c2r-worker{}", std::env::consts::EXE_SUFFIX);
        let mut path = std::env::current_exe()?;
        path.pop();
        // Tests and examples lie one folder deeper than programs.
        if !path.join(&name).exists() && (path.ends_with("deps") || path.ends_with("examples")) {
            path.pop();
        }
        Ok(path.join(name))
    }
}
