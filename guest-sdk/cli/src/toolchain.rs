//! Finding a compiler for WebAssembly. There are two natural ones: the toolchain in use with rustup's ready-made
//! standard library, and Debian's compiler, which comes without one but can build it from Debian's library sources.
//! `scripts/setup.sh` looks for the same two.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

/// What kernels compile to.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_LINKERS: [&str; 3] = ["wasm-ld-19", "wasm-ld", "rust-lld"];

/// Which toolchain an author asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Choice {
    /// The first of the two that is there.
    #[default]
    Auto,
    /// The active toolchain, with the target added by rustup.
    Rustup,
    /// Debian's /usr/bin/rustc, building the standard library from source.
    Debian,
}

/// A compiler that can build kernels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Toolchain {
    cargo: PathBuf,
    rustc: PathBuf,
    sysroot: PathBuf,
    version: String,
    library: Library,
}

/// Where the standard library comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Library {
    /// It is installed for the target.
    Installed,
    /// Cargo builds it from the compiler's library sources and links with this linker.
    FromSource { linker: PathBuf },
}

impl Toolchain {
    /// Finds a toolchain for the crate in `folder`, whose `rust-toolchain.toml` counts.
    pub(crate) fn find(choice: Choice, folder: &Path) -> Result<Self> {
        let rustup = || Self::rustup(folder);
        let found = match choice {
            Choice::Auto => rustup().or_else(Self::debian),
            Choice::Rustup => rustup(),
            Choice::Debian => Self::debian(),
        };
        let Some(toolchain) = found else {
            let rustup = format!("run `rustup target add {TARGET}`");
            let debian = "`apt-get install rustc-web cargo-web rust-web-src lld-19`";
            match choice {
                Choice::Auto => bail!("no {TARGET} compiler was found: {rustup}, or on Debian {debian}"),
                Choice::Rustup => bail!("the active toolchain has no {TARGET} library: {rustup}"),
                Choice::Debian => {
                    bail!("Debian's compiler, its library sources or its linker are missing: run {debian}")
                }
            }
        };
        Ok(toolchain)
    }

    fn rustup(folder: &Path) -> Option<Self> {
        let rustc = env::var_os("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
        let sysroot = sysroot(&rustc, folder)?;
        let version = version(&rustc, folder)?;
        let installed = sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir();
        installed.then(|| Self { cargo: "cargo".into(), rustc, sysroot, version, library: Library::Installed })
    }

    fn debian() -> Option<Self> {
        let (rustc, cargo) = (PathBuf::from(DEBIAN_RUSTC), PathBuf::from(DEBIAN_CARGO));
        if !rustc.is_file() || !cargo.is_file() {
            return None;
        }
        let sysroot = sysroot(&rustc, Path::new("."))?;
        if !sysroot.join("lib/rustlib/src/rust/library/Cargo.toml").is_file() {
            return None;
        }
        let linker = DEBIAN_LINKERS.iter().find_map(|name| in_path(name))?;
        let version = version(&rustc, Path::new("."))?;
        Some(Self { cargo, rustc, sysroot, version, library: Library::FromSource { linker } })
    }

    /// Where compiler and libraries are installed.
    pub(crate) fn sysroot(&self) -> &Path {
        &self.sysroot
    }

    /// Cargo of this toolchain, with environment and flags set so that it compiles for [`TARGET`].
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        let mut cargo = self.bare_cargo();
        cargo.args([subcommand, "--target", TARGET]);
        if let Library::FromSource { linker } = &self.library {
            // The features of std that are left out are backtraces and unwinding, which no kernel has.
            cargo.args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features="]);
            cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        cargo
    }

    /// Cargo of this toolchain with the environment alone set.
    pub(crate) fn bare_cargo(&self) -> Command {
        let mut cargo = Command::new(&self.cargo);
        // Flags of the author's shell are for programs, not for kernels: they would change the bytes.
        for name in ["RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"] {
            cargo.env_remove(name);
        }
        if matches!(self.library, Library::FromSource { .. }) {
            cargo.env("RUSTC", &self.rustc).env("RUSTC_BOOTSTRAP", "1");
            for name in ["RUSTUP_TOOLCHAIN", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTDOC", "LD_LIBRARY_PATH"] {
                cargo.env_remove(name);
            }
        }
        cargo
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.library {
            Library::Installed => write!(f, "{} with its installed {TARGET} library", self.version),
            Library::FromSource { linker } => {
                write!(f, "{} ({DEBIAN_RUSTC}), std from its sources, {}", self.version, linker.display())
            }
        }
    }
}

fn sysroot(rustc: &Path, folder: &Path) -> Option<PathBuf> {
    answer(rustc, &["--print", "sysroot"], folder).map(PathBuf::from)
}

/// `rustc 1.95.0`
fn version(rustc: &Path, folder: &Path) -> Option<String> {
    let text = answer(rustc, &["--version"], folder)?;
    Some(text.split(' ').take(2).collect::<Vec<_>>().join(" "))
}

fn answer(program: &Path, arguments: &[&str], folder: &Path) -> Option<String> {
    let output = Command::new(program).args(arguments).current_dir(folder).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

fn in_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}
