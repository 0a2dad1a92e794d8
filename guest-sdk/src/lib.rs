//! What a kernel is written against.
//!
//! A kernel is a function from an input (and blobs, and a seed) to an output. Everything else a peer's machine has, a
//! kernel cannot reach: no clock, no files, no network, no threads. Several peers run the same task and their results
//! must agree bit for bit, so whatever a kernel can observe is the same on all of them.
//!
//! ```
//! use p2c2r_guest::{Context, Failure, Postcard, kernel, testing};
//!
//! #[kernel]
//! fn sum(ctx: &mut Context, Postcard(numbers): Postcard<Vec<u32>>) -> Result<Postcard<u32>, Failure> {
//!     ctx.charge(numbers.len() as u64);
//!     let sum = numbers.iter().try_fold(0u32, |sum, n| sum.checked_add(*n));
//!     sum.map(Postcard).ok_or_else(|| Failure::new(1, "the sum passes 2^32"))
//! }
//!
//! // On any target but wasm32 the imports are served by a mock host of this thread: tests need no Wasm build.
//! let report = testing::run(sum, p2c2r_guest::encode(Postcard(vec![1u32, 2, 3]))?);
//! assert_eq!(report.output_as::<Postcard<u32>>()?.0, 6);
//! assert_eq!(report.units, 3);
//! # Ok::<(), Failure>(())
//! ```
//!
//! Modules, in reading order: [`mod@kernel`] (what a kernel may look like), [`codec`] (input and output types),
//! [`failure`], [`context`] (what it may ask), [`blob`], [`gpu`], [`log`](mod@log), [`testing`]; and what shaders
//! compute with, the same in Rust and in WGSL: [`fixed`], [`wide`], [`random`]; [`skeleton`] dispatches shaders of a common form,
//! those over a [`plane`] among them.
//!
//! # Randomness in foreign crates
//!
//! Crates that use `getrandom` link without further imports: this crate defines its custom backend (0.2 with its
//! feature `custom`; 0.3 and 0.4 built with `--cfg getrandom_backend="custom"`, which `p2c2r build` sets). The bytes are
//! a function of the task's seed, so equal on every peer and unfit for secrets.
//!
//! # Without std
//!
//! `default-features = false` leaves a `no_std` + `alloc` crate on wasm32. Such a kernel brings its own global allocator;
//! feature `panic-handler` supplies the panic handler.
#![cfg_attr(all(target_arch = "wasm32", not(feature = "std")), no_std)]
#![cfg_attr(not(target_arch = "wasm32"), forbid(unsafe_code))]

extern crate alloc;

pub mod blob;
pub mod codec;
pub mod context;
pub mod failure;
pub mod fixed;
pub mod gpu;
pub mod kernel;
pub mod limits;
pub mod log;
pub mod plane;
pub mod random;
pub mod skeleton;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod wide;

#[cfg(target_arch = "wasm32")]
mod entropy;
mod sys;

pub use blob::{Blob, BlobError};
pub use codec::{Decode, Encode, Postcard, decode, encode};
pub use context::{Context, Rng};
pub use failure::Failure;
pub use gpu::{Binding, Buffer, Gpu, GpuError};
pub use kernel::{Kernel, entry};
pub use log::Level;
pub use p2c2r_macros::kernel;
pub use plane::{Plane, PlaneError};
pub use rand_core;
