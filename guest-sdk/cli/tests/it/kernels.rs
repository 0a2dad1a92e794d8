//! The exact kernels' shaders on a GPU and on the reference against their models in Rust, one dispatch at a time and from states that no
//! simulation would come to by itself.

use std::collections::BTreeMap;

use kernel_flow::Spring;
use kernel_voxels::{Frame, World, camera};
use p2c2r_guest::random;
use p2c2r_runtime::gpu::GpuAttempt;

use crate::device::{dispatch, engines, verdict};

fn words(count: usize, seed: u32, number: impl Fn(u32) -> u32) -> Vec<u32> {
    (0..count).map(|n| number(random::philox([n as u32, 0, 0, 0], [seed, 3])[0])).collect()
}

fn bytes<T: bytemuck::Pod>(values: &[T]) -> Vec<u8> {
    bytemuck::cast_slice(values).to_vec()
}

#[test]
fn flow_is_its_model() {
    const PIPES: &str = include_str!("../../../../kernels/flow/shaders/pipes.wgsl");
    const DEPTHS: &str = include_str!("../../../../kernels/flow/shaders/depths.wgsl");
    verdict(PIPES).unwrap();
    verdict(DEPTHS).unwrap();
    for ((engine, mut pipes), (_, mut depths)) in engines(PIPES).zip(engines(DEPTHS)) {
        flow(engine, &mut *pipes, &mut *depths);
    }
}

fn flow(engine: &str, pipes: &mut dyn GpuAttempt, depths: &mut dyn GpuAttempt) {
    for (seed, size) in (0..30).zip([0, 4, 12].into_iter().cycle()) {
        let params = kernel_flow::task::Params {
            width: 1 + seed * 3,
            height: 40 - seed,
            keep: 65_536 - 1000 * seed as i32,
            pull: kernel_flow::limits::PULL >> (seed % 4),
            rain: seed,
            springs: seed % 3,
        };
        let cells = (params.width * params.height) as usize;
        let groups = [(cells as u32).div_ceil(64), 1, 1];
        let ground: Vec<i32> = words(cells, seed, |word| word >> 2 >> size)
            .iter()
            .map(|word| *word as i32 - (kernel_flow::limits::GROUND >> size))
            .collect();
        let mut deep = words(cells, seed + 100, |word| word >> 2 >> size);
        let mut flows: Vec<[u32; 4]> = words(cells, seed + 200, |word| word >> 3 >> size)
            .iter()
            .map(|word| [*word, word / 2, word / 3, word / 7])
            .collect();
        let springs = [Spring { cell: seed, flow: 1 << 24 }, Spring { cell: seed / 2, flow: -(1 << 24) }];

        let bound = [bytes(&[params]), bytes(&ground), bytes(&deep), bytes(&flows), bytes(&vec![[9u32; 4]; cells])];
        let after = dispatch(pipes, groups, &(0..).zip(bound).collect::<BTreeMap<_, _>>());
        flows = kernel_flow::model::pipes(&params, &ground, &deep, &flows);
        assert_eq!(after[&4], bytes(&flows), "pipes, seed {seed} on the {engine}");

        let bound = [bytes(&[params]), bytes(&springs), bytes(&deep), bytes(&flows)];
        let after = dispatch(depths, groups, &(0..).zip(bound).collect::<BTreeMap<_, _>>());
        kernel_flow::model::depths(&params, &springs[..params.springs as usize], &mut deep, &flows);
        assert_eq!(after[&2], bytes(&deep), "depths, seed {seed} on the {engine}");
    }
}

#[test]
fn voxels_is_its_model() {
    const TRACE: &str = include_str!("../../../../kernels/voxels/shaders/trace.wgsl");
    verdict(TRACE).unwrap();
    for (engine, mut session) in engines(TRACE) {
        voxels(engine, &mut *session);
    }
}

fn voxels(engine: &str, session: &mut dyn GpuAttempt) {
    for seed in 0..6 {
        // Islands, and worlds with a voxel here and there, of any material.
        let mut world = World::island(16 + 12 * seed, seed);
        if seed % 2 == 1 {
            let sparse = words(world.voxels.len(), seed, |word| if word & 63 == 0 { word >> 8 & 15 } else { 0 });
            world.voxels = sparse.iter().map(|voxel| (*voxel).min(14) as u8).collect();
        }
        let frame = Frame { bounces: 6, seed, ..Frame::harbour(&world, 31, 17, 3) };
        let mut frame_from_inside = frame;
        frame_from_inside.eye = [700_000, 800_000 + seed as i32, 500_000];
        for frame in [frame, frame_from_inside] {
            let rows: Vec<u32> = (0..17).rev().collect();
            let params = camera::Params::new(&frame, &world, rows.len());
            let mut light = vec![[5, 6, 7, 0]; params.pixels as usize];
            let bound = [bytes(&[params]), bytes(&world.materials), world.voxels.clone(), bytes(&rows), bytes(&light)];
            let groups = [params.pixels.div_ceil(64), 1, 1];
            let after = dispatch(session, groups, &(0..).zip(bound).collect::<BTreeMap<_, _>>());
            let more = kernel_voxels::model::light(&world, &params, &rows);
            for (sum, more) in light.iter_mut().zip(more) {
                (0..3).for_each(|i| sum[i] += more[i]);
            }
            assert!(after[&4] == bytes(&light), "seed {seed} on the {engine}");
        }
    }
}
