//! `p2c2r sign`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use p2c2r_runtime::gpu::check_shaders;
use p2c2r_signing::{
    ModuleId, SecretKey, SignError, TrustedKeys, UnverifiedModule, VerifyError, sign_module, verify_module,
};

use crate::shaders::Verdict;
use crate::{files, table};

/// Sign kernels with a publisher's key, in place or to another file
#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// Kernels, as `p2c2r build` writes them
    #[arg(value_name = "FILE.wasm", required = true)]
    modules: Vec<PathBuf>,
    /// The publisher's secret key
    #[arg(long, value_name = "KEY.pem")]
    key: PathBuf,
    /// Write the signed kernel here instead of over FILE.wasm
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Sign {
    pub(crate) fn run(self, out: &mut impl Write) -> Result<ExitCode> {
        ensure!(self.out.is_none() || self.modules.len() == 1, "--out takes one FILE.wasm");
        let key = self.load_key()?;
        for path in &self.modules {
            let signed = sign_module(&files::read_module(path)?, &key).map_err(|error| explain(path, error))?;
            // Peers refuse what is wrong with them; here somebody can still put it right.
            let module = verify_module(signed.clone(), &TrustedKeys::from(key.public()))?;
            let context = || format!("cannot sign {}", path.display());
            Verdict::of_module(&UnverifiedModule::parse(signed.clone())?)
                .check(module.manifest())
                .with_context(context)?;
            check_shaders(&module).with_context(context)?;
            let to = self.out.as_ref().unwrap_or(path);
            files::write(to, &signed)?;
            table::line(out, "signed", &to.display().to_string())?;
            table::line(out, "id", &ModuleId::of(&signed).to_string())?;
            table::line(out, "by", &key.public().to_string())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn load_key(&self) -> Result<SecretKey> {
        let missing = if self.key.exists() { "" } else { "; make one with: p2c2r keygen KEY.pem" };
        SecretKey::load(&self.key).with_context(|| format!("cannot load key {}{missing}", self.key.display()))
    }
}

fn explain(path: &std::path::Path, error: SignError) -> anyhow::Error {
    let fix = match &error {
        SignError::Unfit(VerifyError::NoManifest) => {
            "; attach one with: p2c2r build DIR, or: p2c2r build DIR --module FILE"
        }
        _ => "",
    };
    anyhow::anyhow!("cannot sign {}: {error}{fix}", path.display())
}
