//! `p2c2r-sim`: the table of attacks and rules.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use p2c2r_sim::models::{self, Model};
use p2c2r_sim::{Attack, Report, Rule, Settings, Speeds, Split, run};

/// Plays scripted attackers against P2C2R's market and against other rules, in virtual time.
#[derive(Debug, Parser)]
struct Args {
    /// Peers, attackers among them
    #[arg(long, default_value_t = 100)]
    peers: usize,
    /// Tasks for each peer in the mean, one a second
    #[arg(long, default_value_t = 4_000)]
    tasks: u64,
    /// Attackers of a thousand peers; the ring is also tried with 50 and 200
    #[arg(long, default_value_t = 100)]
    bad_permille: u32,
    /// Only this attack
    #[arg(long, value_enum)]
    attack: Option<Attack>,
    /// Only the market as shipped
    #[arg(long)]
    only_trust: bool,
    /// How long peers take
    #[arg(long, value_enum, default_value_t = Speeds::Even)]
    speeds: Speeds,
    /// Work of a task in percent of the usual 28 ms
    #[arg(long, default_value_t = 100)]
    work_percent: u64,
    /// Slow attempts are not hedged
    #[arg(long)]
    no_hedging: bool,
    /// Instead of the attacks: frames cut into parts, with peers that differ
    #[arg(long)]
    split: bool,
    /// Departures in a million peer-hours
    #[arg(long, default_value_t = 11_000)]
    churn: u64,
    /// Everything random follows from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Writes the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if args.split {
        return split(&args);
    }
    let attacks = args.attack.map_or_else(|| Attack::ALL.to_vec(), |attack| vec![attack]);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", Report::head())?;
    let mut reports = Vec::new();
    for attack in attacks {
        let shares = if attack.is_ring() { vec![50, 100, 200] } else { vec![args.bad_permille] };
        for attackers_permille in shares {
            for report in play(&args, attack, attackers_permille) {
                writeln!(out, "{}", report.line())?;
                reports.push(report);
            }
        }
    }
    write_json(&args, &reports)
}

fn write_json(args: &Args, figures: &impl serde::Serialize) -> Result<()> {
    if let Some(path) = &args.json {
        let json = serde_json::to_vec_pretty(figures)?;
        std::fs::write(path, json).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// A network without attackers.
fn settings(args: &Args) -> Settings {
    Settings {
        rule: Rule::Trust,
        peers: args.peers,
        attack: Attack::None,
        attackers_permille: 0,
        tasks_per_peer: args.tasks,
        speeds: args.speeds,
        work_percent: args.work_percent,
        hedging: !args.no_hedging,
        churn_per_million_hours: args.churn,
        seed: args.seed,
    }
}

fn split(args: &Args) -> Result<()> {
    let play =
        |hedging, parts| Split::run(&Settings { speeds: Speeds::Mixed, hedging, ..settings(args) }, parts, args.tasks);
    let whole = play(false, 1);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", Split::head())?;
    let mut figures = Vec::new();
    for parts in [1, 2, 4, 8, 16, 32] {
        for hedging in [false, true] {
            let split = play(hedging, parts);
            writeln!(out, "{}", split.line(&whole))?;
            figures.push(split);
        }
    }
    write_json(args, &figures)
}

fn play(args: &Args, attack: Attack, attackers_permille: u32) -> Vec<Report> {
    let settings = Settings { attack, attackers_permille, ..settings(args) };
    let mut reports = vec![run(&settings)];
    if !args.only_trust {
        reports.push(run(&Settings { rule: Rule::TwoOfTwo, ..settings }));
        reports
            .extend([Model::TwoOfThree, Model::Adaptive, Model::Weighted].map(|model| models::run(model, &settings)));
    }
    reports
}
