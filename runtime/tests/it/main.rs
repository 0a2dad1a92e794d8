//! The sandbox from outside: modules in text form, signed in memory, run.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bombs;
mod cache;
mod contract;
mod cost;
mod determinism;
mod endings;
#[path = "../smith/mod.rs"]
mod generated;
mod gpu;
mod hostile;
mod imports;
mod kit;
mod limits;
mod pointers;
mod refusals;
mod smith;
mod wasi;
mod wasi_c;
