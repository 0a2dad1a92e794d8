//! The kernels as built and signed, in the jail: bit for bit what their own tests pinned natively.

use bytes::Bytes;
use kernel_flow::{Spring, Task, Terrain, Water};
use kernel_loops::{Loop, Work, digest};
use kernel_npc::Mover;
use kernel_raytrace::{Frame, Mesh, Scene};
use kernel_voxels::World;
use p2c2r_jail::{Jail, JailConfig, JailedKernel};
use p2c2r_runtime::{Attempt, GpuPolicy, PathKind, Sandbox, SandboxConfig};
use p2c2r_signing::{BlobId, Outcome, SecretKey, TrustedKeys, VerifiedModule, sign_module, verify_module};
use serde_json::Value;

use crate::{built, root};

/// What a row runs on.
struct Case {
    input: Vec<u8>,
    blob: Option<Vec<u8>>,
}

fn jail(gpu: GpuPolicy) -> Jail {
    let worker = built(JailConfig::worker_beside_me().unwrap());
    Jail::start(JailConfig { gpu, ..JailConfig::new(worker) }).unwrap()
}

fn load(jail: &Jail, name: &str) -> JailedKernel {
    jail.load(&signed(name)).unwrap()
}

fn signed(name: &str) -> VerifiedModule {
    let bytes = std::fs::read(built(root().join(format!("target/kernels/{name}.wasm")))).unwrap();
    let key = SecretKey::generate();
    let signed = sign_module(&bytes, &key).unwrap();
    verify_module(signed, &TrustedKeys::from(key.public())).unwrap()
}

/// Nothing is tried on an adapter where there is none.
fn skip(missing: &str) {
    assert!(std::env::var_os("P2C2R_REQUIRE_GPU").is_none(), "no gpu: {missing}");
    eprintln!("SKIPPED: no gpu: {missing}");
}

/// Runs every row of a kernel's golden file in the jail, on this path. `case` makes a row's input natively, as the kernel's test does.
fn check(name: &str, path: PathKind, case: impl Fn(&Value) -> Case) {
    let golden = root().join(format!("kernels/{name}/tests/golden/{name}.json"));
    let rows: Vec<Value> = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    assert!(rows.len() >= 3, "{name} has {} golden vectors", rows.len());
    let jail = jail(if path == PathKind::Gpu { GpuPolicy::Auto } else { GpuPolicy::Off });
    if let Some(missing) = jail.gpu_missing().filter(|_| path == PathKind::Gpu) {
        return skip(missing);
    }
    let kernel = load(&jail, name);
    for row in &rows {
        let Case { input, blob } = case(row);
        let hex = |bytes: &[u8]| Value::from(blake3::hash(bytes).to_hex().as_str());
        assert_eq!(hex(&input), row["input"], "{name}: the input of {row}");
        if let Some(blob) = &blob {
            assert_eq!(hex(blob), row["blob"], "{name}: the blob of {row}");
        }
        let ids: Vec<BlobId> = blob.iter().map(|blob| BlobId::of(blob)).collect();
        let blobs = blob.into_iter().map(Bytes::from).collect();
        let deadline = std::time::Duration::from_secs(120);
        let attempt = Attempt { blobs, deadline, path, ..Attempt::new(input) };
        let execution = jail.run(&kernel, &attempt, &ids).unwrap();
        assert_eq!(execution.outcome, Outcome::Output, "{name}: {row}: {:?}", execution.log);
        assert_eq!(hex(&execution.output), row["output"], "{name}: the output of {row}");
        assert_eq!(Value::from(execution.units), row["units"], "{name}: the units of {row}");
    }
}

fn number(value: &Value) -> u32 {
    value.as_u64().and_then(|number| number.try_into().ok()).unwrap()
}

#[test]
fn npc_is_bit_equal_native_and_jailed() {
    check("npc", PathKind::Cpu, |row| {
        let mut scenario = kernel_npc::scenario(u64::from(number(&row["seed"])), number(&row["agents"]) as usize);
        if row["mover"] == "policy" {
            scenario.batch.world.mover = Mover::Policy;
        }
        Case { input: scenario.input().unwrap(), blob: Some(scenario.blob()) }
    });
}

/// 4,096 agents, so the whole of the WGSL is compared with the whole of the Rust: on the reference, and on an adapter if there is
/// one.
#[test]
fn the_policy_of_npc_is_bit_equal_on_every_path() {
    let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
    let kernel = sandbox.load(&signed("npc")).unwrap();
    let mut paths = vec![PathKind::Exact];
    match sandbox.gpu_missing() {
        Some(reason) => skip(reason),
        None => paths.push(PathKind::Gpu),
    }
    for seed in 1..=2 {
        let mut scenario = kernel_npc::scenario(seed, kernel_npc::limits::AGENTS);
        scenario.batch.world.mover = Mover::Policy;
        let on = |path| {
            let blobs = vec![Bytes::from(scenario.blob())];
            let deadline = std::time::Duration::from_secs(120);
            let attempt = Attempt { blobs, deadline, path, ..Attempt::new(scenario.input().unwrap()) };
            let execution = sandbox.run(&kernel, attempt).unwrap();
            assert_eq!(execution.outcome, Outcome::Output, "{path:?}: {:?}", execution.log);
            (execution.output, execution.units)
        };
        let cpu = on(PathKind::Cpu);
        for path in &paths {
            assert!(on(*path) == cpu, "seed {seed}: {path:?} differs");
        }
    }
}

#[test]
fn physics_is_bit_equal_native_and_jailed() {
    check("physics", PathKind::Cpu, |row| {
        let scene = kernel_physics::pile(number(&row["bodies"]) as usize, number(&row["steps"]));
        Case { input: scene.input().unwrap(), blob: None }
    });
}

#[test]
fn raytrace_is_bit_equal_native_and_jailed() {
    check("raytrace", PathKind::Cpu, |row| {
        let [width, height, samples] = ["width", "height", "samples"].map(|field| number(&row[field]));
        let input = Frame::studio(width, height, samples).all_rows().to_bytes();
        Case { input, blob: Some(Scene::studio(&Mesh::procedural()).to_bytes()) }
    });
}

#[test]
fn flow_is_bit_equal_to_its_model_on_a_gpu_and_jailed() {
    check("flow", PathKind::Gpu, flow);
}

#[test]
fn flow_is_bit_equal_to_its_model_on_the_reference_and_jailed() {
    check("flow", PathKind::Exact, flow);
}

fn flow(row: &Value) -> Case {
    let side = number(&row["side"]);
    let terrain = Terrain::valley(side, 5);
    let springs = vec![Spring { cell: side / 2, flow: 3 << 16 }, Spring { cell: side * side - 1, flow: -(1 << 16) }];
    let task = Task { rain: 700, springs, ..Task::new(number(&row["steps"]), Water::none(terrain.cells())) };
    Case { input: p2c2r_guest::encode(task).unwrap(), blob: Some(terrain.to_bytes()) }
}

#[test]
fn voxels_is_bit_equal_to_its_model_on_a_gpu_and_jailed() {
    check("voxels", PathKind::Gpu, voxels);
}

#[test]
fn voxels_is_bit_equal_to_its_model_on_the_reference_and_jailed() {
    check("voxels", PathKind::Exact, voxels);
}

fn voxels(row: &Value) -> Case {
    let [side, width, height, samples] = ["side", "width", "height", "samples"].map(|field| number(&row[field]));
    let world = World::island(side, 4);
    let task = kernel_voxels::Frame::harbour(&world, width, height, samples).all_rows();
    Case { input: p2c2r_guest::encode(task).unwrap(), blob: Some(world.to_bytes()) }
}

#[test]
fn loops_are_bit_equal_native_and_jailed() {
    let jail = jail(GpuPolicy::Off);
    let kernel = load(&jail, "loops");
    for on in [Loop::Bodies, Loop::Hash, Loop::Matrix, Loop::Table] {
        let work = Work { on, rounds: 2 };
        let execution = jail.run(&kernel, &Attempt::new(work.input().unwrap()), &[]).unwrap();
        assert_eq!(execution.outcome, Outcome::Output, "{on:?}: {:?}", execution.log);
        assert_eq!(execution.output, digest(work).to_le_bytes(), "{on:?}");
    }
}
