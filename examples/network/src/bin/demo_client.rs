//! The demo's game: submits the workload, keeps a bounded number of tasks under way, and writes down what became of each.
#![expect(clippy::print_stdout, reason = "progress goes to the demo through standard output")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use clap::Parser;

use p2c2r_client::{Client, ClientConfig, Credits, Event, Kernel, LocalPolicy, Provenance, Task, TaskHandle};
use p2c2r_example_network::figures::{ClientRecord, Progress, TaskEnd, TaskRecord};
use p2c2r_example_network::network::session_opened;
use p2c2r_example_network::workload::{self, Item, Picture, Size};
use p2c2r_signing::{BlobId, Digest, PublicKey, SecretKey, TrustedKeys};

/// Tasks under way at once: two executions each, so four for each of three peers.
const IN_FLIGHT: usize = 6;

/// Longest silence before the demo gives up.
const PATIENCE: Duration = Duration::from_secs(180);

#[derive(Parser)]
struct Args {
    /// `wss://host:port`.
    #[arg(long)]
    coordinator: String,
    /// The coordinator's CA.
    #[arg(long)]
    ca: PathBuf,
    /// The account's key.
    #[arg(long)]
    key: PathBuf,
    /// Public key whose kernels are trusted.
    #[arg(long)]
    trust: PathBuf,
    /// Signed kernels, `<name>.wasm`.
    #[arg(long)]
    kernels: PathBuf,
    /// A mesh to trace instead of the procedural scene.
    #[arg(long)]
    mesh: Option<PathBuf>,
    /// How much work.
    #[arg(long)]
    size: Size,
    /// 1 traces the picture too, 3 has no network.
    #[arg(long)]
    act: u8,
    /// Where the record goes.
    #[arg(long)]
    record: PathBuf,
    /// Where the picture goes.
    #[arg(long)]
    image: PathBuf,
}

fn main() -> Result<()> {
    let args = Args::parse();
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let ca = std::fs::read(&args.ca).with_context(|| format!("reading {}", args.ca.display()))?;
    let trust = PublicKey::from_pem(&std::fs::read_to_string(&args.trust)?)?;
    let config = ClientConfig::new(&args.coordinator, ca, SecretKey::load(&args.key)?)
        .budget(Credits::from_nano_usd(workload::SESSION_NANO_USD));
    let client = if args.act == 3 {
        Client::start(config.enabled(false))?
    } else {
        // Everything shall run on the network here, or the demo would show less than it says.
        let client = Client::start(config.local(LocalPolicy::Off))?;
        session_opened(&client, PATIENCE)?;
        client
    };
    let mut game = Game::new(client);
    game.load_kernels(&args, &TrustedKeys::new([trust])?)?;

    let work = workload::items(args.size, args.act, args.mesh.as_deref())?;
    let picture = game.play(&work.items)?;
    let image = match work.picture {
        Some(size) => {
            save(&args.image, size, &picture)?;
            Some(args.image.display().to_string())
        }
        None => None,
    };
    let record = ClientRecord { tasks: game.finish(), image };
    let file = BufWriter::new(File::create(&args.record)?);
    serde_json::to_writer_pretty(file, &record).with_context(|| format!("writing {}", args.record.display()))
}

struct Game {
    client: Client,
    kernels: BTreeMap<&'static str, Kernel>,
    /// Records in order of submission, and which handle is which.
    records: Vec<TaskRecord>,
    open: BTreeMap<TaskHandle, usize>,
    outputs: BTreeMap<usize, Bytes>,
    progress: Progress,
}

impl Game {
    fn new(client: Client) -> Self {
        Self {
            client,
            kernels: BTreeMap::new(),
            records: Vec::new(),
            open: BTreeMap::new(),
            outputs: BTreeMap::new(),
            progress: Progress::default(),
        }
    }

    fn load_kernels(&mut self, args: &Args, trusted: &TrustedKeys) -> Result<()> {
        for kernel in workload::KERNELS {
            let file = args.kernels.join(format!("{}.wasm", kernel.name));
            let wasm = std::fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            self.kernels.insert(kernel.name, self.client.add_kernel(wasm, trusted)?);
        }
        Ok(())
    }

    /// Runs all items; gives the outputs of the picture's tasks, in order, joined.
    fn play(&mut self, items: &[Item]) -> Result<Vec<u8>> {
        self.progress.total = items.len() as u64;
        for item in items {
            while self.open.len() >= IN_FLIGHT {
                self.step()?;
            }
            self.submit(item)?;
        }
        while !self.open.is_empty() {
            self.step()?;
        }
        let of_picture = |index: &usize| items[*index].kernel == workload::RAYTRACE;
        Ok(self.outputs.iter().filter(|(index, _)| of_picture(index)).flat_map(|(_, output)| output.clone()).collect())
    }

    fn submit(&mut self, item: &Item) -> Result<()> {
        let kernel = self.kernels.get(item.kernel).with_context(|| format!("kernel {} is not loaded", item.kernel))?;
        let mut task = Task::new(kernel, item.input.clone()).deadline(workload::DEADLINE).max_units(item.max_units);
        if item.confirmed {
            task = task.confirmed();
        }
        if let Some(blob) = &item.blob {
            let id: BlobId = self.client.add_blob(blob.clone())?;
            task = task.blob(id);
        }
        let handle = self.client.submit(task)?;
        self.open.insert(handle, self.records.len());
        self.records.push(TaskRecord {
            kernel: item.kernel.to_owned(),
            units: 0,
            cost_nano_usd: 0,
            latency_ms: 0.0,
            verdict_ms: None,
            end: TaskEnd::Failed,
            output: None,
        });
        self.progress.submitted += 1;
        Ok(())
    }

    /// Waits for one event and notes it.
    fn step(&mut self) -> Result<()> {
        let event = self.client.wait(PATIENCE).context("nothing happened for too long")?;
        let (handle, over) = match &event {
            Event::Result(result) => (result.handle, result.provenance == Provenance::Local),
            Event::Confirmed { handle, .. }
            | Event::Revoked { handle, .. }
            | Event::Unverified { handle, .. }
            | Event::Failed { handle, .. } => (*handle, true),
            Event::Withdrawn { handle, refund, .. } => {
                eprintln!("the answer to {handle:?} is withdrawn, {refund} came back");
                return Ok(());
            }
            Event::Network(network) => {
                eprintln!("{network:?}");
                return Ok(());
            }
        };
        let index = *self.open.get(&handle).context("an event of a task that is over")?;
        let record = &mut self.records[index];
        match event {
            Event::Result(result) => {
                ensure!(
                    result.outcome == p2c2r_signing::Outcome::Output,
                    "a {} task ended as {:?}",
                    record.kernel,
                    result.outcome
                );
                record.latency_ms = result.latency.as_secs_f64() * 1e3;
                record.units = result.units;
                record.output = Some(Digest::of(&result.output));
                if result.provenance == Provenance::Local {
                    record.end = TaskEnd::Local;
                }
                self.outputs.insert(index, result.output);
                self.progress.answered += 1;
            }
            Event::Confirmed { cost, after, .. } => {
                record.cost_nano_usd = cost.nano_usd();
                record.verdict_ms = Some(after.as_secs_f64() * 1e3);
                record.end = TaskEnd::Confirmed;
            }
            Event::Revoked { cost, after, output, units, .. } => {
                record.cost_nano_usd = cost.nano_usd();
                record.verdict_ms = Some(after.as_secs_f64() * 1e3);
                record.units = units;
                record.end = TaskEnd::Revoked;
                record.output = Some(Digest::of(&output));
                self.outputs.insert(index, output);
            }
            Event::Unverified { code, .. } => {
                eprintln!("a {} task reached no verdict: {code:?}", record.kernel);
                record.end = TaskEnd::Unverified;
            }
            Event::Failed { reason, .. } => eprintln!("a {} task failed: {reason}", record.kernel),
            Event::Network(_) | Event::Withdrawn { .. } => {}
        }
        if over {
            self.open.remove(&handle);
            self.progress.ended += 1;
        }
        println!("{}", serde_json::to_string(&self.progress)?);
        Ok(())
    }

    fn finish(self) -> Vec<TaskRecord> {
        self.client.shutdown(Duration::ZERO);
        self.records
    }
}

/// Writes RGB rows as PNG.
fn save(file: &std::path::Path, size: Picture, pixels: &[u8]) -> Result<()> {
    let expected = size.width as usize * size.height as usize * 3;
    ensure!(pixels.len() == expected, "the picture has {} bytes instead of {expected}", pixels.len());
    let out = BufWriter::new(File::create(file).with_context(|| format!("creating {}", file.display()))?);
    let mut encoder = png::Encoder::new(out, size.width, size.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(())
}
