//! `p2c2r run --check`: one task on everything that may compute an exact kernel. None must tell which of them it was.

use std::io::Write;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use p2c2r_runtime::gpu::{GpuAttempt, ReferenceSession, Shaders};
use p2c2r_runtime::{Attempt, Execution, Kernel, Order, PathKind, Sandbox};
use p2c2r_signing::{Digest, Manifest, Outcome, ResultClass, VerifiedModule, manifest};
use serde::Serialize;

use crate::path::{Choice, Wish, unfit_for_exact};
use crate::{outcome, table};

/// Orders in which the reference runs workgroups and invocations, beside the natural one. One at a time tells the most.
const ORDERS: [(u64, u32); 3] = [(1, 1), (2, 1), (3, 5)];

/// Results of the same task.
#[derive(Debug, Serialize)]
pub(crate) struct Comparison {
    /// What all the others are compared with comes first.
    runs: Vec<Run>,
    /// What could not take part, and why.
    left_out: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Run {
    by: String,
    outcome: Outcome,
    output_digest: Digest,
    units: u64,
    duration_ms: f64,
    /// How it differs from the first.
    difference: Option<String>,
}

impl Comparison {
    pub(crate) fn make(module: &VerifiedModule, attempt: &Attempt) -> Result<Self> {
        let gpu = exact_gpu(module.manifest())?;
        let Choice { sandbox, .. } = Choice::make(Wish::Gpu, module.manifest())?;
        let kernel = sandbox.load(module).context("cannot load the kernel")?;
        let shaders = Shaders::of(module)?;
        let task = Task { sandbox: &sandbox, kernel: &kernel, attempt };

        let first = task.on_reference(&shaders, gpu, Order::Natural)?;
        let mut comparison = Self { runs: vec![Run::new("the CPU reference", &first, None)], left_out: Vec::new() };
        for (seed, together) in ORDERS {
            let run = task.on_reference(&shaders, gpu, Order::Shuffled { seed, together })?;
            let by = format!("the CPU reference, in order {seed}, {together} at a time");
            comparison.add(&by, &first, &run);
        }
        match unfit_for_exact(&sandbox) {
            Some(why) => comparison.left_out.push(why),
            None => {
                let adapter = sandbox.gpu_info().map_or("the GPU", |info| &info.adapter);
                comparison.add(adapter, &first, &task.on(PathKind::Exact)?);
            }
        }
        if gpu.cpu_path {
            // Without buffers its trace is another.
            let run = Execution { trace_root: first.trace_root, ..task.on(PathKind::Cpu)? };
            comparison.add("the CPU path", &first, &run);
        } else {
            comparison.left_out.push("the CPU path: the manifest does not say cpu_path = true".to_owned());
        }
        Ok(comparison)
    }

    fn add(&mut self, by: &str, first: &Execution, run: &Execution) {
        self.runs.push(Run::new(by, run, difference(first, run)));
    }

    pub(crate) fn agrees(&self) -> bool {
        self.runs.iter().all(|run| run.difference.is_none())
    }

    pub(crate) fn print(&self, out: &mut impl Write) -> Result<()> {
        for (index, run) in self.runs.iter().enumerate() {
            let (label, more) = match &run.difference {
                None if index == 0 => ("first", format!(", {:?}, blake3 {}", run.outcome, run.output_digest)),
                None => ("same", String::new()),
                Some(difference) => ("DIFFERS", format!("\n{difference}")),
            };
            table::line(out, label, &format!("{} in {:.1} ms{more}", run.by, run.duration_ms))?;
        }
        for why in &self.left_out {
            table::line(out, "left out", why)?;
        }
        Ok(())
    }
}

struct Task<'a> {
    sandbox: &'a Sandbox,
    kernel: &'a Kernel,
    attempt: &'a Attempt,
}

impl Task<'_> {
    fn on_reference(&self, shaders: &Shaders, gpu: &manifest::Gpu, order: Order) -> Result<Execution> {
        let until = Instant::now() + self.attempt.deadline();
        let session: Box<dyn GpuAttempt> = Box::new(ReferenceSession::new(shaders, gpu, until)?.in_order(order));
        let attempt = Attempt { path: PathKind::Exact, ..self.attempt.clone() };
        self.sandbox.run_with_gpu(self.kernel, attempt, session).map_err(|fault| outcome::fault(&fault))
    }

    fn on(&self, path: PathKind) -> Result<Execution> {
        let attempt = Attempt { path, ..self.attempt.clone() };
        self.sandbox.run(self.kernel, attempt).map_err(|fault| outcome::fault(&fault))
    }
}

impl Run {
    fn new(by: &str, execution: &Execution, difference: Option<String>) -> Self {
        Self {
            by: by.to_owned(),
            outcome: execution.outcome,
            output_digest: Digest::of(&execution.output),
            units: execution.units,
            duration_ms: execution.duration.as_secs_f64() * 1e3,
            difference,
        }
    }
}

fn exact_gpu(manifest: &Manifest) -> Result<&manifest::Gpu> {
    let gpu = manifest.gpu.as_ref().context("--check compares what may run shaders, and the manifest has no [gpu]")?;
    ensure!(
        manifest.result_class == ResultClass::Exact,
        "--check is for result_class = \"exact\": floats of different machines are not the same bits"
    );
    Ok(gpu)
}

/// The first thing in which two results of one task differ.
fn difference(first: &Execution, run: &Execution) -> Option<String> {
    if first.outcome != run.outcome {
        return Some(format!("outcome {:?}, not {:?}", run.outcome, first.outcome));
    }
    if first.output.len() != run.output.len() {
        return Some(format!("{} bytes of output, not {}", run.output.len(), first.output.len()));
    }
    if let Some((at, (was, is))) = first.output.iter().zip(&run.output).enumerate().find(|(_, (was, is))| was != is) {
        return Some(format!("byte {at} of the output is {is:#04x}, not {was:#04x}"));
    }
    if first.units != run.units {
        return Some(format!("{} units, not {}", run.units, first.units));
    }
    (first.trace_root != run.trace_root).then(|| "what memory and buffers held at the end".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use p2c2r_signing::TraceRoot;

    use super::*;

    #[test]
    fn the_first_difference_is_told() {
        let run = |outcome, output: &[u8], units| Execution {
            outcome,
            output: output.to_vec(),
            units,
            trace_root: TraceRoot::from_bytes([0; 32]),
            log: Vec::new(),
            duration: Duration::ZERO,
        };
        let first = run(Outcome::Output, &[1, 2, 3], 4);
        let other = Execution { trace_root: TraceRoot::from_bytes([1; 32]), ..first.clone() };
        for (other, want) in [
            (first.clone(), None),
            (run(Outcome::Failed(1), &[], 0), Some("outcome Failed(1), not Output")),
            (run(Outcome::Output, &[1], 4), Some("1 bytes of output, not 3")),
            (run(Outcome::Output, &[1, 9, 3], 4), Some("byte 1 of the output is 0x09, not 0x02")),
            (run(Outcome::Output, &[1, 2, 3], 5), Some("5 units, not 4")),
            (other, Some("what memory and buffers held at the end")),
        ] {
            assert_eq!(difference(&first, &other).as_deref(), want);
        }
    }
}
