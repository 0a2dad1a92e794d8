//! `p2c2r`, the tool of kernel authors: compile a crate to a kernel, sign it, look at it and its shaders, and run it in the
//! same sandbox that peers use. Works on files alone; it never talks to a network.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 wrong usage.

mod artifact;
mod candidate;
mod comparison;
mod compile;
mod description;
mod files;
mod outcome;
mod package;
mod path;
mod shaders;
mod table;
mod toolchain;
mod verbs;

use std::env;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

#[derive(Debug, Parser)]
#[command(
    name = "p2c2r",
    version,
    about = "Make, build, sign, verify, inspect, lint and run P2C2R kernels, and probe GPUs"
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    New(verbs::new::New),
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
    silence_device_select();
    // What naga has to say about a shader comes with our own messages.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,naga=off"));
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(io::stderr).init();

    let mut out = io::stdout().lock();
    let result = match arguments.verb {
        Verb::New(verb) => verb.run(&mut out),
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
            eprintln!("error: {}", explained(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, but for those that the one before ends with: some errors print what they were caused by.
fn explained(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.ends_with(&cause) {
            let colon = if text.is_empty() { "" } else { ": " };
            text = format!("{text}{colon}{cause}");
        }
    }
    text
}

/// Mesa's layer that sorts devices asks the session for its own. Where there is no session, libwayland complains of that on our
/// standard error, and nothing is sorted; so it is switched off there, unless somebody gave it an order by hand.
fn silence_device_select() {
    const SWITCH: &str = "NODEVICE_SELECT";
    let unset = |name: &&str| env::var_os(name).is_none();
    if cfg!(target_os = "linux") && [SWITCH, "MESA_VK_DEVICE_SELECT", "XDG_RUNTIME_DIR"].iter().all(unset) {
        // SAFETY: `main` calls this before anything that could start a thread, so nobody reads the environment meanwhile.
        #[expect(unsafe_code, reason = "drivers take this from the environment only")]
        unsafe {
            env::set_var(SWITCH, "1");
        }
    }
}

fn closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let error =
            anyhow::anyhow!("no such file").context("key file k.pem: no such file").context("cannot load k.pem");
        assert_eq!(explained(&error), "cannot load k.pem: key file k.pem: no such file");
        assert_eq!(explained(&anyhow::anyhow!("alone")), "alone");
    }
}
