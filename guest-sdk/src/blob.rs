//! Blobs: large inputs that repeat, named by hash and cached by peers (nav grids, meshes, weights).

use alloc::vec;
use alloc::vec::Vec;

use crate::failure::{Failure, code};
use crate::sys;

/// One of the task's blobs. Its content is what the client's hash says; whether it makes sense is for the kernel to check.
#[derive(Debug, Clone, Copy)]
pub struct Blob {
    index: u32,
    bytes: u64,
}

/// Why a blob could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// The task names fewer blobs.
    #[error("blob {index} asked for, the task names {count}")]
    Missing {
        /// Blob asked for.
        index: u32,
        /// Blobs there are.
        count: u32,
    },
    /// A read leaves the blob.
    #[error("read of {bytes} bytes at {offset} leaves blob {index} of {blob_bytes} bytes")]
    Range {
        /// Blob read.
        index: u32,
        /// Where the read starts.
        offset: u64,
        /// How much was asked for.
        bytes: u64,
        /// How much there is.
        blob_bytes: u64,
    },
    /// The blob is larger than the kernel takes.
    #[error("blob {index} has {bytes} bytes, at most {max_bytes} are taken")]
    TooLarge {
        /// Blob read.
        index: u32,
        /// Its size.
        bytes: u64,
        /// What the kernel takes.
        max_bytes: u64,
    },
}

impl From<BlobError> for Failure {
    fn from(error: BlobError) -> Self {
        Self::new(code::BLOB, error)
    }
}

impl Blob {
    pub(crate) fn open(index: u32) -> Result<Self, BlobError> {
        match u64::try_from(sys::blob_len(index)) {
            Ok(bytes) => Ok(Self { index, bytes }),
            // A negative length is a status, and this call has only one.
            Err(_negative) => Err(BlobError::Missing { index, count: sys::blob_count() }),
        }
    }

    /// Size in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.bytes
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Fills `dst` from `offset` on.
    ///
    /// # Errors
    /// [`BlobError::Range`] if the blob ends before `dst` is full; `dst` is then unchanged.
    pub fn read(&self, offset: u64, dst: &mut [u8]) -> Result<(), BlobError> {
        match sys::blob_read(self.index, offset, dst) {
            p2c2r_abi::status::OK => Ok(()),
            _ => Err(BlobError::Range { index: self.index, offset, bytes: dst.len() as u64, blob_bytes: self.bytes }),
        }
    }

    /// The whole blob, if it has at most `max_bytes`.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`].
    pub fn to_vec(&self, max_bytes: u64) -> Result<Vec<u8>, BlobError> {
        let too_large = BlobError::TooLarge { index: self.index, bytes: self.bytes, max_bytes };
        let bytes = usize::try_from(self.bytes).ok().filter(|_| self.bytes <= max_bytes).ok_or(too_large)?;
        let mut all = vec![0; bytes];
        self.read(0, &mut all)?;
        Ok(all)
    }
}
