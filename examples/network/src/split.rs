//! Frames cut over real peers: how much sooner they are there than from one peer, and what a straggler costs.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use serde::Serialize;

use kernel_raytrace::{Frame, Mesh, Rows, Scene};
use p2c2r_client::{Client, Credits, Event, Kernel, Map, Task};
use p2c2r_signing::BlobId;

use crate::figures::Latency;
use crate::network::{Network, Peer, utf8};
use crate::workload::{RAYTRACE, SESSION_NANO_USD, Size};

/// How long a part may take. Generous, because all peers share the cores of one machine.
const DEADLINE: Duration = Duration::from_secs(10);

/// Parts a frame is cut into for each peer: a peer that is done early takes one more.
const PARTS_PER_PEER: usize = 2;

/// Longest silence before the run is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Small tasks under way at once while peers are past their probation.
const IN_FLIGHT: usize = 8;

/// How much of what.
struct Amounts {
    /// Numbers of peers tried.
    peers: &'static [usize],
    /// Frames of each.
    frames: usize,
    /// Small tasks before the frames, for each peer: newcomers' work is done twice, which is not what is measured.
    small: usize,
    width: u32,
    height: u32,
    samples: u32,
}

const fn amounts(size: Size) -> Amounts {
    match size {
        Size::Quick => Amounts { peers: &[1, 2], frames: 2, small: 10, width: 96, height: 54, samples: 1 },
        Size::Full => Amounts { peers: &[1, 2, 4], frames: 12, small: 150, width: 320, height: 180, samples: 4 },
    }
}

/// What it came to.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// Cores of this machine, which all peers share: no speed-up is larger.
    pub cores: usize,
    /// A line for each number of peers.
    pub runs: Vec<Run>,
}

/// One number of peers.
#[derive(Debug, Serialize)]
pub struct Run {
    /// Peers that answer as soon as they can.
    pub peers: usize,
    /// Peers that answer right before the deadline.
    pub slow_peers: usize,
    /// Parts of a frame.
    pub parts: usize,
    /// Frames.
    pub frames: usize,
    /// From the cut to the last part.
    pub frame_ms: Latency,
    /// Median of one peer and one part by this one's; of a thousand.
    pub speed_up_permille: u64,
}

/// Renders frames with ever more peers, and at last with a slow one among them.
///
/// # Errors
/// If the network cannot be run, a part has no answer, or a frame is not the same bytes as from one peer.
pub fn run(network: &Network, client_key: &Path, size: Size) -> Result<Figures> {
    let amounts = amounts(size);
    let mut peers: Vec<Peer> = Vec::new();
    let mut game: Option<Game> = None;
    let mut runs: Vec<Run> = Vec::new();
    // What one peer made of it.
    let mut whole: Option<Bytes> = None;
    let most = amounts.peers.iter().copied().max().unwrap_or(1);
    for (wanted, slow_peers) in amounts.peers.iter().map(|&n| (n, 0)).chain([(most, 1)]) {
        while peers.len() < wanted {
            let name = format!("peer-{}", peers.len() + 1);
            peers.push(network.start_peer(&name, "p2c2r-peer", &["--workers", "1", "--slots", "1", "--no-gpu"])?);
        }
        if slow_peers > 0 {
            let folder = network.dir().join("accomplices");
            let slow = ["--workers", "1", "--no-gpu", "--attack", "slow-loris", "--accomplices", utf8(&folder)?];
            peers.push(network.start_peer("slow", "cheat-peer", &slow)?);
        }
        network.wait_ready(&mut peers)?;
        let game = match &mut game {
            Some(game) => game,
            none => none.insert(Game::new(network, client_key, &amounts)?),
        };
        game.small_tasks(amounts.small * wanted)?;
        let parts = if wanted == 1 { 1 } else { wanted * PARTS_PER_PEER };
        let mut times = Vec::new();
        for _ in 0..amounts.frames {
            let (took, frame) = game.frame(parts)?;
            times.push(took.as_secs_f64() * 1e3);
            ensure!(
                frame == *whole.get_or_insert_with(|| frame.clone()),
                "a frame of {parts} parts has other bytes than one from one peer"
            );
        }
        let frame_ms = Latency::of(times);
        let alone = runs.first().map_or(frame_ms.p50, |run| run.frame_ms.p50);
        let speed_up_permille = (alone * 1e3 / frame_ms.p50.max(f64::MIN_POSITIVE)) as u64;
        runs.push(Run { peers: wanted, slow_peers, parts, frames: amounts.frames, frame_ms, speed_up_permille });
    }
    if let Some(game) = game {
        game.client.shutdown(Duration::ZERO);
    }
    Ok(Figures { cores: std::thread::available_parallelism().map_or(1, usize::from), runs })
}

/// A game that wants frames.
struct Game {
    client: Client,
    kernel: Kernel,
    scene: BlobId,
    frame: Frame,
}

impl Game {
    fn new(network: &Network, key: &Path, amounts: &Amounts) -> Result<Self> {
        let (client, trusted) = network.client(key, Credits::from_nano_usd(SESSION_NANO_USD), PATIENCE)?;
        let kernel = client.add_kernel(std::fs::read(network.signed.join(format!("{RAYTRACE}.wasm")))?, &trusted)?;
        let scene = client.add_blob(Scene::studio(&Mesh::procedural()).to_bytes())?;
        let frame = Frame::studio(amounts.width, amounts.height, amounts.samples);
        Ok(Self { client, kernel, scene, frame })
    }

    fn task(&self, rows: &[u32]) -> Task {
        let input = Rows { frame: self.frame, rows: rows.to_vec() }.to_bytes();
        let max_units = self.frame.units(rows.len());
        Task::new(&self.kernel, input).blob(self.scene).replicas(1).deadline(DEADLINE).max_units(max_units)
    }

    /// One frame in so many parts: how long until the last was there, and its bytes.
    fn frame(&self, parts: usize) -> Result<(Duration, Bytes)> {
        let begun = Instant::now();
        let map = self.client.map(&self.task(&self.frame.all_rows().rows), parts)?;
        let (answered, map) = self.settle(map)?;
        let frame = map.output().context("a part of a frame has no answer")?;
        Ok((answered.saturating_duration_since(begun), frame))
    }

    /// Single rows, one after the other.
    fn small_tasks(&self, count: usize) -> Result<()> {
        let rows = self.frame.all_rows().rows;
        for from in (0..count).step_by(IN_FLIGHT) {
            let maps = (from..count.min(from + IN_FLIGHT)).map(|n| {
                let row = rows.get(n % rows.len().max(1)).context("a frame has rows")?;
                Ok(self.client.map(&self.task(&[*row]), 1)?)
            });
            let mut maps = maps.collect::<Result<Vec<Map>>>()?;
            while !maps.iter().all(Map::is_settled) {
                let event = self.next()?;
                maps.iter_mut().for_each(|map| _ = map.take(&event));
            }
        }
        Ok(())
    }

    /// Waits for all answers and verdicts; gives when the last answer came.
    fn settle(&self, mut map: Map) -> Result<(Instant, Map)> {
        let mut answered = None;
        while answered.is_none() || !map.is_settled() {
            map.take(&self.next()?);
            if map.is_answered() {
                answered.get_or_insert_with(Instant::now);
            }
        }
        Ok((answered.unwrap_or_else(Instant::now), map))
    }

    fn next(&self) -> Result<Event> {
        match self.client.wait(PATIENCE).context("nothing happened for too long")? {
            Event::Failed { reason, .. } => bail!("a part failed: {reason}"),
            event => Ok(event),
        }
    }
}

impl Run {
    /// What it says, in the order of [`Run::HEAD`].
    #[must_use]
    pub fn line(&self) -> Vec<String> {
        let slow = if self.slow_peers > 0 { format!(" + {} slow", self.slow_peers) } else { String::new() };
        vec![
            format!("{}{slow}", self.peers),
            self.parts.to_string(),
            format!("{:.0}", self.frame_ms.p50),
            format!("{:.0}", self.frame_ms.p95),
            format!("{}.{:02}", self.speed_up_permille / 1_000, self.speed_up_permille % 1_000 / 10),
        ]
    }

    /// Of a table of lines.
    pub const HEAD: [&'static str; 5] = ["peers", "parts", "frame p50 ms", "p95 ms", "speed-up"];
}
