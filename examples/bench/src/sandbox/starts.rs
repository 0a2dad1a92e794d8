//! How long it takes until a kernel runs: from signed bytes, from code compiled before, after a worker was killed.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use p2c2r_jail::Jail;
use p2c2r_runtime::{Attempt, HostFault};
use p2c2r_signing::{Outcome, VerifiedModule};

use super::calls::echo;
use super::measure::{middle, ms, timed};
use super::signed::{Author, assemble};
use crate::Args;
use crate::row::Row;

/// Starts of a round; the quickest counts.
const STARTS: usize = 5;

/// Time that warm spares get ready in.
const SETTLE: Duration = Duration::from_millis(250);

/// Deadline of an attempt that does not end.
const DEADLINE: Duration = Duration::from_millis(20);

const MANIFEST: &str = r#"{"name": "spin", "version": "1.0.0", "abi": 1, "publisher": "bench", "unit": "call"}"#;

/// Runs for ever, unless there is an input.
const SPIN: &str = r#"(module
    (import "p2c2r_v1" "input_len" (func $len (result i32)))
    (memory (export "memory") 1)
    (func (export "p2c2r_main") (result i32)
        (if (i32.eqz (call $len)) (then (loop $again (br $again))))
        (i32.const 0)))"#;

/// The rows of starts.
pub(super) fn measure(args: &Args, worker: &Path) -> Result<Vec<Row>> {
    let physics = args.kernels.join("physics.wasm");
    let physics = std::fs::read(&physics).with_context(|| format!("reading {}", physics.display()))?;
    let pile = kernel_physics::pile(1, 1).input()?;
    let cache_dir = args.dir.join("aot");
    if cache_dir.exists() {
        std::fs::remove_dir_all(&cache_dir).with_context(|| format!("emptying {}", cache_dir.display()))?;
    }
    std::fs::create_dir_all(&cache_dir).with_context(|| format!("making {}", cache_dir.display()))?;
    let author = Author::new();
    let mut rows = Vec::new();
    for (suffix, wasm, input, aim) in [("", echo(1)?, vec![7; 128], "<= 1"), ("_physics", physics, pile, "")] {
        let first = First { author: &author, signed: author.sign(&wasm)?, attempt: Attempt::new(input) };
        let (signed, aot) = first.measure(args, worker, &cache_dir)?;
        rows.push(Row::new(&format!("sandbox/cold_signed{suffix}"), signed, "ms", None, ""));
        rows.push(Row::new(&format!("sandbox/cold_aot{suffix}"), aot, "ms", None, aim));
    }
    rows.extend(respawn(args, worker, &author)?);
    Ok(rows)
}

/// A kernel that has not run here yet.
struct First<'a> {
    author: &'a Author,
    signed: Vec<u8>,
    attempt: Attempt,
}

impl First<'_> {
    /// Milliseconds from signed bytes, and from the cache, to the first result.
    fn measure(&self, args: &Args, worker: &Path, cache_dir: &Path) -> Result<(f64, f64)> {
        let module = self.author.verify(self.signed.clone())?;
        super::jail(worker, Some(cache_dir))?.load(&module)?;
        let (mut signed, mut aot) = (Vec::new(), Vec::new());
        for _ in 0..args.rounds {
            signed.push(quickest(1, || {
                let jail = settled(worker, None)?;
                let bytes = self.signed.clone();
                let (ran, took) = timed(|| self.run(&jail, &self.author.verify(bytes)?));
                ran.map(|()| took)
            })?);
            aot.push(quickest(STARTS, || {
                let jail = settled(worker, Some(cache_dir))?;
                let (ran, took) = timed(|| self.run(&jail, &module));
                ran.map(|()| took)
            })?);
        }
        Ok((middle(&signed), middle(&aot)))
    }

    fn run(&self, jail: &Jail, module: &VerifiedModule) -> Result<()> {
        let ran = jail.run(&jail.load(module)?, &self.attempt, &[])?;
        ensure!(ran.outcome == Outcome::Output, "{:?}: {:?}", ran.outcome, ran.log);
        Ok(())
    }
}

/// Milliseconds of the quickest of `starts`.
fn quickest(starts: usize, mut start: impl FnMut() -> Result<Duration>) -> Result<f64> {
    (0..starts).try_fold(f64::INFINITY, |quickest, _| Ok(quickest.min(ms(start()?))))
}

/// A jail whose spares are ready.
fn settled(worker: &Path, cache_dir: Option<&Path>) -> Result<Jail> {
    let jail = super::jail(worker, cache_dir)?;
    sleep(SETTLE);
    Ok(jail)
}

/// From the deadline of an attempt that does not end to the answer of the next one, and a worker from nothing.
fn respawn(args: &Args, worker: &Path, author: &Author) -> Result<Vec<Row>> {
    let module = author.module(&assemble(SPIN, MANIFEST)?)?;
    let jail = settled(worker, None)?;
    let kernel = jail.load(&module)?;
    let endless = Attempt { deadline: DEADLINE, ..Attempt::new("") };
    let (mut respawn, mut start) = (Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        respawn.push(quickest(STARTS, || {
            // The worker that will be killed is a used one.
            jail.run(&kernel, &Attempt::new("warm"), &[])?;
            sleep(SETTLE);
            let ((killed, next), took) =
                timed(|| (jail.run(&kernel, &endless, &[]), jail.run(&kernel, &Attempt::new("next"), &[])));
            ensure!(matches!(killed, Err(HostFault::Deadline { .. })), "an endless attempt ended: {killed:?}");
            next?;
            Ok(took.saturating_sub(DEADLINE))
        })?);
        start.push(quickest(STARTS, || {
            let (started, took) = timed(|| super::jail(worker, None));
            started.map(|_jail| took)
        })?);
    }
    Ok(vec![
        Row::new("sandbox/respawn", middle(&respawn), "ms", None, ""),
        Row::new("sandbox/start_worker", middle(&start), "ms", None, ""),
    ])
}
