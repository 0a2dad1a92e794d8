//! Kernels and blobs on disk, each a file named by the blake3 of its bytes.
//!
//! A file is written under a temporary name, synced, and only then gets its own: what has a name is whole. All of them
//! are read and hashed at the start; what does not match its name is moved aside and treated as absent.

mod fetch;
mod upload;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use p2c2r_protocol::message::{Item, Refusal};
use p2c2r_signing::{BlobId, ModuleId};

pub(crate) use fetch::serve;
pub(crate) use upload::{Piece, Uploads};

/// Bytes read at a time when hashing.
const HASH_BYTES: usize = 256 << 10;

/// Kernels and blobs of one coordinator. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Content(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kernels: PathBuf,
    blobs: PathBuf,
    incoming: PathBuf,
    /// Bytes all kernels and blobs may take.
    capacity: u64,
    state: Mutex<State>,
    temporary: AtomicU64,
}

/// What is there, and how much of the capacity is taken or promised to uploads under way.
#[derive(Debug, Default)]
struct State {
    items: BTreeMap<Item, u64>,
    used: u64,
}

/// Why something is not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContentError {
    /// No room.
    #[error("{bytes} bytes do not fit: {used} of the {capacity} bytes for kernels and blobs are taken")]
    Full {
        /// Asked for.
        bytes: u64,
        /// Taken.
        used: u64,
        /// The bound.
        capacity: u64,
    },
    /// The disk failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl ContentError {
    pub(crate) const fn refusal(&self) -> Refusal {
        match self {
            Self::Full { .. } => Refusal::Limit,
            Self::Io { .. } => Refusal::Unavailable,
        }
    }
}

impl Content {
    /// Opens the folder, makes what is missing, throws away unfinished uploads and checks every file.
    ///
    /// # Errors
    /// If the folder cannot be read or written.
    pub(crate) fn open(data: &Path, capacity: u64) -> Result<Self, ContentError> {
        let inner = Inner {
            kernels: data.join("kernels"),
            blobs: data.join("blobs"),
            incoming: data.join("incoming"),
            capacity,
            state: Mutex::default(),
            temporary: AtomicU64::new(0),
        };
        for folder in [&inner.kernels, &inner.blobs, &inner.incoming] {
            fs::create_dir_all(folder).map_err(at(folder))?;
        }
        for entry in fs::read_dir(&inner.incoming).map_err(at(&inner.incoming))? {
            let path = entry.map_err(at(&inner.incoming))?.path();
            fs::remove_file(&path).map_err(at(&path))?;
        }
        let content = Self(Arc::new(inner));
        content.take_in(&content.0.kernels, |name| name.parse().ok().map(Item::Kernel))?;
        content.take_in(&content.0.blobs, |name| name.parse().ok().map(Item::Blob))?;
        Ok(content)
    }

    fn take_in(&self, folder: &Path, item: impl Fn(&str) -> Option<Item>) -> Result<(), ContentError> {
        for entry in fs::read_dir(folder).map_err(at(folder))? {
            let path = entry.map_err(at(folder))?.path();
            let Some(item) = path.file_name().and_then(|name| item(name.to_str()?)) else { continue };
            let (hash, bytes) = hash_file(&path)?;
            if hash == *hash_of(&item) {
                let mut state = self.state();
                state.items.insert(item, bytes);
                state.used = state.used.saturating_add(bytes);
            } else {
                let aside = path.with_extension("damaged");
                tracing::error!(file = %path.display(), "content does not match its name; moved aside");
                fs::rename(&path, &aside).map_err(at(&path))?;
            }
        }
        Ok(())
    }

    /// Bytes of `item`, if it is here.
    pub(crate) fn size(&self, item: &Item) -> Option<u64> {
        self.state().items.get(item).copied()
    }

    /// Every blob that is here.
    pub(crate) fn blobs(&self) -> Vec<BlobId> {
        let blob = |item: &Item| if let Item::Blob(blob) = item { Some(*blob) } else { None };
        self.state().items.keys().filter_map(blob).collect()
    }

    /// Bytes taken or promised.
    pub(crate) fn used(&self) -> u64 {
        self.state().used
    }

    /// Stores a kernel that is known to hash to `module`. Blocks.
    ///
    /// # Errors
    /// [`ContentError`].
    pub(crate) fn put_kernel(&self, module: ModuleId, bytes: &[u8]) -> Result<(), ContentError> {
        let item = Item::Kernel(module);
        if self.size(&item).is_some() {
            return Ok(());
        }
        let total = bytes.len() as u64;
        self.reserve(total)?;
        let stored = self.temporary().and_then(|(path, mut file)| {
            let written = file.write_all(bytes).map_err(at(&path));
            // Whatever is left is thrown away at the next start.
            written.and_then(|()| self.finish(&file, &path, item, total)).inspect_err(|_| drop(fs::remove_file(&path)))
        });
        stored.inspect_err(|_| self.release(total))
    }

    /// Up to `max` bytes of `item` from `offset`, with its whole size; `None` if it is not here. Blocks.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn read(&self, item: &Item, offset: u64, max: usize) -> Result<Option<(Vec<u8>, u64)>, ContentError> {
        let Some(total) = self.size(item) else { return Ok(None) };
        let path = self.path(item);
        let mut file = File::open(&path).map_err(at(&path))?;
        file.seek(SeekFrom::Start(offset.min(total))).map_err(at(&path))?;
        let mut bytes = Vec::with_capacity(usize::try_from(total - offset.min(total)).unwrap_or(max).min(max));
        file.take(max as u64).read_to_end(&mut bytes).map_err(at(&path))?;
        Ok(Some((bytes, total)))
    }

    fn path(&self, item: &Item) -> PathBuf {
        match item {
            Item::Kernel(module) => self.0.kernels.join(module.to_string()),
            Item::Blob(blob) => self.0.blobs.join(blob.to_string()),
        }
    }

    fn temporary(&self) -> Result<(PathBuf, File), ContentError> {
        let number = self.0.temporary.fetch_add(1, Ordering::Relaxed);
        let path = self.0.incoming.join(number.to_string());
        let file = File::create_new(&path).map_err(at(&path))?;
        Ok((path, file))
    }

    fn reserve(&self, bytes: u64) -> Result<(), ContentError> {
        let mut state = self.state();
        let (used, capacity) = (state.used, self.0.capacity);
        match used.checked_add(bytes).filter(|sum| *sum <= capacity) {
            Some(sum) => state.used = sum,
            None => return Err(ContentError::Full { bytes, used, capacity }),
        }
        Ok(())
    }

    fn release(&self, bytes: u64) {
        let mut state = self.state();
        state.used = state.used.saturating_sub(bytes);
    }

    /// Gives a whole file its name. What was reserved for it is its own from then on.
    fn finish(&self, file: &File, temporary: &Path, item: Item, bytes: u64) -> Result<(), ContentError> {
        let path = self.path(&item);
        file.sync_all().map_err(at(temporary))?;
        fs::rename(temporary, &path).map_err(at(&path))?;
        if let Some(folder) = path.parent() {
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))?;
        }
        if self.state().items.insert(item, bytes).is_some() {
            // Two connections brought the same blob at once.
            self.release(bytes);
        }
        Ok(())
    }

    fn discard(&self, temporary: &Path, reserved: u64) {
        self.release(reserved);
        // Whatever is left is thrown away at the next start.
        let _ = fs::remove_file(temporary);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, so a poisoned state is still a consistent one.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash_of(item: &Item) -> &[u8; 32] {
    match item {
        Item::Kernel(module) => module.as_bytes(),
        Item::Blob(blob) => blob.as_bytes(),
    }
}

fn hash_file(path: &Path) -> Result<([u8; 32], u64), ContentError> {
    let mut file = File::open(path).map_err(at(path))?;
    let (mut hasher, mut buffer, mut total) = (blake3::Hasher::new(), vec![0; HASH_BYTES], 0);
    loop {
        let read = file.read(&mut buffer).map_err(at(path))?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        hasher.update(bytes);
        total += bytes.len() as u64;
    }
    Ok((*hasher.finalize().as_bytes(), total))
}

fn at(path: &Path) -> impl Fn(io::Error) -> ContentError + '_ {
    |source| ContentError::Io { path: path.to_owned(), source }
}
