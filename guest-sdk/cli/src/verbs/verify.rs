//! `p2c2r verify`: the check every peer makes.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use p2c2r_signing::{TrustedKeys, verify_module};

use crate::{files, table};

/// Check that kernels are signed by a trusted key and unchanged, as every peer does
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Signed kernels
    #[arg(value_name = "FILE.wasm", required = true)]
    modules: Vec<PathBuf>,
    /// Trusted public key: a .pub.pem file or 64 hex digits; may be given several times
    #[arg(long = "key", value_name = "KEY", required = true)]
    keys: Vec<String>,
}

impl Verify {
    pub(crate) fn run(self, out: &mut impl Write) -> Result<ExitCode> {
        let keys = self.keys.iter().map(|key| files::public_key(key)).collect::<Result<Vec<_>>>()?;
        let trusted = TrustedKeys::new(keys)?;
        for path in &self.modules {
            let module = verify_module(files::read_module(path)?, &trusted)
                .with_context(|| format!("{} is refused", path.display()))?;
            table::line(out, "verified", &path.display().to_string())?;
            table::line(out, "kernel", &format!("{} {}", module.manifest().name, module.manifest().version))?;
            table::line(out, "id", &module.id().to_string())?;
            table::line(out, "signed by", &module.signer().to_string())?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
