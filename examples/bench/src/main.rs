//! Measures what users of the network wait for, and what the sandbox costs: each value next to its baseline in the same
//! run, rounds of ours and theirs alternate, and each row is the median over the rounds, because the machine is never
//! quiet. [`net`], [`sandbox`] and [`gpu`] say what is measured.
#![expect(clippy::print_stdout, reason = "a command-line program talks to its user")]

mod gpu;
mod net;
mod row;
mod sandbox;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};

#[derive(Parser)]
#[command(
    about = "Benchmarks the network against nats-server, the sandbox against native code, and its GPU path against bare wgpu"
)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Measure only this.
    #[arg(long, value_enum)]
    only: Option<Area>,
    /// Where the built programs are.
    #[arg(long, default_value = "target/release")]
    bin: PathBuf,
    /// Where the built kernels are.
    #[arg(long, default_value = "target/kernels")]
    kernels: PathBuf,
    /// Keys, stores and logs go here; emptied first.
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
    /// Rounds of each measurement.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Sequential requests per latency round.
    #[arg(long, default_value_t = 1000)]
    requests: usize,
    /// Seconds of a throughput round.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Requests in flight during a throughput round.
    #[arg(long, default_value_t = 128)]
    in_flight: usize,
    /// Write the rows to this file.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Rows that start alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Area {
    /// The network.
    Net,
    /// Kernels in the sandbox.
    Sandbox,
    /// Shaders in the sandbox.
    Gpu,
}

#[derive(Subcommand)]
enum Command {
    /// The answering side of the NATS baseline; started by the benchmark itself.
    #[command(hide = true)]
    NatsResponder {
        /// `127.0.0.1:port`.
        server: String,
    },
}

fn main() -> Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Some(Command::NatsResponder { server }) = &args.command {
        return runtime.block_on(net::nats::respond(server));
    }
    let mut rows = Vec::new();
    if args.only.is_none_or(|only| only == Area::Sandbox) {
        rows.extend(sandbox::measure(&args)?);
    }
    if args.only.is_none_or(|only| only == Area::Gpu) {
        rows.extend(runtime.block_on(gpu::measure(&args))?);
    }
    if args.only.is_none_or(|only| only == Area::Net) {
        rows.extend(runtime.block_on(net::measure(&args))?);
    }
    row::print(&rows);
    if let Some(file) = &args.json {
        std::fs::write(file, serde_json::to_vec_pretty(&rows)?)
            .with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}
