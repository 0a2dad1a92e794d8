//! Compiling a crate to a bare WebAssembly module, so that the same sources and compiler give the same bytes wherever
//! they lie.

use std::ffi::OsString;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use cargo_metadata::Message;

use crate::package::Package;
use crate::toolchain::Toolchain;

/// The profile `kernel`, for crates whose workspace does not define it: small, fast, nothing that unwinds.
const PROFILE: [&str; 8] = [
    "profile.kernel.inherits=\"release\"",
    "profile.kernel.opt-level=3",
    "profile.kernel.panic=\"abort\"",
    "profile.kernel.lto=\"fat\"",
    "profile.kernel.codegen-units=1",
    "profile.kernel.strip=true",
    "profile.kernel.debug=false",
    "profile.kernel.incremental=false",
];

/// Compiles the package's library as one module and returns cargo's file. Cargo's progress goes to standard error.
pub(crate) fn compile(package: &Package, toolchain: &Toolchain, target_dir: &Path, quiet: bool) -> Result<PathBuf> {
    let mut cargo = toolchain.cargo("rustc");
    cargo
        .args(["--profile", "kernel", "--lib", "--crate-type", "cdylib", "--message-format", "json-render-diagnostics"])
        .args(PROFILE.iter().flat_map(|setting| ["--config", setting]))
        .arg("--manifest-path")
        .arg(&package.manifest_path)
        .arg("--target-dir")
        .arg(target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(package, toolchain, target_dir))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    if quiet {
        cargo.arg("--quiet");
    }
    let mut child = cargo.spawn().context("cannot start cargo")?;
    let stdout = child.stdout.take().context("cargo has no output")?;
    let mut module = None;
    for message in Message::parse_stream(BufReader::new(stdout)) {
        if let Message::CompilerArtifact(artifact) = message.context("cannot read cargo's messages")?
            && artifact.package_id == package.id
        {
            module = artifact.filenames.into_iter().find(|path| path.extension() == Some("wasm")).or(module);
        }
    }
    let status = child.wait().context("cannot wait for cargo")?;
    ensure!(status.success(), "package {} does not compile; cargo's messages are above", package.name);
    let module = module.with_context(|| format!("cargo made no module of package {}", package.name))?;
    Ok(module.into_std_path_buf())
}

/// Flags as `CARGO_ENCODED_RUSTFLAGS` takes them: separated by 0x1f, so that paths may have spaces.
fn rustflags(package: &Package, toolchain: &Toolchain, target_dir: &Path) -> OsString {
    let mut flags = OsString::from(
        // Foreign crates get their randomness from p2c2r-guest, see its `random` module.
        "--cfg\x1fgetrandom_backend=\"custom\"\x1f-Ctarget-feature=+simd128",
    );
    // The last match wins, so what lies inside something else comes after it.
    let inner = [(target_dir.to_owned(), "/target".to_owned())];
    let outer = [(toolchain.sysroot().to_owned(), "/rustc".to_owned())];
    for (from, to) in outer.iter().chain(&package.remaps).chain(&inner) {
        flags.push("\x1f--remap-path-prefix=");
        flags.push(from);
        flags.push("=");
        flags.push(to);
    }
    flags
}
