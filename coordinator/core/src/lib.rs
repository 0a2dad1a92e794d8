//! The market of P2C2R without any I/O. (Skeleton; the contract is being filled in.)
#![forbid(unsafe_code)]

pub mod config;
pub mod io;
pub mod limits;
pub mod market;
pub mod record;
pub mod stats;

pub use config::MarketConfig;
pub use io::{Admin, CommitId, ConnId, Input, Millis, Output};
pub use limits::Limits;
pub use market::{Market, PeerView, SessionView};
pub use record::{Commit, Record, Snapshot};
pub use stats::Stats;
