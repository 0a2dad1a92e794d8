//! The GPU extension on whatever adapter is there; lavapipe will do. Without one every test prints SKIPPED.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod adapter;
mod bench;
mod buffers;
mod differential;
mod dispatch;
mod faults;
mod grids;
mod loading;
mod rewritten;
mod zeroed;

#[path = "../differential/mod.rs"]
#[allow(dead_code, reason = "the soak takes more of it")]
mod judges;
