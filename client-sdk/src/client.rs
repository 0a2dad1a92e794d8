//! The handle a game holds.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc as std_mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc;

use p2c2r_protocol::Credits;
use p2c2r_signing::{BlobId, SecretKey, TrustedKeys, VerifiedModule, VerifyError, verify_module};
use p2c2r_transport::{Target, TargetError};

use crate::background::{Background, Command, Shared, lock};
use crate::blobs::{BlobError, Blobs};
use crate::event::{Event, Network};
use crate::limits::{COMMANDS, EVENTS, TASKS};
use crate::local::{LocalPolicy, Pool, Report};
use crate::map::{Map, MapError, split};
use crate::router::{Input, Router, Rules};
use crate::stats::{Recorder, Stats};
use crate::task::{Kernel, SubmitError, Task, TaskHandle};

/// How a client is set up.
pub struct ClientConfig {
    coordinator: Option<Coordinator>,
    budget: Credits,
    local: LocalPolicy,
    cache: Option<PathBuf>,
    enabled: bool,
}

struct Coordinator {
    url: String,
    ca_pem: Vec<u8>,
    key: Arc<SecretKey>,
}

/// A game's connection to the network and its fallback. No call but [`Client::wait`] and [`Client::shutdown`] blocks;
/// all may be made from any thread.
#[derive(Debug)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    events: Mutex<std_mpsc::Receiver<Event>>,
    shared: Arc<Shared>,
    next: AtomicU64,
    thread: Option<JoinHandle<()>>,
}

/// Why a client could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// URL or certificate authority are not usable.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The operating system gives no randomness.
    #[error("no randomness: {0}")]
    Random(String),
}

impl ClientConfig {
    /// A client of the coordinator at `url` (`wss://host[:port]`), whose certificate chains to `ca_pem`, paying from the
    /// account of `key`. One dollar of budget, one local thread without GPU, network on.
    #[must_use]
    pub fn new(url: &str, ca_pem: impl Into<Vec<u8>>, key: SecretKey) -> Self {
        let coordinator = Coordinator { url: url.to_owned(), ca_pem: ca_pem.into(), key: Arc::new(key) };
        Self { coordinator: Some(coordinator), ..Self::offline() }
    }

    /// A client without a network: every task runs on this machine.
    #[must_use]
    pub fn offline() -> Self {
        Self {
            coordinator: None,
            budget: Credits::from_nano_usd(1_000_000_000),
            local: LocalPolicy::Threads { threads: 1, gpu: false },
            cache: None,
            enabled: true,
        }
    }

    /// The most the session may cost; put on hold when it opens, what is left is given back at its end.
    #[must_use]
    pub fn budget(mut self, budget: Credits) -> Self {
        self.budget = budget;
        self
    }

    /// What this machine may run itself.
    #[must_use]
    pub fn local(mut self, local: LocalPolicy) -> Self {
        self.local = local;
        self
    }

    /// Folder for what local runs compile, with the key that authenticates it in the folder above. Without one, every start
    /// of the game compiles the kernels it runs itself anew, which takes from milliseconds to seconds each.
    #[must_use]
    pub fn cache(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cache = Some(dir.into());
        self
    }

    /// Whether the network is used at the start; see [`Client::set_enabled`].
    #[must_use]
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }
}

impl Client {
    /// Starts the background thread and returns; the connection is made meanwhile.
    ///
    /// # Errors
    /// If URL or certificate authority are not usable, or a thread cannot be started.
    pub fn start(config: ClientConfig) -> Result<Self, StartError> {
        let target = match &config.coordinator {
            Some(c) => {
                let agent = concat!("p2c2r-client/", env!("CARGO_PKG_VERSION"));
                Some(Target::new(&c.url, &c.ca_pem, Arc::clone(&c.key), agent)?)
            }
            None => None,
        };
        let mut session = [0; 8];
        getrandom::fill(&mut session).map_err(|e| StartError::Random(e.to_string()))?;
        let (commands, queue) = mpsc::channel(COMMANDS);
        let (events, polled) = std_mpsc::channel();
        // A local thread waits for room in the queue: its result must not be lost, and nobody waits for it.
        let sender = commands.clone();
        let report: Report = Arc::new(move |number, result| {
            let command = Command::Route(Input::LocalDone { number, result });
            match sender.try_send(command) {
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
                Err(mpsc::error::TrySendError::Full(command)) => drop(sender.blocking_send(command)),
            }
        });
        let pool = Pool::start(config.local, config.cache, report).map_err(StartError::Thread)?;
        let rules = Rules {
            session: u64::from_le_bytes(session),
            budget: config.budget,
            local: pool.is_some(),
            enabled: config.enabled && target.is_some(),
        };
        let offline = Network::Offline { reason: "not connected yet".to_owned() };
        let shared = Arc::new(Shared {
            blobs: Mutex::new(Blobs::default()),
            recorder: Mutex::new(Recorder::new(offline)),
            live: 0.into(),
            waiting: 0.into(),
        });
        let background = Background {
            target,
            router: Router::new(rules),
            pool,
            commands: queue,
            events,
            shared: Arc::clone(&shared),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let thread = std::thread::Builder::new()
            .name("p2c2r-client".to_owned())
            .spawn(move || runtime.block_on(background.run()))
            .map_err(StartError::Thread)?;
        let events = Mutex::new(polled);
        Ok(Self { commands, events, shared, next: AtomicU64::new(1), thread: Some(thread) })
    }

    /// Verifies a signed kernel, so that tasks can name it.
    ///
    /// # Errors
    /// If its format, signature or signer is not acceptable.
    pub fn add_kernel(&self, bytes: impl Into<Bytes>, trusted: &TrustedKeys) -> Result<Kernel, VerifyError> {
        let module: VerifiedModule = verify_module(bytes, trusted)?;
        Ok(Kernel { module })
    }

    /// Keeps a blob for local runs and uploads it in the background, once.
    ///
    /// # Errors
    /// If it is over a limit.
    pub fn add_blob(&self, bytes: impl Into<Bytes>) -> Result<BlobId, BlobError> {
        let (blob, fresh) = lock(&self.shared.blobs).add(bytes.into())?;
        if fresh && self.route(Input::BlobAdded(blob)).is_err() {
            lock(&self.shared.blobs).remove(&blob);
            return Err(BlobError::Closed);
        }
        Ok(blob)
    }

    /// Hands over a task. Never waits: the answer comes as an event.
    ///
    /// # Errors
    /// If a value is out of bounds, a blob is unknown, or too much is under way. Nothing happened then.
    pub fn submit(&self, task: Task) -> Result<TaskHandle, SubmitError> {
        task.check()?;
        {
            let blobs = lock(&self.shared.blobs);
            if let Some(blob) = task.blobs.iter().find(|blob| blobs.get(blob).is_none()) {
                return Err(SubmitError::UnknownBlob { blob: *blob });
            }
        }
        if self.shared.waiting.load(Ordering::Acquire) + self.shared.live.load(Ordering::Acquire) * 2 >= EVENTS {
            return Err(SubmitError::TooManyEvents { max: EVENTS });
        }
        if self.shared.live.fetch_add(1, Ordering::AcqRel) >= TASKS {
            self.shared.live.fetch_sub(1, Ordering::AcqRel);
            return Err(SubmitError::TooManyTasks { max: TASKS });
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.route(Input::Submit { number, task: Box::new(task) }) {
            self.shared.live.fetch_sub(1, Ordering::AcqRel);
            return Err(error);
        }
        lock(&self.shared.recorder).submitted();
        Ok(TaskHandle(number))
    }

    /// Splits a task over the network by the rule in its kernel's manifest, into at most `parts` tasks of the same
    /// deadline, mode and bounds.
    ///
    /// # Errors
    /// If the kernel has no such rule, the input does not fit it, or a part is not taken; the parts before it are
    /// cancelled then.
    pub fn map(&self, task: &Task, parts: usize) -> Result<Map, MapError> {
        let manifest = task.kernel.manifest();
        let Some(rule) = manifest.split else { return Err(MapError::NoRule { kernel: manifest.name.clone() }) };
        let mut handles = Vec::new();
        for input in split(&task.input, rule.header_bytes as usize, rule.item_bytes as usize, parts)? {
            match self.submit(task.with_input(input)) {
                Ok(handle) => handles.push(handle),
                Err(error) => {
                    handles.into_iter().for_each(|handle| self.cancel(handle));
                    return Err(error.into());
                }
            }
        }
        Ok(Map::new(handles))
    }

    /// Gives up on a task: if it has no answer yet it fails as cancelled. Work already done may still be charged.
    pub fn cancel(&self, handle: TaskHandle) {
        if let Err(error) = self.route(Input::Cancel { number: handle.0 }) {
            tracing::debug!(%error, "nothing to cancel");
        }
    }

    /// Switches the network on or off; off, every task runs on this machine.
    pub fn set_enabled(&self, enabled: bool) {
        if let Err(error) = self.route(Input::SetEnabled(enabled)) {
            tracing::debug!(%error, "nothing to switch");
        }
    }

    /// Everything that happened since the last call. Call it once a frame; it does not wait.
    pub fn poll(&self) -> Vec<Event> {
        let events: Vec<Event> = lock(&self.events).try_iter().collect();
        self.shared.waiting.fetch_sub(events.len(), Ordering::AcqRel);
        events
    }

    /// The next event, waiting up to `limit` for it. For tools and tests; a frame has [`Self::poll`].
    pub fn wait(&self, limit: Duration) -> Option<Event> {
        let event = lock(&self.events).recv_timeout(limit).ok()?;
        self.shared.waiting.fetch_sub(1, Ordering::AcqRel);
        Some(event)
    }

    /// Live figures.
    #[must_use]
    pub fn stats(&self) -> Stats {
        lock(&self.shared.recorder).snapshot(self.shared.live.load(Ordering::Acquire))
    }

    /// Ends the client: waits up to `drain` for tasks under way, fails the rest as cancelled, closes the session and
    /// returns the events nobody polled.
    pub fn shutdown(mut self, drain: Duration) -> Vec<Event> {
        let until = Instant::now() + drain;
        let mut rest = Vec::new();
        while self.shared.live.load(Ordering::Acquire) > 0 {
            match self.wait(until.saturating_duration_since(Instant::now())) {
                Some(event) => rest.push(event),
                None => break,
            }
        }
        self.stop();
        rest.extend(self.poll());
        rest
    }

    fn stop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        // The queue drains: the thread takes commands for as long as it lives.
        drop(self.commands.blocking_send(Command::Shutdown));
        if thread.join().is_err() {
            tracing::error!("the client's thread panicked");
        }
    }

    fn route(&self, input: Input) -> Result<(), SubmitError> {
        self.commands.try_send(Command::Route(input)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SubmitError::TooManyTasks { max: COMMANDS },
            mpsc::error::TrySendError::Closed(_) => SubmitError::Closed,
        })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop();
    }
}
