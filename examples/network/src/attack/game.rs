//! The client of a network under attack: it knows what is right, and counts what it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;

use p2c2r_client::{Basis, Client, Credits, Event, Kernel, Task, TaskHandle};
use p2c2r_runtime::{Attempt, GpuPolicy, Sandbox, SandboxConfig};
use p2c2r_signing::{BlobId, verify_module};

use super::{AGENTS, DEADLINE, PATIENCE, tip_file};
use crate::network::Network;
use crate::workload;

/// A client that knows what is right.
pub(super) struct Game {
    client: Client,
    kernel: Kernel,
    blob: BlobId,
    blob_bytes: Bytes,
    judge: (Sandbox, p2c2r_runtime::Kernel),
    town: kernel_npc::Scenario,
    /// Where answers are given away.
    tips: Option<PathBuf>,
    pub(super) open: BTreeMap<TaskHandle, Open>,
    tallies: Tallies,
}

pub(super) struct Open {
    input: Bytes,
    right: Bytes,
    /// Whether what was answered last is right, once there is an answer.
    answered: Option<bool>,
}

#[derive(Debug, Default)]
pub(super) struct Tallies {
    pub(super) verdicts: u64,
    pub(super) refused: u64,
    pub(super) wrong_provisional: u64,
    pub(super) wrong_confirmed: u64,
    /// Of these, on one peer's word.
    pub(super) on_window: u64,
    /// Of those, not withdrawn yet.
    pub(super) wrong_on_window: BTreeSet<TaskHandle>,
    pub(super) withdrawn: u64,
    pub(super) latencies: Vec<f64>,
}

impl Tallies {
    fn verdict(&mut self, handle: TaskHandle, basis: Basis, right: bool) {
        self.verdicts += 1;
        if right {
            return;
        }
        self.wrong_confirmed += 1;
        if basis == Basis::HeldWindow {
            self.on_window += 1;
            self.wrong_on_window.insert(handle);
        }
    }
}

impl Game {
    pub(super) fn new(network: &Network, key: &Path, tips: Option<PathBuf>) -> Result<Self> {
        let budget = Credits::from_nano_usd(workload::SESSION_NANO_USD);
        let (client, trusted) = network.client(key, budget, PATIENCE)?;
        let wasm = std::fs::read(network.signed.join("npc.wasm"))?;
        let sandbox = Sandbox::new(SandboxConfig { gpu: GpuPolicy::Off, ..SandboxConfig::default() })?;
        let judge = sandbox.load(&verify_module(wasm.clone(), &trusted)?)?;
        let kernel = client.add_kernel(wasm, &trusted)?;
        let town = kernel_npc::scenario(7, AGENTS);
        let blob_bytes = Bytes::from(town.blob());
        let blob = client.add_blob(blob_bytes.clone())?;
        let (open, tallies) = (BTreeMap::new(), Tallies::default());
        Ok(Self { client, kernel, blob, blob_bytes, judge: (sandbox, judge), town, tips, open, tallies })
    }

    pub(super) fn submit(&mut self, number: u64) -> Result<()> {
        self.town.batch.world.tick = number as u32;
        let input = Bytes::from(self.town.input()?);
        let attempt = Attempt { blobs: vec![self.blob_bytes.clone()], ..Attempt::new(input.clone()) };
        let right = self.judge.0.run(&self.judge.1, attempt)?.output.into();
        let max_units = AGENTS as u64 * (kernel_npc::limits::AGENT_UNITS + u64::from(self.town.batch.world.max_nodes));
        let task = Task::new(&self.kernel, input.clone())
            .replicas(1)
            .blob(self.blob)
            .seed(number)
            .max_units(max_units)
            .deadline(DEADLINE);
        self.open.insert(self.client.submit(task)?, Open { input, right, answered: None });
        Ok(())
    }

    /// Waits for one event and notes it.
    pub(super) fn step(&mut self) -> Result<()> {
        let event = self.client.wait(PATIENCE).context("nothing happened for too long")?;
        let tallies = &mut self.tallies;
        match event {
            Event::Result(result) => {
                let task = self.open.get_mut(&result.handle).context("an answer to a task that is over")?;
                let right = result.output == task.right;
                task.answered = Some(right);
                tallies.wrong_provisional += u64::from(!right);
                tallies.latencies.push(result.latency.as_secs_f64() * 1e3);
                if let Some(folder) = &self.tips {
                    give_away(folder, &task.input, result.units, &result.output)?;
                }
            }
            Event::Confirmed { handle, basis, .. } => {
                let task = self.open.remove(&handle).context("a verdict on a task that is over")?;
                tallies.verdict(handle, basis, task.answered != Some(false));
            }
            Event::Revoked { handle, output, basis, .. } => {
                let task = self.open.remove(&handle).context("a verdict on a task that is over")?;
                tallies.verdict(handle, basis, output == task.right);
            }
            Event::Withdrawn { handle, .. } => {
                tallies.withdrawn += 1;
                tallies.wrong_on_window.remove(&handle);
            }
            Event::Unverified { handle, .. } | Event::Failed { handle, .. } => {
                self.open.remove(&handle).context("the end of a task that is over")?;
                tallies.refused += 1;
            }
            // The coordinator is not stopped in an attack: if it is gone, waiting for it would take for ever.
            Event::Network(p2c2r_client::Network::Offline { reason }) => {
                bail!("the coordinator is gone ({reason}); see its log")
            }
            Event::Network(link) => tracing::info!(?link, "network"),
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Tallies {
        self.client.shutdown(Duration::ZERO);
        self.tallies
    }
}

/// Written under another name first: what is there is whole.
fn give_away(folder: &Path, input: &[u8], units: u64, output: &[u8]) -> Result<()> {
    let (tip, draft) = (tip_file(folder, input), folder.join("draft"));
    std::fs::write(&draft, [&units.to_le_bytes()[..], output].concat())?;
    std::fs::rename(draft, tip)?;
    Ok(())
}
