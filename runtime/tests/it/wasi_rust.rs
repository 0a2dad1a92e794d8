//! A Rust program that knows nothing of P2C2R, with all of its standard library, in the `wasi` profile.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use p2c2r_runtime::Attempt;
use p2c2r_signing::{Outcome, TrapCode};

use crate::kit::{load_program, run_program, sandbox};

const TARGET: &str = "wasm32-wasip1";

/// What `scripts/setup.sh` sets up, and how to say that it is missing.
const NEEDED: &str = "Rust for wasm32-wasip1 (rustup target add wasm32-wasip1; or Debian: rustc-web cargo-web rust-web-src, \
    and clang with wasi-libc)";

/// The program in `file` compiled; `None`, having said so, where there is no compiler and none is required.
fn compile(file: &Path) -> Option<Vec<u8>> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(&rustc);
    let wasm = if sysroot(&rustc).is_some_and(|root| root.join("lib/rustlib").join(TARGET).join("lib").is_dir()) {
        with_ready_library(&mut command, file)
    } else if sysroot("/usr/bin/rustc".as_ref()).is_some_and(|root| root.join("lib/rustlib/src/rust/library").is_dir())
    {
        command = Command::new("/usr/bin/cargo");
        with_library_from_source(&mut command, file)
    } else {
        assert!(std::env::var_os("P2C2R_REQUIRE_WASI_RUST").is_none(), "no {NEEDED}");
        eprintln!("SKIPPED: no {NEEDED}");
        return None;
    };
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(fs::read(wasm).unwrap())
}

fn sysroot(rustc: &OsStr) -> Option<PathBuf> {
    let output = Command::new(rustc).args(["--print", "sysroot"]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().into())
}

/// The compiler in use, where rustup has installed the target's library: a second.
fn with_ready_library(rustc: &mut Command, file: &Path) -> PathBuf {
    let wasm = Path::new(env!("CARGO_TARGET_TMPDIR")).join("words.wasm");
    rustc.args(["--edition", "2024", "-O", "--target", TARGET, "-o"]).arg(&wasm).arg(file);
    wasm
}

/// Debian's compiler, which builds the library before: 40 s, but the first time only.
fn with_library_from_source(cargo: &mut Command, file: &Path) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("words");
    fs::create_dir_all(dir.join("src")).unwrap();
    fs::copy(file, dir.join("src/main.rs")).unwrap();
    let manifest = "[package]\nname = \"words\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(dir.join("Cargo.toml"), manifest).unwrap();
    // What the cargo that runs this test says to its programs is not for another one.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text != "CARGO_HOME" && (text.starts_with("CARGO") || text.starts_with("RUST") || text == "LD_LIBRARY_PATH")
        {
            cargo.env_remove(&name);
        }
    }
    cargo
        .current_dir(&dir)
        .args(["build", "--release", "--target", TARGET, "-Zbuild-std=std,panic_abort", "-Zbuild-std-features="])
        .envs([("RUSTC", "/usr/bin/rustc"), ("RUSTC_BOOTSTRAP", "1"), ("CARGO_TARGET_WASM32_WASIP1_LINKER", "clang")])
        .env("CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS", "-Clink-self-contained=no -Clink-arg=--target=wasm32-wasi");
    dir.join("target").join(TARGET).join("release/words.wasm")
}

#[test]
fn a_rust_program_runs_and_finds_no_world() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/words.rs");
    let Some(wasm) = compile(&source) else { return };
    let kernel = load_program(&wasm);
    let text = "the quick brown fox jumps over the lazy dog while The CAT sleeps na\u{ef}vely\n\non the mat";

    let first = run_program(&kernel, text.as_bytes());
    assert_eq!(first.outcome, Outcome::Output, "{:?}", first.log);
    let output = String::from_utf8(first.output).unwrap();
    let (hashed, sorted) = output.split_once('\n').unwrap();
    assert_eq!(
        sorted,
        "brown     1 x 0x0005    1.000\ncat       1 x 0x0003    1.000\ndog       1 x 0x0003    1.000\n\
         fox       1 x 0x0003    1.000\njumps     1 x 0x0005    1.000\nlazy      1 x 0x0004    1.000\n\
         mat       1 x 0x0003    1.000\nna\u{ef}vely   1 x 0x0007    1.000\non        1 x 0x0002    1.000\n\
         over      1 x 0x0004    1.000\nquick     1 x 0x0005    1.000\nsleeps    1 x 0x0006    1.000\n\
         the       4 x 0x0003    2.000\nwhile     1 x 0x0005    1.000\n"
    );
    let log: Vec<_> = first.log.iter().map(|line| line.text.as_str()).collect();
    // 2000-01-01 00:00:00 UTC.
    assert_eq!(log[0], "0 arguments, 0 variables, 946684800 s, slept 3600 s");
    for (line, what) in log[1..].iter().zip(["read", "write", "list", "connect"]) {
        // In the words of the standard library, whose release is not ours to choose.
        assert!(line.starts_with(&format!("{what}: ")) && *line != format!("{what}: works"), "{line}");
    }
    assert_eq!(log.len(), 5);

    // The keys of its hash tables are random, and a function of the task's seed.
    let seeded = sandbox().run(&kernel, Attempt { seed: [1; 32], ..Attempt::new(text) }).unwrap();
    let seeded = String::from_utf8(seeded.output).unwrap();
    let (other, same) = seeded.split_once('\n').unwrap();
    assert_eq!(same, sorted);
    assert_ne!(other, hashed);

    assert_eq!(run_program(&kernel, b"").outcome, Outcome::Failed(3));
    let panicked = run_program(&kernel, b"once Once");
    assert_eq!(panicked.outcome, Outcome::Trap(TrapCode::Unreachable));
    assert!(panicked.log.iter().any(|line| line.text.contains("one word")), "{:?}", panicked.log);
    // An error that `main` returns.
    assert_eq!(run_program(&kernel, b"not \xff utf-8").outcome, Outcome::Failed(1));
}
