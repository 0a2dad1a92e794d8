//! Connections of the P2C2R wire: WebSocket over TLS, both ends.
//!
//! [`connect`] is the outer side (client or peer): TCP, TLS pinned to the certificate authority it is given, HTTP
//! upgrade, and the handshake in which it signs a challenge bound to the server's certificate. [`accept`] is the
//! coordinator's half of the handshake, over any stream that is already upgraded. Both end in the same pair: a
//! [`Sender`] that never blocks and a [`Receiver`] that yields decoded messages.
//!
//! What is promised: every wait has a time limit, every queue a bound ([`limits`]), frames are checked before they are
//! allocated for, and many frames queued at once leave in one flush. What is not: delivery. A message sent may be lost
//! with its connection; whoever needs it again resends it after a reconnect.
//!
//! The crate knows nothing of accounts, tasks or money, and never reconnects by itself.
//!
//! ```no_run
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! use p2c2r_protocol::message::PeerToServer;
//! use p2c2r_transport::{PeerSide, Target, connect};
//!
//! let key = std::sync::Arc::new(p2c2r_signing::SecretKey::load("peer.pem".as_ref())?);
//! let target = Target::new("wss://localhost:8765", &std::fs::read("ca.pem")?, key, "my-peer/1.0")?;
//! let (welcome, sender, mut receiver) = connect::<PeerSide>(&target).await?;
//! println!("account {}", welcome.account);
//! sender.send(&PeerToServer::QueryEarnings, &[])?;
//! let (message, _payload) = receiver.next().await?;
//! println!("{message:?}");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod accept;
mod backoff;
mod connect;
mod handshake;
pub mod limits;
mod link;
mod side;
mod target;
mod tls;

pub use accept::{AcceptError, Admitted, Decline, Visitor, accept, accept_tcp};
pub use backoff::Backoff;
pub use connect::{ConnectError, Phase, Welcome, connect};
pub use link::{Encoded, KeepAlive, Receiver, RecvError, SendError, Sender};
pub use side::{ClientSide, PeerSide, Side};
pub use target::{Target, TargetError};
pub use tls::{CertificateProblem, IdentityError, ServerIdentity};
