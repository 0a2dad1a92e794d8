//! Files: reading with a bound, writing all or nothing, and keys given as text or file.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use p2c2r_signing::{PublicKey, limits};

/// Reads a file of at most `max_bytes`; `what` names it in the error.
pub(crate) fn read(path: &Path, what: &str, max_bytes: u64) -> Result<Vec<u8>> {
    let file = File::open(path).with_context(|| format!("cannot read {what} {}", path.display()))?;
    read_from(file, what, &path.display().to_string(), max_bytes)
}

/// Reads standard input to its end, at most `max_bytes`.
pub(crate) fn read_stdin(what: &str, max_bytes: u64) -> Result<Vec<u8>> {
    read_from(io::stdin().lock(), what, "from standard input", max_bytes)
}

fn read_from(source: impl Read, what: &str, name: &str, max_bytes: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let context = || format!("cannot read {what} {name}");
    source.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).with_context(context)?;
    ensure!(bytes.len() as u64 <= max_bytes, "{what} {name} is over {max_bytes} bytes, the limit");
    Ok(bytes)
}

/// Reads a module's file.
pub(crate) fn read_module(path: &Path) -> Result<Vec<u8>> {
    read(path, "module", limits::MODULE_BYTES as u64)
}

/// Writes a file so that a reader sees the old content or the new, never half of it. Makes the folder if needed. What is no
/// file, a pipe or a device, is written to, not replaced.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let context = || format!("cannot write {}", path.display());
    if fs::metadata(path).is_ok_and(|about| !about.is_file()) {
        return fs::write(path, bytes).with_context(context);
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(context)?;
    let name = path.file_name().with_context(|| format!("{} names no file", path.display()))?;
    let mut draft_name = name.to_owned();
    draft_name.push(format!(".{}.tmp", std::process::id()));
    let draft = folder.join(draft_name);
    let written = fs::write(&draft, bytes).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written.with_context(context)
}

/// A public key as 64 hex digits or as the path of a PEM file.
pub(crate) fn public_key(text: &str) -> Result<PublicKey> {
    if text.len() == 2 * PublicKey::BYTES && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return text.parse().with_context(|| format!("{text} is no public key"));
    }
    PublicKey::load(Path::new(text)).with_context(|| {
        format!("{text} is no public key: give 64 hex digits, or the .pub.pem file that 'p2c2r keygen' wrote")
    })
}

/// Where the public half of a secret key file goes: `name.pem` -> `name.pub.pem`.
pub(crate) fn public_key_path(secret: &Path) -> PathBuf {
    secret.with_extension("pub.pem")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_key_paths() {
        assert_eq!(public_key_path(Path::new("a/author.pem")), Path::new("a/author.pub.pem"));
        assert_eq!(public_key_path(Path::new("author")), Path::new("author.pub.pem"));
    }

    #[test]
    fn reading_is_bounded() {
        assert_eq!(read_from(&b"abc"[..], "input", "x", 3).unwrap(), b"abc");
        let error = read_from(&b"abcd"[..], "input", "x", 3).unwrap_err();
        assert_eq!(error.to_string(), "input x is over 3 bytes, the limit");
    }
}
