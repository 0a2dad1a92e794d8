//! Kernels and blobs by hash: a bounded folder on disk, and what is hot in memory. Nothing leaves it unchecked: a blob's
//! hash is compared, a kernel's signature verified, on arrival and again when read back from disk.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use p2c2r_protocol::limits::BLOB_BYTES;
use p2c2r_protocol::message::Item;
use p2c2r_signing::limits::MODULE_BYTES;
use p2c2r_signing::{BlobId, ModuleId, TrustedKeys, VerifiedModule, VerifyError, verify_module};

use crate::limits;

/// A kernel or blob that passed its check.
#[derive(Debug, Clone)]
pub enum Content {
    /// A kernel by a trusted publisher.
    Kernel(VerifiedModule),
    /// A blob with the right hash.
    Blob(Bytes),
}

/// Why bytes were not taken.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// They are not what was asked for.
    #[error("{item:?}: the bytes received have another hash")]
    Hash {
        /// What was asked for.
        item: Item,
    },
    /// The kernel's signature is missing, wrong, or by a publisher the owner does not trust.
    #[error("kernel {module} was refused")]
    Kernel {
        /// Which.
        module: ModuleId,
        /// Why.
        #[source]
        source: Box<VerifyError>,
    },
}

/// The store. All methods may be called from any thread; those that say so read or write the disk.
#[derive(Debug)]
pub struct Library {
    dir: PathBuf,
    trusted: TrustedKeys,
    disk_bytes: u64,
    shelf: Mutex<Shelf>,
}

/// What there is, with the clock of its last use.
#[derive(Debug, Default)]
struct Shelf {
    clock: u64,
    disk: BTreeMap<Item, Entry<()>>,
    blobs: BTreeMap<BlobId, Entry<Bytes>>,
    kernels: BTreeMap<ModuleId, Entry<VerifiedModule>>,
}

#[derive(Debug)]
struct Entry<T> {
    bytes: u64,
    used: u64,
    value: T,
}

/// Figures for the owner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Kernels on disk.
    pub kernels: usize,
    /// Blobs on disk.
    pub blobs: usize,
    /// Bytes on disk.
    pub bytes: u64,
}

impl Library {
    /// Opens the folder, making it if needed, and takes stock: names and sizes, oldest first. `disk_bytes` bounds it.
    ///
    /// # Errors
    /// If the folder cannot be made or read.
    pub fn open(dir: &Path, trusted: TrustedKeys, disk_bytes: u64) -> io::Result<Self> {
        let mut found = Vec::new();
        for (folder, item) in [("kernels", kernel_item as fn(&str) -> Option<Item>), ("blobs", blob_item)] {
            let folder = dir.join(folder);
            fs::create_dir_all(&folder)?;
            for file in fs::read_dir(&folder)? {
                let file = file?;
                let meta = file.metadata()?;
                match file.file_name().to_str().and_then(item) {
                    Some(item) if meta.is_file() => found.push((meta.modified()?, item, meta.len())),
                    // Left over from a write that was cut off.
                    _ => drop(fs::remove_file(file.path())),
                }
            }
        }
        found.sort();
        let mut shelf = Shelf::default();
        for (_, item, bytes) in found {
            let used = shelf.tick();
            shelf.disk.insert(item, Entry { bytes, used, value: () });
        }
        let library = Self { dir: dir.to_owned(), trusted, disk_bytes, shelf: Mutex::new(shelf) };
        library.evict(&mut library.lock());
        Ok(library)
    }

    /// The item, if it is in memory.
    #[must_use]
    pub fn hot(&self, item: &Item) -> Option<Content> {
        let mut shelf = self.lock();
        let used = shelf.tick();
        if let Some(entry) = shelf.disk.get_mut(item) {
            entry.used = used;
        }
        match item {
            Item::Kernel(id) => shelf.kernels.get_mut(id).map(|entry| {
                entry.used = used;
                Content::Kernel(entry.value.clone())
            }),
            Item::Blob(id) => shelf.blobs.get_mut(id).map(|entry| {
                entry.used = used;
                Content::Blob(entry.value.clone())
            }),
        }
    }

    /// Whether the item is here, in memory or on disk.
    #[must_use]
    pub fn has(&self, item: &Item) -> bool {
        let shelf = self.lock();
        shelf.disk.contains_key(item)
            || match item {
                Item::Kernel(id) => shelf.kernels.contains_key(id),
                Item::Blob(id) => shelf.blobs.contains_key(id),
            }
    }

    /// The item, from memory or from disk; what no longer passes its check there is removed. Reads the disk.
    #[must_use]
    pub fn load(&self, item: &Item) -> Option<Content> {
        if let Some(content) = self.hot(item) {
            return Some(content);
        }
        let path = self.path(item);
        let checked = match read_bounded(&path, item_limit(item)) {
            Ok(bytes) => self.check(item, bytes.into()).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match checked {
            Ok(content) => {
                self.lock().keep(item, &content);
                Some(content)
            }
            Err(error) => {
                if self.lock().disk.remove(item).is_some() {
                    tracing::warn!(path = %path.display(), error, "dropped from the cache");
                    drop(fs::remove_file(&path));
                }
                None
            }
        }
    }

    /// Checks bytes that came from the network and keeps them. Writes the disk; a full disk costs the copy there, not
    /// the item.
    ///
    /// # Errors
    /// [`AdmitError`] if they do not pass.
    pub fn admit(&self, item: &Item, bytes: Bytes) -> Result<Content, AdmitError> {
        let content = self.check(item, bytes.clone())?;
        let path = self.path(item);
        if let Err(error) = crate::file::replace(&path, &bytes) {
            tracing::warn!(path = %path.display(), %error, "not kept on disk");
        } else {
            let mut shelf = self.lock();
            let used = shelf.tick();
            shelf.disk.insert(*item, Entry { bytes: bytes.len() as u64, used, value: () });
            self.evict(&mut shelf);
        }
        self.lock().keep(item, &content);
        Ok(content)
    }

    /// What is on disk.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        let shelf = self.lock();
        let kernels = shelf.disk.keys().filter(|item| matches!(item, Item::Kernel(_))).count();
        let bytes = shelf.disk.values().map(|entry| entry.bytes).sum();
        Holdings { kernels, blobs: shelf.disk.len() - kernels, bytes }
    }

    fn check(&self, item: &Item, bytes: Bytes) -> Result<Content, AdmitError> {
        match *item {
            Item::Blob(id) if BlobId::of(&bytes) == id => Ok(Content::Blob(bytes)),
            Item::Kernel(id) if ModuleId::of(&bytes) == id => verify_module(bytes, &self.trusted)
                .map(Content::Kernel)
                .map_err(|source| AdmitError::Kernel { module: id, source: Box::new(source) }),
            item => Err(AdmitError::Hash { item }),
        }
    }

    /// Removes the longest unused files until the rest fits.
    fn evict(&self, shelf: &mut Shelf) {
        let mut total: u64 = shelf.disk.values().map(|entry| entry.bytes).sum();
        while total > self.disk_bytes {
            let oldest =
                shelf.disk.iter().min_by_key(|(_, entry)| entry.used).map(|(item, entry)| (*item, entry.bytes));
            let Some((item, bytes)) = oldest else { return };
            shelf.disk.remove(&item);
            total -= bytes;
            drop(fs::remove_file(self.path(&item)));
        }
    }

    fn path(&self, item: &Item) -> PathBuf {
        match item {
            Item::Kernel(id) => self.dir.join("kernels").join(format!("{id}.wasm")),
            Item::Blob(id) => self.dir.join("blobs").join(format!("{id}.blob")),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    const fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Keeps the item in memory, at the expense of the longest unused.
    fn keep(&mut self, item: &Item, content: &Content) {
        let used = self.tick();
        if let Some(entry) = self.disk.get_mut(item) {
            entry.used = used;
        }
        match (item, content) {
            (Item::Kernel(id), Content::Kernel(module)) => {
                self.kernels.insert(*id, Entry { bytes: 0, used, value: module.clone() });
                while self.kernels.len() > limits::HOT_KERNELS {
                    remove_oldest(&mut self.kernels);
                }
            }
            (Item::Blob(id), Content::Blob(bytes)) if bytes.len() as u64 <= limits::HOT_BYTES => {
                self.blobs.insert(*id, Entry { bytes: bytes.len() as u64, used, value: bytes.clone() });
                while self.blobs.values().map(|entry| entry.bytes).sum::<u64>() > limits::HOT_BYTES {
                    remove_oldest(&mut self.blobs);
                }
            }
            _ => {}
        }
    }
}

/// Bytes an item may have.
pub(crate) const fn item_limit(item: &Item) -> u64 {
    match item {
        Item::Kernel(_) => MODULE_BYTES as u64,
        Item::Blob(_) => BLOB_BYTES,
    }
}

fn remove_oldest<K: Ord + Copy, T>(entries: &mut BTreeMap<K, Entry<T>>) {
    if let Some(key) = entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key) {
        entries.remove(&key);
    }
}

fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let bytes = fs::metadata(path)?.len();
    if bytes > limit {
        return Err(io::Error::other(format!("{bytes} bytes are over the limit of {limit}")));
    }
    fs::read(path)
}

fn kernel_item(name: &str) -> Option<Item> {
    name.strip_suffix(".wasm")?.parse().ok().map(Item::Kernel)
}

fn blob_item(name: &str) -> Option<Item> {
    name.strip_suffix(".blob")?.parse().ok().map(Item::Blob)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(library: &Library, bytes: &'static [u8]) -> Item {
        let item = Item::Blob(BlobId::of(bytes));
        library.admit(&item, Bytes::from_static(bytes)).unwrap();
        item
    }

    #[test]
    fn keeps_the_most_recent_and_reopens() {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::open(dir.path(), TrustedKeys::default(), 10).unwrap();
        let (first, second) = (put(&library, b"11111"), put(&library, b"22222"));
        assert!(library.load(&first).is_some());
        let third = put(&library, b"33333");
        assert_eq!(library.holdings(), Holdings { kernels: 0, blobs: 2, bytes: 10 });
        drop(library);
        let library = Library::open(dir.path(), TrustedKeys::default(), 10).unwrap();
        assert_eq!([first, second, third].map(|item| library.has(&item)), [true, false, true]);
        assert!(library.load(&first).is_some());
    }

    #[test]
    fn refuses_other_bytes_and_drops_damaged_files() {
        let dir = tempfile::tempdir().unwrap();
        let library = Library::open(dir.path(), TrustedKeys::default(), 1000).unwrap();
        let item = Item::Blob(BlobId::of(b"asked"));
        assert!(matches!(library.admit(&item, Bytes::from_static(b"given")), Err(AdmitError::Hash { .. })));
        let module = Item::Kernel(ModuleId::of(b"asked"));
        assert!(matches!(library.admit(&module, Bytes::from_static(b"asked")), Err(AdmitError::Kernel { .. })));
        let item = put(&library, b"whole");
        fs::write(library.path(&item), b"torn").unwrap();
        fs::write(dir.path().join("blobs/garbage"), b"").unwrap();
        let library = Library::open(dir.path(), TrustedKeys::default(), 1000).unwrap();
        assert!(library.has(&item));
        assert!(library.load(&item).is_none());
        assert!(!library.has(&item));
        assert_eq!(fs::read_dir(dir.path().join("blobs")).unwrap().count(), 0);
    }
}
