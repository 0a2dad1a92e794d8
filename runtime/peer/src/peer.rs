//! The peer as a whole: sets everything up, stays connected, reports.

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use p2c2r_protocol::limits::SLOTS_PER_PEER;
use p2c2r_signing::KeyError;
use p2c2r_transport::{Backoff, ConnectError, PeerSide, Target, TargetError, connect};
use tokio::sync::mpsc;

use crate::benchmark;
use crate::config::{ConfigError, PeerConfig};
use crate::executor::Executor;
use crate::journal::Journal;
use crate::library::Library;
use crate::limits;
use crate::pool::Pool;
use crate::session::{End, Session, Terms};
use crate::station::{Event, Station, lock};
use crate::status::{State, Status, now_ms};

/// Program and version, as coordinators log it.
pub const AGENT: &str = concat!("p2c2r-peer/", env!("CARGO_PKG_VERSION"));

/// A connection that held this long was a good one; the next wait is short again.
const GOOD_CONNECTION: Duration = Duration::from_secs(10);

/// Why the peer cannot run.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// A setting or a file it names.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The key file.
    #[error("key {}", path.display())]
    Key {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: KeyError,
    },
    /// Address or authority of the coordinator.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The data folder.
    #[error("data folder {}", path.display())]
    Data {
        /// Where.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another peer uses the data folder.
    #[error("data folder {} is in use by another peer; give each peer a folder and key of its own", path.display())]
    Locked {
        /// Which.
        path: PathBuf,
    },
    /// The first connection failed for a reason that waiting does not cure.
    #[error(transparent)]
    Connect(#[from] Box<ConnectError>),
}

/// Runs a peer until `shutdown` completes; then it finishes or gives back what runs and returns. Needs a tokio runtime
/// with time and I/O; attempts run on threads of their own, so one runtime thread is enough. Quick ones run on that
/// thread too, so it needs [`limits::WORKER_STACK_BYTES`] of stack.
///
/// # Errors
/// [`PeerError`] if it cannot be set up, or if its first connection fails for good (wrong certificate, refused key). Once
/// it was connected it keeps trying.
pub async fn run_peer(
    config: &PeerConfig,
    executor: Arc<dyn Executor>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), PeerError> {
    let data = |source| PeerError::Data { path: config.data.clone(), source };
    std::fs::create_dir_all(&config.data).map_err(data)?;
    let lock_file = std::fs::File::create(config.data.join("lock")).map_err(data)?;
    if lock_file.try_lock().is_err() {
        return Err(PeerError::Locked { path: config.data.clone() });
    }
    let target = target(config)?;
    let library = Library::open(&config.data.join("cache"), config.trusted()?, config.cache_bytes).map_err(data)?;
    let journal = Journal::open(&config.data.join("unsettled.journal")).map_err(data)?;
    let speed = benchmark::cached(&config.data);
    let (events, mut inbox) = mpsc::channel::<Event>(usize::from(SLOTS_PER_PEER));
    let station = Arc::new(Station::new(executor, library, journal, target.key().public(), events));
    let pool = Pool::start(config.workers, &station).map_err(data)?;
    let reporter = Arc::new(Reporter {
        station: Arc::clone(&station),
        config: config.clone(),
        address: target.address(),
        speed,
        turn: Mutex::default(),
    });
    tracing::info!(
        key = %station.key, device = station.executor.device(), workers = config.workers, slots = config.slots, speed,
        unsettled = station.journal().len(), "peer starts"
    );
    let terms = Terms { slots: config.slots, speed };
    let result = tokio::select! {
        result = stay_connected(&target, &station, &pool, &terms, &mut inbox, shutdown) => result,
        () = reporter.run() => Ok(()),
    };
    station.preempt();
    drop(pool);
    let reason = match &result {
        Ok(()) => "stopped by its owner".to_owned(),
        Err(error) => error.to_string(),
    };
    lock(&station.board).state = State::Stopped { reason };
    reporter.report();
    result
}

/// The coordinator of a configuration, ready to connect to. Makes the key file if it is not there.
///
/// # Errors
/// [`PeerError`] names the file or setting that is wrong.
pub fn target(config: &PeerConfig) -> Result<Target, PeerError> {
    let key = config.key().map_err(|source| PeerError::Key { path: config.key.clone(), source })?;
    Ok(Target::new(&config.coordinator, &config.ca_pem()?, Arc::new(key), AGENT)?)
}

async fn stay_connected(
    target: &Target,
    station: &Arc<Station>,
    pool: &Pool,
    terms: &Terms,
    inbox: &mut mpsc::Receiver<Event>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), PeerError> {
    let mut shutdown = pin!(shutdown);
    let mut backoff = Backoff::new(limits::RECONNECT_BASE, limits::RECONNECT_CAP);
    let mut was_connected = false;
    loop {
        lock(&station.board).state = State::Connecting;
        let connected = tokio::select! {
            connected = Box::pin(connect::<PeerSide>(target)) => connected,
            () = shutdown.as_mut() => return Ok(()),
        };
        let reason = match connected {
            Ok((welcome, sender, receiver)) => {
                was_connected = true;
                tracing::info!(account = %welcome.account, coordinator = target.address(), "connected");
                {
                    let mut board = lock(&station.board);
                    board.state = State::Connected;
                    board.account = Some(welcome.account.to_string());
                }
                let since = Instant::now();
                let session = Session::new(station, pool, sender, receiver);
                match session.run(terms, inbox, shutdown.as_mut()).await {
                    End::Stopped => return Ok(()),
                    End::Lost(error) => {
                        if since.elapsed() >= GOOD_CONNECTION {
                            backoff.reset();
                        }
                        chain(&error)
                    }
                }
            }
            Err(error) if !was_connected && !error.is_temporary() => return Err(Box::new(error).into()),
            Err(error) => chain(&error),
        };
        let wait = backoff.next_delay();
        tracing::warn!(reason, retry_in_ms = wait.as_millis(), "not connected");
        let retry_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        lock(&station.board).state = State::Offline { reason, retry_in_ms };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.as_mut() => return Ok(()),
        }
    }
}

/// Brings status and journal to disk.
struct Reporter {
    station: Arc<Station>,
    config: PeerConfig,
    address: String,
    speed: u32,
    /// Held by whoever writes, from the look at what there is to write on: when the peer stops one may be under way, and what it
    /// saw must not replace what is written last.
    turn: Mutex<()>,
}

impl Reporter {
    async fn run(self: &Arc<Self>) {
        let mut tick = tokio::time::interval(limits::REPORT_EVERY);
        loop {
            tick.tick().await;
            let this = Arc::clone(self);
            // A failed join means a panic there, which is reported by itself.
            let _ = tokio::task::spawn_blocking(move || this.report()).await;
        }
    }

    fn report(&self) {
        let _turn = lock(&self.turn);
        if let Err(error) = self.status().write(&self.config.data) {
            tracing::warn!(%error, "status not written");
        }
        let flushed = self.station.journal().flush();
        // Synced without holding the journal, so that no worker waits for the disk.
        if let Err(error) = flushed.and_then(|file| file.map_or(Ok(()), |file| file.sync_data())) {
            tracing::warn!(%error, "journal not synced");
        }
    }

    fn status(&self) -> Status {
        let station = &self.station;
        let (unsettled, given_up) = {
            let journal = station.journal();
            (journal.len(), journal.dropped())
        };
        let (holdings, running) = (station.library.holdings(), station.running());
        let board = lock(&station.board);
        let mut counts = board.counts;
        counts.given_up = given_up;
        Status {
            state: board.state.clone(),
            updated_ms: now_ms(),
            pid: std::process::id(),
            coordinator: self.address.clone(),
            key: station.key.to_string(),
            account: board.account.clone(),
            device: station.executor.device(),
            classes: station.classes.clone(),
            slots: self.config.slots,
            workers: self.config.workers,
            speed: self.speed,
            running,
            fetching: board.fetching,
            unsettled,
            kernels_cached: holdings.kernels,
            blobs_cached: holdings.blobs,
            cache_bytes: holdings.bytes,
            counts,
            earnings: board.earnings,
        }
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
