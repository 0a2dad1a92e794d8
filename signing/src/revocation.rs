//! The operator's signed list of publisher keys and kernels that nobody may run any more.
//!
//! A kernel is named by its *content*, the SHA-256 its signature covers, and not by its module id: a third party can
//! drop the key id from a signature section, which makes a new module id of the same signed code.
//!
//! Layout, little-endian: `P2C2R 2026-11-22 revocations v1` (31 bytes), version (8), issued ms (8), number of keys (4),
//! keys (32 each, ascending), number of contents (4), contents (32 each, ascending), ed25519 signature (64) over all
//! before it.

use std::collections::BTreeSet;

use crate::keys::{KeyError, PublicKey, SIGNATURE_BYTES, SecretKey, SignatureError};
use crate::limits::REVOCATIONS;

const DOMAIN: &[u8; 31] = b"P2C2R 2026-11-22 revocations v1";
const HEAD_BYTES: usize = DOMAIN.len() + 16;

/// What an operator writes down before signing it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RevocationDraft {
    /// Higher than that of every list signed before.
    pub version: u64,
    /// When it was written, milliseconds since the Unix epoch.
    pub issued_ms: u64,
    /// Keys whose modules are refused.
    pub keys: BTreeSet<PublicKey>,
    /// Contents that are refused.
    pub contents: BTreeSet<[u8; 32]>,
}

/// A list whose operator's signature was verified. [`Revocations::open`] is the only way to have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocations(RevocationDraft);

/// A list that is not to be believed, or cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// Not a list of this format.
    #[error("not a revocation list: it does not start with its domain")]
    Domain,
    /// The bytes end inside the list, or go on behind it.
    #[error("revocation list is {got} bytes, its counts say {want}")]
    Length {
        /// Bytes given.
        got: usize,
        /// Bytes the counts ask for; at least that if they are cut off.
        want: usize,
    },
    /// Too long.
    #[error("{count} revoked {what}, the limit is {REVOCATIONS}")]
    TooMany {
        /// `keys` or `contents`.
        what: &'static str,
        /// How many.
        count: usize,
    },
    /// Entries not strictly ascending, so that one list has one spelling.
    #[error("revoked {what} are not strictly ascending at entry {index}")]
    Order {
        /// `keys` or `contents`.
        what: &'static str,
        /// The first entry out of order.
        index: usize,
    },
    /// Not signed by the operator.
    #[error("revocation list: {0}")]
    Signature(#[from] SignatureError),
    /// An entry that is no key.
    #[error("revoked keys: {0}")]
    Key(#[from] KeyError),
    /// Older than one already seen: somebody replays the past.
    #[error("revocation list version {got} is older than version {seen}, which was seen before")]
    Rollback {
        /// Its version.
        got: u64,
        /// The newest seen.
        seen: u64,
    },
}

impl RevocationDraft {
    /// The signed list.
    ///
    /// # Errors
    /// [`RevocationError::TooMany`].
    pub fn sign(&self, operator: &SecretKey) -> Result<Vec<u8>, RevocationError> {
        let mut out = DOMAIN.to_vec();
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&self.issued_ms.to_le_bytes());
        put_entries(&mut out, "keys", self.keys.iter().map(PublicKey::as_bytes))?;
        put_entries(&mut out, "contents", self.contents.iter())?;
        let signature = operator.sign(&out);
        out.extend_from_slice(&signature);
        Ok(out)
    }
}

impl Revocations {
    /// Verifies a list. `seen` is the version of the newest list this verifier ever accepted; the caller remembers it.
    ///
    /// # Errors
    /// [`RevocationError`].
    pub fn open(bytes: &[u8], operator: &PublicKey, seen: Option<u64>) -> Result<Self, RevocationError> {
        if !bytes.starts_with(DOMAIN) {
            return Err(RevocationError::Domain);
        }
        let Some((body, signature)) = bytes.split_last_chunk::<SIGNATURE_BYTES>() else {
            return Err(RevocationError::Length { got: bytes.len(), want: HEAD_BYTES + 8 + SIGNATURE_BYTES });
        };
        operator.verify(body, signature)?;
        let mut rest = Rest { bytes: &body[DOMAIN.len()..], total: bytes.len() };
        let version = u64::from_le_bytes(rest.take()?);
        let issued_ms = u64::from_le_bytes(rest.take()?);
        let keys = rest.entries("keys")?.iter().map(PublicKey::from_bytes).collect::<Result<_, _>>()?;
        let contents = rest.entries("contents")?.into_iter().collect();
        if !rest.bytes.is_empty() {
            return Err(RevocationError::Length { got: bytes.len(), want: bytes.len() - rest.bytes.len() });
        }
        match seen {
            Some(seen) if seen > version => Err(RevocationError::Rollback { got: version, seen }),
            _ => Ok(Self(RevocationDraft { version, issued_ms, keys, contents })),
        }
    }

    /// What the list says.
    #[must_use]
    pub fn list(&self) -> &RevocationDraft {
        &self.0
    }

    /// Whether modules by `key` are refused.
    #[must_use]
    pub fn revokes_key(&self, key: &PublicKey) -> bool {
        self.0.keys.contains(key)
    }

    /// Whether modules of this content are refused; see `VerifiedModule::content`.
    #[must_use]
    pub fn revokes_content(&self, content: &[u8; 32]) -> bool {
        self.0.contents.contains(content)
    }
}

fn put_entries<'a>(
    out: &mut Vec<u8>,
    what: &'static str,
    entries: impl ExactSizeIterator<Item = &'a [u8; 32]>,
) -> Result<(), RevocationError> {
    let count = entries.len();
    let number = u32::try_from(count).ok().filter(|_| count <= REVOCATIONS);
    let number = number.ok_or(RevocationError::TooMany { what, count })?;
    out.extend_from_slice(&number.to_le_bytes());
    entries.for_each(|entry| out.extend_from_slice(entry));
    Ok(())
}

struct Rest<'a> {
    bytes: &'a [u8],
    total: usize,
}

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], RevocationError> {
        let short = RevocationError::Length { got: self.total, want: self.total + N - self.bytes.len().min(N) };
        let (field, rest) = self.bytes.split_first_chunk().ok_or(short)?;
        self.bytes = rest;
        Ok(*field)
    }

    fn entries(&mut self, what: &'static str) -> Result<Vec<[u8; 32]>, RevocationError> {
        let count = u32::from_le_bytes(self.take()?) as usize;
        if count > REVOCATIONS {
            return Err(RevocationError::TooMany { what, count });
        }
        let entries = (0..count).map(|_| self.take()).collect::<Result<Vec<[u8; 32]>, _>>()?;
        match entries.windows(2).position(|pair| pair[0] >= pair[1]) {
            Some(before) => Err(RevocationError::Order { what, index: before + 1 }),
            None => Ok(entries),
        }
    }
}
