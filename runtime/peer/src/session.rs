//! One connection: takes assignments, has fetched what they need, hands them to the workers (or runs them here, if that
//! is over sooner than a thread switch), keeps the books of what is settled. Workers send results by themselves.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use p2c2r_protocol::limits::SLOTS_PER_PEER;
use p2c2r_protocol::message::{Chunk, Fault, Item, PeerToServer, ServerToPeer};
use p2c2r_transport::{Encoded, Receiver, RecvError, SendError, Sender};
use tokio::sync::mpsc;

use crate::fetch::{Fetches, Progress};
use crate::limits;
use crate::pool::Pool;
use crate::station::{Event, Job, Station, lock};
use crate::status::{Earnings, State};

/// One connection's state.
pub(crate) struct Session<'a> {
    station: &'a Arc<Station>,
    pool: &'a Pool,
    sender: Sender<PeerToServer>,
    receiver: Receiver<ServerToPeer>,
    fetches: Fetches,
    waiting: Vec<Waiting>,
    /// To be run on this thread before it waits again.
    quick: Vec<Job>,
    stopping: bool,
}

/// What every session of a peer has in common.
pub(crate) struct Terms {
    pub(crate) slots: u16,
    pub(crate) speed: u32,
}

/// Why a session ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The connection is gone.
    Lost(RecvError),
    /// The owner stops the peer, and everything is finished or given back.
    Stopped,
}

/// A job and what is not here yet.
struct Waiting {
    job: Box<Job>,
    missing: BTreeSet<Item>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        station: &'a Arc<Station>,
        pool: &'a Pool,
        sender: Sender<PeerToServer>,
        receiver: Receiver<ServerToPeer>,
    ) -> Self {
        Self {
            station,
            pool,
            sender,
            receiver,
            fetches: Fetches::default(),
            waiting: Vec::new(),
            quick: Vec::new(),
            stopping: false,
        }
    }

    /// Serves until the connection or the peer ends.
    pub(crate) async fn run(
        mut self,
        terms: &Terms,
        events: &mut mpsc::Receiver<Event>,
        mut shutdown: Pin<&mut impl Future<Output = ()>>,
    ) -> End {
        self.station.set_link(Some(self.sender.clone()));
        let resend = tokio::spawn(resend(self.sender.clone(), self.station.unsettled()));
        self.offer(terms.slots, terms.speed);
        self.station.send(&PeerToServer::QueryEarnings);
        let mut tick = tokio::time::interval(limits::REPORT_EVERY);
        let mut asked = Instant::now();
        let mut stop_at: Option<tokio::time::Instant> = None;
        let station = self.station;
        let end = loop {
            let quiet = station.quiet.notified();
            if self.stopping && station.running() == 0 {
                break End::Stopped;
            }
            tokio::select! {
                biased;
                received = self.receiver.next() => {
                    let heard = self.hear_all(received);
                    self.run_quick();
                    if let Err(error) = heard {
                        break End::Lost(error);
                    }
                }
                Some(event) = events.recv() => {
                    self.handle(event);
                    self.run_quick();
                }
                () = quiet, if self.stopping => {}
                () = shutdown.as_mut(), if !self.stopping => {
                    self.stopping = true;
                    self.offer(0, terms.speed);
                    stop_at = Some(tokio::time::Instant::now() + limits::DRAIN);
                    lock(&station.board).state = State::Stopping;
                }
                () = until(stop_at) => {
                    station.preempt();
                    self.drop_waiting(Fault::Preempted);
                    stop_at = None;
                }
                _ = tick.tick() => {
                    self.tick();
                    if asked.elapsed() >= limits::EARNINGS_EVERY {
                        asked = Instant::now();
                        station.send(&PeerToServer::QueryEarnings);
                    }
                }
            }
        };
        resend.abort();
        if matches!(end, End::Stopped) {
            self.sender.drained().await;
        }
        station.set_link(None);
        self.drop_waiting(Fault::Preempted);
        end
    }

    fn offer(&self, slots: u16, speed: u32) {
        self.station.send(&PeerToServer::Offer { slots, classes: self.station.classes.clone(), speed });
    }

    /// Hears a message, and those that are there already, so that quick attempts go together.
    fn hear_all(&mut self, first: Result<(ServerToPeer, Bytes), RecvError>) -> Result<(), RecvError> {
        let (mut received, mut heard) = (Some(first), 0);
        while let Some(message) = received {
            let (message, payload) = message?;
            self.hear(message, payload);
            heard += 1;
            received = if heard < limits::QUICK_TOGETHER { self.receiver.try_next() } else { None };
        }
        Ok(())
    }

    fn hear(&mut self, message: ServerToPeer, payload: Bytes) {
        match message {
            ServerToPeer::Assign { ticket, task, nonce, module, class, blobs, seed, max_units, deadline_ms } => {
                let known = self.station.classes.iter().find(|offered| offered.class == class);
                let Some(path) = known.map(|offered| offered.path) else {
                    tracing::warn!(%class, "assigned in a class that was not offered");
                    return self.station.send(&PeerToServer::Fault { ticket, fault: Fault::Internal });
                };
                if self.stopping || self.station.running() >= usize::from(SLOTS_PER_PEER) {
                    let fault = if self.stopping { Fault::Preempted } else { Fault::Resources };
                    return self.station.send(&PeerToServer::Fault { ticket, fault });
                }
                let Some(cancel) = self.station.enter(nonce) else {
                    tracing::debug!(%nonce, "attempt assigned twice");
                    return;
                };
                let job = Job {
                    ticket,
                    task,
                    nonce,
                    module,
                    class,
                    path,
                    blobs,
                    seed,
                    max_units,
                    input: payload,
                    received: Instant::now(),
                    deadline: Duration::from_millis(u64::from(deadline_ms)),
                    cancel,
                };
                self.admit(Box::new(job));
            }
            ServerToPeer::Cancel { nonce } => {
                self.station.cancel(&nonce);
                if let Some(at) = self.waiting.iter().position(|waiting| waiting.job.nonce == nonce) {
                    let waiting = self.waiting.swap_remove(at);
                    self.station.fail(&waiting.job, Fault::Preempted);
                }
            }
            ServerToPeer::Settled { batch, root: _, entries } => {
                self.station.settled(&entries);
                self.station.send(&PeerToServer::SettledAck { batch });
            }
            ServerToPeer::Earnings { balance, earned, agreed, outvoted } => {
                lock(&self.station.board).earnings = Some(Earnings {
                    balance_nano_usd: balance.nano_usd(),
                    earned_nano_usd: earned.nano_usd(),
                    votes_agreed: agreed,
                    votes_outvoted: outvoted,
                });
            }
            ServerToPeer::Chunk(head) => self.chunk(&head, payload),
            ServerToPeer::Draining => lock(&self.station.board).state = State::CoordinatorDraining,
        }
    }

    /// Hands a job to the workers if all it needs is here, and has the rest fetched.
    fn admit(&mut self, job: Box<Job>) {
        let missing: BTreeSet<Item> = job.items().filter(|item| !self.station.library.has(item)).collect();
        if missing.is_empty() {
            return self.submit(job);
        }
        for item in &missing {
            if let Err(reason) = self.fetches.start(*item, Instant::now()) {
                tracing::warn!(?item, reason, "not fetched");
                return self.station.fail(&job, Fault::Fetch);
            }
        }
        self.waiting.push(Waiting { job, missing });
        self.request();
    }

    fn submit(&mut self, job: Box<Job>) {
        if self.station.is_quick(&job) { self.quick.push(*job) } else { self.queue(job) }
    }

    fn queue(&self, job: Box<Job>) {
        if let Err(job) = self.pool.submit(job) {
            self.station.fail(&job, Fault::Resources);
        }
    }

    /// Runs what was found to be quick, on this thread.
    fn run_quick(&mut self) {
        if !self.quick.is_empty() {
            let slow = self.station.run_quick(std::mem::take(&mut self.quick));
            slow.into_iter().for_each(|job| self.queue(Box::new(job)));
        }
    }

    fn chunk(&mut self, head: &Chunk, payload: Bytes) {
        match self.fetches.chunk(head, payload, Instant::now()) {
            Progress::More => {}
            Progress::Done(bytes) => self.check(head.item, bytes),
            Progress::Failed(reason) => {
                tracing::warn!(item = ?head.item, reason, "fetch failed");
                self.resolve(head.item, false);
            }
            Progress::Stray => tracing::debug!(item = ?head.item, "chunk nobody waits for"),
        }
        self.request();
    }

    /// Hashes, verifies and stores off this thread: a large blob takes tens of milliseconds.
    fn check(&self, item: Item, bytes: Bytes) {
        let station = Arc::clone(self.station);
        tokio::task::spawn_blocking(move || {
            let admitted = station.library.admit(&item, bytes);
            if let Err(error) = &admitted {
                let reason = std::error::Error::source(error).map(ToString::to_string);
                tracing::warn!(%error, reason, "refused");
            }
            // The channel is gone only when the peer is.
            let _ = station.events.blocking_send(Event::Checked(item, admitted.is_ok()));
        });
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Missing(job) => self.admit(job),
            Event::Checked(item, good) => {
                if !good {
                    self.fetches.refuse(item, Instant::now());
                }
                self.resolve(item, good);
            }
        }
    }

    /// An item is here, or will not come.
    fn resolve(&mut self, item: Item, here: bool) {
        let mut at = 0;
        while let Some(waiting) = self.waiting.get_mut(at) {
            let concerned = waiting.missing.remove(&item);
            if !concerned || (here && !waiting.missing.is_empty()) {
                at += 1;
                continue;
            }
            let job = self.waiting.swap_remove(at).job;
            if here { self.submit(job) } else { self.station.fail(&job, Fault::Fetch) }
        }
        self.show_waiting();
    }

    fn tick(&mut self) {
        let now = Instant::now();
        for item in self.fetches.stalled(now) {
            tracing::warn!(?item, "fetch stalled");
            self.resolve(item, false);
        }
        self.request();
        let late = |waiting: &Waiting| waiting.job.left().is_none();
        while let Some(at) = self.waiting.iter().position(late) {
            let job = self.waiting.swap_remove(at).job;
            self.station.fail(&job, Fault::Deadline);
        }
        self.show_waiting();
    }

    fn drop_waiting(&mut self, fault: Fault) {
        for waiting in self.waiting.drain(..) {
            self.station.fail(&waiting.job, fault);
        }
        self.show_waiting();
    }

    fn show_waiting(&self) {
        lock(&self.station.board).fetching = self.waiting.len();
    }

    /// Asks for as much as may be on its way.
    fn request(&mut self) {
        while let Some(request) = self.fetches.next_request(Instant::now()) {
            self.station.send(&PeerToServer::Fetch(request));
        }
    }
}

/// Sends everything unsettled again, at the pace of the connection.
async fn resend(sender: Sender<PeerToServer>, unsettled: Vec<Encoded<PeerToServer>>) {
    if !unsettled.is_empty() {
        tracing::info!(results = unsettled.len(), "sending unsettled results again");
    }
    for message in unsettled {
        while let Err(error) = sender.send_encoded(&message) {
            match error {
                SendError::Full { .. } => sender.drained().await,
                SendError::Closed | SendError::Frame(_) => return,
            }
        }
        sender.drained().await;
    }
}

async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
