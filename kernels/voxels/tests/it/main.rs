//! The kernel against the mock host, with the model in place of the shader, and the model against what light does. The shader
//! is held against the model in `guest-sdk/cli/tests/it/kernels.rs`, and the module as built against the golden vectors in
//! `examples/network/tests/it/kernels.rs`.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod golden;
mod light;
mod task;

use std::collections::BTreeMap;

use kernel_voxels::camera::Params;
use kernel_voxels::world::{Material, Sky};
use kernel_voxels::{Rows, World, model, voxels};
use p2c2r_guest::testing::{Host, Report};

/// Runs the kernel with the shader's job done natively, from nothing but the bound buffers and the sky.
fn run(world: &World, input: &Rows) -> Report {
    let sky = world.sky;
    let shader = move |groups: [u32; 3], buffers: &mut BTreeMap<u32, Vec<u8>>| trace(sky, groups, buffers);
    let input = p2c2r_guest::encode(input.clone()).unwrap();
    Host::new().input(input).blob(world.to_bytes()).shader("trace", shader).run(voxels)
}

fn trace(sky: Sky, groups: [u32; 3], buffers: &mut BTreeMap<u32, Vec<u8>>) {
    let params: Params = bytemuck::pod_read_unaligned(&buffers[&0]);
    assert_eq!(groups, [params.pixels.div_ceil(64), 1, 1]);
    let [x, y, z, _] = params.sun;
    assert_eq!([x, y, z], sky.sun);
    let materials: Vec<Material> = list(&buffers[&1]);
    let world = World { side: params.side as u32, sky, materials, voxels: buffers[&2].clone() };
    let more = model::light(&world, &params, &list::<u32>(&buffers[&3]));
    let mut light: Vec<[i32; 4]> = list(&buffers[&4]);
    for (sum, more) in light.iter_mut().zip(more) {
        (0..3).for_each(|i| sum[i] += more[i]);
    }
    buffers.insert(4, bytemuck::cast_slice(&light).to_vec());
}

fn list<T: bytemuck::Pod>(bytes: &[u8]) -> Vec<T> {
    bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()
}
