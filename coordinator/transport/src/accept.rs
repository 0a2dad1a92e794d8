//! The coordinator's half of the handshake, over any stream whose HTTP upgrade is done.

use std::future::Future;
use std::io;
use std::time::Duration;

use p2c2r_protocol::frame::{Message as WireMessage, cut};
use p2c2r_protocol::limits::{FRAME_BYTES, HANDSHAKE_MS, TEXT_BYTES};
use p2c2r_protocol::message::{Door, Knock, Refusal, Role, WIRE_VERSION};
use p2c2r_signing::{Digest, PublicKey};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::Role as WsRole;

use crate::connect::{Phase, Welcome};
use crate::link::{KeepAlive, Receiver, RecvError, Sender, open, socket_config};
use crate::tls::ServerIdentity;
use crate::{handshake, limits};

/// Who knocked and proved to hold its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// What it wants to be.
    pub role: Role,
    /// Its key.
    pub key: PublicKey,
    /// Program and version, in its own words, cut.
    pub agent: String,
}

/// A no, with what the visitor is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decline {
    /// Why.
    pub code: Refusal,
    /// For people: the wrong value and the bound it broke.
    pub message: String,
}

/// A visitor that was let in.
#[derive(Debug)]
pub struct Admitted<S> {
    /// Who.
    pub visitor: Visitor,
    /// What it was told.
    pub welcome: Welcome,
    socket: WebSocketStream<S>,
}

/// Why nobody was let in. The visitor has been told where that was possible.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// No common wire version.
    #[error("visitor speaks wire versions {offered:?}, this coordinator speaks {WIRE_VERSION}")]
    Version {
        /// What it offered, cut.
        offered: Vec<u16>,
    },
    /// The proof does not fit the key.
    #[error("signature of the challenge is not good for key {key}")]
    Signature {
        /// The key it claims.
        key: PublicKey,
    },
    /// The caller said no.
    #[error("declined ({code:?}): {message}")]
    Declined {
        /// Why.
        code: Refusal,
        /// What the visitor was told.
        message: String,
    },
    /// A message out of order or one that does not decode.
    #[error("broke the handshake: {problem}")]
    Protocol {
        /// How.
        problem: String,
    },
    /// A step took too long.
    #[error("{phase} not done after {} ms", after.as_millis())]
    Timeout {
        /// Which.
        phase: Phase,
        /// The limit.
        after: Duration,
    },
    /// The connection broke.
    #[error("connection lost during the handshake")]
    Lost(#[source] RecvError),
    /// TLS or HTTP failed ([`accept_tcp`] only).
    #[error("{phase} failed")]
    Setup {
        /// Which.
        phase: Phase,
        /// What the library says.
        #[source]
        source: io::Error,
    },
}

impl<S> Admitted<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    /// The two ends of the connection, typed by the caller after looking at the visitor's role. Pings three times per
    /// idle limit. Spawns the writer on the current tokio runtime.
    #[must_use]
    pub fn open<Out: WireMessage, In: WireMessage>(self) -> (Sender<Out>, Receiver<In>) {
        let idle = self.welcome.idle.clamp(limits::IDLE_MIN, limits::IDLE_MAX);
        open(self.socket, KeepAlive { idle, ping: Some(idle / 3) })
    }
}

/// Runs the handshake over `io`, a stream on which the HTTP upgrade to WebSocket is done. `server` is blake3 of the TLS
/// leaf certificate's DER ([`ServerIdentity::leaf_digest`]). `decide` sees a visitor that has proved its key and says what
/// it is told; the whole has [`HANDSHAKE_MS`].
///
/// # Errors
/// [`AcceptError`]; the connection is closed then.
pub async fn accept<S, F, Fut>(io: S, server: &[u8; 32], decide: F) -> Result<Admitted<S>, AcceptError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: FnOnce(Visitor) -> Fut,
    Fut: Future<Output = Result<Welcome, Decline>>,
{
    let small = socket_config(limits::HANDSHAKE_FRAME_BYTES);
    let mut socket = WebSocketStream::from_raw_socket(io, WsRole::Server, Some(small)).await;
    let after = Duration::from_millis(HANDSHAKE_MS);
    let examined = tokio::time::timeout(after, Box::pin(examine(&mut socket, server, decide)))
        .await
        .unwrap_or(Err(AcceptError::Timeout { phase: Phase::Handshake, after }));
    match examined {
        Ok((visitor, welcome)) => {
            // The visitor may not speak before it is welcome, so nothing is lost with the small buffers.
            let io = socket.into_inner();
            let socket = WebSocketStream::from_raw_socket(io, WsRole::Server, Some(socket_config(FRAME_BYTES))).await;
            Ok(Admitted { visitor, welcome, socket })
        }
        Err(error) => {
            if let Some(refused) = farewell(&error) {
                let goodbye = async {
                    handshake::send(&mut socket, &refused).await?;
                    socket.close(None).await.map_err(|e| RecvError::Socket(Box::new(e)))
                };
                // It is told if it listens; either way the connection ends here.
                let _ = tokio::time::timeout(limits::WRITE_TIMEOUT, goodbye).await;
            }
            Err(error)
        }
    }
}

/// [`accept`] with TLS and the HTTP upgrade before it, for servers with nothing else on the port.
///
/// # Errors
/// As [`accept`], and [`AcceptError::Setup`].
pub async fn accept_tcp<F, Fut>(
    tcp: TcpStream,
    identity: &ServerIdentity,
    decide: F,
) -> Result<Admitted<TlsStream<TcpStream>>, AcceptError>
where
    F: FnOnce(Visitor) -> Fut,
    Fut: Future<Output = Result<Welcome, Decline>>,
{
    let setup = |phase| move |source| AcceptError::Setup { phase, source };
    tcp.set_nodelay(true).map_err(setup(Phase::Tcp))?;
    let tls =
        within(limits::TLS_TIMEOUT, Phase::Tls, identity.acceptor().accept(tcp)).await?.map_err(setup(Phase::Tls))?;
    let upgrade = Box::pin(tokio_tungstenite::accept_hdr_async(tls, pass));
    let socket = within(limits::UPGRADE_TIMEOUT, Phase::Upgrade, upgrade)
        .await?
        .map_err(|e| setup(Phase::Upgrade)(io::Error::other(e)))?;
    accept(socket.into_inner(), identity.leaf_digest(), decide).await
}

#[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
fn pass(_request: &Request, response: Response) -> Result<Response, ErrorResponse> {
    Ok(response)
}

async fn examine<S, F, Fut>(
    socket: &mut WebSocketStream<S>,
    server: &[u8; 32],
    decide: F,
) -> Result<(Visitor, Welcome), AcceptError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: FnOnce(Visitor) -> Fut,
    Fut: Future<Output = Result<Welcome, Decline>>,
{
    let broke = |problem: &str| AcceptError::Protocol { problem: problem.to_owned() };
    let Knock::Hello { versions, role, key, agent } = knock(socket).await? else {
        return Err(broke("a proof came before the hello"));
    };
    if !versions.iter().take(limits::VERSIONS).any(|version| *version == WIRE_VERSION) {
        return Err(AcceptError::Version { offered: versions.into_iter().take(limits::VERSIONS).collect() });
    }
    let mut random = [0u8; 32];
    getrandom::fill(&mut random).map_err(|e| AcceptError::Setup {
        phase: Phase::Handshake,
        source: io::Error::other(format!("no random numbers: {e}")),
    })?;
    let nonce = Digest::from_bytes(random);
    handshake::send(socket, &Door::Challenge { version: WIRE_VERSION, nonce }).await.map_err(AcceptError::Lost)?;
    let Knock::Proof { signature } = knock(socket).await? else {
        return Err(broke("a second hello came instead of the proof"));
    };
    if key.verify(&handshake::challenge(role, nonce, *server), &signature).is_err() {
        return Err(AcceptError::Signature { key });
    }
    let visitor = Visitor { role, key, agent: cut(&agent, limits::AGENT_BYTES) };
    let welcome = decide(visitor.clone())
        .await
        .map_err(|Decline { code, message }| AcceptError::Declined { code, message: cut(&message, TEXT_BYTES) })?;
    let idle_ms = u32::try_from(welcome.idle.as_millis()).unwrap_or(u32::MAX);
    let door = Door::Welcome { account: welcome.account, operator: welcome.operator, idle_ms };
    handshake::send(socket, &door).await.map_err(AcceptError::Lost)?;
    Ok((visitor, welcome))
}

async fn knock<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) -> Result<Knock, AcceptError> {
    handshake::recv(socket).await.map_err(|error| match error {
        RecvError::Frame(frame) => AcceptError::Protocol { problem: frame.to_string() },
        RecvError::TooLarge { .. } => {
            AcceptError::Protocol { problem: format!("frame over {} bytes", limits::HANDSHAKE_FRAME_BYTES) }
        }
        RecvError::Text => AcceptError::Protocol { problem: RecvError::Text.to_string() },
        lost => AcceptError::Lost(lost),
    })
}

/// What the visitor is told; `None` if there is nobody left to tell.
fn farewell(error: &AcceptError) -> Option<Door> {
    let code = match error {
        AcceptError::Version { .. } => Refusal::Version,
        AcceptError::Signature { .. } => Refusal::Authentication,
        AcceptError::Declined { code, message } => {
            return Some(Door::Refused { code: *code, message: message.clone() });
        }
        AcceptError::Protocol { .. } => Refusal::Protocol,
        AcceptError::Timeout { .. } => Refusal::Deadline,
        AcceptError::Setup { .. } => Refusal::Unavailable,
        AcceptError::Lost(_) => return None,
    };
    Some(Door::Refused { code, message: cut(&error.to_string(), TEXT_BYTES) })
}

async fn within<F: Future>(after: Duration, phase: Phase, future: F) -> Result<F::Output, AcceptError> {
    tokio::time::timeout(after, future).await.map_err(|_elapsed| AcceptError::Timeout { phase, after })
}
