//! The one thread that writes to the store. It takes every commit that waits, makes them durable in one transaction and
//! says so; when the store fails it says so too and tries again until it works.
//!
//! **Invariant:** commits become durable in the order they were sent, and none is given up while the process lives.

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use p2c2r_core::record::Commit;
use tokio::sync::{mpsc, oneshot, watch};

use crate::limits;
use crate::store::{Publisher, Store, StoreError};

/// What the ledger thread has got done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The last durable commit.
    pub durable: Option<u64>,
    /// Why the store does not work, if it does not.
    pub failure: Option<String>,
}

/// Work for the ledger thread. It ends when this is dropped and everything sent before is done.
#[derive(Debug, Clone)]
pub struct Ledger {
    jobs: mpsc::Sender<Job>,
}

#[derive(Debug)]
enum Job {
    Commit(Commit),
    Trust { publisher: Publisher, done: oneshot::Sender<Result<(), StoreError>> },
}

impl Ledger {
    /// Starts the thread. `durable` is the last commit already in the store.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(
        store: impl Store + 'static,
        durable: Option<u64>,
    ) -> io::Result<(Self, watch::Receiver<Progress>, JoinHandle<()>)> {
        let (jobs, waiting) = mpsc::channel(limits::COMMITS);
        let (progress, watched) = watch::channel(Progress { durable, failure: None });
        let writer = Writer { store, waiting, progress, retry: limits::STORE_RETRY };
        let thread = std::thread::Builder::new().name("ledger".to_owned()).spawn(move || writer.run())?;
        Ok((Self { jobs }, watched, thread))
    }

    /// Hands a commit over; waits while [`limits::COMMITS`] are waiting. False if the thread is gone.
    pub async fn commit(&self, commit: Commit) -> bool {
        self.jobs.send(Job::Commit(commit)).await.is_ok()
    }

    /// Trusts a publisher, durably.
    ///
    /// # Errors
    /// What the store says; `None` if the thread is gone.
    pub async fn trust(&self, publisher: Publisher) -> Option<Result<(), StoreError>> {
        let (done, answer) = oneshot::channel();
        self.jobs.send(Job::Trust { publisher, done }).await.ok()?;
        answer.await.ok()
    }
}

struct Writer<S> {
    store: S,
    waiting: mpsc::Receiver<Job>,
    progress: watch::Sender<Progress>,
    retry: (Duration, Duration),
}

impl<S: Store> Writer<S> {
    fn run(mut self) {
        let mut commits = Vec::new();
        while let Some(first) = self.waiting.blocking_recv() {
            let mut next = Some(first);
            while let Some(job) = next {
                match job {
                    Job::Commit(commit) => commits.push(commit),
                    Job::Trust { publisher, done } => {
                        // Whoever asked may have given up waiting.
                        let _ = done.send(self.store.trust(&publisher));
                    }
                }
                let full = commits.len() >= limits::COMMITS_PER_TRANSACTION;
                next = if full { None } else { self.waiting.try_recv().ok() };
            }
            if !commits.is_empty() && !self.make_durable(&commits) {
                return;
            }
            commits.clear();
        }
    }

    /// Tries until it works. False if it never will: a bug or damage, on which nothing may be built.
    fn make_durable(&mut self, commits: &[Commit]) -> bool {
        let (mut pause, longest) = self.retry;
        loop {
            match self.store.apply(commits) {
                Ok(()) => {
                    let durable = commits.last().map(|commit| commit.id.0);
                    self.progress.send_modify(|progress| {
                        if progress.failure.take().is_some() {
                            tracing::info!(commits = commits.len(), "store works again");
                        }
                        progress.durable = durable;
                    });
                    return true;
                }
                Err(error) => {
                    let text = error.to_string();
                    tracing::error!(error = %text, retry_ms = pause.as_millis(), "store failed");
                    self.progress.send_if_modified(|progress| {
                        let changed = progress.failure.as_deref() != Some(&text);
                        progress.failure = Some(text);
                        changed
                    });
                    if !error.is_temporary() {
                        return false;
                    }
                    // Nobody reads the progress any more: the coordinator gave up waiting and ends.
                    if self.progress.is_closed() {
                        return false;
                    }
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(longest);
                }
            }
        }
    }
}
