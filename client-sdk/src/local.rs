//! Local runs: a few threads that run the same signed kernels in the same sandbox the peers use.

use std::sync::Arc;

use bytes::Bytes;

use crate::router::LocalRun;
use crate::task::Task;

/// How this machine may help itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalPolicy {
    /// Never: a task the network cannot answer fails.
    Off,
    /// On this many threads; the sandbox is started with the first run.
    Threads {
        /// 1 to [`crate::limits::LOCAL_THREADS`]; outside, the nearest bound.
        threads: usize,
        /// Whether kernels may use this machine's GPU. A game that draws usually wants it for itself.
        gpu: bool,
    },
}

/// Where a finished run is reported: the task's number and what came of it.
pub(crate) type Report = Arc<dyn Fn(u64, Result<LocalRun, String>) + Send + Sync>;

/// A local run to do.
pub(crate) struct Job {
    pub(crate) number: u64,
    pub(crate) task: Box<Task>,
    /// In the task's order.
    pub(crate) blobs: Vec<Bytes>,
}

#[cfg(feature = "local")]
pub(crate) use threads::Pool;

#[cfg(not(feature = "local"))]
pub(crate) use absent::Pool;

#[cfg(feature = "local")]
mod threads {
    use std::collections::BTreeMap;
    use std::path::PathBuf;
    use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
    use std::sync::{Arc, Mutex, OnceLock, PoisonError};
    use std::thread::JoinHandle;

    use p2c2r_runtime::{Attempt, CancelFlag, GpuPolicy, Kernel, PathKind, Sandbox, SandboxConfig, seed_for};
    use p2c2r_signing::{ModuleId, ResultClass, input_digest};

    use super::{Job, LocalPolicy, Report};
    use crate::limits::{LOCAL_QUEUE, LOCAL_RUN, LOCAL_STACK_BYTES, LOCAL_THREADS};
    use crate::router::LocalRun;

    /// The threads, and the flags that stop what they run.
    pub(crate) struct Pool {
        queue: SyncSender<(Job, CancelFlag)>,
        running: BTreeMap<u64, CancelFlag>,
        report: Report,
        threads: Vec<JoinHandle<()>>,
    }

    struct Host {
        gpu: bool,
        cache: Option<PathBuf>,
        workers: usize,
        sandbox: OnceLock<Result<Sandbox, String>>,
        kernels: Mutex<BTreeMap<ModuleId, Kernel>>,
    }

    impl Pool {
        /// Starts the threads; `None` if the policy wants none.
        pub(crate) fn start(
            policy: LocalPolicy,
            cache: Option<PathBuf>,
            report: Report,
        ) -> std::io::Result<Option<Self>> {
            let LocalPolicy::Threads { threads, gpu } = policy else { return Ok(None) };
            let workers = threads.clamp(1, LOCAL_THREADS);
            let (queue, jobs) = sync_channel(LOCAL_QUEUE);
            let jobs = Arc::new(Mutex::new(jobs));
            let host =
                Arc::new(Host { gpu, cache, workers, sandbox: OnceLock::new(), kernels: Mutex::new(BTreeMap::new()) });
            let mut threads = Vec::with_capacity(workers);
            for index in 0..workers {
                let (jobs, host, report) = (Arc::clone(&jobs), Arc::clone(&host), Arc::clone(&report));
                let builder =
                    std::thread::Builder::new().name(format!("p2c2r-local-{index}")).stack_size(LOCAL_STACK_BYTES);
                threads.push(builder.spawn(move || work(&jobs, &host, &report))?);
            }
            Ok(Some(Self { queue, running: BTreeMap::new(), report, threads }))
        }

        /// Queues a run; a full queue is reported as a failed run.
        pub(crate) fn run(&mut self, job: Job) {
            let (number, flag) = (job.number, CancelFlag::new());
            match self.queue.try_send((job, flag.clone())) {
                Ok(()) => {
                    self.running.insert(number, flag);
                }
                Err(TrySendError::Full(_)) => {
                    (self.report)(number, Err(format!("{LOCAL_QUEUE} local runs are waiting already")));
                }
                Err(TrySendError::Disconnected(_)) => (self.report)(number, Err("local threads ended".to_owned())),
            }
        }

        /// Stops a run that is queued or under way; it is still reported, as failed.
        pub(crate) fn stop(&mut self, number: u64) {
            if let Some(flag) = self.running.get(&number) {
                flag.cancel();
            }
        }

        /// Forgets a reported run.
        pub(crate) fn done(&mut self, number: u64) {
            self.running.remove(&number);
        }
    }

    impl Drop for Pool {
        fn drop(&mut self) {
            for flag in self.running.values() {
                flag.cancel();
            }
            // Closing the queue ends the threads.
            self.queue = sync_channel(0).0;
            for thread in self.threads.drain(..) {
                if thread.join().is_err() {
                    tracing::error!("a local thread panicked");
                }
            }
        }
    }

    fn work(jobs: &Mutex<Receiver<(Job, CancelFlag)>>, host: &Host, report: &Report) {
        loop {
            let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok((job, flag)) = next else { return };
            let number = job.number;
            let result = if flag.is_cancelled() { Err("cancelled".to_owned()) } else { host.run(job, flag) };
            report(number, result);
        }
    }

    impl Host {
        fn run(&self, job: Job, flag: CancelFlag) -> Result<LocalRun, String> {
            let sandbox = self.sandbox()?;
            let kernel = self.kernel(sandbox, &job)?;
            let gpu_here = self.gpu && sandbox.classes().iter().any(|(_, path)| *path == PathKind::Gpu);
            let manifest = job.task.kernel.manifest();
            let path = match &manifest.gpu {
                Some(_) if manifest.result_class == ResultClass::Exact => PathKind::Exact,
                Some(_) if gpu_here => PathKind::Gpu,
                Some(gpu) if !gpu.cpu_path => return Err("the kernel needs a GPU, and local runs have none".to_owned()),
                _ => PathKind::Cpu,
            };
            let input = input_digest(&job.task.input, &job.task.blobs, job.task.seed);
            let attempt = Attempt {
                input: job.task.input.clone(),
                blobs: job.blobs,
                seed: seed_for(&job.task.kernel.id(), &input),
                path,
                max_units: job.task.max_units,
                deadline: LOCAL_RUN,
                cancel: Some(flag),
            };
            let done = sandbox.run(&kernel, attempt).map_err(|fault| fault.to_string())?;
            let took = done.duration;
            Ok(LocalRun { outcome: done.outcome, output: done.output.into(), units: done.units, took })
        }

        fn sandbox(&self) -> Result<&Sandbox, String> {
            let start = || {
                let gpu = if self.gpu { GpuPolicy::Auto } else { GpuPolicy::Off };
                let (cache_dir, workers) = (self.cache.clone(), self.workers as u32);
                let config = SandboxConfig { cache_dir, gpu, workers, ..SandboxConfig::default() };
                Sandbox::new(config).map_err(|e| e.to_string())
            };
            self.sandbox.get_or_init(start).as_ref().map_err(Clone::clone)
        }

        fn kernel(&self, sandbox: &Sandbox, job: &Job) -> Result<Kernel, String> {
            let id = job.task.kernel.id();
            let known = |host: &Self| host.kernels.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
            if let Some(kernel) = known(self) {
                return Ok(kernel);
            }
            // Compiled outside the lock: another thread may do it too, and one of the two results is kept.
            let kernel = sandbox.load(&job.task.kernel.module).map_err(|e| e.to_string())?;
            let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(kernels.entry(id).or_insert(kernel).clone())
        }
    }
}

#[cfg(not(feature = "local"))]
mod absent {
    use std::path::PathBuf;

    use super::{Job, LocalPolicy, Report};

    /// Without the feature `local` there is no pool, whatever the policy.
    pub(crate) enum Pool {}

    impl Pool {
        pub(crate) fn start(
            policy: LocalPolicy,
            cache: Option<PathBuf>,
            report: Report,
        ) -> std::io::Result<Option<Self>> {
            let _ = (policy, cache, report);
            Ok(None)
        }

        pub(crate) fn run(&mut self, job: Job) {
            let _ = job;
            match *self {}
        }

        pub(crate) fn stop(&mut self, number: u64) {
            let _ = number;
            match *self {}
        }

        pub(crate) fn done(&mut self, number: u64) {
            let _ = number;
            match *self {}
        }
    }
}
