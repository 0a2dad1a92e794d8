//! The GPU path: the shader adds up light in batches of samples, the film is developed here.

use p2c2r_guest::{Failure, Gpu};

use crate::camera::{Camera, Params};
use crate::film;
use crate::frame::Rows;
use crate::limits::BATCH_SAMPLES;
use crate::scene::Scene;
use crate::vector::vec3;

/// Side of the shader's square workgroups.
const GROUP: u32 = 8;

/// Pixels of the rows, RGB.
pub(crate) fn render(gpu: Gpu, scene: &Scene, input: &Rows) -> Result<Vec<u8>, Failure> {
    let frame = &input.frame;
    let rows = input.rows.len() as u32;
    if rows == 0 {
        return Ok(Vec::new());
    }
    let mut camera = Camera::new(frame, scene, rows);
    let pixels = frame.width as usize * input.rows.len();
    let params = gpu.buffer_from(&[Params::new(camera, scene)])?;
    let nodes = gpu.buffer_from(or_one(&scene.nodes, bytemuck::Zeroable::zeroed()).as_slice())?;
    let vertices = gpu.buffer_from(or_one(&scene.vertices, bytemuck::Zeroable::zeroed()).as_slice())?;
    let triangles = gpu.buffer_from(or_one(&scene.triangles, bytemuck::Zeroable::zeroed()).as_slice())?;
    let row_numbers = gpu.buffer_from(&input.rows)?;
    let light = gpu.buffer::<[f32; 4]>(pixels)?;
    let groups = [frame.width.div_ceil(GROUP), rows.div_ceil(GROUP), 1];
    for first_sample in (0..frame.samples).step_by(BATCH_SAMPLES as usize) {
        camera.first_sample = first_sample;
        camera.samples = BATCH_SAMPLES.min(frame.samples - first_sample);
        params.write(0, &[Params::new(camera, scene)])?;
        let bindings = [params.at(0), nodes.at(1), vertices.at(2), triangles.at(3), row_numbers.at(4), light.at(5)];
        gpu.dispatch("trace", groups, &bindings)?;
    }
    let mut bytes = Vec::with_capacity(pixels * 3);
    for [r, g, b, _] in light.to_vec()? {
        bytes.extend(film::develop(vec3(r, g, b), frame.samples, frame.exposure));
    }
    Ok(bytes)
}

/// Buffers cannot be empty; a scene without a mesh has one node with nothing in it, which the shader does not open.
fn or_one<T: Copy>(values: &[T], one: T) -> Vec<T> {
    if values.is_empty() { vec![one] } else { values.to_vec() }
}
