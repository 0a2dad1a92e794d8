//! `p2c2r-coordinator`: runs the coordinator, shows its settings, audits its store.

mod audit;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use p2c2r_coordinator::Coordinator;
use p2c2r_coordinator::config::{Config, LogFormat, Settings};
use tracing_subscriber::EnvFilter;

/// Routes tasks to peers, checks and bills them.
#[derive(Debug, Parser)]
#[command(name = "p2c2r-coordinator", version)]
struct Cli {
    /// Settings in TOML; flags and P2C2R_* variables win over it
    #[arg(long, env = "P2C2R_CONFIG", global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the coordinator (the default)
    Run,
    /// Shows the settings in force
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Checks the store's journal and balances and prints the figures
    Audit {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Prints them as TOML
    Show,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and those causes that its text does not already contain.
fn with_causes(error: &anyhow::Error) -> String {
    error
        .chain()
        .skip(1)
        .map(ToString::to_string)
        .fold(error.to_string(), |text, cause| if text.contains(&cause) { text } else { format!("{text}: {cause}") })
}

fn run(cli: Cli) -> Result<()> {
    let settings = match &cli.config {
        Some(path) => cli.settings.or(Settings::from_file(path)?),
        None => cli.settings,
    };
    match cli.command {
        None | Some(Command::Run) => serve(&settings.finish()?),
        Some(Command::Config(ConfigCommand::Show)) => {
            let text = toml::to_string(&settings.finish()?).context("settings do not turn into TOML")?;
            audit::print(&text)
        }
        Some(Command::Audit { json }) => {
            // An audit needs no certificate.
            let settings = Settings { dev: Some(true), tls_cert: None, tls_key: None, ..settings };
            audit::run(&settings.finish()?, json)
        }
    }
}

fn serve(config: &Config) -> Result<()> {
    start_logging(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no tokio runtime")?;
    let result = runtime.block_on(async {
        let coordinator = Box::pin(Coordinator::start(config)).await?;
        let drain = coordinator.drain_token();
        tokio::spawn(async move {
            match stop_signal().await {
                Ok(name) => tracing::info!(signal = name, "draining"),
                Err(error) => tracing::error!(%error, "no signals; draining"),
            }
            drain.cancel();
        });
        coordinator.ended().await.map_err(anyhow::Error::from)
    });
    // A ledger thread that waits for a full disk must not keep the process alive.
    runtime.shutdown_background();
    result
}

fn start_logging(config: &Config) -> Result<()> {
    let filter = EnvFilter::try_new(&config.log).with_context(|| format!("log is {:?}, no filter", config.log))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match config.log_format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}

#[cfg(unix)]
async fn stop_signal() -> std::io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result.map(|()| "interrupt"),
        _ = terminate.recv() => Ok("terminate"),
    }
}

#[cfg(not(unix))]
async fn stop_signal() -> std::io::Result<&'static str> {
    tokio::signal::ctrl_c().await.map(|()| "interrupt")
}
