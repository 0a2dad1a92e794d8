//! Which keys a verifier believes.

use std::collections::BTreeSet;

use crate::keys::PublicKey;
use crate::limits::TRUSTED_KEYS;
use crate::revocation::Revocations;
use crate::signature::KeyId;

/// The publishers' keys a verifier believes, less what its operator revoked.
#[derive(Debug, Clone, Default)]
pub struct TrustedKeys {
    keys: BTreeSet<PublicKey>,
    revocations: Option<Revocations>,
}

/// More keys than a set may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {TRUSTED_KEYS} trusted keys")]
pub struct TooManyKeys;

impl TrustedKeys {
    /// Trusts these keys; the same key twice counts once.
    ///
    /// # Errors
    /// [`TooManyKeys`] over [`TRUSTED_KEYS`].
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Result<Self, TooManyKeys> {
        let mut trusted = Self::default();
        keys.into_iter().try_for_each(|key| trusted.insert(key))?;
        Ok(trusted)
    }

    /// Trusts one more key.
    ///
    /// # Errors
    /// [`TooManyKeys`] over [`TRUSTED_KEYS`].
    pub fn insert(&mut self, key: PublicKey) -> Result<(), TooManyKeys> {
        self.keys.insert(key);
        if self.keys.len() > TRUSTED_KEYS {
            self.keys.remove(&key);
            return Err(TooManyKeys);
        }
        Ok(())
    }

    /// Refuses what the list names from now on; replaces an earlier list, see [`Revocations::open`] for rollback.
    #[must_use]
    pub fn with_revocations(mut self, revocations: Revocations) -> Self {
        self.revocations = Some(revocations);
        self
    }

    /// Whether `key` is in the set and not revoked.
    #[must_use]
    pub fn contains(&self, key: &PublicKey) -> bool {
        self.keys.contains(key) && !self.revokes_key(key)
    }

    /// The keys, ascending, revoked ones too.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter()
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether nothing is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Keys that a signature naming `id` may be by.
    pub(crate) fn candidates(&self, id: KeyId) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter().filter(move |key| id.fits(key))
    }

    pub(crate) fn revokes_key(&self, key: &PublicKey) -> bool {
        self.revocations.as_ref().is_some_and(|r| r.revokes_key(key))
    }

    pub(crate) fn revokes_content(&self, content: &[u8; 32]) -> bool {
        self.revocations.as_ref().is_some_and(|r| r.revokes_content(content))
    }
}

impl From<PublicKey> for TrustedKeys {
    fn from(key: PublicKey) -> Self {
        Self { keys: BTreeSet::from([key]), revocations: None }
    }
}
