//! The jail from outside: what it computes, what it survives, what it keeps in.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod broker;
mod canary;
mod endings;
mod generated;
mod gpu;
#[path = "../generated/mod.rs"]
mod judges;
mod kit;
mod results;
