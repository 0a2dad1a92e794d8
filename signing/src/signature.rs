//! The `signature` section of the WebAssembly tool conventions
//! (<https://github.com/WebAssembly/tool-conventions/blob/main/Signatures.md>), restricted to one shape: one ed25519
//! signature over the SHA-256 of everything behind the section. That is what `wasmsign2 sign` writes and what its
//! `verify` reads. Every byte of the section is either fixed, checked against something signed, or the signature.

use core::fmt;

use sha2::{Digest as _, Sha256};

use crate::keys::{PublicKey, SIGNATURE_BYTES};
use crate::section::{FormatError, Reader, put_number};

/// Name of the section.
pub const SIGNATURE_SECTION: &str = "signature";

/// Name of the section that marks partial signatures, which are refused.
pub(crate) const DELIMITER_SECTION: &str = "signature_delimiter";

const DOMAIN: &[u8; 7] = b"wasmsig";
const SPECIFICATION: u8 = 1;
const CONTENT_MODULE: u8 = 1;
const HASH_SHA256: u8 = 1;
const ALGORITHM_ED25519: u8 = 1;
const SHORT_BYTES: usize = 12;

/// What a module says of its signer. Nothing of it is believed, but what is there must fit the key that signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyId {
    /// Nothing.
    Absent,
    /// The public key itself, from the module's signer section.
    Key([u8; 32]),
    /// The key id of the signature section: the first 12 bytes of HMAC-SHA256 (RFC 2104) with the public key as its key
    /// over the text `key_id`. It is wasmsign2's default, and the only one its command line finds.
    Short([u8; SHORT_BYTES]),
}

/// A signature section, read but not checked against anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureClaim {
    /// The key it names.
    pub key_id: KeyId,
    /// SHA-256 it claims of everything behind the section.
    pub content: [u8; 32],
    /// Signature over [`message`] of `content`.
    pub signature: [u8; SIGNATURE_BYTES],
}

impl KeyId {
    /// The key id a signature section gives `key`.
    #[must_use]
    pub fn short(key: &[u8; 32]) -> Self {
        let mut pad = [0u8; 64];
        pad[..32].copy_from_slice(key);
        let inner = Sha256::new().chain_update(pad.map(|b| b ^ 0x36)).chain_update(b"key_id").finalize();
        let outer: [u8; 32] = Sha256::new().chain_update(pad.map(|b| b ^ 0x5c)).chain_update(inner).finalize().into();
        let mut id = [0; SHORT_BYTES];
        id.copy_from_slice(&outer[..SHORT_BYTES]);
        Self::Short(id)
    }

    /// Whether `key` may be the one meant.
    #[must_use]
    pub fn fits(&self, key: &PublicKey) -> bool {
        match self {
            Self::Absent => true,
            Self::Key(bytes) => bytes == key.as_bytes(),
            Self::Short(_) => *self == Self::short(key.as_bytes()),
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("no key"),
            Self::Key(bytes) => write!(f, "key {}", crate::keys::hex(bytes)),
            Self::Short(id) => write!(f, "key id {}", crate::keys::hex(id)),
        }
    }
}

impl SignatureClaim {
    /// Content of the section.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut signature = Vec::with_capacity(100);
        match self.key_id {
            KeyId::Short(id) => put_slice(&mut signature, &id),
            KeyId::Absent | KeyId::Key(_) => put_slice(&mut signature, &[]),
        }
        signature.push(ALGORITHM_ED25519);
        put_slice(&mut signature, &self.signature);

        let mut hashes = vec![1];
        hashes.extend_from_slice(&self.content);
        hashes.push(1);
        put_slice(&mut hashes, &signature);

        let mut section = vec![SPECIFICATION, CONTENT_MODULE, HASH_SHA256, 1];
        put_slice(&mut section, &hashes);
        section
    }

    /// Reads the content of the section, which ends where `r` ends.
    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, FormatError> {
        expect_byte(r, "specification version", SPECIFICATION, "1")?;
        expect_byte(r, "content type", CONTENT_MODULE, "1 (module)")?;
        expect_byte(r, "hash function", HASH_SHA256, "1 (sha-256)")?;
        expect_byte(r, "number of signed hash sets", 1, "1")?;
        expect_rest(r, "length of the signed hash set")?;
        expect_byte(r, "number of hashes", 1, "1 (the whole module)")?;
        let content = r.array("signed hash")?;
        expect_byte(r, "number of signatures", 1, "1")?;
        expect_rest(r, "length of the signature record")?;
        let key_id = match r.number("key id length", true)? {
            0 => KeyId::Absent,
            SHORT_BYTES => KeyId::Short(r.array("key id")?),
            got => {
                let got = got as u64;
                return Err(FormatError::Signature { field: "key id length", got, want: "0 or 12" });
            }
        };
        expect_byte(r, "algorithm", ALGORITHM_ED25519, "1 (ed25519)")?;
        let bytes = r.number("signature length", true)?;
        if bytes != SIGNATURE_BYTES {
            return Err(FormatError::Signature { field: "signature length", got: bytes as u64, want: "64" });
        }
        let signature = r.array("signature")?;
        match r.left() {
            0 => Ok(Self { key_id, content, signature }),
            left => Err(FormatError::SignatureTrailing { left }),
        }
    }
}

/// The bytes an ed25519 key signs: `wasmsig`, specification version, content type, hash function, SHA-256 of the
/// signed sections.
#[must_use]
pub fn message(content: &[u8; 32]) -> Vec<u8> {
    let mut message = Vec::with_capacity(DOMAIN.len() + 3 + content.len());
    message.extend_from_slice(DOMAIN);
    message.extend_from_slice(&[SPECIFICATION, CONTENT_MODULE, HASH_SHA256]);
    message.extend_from_slice(content);
    message
}

/// SHA-256 of the signed sections.
pub(crate) fn content_hash(sections: &[u8]) -> [u8; 32] {
    Sha256::digest(sections).into()
}

fn put_slice(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn expect_byte(r: &mut Reader<'_>, field: &'static str, expected: u8, want: &'static str) -> Result<(), FormatError> {
    match r.byte(field)? {
        got if got == expected => Ok(()),
        got => Err(FormatError::Signature { field, got: got.into(), want }),
    }
}

/// A length that must reach exactly to the end: with one set and one signature there is nothing behind.
fn expect_rest(r: &mut Reader<'_>, field: &'static str) -> Result<(), FormatError> {
    match r.number(field, true)? {
        got if got == r.left() => Ok(()),
        got => Err(FormatError::Signature { field, got: got as u64, want: "the rest of the section" }),
    }
}
