//! What an attempt costs before and after the guest's own work: instantiating, calling, handing over, hashing.

use std::path::Path;

use anyhow::{Result, ensure};
use p2c2r_runtime::{Attempt, Runaway};
use p2c2r_signing::Outcome;

use super::measure::{middle, ms, timed, us};
use super::signed::{Author, assemble};
use crate::Args;
use crate::row::Row;

/// Calls of a round.
const CALLS: usize = 500;

/// Bytes of the input and output of a small call.
const SMALL_BYTES: usize = 128;

/// Bytes of input and output that travel in shared memory.
const LARGE_BYTES: usize = 64 << 10;

/// Memory that is filled to see what its digest costs, MiB.
const FILLED_MIB: usize = 32;

const MANIFEST: &str = r#"{"name": "echo", "version": "1.0.0", "abi": 1, "publisher": "bench", "unit": "call",
    "limits": {"memory_bytes": 67108864, "input_bytes": 65536, "output_bytes": 65536, "units": 1}}"#;

/// The rows of calls, and of the trace root.
pub(super) fn measure(args: &Args, worker: &Path) -> Result<Vec<Row>> {
    let mut rows = echoes(args, worker)?;
    rows.extend(trace(args)?);
    Ok(rows)
}

/// A kernel that copies its input to its output, with `pages` of memory: one is the least that works, 17 what Rust asks for.
pub(super) fn echo(pages: usize) -> Result<Vec<u8>> {
    let text = format!(
        r#"(module
            (import "p2c2r_v1" "input_len" (func $len (result i32)))
            (import "p2c2r_v1" "input_read" (func $read (param i32 i32 i32) (result i32)))
            (import "p2c2r_v1" "output_write" (func $write (param i32 i32) (result i32)))
            (import "p2c2r_v1" "charge" (func $charge (param i64)))
            (memory (export "memory") {pages})
            (func (export "p2c2r_main") (result i32)
                (drop (call $read (i32.const 0) (i32.const 0) (call $len)))
                (drop (call $write (i32.const 0) (call $len)))
                (call $charge (i64.const 1))
                (i32.const 0)))"#
    );
    assemble(&text, MANIFEST)
}

fn echoes(args: &Args, worker: &Path) -> Result<Vec<Row>> {
    let author = Author::new();
    let (sandbox, jail) = (super::sandbox(Runaway::Killed)?, super::jail(worker, None)?);
    let mut rows = Vec::new();
    let sizes = [
        ("", 1, SMALL_BYTES, "<= 10"),
        ("_rust", 17, SMALL_BYTES, ""),
        ("_16m", 256, SMALL_BYTES, ""),
        ("_64k", 17, LARGE_BYTES, ""),
    ];
    for (suffix, pages, bytes, aim) in sizes {
        let module = author.module(&echo(pages)?)?;
        let (here, jailed) = (sandbox.load(&module)?, jail.load(&module)?);
        let attempt = Attempt::new(vec![7; bytes]);
        let (mut instance, mut call) = (Vec::new(), Vec::new());
        for round in 0..=args.rounds {
            let (mut instance_us, mut call_us) = (Vec::new(), Vec::new());
            for _ in 0..CALLS {
                let given = attempt.clone();
                let (ran, took) = timed(|| sandbox.run(&here, given));
                ensure!(ran?.output == attempt.input, "no echo");
                instance_us.push(us(took));
            }
            for _ in 0..CALLS {
                let (ran, took) = timed(|| jail.run(&jailed, &attempt, &[]));
                ensure!(ran?.output == attempt.input, "no echo from the jail");
                call_us.push(us(took));
            }
            // The first round warms up.
            if round > 0 {
                instance.push(middle(&instance_us));
                call.push(middle(&call_us));
            }
        }
        let (instance, call) = (middle(&instance), middle(&call));
        rows.push(Row::new(&format!("sandbox/instance{suffix}"), instance, "us", None, aim));
        let in_process = Some(("in this process", instance));
        rows.push(Row::new(&format!("sandbox/jail_call{suffix}"), call, "us", in_process, ""));
    }
    Ok(rows)
}

/// Fills memory with zeros or with something else; only the second is hashed.
fn trace(args: &Args) -> Result<Vec<Row>> {
    let text = format!(
        r#"(module
            (import "p2c2r_v1" "input_len" (func $len (result i32)))
            (memory (export "memory") {pages})
            (func (export "p2c2r_main") (result i32)
                (memory.fill (i32.const 0) (call $len) (i32.const {bytes}))
                (i32.const 0)))"#,
        pages = FILLED_MIB * 16,
        bytes = FILLED_MIB << 20,
    );
    let sandbox = super::sandbox(Runaway::Killed)?;
    let kernel = sandbox.load(&Author::new().module(&assemble(&text, MANIFEST)?)?)?;
    let run = |input: &'static [u8]| -> Result<f64> {
        let (ran, took) = timed(|| sandbox.run(&kernel, Attempt::new(input)));
        ensure!(ran?.outcome == Outcome::Output, "memory was not filled");
        Ok(ms(took) * 1e3 / FILLED_MIB as f64)
    };
    let (mut zero, mut hashed) = (Vec::new(), Vec::new());
    for round in 0..=args.rounds * 5 {
        let both = (run(b"")?, run(b"7")?);
        // The first round warms up.
        if round > 0 {
            zero.push(both.0);
            hashed.push(both.1);
        }
    }
    let (zero, hashed) = (middle(&zero), middle(&hashed));
    Ok(vec![
        Row::new("sandbox/touch", zero, "us/MiB", None, ""),
        Row::new("sandbox/cost_trace", hashed - zero, "us/MiB", None, ""),
    ])
}
