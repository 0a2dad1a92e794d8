//! The sandbox kernels run in: wasmtime for WebAssembly, wgpu for shaders, a virtual WASI for programs written for it.
//!
//! Knows no network, no peer, no money. A module comes in as a [`p2c2r_signing::VerifiedModule`], so nothing unsigned
//! can run. What comes out is either an [`Execution`], a function of kernel, attempt and result class, or a
//! [`HostFault`], which depends on this machine and never votes.

pub mod attempt;
pub mod kernel;
pub mod limits;
pub mod sandbox;

pub use attempt::{Attempt, CancelFlag, Execution, HostFault, LogLevel, LogLine, PathKind, seed_for};
pub use kernel::{Kernel, LoadError};
pub use sandbox::{GpuPolicy, Sandbox, SandboxConfig, SandboxError};
