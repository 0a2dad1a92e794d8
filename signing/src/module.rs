//! A kernel's file: one ordinary WebAssembly module with its manifest and shaders in custom sections and its signature
//! in front. Bytes become an [`UnverifiedModule`] (structure, nothing believed) and that a [`VerifiedModule`]; there is
//! no other way to one.

use core::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::id::ModuleId;
use crate::keys::{PublicKey, SignatureError};
use crate::limits::{MANIFEST_BYTES, NAME_BYTES, SHADER_BYTES, SHADERS};
use crate::manifest::{Manifest, ManifestError};
use crate::section::{FormatError, HEADER, Reader, ShaderError, read_sections};
use crate::signature::{DELIMITER_SECTION, KeyId, SIGNATURE_SECTION, SignatureClaim, content_hash, message};
use crate::trust::TrustedKeys;

/// Custom section with the manifest's JSON text.
pub const MANIFEST_SECTION: &str = "p2c2r.manifest";

/// Custom section with the 32 bytes of the signer's public key: for people and tools, as a signature section has only room
/// for a short key id. Optional; a module that names another key than the one that signed it is refused.
pub const SIGNER_SECTION: &str = "p2c2r.signer";

/// Start of the name of a custom section with one shader's WGSL text; the shader's name follows.
pub const SHADER_SECTION_PREFIX: &str = "p2c2r.shader.";

/// Start of all custom section names that are ours.
const RESERVED_PREFIX: &str = "p2c2r.";

/// A module whose structure was read. Nothing in it is believed: what it says of itself is for people to look at.
#[derive(Debug, Clone)]
pub struct UnverifiedModule {
    bytes: Bytes,
    claim: Option<SignatureClaim>,
    /// Where the sections a signature covers start: behind the signature section or, unsigned, behind the header.
    signed_from: usize,
    manifest: Option<Range<usize>>,
    shaders: Vec<Shader>,
}

/// A module whose signature by a trusted key, manifest and form were checked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct VerifiedModule(Arc<Verified>);

#[derive(Debug)]
struct Verified {
    id: ModuleId,
    bytes: Bytes,
    content: [u8; 32],
    manifest: Manifest,
    signer: PublicKey,
    shaders: Vec<Shader>,
}

#[derive(Debug, Clone)]
struct Shader {
    name: String,
    /// Where the text is; checked to be UTF-8.
    text: Range<usize>,
}

/// Why a module is not to be run. All are the publisher's or the network's fault, none the verifier's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Not a module of the right form.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// No signature section.
    #[error("the module is not signed; sign it with: p2c2r sign")]
    NotSigned,
    /// The sections are not those that were signed.
    #[error("the module was changed after signing: its sections hash to {actual}, the signature covers {signed}")]
    Changed {
        /// SHA-256 in the signature section, hex.
        signed: String,
        /// SHA-256 of the sections, hex.
        actual: String,
    },
    /// The signature names a key that is not trusted, or no key and none of the trusted ones made it.
    #[error("the signer is not trusted: the signature names {key_id}; keys trusted: {trusted}")]
    Untrusted {
        /// What the signature names.
        key_id: KeyId,
        /// Number of keys that are trusted.
        trusted: usize,
    },
    /// The key named did not make this signature.
    #[error("the module's signature: {0}")]
    Signature(#[from] SignatureError),
    /// The operator revoked the signer.
    #[error("key {0}, which signed the module, is revoked")]
    KeyRevoked(PublicKey),
    /// The operator revoked this content.
    #[error("the module with content {0} is revoked")]
    ContentRevoked(String),
    /// No manifest section.
    #[error("the module has no {MANIFEST_SECTION} section")]
    NoManifest,
    /// A manifest that does not parse or asks for too much.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Shaders without a `gpu` table in the manifest: nothing could ever run them.
    #[error("the module has {shaders} shaders, but its manifest has no gpu bounds")]
    ShadersWithoutGpu {
        /// How many.
        shaders: usize,
    },
    /// Signed, but not valid WebAssembly.
    #[error("not valid webassembly: {reason}")]
    Invalid {
        /// The validator's reason, with the offset.
        reason: String,
    },
}

/// Verifies a kernel's file: the only way from bytes to a [`VerifiedModule`].
///
/// # Errors
/// [`VerifyError`] with the first thing wrong: structure, signature, trust, revocation, manifest, validity, in that order.
pub fn verify_module(bytes: impl Into<Bytes>, trusted: &TrustedKeys) -> Result<VerifiedModule, VerifyError> {
    UnverifiedModule::parse(bytes)?.verify(trusted)
}

impl UnverifiedModule {
    /// Reads the structure: header, sections, signature fields, names and sizes. Proves nothing.
    ///
    /// # Errors
    /// [`FormatError`].
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, FormatError> {
        let bytes: Bytes = bytes.into();
        let mut claim = None;
        let mut signed_from = HEADER.len();
        let mut manifest = None;
        let mut signer = None;
        let mut shaders = Vec::<Shader>::new();
        for (index, section) in read_sections(&bytes)?.into_iter().enumerate() {
            let Some(name) = section.custom else { continue };
            let (offset, content) = (section.start, section.content..section.end);
            if name == SIGNATURE_SECTION {
                if index > 0 {
                    return Err(FormatError::SignatureNotFirst { offset });
                }
                check_shortest(&section, name)?;
                claim = Some(SignatureClaim::read(&mut Reader::new(&bytes[..section.end], section.content))?);
                signed_from = section.end;
            } else if name == DELIMITER_SECTION {
                return Err(FormatError::Delimiter { offset });
            } else if name == MANIFEST_SECTION {
                if manifest.is_some() {
                    return Err(FormatError::DuplicateCustom { name: name.to_owned(), offset });
                }
                if content.len() > MANIFEST_BYTES {
                    return Err(FormatError::ManifestTooLarge { bytes: content.len() });
                }
                check_text(&bytes[content.clone()], name)?;
                manifest = Some(content);
            } else if name == SIGNER_SECTION {
                if signer.is_some() {
                    return Err(FormatError::DuplicateCustom { name: name.to_owned(), offset });
                }
                let Ok(key) = <[u8; 32]>::try_from(&bytes[content.clone()]) else {
                    return Err(FormatError::SignerSize { bytes: content.len() });
                };
                signer = Some(key);
            } else if let Some(shader) = name.strip_prefix(SHADER_SECTION_PREFIX) {
                if shaders.len() == SHADERS {
                    return Err(ShaderError::TooMany { count: SHADERS + 1 }.into());
                }
                check_shader(shader, content.len())?;
                if shaders.iter().any(|s| s.name == shader) {
                    return Err(FormatError::DuplicateCustom { name: name.to_owned(), offset });
                }
                check_text(&bytes[content.clone()], name)?;
                shaders.push(Shader { name: shader.to_owned(), text: content });
            } else if name.starts_with(RESERVED_PREFIX) {
                return Err(FormatError::Reserved { name: name.chars().take(80).collect(), offset });
            }
        }
        if let (Some(claim), Some(key)) = (&mut claim, signer) {
            if claim.key_id != KeyId::Absent && claim.key_id != KeyId::short(&key) {
                return Err(FormatError::TwoSigners { key: KeyId::Key(key), key_id: claim.key_id });
            }
            claim.key_id = KeyId::Key(key);
        }
        Ok(Self { bytes, claim, signed_from, manifest, shaders })
    }

    /// Checks the module against the keys and takes it over.
    ///
    /// # Errors
    /// As [`verify_module`].
    pub fn verify(self, trusted: &TrustedKeys) -> Result<VerifiedModule, VerifyError> {
        let claim = self.claim.ok_or(VerifyError::NotSigned)?;
        let content = self.content();
        if content != claim.content {
            let (signed, actual) = (crate::keys::hex(&claim.content), crate::keys::hex(&content));
            return Err(VerifyError::Changed { signed, actual });
        }
        let signer = signer_of(&claim, trusted)?;
        if trusted.revokes_key(&signer) {
            return Err(VerifyError::KeyRevoked(signer));
        }
        if trusted.revokes_content(&content) {
            return Err(VerifyError::ContentRevoked(crate::keys::hex(&content)));
        }
        let manifest = Manifest::from_json(self.manifest_bytes().ok_or(VerifyError::NoManifest)?)?;
        if manifest.gpu.is_none() && !self.shaders.is_empty() {
            return Err(VerifyError::ShadersWithoutGpu { shaders: self.shaders.len() });
        }
        validate(&self.bytes)?;
        let id = ModuleId::of(&self.bytes);
        let Self { bytes, shaders, .. } = self;
        Ok(VerifiedModule(Arc::new(Verified { id, bytes, content, manifest, signer, shaders })))
    }

    /// What the signature section says; `None` if the module is not signed. Not a proof.
    #[must_use]
    pub fn claim(&self) -> Option<&SignatureClaim> {
        self.claim.as_ref()
    }

    /// SHA-256 of the sections a signature covers.
    #[must_use]
    pub fn content(&self) -> [u8; 32] {
        content_hash(&self.bytes[self.signed_from..])
    }

    /// blake3 of all bytes: the id the module will have if it verifies.
    #[must_use]
    pub fn id(&self) -> ModuleId {
        ModuleId::of(&self.bytes)
    }

    /// All bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The manifest's text; `None` if the module has none. Not checked.
    #[must_use]
    pub fn manifest_text(&self) -> Option<&str> {
        self.manifest_bytes().map(text)
    }

    /// The shaders, name and text, in file order.
    pub fn shaders(&self) -> impl Iterator<Item = (&str, &str)> {
        shader_texts(&self.shaders, &self.bytes)
    }

    fn manifest_bytes(&self) -> Option<&[u8]> {
        self.manifest.clone().map(|range| &self.bytes[range])
    }
}

impl VerifiedModule {
    /// The kernel's identity: blake3 of all bytes.
    #[must_use]
    pub fn id(&self) -> ModuleId {
        self.0.id
    }

    /// All bytes, an ordinary WebAssembly module.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// All bytes, sharing their memory.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.0.bytes.clone()
    }

    /// SHA-256 of the signed sections: what revocations name.
    #[must_use]
    pub fn content(&self) -> &[u8; 32] {
        &self.0.content
    }

    /// The manifest, within all bounds of [`crate::limits`].
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// The trusted key that signed.
    #[must_use]
    pub fn signer(&self) -> PublicKey {
        self.0.signer
    }

    /// The shaders, name and WGSL text, in file order.
    pub fn shaders(&self) -> impl Iterator<Item = (&str, &str)> {
        shader_texts(&self.0.shaders, &self.0.bytes)
    }

    /// One shader's WGSL text.
    #[must_use]
    pub fn shader(&self, name: &str) -> Option<&str> {
        self.shaders().find_map(|(n, text)| (n == name).then_some(text))
    }
}

/// Checks a shader's name and size.
pub(crate) fn check_shader(name: &str, bytes: usize) -> Result<(), ShaderError> {
    let good = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    if name.is_empty() || name.len() > NAME_BYTES || !name.bytes().all(good) {
        return Err(ShaderError::Name { name: name.chars().take(80).collect() });
    }
    if bytes == 0 || bytes > SHADER_BYTES {
        return Err(ShaderError::Size { name: name.to_owned(), bytes });
    }
    Ok(())
}

/// Checks the whole as WebAssembly; which features a kernel may use is the sandbox's, stricter, business.
pub(crate) fn validate(bytes: &[u8]) -> Result<(), VerifyError> {
    match wasmparser::Validator::new().validate_all(bytes) {
        Ok(_) => Ok(()),
        Err(e) => Err(VerifyError::Invalid { reason: e.to_string() }),
    }
}

/// The trusted key that made the signature.
fn signer_of(claim: &SignatureClaim, trusted: &TrustedKeys) -> Result<PublicKey, VerifyError> {
    let message = message(&claim.content);
    let mut failure = VerifyError::Untrusted { key_id: claim.key_id, trusted: trusted.len() };
    for key in trusted.candidates(claim.key_id) {
        match key.verify(&message, &claim.signature) {
            Ok(()) => return Ok(*key),
            // Without a key id every trusted key is tried, and that none fits says nothing about any of them.
            Err(_) if claim.key_id == KeyId::Absent => {}
            Err(e) => failure = e.into(),
        }
    }
    Err(failure)
}

/// The signature section's own length and name length are not signed: only one spelling is accepted.
fn check_shortest(section: &crate::section::Section<'_>, name: &str) -> Result<(), FormatError> {
    let body = section.end - section.content + 1 + name.len();
    let mut head = vec![0];
    crate::section::put_number(&mut head, body);
    if section.end - section.start == head.len() + body {
        return Ok(());
    }
    Err(FormatError::Number { what: "length of the signature section", offset: section.start + 1, shortest: true })
}

fn check_text(bytes: &[u8], name: &str) -> Result<(), FormatError> {
    match core::str::from_utf8(bytes) {
        Ok(_) => Ok(()),
        Err(_) => Err(FormatError::NotText { name: name.to_owned() }),
    }
}

/// Text that [`check_text`] let pass.
fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}

fn shader_texts<'a>(shaders: &'a [Shader], bytes: &'a [u8]) -> impl Iterator<Item = (&'a str, &'a str)> {
    shaders.iter().map(|s| (s.name.as_str(), text(&bytes[s.text.clone()])))
}
