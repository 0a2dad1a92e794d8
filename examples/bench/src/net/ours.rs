//! Our side: coordinator and two peers as processes, and a client on the bare wire.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use p2c2r_example_network::network::{Network, Options, Peer, UnsignedKernel};
use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{ClientToServer, Mode, ServerToClient, Verdict};
use p2c2r_signing::{Manifest, ModuleId};
use p2c2r_transport::{ClientSide, Receiver, Sender, Target, connect};

use super::cpu::{per, used};
use super::{Load, PAYLOAD_BYTES};
use crate::row::median;

/// Executions per task.
const REPLICAS: u8 = 2;

/// Nano-USD per unit; the no-op charges one unit.
const RATE_NANO_USD: u64 = 10;

/// Nano-USD: ten dollars pay for five hundred million tasks.
const BUDGET_NANO_USD: u64 = 10_000_000_000;

/// Copies its input to its output and charges one unit.
const NOOP: &str = r#"(module
  (import "p2c2r_v1" "input_len" (func $len (result i32)))
  (import "p2c2r_v1" "input_read" (func $read (param i32 i32 i32) (result i32)))
  (import "p2c2r_v1" "output_write" (func $write (param i32 i32) (result i32)))
  (import "p2c2r_v1" "charge" (func $charge (param i64)))
  (memory (export "memory") 1 1)
  (func (export "p2c2r_main") (result i32)
    (drop (call $read (i32.const 0) (i32.const 0) (call $len)))
    (drop (call $write (i32.const 0) (call $len)))
    (call $charge (i64.const 1))
    (i32.const 0)))"#;

const MANIFEST: &str = r#"{"name":"noop","version":"1.0.0","abi":1,"publisher":"bench","unit":"call",
  "limits":{"memory_bytes":65536,"input_bytes":4096,"output_bytes":4096,"units":1}}"#;

/// The network, and a client's connection to it.
pub(crate) struct Ours {
    network: Network,
    peers: Vec<Peer>,
    module: ModuleId,
    sender: Sender<ClientToServer>,
    receiver: Receiver<ServerToClient>,
    next: u64,
}

impl Ours {
    /// Starts everything and runs one task.
    pub(crate) async fn start(bin: &Path, dir: &Path) -> Result<Self> {
        let manifest: Manifest = serde_json::from_str(MANIFEST)?;
        let wasm = p2c2r_signing::attach(&wat::parse_str(NOOP)?, &manifest, &[])?;
        let options = Options { bin: bin.to_owned(), dir: dir.to_owned(), port: 0 };
        let kernel = UnsignedKernel { name: "noop".to_owned(), wasm, rate_nano_usd: RATE_NANO_USD };
        let network = Network::start(options, &[kernel])?;
        let module = ModuleId::of(&std::fs::read(network.signed.join("noop.wasm"))?);
        let mut peers = Vec::new();
        for name in ["peer-1", "peer-2"] {
            peers.push(network.start_peer(name, "p2c2r-peer", &["--workers", "1", "--slots", "512", "--no-gpu"])?);
        }
        network.wait_ready(&mut peers)?;
        let (_, key) = network.new_key("client")?;
        network.admin.deposit(&key.public().account(), BUDGET_NANO_USD, "bench deposit")?;
        let target = Target::new(&network.url, &std::fs::read(&network.ca)?, Arc::new(key), "p2c2r-bench")?;
        let (_, sender, receiver) = connect::<ClientSide>(&target).await?;
        let mut ours = Self { network, peers, module, sender, receiver, next: 1 };
        let open = ClientToServer::OpenSession { number: 1, budget: Credits::from_nano_usd(BUDGET_NANO_USD) };
        ours.sender.send(&open, &[])?;
        match ours.receiver.next().await?.0 {
            ServerToClient::SessionOpened { .. } => {}
            other => bail!("the session was not opened: {other:?}"),
        }
        ours.latency_us(100).await?;
        Ok(ours)
    }

    /// Median from submit to confirmed answer of `requests` sequential tasks, microseconds.
    pub(crate) async fn latency_us(&mut self, requests: usize) -> Result<f64> {
        let mut samples = Vec::with_capacity(requests);
        for _ in 0..requests {
            let start = Instant::now();
            let number = self.submit()?;
            let done = self.confirmed().await?;
            ensure!(done == number, "task {number} was asked for, {done} answered");
            samples.push(start.elapsed().as_secs_f64() * 1e6);
        }
        median(samples).context("no samples")
    }

    /// Keeps `in_flight` tasks going for `duration`.
    pub(crate) async fn load(&mut self, duration: Duration, in_flight: usize) -> Result<Load> {
        let before = self.cpu()?;
        let start = Instant::now();
        let mut running = HashMap::new();
        for _ in 0..in_flight {
            running.insert(self.submit()?, ());
        }
        let mut done = 0;
        while !running.is_empty() {
            let number = self.confirmed().await?;
            ensure!(running.remove(&number).is_some(), "task {number} was confirmed twice or never asked for");
            done += 1;
            if start.elapsed() < duration {
                running.insert(self.submit()?, ());
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        let after = self.cpu()?;
        Ok(Load {
            per_second: done as f64 / seconds,
            server_cpu_us: per(after[0] - before[0], done),
            worker_cpu_us: per(after[1] - before[1], done),
            client_cpu_us: per(after[2] - before[2], done),
        })
    }

    /// Everything asked for was confirmed and paid; the books must say the same.
    pub(crate) async fn finish(self) -> Result<()> {
        let report = self.network.admin.report()?;
        ensure!(report.ledger_balanced, "the ledger does not balance");
        for peer in self.peers {
            peer.process.stop()?;
        }
        self.network.coordinator.stop()
    }

    fn submit(&mut self) -> Result<u64> {
        let number = self.next;
        self.next += 1;
        let task = ClientToServer::Submit {
            number,
            module: self.module,
            blobs: Vec::new(),
            seed: 0,
            deadline_ms: 10_000,
            priority: 0,
            mode: Mode::Confirmed,
            replicas: REPLICAS,
            max_units: 1,
        };
        self.sender.send(&task, &[7; PAYLOAD_BYTES])?;
        Ok(number)
    }

    /// The next task whose quorum agreed.
    async fn confirmed(&mut self) -> Result<u64> {
        loop {
            match self.receiver.next().await? {
                (ServerToClient::TaskResult { confirmed: true, .. }, output) => {
                    ensure!(output.len() == PAYLOAD_BYTES, "the output has {} bytes", output.len());
                }
                (ServerToClient::TaskVerdict { number, verdict: Verdict::Confirmed { .. } }, _) => return Ok(number),
                (other, _) => bail!("a task was not confirmed: {other:?}"),
            }
        }
    }

    fn cpu(&self) -> Result<[Duration; 3]> {
        let mut peers = Duration::ZERO;
        for peer in &self.peers {
            peers += used(peer.process.id())?;
        }
        Ok([used(self.network.coordinator.id())?, peers, used(std::process::id())?])
    }
}
