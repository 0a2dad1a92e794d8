//! Verified no-op tasks (two executions, 128 bytes in and out) on a real network of processes over loopback TLS, next to
//! request/reply through `nats-server`.

mod cpu;
pub(crate) mod nats;
mod ours;

use std::time::Duration;

use anyhow::Result;

use self::nats::Nats;
use self::ours::Ours;
use crate::Args;
use crate::row::{Row, median};

/// Bytes of a task's input and output, and of a NATS message.
const PAYLOAD_BYTES: usize = 128;

/// What one round measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Requests answered per second.
    per_second: f64,
    /// CPU of the server in the middle, microseconds per request.
    server_cpu_us: f64,
    /// CPU of everything that answers, microseconds per request.
    worker_cpu_us: f64,
    /// CPU of the asking process, microseconds per request.
    client_cpu_us: f64,
}

/// The rows `net/*`.
pub(crate) async fn measure(args: &Args) -> Result<Vec<Row>> {
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
