//! `p2c2r run`: one attempt on this machine, in the sandbox peers use.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::Args;
use p2c2r_runtime::{Attempt, Execution, GpuPolicy, Kernel, LogLevel, PathKind, Sandbox, SandboxConfig, seed_for};
use p2c2r_signing::{BlobId, Digest, Manifest, ModuleId, Outcome, ResultClass, TraceRoot, input_digest, limits};
use serde::Serialize;

use crate::{candidate, files, table};

/// Bytes of text output shown when no file was named for it.
const PREVIEW_BYTES: usize = 4096;

/// Run a kernel or a WASI program here, once, in the sandbox that peers use
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// A kernel, signed or not, or a plain WASI preview 1 program
    #[arg(value_name = "FILE.wasm")]
    module: PathBuf,
    /// The task's input, `-` for standard input [default: empty]
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Where the output goes, `-` for standard output (the report then goes to standard error)
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A blob of the task; may be given several times, order counts
    #[arg(long = "blob", value_name = "FILE")]
    blobs: Vec<PathBuf>,
    /// The task's seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Run the kernel's GPU path
    #[arg(long)]
    gpu: bool,
    /// Units the task pays for [default: the manifest's limit]
    #[arg(long, value_name = "N")]
    units: Option<u64>,
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    deadline: u32,
    /// Refuse a kernel that this key did not sign: a .pub.pem file or 64 hex digits
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// The JSON form; fields are only ever added.
#[derive(Debug, Serialize)]
struct Report {
    module: ModuleId,
    name: String,
    version: String,
    engine: Digest,
    path: &'static str,
    outcome: Outcome,
    output_bytes: usize,
    output_digest: Digest,
    units: u64,
    unit: String,
    trace_root: TraceRoot,
    duration_ms: f64,
    load_ms: f64,
    log: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    level: &'static str,
    text: String,
}

impl Run {
    pub(crate) fn run(self, out: &mut impl Write) -> Result<ExitCode> {
        let module = candidate::load(&self.module, self.key.as_deref())?;
        let input = Bytes::from(self.read_input()?);
        let blobs = self.read_blobs()?;
        let digest = input_digest(&input, &blobs.iter().map(|(id, _)| *id).collect::<Vec<_>>(), self.seed);

        let sandbox = self.sandbox(module.manifest())?;
        let started = std::time::Instant::now();
        let kernel = sandbox.load(&module).context("cannot load the kernel")?;
        let load = started.elapsed();
        let attempt = Attempt {
            blobs: blobs.into_iter().map(|(_, bytes)| bytes).collect(),
            seed: seed_for(&module.id(), &digest),
            path: self.path(module.manifest()),
            max_units: self.units.unwrap_or(u64::MAX),
            deadline: Duration::from_secs(self.deadline.into()),
            ..Attempt::new(input)
        };
        let path = attempt.path;
        let execution = on_a_large_stack(|| sandbox.run(&kernel, attempt))?;
        let execution = execution.context("no outcome, for a reason of this machine")?;

        let report = Report::new(&sandbox, &kernel, path, &execution, load);
        let to_stdout = self.output.as_deref() == Some(Path::new("-"));
        if to_stdout {
            out.write_all(&execution.output)?;
            self.print(&mut io::stderr().lock(), &report, &kernel, &execution)?;
        } else {
            if let Some(file) = &self.output {
                files::write(file, &execution.output)?;
            }
            self.print(out, &report, &kernel, &execution)?;
        }
        let done = execution.outcome == Outcome::Output;
        Ok(if done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Exact shaders need no GPU.
    const fn path(&self, manifest: &Manifest) -> PathKind {
        match (self.gpu, manifest.result_class) {
            (false, _) => PathKind::Cpu,
            (true, ResultClass::Exact) => PathKind::Exact,
            (true, ResultClass::Device) => PathKind::Gpu,
        }
    }

    fn read_input(&self) -> Result<Vec<u8>> {
        match &self.input {
            Some(path) if path == Path::new("-") => files::read_stdin("input", limits::INPUT_BYTES),
            Some(path) => files::read(path, "input", limits::INPUT_BYTES),
            None => Ok(Vec::new()),
        }
    }

    fn read_blobs(&self) -> Result<Vec<(BlobId, Bytes)>> {
        let max = p2c2r_runtime::limits::BLOB_BYTES;
        let read = |path: &PathBuf| files::read(path, "blob", max).map(|bytes| (BlobId::of(&bytes), bytes.into()));
        self.blobs.iter().map(read).collect()
    }

    /// A sandbox with a GPU if one was asked for; the kernel is asked before the driver, which has its own things to say.
    fn sandbox(&self, manifest: &Manifest) -> Result<Sandbox> {
        ensure!(
            !self.gpu || manifest.gpu.is_some(),
            "{} has no GPU path (no [gpu] in its manifest); leave --gpu out",
            manifest.name
        );
        let gpu = if self.gpu { GpuPolicy::Auto } else { GpuPolicy::Off };
        let sandbox = Sandbox::new(SandboxConfig { cache_dir: None, gpu, workers: 1, ..SandboxConfig::default() })?;
        ensure!(
            self.path(manifest) != PathKind::Gpu || sandbox.classes().iter().any(|(_, path)| *path == PathKind::Gpu),
            "no usable GPU was found; leave --gpu out, or install a Vulkan driver (Debian: apt-get install mesa-vulkan-drivers libvulkan1)"
        );
        Ok(sandbox)
    }

    fn print(&self, out: &mut impl Write, report: &Report, kernel: &Kernel, execution: &Execution) -> Result<()> {
        if self.json {
            serde_json::to_writer_pretty(&mut *out, report).map_err(io::Error::from)?;
            return Ok(writeln!(out)?);
        }
        for line in &report.log {
            table::line(out, line.level, &line.text)?;
        }
        table::line(out, "kernel", &format!("{} {}, id {}", report.name, report.version, report.module))?;
        table::line(out, "outcome", &outcome_for_people(report.outcome, kernel))?;
        table::line(out, "output", &self.output_for_people(&execution.output))?;
        table::line(out, "digest", &format!("blake3 {}", report.output_digest))?;
        let max = self.units.unwrap_or(u64::MAX).min(kernel.manifest().limits.units);
        let units =
            format!("{} of at most {} (1 unit = 1 {})", table::number(report.units), table::number(max), report.unit);
        table::line(out, "units", &units)?;
        let time =
            format!("{:.3} ms on the {} path, compiled in {:.0} ms", report.duration_ms, report.path, report.load_ms);
        table::line(out, "time", &time)?;
        Ok(())
    }

    fn output_for_people(&self, output: &[u8]) -> String {
        let size = table::bytes(output.len() as u64);
        if let Some(file) = &self.output {
            return format!("{size}, written to {}", file.display());
        }
        let printable = |text: &&str| !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
        match std::str::from_utf8(output).ok().filter(printable) {
            Some("") => "empty".to_owned(),
            Some(text) if output.len() <= PREVIEW_BYTES => format!("{size}\n{text}"),
            _ => format!("{size}; keep it with --output FILE"),
        }
    }
}

/// Runs on a thread with the stack that the sandbox asks for: the main thread has less on some systems.
fn on_a_large_stack<T: Send>(run: impl FnOnce() -> T + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(2 * p2c2r_runtime::limits::THREAD_STACK_BYTES);
        let ended = thread.spawn_scoped(scope, run).context("cannot start a thread")?.join();
        Ok(ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

impl Report {
    fn new(sandbox: &Sandbox, kernel: &Kernel, path: PathKind, execution: &Execution, load: Duration) -> Self {
        let manifest = kernel.manifest();
        let line = |line: &p2c2r_runtime::LogLine| Line { level: level(line.level), text: line.text.clone() };
        Self {
            module: kernel.id(),
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            engine: sandbox.engine_id(),
            path: match path {
                PathKind::Cpu => "cpu",
                PathKind::Gpu => "gpu",
                PathKind::Exact => "exact",
            },
            outcome: execution.outcome,
            output_bytes: execution.output.len(),
            output_digest: Digest::of(&execution.output),
            units: execution.units,
            unit: manifest.unit.clone(),
            trace_root: execution.trace_root,
            duration_ms: execution.duration.as_secs_f64() * 1e3,
            load_ms: load.as_secs_f64() * 1e3,
            log: execution.log.iter().map(line).collect(),
        }
    }
}

fn outcome_for_people(outcome: Outcome, kernel: &Kernel) -> String {
    match outcome {
        Outcome::Output => "output".to_owned(),
        Outcome::Failed(code) => format!("failed with code {code}; the output says why"),
        Outcome::Trap(code) => format!("trap {code:?}"),
        Outcome::OutOfFuel => "out of fuel; raise fuel in p2c2r.toml or do less per task".to_owned(),
        Outcome::BadAbi => format!("bad abi: {}", kernel.bad_abi().unwrap_or("the module breaks the contract")),
    }
}

fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Panic => "panic",
    }
}
