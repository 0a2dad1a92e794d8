//! A network of real processes under attack: honest peers, cheating ones, a client that knows every right answer, and the
//! figures that `p2c2r-sim` gives for the same attacks.

mod game;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::Serialize;

use p2c2r_signing::BlobId;

use crate::admin::{PeerFigures, Report, SettledExecution};
use crate::figures::Latency;
use crate::network::{Network, Peer, START, utf8};
use crate::processes::wait_for;
use game::{Game, Tallies};

/// Attempts a sleeper is honest for.
pub const SLEEP: u64 = 100;

/// Attempts after which a strategic cheat counts itself trusted: past probation, and checked ever less.
pub const TRUSTED: u64 = 60;

/// Honest peers.
const HONEST: usize = 4;

/// Cheating peers.
const CHEATS: usize = 2;

/// New identities a Sybil takes on.
const SYBILS: usize = 6;

/// Tasks under way at once.
const IN_FLIGHT: usize = 8;

/// Agents of a task: a fraction of a millisecond's work.
const AGENTS: usize = 2;

/// How long an answer is of use. Ten times what a game asks for, because all peers share the cores of one machine.
const DEADLINE: Duration = Duration::from_secs(1);

/// What a game asks for, milliseconds.
const IN_TIME_MS: f64 = 100.0;

/// Longest silence before the run is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a cheating peer cheats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attack {
    /// Lies always.
    Liar,
    /// Sends made-up bytes without working.
    Lazy,
    /// Honest for a while, then lies in three tasks of ten.
    Sleeper,
    /// Honest until it is trusted, then lies always.
    Strategic,
    /// Is told by the client what was answered, and votes for that without working.
    Copier,
    /// A liar that comes back with a new key and account whenever it was caught.
    Sybil,
    /// Members tell each other their tasks, and lie, alike, exactly when two of them have the same task.
    Ring,
    /// A broken machine: one result in a hundred is wrong.
    BitFlipper,
    /// Answers right, just before the deadline.
    SlowLoris,
    /// Accepts and never answers.
    Hoarder,
}

impl Attack {
    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether every vote of it is wrong, so that none must agree with a verdict, however short the run.
    #[must_use]
    pub const fn always_wrong(self) -> bool {
        matches!(self, Self::Liar | Self::Lazy | Self::Sybil | Self::Copier)
    }
}

/// What an attack came to.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// The attack.
    pub attack: Attack,
    /// Tasks submitted.
    pub tasks: u64,
    /// Tasks confirmed or revoked, that is, with a verdict.
    pub verdicts: u64,
    /// Tasks without an answer, or without a verdict: free, and run locally by a game that allows it.
    pub refused: u64,
    /// Wrong answers delivered before their verdict.
    pub wrong_provisional: u64,
    /// Wrong answers that were confirmed.
    pub wrong_confirmed: u64,
    /// Of these, on one peer's word and the pay held for it; the others rest on a quorum or a referee.
    pub wrong_on_window: u64,
    /// Of the latter, never withdrawn.
    pub wrong_kept: u64,
    /// Answers withdrawn, right ones too.
    pub withdrawn: u64,
    /// Executions for a thousand tasks, second half of the run.
    pub executions_per_1000_tasks: u64,
    /// Answers within 100 ms, of a thousand tasks.
    pub in_time_per_1000: u64,
    /// Submit to first answer.
    pub latency_ms: Latency,
    /// What a cheat was paid in the mean, percent of an honest peer's.
    pub income_percent: u64,
    /// Votes of cheats that agreed with a verdict.
    pub cheats_agreed: u64,
    /// Cheating identities that were suspended, and all of them.
    pub caught: (u64, u64),
    /// Honest peers outvoted or suspended.
    pub honest_punished: u64,
    /// Whether the coordinator's ledger balances.
    pub ledger_balanced: bool,
}

/// Where the client puts the answer to `input` for a [`Attack::Copier`]: units (8 bytes, little-endian), then output.
#[must_use]
pub fn tip_file(accomplices: &Path, input: &[u8]) -> PathBuf {
    accomplices.join(BlobId::of(input).to_string())
}

/// Runs `tasks` tasks under an attack.
///
/// # Errors
/// If the network cannot be run, or something did not hold that must under any attack.
pub fn run(network: &Network, client_key: &Path, attack: Attack, tasks: u64) -> Result<Figures> {
    let accomplices = network.dir().join("accomplices");
    std::fs::create_dir_all(&accomplices).with_context(|| format!("creating {}", accomplices.display()))?;
    let mut peers = Vec::new();
    for number in 1..=HONEST {
        peers.push(network.start_peer(&format!("honest-{number}"), "p2c2r-peer", &["--workers", "1", "--no-gpu"])?);
    }
    let mut cheats = Cheats { network, attack, accomplices: &accomplices, peers: Vec::new() };
    for _ in 0..CHEATS {
        cheats.start()?;
    }
    network.wait_ready(&mut peers)?;
    network.wait_ready(&mut cheats.peers)?;

    let mut game = Game::new(network, client_key, (attack == Attack::Copier).then(|| accomplices.clone()))?;
    for number in 0..tasks {
        while game.open.len() >= IN_FLIGHT {
            game.step()?;
        }
        if number % 50 == 49 {
            cheats.come_back()?;
        }
        game.submit(number)?;
    }
    while !game.open.is_empty() {
        game.step()?;
    }
    let tallies = game.finish();
    let report = wait_for(
        "settlement of all verdicts",
        START,
        || Ok(()),
        || network.admin.report().ok().filter(|report| report.settlements.tasks >= tallies.verdicts),
    )?;
    let figures = figures(attack, tasks, tallies, &report, &network.admin.settlements()?, &peers, &cheats.peers);
    check(&figures)?;
    Ok(figures)
}

/// The cheating peers.
struct Cheats<'a> {
    network: &'a Network,
    attack: Attack,
    accomplices: &'a Path,
    peers: Vec<Peer>,
}

impl Cheats<'_> {
    fn start(&mut self) -> Result<()> {
        let name = format!("cheat-{}", self.peers.len() + 1);
        let (attack, folder) = (self.attack.name(), utf8(self.accomplices)?);
        let args = ["--workers", "1", "--no-gpu", "--attack", &attack, "--accomplices", folder];
        self.peers.push(self.network.start_peer(&name, "cheat-peer", &args)?);
        Ok(())
    }

    /// A Sybil whose identities were all caught takes a new one.
    fn come_back(&mut self) -> Result<()> {
        if self.attack == Attack::Sybil && self.peers.len() < CHEATS + SYBILS {
            let report = self.network.admin.report()?;
            if self.peers.iter().all(|peer| of(&report, peer).is_some_and(|figures| figures.suspended)) {
                self.start()?;
            }
        }
        Ok(())
    }
}

fn of<'a>(report: &'a Report, peer: &Peer) -> Option<&'a PeerFigures> {
    report.peers.iter().find(|figures| figures.id == peer.key)
}

fn figures(
    attack: Attack,
    tasks: u64,
    tallies: Tallies,
    report: &Report,
    executions: &[SettledExecution],
    honest: &[Peer],
    cheats: &[Peer],
) -> Figures {
    let earned = |peers: &[Peer]| -> u64 {
        let sum: u64 = peers.iter().filter_map(|peer| of(report, peer)).map(|figures| figures.earned_nano_usd).sum();
        sum / peers.len().max(1) as u64
    };
    let count = |peers: &[Peer], what: fn(&PeerFigures) -> bool| {
        peers.iter().filter_map(|peer| of(report, peer)).filter(|figures| what(figures)).count() as u64
    };
    let in_time = tallies.latencies.iter().filter(|latency| **latency <= IN_TIME_MS).count() as u64;
    Figures {
        attack,
        tasks,
        verdicts: tallies.verdicts,
        refused: tallies.refused,
        wrong_provisional: tallies.wrong_provisional,
        wrong_confirmed: tallies.wrong_confirmed,
        wrong_on_window: tallies.on_window,
        wrong_kept: tallies.wrong_on_window.len() as u64,
        withdrawn: tallies.withdrawn,
        executions_per_1000_tasks: executions_per_1000(executions),
        in_time_per_1000: in_time * 1000 / tasks.max(1),
        latency_ms: Latency::of(tallies.latencies),
        income_percent: (earned(cheats) * 100).checked_div(earned(honest)).unwrap_or(0),
        cheats_agreed: cheats.iter().filter_map(|peer| of(report, peer)).map(|figures| figures.votes_agreed).sum(),
        caught: (count(cheats, |figures| figures.suspended), cheats.len() as u64),
        honest_punished: count(honest, |figures| figures.suspended || figures.votes_outvoted > 0),
        ledger_balanced: report.ledger_balanced,
    }
}

/// Of the tasks in the second half of the settled ones.
fn executions_per_1000(executions: &[SettledExecution]) -> u64 {
    let mut seen = BTreeSet::new();
    let tasks: Vec<&str> = executions.iter().map(|line| line.task.as_str()).filter(|task| seen.insert(*task)).collect();
    let late: BTreeSet<&str> = tasks.iter().skip(tasks.len() / 2).copied().collect();
    let lines = executions.iter().filter(|line| late.contains(line.task.as_str())).count() as u64;
    (lines * 1000).checked_div(late.len() as u64).unwrap_or(0)
}

/// What must hold under any attack, in a run of any length.
fn check(figures: &Figures) -> Result<()> {
    ensure!(figures.ledger_balanced, "the coordinator says its ledger does not balance");
    ensure!(figures.honest_punished == 0, "{} honest peers were punished", figures.honest_punished);
    ensure!(figures.verdicts > 0, "no task reached a verdict");
    if figures.attack.always_wrong() {
        let (caught, all) = figures.caught;
        // A copier that finds nothing to copy does not vote.
        ensure!(caught > 0 || figures.attack == Attack::Copier, "none of {all} cheats was caught");
        ensure!(figures.cheats_agreed == 0, "{} votes of cheats were taken for right", figures.cheats_agreed);
        ensure!(figures.income_percent == 0, "cheats were paid {} % of an honest peer's", figures.income_percent);
        ensure!(figures.wrong_confirmed == 0, "{} wrong answers were confirmed", figures.wrong_confirmed);
        ensure!(figures.wrong_kept == 0, "{} wrong answers were never withdrawn", figures.wrong_kept);
    }
    Ok(())
}

impl Figures {
    /// What it says, a line each.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let (caught, all) = self.caught;
        vec![
            ("tasks", self.tasks.to_string()),
            ("with a verdict", self.verdicts.to_string()),
            ("refused or without one", self.refused.to_string()),
            ("wrong answers before their verdict", self.wrong_provisional.to_string()),
            ("wrong answers confirmed", self.wrong_confirmed.to_string()),
            ("of these on one peer's word", self.wrong_on_window.to_string()),
            ("of those never withdrawn", self.wrong_kept.to_string()),
            ("answers withdrawn", self.withdrawn.to_string()),
            ("executions for 1,000 tasks", self.executions_per_1000_tasks.to_string()),
            ("answers within 100 ms, of 1,000", self.in_time_per_1000.to_string()),
            ("first answer p50, p99 ms", format!("{:.1}, {:.1}", self.latency_ms.p50, self.latency_ms.p99)),
            ("a cheat's pay, percent of an honest peer's", self.income_percent.to_string()),
            ("cheats suspended", format!("{caught} of {all}")),
            ("honest peers punished", self.honest_punished.to_string()),
        ]
    }
}
