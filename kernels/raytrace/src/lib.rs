//! Kernel `raytrace`: rows of a path-traced image of a triangle mesh.
//!
//! Blob 0 is a [`Scene`], uploaded once; a task carries the camera (header) and row numbers. Rows are independent, and what
//! looks random is a hash of seed, pixel and sample, so an image may be cut between any rows: the parts, joined, are the
//! whole. On a GPU the shader `trace` does the work, elsewhere the same algorithm in Wasm; the two are different result
//! classes and differ in rounding, not in looks.
//!
//! Modules, in reading order: [`frame`] (input), [`scene`] (the blob), [`mesh`], [`bvh`], [`camera`], [`trace`] (the
//! algorithm), [`film`] (tone mapping), [`random`], [`vector`].
#![forbid(unsafe_code)]

pub mod bvh;
pub mod camera;
pub mod film;
pub mod frame;
mod gpu;
pub mod limits;
pub mod mesh;
pub mod random;
pub mod scene;
pub mod trace;
pub mod vector;

use p2c2r_guest::{Context, Failure, kernel};

pub use camera::Camera;
pub use frame::{Frame, Rows};
pub use mesh::{Mesh, MeshError};
pub use scene::{Scene, SceneError};
pub use vector::Vec3;

/// Failure codes of this kernel.
pub mod code {
    /// Blob 0 is no scene.
    pub const SCENE: i32 = 1;
}

/// The kernel: input [`Rows`], blob 0 a [`Scene`], output RGB bytes. Charges one unit a camera path.
///
/// # Errors
/// A failure for a blob that is no scene.
#[kernel]
pub fn raytrace(ctx: &mut Context, input: Rows) -> Result<Vec<u8>, Failure> {
    let blob = ctx.blob(0)?.to_vec(limits::SCENE_BYTES)?;
    let scene = Scene::parse(&blob).map_err(|e| Failure::new(code::SCENE, e))?;
    ctx.charge(input.frame.units(input.rows.len()));
    match ctx.gpu() {
        Some(gpu) => gpu::render(gpu, &scene, &input),
        None => Ok(render(&scene, &input)),
    }
}

/// The CPU path: pixels of the rows, RGB.
#[must_use]
pub fn render(scene: &Scene, input: &Rows) -> Vec<u8> {
    let frame = &input.frame;
    let camera = Camera::new(frame, scene, input.rows.len() as u32);
    let mut pixels = Vec::with_capacity(input.rows.len() * frame.width as usize * 3);
    for &y in &input.rows {
        for x in 0..frame.width {
            let mut sum = Vec3::default();
            for sample in 0..frame.samples {
                sum = sum + trace::sample(scene, &camera, x, y, sample);
            }
            pixels.extend(film::develop(sum, frame.samples, frame.exposure));
        }
    }
    pixels
}
