//! Blobs the game added: kept for upload and for local runs, bounded.

use std::collections::BTreeMap;

use bytes::Bytes;

use p2c2r_signing::BlobId;

use crate::limits::{BLOB_BYTES, BLOBS};

/// Why a blob was not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// One blob is over the wire's limit.
    #[error("blob is {got} bytes, at most {max} can be uploaded")]
    TooLarge {
        /// Its size.
        got: u64,
        /// The wire's bound.
        max: u64,
    },
    /// All blobs together are over the client's limit.
    #[error("blobs would take {got} bytes, at most {max} are kept; remove some")]
    TooManyBytes {
        /// With the new one.
        got: u64,
        /// The bound.
        max: u64,
    },
    /// Too many blobs.
    #[error("{max} blobs are kept already; remove some")]
    TooMany {
        /// The bound.
        max: usize,
    },
    /// The client was shut down.
    #[error("the client was shut down")]
    Closed,
}

#[derive(Debug, Default)]
pub(crate) struct Blobs {
    kept: BTreeMap<BlobId, Bytes>,
    bytes: u64,
}

impl Blobs {
    /// Keeps a blob; the second value is false if it was kept already.
    pub(crate) fn add(&mut self, bytes: Bytes) -> Result<(BlobId, bool), BlobError> {
        let size = bytes.len() as u64;
        let max = p2c2r_protocol::limits::BLOB_BYTES;
        if size > max {
            return Err(BlobError::TooLarge { got: size, max });
        }
        let id = BlobId::of(&bytes);
        if self.kept.contains_key(&id) {
            return Ok((id, false));
        }
        if self.bytes + size > BLOB_BYTES {
            return Err(BlobError::TooManyBytes { got: self.bytes + size, max: BLOB_BYTES });
        }
        if self.kept.len() == BLOBS {
            return Err(BlobError::TooMany { max: BLOBS });
        }
        self.bytes += size;
        self.kept.insert(id, bytes);
        Ok((id, true))
    }

    pub(crate) fn remove(&mut self, id: &BlobId) {
        if let Some(bytes) = self.kept.remove(id) {
            self.bytes -= bytes.len() as u64;
        }
    }

    pub(crate) fn get(&self, id: &BlobId) -> Option<&Bytes> {
        self.kept.get(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_kept_once_and_counted_once() {
        let mut blobs = Blobs::default();
        let (id, fresh) = blobs.add(Bytes::from_static(b"abc")).expect("small");
        assert!(fresh);
        assert_eq!(blobs.add(Bytes::from_static(b"abc")), Ok((id, false)));
        assert_eq!(blobs.bytes, 3);
        blobs.remove(&id);
        blobs.remove(&id);
        assert_eq!((blobs.bytes, blobs.get(&id)), (0, None));
    }

    #[test]
    fn the_number_of_blobs_is_bounded() {
        let mut blobs = Blobs::default();
        for n in 0..BLOBS as u64 {
            blobs.add(Bytes::copy_from_slice(&n.to_le_bytes())).expect("in bounds");
        }
        assert_eq!(blobs.add(Bytes::from_static(b"one more")), Err(BlobError::TooMany { max: BLOBS }));
    }
}
