//! The coordinator's shell: everything around the market that touches the world.
//!
//! One port speaks TLS and, inside it, HTTP and the WebSocket of the wire. [`p2c2r_core::Market`] decides; one task owns
//! it. One thread writes what it decides to the [`store`]. Kernels and blobs are files named by their hash. The crate
//! runs no kernel and trusts no peer: it knows neither the sandbox nor the GPU.
//!
//! ```no_run
//! use p2c2r_coordinator::{Coordinator, config::Settings};
//!
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = Settings { dev: Some(true), listen: Some("127.0.0.1:0".parse()?), ..Settings::default() };
//! let coordinator = Coordinator::start(&settings.finish()?).await?;
//! println!("wss://{}", coordinator.address());
//! coordinator.shutdown().await?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod config;
pub mod ledger;
pub mod limits;
pub mod store;

mod admission;
mod certificate;
mod clock;
mod connection;
mod content;
mod coordinator;
mod files;
mod http;
mod market;
mod metrics;
mod server;

pub use certificate::CertificateError;
pub use coordinator::{Coordinator, EndError, StartError, announced};
