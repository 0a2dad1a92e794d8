//! Buffers and dispatches: the shader adds up light in batches of samples, the film is developed here.

use p2c2r_guest::{Gpu, GpuError};

use crate::camera::Params;
use crate::film;
use crate::frame::Rows;
use crate::limits::BATCH_SAMPLES;
use crate::world::World;

/// Invocations of a workgroup.
const GROUP: u32 = 64;

/// Pixels of the rows, RGB.
pub(crate) fn render(gpu: Gpu, world: &World, input: &Rows) -> Result<Vec<u8>, GpuError> {
    let frame = &input.frame;
    if input.rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut batch = Params::new(frame, world, input.rows.len());
    let params = gpu.buffer_from(&[batch])?;
    let materials = gpu.buffer_from(&world.materials)?;
    let voxels = gpu.buffer_from(&world.voxels)?;
    let rows = gpu.buffer_from(&input.rows)?;
    let light = gpu.buffer::<[i32; 4]>(batch.pixels as usize)?;
    let bindings = [params.at(0), materials.at(1), voxels.at(2), rows.at(3), light.at(4)];
    for first_sample in (0..frame.samples).step_by(BATCH_SAMPLES as usize) {
        batch.first_sample = first_sample;
        batch.samples = BATCH_SAMPLES.min(frame.samples - first_sample);
        params.write(0, &[batch])?;
        gpu.dispatch("trace", [batch.pixels.div_ceil(GROUP), 1, 1], &bindings)?;
    }
    let develop = |[r, g, b, _]: [i32; 4]| film::develop([r, g, b], frame.samples, frame.exposure);
    Ok(light.to_vec()?.into_iter().flat_map(develop).collect())
}
