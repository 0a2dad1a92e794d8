//! A peer: connects to a coordinator, takes attempts of signed kernels, runs them in the sandbox, votes and earns.
//!
//! [`run_peer`] is the whole of it. It stays connected, fetches kernels and blobs and checks them itself (a publisher the
//! owner does not trust is never run, whoever asks), runs attempts on worker threads through an [`Executor`], and keeps
//! every result in a journal until the coordinator says that it is settled, so that neither a lost connection nor a crash
//! costs pay. What it does is in `status.json` in its data folder ([`Status`]).
//!
//! The crate does not decide what work is worth, and never runs guest code outside the executor.
//!
//! ```no_run
//! use std::sync::Arc;
//! use p2c2r_peer::{JailExecutor, RunArgs, run_peer};

//!
//! # async fn demo() -> Result<(), Box<dyn std::error::Error>> {
//! let config = RunArgs { coordinator: Some("wss://play.example".into()), ..RunArgs::default() }.resolve()?;
//! let executor = JailExecutor::start(&config)?;
//! run_peer(&config, Arc::new(executor), std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod benchmark;
mod config;
mod doctor;
mod executor;
mod fetch;
mod file;
mod journal;
mod library;
pub mod limits;
mod pace;
mod peer;
mod pool;
mod session;
mod station;
mod status;

pub use config::{ConfigError, PeerConfig, RunArgs};
pub use doctor::Diagnosis;
pub use executor::{Answer, Assignment, Executor, JailExecutor};
pub use journal::Journal;
pub use library::{AdmitError, Content, Holdings, Library};
pub use peer::{AGENT, PeerError, run_peer, target};
pub use status::{Counts, Earnings, STATUS_FILE, State, Status, StatusError};
