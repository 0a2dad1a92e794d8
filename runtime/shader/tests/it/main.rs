//! The analysis and the rewriting, from text to text. No GPU: what drivers make of it is tested in `runtime/tests/gpu`.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod accepted;
mod counted;
mod generated;
mod golden;
mod refused;
