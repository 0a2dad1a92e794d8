//! What the shader is told.

use bytemuck::{Pod, Zeroable};
use p2c2r_guest::fixed;

use crate::frame::Frame;
use crate::world::World;

/// A vector and a number in the room that WGSL leaves behind a `vec3`.
pub type Row = [i32; 4];

/// `Params` of the shader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    /// Pixels across.
    pub width: u32,
    /// Pixels down, of the whole picture.
    pub height: u32,
    /// Number of the first sample of a dispatch.
    pub first_sample: u32,
    /// Samples of a dispatch.
    pub samples: u32,
    /// Surfaces a path may meet.
    pub bounces: u32,
    /// Picks the noise.
    pub seed: u32,
    /// Voxels along a side of the world.
    pub side: i32,
    /// Pixels of this task.
    pub pixels: u32,
    /// Where the camera is, and how soft the sun.
    pub eye: Row,
    /// Where it looks, of length 1.
    pub forward: Row,
    /// To the right edge of the picture.
    pub right: Row,
    /// To its upper edge.
    pub up: Row,
    /// As in [`Sky`](crate::world::Sky).
    pub sun: Row,
    /// As in [`Sky`](crate::world::Sky).
    pub sun_light: Row,
    /// As in [`Sky`](crate::world::Sky).
    pub zenith: Row,
    /// As in [`Sky`](crate::world::Sky).
    pub horizon: Row,
}

impl Params {
    /// For a task of `rows` rows.
    #[must_use]
    pub fn new(frame: &Frame, world: &World, rows: usize) -> Self {
        let away = [0, 1, 2].map(|i| frame.target[i] - frame.eye[i]);
        let forward = match fixed::normalise3(away) {
            [0, 0, 0] => [0, 0, -fixed::ONE],
            forward => forward,
        };
        // Straight up or down there is no right: take the x axis.
        let right = match fixed::normalise3(fixed::cross(forward, [0, fixed::ONE, 0])) {
            [0, 0, 0] => [fixed::ONE, 0, 0],
            right => right,
        };
        let up = fixed::cross(right, forward);
        let wide = fixed::mul(frame.zoom, fixed::div(frame.width as i32, frame.height as i32));
        let row = |[x, y, z]: [i32; 3]| [x, y, z, 0];
        let scaled = |v: [i32; 3], by: i32| row(v.map(|a| fixed::mul(a, by)));
        let [x, y, z] = frame.eye;
        let sky = &world.sky;
        Self {
            width: frame.width,
            height: frame.height,
            first_sample: 0,
            samples: frame.samples,
            bounces: frame.bounces,
            seed: frame.seed,
            side: world.side as i32,
            pixels: frame.width * rows as u32,
            eye: [x, y, z, sky.softness],
            forward: row(forward),
            right: scaled(right, wide),
            up: scaled(up, frame.zoom),
            sun: row(sky.sun),
            sun_light: row(sky.sun_light),
            zenith: row(sky.zenith),
            horizon: row(sky.horizon),
        }
    }
}
