//! Runs a whole P2C2R network on this machine and audits it: coordinator, three peers and a client as processes of
//! their own, over TLS; in the second act one peer is replaced by a liar, in the third the client has no network. Exit code
//! 0 only if everything held.
#![expect(clippy::print_stdout, reason = "a command-line program talks to its user")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use p2c2r_example_network::admin::{Report, SettledExecution};
use p2c2r_example_network::attack::{self, Attack};
use p2c2r_example_network::audit;
use p2c2r_example_network::figures::{ClientRecord, Figures, Latency, PeerLine, Progress, TaskEnd, TaskRecord};
use p2c2r_example_network::network::{Network, Options, Peer, START, UnsignedKernel, strings, utf8};
use p2c2r_example_network::processes::wait_for;
use p2c2r_example_network::split::{self, Run};
use p2c2r_example_network::workload::{self, Size};
use p2c2r_signing::PublicKey;

/// What the demo client's account gets, nano-USD: one dollar.
const BUDGET_NANO_USD: u64 = 1_000_000_000;

/// For one act of the demo, on a slow machine with a software GPU.
const ACT: Duration = Duration::from_secs(900);

#[derive(Parser)]
#[command(about = "Runs a whole P2C2R network on this machine and audits it")]
struct Args {
    /// Where the built programs are.
    #[arg(long, default_value = "target/debug")]
    bin: PathBuf,
    /// Where the built, unsigned kernels are.
    #[arg(long, default_value = "target/kernels")]
    kernels: PathBuf,
    /// The mesh to trace; without it, or if it is not there, a procedural scene.
    #[arg(long)]
    mesh: Option<PathBuf>,
    /// Keys, stores, logs and the picture go here; emptied first.
    #[arg(long, default_value = "target/network")]
    dir: PathBuf,
    /// Port of the coordinator; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// A smaller workload, for tests.
    #[arg(long)]
    quick: bool,
    /// Write the figures to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Instead of the demo, run many small tasks among peers of which some cheat in this way.
    #[arg(long, value_name = "NAME")]
    attack: Option<Attack>,
    /// Tasks under the attack.
    #[arg(long, default_value_t = 3000, requires = "attack")]
    tasks: u64,
    /// Instead of the demo, render frames cut over ever more peers.
    #[arg(long, conflicts_with = "attack")]
    split: bool,
    /// Leave the network running until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let demo = Demo::start(&args)?;
    let held = match args.attack {
        Some(attack) => demo.under(attack),
        None if args.split => demo.split(),
        None => demo.play(),
    };
    if let Err(error) = &held {
        println!("\nFAILED: {error:#}\nlogs: {}", demo.network.logs.display());
    }
    if args.keep {
        println!("\nThe network keeps running: {}\nCtrl-C ends it.", demo.network.url);
        let (sender, receiver) = mpsc::channel();
        ctrlc::set_handler(move || {
            // The receiver is gone only when we are already on our way out.
            let _ = sender.send(());
        })?;
        receiver.recv()?;
    }
    held
}

/// The network and who plays on it.
struct Demo<'a> {
    args: &'a Args,
    network: Network,
    client_key: PathBuf,
    /// Running peers; kept here so that `--keep` keeps them too.
    peers: RefCell<Vec<Peer>>,
}

impl<'a> Demo<'a> {
    /// A coordinator that knows the kernels, and a client with money.
    fn start(args: &'a Args) -> Result<Self> {
        step("starting the coordinator, signing and registering the kernels");
        let mut kernels = Vec::new();
        for kernel in workload::KERNELS {
            let file = args.kernels.join(format!("{}.wasm", kernel.name));
            let wasm = std::fs::read(&file).with_context(|| {
                format!("reading {} (build it with `p2c2r build kernels/{}`)", file.display(), kernel.name)
            })?;
            println!(
                "  {:<10} {:>6} KiB at {} nano-USD per {}",
                kernel.name,
                wasm.len() / 1024,
                kernel.rate_nano_usd,
                kernel.unit
            );
            kernels.push(UnsignedKernel { name: kernel.name.to_owned(), wasm, rate_nano_usd: kernel.rate_nano_usd });
        }
        let options = Options { bin: args.bin.clone(), dir: args.dir.clone(), port: args.port };
        let network = Network::start(options, &kernels)?;
        let (client_key, key) = network.new_key("client")?;
        network.admin.deposit(&key.public().account(), BUDGET_NANO_USD, "demo deposit")?;
        Ok(Self { args, network, client_key, peers: RefCell::default() })
    }

    /// Three acts, then the audit.
    fn play(&self) -> Result<()> {
        let size = self.size();
        let mut peers = self.peers.borrow_mut();
        step("act 1: three honest peers");
        for name in ["peer-1", "peer-2", "peer-3"] {
            peers.push(self.network.start_peer(name, "p2c2r-peer", &["--workers", "1"])?);
        }
        self.network.wait_ready(&mut peers)?;
        let first = self.client("act-1", size, 1, &mut peers)?;
        let mut names: Vec<(String, PublicKey)> = peers.iter().map(|peer| (peer.name.clone(), peer.key)).collect();

        step("act 2: a liar takes the place of peer-3");
        peers.pop().context("there are three peers")?.process.stop()?;
        let accomplices = self.network.dir().join("accomplices");
        let cheat = ["--workers", "1", "--attack", "liar", "--accomplices", utf8(&accomplices)?];
        peers.push(self.network.start_peer("liar", "cheat-peer", &cheat)?);
        let liars = BTreeSet::from([peers[2].key]);
        names.push(("liar".to_owned(), peers[2].key));
        self.network.wait_ready(&mut peers)?;
        let second = self.client("act-2", size, 2, &mut peers)?;

        step("act 3: the game is offline and runs the same kernels itself");
        let third = self.client("act-3", size, 3, &mut peers)?;

        step("auditing the books");
        let records: Vec<TaskRecord> = first.tasks.into_iter().chain(second.tasks).collect();
        let paid_for = records.iter().filter(|task| task.cost_nano_usd > 0).count() as u64;
        let report = wait_for(
            "settlement of all verdicts",
            START,
            || Ok(()),
            || self.network.admin.report().ok().filter(|report| report.settlements.tasks >= paid_for),
        )?;
        let executions = self.network.admin.settlements()?;
        let figures = figures(&records, &third.tasks, first.image, &report, &executions, &names);
        print_tables(&records, &figures, &executions);
        self.write(&figures)?;
        check(&records, &figures, &report, &executions, &liars)?;
        check_offline(&records, &third.tasks)?;
        println!(
            "\nledger balanced: client {} = peers {} + platform {} nano-USD",
            figures.client_spent_nano_usd,
            figures.peers.iter().map(|peer| peer.earned_nano_usd).sum::<u64>(),
            figures.platform_nano_usd
        );
        println!("offline: {} tasks, free and with the network's bytes", figures.tasks_local);
        if let Some(image) = &figures.image {
            println!("picture: {image}");
        }
        Ok(())
    }

    /// The network under attack instead.
    fn under(&self, attack: Attack) -> Result<()> {
        step(&format!("under attack: {}", attack.name()));
        let figures = attack::run(&self.network, &self.client_key, attack, self.args.tasks)?;
        let mut lines = table(&["", &attack.name()]);
        for (what, value) in figures.lines() {
            lines.add_row(vec![what.to_owned(), value]);
        }
        align(&mut lines);
        println!("{lines}");
        self.write(&figures)
    }

    /// Frames cut over ever more peers instead.
    fn split(&self) -> Result<()> {
        step("frames cut over one peer and more");
        let figures = split::run(&self.network, &self.client_key, self.size())?;
        let mut lines = table(&Run::HEAD);
        for run in &figures.runs {
            lines.add_row(run.line());
        }
        align(&mut lines);
        println!("{lines}\nall peers share this machine's {} cores: no speed-up is larger", figures.cores);
        self.write(&figures)
    }

    fn size(&self) -> Size {
        if self.args.quick { Size::Quick } else { Size::Full }
    }

    fn write(&self, figures: &impl Serialize) -> Result<()> {
        let Some(file) = &self.args.json else { return Ok(()) };
        std::fs::write(file, serde_json::to_vec_pretty(figures)?).with_context(|| format!("writing {}", file.display()))
    }

    /// Runs the demo client to its end, showing its progress.
    fn client(&self, name: &str, size: Size, act: u8, peers: &mut [Peer]) -> Result<ClientRecord> {
        let record = self.network.dir().join(format!("{name}.json"));
        let image = self.network.dir().join("picture.png");
        let network = &self.network;
        let mut args = strings(&["--coordinator", &network.url, "--ca", utf8(&network.ca)?]);
        args.extend(strings(&["--key", utf8(&self.client_key)?, "--trust", utf8(&network.trust)?]));
        args.extend(strings(&["--kernels", utf8(&network.signed)?, "--size", size.name(), "--act", &act.to_string()]));
        args.extend(strings(&["--record", utf8(&record)?, "--image", utf8(&image)?]));
        if let Some(mesh) = &self.args.mesh {
            args.extend(strings(&["--mesh", utf8(mesh)?]));
        }
        let mut client = network.start_program(name, "demo-client", &args)?;
        let bar = ProgressBar::new(1)
            .with_style(ProgressStyle::with_template("  {bar:32} {pos:>4}/{len} verdicts  {elapsed:>4}  {msg}")?);
        let stdout = client.take_stdout().context("the client's output is piped")?;
        for line in BufReader::new(stdout).lines() {
            let progress: Progress = serde_json::from_str(&line?).context("a line of progress")?;
            bar.set_length(progress.total);
            bar.set_position(progress.ended);
            bar.set_message(format!("{} answered", progress.answered));
            peers.iter_mut().try_for_each(|peer| peer.process.still_running())?;
        }
        bar.finish();
        client.wait(ACT)?;
        let text = std::fs::read(&record).with_context(|| format!("reading {}", record.display()))?;
        let record: ClientRecord = serde_json::from_slice(&text)?;
        println!("  {} tasks, first answer p50 {:.1} ms", record.tasks.len(), latency(&record.tasks).p50);
        Ok(record)
    }
}

fn figures(
    records: &[TaskRecord],
    offline: &[TaskRecord],
    image: Option<String>,
    report: &Report,
    executions: &[SettledExecution],
    names: &[(String, PublicKey)],
) -> Figures {
    let count = |end: TaskEnd| records.iter().chain(offline).filter(|task| task.end == end).count() as u64;
    let spent: u64 = records.iter().map(|task| task.cost_nano_usd).sum();
    let peers = names.iter().map(|(name, key)| {
        let found = report.peers.iter().find(|peer| peer.id == *key);
        PeerLine {
            id: *key,
            name: name.clone(),
            earned_nano_usd: found.map_or(0, |peer| peer.earned_nano_usd),
            votes_agreed: found.map_or(0, |peer| peer.votes_agreed),
            votes_outvoted: found.map_or(0, |peer| peer.votes_outvoted),
        }
    });
    let peers: Vec<PeerLine> = peers.collect();
    let dues = audit::dues(executions);
    let balanced = report.ledger_balanced
        && dues.clients == spent
        && dues.platform == report.platform_nano_usd
        && peers.iter().all(|peer| dues.peers.get(&peer.id).copied().unwrap_or(0) == peer.earned_nano_usd);
    Figures {
        tasks_submitted: records.len() as u64,
        tasks_confirmed: count(TaskEnd::Confirmed),
        tasks_revoked: count(TaskEnd::Revoked),
        tasks_local: count(TaskEnd::Local),
        latency_ms: latency(records),
        peers,
        platform_nano_usd: report.platform_nano_usd,
        client_spent_nano_usd: spent,
        ledger_balanced: balanced,
        image,
    }
}

/// Everything that must have held.
fn check(
    records: &[TaskRecord],
    figures: &Figures,
    report: &Report,
    executions: &[SettledExecution],
    liars: &BTreeSet<PublicKey>,
) -> Result<()> {
    ensure!(report.ledger_balanced, "the coordinator says its ledger does not balance");
    ensure!(
        figures.ledger_balanced,
        "coordinator, client and audit disagree: client spent {}, platform {}, audit {:?}",
        figures.client_spent_nano_usd,
        figures.platform_nano_usd,
        audit::dues(executions)
    );
    let lost = records.iter().filter(|task| !matches!(task.end, TaskEnd::Confirmed | TaskEnd::Revoked)).count();
    ensure!(lost == 0, "{lost} of {} tasks reached no verdict", records.len());
    let findings = audit::findings(executions, liars);
    ensure!(findings.is_empty(), "{}", findings.join("\n"));
    for peer in &figures.peers {
        if liars.contains(&peer.id) {
            ensure!(peer.votes_outvoted > 0, "{} was never caught", peer.name);
            ensure!(peer.earned_nano_usd == 0, "{} earned {} nano-USD", peer.name, peer.earned_nano_usd);
        } else {
            ensure!(peer.votes_outvoted == 0, "{} is honest and was outvoted", peer.name);
            ensure!(peer.earned_nano_usd > 0, "{} worked and earned nothing", peer.name);
        }
    }
    if figures.image.is_none() {
        bail!("no picture was made");
    }
    Ok(())
}

/// Without a network a game gets, for nothing, the bytes that the network sold it.
fn check_offline(network: &[TaskRecord], offline: &[TaskRecord]) -> Result<()> {
    ensure!(!offline.is_empty(), "nothing ran offline");
    for kernel in workload::KERNELS {
        let of = |task: &&TaskRecord| task.kernel == kernel.name;
        for (number, (here, there)) in offline.iter().filter(of).zip(network.iter().filter(of)).enumerate() {
            ensure!(here.end == TaskEnd::Local, "{} task {number} ended offline as {:?}", kernel.name, here.end);
            ensure!(here.cost_nano_usd == 0, "{} task {number} cost something offline", kernel.name);
            ensure!(
                here.output.is_some() && here.output == there.output,
                "{} task {number} has other bytes offline than on the network",
                kernel.name
            );
        }
    }
    Ok(())
}

fn print_tables(records: &[TaskRecord], figures: &Figures, executions: &[SettledExecution]) {
    let mut tasks =
        table(&["kernel", "tasks", "confirmed", "revoked", "p50 ms", "p95 ms", "p99 ms", "units", "cost nano-USD"]);
    for kernel in workload::KERNELS {
        let of: Vec<TaskRecord> = records.iter().filter(|task| task.kernel == kernel.name).cloned().collect();
        let ended = |end: TaskEnd| of.iter().filter(|task| task.end == end).count().to_string();
        let latency = latency(&of);
        tasks.add_row(vec![
            kernel.name.to_owned(),
            of.len().to_string(),
            ended(TaskEnd::Confirmed),
            ended(TaskEnd::Revoked),
            format!("{:.1}", latency.p50),
            format!("{:.1}", latency.p95),
            format!("{:.1}", latency.p99),
            of.iter().map(|task| task.units).sum::<u64>().to_string(),
            of.iter().map(|task| task.cost_nano_usd).sum::<u64>().to_string(),
        ]);
    }
    align(&mut tasks);
    let mut peers = table(&["peer", "key", "executions", "agreed", "outvoted", "earned nano-USD"]);
    for peer in &figures.peers {
        peers.add_row(vec![
            peer.name.clone(),
            peer.id.to_string()[..12].to_owned(),
            executions.iter().filter(|line| line.peer == peer.id).count().to_string(),
            peer.votes_agreed.to_string(),
            peer.votes_outvoted.to_string(),
            peer.earned_nano_usd.to_string(),
        ]);
    }
    peers.add_row(vec![
        "platform".to_owned(),
        String::new(),
        String::new(),
        String::new(),
        String::new(),
        figures.platform_nano_usd.to_string(),
    ]);
    align(&mut peers);
    println!("{tasks}\n{peers}");
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    table
}

fn align(table: &mut Table) {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn latency(records: &[TaskRecord]) -> Latency {
    Latency::of(records.iter().map(|task| task.latency_ms).collect())
}

fn step(what: &str) {
    println!("== {what}");
}
