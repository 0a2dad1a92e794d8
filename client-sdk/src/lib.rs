//! What a game links to hand work to the P2C2R network.
//!
//! [`Client::submit`] takes a [`Task`] and returns at once; [`Client::poll`], called once a frame, gives the [`Event`]s.
//! The first answer comes as soon as one peer has it (or after a quorum, if the task asks for that); the verdict follows.
//! Without a network, without budget, or when the network is late, the same signed kernel runs in the same sandbox on
//! this machine, so a game works offline. Each task gives exactly one result or failure, then at most one verdict.
//!
//! The crate never blocks a frame, never calls back, and never trusts a kernel whose signature it did not check. Its
//! clients, tasks, queues and blobs are bounded ([`limits`]).
//!
//! ```no_run
//! use p2c2r_client::{Client, ClientConfig, Event, Task};
//! # use p2c2r_signing::{SecretKey, TrustedKeys};
//! # fn play(ca: Vec<u8>, key: SecretKey, trusted: TrustedKeys, wasm: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::start(ClientConfig::new("wss://play.example:8765", ca, key))?;
//! let kernel = client.add_kernel(wasm, &trusted)?;
//! let handle = client.submit(Task::new(&kernel, &b"what should they do?"[..]))?;
//! loop {
//!     for event in client.poll() {
//!         match event {
//!             Event::Result(result) if result.handle == handle => println!("{:?}", result.output),
//!             Event::Revoked { output, .. } => println!("no: {output:?}"),
//!             _ => {}
//!         }
//!     }
//!     // ... draw the frame ...
//! #   break;
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod background;
mod blobs;
mod client;
mod event;
pub mod limits;
mod local;
mod map;
mod router;
mod stats;
mod task;

pub use blobs::BlobError;
pub use client::{Client, ClientConfig, StartError};
pub use event::{Basis, Event, Failure, Network, Provenance, Right, TaskResult};
pub use local::LocalPolicy;
pub use map::{Map, MapError};
pub use p2c2r_protocol::Credits;
pub use p2c2r_protocol::message::Refusal;
pub use stats::{Quantiles, Stats};
pub use task::{Kernel, SubmitError, Task, TaskHandle};
