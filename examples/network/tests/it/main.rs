//! The project as a whole, from the outside: its programs as processes, its kernels as built.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod attack;
mod demo;
mod kernels;
mod split;

use std::path::{Path, PathBuf};

/// Root of the workspace; programs and kernels are built below it.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A file that an earlier step of the build makes.
fn built(path: PathBuf) -> PathBuf {
    assert!(path.exists(), "{} is missing: run ./run_tests.sh, which builds it", path.display());
    path
}
