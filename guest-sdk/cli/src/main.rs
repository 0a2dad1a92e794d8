//! `p2c2r`, the tool of kernel authors: compile a crate to a kernel, sign it, look at it and its shaders, and run it in the
//! same sandbox that peers use. Works on files alone; it never talks to a network.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 wrong usage.
#![forbid(unsafe_code)]

mod artifact;
mod candidate;
mod compile;
mod description;
mod files;
mod package;
mod table;
mod toolchain;
mod verbs;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

#[derive(Debug, Parser)]
#[command(name = "p2c2r", version, about = "Build, sign, verify, inspect and run P2C2R kernels")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Build(verbs::build::Build),
    Keygen(verbs::keygen::Keygen),
    Sign(verbs::sign::Sign),
    Verify(verbs::verify::Verify),
    Inspect(verbs::inspect::Inspect),
    Run(verbs::run::Run),
    Lint(verbs::lint::Lint),
    Probe(verbs::probe::Probe),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();

    let mut out = io::stdout().lock();
    let result = match arguments.verb {
        Verb::Build(verb) => verb.run(&mut out),
        Verb::Keygen(verb) => verb.run(&mut out),
        Verb::Sign(verb) => verb.run(&mut out),
        Verb::Verify(verb) => verb.run(&mut out),
        Verb::Inspect(verb) => verb.run(&mut out),
        Verb::Run(verb) => verb.run(&mut out),
        Verb::Lint(verb) => verb.run(&mut out),
        Verb::Probe(verb) => verb.run(&mut out),
    };
    let result = result.and_then(|code| Ok(out.flush().map(|()| code)?));
    match result {
        Ok(code) => code,
        // Whoever reads our output has seen enough (`p2c2r inspect FILE | head`).
        Err(error) if closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
