//! The sandbox from outside: modules in text form, signed in memory, run.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod cache;
mod contract;
mod cost;
mod determinism;
mod endings;
mod gpu;
mod hostile;
mod imports;
mod kit;
mod nan;
mod stack;
mod wasi;
