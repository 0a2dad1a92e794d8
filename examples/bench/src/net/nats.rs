//! The baseline: request/reply through `nats-server`, answered by a process of its own.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use async_nats::Client;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use p2c2r_example_network::network::{START, strings};
use p2c2r_example_network::processes::Process;

use super::cpu::{per, used};
use super::{Load, PAYLOAD_BYTES};
use crate::row::median;

const SUBJECT: &str = "echo";

/// A running server, its responder and a connection.
pub(crate) struct Nats {
    server: Process,
    responder: Process,
    client: Client,
}

impl Nats {
    /// Starts both; `None` if `nats-server` is not installed.
    pub(crate) async fn start(dir: &Path) -> Result<Option<Self>> {
        let found = Command::new("nats-server").arg("--version").stdout(Stdio::null()).status();
        if found.is_err() {
            return Ok(None);
        }
        // The port is free when asked for; nobody else on this machine is likely to take it in the next moment.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let logs = dir.join("logs");
        let port = address.port().to_string();
        let args = strings(&["--addr", "127.0.0.1", "--port", &port]);
        let server = Process::start("nats-server", Path::new("nats-server"), &args, &logs, false)?;
        let client = connect(&address.to_string()).await?;
        let me = std::env::current_exe()?;
        let args = strings(&["nats-responder", &address.to_string()]);
        let responder = Process::start("nats-responder", &me, &args, &logs, false)?;
        let nats = Self { server, responder, client };
        let until = Instant::now() + START;
        while nats.ask().await.is_err() {
            anyhow::ensure!(Instant::now() < until, "the NATS responder does not answer");
        }
        Ok(Some(nats))
    }

    /// Median of `requests` sequential requests, microseconds.
    pub(crate) async fn latency_us(&mut self, requests: usize) -> Result<f64> {
        let mut samples = Vec::with_capacity(requests);
        for _ in 0..requests {
            let start = Instant::now();
            self.ask().await?;
            samples.push(start.elapsed().as_secs_f64() * 1e6);
        }
        median(samples).context("no samples")
    }

    /// Keeps `in_flight` requests going for `duration`.
    pub(crate) async fn load(&mut self, duration: Duration, in_flight: usize) -> Result<Load> {
        let cpu = [used(self.server.id())?, used(self.responder.id())?, used(std::process::id())?];
        let start = Instant::now();
        let mut running: FuturesUnordered<_> = (0..in_flight).map(|_| self.ask()).collect();
        let mut done = 0;
        while let Some(answer) = running.next().await {
            answer?;
            done += 1;
            if start.elapsed() < duration {
                running.push(self.ask());
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        Ok(Load {
            per_second: done as f64 / seconds,
            server_cpu_us: per(used(self.server.id())? - cpu[0], done),
            worker_cpu_us: per(used(self.responder.id())? - cpu[1], done),
            client_cpu_us: per(used(std::process::id())? - cpu[2], done),
        })
    }

    async fn ask(&self) -> Result<()> {
        self.client.request(SUBJECT, Bytes::from_static(&[7; PAYLOAD_BYTES])).await?;
        Ok(())
    }
}

/// Answers every request with its own payload until killed.
pub(crate) async fn respond(server: &str) -> Result<()> {
    let client = connect(server).await?;
    let mut requests = client.subscribe(SUBJECT).await?;
    while let Some(request) = requests.next().await {
        let reply = request.reply.context("a request names where to reply")?;
        client.publish(reply, request.payload).await?;
    }
    Ok(())
}

async fn connect(address: &str) -> Result<Client> {
    let options = async_nats::ConnectOptions::new().retry_on_initial_connect();
    options.connect(format!("nats://{address}")).await.with_context(|| format!("connecting to nats://{address}"))
}
