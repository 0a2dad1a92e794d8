//! `p2c2r run`: one attempt on this machine, in the sandbox peers use.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::Args;
use p2c2r_runtime::{Attempt, Execution, Kernel, LogLevel, PathKind, seed_for};
use p2c2r_signing::{
    BlobId, Digest, ModuleId, Outcome, TraceRoot, UnverifiedModule, VerifiedModule, input_digest, limits,
};
use serde::Serialize;

use crate::comparison::Comparison;
use crate::path::{Choice, Wish};
use crate::shaders::Verdict;
use crate::{candidate, files, outcome, table};

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
    /// Run the shaders on this machine's GPU [default: as peers do, exact shaders on the CPU reference]
    #[arg(long)]
    gpu: bool,
    /// Run the path without shaders, where the kernel is told that there is no GPU
    #[arg(long, conflicts_with = "gpu")]
    cpu: bool,
    /// Run an exact kernel on everything that may compute it and compare (exit code 1 if results differ)
    #[arg(long, conflicts_with_all = ["gpu", "cpu", "output"])]
    check: bool,
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
    /// What computed the shaders: an adapter, or the CPU reference.
    shaders: Option<String>,
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
        check_shaders(&module).with_context(|| format!("no peer runs the shaders of {}", self.module.display()))?;
        let attempt = self.attempt(&module)?;
        if self.check {
            return self.compare(out, &module, &attempt);
        }
        let choice = Choice::make(self.wish(), module.manifest())?;
        if let Some(note) = &choice.note {
            eprintln!("note: {note}");
        }
        let started = std::time::Instant::now();
        let kernel = choice.sandbox.load(&module).context("cannot load the kernel")?;
        let load = started.elapsed();
        let attempt = Attempt { path: choice.path, ..attempt };
        let execution = on_a_large_stack(|| choice.sandbox.run(&kernel, attempt))?;
        let execution = execution.map_err(|fault| outcome::fault(&fault))?;

        let report = Report::new(&choice, &kernel, &execution, load);
        if self.to_stdout() {
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

    fn compare(&self, out: &mut impl Write, module: &VerifiedModule, attempt: &Attempt) -> Result<ExitCode> {
        let comparison = on_a_large_stack(|| Comparison::make(module, attempt))??;
        if self.json {
            print_json(out, &comparison)?;
        } else {
            comparison.print(out)?;
        }
        Ok(if comparison.agrees() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    const fn wish(&self) -> Wish {
        match (self.cpu, self.gpu) {
            (true, _) => Wish::Cpu,
            (false, true) => Wish::Gpu,
            (false, false) => Wish::AsPeers,
        }
    }

    /// The task, on no path yet.
    fn attempt(&self, module: &VerifiedModule) -> Result<Attempt> {
        let input = Bytes::from(self.read_input()?);
        let blobs = self.read_blobs()?;
        let digest = input_digest(&input, &blobs.iter().map(|(id, _)| *id).collect::<Vec<_>>(), self.seed);
        Ok(Attempt {
            blobs: blobs.into_iter().map(|(_, bytes)| bytes).collect(),
            seed: seed_for(&module.id(), &digest),
            max_units: self.units.unwrap_or(u64::MAX),
            deadline: Duration::from_secs(self.deadline.into()),
            ..Attempt::new(input)
        })
    }

    fn to_stdout(&self) -> bool {
        self.output.as_deref() == Some(Path::new("-"))
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

    fn print(&self, out: &mut impl Write, report: &Report, kernel: &Kernel, execution: &Execution) -> Result<()> {
        if self.json {
            return print_json(out, report);
        }
        // The reason of a bad abi is its only line, and part of the outcome.
        for line in report.log.iter().filter(|_| report.outcome != Outcome::BadAbi) {
            table::line(out, line.level, &line.text)?;
        }
        let max = self.units.unwrap_or(u64::MAX).min(kernel.manifest().limits.units);
        table::line(out, "kernel", &format!("{} {}, id {}", report.name, report.version, report.module))?;
        table::line(out, "outcome", &outcome::outcome(execution, kernel, max))?;
        table::line(out, "output", &self.output_for_people(&execution.output))?;
        table::line(out, "digest", &format!("blake3 {}", report.output_digest))?;
        let units =
            format!("{} of at most {} (1 unit = 1 {})", table::number(report.units), table::number(max), report.unit);
        table::line(out, "units", &units)?;
        let shaders = report.shaders.as_ref().map(|what| format!(", shaders on {what}")).unwrap_or_default();
        let time = format!(
            "{:.3} ms on the {} path{shaders}, compiled in {:.0} ms",
            report.duration_ms, report.path, report.load_ms
        );
        table::line(out, "time", &time)?;
        Ok(())
    }

    fn output_for_people(&self, output: &[u8]) -> String {
        let size = table::bytes(output.len() as u64);
        match &self.output {
            Some(_) if self.to_stdout() => return format!("{size}, written to standard output"),
            Some(file) => return format!("{size}, written to {}", file.display()),
            None => {}
        }
        let printable = |text: &&str| !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
        match std::str::from_utf8(output).ok().filter(printable) {
            Some("") => "empty".to_owned(),
            Some(text) if output.len() <= PREVIEW_BYTES => format!("{size}\n{text}"),
            _ => format!("{size}; keep it with --output FILE"),
        }
    }
}

/// What peers refuse is told with the author's own lines, before anything runs.
fn check_shaders(module: &VerifiedModule) -> Result<()> {
    Verdict::of_module(&UnverifiedModule::parse(module.to_bytes())?).check(module.manifest())
}

fn print_json(out: &mut impl Write, report: &impl Serialize) -> Result<()> {
    serde_json::to_writer_pretty(&mut *out, report).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
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
    fn new(choice: &Choice, kernel: &Kernel, execution: &Execution, load: Duration) -> Self {
        let manifest = kernel.manifest();
        let line = |line: &p2c2r_runtime::LogLine| Line { level: level(line.level), text: line.text.clone() };
        Self {
            module: kernel.id(),
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            engine: choice.sandbox.engine_id(),
            path: match choice.path {
                PathKind::Cpu => "cpu",
                PathKind::Gpu => "gpu",
                PathKind::Exact => "exact",
            },
            shaders: choice.shaders.clone(),
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

fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Panic => "panic",
    }
}
