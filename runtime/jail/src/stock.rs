//! Warm processes. One thread starts them all, ahead of need: Linux kills a worker when the thread that started it ends.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::limits::RETRY;
use crate::message::Role;
use crate::process::Process;

/// The thread and what it has made.
#[derive(Debug)]
pub(crate) struct Stock {
    shared: Arc<Shared>,
    keeper: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    program: PathBuf,
    shelves: Mutex<Shelves>,
    changed: Condvar,
}

#[derive(Debug)]
struct Shelves {
    compile: Shelf,
    execute: Shelf,
    gpu: Shelf,
    /// Which adapters GPU workers take.
    software_gpu: bool,
    /// Why the last start failed, until one succeeds.
    failure: Option<String>,
    /// Counts starts that failed, so that whoever waits sees a new one.
    failures: u64,
    closed: bool,
}

#[derive(Debug, Default)]
struct Shelf {
    ready: VecDeque<Process>,
    /// How many to keep ready.
    spares: usize,
    /// How many are waited for.
    waiting: usize,
}

impl Stock {
    /// Starts the thread, which starts `spares` execute workers; the others are started when asked for.
    pub(crate) fn open(program: PathBuf, spares: usize) -> std::io::Result<Self> {
        let shelves = Shelves {
            compile: Shelf::default(),
            execute: Shelf { spares, ..Shelf::default() },
            gpu: Shelf::default(),
            software_gpu: true,
            failure: None,
            failures: 0,
            closed: false,
        };
        let shared = Arc::new(Shared { program, shelves: Mutex::new(shelves), changed: Condvar::new() });
        let keeper = std::thread::Builder::new().name("p2c2r-keeper".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || keep(&shared)
        })?;
        Ok(Self { shared, keeper: Some(keeper) })
    }

    /// A process nobody has used yet; waits for one, until `until`.
    pub(crate) fn take(&self, role: Role, until: Instant) -> Result<Process, String> {
        let mut shelves = self.shared.lock();
        let failures = shelves.failures;
        if let Role::Gpu { software } = role {
            shelves.software_gpu = software;
        }
        shelves.shelf(role).waiting += 1;
        self.shared.changed.notify_all();
        let taken = loop {
            if let Some(process) = shelves.shelf(role).ready.pop_front() {
                break Ok(process);
            }
            if shelves.failures != failures
                && let Some(failure) = &shelves.failure
            {
                break Err(failure.clone());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break Err("no worker got ready in time".to_owned());
            }
            shelves = self.shared.changed.wait_timeout(shelves, left).unwrap_or_else(PoisonError::into_inner).0;
        };
        shelves.shelf(role).waiting -= 1;
        self.shared.changed.notify_all();
        taken
    }

    /// Puts back what was only looked at.
    pub(crate) fn put_back(&self, role: Role, process: Process) {
        self.shared.lock().shelf(role).ready.push_front(process);
        self.shared.changed.notify_all();
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        if let Some(keeper) = self.keeper.take()
            && keeper.join().is_err()
        {
            tracing::error!("bug: the keeper of the workers panicked");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelves {
    fn shelf(&mut self, role: Role) -> &mut Shelf {
        match role {
            Role::Compile => &mut self.compile,
            Role::Execute => &mut self.execute,
            Role::Gpu { .. } => &mut self.gpu,
        }
    }

    /// What to start next: first what somebody waits for.
    fn wanted(&self) -> Option<Role> {
        let gpu = Role::Gpu { software: self.software_gpu };
        let shelves = [(Role::Execute, &self.execute), (Role::Compile, &self.compile), (gpu, &self.gpu)];
        let short = |extra: fn(&Shelf) -> usize| {
            shelves.iter().find(|(_, shelf)| shelf.ready.len() < extra(shelf)).map(|(role, _)| *role)
        };
        short(|shelf| shelf.waiting).or_else(|| short(|shelf| shelf.waiting + shelf.spares))
    }
}

fn keep(shared: &Shared) {
    let mut shelves = shared.lock();
    while !shelves.closed {
        let Some(role) = shelves.wanted() else {
            shelves = shared.changed.wait(shelves).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        drop(shelves);
        let started = Process::start(&shared.program, role);
        shelves = shared.lock();
        match started {
            Ok(process) => {
                shelves.failure = None;
                shelves.shelf(role).ready.push_back(process);
                shared.changed.notify_all();
            }
            Err(error) => {
                tracing::error!(%error, "no worker");
                shelves.failure = Some(error.to_string());
                shelves.failures += 1;
                shared.changed.notify_all();
                let until = Instant::now() + RETRY;
                while !shelves.closed && Instant::now() < until {
                    shelves = shared.changed.wait_timeout(shelves, RETRY).unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }
    // The processes end here, with the thread that started them.
    shelves.compile.ready.clear();
    shelves.execute.ready.clear();
    shelves.gpu.ready.clear();
}
