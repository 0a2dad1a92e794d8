//! The project as a whole, from the outside: its programs as processes, its kernels as built.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod attack;
mod demo;
mod kernels;
mod split;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Root of the workspace; programs and kernels are built below it.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file that an earlier step of the build makes.
fn built(path: PathBuf) -> PathBuf {
    assert!(path.exists(), "{} is missing: run ./run_tests.sh, which builds it", path.display());
    path
}

/// A run of the network that came to a good end.
struct Ran {
    /// What it wrote as JSON.
    figures: Value,
    /// What it printed.
    shown: String,
    /// Its files.
    _dir: tempfile::TempDir,
}

/// Runs the network, which needs one of the built kernels, with `more` arguments.
fn ran(kernel: &str, more: &[&str]) -> Ran {
    let network = Path::new(env!("CARGO_BIN_EXE_network"));
    let (bin, kernels) = (network.parent().unwrap(), root().join("target/kernels"));
    for program in ["p2c2r-coordinator", "p2c2r-peer", "p2c2r-worker"] {
        built(bin.join(program));
    }
    built(kernels.join(kernel));
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("figures.json");
    let run = Command::new(network)
        .args(["--bin", bin.to_str().unwrap(), "--kernels", kernels.to_str().unwrap()])
        .args(["--dir", dir.path().join("network").to_str().unwrap(), "--json", json.to_str().unwrap()])
        .args(more)
        .output()
        .unwrap();
    let shown = format!("{}\n{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{shown}");
    let figures = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    Ran { figures, shown, _dir: dir }
}
