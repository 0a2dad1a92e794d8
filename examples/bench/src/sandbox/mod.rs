//! Kernels in the sandbox next to the same code outside, what each protection costs alone, and how long it takes until a
//! kernel runs.

mod calls;
pub(crate) mod measure;
pub(crate) mod signed;
mod speed;
mod starts;
mod workload;

use std::path::Path;

use anyhow::Result;
use p2c2r_jail::{Jail, JailConfig};
use p2c2r_runtime::{GpuPolicy, Runaway, Sandbox, SandboxConfig};

use crate::Args;
use crate::row::Row;

/// The rows `sandbox/*`.
pub(crate) fn measure(args: &Args) -> Result<Vec<Row>> {
    // Workers start in the root folder.
    let worker = std::path::absolute(args.bin.join("p2c2r-worker"))?;
    let mut rows = speed::measure(args, &worker)?;
    rows.extend(calls::measure(args, &worker)?);
    rows.extend(starts::measure(args, &worker)?);
    Ok(rows)
}

/// A jail as a peer has it, without a GPU.
fn jail(worker: &Path, cache_dir: Option<&Path>) -> Result<Jail> {
    let config = JailConfig::new(worker.to_owned());
    Ok(Jail::start(JailConfig { gpu: GpuPolicy::Off, cache_dir: cache_dir.map(Path::to_owned), ..config })?)
}

/// A sandbox in this process; with [`Runaway::Killed`] it makes the code that a worker of the jail runs.
fn sandbox(runaway: Runaway) -> Result<Sandbox> {
    Ok(Sandbox::new(alone(runaway))?)
}

/// For one attempt at a time.
const fn alone(runaway: Runaway) -> SandboxConfig {
    SandboxConfig { cache_dir: None, gpu: GpuPolicy::Off, workers: 1, runaway }
}
