//! The crate a kernel is compiled from, as cargo sees it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::{Metadata, MetadataCommand, Package as CargoPackage, PackageId, TargetKind};

use crate::toolchain::{TARGET, Toolchain};

/// A kernel's crate.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    /// Cargo's identity of it.
    pub(crate) id: PackageId,
    /// `[package] name`.
    pub(crate) name: String,
    /// `[package] version`.
    pub(crate) version: String,
    /// Its `Cargo.toml`.
    pub(crate) manifest_path: PathBuf,
    /// The `target` folder of its workspace.
    pub(crate) target_dir: PathBuf,
    /// Source folders and what stands for them in the module, later ones inside earlier ones.
    pub(crate) remaps: Vec<(PathBuf, String)>,
}

impl Package {
    /// Asks cargo about the crate in `folder`.
    pub(crate) fn load(folder: &Path, toolchain: &Toolchain) -> Result<Self> {
        let manifest_path = folder.join("Cargo.toml");
        ensure!(
            manifest_path.is_file(),
            "{} has no Cargo.toml; for a module compiled by another tool use --module FILE.wasm",
            folder.display()
        );
        let manifest_path = manifest_path.canonicalize().with_context(|| format!("{}", manifest_path.display()))?;
        let metadata = metadata(&manifest_path, toolchain)?;
        let Some(package) = metadata.packages.iter().find(|p| p.manifest_path.as_std_path() == manifest_path) else {
            bail!("{} is a workspace, not a crate; name the kernel's own folder", folder.display());
        };
        let is_library = |kind: &TargetKind| matches!(kind, TargetKind::Lib | TargetKind::CDyLib | TargetKind::RLib);
        ensure!(
            package.targets.iter().any(|target| target.kind.iter().any(is_library)),
            "package {} has no library; a kernel's code is in src/lib.rs",
            package.name
        );
        Ok(Self {
            id: package.id.clone(),
            name: package.name.to_string(),
            version: package.version.to_string(),
            target_dir: metadata.target_directory.clone().into_std_path_buf(),
            remaps: remaps(&metadata),
            manifest_path,
        })
    }
}

fn metadata(manifest_path: &Path, toolchain: &Toolchain) -> Result<Metadata> {
    // The command of cargo_metadata cannot drop variables of the environment, so only its arguments are used.
    let arguments = MetadataCommand::new()
        .manifest_path(manifest_path)
        .other_options(vec!["--filter-platform".to_owned(), TARGET.to_owned()])
        .cargo_command();
    let output = toolchain.bare_cargo().args(arguments.get_args()).output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    MetadataCommand::parse(String::from_utf8_lossy(&output.stdout)).context("cargo metadata")
}

/// Every folder sources come from, so that none of the author's paths is in the module's bytes.
fn remaps(metadata: &Metadata) -> Vec<(PathBuf, String)> {
    let root = metadata.workspace_root.as_std_path();
    let folder = |package: &CargoPackage| package.manifest_path.as_std_path().parent().map(Path::to_owned);
    let mut registries = BTreeSet::new();
    let mut outside = BTreeSet::new();
    for package in &metadata.packages {
        match folder(package) {
            Some(path) if package.source.is_some() => registries.extend(path.parent().map(Path::to_owned)),
            Some(path) if !path.starts_with(root) => {
                outside.insert((path, format!("/path/{}-{}", package.name, package.version)));
            }
            _ => {}
        }
    }
    let mut remaps: Vec<_> = registries.into_iter().map(|path| (path, "/crates".to_owned())).collect();
    remaps.extend(outside);
    remaps.push((root.to_owned(), "/src".to_owned()));
    remaps
}
