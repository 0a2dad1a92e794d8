//! Modules as peers get them: signed, here with a key that nobody keeps.

use anyhow::Result;
use p2c2r_signing::{Manifest, SecretKey, TrustedKeys, VerifiedModule, attach, sign_module, verify_module};

/// Signs modules and trusts itself.
pub(crate) struct Author {
    key: SecretKey,
    trusted: TrustedKeys,
}

impl Author {
    pub(crate) fn new() -> Self {
        let key = SecretKey::generate();
        let trusted = TrustedKeys::from(key.public());
        Self { key, trusted }
    }

    /// Signs a module that has its manifest.
    pub(crate) fn sign(&self, wasm: &[u8]) -> Result<Vec<u8>> {
        Ok(sign_module(wasm, &self.key)?)
    }

    /// What a peer does with the bytes first.
    pub(crate) fn verify(&self, signed: Vec<u8>) -> Result<VerifiedModule> {
        Ok(verify_module(signed, &self.trusted)?)
    }

    /// Both at once.
    pub(crate) fn module(&self, wasm: &[u8]) -> Result<VerifiedModule> {
        self.verify(self.sign(wasm)?)
    }
}

/// `text` compiled and with its manifest: a small kernel.
pub(crate) fn assemble(text: &str, manifest: &str) -> Result<Vec<u8>> {
    Ok(attach(&wat::parse_str(text)?, &Manifest::from_json(manifest.as_bytes())?, &[])?)
}
