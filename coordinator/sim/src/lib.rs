//! A seeded network in virtual time around the real market: honest peers, one kind of attacker, churn, and an observer
//! that knows every right answer. Says what the attack placed, what it earned, and what the defence cost.
//!
//! `p2c2r-sim` prints the table; the tests hold small runs to the aims. The other rules of verification it compares with
//! ([`models`]) are written down from their published descriptions, without network and time: they get the same attackers
//! and the best case of everything else.
//!
//! What it does not model: work that takes longer than a task, prices, more than one kernel and class, and clients in
//! league with peers.
#![forbid(unsafe_code)]

pub mod attack;
mod dice;
pub mod models;
pub mod report;
pub mod speeds;
pub mod split;
pub mod world;

pub use attack::Attack;
pub use report::Report;
pub use speeds::Speeds;
pub use split::Split;
pub use world::{Rule, Settings, run};
