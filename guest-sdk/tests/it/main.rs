//! Kernels of every shape against the mock host.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod gpu;
mod host;
mod numbers;
mod planes;
mod shapes;
