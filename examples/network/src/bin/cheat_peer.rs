//! A peer that cheats, in the way it is told to. It uses the connection, journal and jail of the shipped peer, which has
//! no such mode; only what it votes for, and when, is its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::{Parser, Subcommand};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use tokio::signal::unix::{SignalKind, signal};

use p2c2r_example_network::attack::{Attack, SLEEP, TRUSTED, tip_file};
use p2c2r_peer::{Answer, Assignment, Executor, JailExecutor, RunArgs, run_peer};
use p2c2r_protocol::message::{Fault, OfferedClass};
use p2c2r_signing::{Outcome, TraceRoot};

/// How long an accomplice is waited for.
const ACCOMPLICE: Duration = Duration::from_millis(50);

/// Pause between two looks at the accomplices' folder.
const LOOK: Duration = Duration::from_millis(2);

/// What a slow one leaves of the deadline for its answer to arrive.
const JUST_IN_TIME: Duration = Duration::from_millis(300);

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The same command line as `p2c2r-peer`, as far as the demo uses it, and how to cheat.
#[derive(Subcommand)]
enum Command {
    /// Connect and cheat.
    Run {
        /// How.
        #[arg(long)]
        attack: Attack,
        /// Folder that accomplices share.
        #[arg(long)]
        accomplices: PathBuf,
        #[command(flatten)]
        peer: RunArgs,
    },
}

struct Cheat {
    honest: JailExecutor,
    attack: Attack,
    accomplices: PathBuf,
    memory: Mutex<Memory>,
}

/// What it did so far, and its dice.
struct Memory {
    done: u64,
    rng: ChaCha8Rng,
}

impl Cheat {
    fn new(honest: JailExecutor, attack: Attack, accomplices: PathBuf) -> Self {
        // Its own process number: two members of a ring must not throw the same dice.
        let rng = ChaCha8Rng::seed_from_u64(std::process::id().into());
        Self { honest, attack, accomplices, memory: Mutex::new(Memory { done: 0, rng }) }
    }

    /// Attempts before this one, and a number below a million.
    fn turn(&self) -> (u64, u64) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.done += 1;
        (memory.done - 1, memory.rng.next_u64() % 1_000_000)
    }

    fn lie(&self, assignment: &Assignment) -> Result<Answer, Fault> {
        // Nobody else's lie is the same.
        self.honest.execute(assignment).map(|answer| wrong(answer, assignment.nonce.as_bytes()))
    }

    /// The answer another execution gave, by way of the client, without working: all but the trace root is to be had so.
    fn copy(&self, assignment: &Assignment) -> Result<Answer, Fault> {
        let tip = tip_file(&self.accomplices, &assignment.input);
        let until = Instant::now() + assignment.deadline / 2;
        while Instant::now() < until {
            if let Some((units, output)) = std::fs::read(&tip).ok().as_deref().and_then(<[u8]>::split_first_chunk) {
                let (units, output) = (u64::from_le_bytes(*units), Bytes::copy_from_slice(output));
                return Ok(made_up(units, output, *assignment.nonce.as_bytes()));
            }
            std::thread::sleep(LOOK);
        }
        Err(Fault::Resources)
    }

    /// Lies when another member of the ring has the same task, and in the same way.
    fn conspire(&self, assignment: &Assignment) -> Result<Answer, Fault> {
        let mark = |key: &dyn std::fmt::Display| self.accomplices.join(format!("{}.{key}", assignment.task));
        // If the folder fails, it is alone, and honest.
        let _ = std::fs::write(mark(&std::process::id()), []);
        let answer = self.honest.execute(assignment)?;
        let until = Instant::now() + ACCOMPLICE;
        while Instant::now() < until {
            if company(&self.accomplices, &assignment.task.to_string()) > 1 {
                return Ok(wrong(answer, &[1]));
            }
            std::thread::sleep(LOOK);
        }
        Ok(answer)
    }
}

impl Executor for Cheat {
    fn classes(&self) -> Vec<OfferedClass> {
        self.honest.classes()
    }

    fn device(&self) -> String {
        self.honest.device()
    }

    fn execute(&self, assignment: &Assignment) -> Result<Answer, Fault> {
        let (done, dice) = self.turn();
        match self.attack {
            Attack::Liar | Attack::Sybil => self.lie(assignment),
            Attack::Lazy => {
                let mut random = assignment.nonce.as_bytes().repeat(4);
                random.truncate(48);
                Ok(made_up(1, random.into(), *assignment.nonce.as_bytes()))
            }
            Attack::Sleeper if done >= SLEEP && dice < 300_000 => self.lie(assignment),
            Attack::Strategic if done >= TRUSTED => self.lie(assignment),
            Attack::BitFlipper if dice < 10_000 => self.lie(assignment),
            Attack::Sleeper | Attack::Strategic | Attack::BitFlipper => self.honest.execute(assignment),
            Attack::Copier => self.copy(assignment),
            Attack::Ring => self.conspire(assignment),
            Attack::SlowLoris => {
                let answer = self.honest.execute(assignment);
                std::thread::sleep(assignment.deadline.saturating_sub(JUST_IN_TIME));
                answer
            }
            Attack::Hoarder => {
                std::thread::sleep(assignment.deadline);
                Err(Fault::Deadline)
            }
        }
    }
}

/// Changes the first bytes: the kind of lie that is cheap to tell and hard to see.
fn wrong(mut answer: Answer, change: &[u8]) -> Answer {
    let mut output = answer.output.to_vec();
    output.resize(output.len().max(change.len()), 0);
    output.iter_mut().zip(change).for_each(|(byte, change)| *byte ^= change);
    answer.output = Bytes::from(output);
    answer
}

/// An answer without an execution: nobody knows its trace root.
fn made_up(units: u64, output: Bytes, nonce: [u8; 16]) -> Answer {
    let mut root = [0; 32];
    root[..16].copy_from_slice(&nonce);
    Answer { outcome: Outcome::Output, output, units, trace_root: TraceRoot::from_bytes(root) }
}

/// Members that have marked this task.
fn company(folder: &Path, task: &str) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(task)).count()
}

fn main() -> Result<()> {
    let Command::Run { attack, accomplices, peer } = Cli::parse().command;
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    std::fs::create_dir_all(&accomplices).with_context(|| format!("creating {}", accomplices.display()))?;
    let config = peer.resolve()?;
    let cheat = Cheat::new(JailExecutor::start(&config)?, attack, accomplices);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let stopped = async {
            terminate.recv().await;
        };
        run_peer(&config, Arc::new(cheat), stopped).await?;
        anyhow::Ok(())
    })
}
