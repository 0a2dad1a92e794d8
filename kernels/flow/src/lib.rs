//! Kernel `flow`: water that runs over terrain, for rivers, floods and waves in games.
//!
//! Shallow water by virtual pipes (O'Brien and Hodgins, "Dynamic Simulation of Splashing Fluids", 1995): columns of water on
//! a grid, joined to their four neighbours. All numbers are integers, in shaders of class `exact`: every peer computes the
//! same bits, and not a drop is lost. Blob 0 is the [`Terrain`], a task carries the [`Water`] as it is and steps to take, the output
//! is the water after them; taking 10 steps and 20 more is taking 30.
//!
//! ```
//! use kernel_flow::{Task, Terrain, Water, model};
//!
//! let terrain = Terrain::valley(32, 1);
//! let mut task = Task::new(50, Water::none(terrain.cells()));
//! task.rain = 100;
//! let water = model::simulate(&terrain, &task);
//! assert_eq!(water.volume(), 50 * 100 * 32 * 32);
//! ```
//!
//! Modules, in reading order: [`task`] (input and output), [`model`] (the arithmetic), `gpu`, [`terrain`].
#![forbid(unsafe_code)]

mod gpu;
pub mod limits;
pub mod model;
pub mod task;
pub mod terrain;

use p2c2r_guest::{Context, Failure, GpuError, kernel};

pub use task::{Spring, Task, Terrain, Water};

/// The kernel: input a [`Task`], blob 0 a [`Terrain`], output [`Water`]. Charges one unit a cell and step.
///
/// # Errors
/// A failure that says what in input or blob is out of bounds.
#[kernel]
pub fn flow(ctx: &mut Context, task: Task) -> Result<Water, Failure> {
    let blob = ctx.blob(0)?.to_vec(limits::TERRAIN_BYTES)?;
    let terrain = Terrain::parse(&blob)?;
    task.check(&terrain)?;
    ctx.charge(task.units(&terrain));
    let gpu = ctx.gpu().ok_or(GpuError::NoGpu { call: "flow" })?;
    Ok(gpu::simulate(gpu, &terrain, &task)?)
}
