//! The one thread behind a client: it owns the [`Router`] and the connection, and does what the router says.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as std_mpsc};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc;

use p2c2r_protocol::limits::CHUNK_BYTES;
use p2c2r_protocol::message::{ClientToServer, ServerToClient};
use p2c2r_signing::BlobId;
use p2c2r_transport::{Backoff, ClientSide, ConnectError, Receiver, Sender, Target, Welcome, connect};

use crate::blobs::Blobs;
use crate::event::{Event, Network};
use crate::limits::{EVENTS, RECONNECT};
use crate::local::{Job, Pool};
use crate::router::{Input, Output, Router};
use crate::stats::Recorder;

/// What the game's threads and the background thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) blobs: Mutex<Blobs>,
    pub(crate) recorder: Mutex<Recorder>,
    /// Tasks under way.
    pub(crate) live: AtomicUsize,
    /// Events produced and not yet polled.
    pub(crate) waiting: AtomicUsize,
}

/// From the game's threads and the local threads.
#[derive(Debug)]
pub(crate) enum Command {
    Route(Input),
    Shutdown,
}

type Connection = (Sender<ClientToServer>, Receiver<ServerToClient>);
type Connecting = Pin<Box<dyn Future<Output = Result<(Welcome, Connection), ConnectError>> + Send>>;

pub(crate) struct Background {
    pub(crate) target: Option<Target>,
    pub(crate) router: Router,
    pub(crate) pool: Option<Pool>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) events: std_mpsc::Sender<Event>,
    pub(crate) shared: Arc<Shared>,
}

/// The connection as the loop sees it.
enum Link {
    /// Not wanted, or no coordinator is configured.
    Idle,
    Connecting(Connecting),
    Up(Receiver<ServerToClient>),
}

/// What woke the loop.
enum Wake {
    Command(Option<Command>),
    Connected(Box<Result<(Welcome, Connection), ConnectError>>),
    Received(Result<(ServerToClient, Bytes), String>),
    Timer,
}

impl Background {
    /// Runs until [`Command::Shutdown`] or until every handle of the client is gone.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(RECONNECT.0, RECONNECT.1);
        let mut link = Link::Idle;
        let mut sender = None;
        loop {
            link = self.wanted(link, &mut sender, &mut backoff);
            let wake = self.wait(&mut link).await;
            let now = Instant::now();
            match wake {
                Wake::Command(Some(Command::Route(input))) => {
                    if let (Input::LocalDone { number, .. }, Some(pool)) = (&input, &mut self.pool) {
                        pool.done(*number);
                    }
                    self.router.handle(now, input);
                }
                Wake::Command(Some(Command::Shutdown) | None) => {
                    self.router.abandon();
                    if let Some(sender) = &sender {
                        self.obey(Some(sender));
                        say(sender, &ClientToServer::CloseSession, &[]);
                        sender.drained().await;
                    } else {
                        self.obey(None);
                    }
                    return;
                }
                Wake::Connected(result) => match *result {
                    Ok((_welcome, (up, receiver))) => {
                        backoff.reset();
                        sender = Some(up);
                        link = Link::Up(receiver);
                        self.router.handle(now, Input::Connected);
                    }
                    Err(error) => {
                        tracing::debug!(%error, "no connection");
                        link = Link::Idle;
                        self.router.handle(now, Input::Disconnected { reason: error.to_string() });
                    }
                },
                Wake::Received(Ok((message, payload))) => {
                    self.router.handle(now, Input::Server { message, payload });
                }
                Wake::Received(Err(reason)) => {
                    sender = None;
                    link = Link::Idle;
                    self.router.handle(now, Input::Disconnected { reason });
                }
                Wake::Timer => self.router.handle(now, Input::Tick),
            }
            self.obey(sender.as_ref());
        }
    }

    /// Starts or drops a connection as the router wants it.
    fn wanted(&self, link: Link, sender: &mut Option<Sender<ClientToServer>>, backoff: &mut Backoff) -> Link {
        match (link, &self.target) {
            (Link::Idle, Some(target)) if self.router.wants_network() => {
                let (target, pause) = (target.clone(), backoff.next_delay());
                Link::Connecting(Box::pin(async move {
                    tokio::time::sleep(pause).await;
                    let (welcome, sender, receiver) = connect::<ClientSide>(&target).await?;
                    Ok((welcome, (sender, receiver)))
                }))
            }
            // A session that is switched off keeps its connection: verdicts of earlier tasks are still to come.
            (link @ Link::Up(_), _) if sender.is_some() => link,
            (Link::Connecting(_), _) if !self.router.wants_network() => Link::Idle,
            (link, _) => link,
        }
    }

    async fn wait(&mut self, link: &mut Link) -> Wake {
        let timer = self.router.next_timer().map(tokio::time::Instant::from_std);
        let wake_at = timer.unwrap_or_else(tokio::time::Instant::now);
        let connection = async {
            match link {
                Link::Idle => std::future::pending().await,
                Link::Connecting(connecting) => Wake::Connected(Box::new(connecting.await)),
                Link::Up(receiver) => Wake::Received(receiver.next().await.map_err(|e| e.to_string())),
            }
        };
        tokio::select! {
            command = self.commands.recv() => Wake::Command(command),
            wake = connection => wake,
            () = tokio::time::sleep_until(wake_at), if timer.is_some() => Wake::Timer,
        }
    }

    /// Does everything the router wants.
    fn obey(&mut self, sender: Option<&Sender<ClientToServer>>) {
        while let Some(output) = self.router.poll_output() {
            match output {
                Output::Send { message, payload } => {
                    if let Some(sender) = sender {
                        say(sender, &message, &payload);
                    }
                }
                Output::Upload(blob) => {
                    let bytes = lock(&self.shared.blobs).get(&blob).cloned();
                    if let (Some(sender), Some(bytes)) = (sender, bytes) {
                        tokio::spawn(upload(sender.clone(), blob, bytes));
                    }
                }
                Output::RunLocal { number, task } => {
                    let kept = lock(&self.shared.blobs);
                    let blobs: Option<Vec<Bytes>> = task.blobs.iter().map(|blob| kept.get(blob).cloned()).collect();
                    drop(kept);
                    match (&mut self.pool, blobs) {
                        (Some(pool), Some(blobs)) => pool.run(Job { number, task, blobs }),
                        (_, blobs) => {
                            let what =
                                if blobs.is_none() { "a blob was removed" } else { "there are no local threads" };
                            let result = Err(what.to_owned());
                            self.router.handle(Instant::now(), Input::LocalDone { number, result });
                        }
                    }
                }
                Output::StopLocal { number } => {
                    if let Some(pool) = &mut self.pool {
                        pool.stop(number);
                    }
                }
                Output::Event(event) => self.emit(event),
                Output::LastEvent(event) => {
                    self.shared.live.fetch_sub(1, Ordering::AcqRel);
                    self.emit(event);
                }
                Output::Charged(cost) => lock(&self.shared.recorder).charged(cost),
                Output::Refunded(refund) => lock(&self.shared.recorder).refunded(refund),
            }
        }
    }

    fn emit(&self, event: Event) {
        lock(&self.shared.recorder).event(&event);
        // States of the connection are dropped when nobody polls; `stats` still has the last one.
        let crowded = self.shared.waiting.load(Ordering::Acquire) >= EVENTS;
        if crowded && matches!(event, Event::Network(Network::Offline { .. } | Network::Ready { .. })) {
            return;
        }
        self.shared.waiting.fetch_add(1, Ordering::AcqRel);
        if self.events.send(event).is_err() {
            self.shared.waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// A lock that a panicking thread cannot poison for the others: the data is valid after every statement.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn say(sender: &Sender<ClientToServer>, message: &ClientToServer, payload: &[u8]) {
    if let Err(error) = sender.send(message, payload) {
        // What was not sent is hedged and, after a reconnect, sent again.
        tracing::warn!(%error, "message dropped");
    }
}

/// Sends a blob in chunks, one at a time, so that tasks never wait behind more than one.
async fn upload(sender: Sender<ClientToServer>, blob: BlobId, bytes: Bytes) {
    let total_bytes = bytes.len() as u64;
    let mut from = 0;
    loop {
        let to = bytes.len().min(from + CHUNK_BYTES);
        let message = ClientToServer::PutBlob { blob, total_bytes, offset: from as u64 };
        if sender.send(&message, &bytes[from..to]).is_err() {
            return;
        }
        sender.drained().await;
        from = to;
        if from == bytes.len() {
            return;
        }
    }
}
