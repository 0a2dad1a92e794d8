//! The kernels we ship that have shaders: on the adapter, next to what a peer without one does.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use kernel_flow::{Spring, Task, Terrain, Water};
use kernel_npc::Mover;
use kernel_raytrace::{Frame, Mesh, Scene};
use kernel_voxels::World;
use p2c2r_jail::{Jail, JailedKernel};
use p2c2r_runtime::{Attempt, PathKind};
use p2c2r_signing::{BlobId, Outcome};

use crate::Args;
use crate::row::Row;
use crate::sandbox::measure::{middle, ms, timed};
use crate::sandbox::signed::Author;

/// Software adapters take their time.
const PATIENCE: Duration = Duration::from_secs(120);

/// A task of a kernel.
struct Case {
    /// Of the row.
    name: &'static str,
    /// File of the module, without its ending.
    kernel: &'static str,
    input: Vec<u8>,
    blob: Vec<u8>,
    /// The path of a peer without an adapter, and what it is called.
    without: (PathKind, &'static str),
}

/// Tasks whose shaders have enough to do that starting them is noise.
fn cases() -> Result<Vec<Case>> {
    let mut town = kernel_npc::scenario(7, kernel_npc::limits::AGENTS);
    town.batch.world.mover = Mover::Policy;
    let terrain = Terrain::valley(256, 5);
    let springs = vec![Spring { cell: 128, flow: 3 << 16 }];
    let rain = Task { rain: 700, springs, ..Task::new(50, Water::none(terrain.cells())) };
    let island = World::island(64, 4);
    let picture = kernel_voxels::Frame::harbour(&island, 160, 100, 8).all_rows();
    let frame = Frame::studio(160, 100, 8).all_rows().to_bytes();
    let scene = Scene::studio(&Mesh::procedural()).to_bytes();
    let (own, reference) = ((PathKind::Cpu, "its CPU path"), (PathKind::Exact, "CPU reference"));
    let case = |name, kernel, input, blob, without| Case { name, kernel, input, blob, without };
    Ok(vec![
        case("npc_policy", "npc", town.input()?, town.blob(), own),
        case("npc_policy_exact", "npc", town.input()?, town.blob(), reference),
        case("flow", "flow", p2c2r_guest::encode(rain)?, terrain.to_bytes(), reference),
        case("voxels", "voxels", p2c2r_guest::encode(picture)?, island.to_bytes(), reference),
        case("raytrace", "raytrace", frame, scene, own),
    ])
}

/// `jail` leaves exact kernels to the reference unless they are asked onto the adapter.
pub(super) fn measure(args: &Args, jail: &Jail) -> Result<Vec<Row>> {
    let author = Author::new();
    let mut rows = Vec::new();
    for case in cases()? {
        let path = args.kernels.join(format!("{}.wasm", case.kernel));
        let wasm = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let kernel = jail.load(&author.module(&wasm)?)?;
        let (without, called) = case.without;
        let (mut adapter, mut cpu) = (Vec::new(), Vec::new());
        for round in 0..=args.rounds {
            let (ours, on_adapter) = case.run(jail, &kernel, PathKind::Gpu)?;
            let (theirs, on_cpu) = case.run(jail, &kernel, without)?;
            // Floats compare inside one class only.
            ensure!(case.kernel == "raytrace" || ours == theirs, "{}: {called} gives other bytes", case.name);
            // The first round warms up.
            if round > 0 {
                adapter.push(on_adapter);
                cpu.push(on_cpu);
            }
        }
        rows.push(Row::new(&format!("gpu/{}", case.name), middle(&adapter), "ms", Some((called, middle(&cpu))), ""));
    }
    Ok(rows)
}

impl Case {
    /// The output, and the milliseconds it took.
    fn run(&self, jail: &Jail, kernel: &JailedKernel, path: PathKind) -> Result<(Vec<u8>, f64)> {
        let (ids, blobs) = (vec![BlobId::of(&self.blob)], vec![Bytes::from(self.blob.clone())]);
        let attempt = Attempt { path, blobs, deadline: PATIENCE, ..Attempt::new(self.input.clone()) };
        let (ran, took) = timed(|| jail.run(kernel, &attempt, &ids));
        let ran = ran?;
        ensure!(ran.outcome == Outcome::Output, "{}: {:?}: {:?}", self.name, ran.outcome, ran.log);
        Ok((ran.output, ms(took)))
    }
}
