//! ed25519 keys as PKCS#8 and SPKI PEM.

use crate::id::ParseIdError;

/// A public key that is a valid, not small-order, canonical curve point.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
