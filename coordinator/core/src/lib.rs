//! The market of P2C2R without any I/O: sessions and their holds, kernels and prices, matchmaking, quorum on sealed
//! votes, reputation, the ledger and its settlement batches. It has no clock, no socket, no file, no thread and no
//! randomness but a seed; it never waits and never panics on what a client, a peer or a store says.
//!
//! # Contract
//! One task owns a [`Market`]. It takes one [`Input`] with the time, then drains [`Market::poll_output`] until `None`,
//! then takes the next one:
//!
//! ```
//! use p2c2r_core::{Input, Market, MarketConfig, Millis, Output};
//! use p2c2r_signing::TicketKey;
//!
//! let seed = [0; 32]; // from the operating system, new at every start
//! let mut market = Market::new(MarketConfig::default(), seed, TicketKey::from_bytes(&[0; 32]));
//! market.handle(Millis(1_000), Input::Tick);
//! while let Some(output) = market.poll_output() {
//!     match output {
//!         Output::Commit(commit) => drop(commit), // store it, then Input::Committed
//!         Output::ToClient { .. } | Output::ToPeer { .. } | Output::Close { .. } | Output::AdminDone { .. } => {}
//!     }
//! }
//! let wake_up_at = market.next_deadline();
//! # let _ = wake_up_at;
//! ```
//!
//! **Time** is the shell's, in milliseconds since the Unix epoch. [`Input::Tick`] is due at [`Market::next_deadline`],
//! which may be now: a long settlement yields between batches. Time that goes back counts as standing still.
//!
//! **Connections** are numbered by the shell and never reused. After [`Output::Close`] the market has forgotten the
//! connection; what still comes from it, its [`Input::Disconnected`] included, is ignored. Messages to one connection
//! are in order. What was sent to a connection that broke is not sent again, except settlements to peers; what a
//! session has to say while its client is away is kept, within bounds, and said when the client opens the session
//! again by its number.
//!
//! **A task** ends in exactly one way that its client hears: `TaskRefused`, or at most one `TaskResult` and then one
//! `TaskVerdict`. A number that was refused may be used again, a number that ran may not; a resend of one that runs is
//! ignored. `Unverified` carries `Deadline` (too late), `NoPeers` (attempts or owners ran out), `Other` (cancelled) or
//! `Funds` (recovered too late, see below). A cancelled task that has a vote is verified and charged all the same.
//!
//! **What a verdict rests on** ([`Basis`]): equal votes of several owners, the
//! vote of the operator's referee where they differed, or one execution of a peer whose owner's pay for
//! its last executions is withheld ([`trust`] has the rules). When such a peer is found lying, every answer of that window
//! nobody else checked is *withdrawn*: its client is paid back and hears `TaskWithdrawn`, if its session is still open.
//!
//! **An attempt** whose peer sent a result is answered with one `Settled` entry, once it is durable; it is repeated
//! after a reconnect until acknowledged. A result for something that is over is answered with `Void` at once. A result
//! that breaks a rule no right execution can break (units, output size, seal) is a wrong vote; a bad seal or ticket
//! also closes the connection. A fault, a timeout, a disconnect is no vote and costs availability only.
//!
//! **The store** applies [`Commit`]s whole and in order and answers each with [`Input::Committed`]; one answer covers all
//! before it. Until then nobody is told: `SessionOpened`, `SessionClosed`, `Settled` and [`Output::AdminDone`] wait.
//! [`Snapshot::apply`](record::Snapshot::apply) is the reference fold; [`Market::restore`] takes its result. Commits
//! in flight are bounded: past the bound, or while [`Input::StoreHealth`] says no, new money and new tasks are refused
//! with `Unavailable` and what runs is finished.
//!
//! # Over a crash
//! Money is on hold before a session opens, so a task needs nothing durable until its settlement batch. If the process
//! dies, the holds are still open; peers keep ticket and result until they hear `Settled`, and send them again. From
//! the MACed ticket the market rebuilds the task, counts the votes as before, and settles against the same hold. Task
//! numbers that are settled are durable with the batch, so nothing is paid twice. For
//! [`MarketConfig::recovery_ms`] no new task draws on a session from before the restart: what was verified then is sure
//! to find its money. Results that come later are paid if the hold still has it. A hold nobody comes back for expires
//! after [`MarketConfig::hold_grace_ms`].
//!
//! What is withheld stays withheld: its sum per owner is a balance. Which answers it was for is read from the last settlements
//! ([`record::RECENT_SETTLEMENTS`]) as far as their sessions are still open; with a lie found after a restart those are withdrawn and paid
//! back, and all other pay from before is forfeited to the platform. Wrong votes and how far a peer is trusted are durable,
//! with the settlement that changed them.
//!
//! What is not remembered: provisional answers (a client that comes back may never hear of a task again and must run it
//! itself), and that a task was given up without a vote within the last second; if all its peers send results after the
//! restart, it is verified and charged.
//!
//! # Modules, in reading order
//! [`io`] and [`record`] are the surface; [`config`] and [`limits`] the settings; [`market`] the rules; [`ledger`],
//! [`trust`], [`settlement`], [`quorum`], [`numbers`] and [`identity`] the parts that can be read and tested alone.
#![forbid(unsafe_code)]

mod archive;
pub mod config;
pub mod diagnosis;
mod dice;
pub mod identity;
pub mod io;
pub mod ledger;
pub mod limits;
pub mod market;
pub mod numbers;
mod peers;
mod predict;
mod queue;
pub mod quorum;
pub mod record;
mod session;
pub mod settlement;
mod sketch;
mod snapshot;
pub mod stats;
mod task;
pub mod trust;
mod withheld;

pub use config::{DispatchConfig, MarketConfig};
pub use io::{Admin, CommitId, ConnId, Input, Millis, Network, Output};
pub use limits::Limits;
pub use market::{Market, PeerView, SessionView};
pub use record::{Commit, Record, Snapshot};
pub use stats::Stats;
pub use trust::{Basis, TrustConfig};
