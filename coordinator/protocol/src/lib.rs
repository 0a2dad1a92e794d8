//! The wire of P2C2R: what clients, peers and the coordinator say to each other, and how it is laid out in bytes.
//!
//! A frame is one WebSocket binary message: `[u32 header length][MessagePack header, named fields][raw payload]`.
//! This crate turns messages into frames and hostile bytes back into messages or a [`FrameError`]; every length in a
//! frame is checked against what is there and against [`limits`] before anything is allocated for it. It opens no
//! socket, has no clock and keeps no state. The same rules, for other languages, are in `docs/WIRE.md`.
//!
//! ```
//! use p2c2r_protocol::{frame, message::ClientToServer};
//!
//! let sent = ClientToServer::Cancel { number: 7 };
//! let bytes = frame::encode(&sent, b"")?;
//! let (received, payload) = frame::decode::<ClientToServer>(bytes)?;
//! assert_eq!(received, sent);
//! assert!(payload.is_empty());
//! # Ok::<(), p2c2r_protocol::FrameError>(())
//! ```
#![forbid(unsafe_code)]

pub mod frame;
pub mod limits;
pub mod message;
pub mod money;
mod scan;
mod variants;

pub use frame::{FrameError, Message};
pub use money::Credits;
