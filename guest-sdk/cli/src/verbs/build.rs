//! `p2c2r build`: sources to an unsigned kernel.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use p2c2r_signing::{Digest, Manifest, attach};

use crate::artifact::Interface;
use crate::compile::compile;
use crate::description::{Defaults, read_manifest};
use crate::package::Package;
use crate::shaders::Shaders;
use crate::toolchain::{Choice, Toolchain};
use crate::{files, table};

/// Compile kernels: a crate with p2c2r.toml (and shaders/*.wgsl) becomes one unsigned .wasm file
#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Folders of the kernels, each with p2c2r.toml
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// Write the kernel here [default: TARGET_DIR/kernels/NAME.wasm]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Folder for all that is built; CARGO_TARGET_DIR is not looked at [default: the target folder of the crate's workspace]
    #[arg(long, value_name = "TARGET_DIR")]
    target_dir: Option<PathBuf>,
    /// Which compiler to use
    #[arg(long, value_enum, default_value_t, conflicts_with = "module")]
    toolchain: Choice,
    /// Do not compile: attach p2c2r.toml and the shaders to this module (C, C++, Zig, Go, ...)
    #[arg(long, value_name = "FILE")]
    module: Option<PathBuf>,
    /// Print errors only
    #[arg(long, short)]
    quiet: bool,
}

impl Build {
    pub(crate) fn run(self, out: &mut impl Write) -> Result<ExitCode> {
        let one = self.folders.len() == 1;
        ensure!(one || self.out.is_none(), "--out takes one DIR; without it each kernel gets a file of its own");
        ensure!(one || self.module.is_none(), "--module takes one DIR");
        for folder in &self.folders {
            ensure!(folder.is_dir(), "{} is not a folder; name the one with the kernel's p2c2r.toml", folder.display());
            let built = match &self.module {
                Some(module) => self.attach_to(folder, module)?,
                None => self.compile(folder)?,
            };
            let path = self.write(folder, &built)?;
            if !self.quiet {
                let size = table::bytes(built.kernel.len() as u64);
                let (name, version) = (&built.manifest.name, &built.manifest.version);
                let digest = Digest::of(&built.kernel);
                writeln!(out, "{name} {version}: {}, {size}, unsigned, blake3 {digest}", path.display())?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn compile(&self, folder: &Path) -> Result<Built> {
        let toolchain = Toolchain::find(self.toolchain, folder)?;
        let package = Package::load(folder, &toolchain)?;
        let defaults = Defaults { name: &package.name, version: &package.version };
        // Before the minute that compiling may take.
        let manifest = read_manifest(folder, Some(defaults))?;
        let shaders = self.shaders(folder, &manifest)?;
        let target_dir = self.target_dir(&package.target_dir)?;
        if !self.quiet {
            eprintln!("building {} with {toolchain}", manifest.name);
        }
        let module = compile(&package, &toolchain, &target_dir.join("kernels-build"), self.quiet)?;
        Built::new(files::read_module(&module)?, manifest, &shaders, target_dir)
    }

    fn attach_to(&self, folder: &Path, module: &Path) -> Result<Built> {
        let manifest = read_manifest(folder, None)?;
        let shaders = self.shaders(folder, &manifest)?;
        let target_dir = self.target_dir(&folder.join("target"))?;
        Built::new(files::read_module(module)?, manifest, &shaders, target_dir)
    }

    fn shaders(&self, folder: &Path, manifest: &Manifest) -> Result<Vec<(String, String)>> {
        let Shaders { texts, warnings } = Shaders::read(folder, manifest)?;
        for warning in warnings.iter().filter(|_| !self.quiet) {
            eprintln!("warning: {warning}");
        }
        Ok(texts)
    }

    /// Absolute and without links, as the compiler sees it.
    fn target_dir(&self, default: &Path) -> Result<PathBuf> {
        let folder = self.target_dir.as_deref().unwrap_or(default);
        let context = || format!("cannot make {}", folder.display());
        fs::create_dir_all(folder).with_context(context)?;
        folder.canonicalize().with_context(context)
    }

    fn write(&self, folder: &Path, built: &Built) -> Result<PathBuf> {
        let default = || built.target_dir.join("kernels").join(format!("{}.wasm", built.manifest.name));
        let path = self.out.clone().unwrap_or_else(default);
        files::write(&path, &built.kernel).with_context(|| format!("kernel of {}", folder.display()))?;
        Ok(path)
    }
}

/// A kernel in memory, and where it would go.
struct Built {
    kernel: Vec<u8>,
    manifest: Manifest,
    target_dir: PathBuf,
}

impl Built {
    fn new(wasm: Vec<u8>, manifest: Manifest, shaders: &[(String, String)], target_dir: PathBuf) -> Result<Self> {
        Interface::read(&wasm)?.check(&manifest)?;
        let kernel = attach(&wasm, &manifest, shaders).context("cannot attach manifest and shaders")?;
        Ok(Self { kernel, manifest, target_dir })
    }
}
