//! `p2c2r-peer`: what a GPU owner runs.
#![expect(clippy::print_stdout, reason = "a command line program answers on standard output")]

use std::io::IsTerminal;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use p2c2r_peer::{Diagnosis, Earnings, JailExecutor, PeerConfig, RunArgs, Status, benchmark, limits, run_peer, target};
use p2c2r_protocol::message::{PeerToServer, ServerToPeer};
use p2c2r_runtime::GpuPolicy;
use p2c2r_transport::{PeerSide, connect};
use tracing_subscriber::EnvFilter;

/// Runs signed kernels for the P2C2R network in a sandbox, and earns.
#[derive(Parser)]
#[command(name = "p2c2r-peer", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Connect, take work, earn, until stopped (Ctrl-C or SIGTERM)
    Run(RunArgs),
    /// Show what the peer does, why it is paused, and what it earned
    Status {
        #[command(flatten)]
        args: RunArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the account's figures; asks the coordinator if the peer is not running
    Earnings {
        #[command(flatten)]
        args: RunArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what stands between strangers' kernels and this machine, and what it has to offer
    Doctor {
        /// Leave the GPU alone
        #[arg(long)]
        no_gpu: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Measure this machine
    Benchmark,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,wgpu_core=warn,wgpu_hal=warn"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).init();
    // Quick attempts run on the network's thread, and not every system gives the main thread the stack they may use.
    let thread = std::thread::Builder::new().name("network".to_owned()).stack_size(limits::WORKER_STACK_BYTES);
    let ended = thread.spawn(move || execute(cli.command))?.join();
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn execute(command: Command) -> Result<()> {
    // Attempts have threads of their own: one thread for the network is the shortest way through it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match command {
        Command::Run(args) => runtime.block_on(run(args.resolve()?)),
        Command::Status { args, json } => {
            let status = Status::read(&args.data()?)?;
            println!("{}", if json { serde_json::to_string_pretty(&status)? } else { status.to_string() });
            Ok(())
        }
        Command::Earnings { args, json } => {
            let running =
                Status::read(&args.data()?).ok().filter(Status::is_running).and_then(|status| status.earnings);
            let earnings = match running {
                Some(earnings) => earnings,
                None => runtime.block_on(ask(&args.resolve()?))?,
            };
            println!("{}", if json { serde_json::to_string_pretty(&earnings)? } else { earnings.to_string() });
            Ok(())
        }
        Command::Doctor { no_gpu, json } => {
            let diagnosis = Diagnosis::make(if no_gpu { GpuPolicy::Off } else { GpuPolicy::Auto })?;
            println!("{}", if json { serde_json::to_string_pretty(&diagnosis)? } else { diagnosis.to_string() });
            anyhow::ensure!(diagnosis.protected(), "not all protections are on");
            Ok(())
        }
        Command::Benchmark => {
            println!("{} operations per microsecond on one thread", benchmark::measure(limits::BENCHMARK));
            Ok(())
        }
    }
}

async fn run(config: PeerConfig) -> Result<()> {
    let executor = Arc::new(JailExecutor::start(&config).context("setting up the jail")?);
    let stop = stop_signal()?;
    Box::pin(run_peer(&config, executor, stop)).await?;
    Ok(())
}

/// Asks the coordinator for the account's figures without offering work.
async fn ask(config: &PeerConfig) -> Result<Earnings> {
    let (_, sender, mut receiver) = Box::pin(connect::<PeerSide>(&target(config)?)).await?;
    sender.send(&PeerToServer::QueryEarnings, &[])?;
    // Settlements may come first; the answer is bounded by the connection's own idle limit.
    for _ in 0..1000 {
        if let ServerToPeer::Earnings { balance, earned, agreed, outvoted } = receiver.next().await?.0 {
            return Ok(Earnings {
                balance_nano_usd: balance.nano_usd(),
                earned_nano_usd: earned.nano_usd(),
                votes_agreed: agreed,
                votes_outvoted: outvoted,
            });
        }
    }
    bail!("the coordinator did not answer")
}

#[cfg(unix)]
fn stop_signal() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> Result<impl Future<Output = ()>> {
    Ok(async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::error!(%error, "cannot wait for Ctrl-C");
            std::future::pending().await
        }
    })
}
