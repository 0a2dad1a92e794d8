//! The GPU worker, seen by the supervisor: sessions are opened on it for attempts, and it is replaced when it fails.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use p2c2r_runtime::{GpuInfo, GpuPolicy, HostFault};
use p2c2r_signing::{ModuleId, ResultClass, VerifiedModule};

use crate::channel::Channel;
use crate::confine::Protections;
use crate::jail::nonsense;
use crate::lease::{Lease, Standing, Tenancy};
use crate::limits::{GPU_COMPILE, RETIRED_WORKERS, SLOW_KERNELS, START};
use crate::memory::{Sealed, Window};
use crate::message::{About, KernelRef, Order, Refusal, Report, Role};
use crate::process::{AskError, Patience, Process};
use crate::stock::Stock;

/// One worker for all attempts, or why there is none.
#[derive(Debug)]
pub(crate) struct GpuWorker {
    role: Role,
    found: Result<Found, String>,
    /// Time to compile the shaders of a kernel.
    compile: Duration,
    shift: Mutex<Shift>,
}

#[derive(Debug)]
struct Found {
    about: About,
    info: GpuInfo,
}

/// Who works.
#[derive(Debug, Default)]
struct Shift {
    /// `None` after it failed, until somebody needs one.
    current: Option<Worker>,
    /// Get no more attempts, and go with the last one they have.
    retired: Vec<Worker>,
    /// Workers so far.
    hired: u64,
    /// Kernels whose shaders did not compile in time.
    slow: Vec<ModuleId>,
}

#[derive(Debug)]
struct Worker {
    number: u64,
    process: Process,
    leases: Vec<Lease>,
}

/// An attempt's own line to a GPU worker, for its execute worker. Dropped when the attempt is over.
#[derive(Debug)]
pub(crate) struct GpuLine {
    pub(crate) line: OwnedFd,
    pub(crate) window: Window,
    pub(crate) worker: u64,
    _tenancy: Tenancy,
}

/// Why an order was not carried out.
enum Failure {
    /// The worker is as good as before, and another would say the same.
    Refused(String),
    /// Two workers failed.
    Worker(String),
    /// The worker was killed.
    Late,
}

impl GpuWorker {
    /// Starts one, if the policy allows, and waits until it has probed its adapter.
    pub(crate) fn start(policy: GpuPolicy, compile: Duration, stock: &Stock) -> Self {
        let compile = compile.min(GPU_COMPILE);
        let options = policy.options();
        let role = Role::Gpu { software: options.is_some_and(|options| options.software) };
        let started = match options {
            None => Err("switched off".to_owned()),
            Some(_) => stock.take(role, Instant::now() + START),
        };
        let found = started.and_then(|process| {
            let about = process.about().clone();
            match &about.adapter {
                Some(Ok(adapter)) => {
                    let mut info = GpuInfo::from(adapter.clone());
                    if options.is_some_and(|options| !options.exact) {
                        info.leave_exact();
                    }
                    Ok((process, Found { info, about }))
                }
                Some(Err(reason)) => Err(reason.clone()),
                None => Err("the gpu worker is of another kind".to_owned()),
            }
        });
        match found {
            Ok((process, found)) => {
                tracing::info!(adapter = found.info.adapter, driver = found.info.driver, "gpu ready");
                let mut shift = Shift::default();
                shift.current = Some(shift.hire(process));
                Self { role, found: Ok(found), compile, shift: Mutex::new(shift) }
            }
            Err(reason) => {
                tracing::info!(reason, "no gpu");
                Self { role, found: Err(reason), compile, shift: Mutex::default() }
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

    /// Has the shaders of a kernel compiled, while no attempt's time runs. A kernel whose shaders take too long gets no
    /// session until the peer starts anew; other failures show again when one is opened.
    pub(crate) fn prepare(&self, stock: &Stock, module: &VerifiedModule, memory: &Sealed) {
        let Ok(found) = &self.found else { return };
        if module.manifest().gpu.is_none() || module.shaders().next().is_none() {
            return;
        }
        let mut shift = self.shift();
        if shift.slow.contains(&module.id()) {
            return;
        }
        let order = Order::Prepare { kernel: KernelRef::of(module) };
        match self.carry_out(
            &mut shift,
            found,
            stock,
            &order,
            &[memory.as_fd()],
            (Instant::now() + START + self.compile, self.compile),
        ) {
            Ok(_) => {}
            Err(Failure::Late) => {
                tracing::warn!(kernel = %module.id(), "{}", self.too_slow());
                if shift.slow.len() >= SLOW_KERNELS {
                    shift.slow.remove(0);
                }
                shift.slow.push(module.id());
            }
            Err(Failure::Refused(reason) | Failure::Worker(reason)) => {
                tracing::warn!(kernel = %module.id(), reason, "no gpu path");
            }
        }
    }

    /// Opens a session for an attempt whose time is `after`.
    pub(crate) fn attach(
        &self,
        stock: &Stock,
        module: &VerifiedModule,
        memory: &Sealed,
        patience: &Patience<'_>,
        after: Duration,
    ) -> Result<GpuLine, HostFault> {
        let found = self.found.as_ref().map_err(|reason| HostFault::Gpu(reason.clone()))?;
        if module.manifest().result_class == ResultClass::Device && !found.info.may_vote_on(ResultClass::Device) {
            return Err(HostFault::Gpu("this adapter's floats are not to be relied on".to_owned()));
        }
        let system = |error: std::io::Error| HostFault::Gpu(format!("system: {error}"));
        let (line, theirs) = Channel::line().map_err(system)?;
        // It holds whatever a guest can move at once.
        let window = Window::new(module.manifest().limits.memory_bytes).map_err(system)?;
        let (lease, tenancy, session) = Lease::sign().map_err(system)?;
        let mut shift = self.shift();
        if shift.slow.contains(&module.id()) {
            return Err(HostFault::Gpu(self.too_slow()));
        }
        let order = Order::Attach {
            kernel: KernelRef::of(module),
            window_bytes: window.bytes(),
            deadline: patience.until.saturating_duration_since(Instant::now()),
        };
        let descriptors = [memory.as_fd(), theirs.as_fd(), window.as_fd(), session.as_fd()];
        match self.carry_out(&mut shift, found, stock, &order, &descriptors, (patience.until, GPU_COMPILE)) {
            Ok(worker) => {
                worker.leases.push(lease);
                Ok(GpuLine { line, window, worker: worker.number, _tenancy: tenancy })
            }
            Err(_) if Instant::now() >= patience.until => Err(HostFault::Deadline { after }),
            Err(Failure::Refused(reason) | Failure::Worker(reason)) => Err(HostFault::Gpu(reason)),
            Err(Failure::Late) => Err(HostFault::Gpu(format!("no session after {} s", GPU_COMPILE.as_secs()))),
        }
    }

    /// A session failed for a reason of its worker's: no attempt that comes later shall meet it. Those that it has already
    /// may end.
    pub(crate) fn retire(&self, worker: u64) {
        let mut shift = self.shift();
        if let Some(old) = shift.current.take_if(|current| current.number == worker) {
            shift.retired.push(old);
            shift.clear_out();
        }
    }

    /// Gives the order to the worker; if it fails, for a reason of its own, to another: the device may have been lost in
    /// between. A worker that does not answer within `limit`, which runs from when it is ready, is killed: nothing else ends a
    /// shader compiler.
    fn carry_out<'a>(
        &self,
        shift: &'a mut Shift,
        found: &Found,
        stock: &Stock,
        order: &Order<'_>,
        descriptors: &[BorrowedFd<'_>],
        (until, limit): (Instant, Duration),
    ) -> Result<&'a mut Worker, Failure> {
        let mut why = String::new();
        for _ in 0..2 {
            let mut worker = match shift.at_work(until) {
                Some(worker) => worker,
                None => shift.hire(self.restart(found, stock, until).map_err(Failure::Worker)?),
            };
            // Its answer is waited for even if nobody wants it any more: without it the worker is of no use to others.
            let patience = Patience { until: until.min(Instant::now() + limit), cancel: None };
            let answer = worker.process.ask(order, descriptors, &patience, |report| match report {
                Report::Attached(attached) => Ok(attached),
                other => Err(nonsense(&other)),
            });
            match answer {
                Ok(Ok(())) => return Ok(shift.current.insert(worker)),
                Ok(Err(Refusal::Kernel(reason))) => {
                    shift.current = Some(worker);
                    return Err(Failure::Refused(reason));
                }
                Err(AskError::Late) => return Err(Failure::Late),
                Ok(Err(Refusal::Device(reason))) => why = reason,
                Err(error) => why = error.to_string(),
            }
            tracing::warn!(why, "gpu worker replaced");
        }
        Err(Failure::Worker(why))
    }

    /// Another worker on the same adapter: with another one the result class would be another.
    fn restart(&self, found: &Found, stock: &Stock, until: Instant) -> Result<Process, String> {
        let process = stock.take(self.role, until.min(Instant::now() + START))?;
        if process.about().adapter != found.about.adapter {
            return Err("the adapter or its driver changed; restart the peer".to_owned());
        }
        Ok(process)
    }

    fn too_slow(&self) -> String {
        format!("the kernel's shaders did not compile within {} s", self.compile.as_secs())
    }

    fn shift(&self) -> MutexGuard<'_, Shift> {
        self.shift.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shift {
    fn hire(&mut self, process: Process) -> Worker {
        self.hired += 1;
        Worker { number: self.hired, process, leases: Vec::new() }
    }

    /// The worker, if it is done with what is over. One that is not, long after, hangs in its driver; it is killed, with
    /// whatever else it has: it is the same device.
    fn at_work(&mut self, until: Instant) -> Option<Worker> {
        self.clear_out();
        let mut worker = self.current.take()?;
        if worker.is_in_order(until) {
            return Some(worker);
        }
        tracing::warn!("a gpu worker that does not end a session is replaced");
        None
    }

    /// Ends workers that retired and have nothing left to do, or hang, or are too many.
    fn clear_out(&mut self) {
        let now = Instant::now();
        self.retired.retain_mut(|worker| worker.is_in_order(now) && !worker.leases.is_empty());
        let surplus = self.retired.len().saturating_sub(RETIRED_WORKERS);
        self.retired.drain(..surplus);
    }
}

impl Worker {
    /// Forgets sessions that are done. False if one should be and is not.
    fn is_in_order(&mut self, until: Instant) -> bool {
        let mut in_order = true;
        self.leases.retain(|lease| {
            let standing = lease.standing(until);
            in_order &= standing != Standing::Overdue;
            standing == Standing::Running
        });
        in_order
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_signing::{Manifest, SecretKey, TrustedKeys, attach, sign_module, verify_module};

    use super::*;

    /// Without a shader, of this class.
    fn module(class: &str) -> VerifiedModule {
        let json = format!(
            r#"{{"name": "t", "version": "1.0.0", "abi": 1, "publisher": "t", "unit": "u", "result_class": "{class}",
                "gpu": {{"buffers": 1, "buffer_bytes": 4, "dispatches": 1, "workgroups": 1}}}}"#
        );
        let unsigned = attach(b"\0asm\x01\0\0\0", &Manifest::from_json(json.as_bytes()).unwrap(), &[]).unwrap();
        let key = SecretKey::generate();
        verify_module(sign_module(&unsigned, &key).unwrap(), &TrustedKeys::from(key.public())).unwrap()
    }

    /// With a worker's program that is not there, so that an attempt is refused by whoever asks for one as well.
    #[test]
    fn an_adapter_whose_floats_are_wrong_gets_no_device_kernel() {
        const FLOATS: &str = "this adapter's floats are not to be relied on";
        let stock = Stock::open("/nowhere".into(), 0).unwrap();
        for (class, unfit_floats, refused) in
            [("device", Some("floats"), true), ("device", None, false), ("exact", Some("floats"), false)]
        {
            let info = GpuInfo {
                adapter: "adapter".to_owned(),
                driver: "driver".to_owned(),
                backend: "vulkan".to_owned(),
                software: false,
                long_loops: true,
                unfit_loops: Vec::new(),
                unfit_floats: unfit_floats.map(str::to_owned),
                numeric_class: p2c2r_signing::Digest::from_bytes([0; 32]),
            };
            let (engine_id, protections) = (p2c2r_runtime::engine_id(), Protections::default());
            let about = About { engine_id, code_id: None, protections, adapter: Some(Ok((&info).into())) };
            let gpu = GpuWorker {
                role: Role::Gpu { software: true },
                found: Ok(Found { about, info }),
                compile: GPU_COMPILE,
                shift: Mutex::default(),
            };
            let (module, until) = (module(class), Instant::now() + START);
            let memory = Sealed::new(module.bytes()).unwrap();
            let fault = gpu.attach(&stock, &module, &memory, &Patience { until, cancel: None }, START).unwrap_err();
            let HostFault::Gpu(reason) = fault else { panic!("{fault}") };
            assert_eq!(reason == FLOATS, refused, "{class} {unfit_floats:?}: {reason}");
        }
    }
}
