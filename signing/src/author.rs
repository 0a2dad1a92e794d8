//! What an author's tool does to a module: put manifest and shaders in, sign.

use crate::keys::SecretKey;
use crate::limits::SHADERS;
use crate::manifest::{Manifest, ManifestError};
use crate::module::{
    MANIFEST_SECTION, SHADER_SECTION_PREFIX, UnverifiedModule, VerifyError, check_shader, validate, verify_module,
};
use crate::section::{FormatError, HEADER, ShaderError, put_custom, read_sections};
use crate::signature::{KeyId, SIGNATURE_SECTION, SignatureClaim, content_hash, message};
use crate::trust::TrustedKeys;

/// Why manifest and shaders cannot be attached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// The input or the result is not a module of the right form.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The manifest breaks a bound.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A shader has a bad name or size, or two have one name.
    #[error(transparent)]
    Shader(#[from] ShaderError),
    /// Shaders, but no `gpu` table in the manifest.
    #[error("{shaders} shaders, but the manifest has no gpu bounds; add a [gpu] table")]
    ShadersWithoutGpu {
        /// How many.
        shaders: usize,
    },
    /// Not valid WebAssembly.
    #[error("not valid webassembly: {reason}")]
    Invalid {
        /// The validator's reason, with the offset.
        reason: String,
    },
}

/// Why a module cannot be signed: what a verifier would refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Not a module of the right form.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The module would not verify although signed.
    #[error("not fit to sign: {0}")]
    Unfit(#[source] VerifyError),
}

/// Puts `manifest` and `shaders` (name, WGSL text) behind the sections of `wasm`, shaders sorted by name. Replaces what
/// was attached before and drops a signature, which would no longer hold. The same input gives the same bytes.
///
/// # Errors
/// [`AttachError`].
pub fn attach(wasm: &[u8], manifest: &Manifest, shaders: &[(String, String)]) -> Result<Vec<u8>, AttachError> {
    let json = manifest.to_json()?;
    if manifest.gpu.is_none() && !shaders.is_empty() {
        return Err(AttachError::ShadersWithoutGpu { shaders: shaders.len() });
    }
    if shaders.len() > SHADERS {
        return Err(ShaderError::TooMany { count: shaders.len() }.into());
    }
    let mut shaders: Vec<_> = shaders.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    shaders.sort_unstable();
    for (index, (name, text)) in shaders.iter().enumerate() {
        check_shader(name, text.len())?;
        if index > 0 && shaders[index - 1].0 == *name {
            return Err(ShaderError::Duplicate { name: (*name).to_owned() }.into());
        }
    }
    let mut out = Vec::with_capacity(wasm.len() + json.len() + 64);
    out.extend_from_slice(&HEADER);
    for section in read_sections(wasm)? {
        let ours = |n: &str| n == SIGNATURE_SECTION || n == MANIFEST_SECTION || n.starts_with(SHADER_SECTION_PREFIX);
        if !section.custom.is_some_and(ours) {
            out.extend_from_slice(&wasm[section.start..section.end]);
        }
    }
    put_custom(&mut out, MANIFEST_SECTION, &json);
    for (name, text) in shaders {
        put_custom(&mut out, &format!("{SHADER_SECTION_PREFIX}{name}"), text.as_bytes());
    }
    let out = UnverifiedModule::parse(out)?;
    match validate(out.bytes()) {
        Err(VerifyError::Invalid { reason }) => Err(AttachError::Invalid { reason }),
        _ => Ok(out.bytes().to_vec()),
    }
}

/// Signs a module that has a manifest, in place of any signature it had; the sections themselves stay as they are.
/// What this returns verifies against the key's public half.
///
/// # Errors
/// [`SignError`].
pub fn sign_module(wasm: &[u8], key: &SecretKey) -> Result<Vec<u8>, SignError> {
    let module = UnverifiedModule::parse(wasm.to_vec())?;
    let signed = module.signed_bytes();
    let content = content_hash(signed);
    let signer = key.public();
    let claim =
        SignatureClaim { key_id: KeyId::Key(*signer.as_bytes()), content, signature: key.sign(&message(&content)) };
    let mut out = Vec::with_capacity(wasm.len() + 256);
    out.extend_from_slice(&HEADER);
    put_custom(&mut out, SIGNATURE_SECTION, &claim.to_bytes());
    out.extend_from_slice(signed);
    // The pair of this crate's promises: what it signs, it verifies.
    verify_module(out.clone(), &TrustedKeys::from(signer)).map_err(SignError::Unfit)?;
    Ok(out)
}
