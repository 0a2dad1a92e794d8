//! Fixed-size identities. All are opaque bytes with one text form (lower-case hex) and one binary form.

use core::fmt;
use core::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const SESSION_DOMAIN: &str = "P2C2R 2026-11-22 session v1";
const TASK_DOMAIN: &str = "P2C2R 2026-11-22 task v1";

/// A hex string that is not the identity it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} must be {} lower-case hex digits, got {got:?}", bytes * 2)]
pub struct ParseIdError {
    kind: &'static str,
    bytes: usize,
    got: String,
}

impl ParseIdError {
    /// Keeps enough of `text` to recognise it, never all of it.
    pub(crate) fn new(kind: &'static str, bytes: usize, text: &str) -> Self {
        Self { kind, bytes, got: text.chars().take(2 * bytes + 8).collect() }
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const BYTES: usize = $len;

            /// Wraps raw bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// First 8 hex digits, for people; never for lookups.
            #[must_use]
            pub fn short(&self) -> String {
                self.to_string()[..8].to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut bytes = [0u8; $len];
                decode_hex(text, &mut bytes).map(|()| Self(bytes)).ok_or_else(|| ParseIdError::new(stringify!($name), $len, text))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() { s.collect_str(self) } else { s.serialize_bytes(&self.0) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                struct V;
                impl Visitor<'_> for V {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "{} bytes of {}", $len, stringify!($name))
                    }
                    fn visit_bytes<E: de::Error>(self, v: &[u8]) -> Result<$name, E> {
                        <[u8; $len]>::try_from(v).map($name).map_err(|_| E::invalid_length(v.len(), &self))
                    }
                    fn visit_str<E: de::Error>(self, v: &str) -> Result<$name, E> {
                        v.parse().map_err(E::custom)
                    }
                }
                if d.is_human_readable() { d.deserialize_str(V) } else { d.deserialize_bytes(V) }
            }
        }
    };
}

pub(crate) fn decode_hex(text: &str, out: &mut [u8]) -> Option<()> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    if text.len() != out.len() * 2 {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Some(())
}

id! {
    /// blake3 of some bytes, plain.
    Digest, 32
}
id! {
    /// blake3 of the signed module's bytes: the identity of a kernel.
    ModuleId, 32
}
id! {
    /// blake3 of a blob's bytes.
    BlobId, 32
}
id! {
    /// Identity of a task: derived from the session and the client's own number, so a resend is the same task.
    TaskId, 16
}
id! {
    /// Identity of an account, derived from its first key.
    AccountId, 16
}
id! {
    /// Identity of a session and of the hold that pays for it.
    SessionId, 16
}
id! {
    /// Peers whose results can be compared bit for bit: engine id, path (CPU or GPU) and, on a GPU, its numeric class.
    ClassId, 32
}
id! {
    /// Random per attempt; it makes seals and tickets of two attempts differ.
    AttemptNonce, 16
}
id! {
    /// Digest of a task's whole input: bytes, blob list and seed.
    InputDigest, 32
}
id! {
    /// Digest of an attempt's final linear memory and GPU buffers; never sent to a client.
    TraceRoot, 32
}
id! {
    /// What a quorum compares: see [`crate::vote::Ballot`].
    Vote, 32
}
id! {
    /// A vote bound to one peer and one attempt; worthless to anybody else.
    Seal, 32
}

impl Digest {
    /// blake3 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl BlobId {
    /// The identity of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl ModuleId {
    /// The identity of the signed module `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl SessionId {
    /// The session an account opens under its own `number`: opening it again is the same session.
    #[must_use]
    pub fn derive(account: &AccountId, number: u64) -> Self {
        Self(numbered(SESSION_DOMAIN, account.as_bytes(), number))
    }
}

impl TaskId {
    /// The task a session submits under its own `number`: submitting it again is the same task.
    #[must_use]
    pub fn derive(session: &SessionId, number: u64) -> Self {
        Self(numbered(TASK_DOMAIN, session.as_bytes(), number))
    }
}

/// First 16 bytes of blake3 in key-derivation mode over `parent` and `number` (little-endian).
fn numbered(domain: &str, parent: &[u8; 16], number: u64) -> [u8; 16] {
    let mut h = blake3::Hasher::new_derive_key(domain);
    h.update(parent);
    h.update(&number.to_le_bytes());
    let mut id = [0; 16];
    h.finalize_xof().fill(&mut id);
    id
}
