//! The outer side: TCP, TLS, HTTP upgrade, handshake, each with its own time limit and its own kind of error.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use p2c2r_protocol::limits::{FRAME_BYTES, HANDSHAKE_MS};
use p2c2r_protocol::message::{Door, Knock, Refusal, WIRE_VERSION};
use p2c2r_signing::{AccountId, PublicKey};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error as WsError;

use crate::link::{KeepAlive, Receiver, RecvError, Sender, open, socket_config};
use crate::side::Side;
use crate::target::Target;
use crate::tls::{CertificateProblem, leaf_digest};
use crate::{handshake, limits};

/// What the coordinator said on entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome {
    /// The account the key belongs to.
    pub account: AccountId,
    /// The coordinator's settlement key.
    pub operator: PublicKey,
    /// Silence after which either side gives the connection up.
    pub idle: Duration,
}

/// Step of a connect that can take too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Resolving the name and opening the TCP connection.
    Tcp,
    /// TLS.
    Tls,
    /// HTTP upgrade to WebSocket.
    Upgrade,
    /// Challenge and proof.
    Handshake,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name does not resolve.
    #[error("host {host:?} does not resolve")]
    Resolve {
        /// The name.
        host: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Nothing listens there, or the network is down.
    #[error("cannot connect to {address}")]
    Refused {
        /// The last address tried.
        address: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The server's certificate is not acceptable.
    #[error("the certificate of {address} is not acceptable: {problem}")]
    Certificate {
        /// The server.
        address: String,
        /// What is wrong.
        problem: CertificateProblem,
    },
    /// TLS failed for another reason.
    #[error("no TLS with {address}; is it a coordinator?")]
    Tls {
        /// The server.
        address: String,
        /// What the TLS library says.
        #[source]
        source: io::Error,
    },
    /// The server does not upgrade to WebSocket.
    #[error("{address} does not accept WebSocket connections: {problem}")]
    Upgrade {
        /// The server.
        address: String,
        /// What it answered.
        problem: String,
    },
    /// No common wire version.
    #[error("{address} speaks another wire version, this program speaks {WIRE_VERSION}: {message}")]
    Version {
        /// The server.
        address: String,
        /// The server's words.
        message: String,
    },
    /// The key or its signature was refused.
    #[error("{address} refused the key: {message}")]
    Authentication {
        /// The server.
        address: String,
        /// The server's words.
        message: String,
    },
    /// Refused for another reason.
    #[error("{address} refused the connection ({code:?}): {message}")]
    Rejected {
        /// The server.
        address: String,
        /// Why.
        code: Refusal,
        /// The server's words.
        message: String,
    },
    /// A step took too long.
    #[error("{address}: {phase} not done after {} ms", after.as_millis())]
    Timeout {
        /// The server.
        address: String,
        /// Which step.
        phase: Phase,
        /// The limit.
        after: Duration,
    },
    /// The server broke the handshake.
    #[error("{address} broke the handshake: {problem}")]
    Protocol {
        /// The server.
        address: String,
        /// How.
        problem: String,
    },
    /// The connection broke during the handshake.
    #[error("{address}: connection lost during the handshake")]
    Lost {
        /// The server.
        address: String,
        /// How.
        #[source]
        source: RecvError,
    },
}

impl ConnectError {
    /// Whether trying again can help without anybody changing a setting.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::Resolve { .. } | Self::Refused { .. } | Self::Timeout { .. } | Self::Lost { .. } => true,
            Self::Rejected { code, .. } => matches!(code, Refusal::Unavailable | Refusal::Limit | Refusal::Other),
            Self::Certificate { .. }
            | Self::Tls { .. }
            | Self::Upgrade { .. }
            | Self::Version { .. }
            | Self::Authentication { .. }
            | Self::Protocol { .. } => false,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP connection",
            Self::Tls => "TLS handshake",
            Self::Upgrade => "WebSocket upgrade",
            Self::Handshake => "authentication",
        })
    }
}

/// Connects and authenticates in the role of `R`.
///
/// # Errors
/// [`ConnectError`] says which step failed, with the server's own words where it gave some.
pub async fn connect<R: Side>(target: &Target) -> Result<(Welcome, Sender<R::Up>, Receiver<R::Down>), ConnectError> {
    let address = target.address();
    let tcp = dial(target, &address).await?;
    let connector = TlsConnector::from(target.tls.clone());
    let tls = connector.connect(target.name.clone(), tcp);
    let tls =
        within(limits::TLS_TIMEOUT, Phase::Tls, &address, tls).await?.map_err(
            |source| match CertificateProblem::of(&source) {
                Some(problem) => ConnectError::Certificate { address: address.clone(), problem },
                None => ConnectError::Tls { address: address.clone(), source },
            },
        )?;
    let server = server_digest(&tls, &address)?;
    let upgrade = tokio_tungstenite::client_async_with_config(target.url(), tls, Some(socket_config(FRAME_BYTES)));
    let (mut socket, _response) = within(limits::UPGRADE_TIMEOUT, Phase::Upgrade, &address, Box::pin(upgrade))
        .await?
        .map_err(|e| upgrade_error(&address, &e))?;
    let limit = Duration::from_millis(HANDSHAKE_MS);
    let welcome =
        within(limit, Phase::Handshake, &address, introduce::<R, _>(&mut socket, target, server, &address)).await??;
    let (sender, receiver) = open(socket, KeepAlive { idle: welcome.idle, ping: None });
    Ok((welcome, sender, receiver))
}

async fn dial(target: &Target, address: &str) -> Result<TcpStream, ConnectError> {
    let lookup = tokio::net::lookup_host((target.host.as_str(), target.port));
    let resolve = |source| ConnectError::Resolve { host: target.host.clone(), source };
    let found: Vec<SocketAddr> = within(limits::TCP_TIMEOUT, Phase::Tcp, address, lookup)
        .await?
        .map_err(resolve)?
        .take(limits::ADDRESSES)
        .collect();
    let mut failure = resolve(io::Error::other("no address"));
    for one in found {
        match within(limits::TCP_TIMEOUT, Phase::Tcp, address, TcpStream::connect(one)).await {
            Ok(Ok(tcp)) => {
                // A frame is written whole; waiting for more to fill a segment only adds delay.
                if let Err(error) = tcp.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY not set");
                }
                return Ok(tcp);
            }
            Ok(Err(source)) => failure = ConnectError::Refused { address: one.to_string(), source },
            Err(timeout) => failure = timeout,
        }
    }
    Err(failure)
}

fn server_digest<S>(tls: &TlsStream<S>, address: &str) -> Result<[u8; 32], ConnectError> {
    tls.get_ref().1.peer_certificates().and_then(<[_]>::first).map(leaf_digest).ok_or_else(|| ConnectError::Protocol {
        address: address.to_owned(),
        problem: "it showed no certificate".to_owned(),
    })
}

fn upgrade_error(address: &str, error: &WsError) -> ConnectError {
    let problem = match error {
        WsError::Http(response) => format!("it answered HTTP {}", response.status()),
        other => other.to_string(),
    };
    ConnectError::Upgrade { address: address.to_owned(), problem }
}

async fn introduce<R: Side, S>(
    socket: &mut WebSocketStream<S>,
    target: &Target,
    server: [u8; 32],
    address: &str,
) -> Result<Welcome, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let lost = |source| ConnectError::Lost { address: address.to_owned(), source };
    let broke = |problem: String| ConnectError::Protocol { address: address.to_owned(), problem };
    let hello = Knock::Hello {
        versions: vec![WIRE_VERSION],
        role: R::ROLE,
        key: target.key.public(),
        agent: target.agent.clone(),
    };
    handshake::send(socket, &hello).await.map_err(lost)?;
    let nonce = match handshake::recv(socket).await.map_err(lost)? {
        Door::Challenge { version: WIRE_VERSION, nonce } => nonce,
        Door::Challenge { version, .. } => {
            return Err(broke(format!("it chose wire version {version}, offered was {WIRE_VERSION}")));
        }
        Door::Refused { code, message } => return Err(refused(address, code, message)),
        Door::Welcome { .. } => return Err(broke("it let us in without a challenge".to_owned())),
    };
    let signature = target.key.sign(&handshake::challenge(R::ROLE, nonce, server)).to_vec();
    handshake::send(socket, &Knock::Proof { signature }).await.map_err(lost)?;
    match handshake::recv(socket).await.map_err(lost)? {
        Door::Welcome { account, operator, idle_ms } => {
            Ok(Welcome { account, operator, idle: Duration::from_millis(u64::from(idle_ms)) })
        }
        Door::Refused { code, message } => Err(refused(address, code, message)),
        Door::Challenge { .. } => Err(broke("it sent a second challenge".to_owned())),
    }
}

fn refused(address: &str, code: Refusal, message: String) -> ConnectError {
    let address = address.to_owned();
    match code {
        Refusal::Version => ConnectError::Version { address, message },
        Refusal::Authentication => ConnectError::Authentication { address, message },
        code => ConnectError::Rejected { address, code, message },
    }
}

async fn within<F: Future>(after: Duration, phase: Phase, address: &str, future: F) -> Result<F::Output, ConnectError> {
    let timeout = |_elapsed| ConnectError::Timeout { address: address.to_owned(), phase, after };
    tokio::time::timeout(after, future).await.map_err(timeout)
}
