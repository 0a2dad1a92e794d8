//! The sandbox from outside: modules in text form, signed in memory, run.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bombs;
mod cache;
mod contract;
mod determinism;
mod endings;
mod gpu;
mod hostile;
mod imports;
mod kit;
mod limits;
mod nan;
mod pointers;
mod refusals;
mod stack;
mod wasi;
mod wasi_c;
mod wasi_rust;
