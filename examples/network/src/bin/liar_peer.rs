//! A peer that lies: it runs every attempt honestly, then changes the answer before it votes. It shows that lying does
//! not pay, on the same connection, journal and verification code as the shipped peer, which has no such mode.

use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use p2c2r_peer::{Answer, Assignment, Executor, JailExecutor, RunArgs, run_peer};
use p2c2r_protocol::message::{Fault, OfferedClass};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The same command line as `p2c2r-peer`, as far as the demo uses it.
#[derive(Subcommand)]
enum Command {
    /// Connect and lie.
    Run(RunArgs),
}

struct Liar(JailExecutor);

impl Executor for Liar {
    fn classes(&self) -> Vec<OfferedClass> {
        self.0.classes()
    }

    fn device(&self) -> String {
        self.0.device()
    }

    /// Flips a bit of the first byte: the kind of lie that is cheap to tell and hard to see.
    fn execute(&self, assignment: &Assignment) -> Result<Answer, Fault> {
        let mut answer = self.0.execute(assignment)?;
        let mut output = answer.output.to_vec();
        match output.first_mut() {
            Some(byte) => *byte ^= 1,
            None => output.push(0),
        }
        answer.output = Bytes::from(output);
        Ok(answer)
    }
}

fn main() -> Result<()> {
    let Command::Run(args) = Cli::parse().command;
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let config = args.resolve()?;
    let executor = JailExecutor::start(&config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let stopped = async {
            terminate.recv().await;
        };
        run_peer(&config, Arc::new(Liar(executor)), stopped).await?;
        anyhow::Ok(())
    })
}
