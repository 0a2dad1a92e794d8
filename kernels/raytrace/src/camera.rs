//! What both paths, CPU and GPU, are driven by: a frame worked out into vectors, and the small parts of the scene.

use bytemuck::{Pod, Zeroable};

use crate::bvh::Ray;
use crate::frame::Frame;
use crate::limits::{MATERIALS, SPHERES};
use crate::random::{Random, in_disk};
use crate::scene::{Environment, Material, Scene, Sphere};
use crate::vector::{Vec3, vec3};

/// The camera's vectors. `repr(C)` and laid out as in `shaders/trace.wgsl`.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Camera {
    /// Where it is.
    pub eye: Vec3,
    /// Pixels across.
    pub width: u32,
    /// From the middle of the image to its right border, at distance 1.
    pub right: Vec3,
    /// Pixels down.
    pub height: u32,
    /// From the middle to the upper border, at distance 1.
    pub up: Vec3,
    /// The frame's seed.
    pub seed: u32,
    /// Direction of view, unit.
    pub forward: Vec3,
    /// Surfaces a path may meet.
    pub bounces: u32,
    /// Radius of the lens, rightwards.
    pub lens_right: Vec3,
    /// Distance that is sharp.
    pub focus: f32,
    /// Radius of the lens, upwards.
    pub lens_up: Vec3,
    /// Rows of this task.
    pub rows: u32,
    /// First sample of this dispatch.
    pub first_sample: u32,
    /// Samples of this dispatch.
    pub samples: u32,
    /// Spheres of the scene.
    pub spheres: u32,
    /// Materials of the scene.
    pub materials: u32,
}

/// Binding 0 of the shader.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    /// The camera.
    pub camera: Camera,
    /// The surroundings.
    pub environment: Environment,
    /// The spheres, then zeroes.
    pub spheres: [Sphere; SPHERES],
    /// The materials, then zeroes.
    pub materials: [Material; MATERIALS],
}

impl Camera {
    /// The camera of `frame`, for one dispatch of all samples over `rows` rows.
    #[must_use]
    pub fn new(frame: &Frame, scene: &Scene, rows: u32) -> Self {
        let forward = (frame.target - frame.eye).normalised_or(vec3(0.0, 0.0, -1.0));
        let right = forward.cross(vec3(0.0, 1.0, 0.0)).normalised_or(vec3(1.0, 0.0, 0.0));
        let up = right.cross(forward);
        Self {
            eye: frame.eye,
            width: frame.width,
            right: right * (frame.zoom * frame.width as f32 / frame.height as f32),
            height: frame.height,
            up: up * frame.zoom,
            seed: frame.seed,
            forward,
            bounces: frame.bounces,
            lens_right: right * frame.aperture,
            focus: frame.focus,
            lens_up: up * frame.aperture,
            rows,
            first_sample: 0,
            samples: frame.samples,
            spheres: scene.spheres.len() as u32,
            materials: scene.materials.len() as u32,
        }
    }

    /// The ray of one sample of a pixel, jittered over the pixel and the lens.
    #[must_use]
    pub fn ray(&self, x: u32, y: u32, random: &Random) -> Ray {
        let [jx, jy] = random.even(0);
        let sx = (x as f32 + jx) / self.width as f32 * 2.0 - 1.0;
        let sy = 1.0 - (y as f32 + jy) / self.height as f32 * 2.0;
        let sharp = (self.forward + self.right * sx + self.up * sy) * self.focus;
        let [lx, ly] = in_disk(random.even(1));
        let lens = self.lens_right * lx + self.lens_up * ly;
        Ray::new(self.eye + lens, (sharp - lens).normalised_or(self.forward))
    }
}

impl Params {
    /// What the shader needs besides the big arrays.
    #[must_use]
    pub fn new(camera: Camera, scene: &Scene) -> Self {
        let mut params = Self { camera, environment: scene.environment, ..Self::zeroed() };
        for (slot, sphere) in params.spheres.iter_mut().zip(&scene.spheres) {
            *slot = *sphere;
        }
        for (slot, material) in params.materials.iter_mut().zip(&scene.materials) {
            *slot = *material;
        }
        params
    }
}
