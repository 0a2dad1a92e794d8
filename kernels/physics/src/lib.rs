//! Kernel `physics`: rigid bodies in bulk. Input is a [`Scene`], output a [`Frame`]: where every body is after the steps.
//!
//! The solver is [rapier3d](https://rapier.rs) with `enhanced-determinism`, whose results are the same bits on every
//! platform that keeps IEEE 754, native and Wasm alike; the golden vectors of `tests/` are checked both ways. Input and
//! output travel in postcard encoding.
//!
//! ```
//! let scene = kernel_physics::pile(100, 60);
//! let frame = kernel_physics::simulate(&scene)?;
//! assert_eq!(frame.bodies.len(), 100);
//! assert!(frame.contacts > 0, "it fell on something");
//! # Ok::<(), kernel_physics::SceneError>(())
//! ```
#![forbid(unsafe_code)]

pub mod limits;
pub mod pile;
pub mod scene;
pub mod simulate;

use p2c2r_guest::{Context, Failure, Postcard, kernel};

pub use pile::pile;
pub use scene::{Body, Frame, Ground, Motion, Scene, SceneError, Shape};
pub use simulate::simulate;

/// Failure codes of this kernel.
pub mod code {
    /// The scene is out of bounds, or bodies left them.
    pub const SCENE: i32 = 1;
}

/// The kernel. A unit is one body through one step, all charged before the first.
///
/// # Errors
/// [`SceneError`] as a failure with [`code::SCENE`].
#[kernel]
pub fn physics(ctx: &mut Context, Postcard(scene): Postcard<Scene>) -> Result<Postcard<Frame>, Failure> {
    scene.check()?;
    ctx.charge(scene.body_steps());
    Ok(Postcard(simulate(&scene)?))
}
