//! The kernel as a whole, natively.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod golden;
mod light;
mod scene;
mod task;
mod tree;
