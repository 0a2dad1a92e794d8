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
use p2c2r_signing::{AccountId, BlobId, ModuleId};

use crate::limits::BLOB_FLOOR_BYTES;
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
    room: Room,
    state: Mutex<State>,
    temporary: AtomicU64,
}

/// How much may be stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Bytes of all kernels and blobs.
    pub(crate) all: u64,
    /// Bytes of the blobs one account brought, each counted as [`BLOB_FLOOR_BYTES`] at least.
    pub(crate) account: u64,
}

/// What is there, and how much of the room is taken or promised to uploads under way.
#[derive(Debug, Default)]
struct State {
    items: BTreeMap<Item, Stored>,
    used: u64,
    accounts: BTreeMap<AccountId, u64>,
}

/// Something that is there.
#[derive(Debug, Clone, Copy)]
struct Stored {
    bytes: u64,
    /// Who brought it, if it is a blob.
    owner: Option<AccountId>,
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
    /// The account has no room left.
    #[error("{bytes} bytes do not fit: {used} of the {quota} bytes for this account's blobs are taken")]
    AccountFull {
        /// Asked for.
        bytes: u64,
        /// Taken.
        used: u64,
        /// The bound.
        quota: u64,
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
            Self::Full { .. } | Self::AccountFull { .. } => Refusal::Limit,
            Self::Io { .. } => Refusal::Unavailable,
        }
    }
}

impl Content {
    /// Opens the folder, makes what is missing, throws away unfinished uploads and checks every file.
    ///
    /// # Errors
    /// If the folder cannot be read or written.
    pub(crate) fn open(data: &Path, room: Room) -> Result<Self, ContentError> {
        let inner = Inner {
            kernels: data.join("kernels"),
            blobs: data.join("blobs"),
            incoming: data.join("incoming"),
            room,
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
        content.take_in(&content.0.kernels, None, |name| name.parse().ok().map(Item::Kernel))?;
        for (owner, folder) in entries(&content.0.blobs, |name| name.parse::<AccountId>().ok())? {
            content.take_in(&folder, Some(owner), |name| name.parse().ok().map(Item::Blob))?;
        }
        Ok(content)
    }

    fn take_in(
        &self,
        folder: &Path,
        owner: Option<AccountId>,
        item: impl Fn(&str) -> Option<Item>,
    ) -> Result<(), ContentError> {
        for (item, path) in entries(folder, item)? {
            let (hash, bytes) = hash_file(&path)?;
            if hash == *hash_of(&item) {
                let mut state = self.state();
                state.items.insert(item, Stored { bytes, owner });
                state.take(bytes, owner);
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
        self.state().items.get(item).map(|stored| stored.bytes)
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
        self.reserve(total, None)?;
        let stored = self.temporary().and_then(|(path, mut file)| {
            let written = file.write_all(bytes).map_err(at(&path));
            // Whatever is left is thrown away at the next start.
            written
                .and_then(|()| self.finish(&file, &path, item, Stored { bytes: total, owner: None }))
                .inspect_err(|_| drop(fs::remove_file(&path)))
        });
        stored.inspect_err(|_| self.release(total, None))
    }

    /// Up to `max` bytes of `item` from `offset`, with its whole size; `None` if it is not here. Blocks.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn read(&self, item: &Item, offset: u64, max: usize) -> Result<Option<(Vec<u8>, u64)>, ContentError> {
        let Some(Stored { bytes: total, owner }) = self.state().items.get(item).copied() else { return Ok(None) };
        let path = self.path(item, owner);
        let mut file = File::open(&path).map_err(at(&path))?;
        file.seek(SeekFrom::Start(offset.min(total))).map_err(at(&path))?;
        let mut bytes = Vec::with_capacity(usize::try_from(total - offset.min(total)).unwrap_or(max).min(max));
        file.take(max as u64).read_to_end(&mut bytes).map_err(at(&path))?;
        Ok(Some((bytes, total)))
    }

    /// Blobs lie in a folder of the account that brought them first.
    fn path(&self, item: &Item, owner: Option<AccountId>) -> PathBuf {
        let owner = owner.map(|owner| owner.to_string()).unwrap_or_default();
        match item {
            Item::Kernel(module) => self.0.kernels.join(module.to_string()),
            Item::Blob(blob) => self.0.blobs.join(owner).join(blob.to_string()),
        }
    }

    fn temporary(&self) -> Result<(PathBuf, File), ContentError> {
        let number = self.0.temporary.fetch_add(1, Ordering::Relaxed);
        let path = self.0.incoming.join(number.to_string());
        let file = File::create_new(&path).map_err(at(&path))?;
        Ok((path, file))
    }

    fn reserve(&self, bytes: u64, owner: Option<AccountId>) -> Result<(), ContentError> {
        let mut state = self.state();
        let Room { all: capacity, account: quota } = self.0.room;
        let used = owner.and_then(|owner| state.accounts.get(&owner).copied()).unwrap_or(0);
        if owner.is_some() && used.saturating_add(charged(bytes)) > quota {
            return Err(ContentError::AccountFull { bytes, used, quota });
        }
        let used = state.used;
        if used.saturating_add(bytes) > capacity {
            return Err(ContentError::Full { bytes, used, capacity });
        }
        state.take(bytes, owner);
        Ok(())
    }

    fn release(&self, bytes: u64, owner: Option<AccountId>) {
        self.state().give_back(bytes, owner);
    }

    /// Gives a whole file its name. What was reserved for it is its own from then on.
    fn finish(&self, file: &File, temporary: &Path, item: Item, stored: Stored) -> Result<(), ContentError> {
        let path = self.path(&item, stored.owner);
        file.sync_all().map_err(at(temporary))?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(at(folder))?;
            fs::rename(temporary, &path).map_err(at(&path))?;
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))?;
        }
        let mut state = self.state();
        if let Some(other) = state.items.insert(item, stored) {
            // Two connections brought the same blob at once. If two accounts did, the file of the first is a second copy.
            state.give_back(other.bytes, other.owner);
            drop(state);
            if other.owner != stored.owner {
                let copy = self.path(&item, other.owner);
                fs::remove_file(&copy).map_err(at(&copy))?;
            }
        }
        Ok(())
    }

    fn discard(&self, temporary: &Path, reserved: u64, owner: Option<AccountId>) {
        self.release(reserved, owner);
        // Whatever is left is thrown away at the next start.
        let _ = fs::remove_file(temporary);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, so a poisoned state is still a consistent one.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, bytes: u64, owner: Option<AccountId>) {
        self.used = self.used.saturating_add(bytes);
        if let Some(owner) = owner {
            let used = self.accounts.entry(owner).or_default();
            *used = used.saturating_add(charged(bytes));
        }
    }

    fn give_back(&mut self, bytes: u64, owner: Option<AccountId>) {
        self.used = self.used.saturating_sub(bytes);
        if let Some(owner) = owner
            && let Some(used) = self.accounts.get_mut(&owner)
        {
            *used = used.saturating_sub(charged(bytes));
            if *used == 0 {
                self.accounts.remove(&owner);
            }
        }
    }
}

/// What a blob counts in its account's quota.
fn charged(bytes: u64) -> u64 {
    bytes.max(BLOB_FLOOR_BYTES)
}

/// What a folder has of a kind; other names are left alone.
fn entries<T>(folder: &Path, kind: impl Fn(&str) -> Option<T>) -> Result<Vec<(T, PathBuf)>, ContentError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        if let Some(item) = path.file_name().and_then(|name| kind(name.to_str()?)) {
            found.push((item, path));
        }
    }
    Ok(found)
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
