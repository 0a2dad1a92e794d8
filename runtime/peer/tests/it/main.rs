//! The peer against a coordinator that follows a test's script, over loopback TLS.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod attempts;
mod caching;
mod connection;
mod coordinator;
mod kernels;
mod running;
