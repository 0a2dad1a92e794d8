//! `p2c2r new`: the folder of a kernel that works, to be changed from there.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use p2c2r_signing::limits::NAME_BYTES;

use crate::{files, table};

/// Path in the kernel's folder, and text with `NAME`, `IDENT` (the name as Rust has it) and `SDK` to be filled in.
type Template = &'static [(&'static str, &'static str)];

const EACH: Template = &[
    ("Cargo.toml", include_str!("../../templates/crate.toml")),
    (".gitignore", "target/\n"),
    ("examples/task.rs", include_str!("../../templates/task.rs")),
];

const PLAIN: Template = &[
    ("p2c2r.toml", include_str!("../../templates/plain/p2c2r.toml")),
    ("src/lib.rs", include_str!("../../templates/plain/lib.rs")),
    ("tests/kernel.rs", include_str!("../../templates/plain/test.rs")),
];

const GPU: Template = &[
    ("p2c2r.toml", include_str!("../../templates/gpu/p2c2r.toml")),
    ("src/lib.rs", include_str!("../../templates/gpu/lib.rs")),
    ("shaders/mix.wgsl", include_str!("../../templates/gpu/mix.wgsl")),
    ("tests/kernel.rs", include_str!("../../templates/gpu/test.rs")),
];

/// Make the folder of a new kernel, which builds, passes its tests and runs as it is
#[derive(Debug, Args)]
pub(crate) struct New {
    /// The folder, which must not exist; its last part names the kernel
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// With an exact shader
    #[arg(long)]
    gpu: bool,
    /// The guest SDK, folder guest-sdk of a checkout of P2C2R [default: the nearest above DIR]
    #[arg(long, value_name = "SDK")]
    sdk: Option<PathBuf>,
}

impl New {
    pub(crate) fn run(self, out: &mut impl Write) -> Result<ExitCode> {
        let folder = self.folder.display();
        ensure!(!self.folder.exists(), "{folder} exists; name a folder that does not");
        let name = self.folder.file_name().and_then(|name| name.to_str()).filter(|name| is_name(name));
        let name = name.with_context(|| {
            format!(
                "{folder} names no kernel: its last part is a letter a-z, then a-z 0-9 -, at most {NAME_BYTES} bytes"
            )
        })?;
        let sdk = self.sdk()?;
        for (path, text) in EACH.iter().chain(if self.gpu { GPU } else { PLAIN }) {
            let text = text.replace("IDENT", &name.replace('-', "_")).replace("NAME", name).replace("SDK", &sdk);
            files::write(&self.folder.join(path), text.as_bytes())?;
        }
        table::line(out, "made", &folder.to_string())?;
        table::line(out, "next", &format!("cd {folder} && cargo test\np2c2r build {folder}"))?;
        Ok(ExitCode::SUCCESS)
    }

    /// The SDK as the new `Cargo.toml` names it.
    fn sdk(&self) -> Result<String> {
        let has_sdk = |folder: &Path| folder.join("src/lib.rs").is_file() && folder.join("abi").is_dir();
        if let Some(sdk) = &self.sdk {
            ensure!(has_sdk(sdk), "{} is not the guest SDK; name the folder guest-sdk of a checkout", sdk.display());
            return in_toml(&sdk.canonicalize()?);
        }
        let above = std::path::absolute(&self.folder)?;
        let steps = above.ancestors().skip(1).position(|folder| has_sdk(&folder.join("guest-sdk")));
        let steps = steps.with_context(|| {
            format!("there is no folder guest-sdk above {}; name that of a checkout with --sdk", self.folder.display())
        })?;
        in_toml(&Path::new(&"../".repeat(steps + 1)).join("guest-sdk"))
    }
}

/// As manifests have it.
fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// Between double quotes.
fn in_toml(path: &Path) -> Result<String> {
    let text = path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
    Ok(text.replace('\\', "\\\\").replace('"', "\\\""))
}
