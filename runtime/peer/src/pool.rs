//! Worker threads with one bounded queue. A worker answers by itself, so a finished attempt waits for no other thread.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use p2c2r_protocol::limits::SLOTS_PER_PEER;

use crate::limits;
use crate::station::{Job, Station, lock};

/// The threads. Dropping it lets them finish what is queued and end.
#[derive(Debug)]
pub(crate) struct Pool {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    ready: Condvar,
}

#[derive(Debug, Default)]
struct State {
    jobs: VecDeque<Box<Job>>,
    closed: bool,
}

impl Pool {
    /// Starts `workers` threads.
    pub(crate) fn start(workers: u16, station: &Arc<Station>) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let spawn = |index: u16| {
            let (queue, station) = (Arc::clone(&queue), Arc::clone(station));
            std::thread::Builder::new().name(format!("worker-{index}")).stack_size(limits::WORKER_STACK_BYTES).spawn(
                move || {
                    while let Some(job) = queue.next() {
                        station.run(job);
                    }
                },
            )
        };
        let threads = (0..workers).map(spawn).collect::<io::Result<_>>()?;
        Ok(Self { queue, threads })
    }

    /// Queues a job; gives it back if the queue is full.
    pub(crate) fn submit(&self, job: Box<Job>) -> Result<(), Box<Job>> {
        let mut state = lock(&self.queue.state);
        if state.jobs.len() >= usize::from(SLOTS_PER_PEER) {
            return Err(job);
        }
        state.jobs.push_back(job);
        drop(state);
        self.queue.ready.notify_one();
        Ok(())
    }
}

impl Queue {
    fn next(&self) -> Option<Box<Job>> {
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        lock(&self.queue.state).closed = true;
        self.queue.ready.notify_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("bug: a worker thread panicked");
            }
        }
    }
}
