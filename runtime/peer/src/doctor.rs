//! What this machine offers, and what stands between it and the kernels of others.

use std::fmt;

use p2c2r_jail::{Jail, JailConfig, JailError, Protections};
use p2c2r_runtime::GpuPolicy;
use serde::Serialize;

/// The findings, for people and as JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Diagnosis {
    /// Operating system and processor.
    pub system: String,
    /// Identity of the engine that goes with every vote.
    pub engine_id: String,
    /// The adapter, or why there is none.
    pub gpu: Result<String, String>,
    /// Around compiling and running kernels.
    pub kernels: Protections,
    /// Around the graphics driver, if it is used.
    pub driver: Option<Protections>,
}

impl Diagnosis {
    /// Starts the jail as a peer would, and looks at it.
    ///
    /// # Errors
    /// [`JailError`] if kernels could not run here at all.
    pub fn make(gpu: GpuPolicy) -> Result<Self, JailError> {
        let worker = JailConfig::worker_beside_me().map_err(JailError::Program)?;
        let jail = Jail::start(JailConfig { gpu, workers: 1, ..JailConfig::new(worker) })?;
        let gpu = match (jail.gpu_info(), jail.gpu_missing()) {
            (Some(gpu), _) => Ok(format!("{} ({}, {})", gpu.adapter, gpu.backend, gpu.driver)),
            (None, why) => Err(why.unwrap_or("none found").to_owned()),
        };
        Ok(Self {
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            engine_id: jail.engine_id().to_string(),
            gpu,
            kernels: jail.protections().clone(),
            driver: jail.gpu_protections().cloned(),
        })
    }

    /// Whether all protections are on.
    #[must_use]
    pub fn protected(&self) -> bool {
        self.kernels.complete() && self.driver.as_ref().is_none_or(Protections::complete)
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "system   {}", self.system)?;
        writeln!(f, "engine   {}", self.engine_id)?;
        match &self.gpu {
            Ok(gpu) => writeln!(f, "gpu      {gpu}")?,
            Err(why) => writeln!(f, "gpu      none: {why}")?,
        }
        let groups = [
            ("kernels are compiled and run behind", Some(&self.kernels)),
            ("the graphics driver is behind", self.driver.as_ref()),
        ];
        for (title, protections) in groups {
            let Some(protections) = protections else { continue };
            write!(f, "\n{title}")?;
            for protection in protections.iter() {
                let state = if protection.on { "on " } else { "OFF" };
                write!(f, "\n  {state}  {:<10} {}", protection.name, protection.detail)?;
            }
            writeln!(f)?;
        }
        let verdict = if self.protected() { "all protections are on" } else { "NOT all protections are on" };
        write!(f, "\n{verdict}")
    }
}
