//! Kernel `voxels`: rows of a path-traced picture of a voxel world, the same to the bit on every machine.
//!
//! Blob 0 is a [`World`], uploaded once; a task carries the camera (header) and row numbers. One shader of class `exact` does
//! the work in fixed point: soft sunlight, light from the sky and from glowing voxels over up to six bounces, mirrors. Rows are
//! independent, and what looks random is a function of seed, pixel, sample and bounce, so a picture may be cut between any
//! rows: the parts, joined, are the whole.
//!
//! ```
//! use kernel_voxels::{Frame, World, model};
//!
//! let world = World::island(32, 1);
//! let picture = model::render(&world, &Frame::harbour(&world, 8, 6, 1).all_rows());
//! assert_eq!(picture.len(), 8 * 6 * 3);
//! ```
//!
//! Modules, in reading order: [`frame`] (input), [`world`] (the blob), [`camera`], [`model`] (the shader's arithmetic in Rust),
//! `gpu`, [`film`], [`island`].
#![forbid(unsafe_code)]

pub mod camera;
pub mod film;
pub mod frame;
mod gpu;
pub mod island;
pub mod limits;
pub mod model;
pub mod world;

use p2c2r_guest::{Context, Failure, GpuError, kernel};

pub use frame::{Frame, Rows};
pub use world::{Material, World};

/// The kernel: input [`Rows`], blob 0 a [`World`], output RGB bytes. Charges one unit a camera path.
///
/// # Errors
/// A failure that says what in input or blob is out of bounds.
#[kernel]
pub fn voxels(ctx: &mut Context, input: Rows) -> Result<Vec<u8>, Failure> {
    let blob = ctx.blob(0)?.to_vec(limits::WORLD_BYTES)?;
    let world = World::parse(&blob)?;
    ctx.charge(input.frame.units(input.rows.len()));
    let gpu = ctx.gpu().ok_or(GpuError::NoGpu { call: "voxels" })?;
    Ok(gpu::render(gpu, &world, &input)?)
}
