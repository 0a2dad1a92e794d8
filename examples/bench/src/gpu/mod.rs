//! Dispatch and readback in the sandbox, guest and driver each in a process of its own, next to the same shader on bare wgpu.
//!
//! A kernel dispatches and reads back as often as its input says; a row is the time of one such turn, without what an
//! attempt costs before and after. Shaders are rewritten in the sandbox and not on bare wgpu, which checks bounds and bounds loops as
//! it does by default; rows `_unchecked` are against wgpu without those. Rounds alternate.

mod bare;
mod kernels;

use anyhow::{Result, ensure};
use p2c2r_jail::{Jail, JailConfig, JailedKernel};
use p2c2r_runtime::{Attempt, GpuPolicy, PathKind};
use p2c2r_signing::{Manifest, Outcome, attach};

use bare::{Bare, Checks, READ_BYTES};

use crate::Args;
use crate::row::Row;
use crate::sandbox::measure::{middle, timed, us};
use crate::sandbox::signed::Author;

/// Turns of an attempt.
const TURNS: u32 = 50;

/// Invocations of a workgroup, and words of it.
const WORKGROUP: u64 = 64;

const MANIFEST: &str = r#"{"name": "turns", "version": "1.0.0", "abi": 1, "publisher": "bench", "unit": "call",
    "result_class": "exact", "gpu": {"buffers": 1, "buffer_bytes": 16777216, "dispatches": 1000, "workgroups": 65535}}"#;

/// Reads turns and workgroups from its input.
const KERNEL: &str = r#"(module
    (import "p2c2r_v1" "input_read" (func $input_read (param i32 i32 i32) (result i32)))
    (import "p2c2r_v1" "output_write" (func $output_write (param i32 i32) (result i32)))
    (import "p2c2r_v1" "buf_create" (func $create (param i64) (result i32)))
    (import "p2c2r_v1" "buf_read" (func $read (param i32 i64 i32 i32) (result i32)))
    (import "p2c2r_v1" "dispatch" (func $dispatch (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "work")
    (func (export "p2c2r_main") (result i32) (local $turns i32)
        (drop (call $input_read (i32.const 0) (i32.const 16) (i32.const 8)))
        (local.set $turns (i32.load (i32.const 16)))
        (i32.store (i32.const 36)
            (call $create (i64.mul (i64.const 256) (i64.extend_i32_u (i32.load (i32.const 20))))))
        (block (loop
            (br_if 1 (i32.eqz (local.get $turns)))
            (local.set $turns (i32.sub (local.get $turns) (i32.const 1)))
            (if (call $dispatch (i32.const 0) (i32.const 4) (i32.load (i32.const 20)) (i32.const 1) (i32.const 1)
                    (i32.const 32) (i32.const 1))
                (then unreachable))
            (if (call $read (i32.load (i32.const 36)) (i64.const 0) (i32.const 256) (i32.const 256))
                (then unreachable))
            (br 0)))
        (drop (call $output_write (i32.const 256) (i32.const 256)))
        (i32.const 0)))"#;

/// What each invocation does: next to nothing, or this many times, written out or in the tightest of loops.
const TINY: &str = "x = x * 3u + 1u;";
const STEP: &str = "x = (x ^ (x >> 7u)) * 1664525u + 1013904223u; ";

/// The rows `gpu/*`; none without an adapter.
#[expect(clippy::print_stdout, reason = "a command-line program talks to its user")]
pub(crate) async fn measure(args: &Args) -> Result<Vec<Row>> {
    // Workers start in the root folder.
    let worker = std::path::absolute(args.bin.join("p2c2r-worker"))?;
    let jail = Jail::start(JailConfig { gpu: GpuPolicy::DeviceOnly, ..JailConfig::new(worker) })?;
    let Some(info) = jail.gpu_info() else {
        println!("no gpu rows: {}", jail.gpu_missing().unwrap_or_default());
        return Ok(Vec::new());
    };
    let adapter = info.adapter.clone();
    println!("gpu rows on {adapter}");
    let mut rows = Vec::new();
    let straight = STEP.repeat(300);
    let tight = format!("for (var n = 0u; n < 1000u; n++) {{ {STEP} }}");
    for (name, body, bare_us) in [
        ("tiny", TINY, None),
        ("1ms", &straight, Some(1_000.0)),
        ("10ms", &straight, Some(10_000.0)),
        ("1ms_loop", &tight, Some(1_000.0)),
        ("10ms_loop", &tight, Some(10_000.0)),
    ] {
        let wgsl = shader(body);
        let groups = match bare_us {
            Some(wanted) => groups_for(&adapter, &wgsl, wanted).await?,
            None => 1,
        };
        let pair = Pair::open(&jail, &adapter, &wgsl, groups).await?;
        rows.extend(pair.rows(args, name)?);
    }
    rows.extend(kernels::measure(args, &jail)?);
    Ok(rows)
}

fn shader(body: &str) -> String {
    format!(
        "@group(0) @binding(0) var<storage, read_write> words: array<u32>;
         @compute @workgroup_size({WORKGROUP}) fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
             var x = words[id.x] + id.x;
             {body}
             words[id.x] = x;
         }}"
    )
}

/// Workgroups that take bare wgpu about as long.
async fn groups_for(adapter: &str, wgsl: &str, wanted_us: f64) -> Result<u32> {
    const MOST: u32 = 65_535;
    let bare = Bare::open(adapter, wgsl, u64::from(MOST) * WORKGROUP * 4, Checks::Usual).await?;
    let mut groups = 1;
    loop {
        let mut times = Vec::new();
        for round in 0..12 {
            let (ran, took) = timed(|| bare.run(groups));
            ran?;
            // The first ones warm up.
            if round > 2 {
                times.push(us(took));
            }
        }
        let took = middle(&times);
        if took >= wanted_us || groups == MOST {
            return Ok(groups);
        }
        // Twice as many, or as many as it seems to take.
        let guess = (f64::from(groups) * wanted_us / took).ceil().min(f64::from(groups) * 2.0);
        groups = (guess as u32).clamp(groups + 1, MOST);
    }
}

/// One shader on both sides.
struct Pair<'a> {
    jail: &'a Jail,
    kernel: JailedKernel,
    bare: Bare,
    unchecked: Bare,
    groups: u32,
}

impl<'a> Pair<'a> {
    async fn open(jail: &'a Jail, adapter: &str, wgsl: &str, groups: u32) -> Result<Self> {
        let manifest = Manifest::from_json(MANIFEST.as_bytes())?;
        let wasm = attach(&wat::parse_str(KERNEL)?, &manifest, &[("work".to_owned(), wgsl.to_owned())])?;
        let kernel = jail.load(&Author::new().module(&wasm)?)?;
        let bytes = u64::from(groups) * WORKGROUP * 4;
        let bare = Bare::open(adapter, wgsl, bytes, Checks::Usual).await?;
        let unchecked = Bare::open(adapter, wgsl, bytes, Checks::None).await?;
        Ok(Self { jail, kernel, bare, unchecked, groups })
    }

    fn rows(&self, args: &Args, name: &str) -> Result<Vec<Row>> {
        let (mut ours, mut theirs, mut unchecked, mut whole) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for round in 0..=args.rounds {
            let (empty_us, turns_us) = (self.jailed(0)?, self.jailed(TURNS)?);
            let (bare_us, unchecked_us) = (self.turns(&self.bare)?, self.turns(&self.unchecked)?);
            let one_us = self.jailed(1)?;
            // The first round warms up.
            if round > 0 {
                ours.push((turns_us - empty_us) / f64::from(TURNS));
                theirs.push(bare_us / f64::from(TURNS));
                unchecked.push(unchecked_us / f64::from(TURNS));
                whole.push(one_us);
            }
        }
        let (ours, theirs, unchecked, whole) = (middle(&ours), middle(&theirs), middle(&unchecked), middle(&whole));
        let baseline = Some(("bare wgpu", theirs));
        let aim = if name == "tiny" { "" } else { "<= 1.05" };
        let mut rows = vec![Row::new(&format!("gpu/{name}"), ours, "us", baseline, aim)];
        if name == "tiny" {
            rows.push(Row::new("gpu/tiny_added", ours - theirs, "us", None, "< 50"));
            rows.push(Row::new("gpu/attempt", whole, "us", None, ""));
        } else {
            let baseline = Some(("wgpu, unchecked", unchecked));
            rows.push(Row::new(&format!("gpu/{name}_unchecked"), ours, "us", baseline, ""));
        }
        Ok(rows)
    }

    /// Microseconds of [`TURNS`] without a sandbox.
    fn turns(&self, bare: &Bare) -> Result<f64> {
        let mut turns_us = 0.0;
        for _ in 0..TURNS {
            let (ran, took) = timed(|| bare.run(self.groups));
            ensure!(ran?.len() as u64 == READ_BYTES, "bare wgpu read too little");
            turns_us += us(took);
        }
        Ok(turns_us)
    }

    /// Microseconds of an attempt with so many turns; only that it did something is checked: bare wgpu goes on with its words.
    fn jailed(&self, turns: u32) -> Result<f64> {
        let input = [turns, self.groups].map(u32::to_le_bytes).concat();
        let attempt = Attempt { path: PathKind::Gpu, ..Attempt::new(input) };
        let (ran, took) = timed(|| self.jail.run(&self.kernel, &attempt, &[]));
        let ran = ran?;
        ensure!(ran.outcome == Outcome::Output, "{:?}: {:?}", ran.outcome, ran.log);
        ensure!(turns == 0 || ran.output.iter().any(|byte| *byte != 0), "the shader did nothing");
        Ok(us(took))
    }
}
