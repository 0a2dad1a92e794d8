//! Generated shaders on the CPU reference and the machine's adapter: `shader_soak --count 10000 --seed 0`. Prints how many ended
//! how and what the first that differ come down to; fails if any does. With `--hard`, what some drivers are known to get wrong too; with
//! `--reference-only`, orders are compared with each other and no adapter is asked.
#![expect(clippy::unwrap_used, reason = "it stops at the first thing that is not as it should be")]
#![expect(clippy::print_stdout, reason = "what it is for")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use p2c2r_runtime::gpu::{Gpu, GpuOptions, Shaders};

#[path = "../tests/differential/mod.rs"]
mod judges;

use judges::{Inputs, Judgement, Times};

/// Shaders of one module.
const BATCH: u64 = 64;

/// Shaders between two lines of progress.
const PROGRESS: u64 = 256;

/// Disagreements that are printed.
const SHOWN: usize = 5;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut count, mut first, mut hard, mut alone) = (1_000u64, 0u64, false, false);
    while let Some(name) = arguments.next() {
        match name.as_str() {
            "--hard" => {
                hard = true;
                continue;
            }
            "--reference-only" => {
                alone = true;
                continue;
            }
            _ => {}
        }
        let value = arguments.next().and_then(|value| value.parse().ok());
        match (name.as_str(), value) {
            ("--count", Some(value)) => count = value,
            ("--seed", Some(value)) => first = value,
            _ => {
                eprintln!("usage: shader_soak [--count N] [--seed S] [--hard] [--reference-only]");
                return ExitCode::FAILURE;
            }
        }
    }
    let gpu = match (alone, Gpu::open(GpuOptions::default())) {
        (true, _) => None,
        (false, Ok(gpu)) => Some(gpu),
        (false, Err(error)) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(gpu) = &gpu {
        println!("{} ({})", gpu.info().adapter, gpu.info().driver);
        speed(gpu);
    }

    let started = Instant::now();
    let (mut agreed, mut trapped, mut differ) = (0u64, 0u64, Vec::new());
    let mut refused: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut times = Times::default();
    let mut seed = first;
    while seed < first + count {
        let seeds = seed..(seed + BATCH).min(first + count);
        seed = seeds.end;
        let mut texts = Vec::new();
        for seed in seeds {
            let text = if hard { judges::hard(seed) } else { judges::shader(seed) };
            match judges::accept(&text.wgsl()) {
                Ok(()) => texts.push((seed, text)),
                Err(why) => {
                    if count == 1 {
                        println!("{}\n{why}", text.wgsl());
                    }
                    let why = why.split_once(": ").map_or(why.clone(), |(_, reason)| reason.to_owned());
                    refused.entry(why).or_insert((0, seed)).0 += 1;
                }
            }
        }
        let wgsl: Vec<String> = texts.iter().map(|(_, text)| text.wgsl()).collect();
        let module = judges::module(&wgsl.iter().map(String::as_str).collect::<Vec<_>>());
        let shaders = Shaders::of(&module).unwrap();
        for (index, (seed, text)) in texts.iter().enumerate() {
            let inputs = judges::inputs(*seed, text);
            match judges::judge(gpu.as_ref(), &shaders, index, &inputs, &mut times) {
                Judgement::Agrees { trapped: out } => {
                    agreed += 1;
                    trapped += u64::from(out);
                }
                Judgement::Differs(how) => {
                    println!("seed {seed} differs, {how}");
                    if differ.len() < SHOWN {
                        println!("{}", judges::shrink(gpu.as_ref(), text, &inputs, &how).wgsl());
                    }
                    differ.push(*seed);
                }
            }
        }
        if (seed - first).is_multiple_of(PROGRESS) {
            println!("{} shaders after {:.0} s", seed - first, started.elapsed().as_secs_f64());
        }
    }

    let turned_down: u64 = refused.values().map(|(count, _)| count).sum();
    println!("{count} shaders from seed {first} in {:.0} s", started.elapsed().as_secs_f64());
    println!(
        "  {agreed} the same on the reference in 4 orders{}, {trapped} of them by a trap",
        if alone { "" } else { " and on the adapter" }
    );
    println!("  {turned_down} not exact ({:.1} %)", turned_down as f64 * 100.0 / count as f64);
    for (why, (count, seed)) in &refused {
        println!("    {count} (first {seed}): {why}");
    }
    println!("  {} different {differ:?}", differ.len());
    println!(
        "  reference, all orders: {:.1} s; adapter: compiling {:.1} s, running {:.1} s",
        times.reference.as_secs_f64(),
        times.compiling.as_secs_f64(),
        times.adapter.as_secs_f64()
    );
    if differ.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How long a shader of ordinary work takes on either side.
fn speed(gpu: &Gpu) {
    let wgsl = "
        @group(0) @binding(0) var<storage, read_write> words: array<u32>;
        @group(0) @binding(1) var<storage, read> source: array<u32>;
        @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            var state = source[id.x] | 1u;
            var sum = 0u;
            for (var n = 0u; n < 256u; n++) {
                state ^= state << 13u; state ^= state >> 17u; state ^= state << 5u;
                sum += (state & 0xffffu) * (source[(id.x + n) % arrayLength(&source)] >> 16u);
            }
            words[id.x] = sum;
        }";
    let module = judges::module(&[wgsl]);
    let shaders = Shaders::of(&module).unwrap();
    let invocations = 1 << 16;
    let source = (0..invocations).map(|n: u32| n.wrapping_mul(2_654_435_761)).collect();
    let inputs =
        Inputs { buffers: vec![(0, vec![0; invocations as usize]), (1, source)], groups: [invocations / 64, 1, 1] };
    let times = judges::time(gpu, &shaders, 0, &inputs);
    let (reference, adapter) = (times.reference.as_secs_f64() * 1e3, times.adapter.as_secs_f64() * 1e3);
    println!(
        "65536 invocations of 256 rounds: reference {reference:.1} ms, adapter {adapter:.1} ms, {:.1} times",
        reference / adapter
    );
}
