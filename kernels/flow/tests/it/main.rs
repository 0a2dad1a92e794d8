//! The kernel against the mock host, with the model in place of the shaders, and the model against physics. The shaders are
//! held against the model in `guest-sdk/cli/tests/it/kernels.rs`, and the module as built against the golden vectors in
//! `examples/network/tests/it/kernels.rs`.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod golden;
mod physics;
mod task;

use std::collections::BTreeMap;

use kernel_flow::task::Params;
use kernel_flow::{Spring, Task, Terrain, flow, model};
use p2c2r_guest::testing::{Host, Report};

/// Runs the kernel with the shaders' job done natively, from nothing but the bound buffers.
fn run(terrain: &Terrain, task: &Task) -> Report {
    let input = p2c2r_guest::encode(task.clone()).unwrap();
    host(input).blob(terrain.to_bytes()).run(flow)
}

fn host(input: Vec<u8>) -> Host {
    Host::new().input(input).shader("pipes", pipes).shader("depths", depths)
}

fn pipes(groups: [u32; 3], buffers: &mut BTreeMap<u32, Vec<u8>>) {
    let params: Params = bytemuck::pod_read_unaligned(&buffers[&0]);
    assert_eq!(groups, [(params.width * params.height).div_ceil(64), 1, 1]);
    let flows: Vec<[u32; 4]> = list(&buffers[&3]);
    let flows = model::pipes(&params, &list::<i32>(&buffers[&1]), &list::<u32>(&buffers[&2]), &flows);
    buffers.insert(4, bytemuck::cast_slice(&flows).to_vec());
}

fn depths(_: [u32; 3], buffers: &mut BTreeMap<u32, Vec<u8>>) {
    let params: Params = bytemuck::pod_read_unaligned(&buffers[&0]);
    let springs: Vec<Spring> = list(&buffers[&1]);
    let mut depths: Vec<u32> = list(&buffers[&2]);
    model::depths(&params, &springs[..params.springs as usize], &mut depths, &list::<[u32; 4]>(&buffers[&3]));
    buffers.insert(2, bytemuck::cast_slice(&depths).to_vec());
}

fn list<T: bytemuck::Pod>(bytes: &[u8]) -> Vec<T> {
    bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()
}
