//! What `p2c2r run` is asked to run. The sandbox takes verified modules only; a file that is not signed yet is signed
//! here, in memory, by a key that anybody can make, so that an author can try a kernel before publishing it.

use std::path::Path;

use anyhow::{Context, Result, bail};
use p2c2r_signing::signature::KeyId;
use p2c2r_signing::{
    Digest, Limits, Manifest, PublicKey, SecretKey, TrustedKeys, UnverifiedModule, VerifiedModule, attach, limits,
    manifest, sign_module, verify_module,
};

use crate::artifact::Interface;
use crate::files;

/// Reads a module and makes it runnable, saying on standard error what it lacked. With `key` only a kernel signed by
/// that key is accepted.
pub(crate) fn load(path: &Path, key: Option<&str>) -> Result<VerifiedModule> {
    let bytes = files::read_module(path)?;
    let key = key.map(files::public_key).transpose()?;
    verified(bytes, key).with_context(|| format!("{} is refused", path.display()))
}

fn verified(bytes: Vec<u8>, key: Option<PublicKey>) -> Result<VerifiedModule> {
    if let Some(key) = key {
        return Ok(verify_module(bytes, &TrustedKeys::from(key))?);
    }
    let module = UnverifiedModule::parse(bytes)?;
    match module.claim().map(|claim| claim.key_id) {
        // Its author's word for itself: enough to run it here, where the sandbox is what protects this machine.
        Some(KeyId::Key(signer)) => {
            let signer = PublicKey::from_bytes(&signer)?;
            Ok(module.verify(&TrustedKeys::from(signer))?)
        }
        Some(other) => bail!("the signature names {other}; say which key to trust with --key"),
        None => signed_in_memory(&module),
    }
}

fn signed_in_memory(module: &UnverifiedModule) -> Result<VerifiedModule> {
    let with_manifest = if module.manifest_text().is_some() {
        module.bytes().to_vec()
    } else {
        let manifest = default_manifest(&Interface::read(module.bytes())?)?;
        eprintln!("note: no manifest; running with a default one (entry {})", manifest.entry);
        attach(module.bytes(), &manifest, &[])?
    };
    eprintln!("note: not signed; signed in memory with a throw-away key that no peer trusts");
    // Made from the file, so that the same file has the same id, and with it the same seed, on every run.
    let key = SecretKey::from_seed(Digest::of(&with_manifest).as_bytes());
    let signed = sign_module(&with_manifest, &key)?;
    Ok(verify_module(signed, &TrustedKeys::from(key.public()))?)
}

/// For a file straight from a compiler: the largest bounds a manifest may have, so that a first try is not about limits.
fn default_manifest(interface: &Interface) -> Result<Manifest> {
    let (profile, entry) = if interface.exports("p2c2r_main") {
        ("core", "p2c2r_main")
    } else if interface.exports("_start") {
        ("wasi", "_start")
    } else {
        bail!(
            "it has no manifest and exports neither p2c2r_main, as a kernel does, nor _start, as a WASI program does"
        );
    };
    let bounds = Limits {
        memory_bytes: limits::MEMORY_BYTES,
        input_bytes: limits::INPUT_BYTES,
        output_bytes: limits::OUTPUT_BYTES,
        units: limits::UNITS,
    };
    let json = serde_json::json!({
        "name": "unnamed", "version": "0.0.0", "abi": manifest::ABI_VERSION, "publisher": "nobody",
        "profile": profile, "entry": entry, "limits": bounds, "unit": "unit",
    });
    let manifest = Manifest::from_json(json.to_string().as_bytes())?;
    interface.check(&manifest)?;
    Ok(manifest)
}
