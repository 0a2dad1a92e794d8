//! ed25519 keys: PKCS#8 and SPKI PEM as openssl reads and writes them, strict verification, no weak keys.

use core::fmt;
use core::str::FromStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use ed25519_dalek::pkcs8::spki::der::pem::{self, LineEnding};
use ed25519_dalek::pkcs8::{
    DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes, PublicKeyBytes,
};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::{Zeroize, Zeroizing};

use crate::id::{AccountId, ParseIdError, decode_hex};
use crate::limits::KEY_FILE_BYTES;

const ACCOUNT_DOMAIN: &str = "P2C2R 2026-11-22 account v1";
const SECRET_LABEL: &str = "PRIVATE KEY";
const PUBLIC_LABEL: &str = "PUBLIC KEY";

/// Bytes of an ed25519 signature.
pub const SIGNATURE_BYTES: usize = 64;

/// A public key that is a canonical curve point and not of small order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// A secret key. Wiped when dropped; has no `Debug`, `Display` or serde form, only PEM.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

/// A key that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The bytes decode to no curve point.
    #[error("public key {} is not a point of the curve", hex(.0))]
    NotAPoint([u8; 32]),
    /// The bytes are a second spelling of a point.
    #[error("public key {} is not canonical: its y is not below 2^255 - 19", hex(.0))]
    NonCanonical([u8; 32]),
    /// The point is of small order: signatures by it prove nothing.
    #[error("public key {} is weak: its order is 8 or less", hex(.0))]
    SmallOrder([u8; 32]),
    /// Not the hex form of a key.
    #[error(transparent)]
    Hex(#[from] ParseIdError),
    /// PEM of something else.
    #[error("pem holds a {got:?}, want a {want:?}{}", hint(.got))]
    Label {
        /// The label that was needed.
        want: &'static str,
        /// The label found, cut to 40 characters.
        got: String,
    },
    /// PEM or DER that does not decode to an ed25519 key.
    #[error("not an ed25519 key in pem: {reason}")]
    Pem {
        /// The decoder's reason.
        reason: String,
    },
    /// A key file too large to be one.
    #[error("key file {} is over {KEY_FILE_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file exists; keys are never overwritten.
    #[error("key file {} exists; move it away or choose another name", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("key file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A signature that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not 64 bytes.
    #[error("a signature is {SIGNATURE_BYTES} bytes, got {got}")]
    Length {
        /// Bytes given.
        got: usize,
    },
    /// Not this key's signature of this message.
    #[error("the signature is not by key {key} over this message")]
    Mismatch {
        /// The key it was checked against.
        key: PublicKey,
    },
}

impl SecretKey {
    /// A new key from the operating system's randomness.
    ///
    /// # Panics
    /// If the operating system has no randomness to give, as `std`'s own hash maps do.
    #[must_use]
    pub fn generate() -> Self {
        let mut seed = Zeroizing::new([0u8; 32]);
        getrandom::fill(seed.as_mut()).expect("the operating system gives no randomness");
        Self::from_seed(&seed)
    }

    /// The key of an RFC 8032 seed. For tests and derived keys; a seed must be as secret as the key.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Reads PKCS#8 PEM (RFC 8410), version 1 or 2, as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// [`KeyError::Label`] for other PEM, among it encrypted keys; [`KeyError::Pem`] for anything malformed.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        check_label(text, SECRET_LABEL)?;
        SigningKey::from_pkcs8_pem(text).map(Self).map_err(|e| KeyError::Pem { reason: e.to_string() })
    }

    /// PKCS#8 version 1 PEM. Version 2, which adds the public key, is what older openssl cannot read.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        let mut pair = KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        let pem = pair.to_pkcs8_pem(LineEnding::LF).expect("48 bytes of fixed shape always encode");
        pair.secret_key.zeroize();
        pem
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyError::Io`], [`KeyError::TooLarge`], or as [`SecretKey::from_pem`].
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        Self::from_pem(&read_key_file(path)?)
    }

    /// Writes a new key file that only its owner may read (mode 0600 on Unix), and syncs it.
    ///
    /// # Errors
    /// [`KeyError::Exists`] rather than overwrite anything; [`KeyError::Io`].
    pub fn save_new(&self, path: &Path) -> Result<(), KeyError> {
        let io = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => KeyError::Exists { path: path.to_owned() },
            _ => KeyError::Io { path: path.to_owned(), source },
        };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(io)?;
        let written = file.write_all(self.to_pem().as_bytes()).and_then(|()| file.sync_all());
        written.map_err(|e| {
            // Half a key must not look like one to the next start; that the removal may fail too changes nothing.
            let _ = fs::remove_file(path);
            io(e)
        })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `message` (RFC 8032, pure ed25519, deterministic). The caller's message starts with its own domain.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(message).to_bytes()
    }
}

impl PublicKey {
    /// Length in bytes.
    pub const BYTES: usize = 32;

    /// Accepts exactly one spelling of every point that is fit to verify with.
    ///
    /// # Errors
    /// [`KeyError::NonCanonical`], [`KeyError::NotAPoint`], [`KeyError::SmallOrder`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        if !canonical(bytes) {
            return Err(KeyError::NonCanonical(*bytes));
        }
        match VerifyingKey::from_bytes(bytes) {
            Ok(key) if key.is_weak() => Err(KeyError::SmallOrder(*bytes)),
            Ok(_) => Ok(Self(*bytes)),
            Err(_) => Err(KeyError::NotAPoint(*bytes)),
        }
    }

    /// A key from bytes that were those of a key, read back from under a MAC of our own.
    pub(crate) const fn from_checked(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw bytes: the compressed point of RFC 8032.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads SPKI PEM (RFC 8410), as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    /// As [`PublicKey::from_bytes`], or [`KeyError::Label`], [`KeyError::Pem`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        check_label(text, PUBLIC_LABEL)?;
        let bytes = PublicKeyBytes::from_public_key_pem(text).map_err(|e| KeyError::Pem { reason: e.to_string() })?;
        Self::from_bytes(&bytes.0)
    }

    /// SPKI PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        PublicKeyBytes(self.0).to_public_key_pem(LineEnding::LF).expect("44 bytes of fixed shape always encode")
    }

    /// Reads a public key file.
    ///
    /// # Errors
    /// [`KeyError::Io`], [`KeyError::TooLarge`], or as [`PublicKey::from_pem`].
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        Self::from_pem(&read_key_file(path)?)
    }

    /// Checks a signature strictly: canonical `S`, `R` and key, no small order, no cofactor (dalek's `verify_strict`).
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let mismatch = SignatureError::Mismatch { key: *self };
        let Ok(bytes) = <[u8; SIGNATURE_BYTES]>::try_from(signature) else {
            return Err(SignatureError::Length { got: signature.len() });
        };
        let Ok(key) = VerifyingKey::from_bytes(&self.0) else { return Err(mismatch) };
        key.verify_strict(message, &Signature::from_bytes(&bytes)).or(Err(mismatch))
    }

    /// The account this key opens: first 16 bytes of blake3 in key-derivation mode over the key.
    #[must_use]
    pub fn account(&self) -> AccountId {
        let mut h = blake3::Hasher::new_derive_key(ACCOUNT_DOMAIN);
        h.update(&self.0);
        let mut id = [0; AccountId::BYTES];
        h.finalize_xof().fill(&mut id);
        AccountId::from_bytes(id)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let mut bytes = [0; 32];
        decode_hex(text, &mut bytes).ok_or_else(|| ParseIdError::new("PublicKey", 32, text))?;
        Self::from_bytes(&bytes)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { s.serialize_bytes(&self.0) }
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl Visitor<'_> for V {
            type Value = PublicKey;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("32 bytes of an ed25519 public key")
            }
            fn visit_bytes<E: de::Error>(self, v: &[u8]) -> Result<PublicKey, E> {
                let Ok(bytes) = <[u8; 32]>::try_from(v) else { return Err(E::invalid_length(v.len(), &self)) };
                PublicKey::from_bytes(&bytes).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<PublicKey, E> {
                v.parse().map_err(E::custom)
            }
        }
        if d.is_human_readable() { d.deserialize_str(V) } else { d.deserialize_bytes(V) }
    }
}

/// Whether `y` (little-endian, the top bit is the sign of x) is below 2^255 - 19. The only other second spellings, a
/// sign on x = 0, belong to points of small order.
fn canonical(bytes: &[u8; 32]) -> bool {
    bytes[31] & 0x7f != 0x7f || bytes[1..31].iter().any(|&b| b != 0xff) || bytes[0] < 0xed
}

fn check_label(text: &str, want: &'static str) -> Result<(), KeyError> {
    let got = pem::decode_label(text.as_bytes()).map_err(|e| KeyError::Pem { reason: e.to_string() })?;
    if got == want { Ok(()) } else { Err(KeyError::Label { want, got: got.chars().take(40).collect() }) }
}

fn hint(label: &str) -> &'static str {
    match label {
        "ENCRYPTED PRIVATE KEY" => "; decrypt it first: openssl pkey -in KEY -out PLAIN",
        SECRET_LABEL => "; derive the public key: openssl pkey -in KEY -pubout",
        PUBLIC_LABEL => "; that is the public half, give the file with the secret one",
        _ => "",
    }
}

fn read_key_file(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    let io = |source| KeyError::Io { path: path.to_owned(), source };
    let mut text = Zeroizing::new(String::with_capacity(KEY_FILE_BYTES + 1));
    File::open(path).map_err(io)?.take(KEY_FILE_BYTES as u64 + 1).read_to_string(&mut text).map_err(io)?;
    if text.len() > KEY_FILE_BYTES {
        return Err(KeyError::TooLarge { path: path.to_owned() });
    }
    Ok(text)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
