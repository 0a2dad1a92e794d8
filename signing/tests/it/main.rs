//! What the crate promises to everybody else, from outside.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod fuzz;
mod golden;
mod hostile;
mod ids;
mod interop;
mod keys;
mod manifest;
mod merkle;
mod revocation;
mod samples;
mod ticket;
