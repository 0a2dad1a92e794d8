//! Measures verified no-op tasks (two executions, 128 bytes in and out) on a real network of processes over loopback
//! TLS, next to request/reply through `nats-server` in the same run: rounds of ours and theirs alternate, and each row
//! is the median over the rounds, because the machine is never quiet.
#![expect(clippy::print_stdout, reason = "a command-line program talks to its user")]

mod cpu;
mod nats;
mod ours;
mod row;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::nats::Nats;
use crate::ours::Ours;
use crate::row::{Row, median};

/// Bytes of a task's input and output, and of a NATS message.
const PAYLOAD_BYTES: usize = 128;

#[derive(Parser)]
#[command(about = "Benchmarks the network against nats-server request/reply")]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Where the built programs are.
    #[arg(long, default_value = "target/release")]
    bin: PathBuf,
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

#[derive(Subcommand)]
enum Command {
    /// The answering side of the NATS baseline; started by the benchmark itself.
    #[command(hide = true)]
    NatsResponder {
        /// `127.0.0.1:port`.
        server: String,
    },
}

/// What one round measured.
#[derive(Debug, Clone, Copy)]
struct Load {
    /// Requests answered per second.
    per_second: f64,
    /// CPU of the server in the middle, microseconds per request.
    server_cpu_us: f64,
    /// CPU of everything that answers, microseconds per request.
    worker_cpu_us: f64,
    /// CPU of the asking process, microseconds per request.
    client_cpu_us: f64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Some(Command::NatsResponder { server }) = &args.command {
        return runtime.block_on(nats::respond(server));
    }
    let rows = runtime.block_on(measure(&args))?;
    row::print(&rows);
    if let Some(file) = &args.json {
        std::fs::write(file, serde_json::to_vec_pretty(&rows)?)
            .with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

async fn measure(args: &Args) -> Result<Vec<Row>> {
    let mut ours = Ours::start(&args.bin, &args.dir).await?;
    let mut theirs = Nats::start(&args.dir).await?;
    if theirs.is_none() {
        println!("nats-server is not installed: no baseline");
    }
    let duration = Duration::from_secs(args.seconds);
    let (mut latency, mut load) = (Vec::new(), Vec::new());
    let (mut nats_latency, mut nats_load) = (Vec::new(), Vec::new());
    for round in 1..=args.rounds {
        latency.push(ours.latency_us(args.requests).await?);
        if let Some(nats) = &mut theirs {
            nats_latency.push(nats.latency_us(args.requests).await?);
        }
        load.push(ours.load(duration, args.in_flight).await?);
        if let Some(nats) = &mut theirs {
            nats_load.push(nats.load(duration, args.in_flight).await?);
        }
        println!(
            "round {round}/{}: {:.0} us, {:.0} tasks/s",
            args.rounds,
            latency[round - 1],
            load[round - 1].per_second
        );
    }
    ours.finish().await?;
    let of = |loads: &[Load], field: fn(&Load) -> f64| median(loads.iter().map(field).collect());
    let baseline = |value: Option<f64>| value.map(|value| ("nats request/reply", value));
    let net = |name: &str, value: Option<f64>, unit, theirs, aim| {
        value.map(|value| Row::new(&format!("net/{name}"), value, unit, baseline(theirs), aim))
    };
    let rows = [
        net("latency_p50", median(latency), "us", median(nats_latency), "ratio <= 1.0"),
        net("throughput", of(&load, |l| l.per_second), "1/s", of(&nats_load, |l| l.per_second), ">= 20000"),
        net("coordinator_cpu", of(&load, |l| l.server_cpu_us), "us/task", of(&nats_load, |l| l.server_cpu_us), "< 30"),
        net("peers_cpu", of(&load, |l| l.worker_cpu_us), "us/task", of(&nats_load, |l| l.worker_cpu_us), ""),
        net("client_cpu", of(&load, |l| l.client_cpu_us), "us/task", of(&nats_load, |l| l.client_cpu_us), ""),
    ];
    Ok(rows.into_iter().flatten().collect())
}
