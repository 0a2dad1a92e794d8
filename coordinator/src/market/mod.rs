//! The task that owns the market: takes events, feeds them to [`p2c2r_core::Market`] and does what it says.
//!
//! **Invariant:** nothing else touches the market or the connections' senders, so there is no lock over either.

mod event;
mod links;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use p2c2r_core::{Commit, CommitId, Input, Market, Millis, Output, Record};
use p2c2r_protocol::message::Refusal;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use event::{Arrival, Event, Gone, MarketHandle};
use links::Links;

use crate::clock::Clock;
use crate::ledger::{Ledger, Progress};
use crate::limits;
use crate::metrics::Metrics;

/// Without a deadline of its own the market is looked after this often.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// Why the task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Drained: everything decided is durable.
    Drained,
    /// The drain took too long; what was not durable is settled after the restart from the peers' tickets.
    Unfinished {
        /// Tasks not settled.
        tasks: u64,
        /// Commits not durable.
        commits: u64,
    },
    /// The store refuses commits for good.
    StoreLost {
        /// Its words.
        problem: String,
    },
}

/// What the task needs to run.
pub(crate) struct MarketTask {
    pub(crate) market: Market,
    pub(crate) clock: Clock,
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) ledger: Ledger,
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) metrics: Arc<Metrics>,
    /// Cancelled to drain.
    pub(crate) drain: CancellationToken,
    pub(crate) drain_limit: Duration,
}

impl MarketTask {
    /// Runs until drained.
    pub(crate) async fn run(self) -> Ending {
        let acknowledged = self.progress.borrow().durable;
        let healthy = self.progress.borrow().failure.is_none();
        let links = Links::new(Arc::clone(&self.metrics));
        let mut running = Running { task: self, links, admin: AdminReplies::default(), acknowledged, healthy };
        running.run().await
    }
}

struct Running {
    task: MarketTask,
    links: Links,
    admin: AdminReplies,
    /// The last commit the market was told of.
    acknowledged: Option<u64>,
    healthy: bool,
}

/// Who waits for the answer to an admin command.
#[derive(Default)]
struct AdminReplies {
    next: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Result<(), String>>>,
}

impl Running {
    async fn run(&mut self) -> Ending {
        let mut batch = Vec::with_capacity(limits::EVENT_BATCH);
        let mut give_up: Option<Instant> = None;
        loop {
            let wake = self.wake(give_up);
            tokio::select! {
                taken = self.task.events.recv_many(&mut batch, limits::EVENT_BATCH) => {
                    if taken == 0 {
                        return Ending::Drained;
                    }
                    for event in batch.drain(..) {
                        self.take(event);
                    }
                }
                changed = self.task.progress.changed() => {
                    self.note_progress();
                    if changed.is_err() {
                        let problem = self.task.progress.borrow().failure.clone();
                        return Ending::StoreLost { problem: problem.unwrap_or_else(|| "its thread ended".to_owned()) };
                    }
                }
                () = tokio::time::sleep_until(wake) => self.handle(Input::Tick),
                () = self.task.drain.cancelled(), if give_up.is_none() => {
                    give_up = Some(Instant::now() + self.task.drain_limit);
                    self.handle(Input::Drain);
                }
            }
            if !self.flush().await {
                let problem = self.task.progress.borrow().failure.clone();
                return Ending::StoreLost { problem: problem.unwrap_or_else(|| "its thread ended".to_owned()) };
            }
            if let Some(give_up) = give_up {
                if self.task.market.is_idle() {
                    self.links.farewell("the coordinator drains; reconnect later");
                    return Ending::Drained;
                }
                if give_up <= Instant::now() {
                    self.links.farewell("the coordinator drains; reconnect later");
                    let stats = self.task.market.stats();
                    return Ending::Unfinished { tasks: stats.tasks, commits: stats.commits_in_flight };
                }
            }
        }
    }

    fn wake(&self, give_up: Option<Instant>) -> Instant {
        let latest = Instant::now() + LOOK_AFTER;
        let deadline = self.task.market.next_deadline().map(|at| Instant::from_std(self.task.clock.instant(at)));
        [deadline, give_up].into_iter().flatten().fold(latest, Instant::min)
    }

    fn now(&self) -> Millis {
        self.task.clock.now()
    }

    fn handle(&mut self, input: Input) {
        let now = self.now();
        self.task.market.handle(now, input);
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Client { conn, message, payload, room } => {
                self.links.note_submit(conn, &message);
                self.handle(Input::Client { conn, message, payload });
                drop(room);
            }
            Event::Peer { conn, message, payload, room } => {
                self.links.note_offer(conn, &message);
                self.handle(Input::Peer { conn, message, payload });
                drop(room);
            }
            Event::Arrived(arrival) => {
                let input = arrival.input();
                self.links.add(arrival);
                self.handle(input);
            }
            Event::Gone(conn) => {
                // A connection the market closed itself is gone already.
                if self.links.remove(conn) {
                    self.handle(Input::Disconnected { conn });
                }
            }
            Event::BlobStored { blob } => self.handle(Input::BlobStored { blob }),
            Event::Admin { command, reply } => {
                let request = self.admin.next;
                self.admin.next += 1;
                self.admin.waiting.insert(request, reply);
                self.handle(Input::Admin { request, command });
            }
            Event::View(view) => view(&self.task.market, &self.links),
        }
    }

    /// Tells the market what the ledger thread got done.
    fn note_progress(&mut self) {
        let progress = self.task.progress.borrow_and_update().clone();
        if let Some(durable) = progress.durable {
            let first = self.acknowledged.map_or(1, |last| last + 1);
            for id in first..=durable {
                self.handle(Input::Committed { commit: CommitId(id) });
            }
            self.acknowledged = Some(durable);
        }
        let healthy = progress.failure.is_none();
        if healthy != self.healthy {
            self.healthy = healthy;
            self.handle(Input::StoreHealth { ok: healthy });
        }
    }

    /// Does everything the market wants done. False if the store is gone.
    async fn flush(&mut self) -> bool {
        while let Some(output) = self.task.market.poll_output() {
            match output {
                Output::ToClient { conn, message, payload } => {
                    if !self.links.send_client(conn, &message, &payload) {
                        self.handle(Input::Disconnected { conn });
                    }
                }
                Output::ToPeer { conn, message, payload } => {
                    if !self.links.send_peer(conn, &message, &payload) {
                        self.handle(Input::Disconnected { conn });
                    }
                }
                Output::Close { conn, code, message } => self.links.close(conn, code, &message),
                Output::Commit(commit) => {
                    tell_operator(&commit);
                    if !self.task.ledger.commit(commit).await {
                        return false;
                    }
                }
                Output::AdminDone { request, result } => {
                    if let Some(reply) = self.admin.waiting.remove(&request) {
                        // Whoever asked may have given up waiting.
                        let _ = reply.send(result);
                    }
                }
            }
        }
        true
    }
}

/// What an operator must look at says so in the log, besides the report and the metrics.
fn tell_operator(commit: &Commit) {
    for record in &commit.records {
        let Record::Suspicion(suspicion) = record else { continue };
        let (module, cause) = (suspicion.module, suspicion.cause);
        if suspicion.open {
            tracing::warn!(%module, %cause, "kernel at fault: it is refused until it is cleared or registered again");
        } else {
            tracing::info!(%module, "kernel cleared");
        }
    }
}

/// WebSocket close code of a refusal: 4000 and its place in the list of `docs/WIRE.md`.
pub(crate) const fn close_code(code: Refusal) -> u16 {
    4000 + match code {
        Refusal::Version => 1,
        Refusal::Authentication => 2,
        Refusal::Forbidden => 3,
        Refusal::Protocol => 4,
        Refusal::Limit => 5,
        Refusal::UnknownKernel => 6,
        Refusal::UnknownBlob => 7,
        Refusal::NoSession => 8,
        Refusal::Funds => 9,
        Refusal::NoPeers => 10,
        Refusal::Deadline => 11,
        Refusal::Unavailable => 12,
        Refusal::FaultyKernel => 13,
        Refusal::Other => 99,
    }
}
