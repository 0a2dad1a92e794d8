//! The sandbox kernels run in: wasmtime for WebAssembly, wgpu for shaders, a virtual WASI for programs written for it.
//!
//! Knows no network, no peer, no money. A module comes in as a [`p2c2r_signing::VerifiedModule`], so nothing unsigned
//! can run. What comes out is either an [`Execution`], a function of kernel, attempt and result class, or a
//! [`HostFault`], which depends on this machine and never votes.
//!
//! ```
//! use p2c2r_runtime::{Attempt, GpuPolicy, Sandbox, SandboxConfig};
//! use p2c2r_signing::{Manifest, Outcome, SecretKey, TrustedKeys, attach, sign_module, verify_module};
//!
//! let wasm = wat::parse_str(
//!     r#"(module
//!         (import "p2c2r_v1" "output_write" (func $write (param i32 i32) (result i32)))
//!         (memory (export "memory") 1)
//!         (data (i32.const 0) "hello")
//!         (func (export "p2c2r_main") (result i32) (call $write (i32.const 0) (i32.const 5))))"#,
//! )?;
//! let manifest = Manifest::from_json(
//!     br#"{"name": "hello", "version": "1.0.0", "abi": 1, "publisher": "Example", "unit": "greeting"}"#,
//! )?;
//! let key = SecretKey::generate();
//! let signed = sign_module(&attach(&wasm, &manifest, &[])?, &key)?;
//! let module = verify_module(signed, &TrustedKeys::from(key.public()))?;
//!
//! let sandbox = Sandbox::new(SandboxConfig { gpu: GpuPolicy::Off, ..SandboxConfig::default() })?;
//! let kernel = sandbox.load(&module)?;
//! let execution = sandbox.run(&kernel, Attempt::new("input"))?;
//! assert_eq!(execution.outcome, Outcome::Output);
//! assert_eq!(execution.output, b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is on and off, every limit and every source of nondeterminism is listed in `docs/SANDBOX.md`.

pub mod attempt;
pub mod cache;
mod ending;
pub mod engine;
pub mod gpu;
mod host;
pub mod kernel;
pub mod limits;
mod log;
mod preflight;
mod rewrite;
mod run;
pub mod sandbox;
mod state;
mod ticker;
mod touched;
pub mod trace;
mod wasi;
mod weight;

pub use attempt::{Attempt, CancelFlag, Execution, HostFault, LogLevel, LogLine, PathKind, seed_for};
pub use cache::Cache;
pub use engine::{Metering, engine_id};
pub use gpu::GpuInfo;
pub use kernel::{Compiled, Kernel, LoadError};
pub use sandbox::{GpuPolicy, Runaway, Sandbox, SandboxConfig, SandboxError, result_classes};
pub use wasi::WASI_IMPORTS;

pub use p2c2r_shader::reference::Order;
