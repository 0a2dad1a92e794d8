//! `p2c2r keygen`: a publisher's key pair.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use p2c2r_signing::SecretKey;

use crate::{files, table};

/// Make a key pair to sign kernels with: KEY.pem (secret, PKCS#8) and KEY.pub.pem
#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// File for the secret key; never overwritten
    #[arg(value_name = "KEY.pem")]
    secret: PathBuf,
}

impl Keygen {
    pub(crate) fn run(self, out: &mut impl Write) -> Result<ExitCode> {
        let public_path = files::public_key_path(&self.secret);
        ensure!(
            !public_path.exists(),
            "the public key of {} would go to {}, which exists, and keys are never overwritten; choose another name or move it away",
            self.secret.display(),
            public_path.display()
        );
        let key = SecretKey::generate();
        key.save_new(&self.secret).context("no key was made; choose another name, or move what is there away")?;
        files::write(&public_path, key.public().to_pem().as_bytes())?;
        table::line(
            out,
            "secret key",
            &format!("{} (keep it to yourself; who has it can publish as you)", self.secret.display()),
        )?;
        table::line(
            out,
            "public key",
            &format!("{} (give it to whoever should trust your kernels)", public_path.display()),
        )?;
        table::line(out, "key", &key.public().to_string())?;
        table::line(out, "account", &key.public().account().to_string())?;
        Ok(ExitCode::SUCCESS)
    }
}
