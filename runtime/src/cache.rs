//! Compiled code on disk. `Module::deserialize` runs whatever native code it is given, so an entry counts only with a
//! MAC that this machine made: the key never leaves it, and code never comes from another.
//!
//! An entry is `MAC: 32 bytes, code`, in `<cache dir>/<engine>/<module id>.<plain|fuel>`. The key is `aot.key` in the
//! folder above the cache, so that emptying or sharing the cache does not touch it. Whatever is wrong with an entry,
//! the module is compiled again.
//!
//! A peer that is updated makes a folder for each engine it ever was. Those that nobody used for a while are removed when a
//! cache is opened.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use p2c2r_signing::{Digest, ModuleId};

use crate::engine::Metering;
use crate::limits::{CACHE_BYTES, CACHE_ENTRY_BYTES, CACHE_FOLDERS, CACHE_IDLE};

const KEY_FILE: &str = "aot.key";
const KEY_BYTES: usize = 32;
const MAC_BYTES: usize = 32;
const MAC_DOMAIN: &[u8] = b"P2C2R 2026-11-22 compiled code v1";

/// The cache of one engine.
pub struct Cache {
    bounds: Bounds,
    dir: PathBuf,
    key: [u8; KEY_BYTES],
    engine_id: Digest,
    code_id: Digest,
}

impl Cache {
    /// Opens or makes the folder, and the key in the folder above. Entries count for this engine and code id only
    /// ([`crate::Sandbox::engine_id`], [`crate::Sandbox::code_id`]).
    ///
    /// # Errors
    /// If folder or key cannot be made or read.
    pub fn open(dir: &Path, engine_id: Digest, code_id: Digest) -> io::Result<Self> {
        let entries = dir.join(engine_id.short());
        fs::create_dir_all(&entries)?;
        let parent = dir.canonicalize()?.parent().map(Path::to_owned);
        let parent = parent.ok_or_else(|| io::Error::other("the cache folder must have a folder above it"))?;
        let key = load_or_make_key(&parent.join(KEY_FILE))?;
        mark_used(&entries);
        remove_unused(dir, &entries, SystemTime::now());
        Ok(Self { bounds: Bounds::MOST, dir: entries, key, engine_id, code_id })
    }

    /// The code of a module, if there is an entry of ours for it.
    pub fn load(&self, metering: Metering, id: &ModuleId) -> Option<Vec<u8>> {
        let path = self.path(metering, id);
        let mut entry = Vec::new();
        let file = File::open(&path).ok()?;
        file.take(self.bounds.entry_bytes + MAC_BYTES as u64 + 1).read_to_end(&mut entry).ok()?;
        let mac = *entry.first_chunk::<MAC_BYTES>()?;
        let code = entry.split_off(MAC_BYTES);
        if code.len() as u64 > self.bounds.entry_bytes {
            return None;
        }
        // `blake3::Hash` compares in constant time.
        if self.mac(metering, id, &code) != mac {
            tracing::warn!(path = %path.display(), "compiled code does not carry our mac; compiling again");
            return None;
        }
        mark_used(&self.dir);
        Some(code)
    }

    /// Keeps a module's code. Failing to is no error: the next load compiles.
    pub fn store(&self, metering: Metering, id: &ModuleId, code: &[u8]) {
        let max = self.bounds.entry_bytes;
        if code.len() as u64 > max {
            tracing::warn!(module = %id, bytes = code.len(), max, "compiled code too large to keep");
            return;
        }
        let mac = self.mac(metering, id, code);
        let path = self.path(metering, id);
        let made = self.make_room(&path, (MAC_BYTES + code.len()) as u64);
        let written = made.and_then(|()| replace(&path, &[mac.as_bytes(), code]));
        if let Err(error) = written {
            tracing::warn!(module = %id, %error, "compiled code not kept");
        }
    }

    fn path(&self, metering: Metering, id: &ModuleId) -> PathBuf {
        self.dir.join(format!("{id}.{}", metering.name()))
    }

    fn mac(&self, metering: Metering, id: &ModuleId, code: &[u8]) -> blake3::Hash {
        let mut h = blake3::Hasher::new_keyed(&self.key);
        h.update(MAC_DOMAIN);
        h.update(self.engine_id.as_bytes());
        h.update(self.code_id.as_bytes());
        h.update(&[metering as u8]);
        h.update(id.as_bytes());
        h.update(code);
        h.finalize()
    }

    /// Removes the oldest entries until `bytes` fit in place of what is at `path`.
    fn make_room(&self, path: &Path, bytes: u64) -> io::Result<()> {
        let mut entries: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let about = entry.metadata()?;
            if entry.path() != path {
                entries.push((about.modified()?, about.len(), entry.path()));
            }
        }
        entries.sort_unstable();
        let mut total = entries.iter().fold(bytes, |sum, (_, len, _)| sum.saturating_add(*len));
        for (_, len, path) in entries {
            if total <= self.bounds.total_bytes {
                break;
            }
            fs::remove_file(path)?;
            total -= len;
        }
        Ok(())
    }
}

/// Of one cache; smaller ones are for tests.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Code of one entry.
    entry_bytes: u64,
    /// All files.
    total_bytes: u64,
}

impl Bounds {
    const MOST: Self = Self { entry_bytes: CACHE_ENTRY_BYTES, total_bytes: CACHE_BYTES };
}

/// Says by a folder's time of modification that it is in use. Where that cannot be set, making entries still does.
fn mark_used(dir: &Path) {
    if let Err(error) = File::open(dir).and_then(|dir| dir.set_modified(SystemTime::now())) {
        tracing::debug!(dir = %dir.display(), %error, "time of the compiled-code folder not renewed");
    }
}

/// Removes the folders of other engines in `dir` that nobody has used for [`CACHE_IDLE`] before `now`. What cannot be read or removed
/// stays.
fn remove_unused(dir: &Path, own: &Path, now: SystemTime) {
    let unused = |entry: &fs::DirEntry| {
        let about = entry.metadata().ok()?;
        // A time to come is no age.
        let idle = now.duration_since(about.modified().ok()?).ok()?;
        (about.is_dir() && idle > CACHE_IDLE && is_engine(&entry.file_name()) && entry.path() != own).then_some(())
    };
    let Ok(folders) = fs::read_dir(dir) else { return };
    for entry in folders.take(CACHE_FOLDERS).flatten().filter(|entry| unused(entry).is_some()) {
        let path = entry.path();
        match fs::remove_dir_all(&path) {
            Ok(()) => tracing::info!(path = %path.display(), "compiled code of an engine that nobody uses removed"),
            Err(error) => tracing::warn!(path = %path.display(), %error, "compiled code that nobody uses not removed"),
        }
    }
}

/// Whether a folder has a name that [`Cache::open`] gives.
fn is_engine(name: &OsStr) -> bool {
    let digits = Digest::from_bytes([0; 32]).short().len();
    name.to_str()
        .is_some_and(|name| name.len() == digits && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

fn load_or_make_key(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
    if let Some(key) = read_key(path)? {
        return Ok(key);
    }
    let mut key = [0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    replace(path, &[&key])?;
    // Another process may have done the same in between; whoever came last is right for both.
    read_key(path)?.ok_or_else(|| io::Error::other(format!("{} cannot be read back", path.display())))
}

/// `None` if there is no key that only its owner can have read.
fn read_key(path: &Path) -> io::Result<Option<[u8; KEY_BYTES]>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !private(&file.metadata()?) {
        tracing::warn!(path = %path.display(), "key is readable by others; replaced, and all compiled code with it");
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes.try_into().ok())
}

#[cfg(unix)]
fn private(about: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    about.permissions().mode() & 0o077 == 0
}

/// Elsewhere the folder's own access list decides.
#[cfg(not(unix))]
fn private(_about: &fs::Metadata) -> bool {
    true
}

/// Writes a file only its owner can read, all or nothing.
fn replace(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut suffix = [0; 8];
    getrandom::fill(&mut suffix).map_err(io::Error::other)?;
    let temporary = path.with_extension(format!("{:016x}.tmp", u64::from_le_bytes(suffix)));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&temporary).and_then(|mut file| {
        parts.iter().try_for_each(|part| file.write_all(part))?;
        fs::rename(&temporary, path)
    });
    written.inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const ENTRY: u64 = 100;
    const MAC: u64 = MAC_BYTES as u64;

    fn open(dir: &Path, total_bytes: u64) -> Cache {
        let id = Digest::from_bytes([1; 32]);
        let cache = Cache::open(&dir.join("aot"), id, id).unwrap();
        Cache { bounds: Bounds { entry_bytes: ENTRY, total_bytes }, ..cache }
    }

    /// The `number`th module, whose entry was made before that of the next.
    fn store(cache: &Cache, number: u8, bytes: u64) {
        let id = ModuleId::from_bytes([number; 32]);
        cache.store(Metering::Plain, &id, &vec![number; bytes as usize]);
        if let Ok(file) = File::options().write(true).open(cache.path(Metering::Plain, &id)) {
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(number.into())).unwrap();
        }
    }

    fn kept(cache: &Cache) -> Vec<u8> {
        let known = |number: &u8| cache.load(Metering::Plain, &ModuleId::from_bytes([*number; 32])).is_some();
        (0..10).filter(known).collect()
    }

    #[test]
    fn an_entry_is_kept_up_to_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path(), 1000);
        store(&cache, 1, ENTRY);
        store(&cache, 2, ENTRY + 1);
        assert_eq!(kept(&cache), [1]);
        // One that another release wrote, under a larger bound, is not read.
        let generous = Cache { bounds: Bounds { entry_bytes: ENTRY + 1, ..cache.bounds }, ..open(dir.path(), 1000) };
        store(&generous, 2, ENTRY + 1);
        assert_eq!((kept(&generous), kept(&cache)), (vec![1, 2], vec![1]));
    }

    #[test]
    fn the_oldest_go_where_one_byte_too_many_comes() {
        let dir = tempfile::tempdir().unwrap();
        let cache = open(dir.path(), 3 * (50 + MAC));
        for number in [3, 1, 2] {
            store(&cache, number, 50);
        }
        assert_eq!(kept(&cache), [1, 2, 3], "exactly full");
        // An entry that is made again takes no more room than it had.
        store(&cache, 2, 50);
        assert_eq!(kept(&cache), [1, 2, 3]);
        store(&cache, 2, 51);
        assert_eq!(kept(&cache), [2, 3]);
        store(&cache, 4, 50 - 1);
        assert_eq!(kept(&cache), [2, 3, 4]);
    }

    /// Folders of other engines: how long nobody used them, and whether they are there after the cache was opened.
    #[cfg(unix)]
    #[test]
    fn folders_that_nobody_uses_are_removed() {
        const SECOND: Duration = Duration::from_secs(1);
        let dir = tempfile::tempdir().unwrap();
        let (aot, now) = (dir.path().join("aot"), SystemTime::now());
        let own = Digest::from_bytes([1; 32]);
        let folder = |name: &str, idle: Duration| {
            let path = aot.join(name);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("entry"), "code").unwrap();
            File::open(&path).unwrap().set_modified(now - idle).unwrap();
            path
        };
        let old = folder(&Digest::from_bytes([2; 32]).short(), CACHE_IDLE + SECOND);
        // Opening is a little later than `now`.
        let used = folder(&Digest::from_bytes([3; 32]).short(), CACHE_IDLE - 3600 * SECOND);
        let mine = folder(&own.short(), CACHE_IDLE * 2);
        let strange = folder("pictures", CACHE_IDLE * 2);
        let file = aot.join(Digest::from_bytes([4; 32]).short());
        fs::write(&file, "not a folder").unwrap();
        File::options().write(true).open(&file).unwrap().set_modified(now - CACHE_IDLE * 2).unwrap();

        let cache = Cache::open(&aot, own, own).unwrap();
        assert!(!old.exists());
        for path in [&used, &mine, &strange, &file] {
            assert!(path.exists(), "{}", path.display());
        }
        // At the bound exactly, nothing is removed; a second later it is.
        let used_at = fs::metadata(&used).unwrap().modified().unwrap();
        remove_unused(&aot, &mine, used_at + CACHE_IDLE);
        assert!(used.exists());
        remove_unused(&aot, &mine, used_at + CACHE_IDLE + SECOND);
        assert!(!used.exists());

        // Opening a cache is a use of it, and so is finding something there.
        let renewed = || fs::metadata(&mine).unwrap().modified().unwrap() >= now - SECOND;
        assert!(renewed());
        store(&cache, 1, ENTRY);
        File::open(&mine).unwrap().set_modified(now - CACHE_IDLE * 2).unwrap();
        assert_eq!(kept(&cache), [1]);
        assert!(renewed());
    }

    /// A folder with as many unused ones in it as opening a cache looks at, and one with one more, which waits for the next time.
    #[test]
    fn folders_past_the_bound_wait() {
        let digits = Digest::from_bytes([0; 32]).short().len();
        let later = SystemTime::now() + CACHE_IDLE + Duration::from_secs(3600);
        for (count, left) in [(CACHE_FOLDERS, 0), (CACHE_FOLDERS + 1, 1)] {
            let dir = tempfile::tempdir().unwrap();
            for number in 0..count {
                fs::create_dir(dir.path().join(format!("{number:0digits$x}"))).unwrap();
            }
            for left in [left, 0] {
                remove_unused(dir.path(), &dir.path().join("own"), later);
                assert_eq!(fs::read_dir(dir.path()).unwrap().count(), left, "of {count}");
            }
        }
    }

    #[test]
    fn everybodys_bounds_are_those_of_the_limits() {
        let dir = tempfile::tempdir().unwrap();
        let id = Digest::from_bytes([1; 32]);
        let Bounds { entry_bytes, total_bytes } = Cache::open(&dir.path().join("aot"), id, id).unwrap().bounds;
        assert_eq!((entry_bytes, total_bytes), (CACHE_ENTRY_BYTES, CACHE_BYTES));
    }
}
