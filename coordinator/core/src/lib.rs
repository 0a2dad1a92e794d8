//! The market of P2C2R without any I/O. (Skeleton; the contract is being filled in.)
#![forbid(unsafe_code)]

pub mod config;
mod dice;
pub mod identity;
pub mod io;
pub mod ledger;
pub mod limits;
pub mod market;
pub mod numbers;
mod peers;
mod queue;
pub mod quorum;
pub mod record;
mod session;
pub mod settlement;
mod snapshot;
pub mod stats;
mod task;

pub use config::MarketConfig;
pub use io::{Admin, CommitId, ConnId, Input, Millis, Output};
pub use limits::Limits;
pub use market::{Market, PeerView, SessionView};
pub use record::{Commit, Record, Snapshot};
pub use stats::Stats;
