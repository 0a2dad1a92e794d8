//! What both halves of the handshake share: one message at a time over a WebSocket that is not split yet.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use p2c2r_protocol::frame::{self, Message as WireMessage};
use p2c2r_protocol::message::Role;
use p2c2r_signing::{Challenge, Digest, auth};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use crate::link::{RecvError, binary};

/// Sends one message and flushes it.
pub(crate) async fn send<S, M>(socket: &mut WebSocketStream<S>, message: &M) -> Result<(), RecvError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    M: WireMessage,
{
    let frame: Bytes = frame::encode(message, &[])?;
    socket.send(Message::Binary(frame)).await.map_err(|e: WsError| RecvError::Socket(Box::new(e)))
}

/// Reads one message; payloads have no place in a handshake and are dropped.
pub(crate) async fn recv<S, M>(socket: &mut WebSocketStream<S>) -> Result<M, RecvError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    M: WireMessage,
{
    loop {
        if let Some(frame) = binary(socket.next().await)? {
            return Ok(frame::decode(frame)?.0);
        }
    }
}

/// The bytes to sign: role, nonce and server certificate, so that a proof is worth nothing on another connection, to
/// another server or in another role.
pub(crate) fn challenge(role: Role, nonce: Digest, server: [u8; 32]) -> Vec<u8> {
    let role = match role {
        Role::Client => auth::Role::Client,
        Role::Peer => auth::Role::Peer,
    };
    Challenge { role, nonce, server }.message()
}
