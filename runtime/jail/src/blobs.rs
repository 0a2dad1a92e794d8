//! Blobs as shared memory, made once for all workers.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use p2c2r_signing::BlobId;

use crate::limits::SHARED_BLOB_BYTES;
use crate::memory::Sealed;

/// What is kept ready: the most recently used, up to [`SHARED_BLOB_BYTES`].
#[derive(Debug, Default)]
pub(crate) struct SharedBlobs(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    clock: u64,
    bytes: u64,
    entries: BTreeMap<BlobId, Entry>,
}

#[derive(Debug)]
struct Entry {
    memory: Arc<Sealed>,
    bytes: u64,
    used: u64,
}

impl SharedBlobs {
    /// The blob with this id, whose bytes the caller has at hand.
    pub(crate) fn share(&self, id: BlobId, bytes: &[u8]) -> io::Result<Arc<Sealed>> {
        if let Some(memory) = self.lock().find(&id) {
            return Ok(memory);
        }
        let memory = Arc::new(Sealed::new(bytes)?);
        self.lock().keep(id, Arc::clone(&memory), bytes.len() as u64);
        Ok(memory)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn find(&mut self, id: &BlobId) -> Option<Arc<Sealed>> {
        self.clock += 1;
        let entry = self.entries.get_mut(id)?;
        entry.used = self.clock;
        Some(Arc::clone(&entry.memory))
    }

    fn keep(&mut self, id: BlobId, memory: Arc<Sealed>, bytes: u64) {
        self.clock += 1;
        if let Some(old) = self.entries.insert(id, Entry { memory, bytes, used: self.clock }) {
            self.bytes -= old.bytes;
        }
        self.bytes += bytes;
        while self.bytes > SHARED_BLOB_BYTES {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(id, _)| *id);
            let Some(gone) = oldest.and_then(|id| self.entries.remove(&id)) else { return };
            self.bytes -= gone.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_go_first() {
        let shelf = &mut Shelf::default();
        let memory = Arc::new(Sealed::new(b"").unwrap());
        let id = |n: u8| BlobId::from_bytes([n; 32]);
        let half = SHARED_BLOB_BYTES / 2;
        shelf.keep(id(1), Arc::clone(&memory), half);
        shelf.keep(id(2), Arc::clone(&memory), half);
        assert!(shelf.find(&id(1)).is_some());
        shelf.keep(id(3), Arc::clone(&memory), 1);
        assert!(shelf.find(&id(2)).is_none() && shelf.find(&id(1)).is_some() && shelf.find(&id(3)).is_some());
        assert_eq!(shelf.bytes, half + 1);
        shelf.keep(id(4), memory, SHARED_BLOB_BYTES + 1);
        assert_eq!((shelf.bytes, shelf.entries.len()), (0, 0));
    }

    #[test]
    fn a_blob_is_copied_once() {
        let blobs = SharedBlobs::default();
        let one = blobs.share(BlobId::of(b"x"), b"x").unwrap();
        assert!(Arc::ptr_eq(&one, &blobs.share(BlobId::of(b"x"), b"x").unwrap()));
    }
}
