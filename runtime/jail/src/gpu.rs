//! The GPU worker, seen by the supervisor: sessions are opened on it for attempts, and it is replaced when it fails.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use p2c2r_runtime::{GpuInfo, GpuPolicy, HostFault};
use p2c2r_signing::VerifiedModule;

use crate::channel::Channel;
use crate::confine::Protections;
use crate::jail::nonsense;
use crate::limits::{ATTACH, START};
use crate::memory::{Sealed, Window};
use crate::message::{About, Order, Refusal, Report, Role};
use crate::process::{Patience, Process};
use crate::stock::Stock;

/// One worker for all attempts, or why there is none.
#[derive(Debug)]
pub(crate) struct GpuWorker {
    role: Role,
    found: Result<Found, String>,
    /// `None` after it failed, until the next attempt needs one.
    process: Mutex<Option<Process>>,
}

#[derive(Debug)]
struct Found {
    about: About,
    info: GpuInfo,
}

/// An attempt's own line to the GPU worker, for its execute worker.
#[derive(Debug)]
pub(crate) struct GpuLine {
    pub(crate) line: OwnedFd,
    pub(crate) window: Window,
}

impl GpuWorker {
    /// Starts one, if the policy allows, and waits until it has probed its adapter.
    pub(crate) fn start(policy: GpuPolicy, stock: &Stock) -> Self {
        let role = Role::Gpu { software: policy == GpuPolicy::Auto };
        let started = match policy {
            GpuPolicy::Off => Err("switched off".to_owned()),
            GpuPolicy::Auto | GpuPolicy::Hardware => stock.take(role, Instant::now() + START),
        };
        let found = started.and_then(|process| {
            let about = process.about().clone();
            match &about.adapter {
                Some(Ok(adapter)) => Ok((process, Found { info: adapter.clone().into(), about })),
                Some(Err(reason)) => Err(reason.clone()),
                None => Err("the gpu worker is of another kind".to_owned()),
            }
        });
        match found {
            Ok((process, found)) => {
                tracing::info!(adapter = found.info.adapter, driver = found.info.driver, "gpu ready");
                Self { role, found: Ok(found), process: Mutex::new(Some(process)) }
            }
            Err(reason) => {
                tracing::info!(reason, "no gpu");
                Self { role, found: Err(reason), process: Mutex::default() }
            }
        }
    }

    pub(crate) fn info(&self) -> Option<&GpuInfo> {
        self.found.as_ref().ok().map(|found| &found.info)
    }

    pub(crate) fn missing(&self) -> Option<&str> {
        self.found.as_ref().err().map(String::as_str)
    }

    pub(crate) fn protections(&self) -> Option<&Protections> {
        self.found.as_ref().ok().map(|found| &found.about.protections)
    }

    /// Opens a session for an attempt. A worker that does not, for a reason of its own, is replaced.
    pub(crate) fn attach(
        &self,
        stock: &Stock,
        module: &VerifiedModule,
        memory: &Sealed,
        patience: &Patience<'_>,
    ) -> Result<GpuLine, HostFault> {
        let found = self.found.as_ref().map_err(|reason| HostFault::Gpu(reason.clone()))?;
        let (line, window) = shared(module).map_err(|error| HostFault::Gpu(format!("shared memory: {error}")))?;
        let (line, theirs) = line;
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        // A second worker may do what the first could not: the device was lost in between.
        for last in [false, true] {
            let mut current = match process.take() {
                Some(process) => process,
                None => self.restart(found, stock, patience)?,
            };
            let deadline = patience.until.saturating_duration_since(Instant::now());
            let order = Order::Attach {
                signer: module.signer(),
                module_bytes: module.bytes().len() as u64,
                window_bytes: window.bytes(),
                deadline,
            };
            let until = Instant::now() + deadline.min(ATTACH);
            // Its answer is waited for even if nobody wants it any more: without it the worker is of no use to others.
            let patience = Patience { until, cancel: None };
            let descriptors = [memory.as_fd(), theirs.as_fd(), window.as_fd()];
            let attached = current.ask(&order, &descriptors, &patience, |report| match report {
                Report::Attached(attached) => Ok(attached),
                other => Err(nonsense(&other)),
            });
            match attached {
                Ok(Ok(())) => {
                    *process = Some(current);
                    return Ok(GpuLine { line, window });
                }
                Ok(Err(Refusal::Kernel(reason))) => {
                    *process = Some(current);
                    return Err(HostFault::Gpu(reason));
                }
                Ok(Err(Refusal::Device(reason))) if last => return Err(HostFault::Gpu(reason)),
                Err(error) if last => return Err(HostFault::Gpu(error.to_string())),
                Ok(Err(Refusal::Device(reason))) => tracing::warn!(reason, "gpu worker replaced"),
                Err(error) => tracing::warn!(%error, "gpu worker replaced"),
            }
        }
        Err(HostFault::Gpu("no gpu worker".to_owned()))
    }

    /// Another worker on the same adapter: with another one the result class would be another.
    fn restart(&self, found: &Found, stock: &Stock, patience: &Patience<'_>) -> Result<Process, HostFault> {
        let until = patience.until.min(Instant::now() + START);
        let process = stock.take(self.role, until).map_err(HostFault::Gpu)?;
        if process.about().adapter != found.about.adapter {
            return Err(HostFault::Gpu("the adapter or its driver changed; restart the peer".to_owned()));
        }
        Ok(process)
    }
}

/// Both ends of a line and a window that holds whatever a guest can move at once.
fn shared(module: &VerifiedModule) -> io::Result<((OwnedFd, OwnedFd), Window)> {
    Ok((Channel::line()?, Window::new(module.manifest().limits.memory_bytes)?))
}
