//! What outlives a connection and is shared by its threads: executor, library, journal, the attempts that run, and the
//! way to the coordinator of the moment.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use p2c2r_protocol::message::{Fault, Item, OfferedClass, Path, PeerToServer, SettledAttempt, Standing};
use p2c2r_runtime::CancelFlag;
use p2c2r_signing::{AttemptNonce, Ballot, BlobId, ClassId, Digest, ModuleId, PublicKey, TaskId, VerifiedModule};
use p2c2r_transport::{Encoded, SendError, Sender};
use tokio::sync::{Notify, mpsc};

use crate::executor::{Answer, Assignment, Executor};
use crate::journal::Journal;
use crate::library::{Content, Library};
use crate::limits;
use crate::pace::Paces;
use crate::status::{Counts, Earnings, State};

/// An attempt as it was assigned.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) ticket: Vec<u8>,
    pub(crate) task: TaskId,
    pub(crate) nonce: AttemptNonce,
    pub(crate) module: ModuleId,
    pub(crate) class: ClassId,
    pub(crate) path: Path,
    pub(crate) blobs: Vec<BlobId>,
    pub(crate) seed: u64,
    pub(crate) max_units: u64,
    pub(crate) input: Bytes,
    pub(crate) received: Instant,
    pub(crate) deadline: Duration,
    pub(crate) cancel: CancelFlag,
}

/// Something a session's own task has to deal with.
#[derive(Debug)]
pub(crate) enum Event {
    /// A job's kernel or blobs turned out not to be here.
    Missing(Box<Job>),
    /// A fetched item was checked; `true` if it is here now.
    Checked(Item, bool),
}

/// The shared state.
pub(crate) struct Station {
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) classes: Vec<OfferedClass>,
    pub(crate) library: Library,
    pub(crate) key: PublicKey,
    journal: Mutex<Journal>,
    link: RwLock<Option<Sender<PeerToServer>>>,
    running: Mutex<BTreeMap<AttemptNonce, CancelFlag>>,
    /// Set when running attempts are being given back because the peer stops.
    preempted: AtomicBool,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) quiet: Notify,
    pub(crate) board: Mutex<Board>,
    paces: Mutex<Paces>,
}

/// What the owner is shown and nothing else depends on.
#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) state: State,
    pub(crate) account: Option<String>,
    pub(crate) earnings: Option<Earnings>,
    pub(crate) counts: Counts,
    pub(crate) fetching: usize,
}

impl Job {
    /// Everything it needs, kernel first.
    pub(crate) fn items(&self) -> impl Iterator<Item = Item> {
        std::iter::once(Item::Kernel(self.module)).chain(self.blobs.iter().map(|blob| Item::Blob(*blob)))
    }

    fn assignment(&self, kernel: VerifiedModule, blobs: Vec<(BlobId, Bytes)>, deadline: Duration) -> Assignment {
        Assignment {
            task: self.task,
            nonce: self.nonce,
            kernel,
            class: self.class,
            path: self.path,
            input: self.input.clone(),
            blobs,
            seed: self.seed,
            max_units: self.max_units,
            deadline,
            cancel: self.cancel.clone(),
        }
    }

    /// Time left; `None` if it is over.
    pub(crate) fn left(&self) -> Option<Duration> {
        self.deadline.checked_sub(self.received.elapsed()).filter(|left| !left.is_zero())
    }
}

impl Station {
    pub(crate) fn new(
        executor: Arc<dyn Executor>,
        library: Library,
        journal: Journal,
        key: PublicKey,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let classes = executor.classes();
        let board =
            Board { state: State::Starting, account: None, earnings: None, counts: Counts::default(), fetching: 0 };
        Self {
            executor,
            classes,
            library,
            key,
            journal: Mutex::new(journal),
            link: RwLock::new(None),
            running: Mutex::default(),
            preempted: AtomicBool::new(false),
            events,
            quiet: Notify::new(),
            board: Mutex::new(board),
            paces: Mutex::default(),
        }
    }

    /// Results and faults go this way from now on.
    pub(crate) fn set_link(&self, link: Option<Sender<PeerToServer>>) {
        *self.link.write().unwrap_or_else(PoisonError::into_inner) = link;
    }

    /// Registers a job so that it can be called off; `None` if this attempt is here already or was finished and waits to
    /// be settled: the coordinator repeats itself.
    pub(crate) fn enter(&self, nonce: AttemptNonce) -> Option<CancelFlag> {
        if self.journal().contains(&nonce) {
            return None;
        }
        let mut running = lock(&self.running);
        if running.contains_key(&nonce) {
            return None;
        }
        let flag = CancelFlag::new();
        running.insert(nonce, flag.clone());
        Some(flag)
    }

    /// Calls an attempt off, if it is here.
    pub(crate) fn cancel(&self, nonce: &AttemptNonce) {
        if let Some(flag) = lock(&self.running).get(nonce) {
            flag.cancel();
        }
    }

    /// Gives back everything that runs.
    pub(crate) fn preempt(&self) {
        self.preempted.store(true, Ordering::Release);
        lock(&self.running).values().for_each(CancelFlag::cancel);
    }

    pub(crate) fn running(&self) -> usize {
        lock(&self.running).len()
    }

    /// Runs a job on the calling thread and answers.
    pub(crate) fn run(&self, job: Box<Job>) {
        let Some((kernel, blobs)) = self.gather(&job) else {
            use mpsc::error::TrySendError::{Closed, Full};
            if let Err(Full(Event::Missing(job)) | Closed(Event::Missing(job))) =
                self.events.try_send(Event::Missing(job))
            {
                self.fail(&job, Fault::Fetch);
            }
            return;
        };
        let Some(deadline) = job.left() else { return self.fail(&job, Fault::Deadline) };
        if job.cancel.is_cancelled() {
            return self.fail(&job, Fault::Preempted);
        }
        let assignment = job.assignment(kernel, blobs, deadline);
        let results = self.execute(std::slice::from_ref(&assignment), |executor| vec![executor.execute(&assignment)]);
        match results.into_iter().next().unwrap_or(Err(Fault::Internal)) {
            Ok(answer) => self.answer(&job, &assignment, &answer),
            Err(fault) => self.fail(&job, fault),
        }
    }

    /// Whether a job's kernel is quick and all it needs is in memory.
    pub(crate) fn is_quick(&self, job: &Job) -> bool {
        lock(&self.paces).is_quick(&job.module) && job.items().all(|item| self.library.hot(&item).is_some())
    }

    /// Runs jobs right here; gives those back that are not done in no time.
    pub(crate) fn run_quick(&self, jobs: Vec<Job>) -> Vec<Job> {
        let mut slow = Vec::new();
        let (mut quick, mut assignments) = (Vec::with_capacity(jobs.len()), Vec::with_capacity(jobs.len()));
        for job in jobs {
            match (self.gather(&job), job.left()) {
                (Some((kernel, blobs)), Some(left)) => {
                    assignments.push(job.assignment(kernel, blobs, left.min(limits::QUICK_DEADLINE)));
                    quick.push(job);
                }
                _ => slow.push(job),
            }
        }
        let mut results = self.execute(&assignments, |executor| executor.execute_all(&assignments)).into_iter();
        for (job, assignment) in quick.into_iter().zip(&assignments) {
            match results.next() {
                Some(Ok(answer)) => self.answer(&job, assignment, &answer),
                // Whatever it was, a worker with the whole deadline says it with authority.
                Some(Err(_)) | None => slow.push(job),
            }
        }
        slow
    }

    /// What `run` makes of the assignments; the time it takes is noted.
    fn execute(
        &self,
        assignments: &[Assignment],
        run: impl FnOnce(&dyn Executor) -> Vec<Result<Answer, Fault>>,
    ) -> Vec<Result<Answer, Fault>> {
        let start = Instant::now();
        let run = std::panic::AssertUnwindSafe(|| run(&*self.executor));
        let results = std::panic::catch_unwind(run).unwrap_or_else(|_panic| {
            tracing::error!("bug: the executor panicked");
            Vec::new()
        });
        let each = start.elapsed() / u32::try_from(assignments.len()).unwrap_or(u32::MAX).max(1);
        let mut paces = lock(&self.paces);
        for (at, assignment) in assignments.iter().enumerate() {
            let took = if matches!(results.get(at), Some(Ok(_))) { each } else { each.max(limits::QUICK_DEADLINE) };
            paces.note(assignment.kernel.id(), took);
        }
        drop(paces);
        results
    }

    /// Ends a job without an outcome. Nobody is told of an attempt the coordinator called off.
    pub(crate) fn fail(&self, job: &Job, fault: Fault) {
        let called_off = job.cancel.is_cancelled() && !self.preempted.load(Ordering::Acquire);
        if called_off {
            lock(&self.board).counts.cancelled += 1;
        } else {
            lock(&self.board).counts.faults += 1;
            self.send(&PeerToServer::Fault { ticket: job.ticket.clone(), fault });
        }
        self.leave(&job.nonce);
    }

    /// Keeps the result until it is settled, and sends it.
    fn answer(&self, job: &Job, assignment: &Assignment, answer: &Answer) {
        let ballot = Ballot {
            task: job.task,
            module: job.module,
            class: job.class,
            input: assignment.input_digest(),
            outcome: answer.outcome,
            output: Digest::of(&answer.output),
            units: answer.units,
            trace_root: answer.trace_root,
        };
        let message = PeerToServer::Result {
            ticket: job.ticket.clone(),
            outcome: answer.outcome,
            units: answer.units,
            trace_root: answer.trace_root,
            seal: ballot.vote().seal(&self.key, &job.nonce),
        };
        match Encoded::new(&message, &answer.output) {
            Ok(encoded) => {
                // First the journal: a result that was sent and lost is sent again.
                if let Err(error) = self.journal().add(job.nonce, &encoded) {
                    tracing::warn!(%error, "journal not written");
                }
                self.push(&encoded);
                lock(&self.board).counts.results += 1;
                self.leave(&job.nonce);
            }
            Err(error) => {
                tracing::error!(kernel = %job.module.short(), %error, "bug: a result does not fit the wire");
                self.fail(job, Fault::Internal);
            }
        }
    }

    /// Takes settled results out of the journal and counts them.
    pub(crate) fn settled(&self, entries: &[SettledAttempt]) {
        let settled = self.journal().settle(entries.iter().map(|entry| entry.nonce));
        if let Err(error) = settled {
            tracing::warn!(%error, "journal not written");
        }
        let mut board = lock(&self.board);
        for entry in entries {
            let counts = &mut board.counts;
            match entry.standing {
                Standing::Agreed => counts.agreed += 1,
                Standing::Outvoted => counts.outvoted += 1,
                Standing::Void => counts.void += 1,
            }
            counts.earned_nano_usd = counts.earned_nano_usd.saturating_add(entry.earned.nano_usd());
        }
    }

    pub(crate) fn unsettled(&self) -> Vec<Encoded<PeerToServer>> {
        self.journal().unsettled().cloned().collect()
    }

    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        lock(&self.journal)
    }

    pub(crate) fn send(&self, message: &PeerToServer) {
        match Encoded::new(message, &[]) {
            Ok(encoded) => self.push(&encoded),
            Err(error) => tracing::error!(%error, "bug: a message does not fit the wire"),
        }
    }

    fn push(&self, message: &Encoded<PeerToServer>) {
        let link = self.link.read().unwrap_or_else(PoisonError::into_inner);
        let Some(link) = &*link else { return };
        match link.send_encoded(message) {
            Ok(()) | Err(SendError::Closed) => {}
            Err(error @ SendError::Full { .. }) => {
                // What is in the journal goes again after the reconnect that this causes.
                tracing::warn!(%error, "coordinator does not read, reconnecting");
                link.close(4000, "send queue full");
            }
            Err(SendError::Frame(error)) => tracing::error!(%error, "bug: a message does not fit the wire"),
        }
    }

    /// Kernel and blobs of a job, if all are here.
    fn gather(&self, job: &Job) -> Option<(VerifiedModule, Vec<(BlobId, Bytes)>)> {
        let Content::Kernel(kernel) = self.library.load(&Item::Kernel(job.module))? else { return None };
        let blob = |id: &BlobId| match self.library.load(&Item::Blob(*id))? {
            Content::Blob(bytes) => Some((*id, bytes)),
            Content::Kernel(_) => None,
        };
        let blobs = job.blobs.iter().map(blob).collect::<Option<Vec<_>>>()?;
        Some((kernel, blobs))
    }

    fn leave(&self, nonce: &AttemptNonce) {
        let mut running = lock(&self.running);
        running.remove(nonce);
        if running.is_empty() {
            self.quiet.notify_waiters();
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
