//! What an author's tool does to a module: put manifest and shaders in, sign.

use crate::keys::SecretKey;
use crate::limits::SHADERS;
use crate::manifest::{Manifest, ManifestError};
use crate::module::{
    MANIFEST_SECTION, SHADER_SECTION_PREFIX, SIGNER_SECTION, UnverifiedModule, VerifyError, check_shader, validate,
    verify_module,
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
    let ours = |n: &str| {
        n == SIGNATURE_SECTION || n == SIGNER_SECTION || n == MANIFEST_SECTION || n.starts_with(SHADER_SECTION_PREFIX)
    };
    let mut out = HEADER.to_vec();
    out.extend_from_slice(&sections_without(wasm, ours)?);
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

/// Signs a module that has a manifest, in place of any signature it had, and adds the signer section. All other
/// sections stay as they are.
/// What this returns verifies against the key's public half.
///
/// # Errors
/// [`SignError`].
pub fn sign_module(wasm: &[u8], key: &SecretKey) -> Result<Vec<u8>, SignError> {
    let mut sections = sections_without(wasm, |n| n == SIGNATURE_SECTION || n == SIGNER_SECTION)?;
    let signer = key.public();
    put_custom(&mut sections, SIGNER_SECTION, signer.as_bytes());
    let content = content_hash(&sections);
    let signature = key.sign(&message(&content));
    let claim = SignatureClaim { key_id: KeyId::short(signer.as_bytes()), content, signature };
    let mut out = HEADER.to_vec();
    put_custom(&mut out, SIGNATURE_SECTION, &claim.to_bytes());
    out.extend_from_slice(&sections);
    // The pair of this crate's promises: what it signs, it verifies.
    verify_module(out.clone(), &TrustedKeys::from(signer)).map_err(SignError::Unfit)?;
    Ok(out)
}

/// All sections of a well-formed module as they stand, but for custom ones whose name `drop` takes.
fn sections_without(wasm: &[u8], drop: impl Fn(&str) -> bool) -> Result<Vec<u8>, FormatError> {
    let sections = read_sections(wasm)?;
    let kept = sections.iter().filter(|s| !s.custom.is_some_and(&drop));
    Ok(kept.flat_map(|s| &wasm[s.start..s.end]).copied().collect())
}
