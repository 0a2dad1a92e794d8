//! Puts the parts together, and takes them down in order.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use p2c2r_core::{Input, Market};
use p2c2r_protocol::message::Item;
use p2c2r_signing::{KeyError, SecretKey, TicketKey};
use tokio::net::TcpListener;
use tokio::task::JoinHandle as Task;
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::certificate::{self, CertificateError};
use crate::clock::Clock;
use crate::config::Config;
use crate::connection::Reception;
use crate::content::{Content, Room};
use crate::files::{self, Readers, read_or_make, write_atomically};
use crate::http::{self, AdminToken};
use crate::ledger::Ledger;
use crate::limits;
use crate::market::{Ending, MarketHandle, MarketTask};
use crate::metrics::{Metrics, UPKEEP};
use crate::server::Server;
use crate::store::{SqliteOptions, SqliteStore, Store, StoreError};

/// A running coordinator.
pub struct Coordinator {
    address: SocketAddr,
    drain: CancellationToken,
    /// Cancelled after the drain: until then the port says that it drains.
    closed: CancellationToken,
    market: Task<Ending>,
    server: Task<()>,
    upkeep: Task<()>,
    ledger: JoinHandle<()>,
}

/// Why a coordinator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file or folder.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The address.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The operator's key.
    #[error("operator key: {0}")]
    OperatorKey(#[from] KeyError),
    /// The ticket key.
    #[error("{}: must be 64 hex digits", path.display())]
    TicketKey {
        /// The file.
        path: PathBuf,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Kernels and blobs.
    #[error("kernels and blobs: {0}")]
    Content(String),
    /// A registered kernel is gone.
    #[error("kernel {name} ({module}) is registered but its file is missing or damaged; restore {}", path.display())]
    KernelFile {
        /// Its name.
        name: String,
        /// Its identity.
        module: p2c2r_signing::ModuleId,
        /// Where it should be.
        path: PathBuf,
    },
    /// The system has no randomness or thread to give.
    #[error("the system gives no {what}: {problem}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// Its words.
        problem: String,
    },
}

/// Why a coordinator ended otherwise than asked.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// The drain took too long.
    #[error(
        "not drained in time: {tasks} tasks not settled, {commits} commits not durable; peers bring them again after a restart"
    )]
    Unfinished {
        /// Tasks not settled.
        tasks: u64,
        /// Commits not durable.
        commits: u64,
    },
    /// The store refuses commits for good.
    #[error("store is lost: {problem}")]
    StoreLost {
        /// Its words.
        problem: String,
    },
    /// The market's task is gone: a bug.
    #[error("the market ended by a bug: {problem}")]
    Bug {
        /// The panic.
        problem: String,
    },
}

impl Coordinator {
    /// Starts with these settings; it accepts connections when this returns, and `listen` in its data folder says
    /// where.
    ///
    /// # Errors
    /// [`StartError`] names the file or value that is wrong.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        let data = &config.data;
        let file = |path: &Path| {
            let path = path.to_owned();
            move |source| StartError::File { path, source }
        };
        fs::create_dir_all(data).map_err(file(data))?;
        let certificate = match (&config.tls_cert, &config.tls_key) {
            (Some(chain), Some(key)) => certificate::load(chain, key)?,
            _ => certificate::development(&data.join("tls"), &config.hostnames)?,
        };
        let secrets = Secrets::open(data)?;
        let options = SqliteOptions { max_bytes: config.store_bytes };
        let mut store = SqliteStore::open(&config.store_path(), &options)?;
        let snapshot = store.load()?;
        let archive = SqliteStore::open_read_only(&config.store_path())?;
        let room = Room { all: config.content_bytes, account: config.account_blob_bytes };
        let content = Content::open(data, room).map_err(|e| StartError::Content(e.to_string()))?;
        for kernel in &snapshot.kernels {
            if content.size(&Item::Kernel(kernel.module)).is_none() {
                let (name, module) = (kernel.manifest.name.clone(), kernel.module);
                return Err(StartError::KernelFile {
                    name,
                    module,
                    path: data.join("kernels").join(module.to_string()),
                });
            }
        }
        tracing::info!(
            accounts = snapshot.accounts.len(),
            kernels = snapshot.kernels.len(),
            holds = snapshot.holds.len(),
            journal_lines = snapshot.journal_lines,
            blobs = content.blobs().len(),
            "store verified and loaded"
        );

        let durable = snapshot.last_commit.map(|commit| commit.0);
        let clock = Clock::new();
        let mut market = Market::restore(config.market(), secrets.seed, secrets.ticket, snapshot, clock.now());
        for blob in content.blobs() {
            market.handle(clock.now(), Input::BlobStored { blob });
        }
        let system = |what| move |e: io::Error| StartError::System { what, problem: e.to_string() };
        let (ledger, progress, ledger_thread) = Ledger::start(store, durable).map_err(system("thread"))?;
        let metrics = Arc::new(Metrics::new());
        metrics.set_certificate_expires(certificate.expires);
        let (handle, events) = MarketHandle::new();
        let (drain, closed) = (CancellationToken::new(), CancellationToken::new());
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|source| StartError::Listen { address: config.listen, source })?;
        let address = listener.local_addr().map_err(|source| StartError::Listen { address: config.listen, source })?;

        let task = MarketTask {
            market,
            clock,
            events,
            ledger: ledger.clone(),
            progress: progress.clone(),
            metrics: Arc::clone(&metrics),
            drain: drain.clone(),
            drain_limit: config.drain_limit(),
        };
        let market = tokio::spawn(task.run());
        let reception = Arc::new(Reception {
            market: handle,
            content,
            metrics: Arc::clone(&metrics),
            operator: secrets.operator.public(),
            server: *certificate.identity.leaf_digest(),
            accounts: config.accounts,
            idle: config.idle(),
            drain: drain.clone(),
            next_conn: AtomicU64::new(1),
        });
        let router = http::router(http::Parts {
            reception,
            ledger,
            progress,
            archive: Arc::new(Mutex::new(archive)),
            token: secrets.token,
            now: clock,
        });
        let server = Server {
            listener,
            tls: certificate.identity.acceptor(),
            router,
            admission: Admission::new(config.max_connections, config.max_connections_per_ip),
            metrics: Arc::clone(&metrics),
        };
        let server = tokio::spawn(server.run(closed.clone()));
        let upkeep = tokio::spawn(async move {
            let mut every = tokio::time::interval(UPKEEP);
            loop {
                every.tick().await;
                metrics.upkeep();
            }
        });
        let announced = data.join("listen");
        write_atomically(&announced, format!("{address}\n").as_bytes(), Readers::Everybody)
            .map_err(file(&announced))?;
        tracing::info!(%address, data = %data.display(), dev = config.dev, "listening");
        Ok(Self { address, drain, closed, market, server, upkeep, ledger: ledger_thread })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins the drain; safe to call at any time and from anywhere.
    #[must_use]
    pub fn drain_token(&self) -> CancellationToken {
        self.drain.clone()
    }

    /// Waits until it ends, by a drain or because it has to.
    ///
    /// # Errors
    /// [`EndError`] says what is not as it should be.
    pub async fn ended(self) -> Result<(), EndError> {
        let ending = self.market.await;
        self.drain.cancel();
        self.closed.cancel();
        // The accept loop ends by itself; connections that are still open get a moment for their last frames.
        let _ = self.server.await;
        self.upkeep.abort();
        tokio::time::sleep(limits::GOODBYE).await;
        let result = match ending {
            Ok(Ending::Drained) => Ok(()),
            Ok(Ending::Unfinished { tasks, commits }) => Err(EndError::Unfinished { tasks, commits }),
            Ok(Ending::StoreLost { problem }) => Err(EndError::StoreLost { problem }),
            Err(panic) => Err(EndError::Bug { problem: panic.to_string() }),
        };
        if result.is_ok() && self.ledger.is_finished() {
            let _ = self.ledger.join();
        }
        tracing::info!(ok = result.is_ok(), "ended");
        result
    }

    /// Drains and waits for the end.
    ///
    /// # Errors
    /// As [`Coordinator::ended`].
    pub async fn shutdown(self) -> Result<(), EndError> {
        self.drain.cancel();
        self.ended().await
    }
}

/// What only the coordinator may know.
struct Secrets {
    operator: SecretKey,
    ticket: TicketKey,
    token: AdminToken,
    /// Of the market's random choices, new at every start.
    seed: [u8; 32],
}

impl Secrets {
    fn open(data: &Path) -> Result<Self, StartError> {
        let file = |path: &Path| {
            let path = path.to_owned();
            move |source| StartError::File { path, source }
        };
        let operator_path = data.join("operator.pem");
        if !operator_path.exists() {
            SecretKey::generate().save_new(&operator_path)?;
        }
        let operator = SecretKey::load(&operator_path)?;
        let [fresh_ticket, fresh_token, seed] = [random()?, random()?, random()?];
        let ticket_path = data.join("ticket.key");
        let ticket = read_or_make(&ticket_path, || blake3::Hash::from_bytes(fresh_ticket).to_string())
            .map_err(file(&ticket_path))?;
        let ticket = blake3::Hash::from_hex(&ticket).map_err(|_bad| StartError::TicketKey { path: ticket_path })?;
        let token_path = data.join("admin.token");
        let token = read_or_make(&token_path, || blake3::Hash::from_bytes(fresh_token).to_string())
            .map_err(file(&token_path))?;
        if token.is_empty() {
            return Err(StartError::File { path: token_path, source: io::Error::other("the token is empty") });
        }
        Ok(Self { operator, ticket: TicketKey::from_bytes(ticket.as_bytes()), token: AdminToken::new(&token), seed })
    }
}

fn random() -> Result<[u8; 32], StartError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| StartError::System { what: "random numbers", problem: e.to_string() })?;
    Ok(bytes)
}

/// Reads the address a coordinator announced in its data folder.
///
/// # Errors
/// If there is none yet.
pub fn announced(data: &Path) -> io::Result<SocketAddr> {
    let text = String::from_utf8(files::read_limited(&data.join("listen"))?).map_err(io::Error::other)?;
    text.trim().parse().map_err(io::Error::other)
}
