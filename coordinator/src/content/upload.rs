//! Blobs coming in, one at a time per connection, in chunks from offset 0.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use bytes::Bytes;
use p2c2r_protocol::limits::{BLOB_BYTES, CHUNK_BYTES};
use p2c2r_protocol::message::{Item, Refusal};
use p2c2r_signing::{AccountId, BlobId};

use super::{Content, ContentError, Stored};

/// One chunk as it came.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) blob: BlobId,
    pub(crate) total_bytes: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: Bytes,
}

/// What the client is told; `None` means "go on".
pub(crate) type Answer = Option<Result<(), (Refusal, String)>>;

/// The upload of one connection. Dropping it throws an unfinished one away.
#[derive(Debug)]
pub(crate) struct Uploads {
    content: Content,
    /// Whose connection it is.
    owner: AccountId,
    current: Option<Upload>,
    /// Chunks that follow an answer were sent before it arrived: they are skipped until the blob starts again.
    answered: Option<BlobId>,
}

#[derive(Debug)]
struct Upload {
    content: Content,
    owner: AccountId,
    blob: BlobId,
    total: u64,
    written: u64,
    path: PathBuf,
    file: File,
    hasher: blake3::Hasher,
    finished: bool,
}

impl Uploads {
    pub(crate) const fn new(content: Content, owner: AccountId) -> Self {
        Self { content, owner, current: None, answered: None }
    }

    /// Takes a chunk. Blocks on the disk.
    pub(crate) fn take(&mut self, piece: &Piece) -> Answer {
        if piece.offset != 0 && self.answered == Some(piece.blob) {
            return None;
        }
        let answer = self.accept(piece).transpose()?;
        self.answered = Some(piece.blob);
        if self.current.as_ref().is_some_and(|upload| upload.blob == piece.blob) {
            self.current = None;
        }
        Some(answer)
    }

    /// `Ok(Some(()))` once the blob is stored.
    fn accept(&mut self, piece: &Piece) -> Result<Option<()>, (Refusal, String)> {
        let Piece { blob, total_bytes, offset, bytes } = piece;
        if *total_bytes > BLOB_BYTES {
            return Err((Refusal::Limit, format!("blob of {total_bytes} bytes is over the limit of {BLOB_BYTES}")));
        }
        if bytes.len() > CHUNK_BYTES {
            return Err((Refusal::Limit, format!("chunk of {} bytes is over the limit of {CHUNK_BYTES}", bytes.len())));
        }
        if self.content.size(&Item::Blob(*blob)).is_some() {
            return Ok(Some(()));
        }
        if *offset == 0 {
            self.answered = None;
            self.current = None;
            self.current = Some(Upload::begin(&self.content, self.owner, *blob, *total_bytes).map_err(refuse)?);
        }
        let Some(upload) = self.current.as_mut().filter(|u| u.blob == *blob && u.total == *total_bytes) else {
            return Err((
                Refusal::Protocol,
                format!("chunk at offset {offset} of a blob that was not begun at offset 0"),
            ));
        };
        if *offset != upload.written {
            return Err((Refusal::Protocol, format!("chunk at offset {offset}, expected {}", upload.written)));
        }
        let (length, rest) = (bytes.len() as u64, upload.total - upload.written);
        if length > rest || (length == 0 && rest > 0) {
            return Err((Refusal::Protocol, format!("chunk of {length} bytes where 1 to {rest} belong")));
        }
        upload.write(bytes).map_err(refuse)?;
        if upload.written < upload.total {
            return Ok(None);
        }
        let found = BlobId::from_bytes(*upload.hasher.finalize().as_bytes());
        if found != *blob {
            return Err((Refusal::Protocol, format!("the bytes hash to {found}, announced was {blob}")));
        }
        upload.finish().map_err(refuse)?;
        Ok(Some(()))
    }
}

fn refuse(error: ContentError) -> (Refusal, String) {
    if let ContentError::Io { .. } = &error {
        tracing::error!(%error, "blob not stored");
        // Paths of this machine are nobody's business.
        return (error.refusal(), "the coordinator's disk failed; try again later".to_owned());
    }
    (error.refusal(), error.to_string())
}

impl Upload {
    fn begin(content: &Content, owner: AccountId, blob: BlobId, total: u64) -> Result<Self, ContentError> {
        content.reserve(total, Some(owner))?;
        let (path, file) = content.temporary().inspect_err(|_| content.release(total, Some(owner)))?;
        let (content, hasher) = (content.clone(), blake3::Hasher::new());
        Ok(Self { content, owner, blob, total, written: 0, path, file, hasher, finished: false })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ContentError> {
        self.file.write_all(bytes).map_err(super::at(&self.path))?;
        self.hasher.update(bytes);
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ContentError> {
        let stored = Stored { bytes: self.total, owner: Some(self.owner) };
        self.content.finish(&self.file, &self.path, Item::Blob(self.blob), stored)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.finished {
            self.content.discard(&self.path, self.total, Some(self.owner));
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::Room;
    use super::*;
    use crate::limits::BLOB_FLOOR_BYTES;

    const ACCOUNT: AccountId = AccountId::from_bytes([1; 16]);
    const OTHER: AccountId = AccountId::from_bytes([2; 16]);

    /// Room for two small blobs of an account.
    fn open(folder: &TempDir, all: u64) -> Result<Content, ContentError> {
        Content::open(folder.path(), Room { all, account: 2 * BLOB_FLOOR_BYTES })
    }

    fn check(uploads: &mut Uploads, blob: BlobId, total_bytes: u64, offset: u64, bytes: &[u8]) -> Answer {
        uploads.take(&Piece { blob, total_bytes, offset, bytes: Bytes::copy_from_slice(bytes) })
    }

    fn refusal(answer: Answer, expected: &str) {
        let (_code, message) = answer.expect("answered").expect_err("refused");
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn a_blob_arrives_in_chunks_and_is_there_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let content = open(&folder, 100).expect("opens");
        let mut uploads = Uploads::new(content.clone(), ACCOUNT);
        let blob = BlobId::of(b"hello world");
        assert!(check(&mut uploads, blob, 11, 0, b"hello ").is_none());
        assert_eq!(content.size(&Item::Blob(blob)), None, "not before it is whole");
        assert!(check(&mut uploads, blob, 11, 6, b"world").expect("answered").is_ok());
        assert!(check(&mut uploads, blob, 11, 0, b"hello ").expect("answered at once").is_ok());
        assert!(check(&mut uploads, blob, 11, 6, b"world").is_none(), "what was under way is skipped");
        assert!(check(&mut uploads, BlobId::of(b""), 0, 0, b"").expect("answered").is_ok(), "an empty blob is one");
        assert_eq!(content.used(), 11);
        assert_eq!(content.read(&Item::Blob(blob), 6, 3).expect("reads"), Some((b"wor".to_vec(), 11)));
        assert_eq!(content.read(&Item::Blob(blob), 99, 3).expect("reads"), Some((Vec::new(), 11)));
        drop((uploads, content));
        let again = open(&folder, 100).expect("opens");
        assert_eq!(again.size(&Item::Blob(blob)), Some(11));
        assert_eq!(again.used(), 11);
    }

    #[test]
    fn each_broken_rule_is_named_and_frees_what_was_reserved() {
        let folder = tempfile::tempdir().expect("a folder");
        let content = open(&folder, 20).expect("opens");
        let mut uploads = Uploads::new(content.clone(), ACCOUNT);
        let blob = BlobId::of(b"hello world");
        refusal(check(&mut uploads, blob, 11, 6, b"world"), "not begun at offset 0");
        refusal(check(&mut uploads, blob, 21, 0, b"hello"), "21 bytes do not fit: 0 of the 20");
        refusal(check(&mut uploads, blob, BLOB_BYTES + 1, 0, b""), "over the limit of 268435456");
        refusal(check(&mut uploads, blob, 11, 0, &vec![0; CHUNK_BYTES + 1]), "over the limit of 262144");
        refusal(check(&mut uploads, blob, 11, 0, b"hello world!"), "12 bytes where 1 to 11 belong");
        refusal(check(&mut uploads, blob, 11, 0, b""), "0 bytes where 1 to 11 belong");
        assert!(check(&mut uploads, blob, 11, 0, b"hello ").is_none());
        refusal(check(&mut uploads, blob, 11, 7, b"orld"), "offset 7, expected 6");
        assert!(check(&mut uploads, blob, 11, 6, b"world").is_none(), "skipped until it starts again");
        assert!(check(&mut uploads, blob, 11, 0, b"hallo ").is_none());
        refusal(check(&mut uploads, blob, 11, 6, b"world"), "the bytes hash to");
        assert!(check(&mut uploads, blob, 11, 0, b"hello ").is_none());
        let other = BlobId::of(b"other");
        assert!(check(&mut uploads, other, 5, 0, b"oth").is_none(), "a new one replaces the old one");
        assert_eq!(content.used(), 5);
        refusal(check(&mut uploads, blob, 11, 6, b"world"), "not begun at offset 0");
        drop(uploads);
        assert_eq!(content.used(), 0);
        assert_eq!(std::fs::read_dir(folder.path().join("incoming")).expect("reads").count(), 0);
    }

    #[test]
    fn damaged_content_is_moved_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let content = open(&folder, 100).expect("opens");
        let module = p2c2r_signing::ModuleId::of(b"kernel");
        content.put_kernel(module, b"kernel").expect("stores");
        content.put_kernel(module, b"kernel").expect("twice is once");
        assert_eq!(content.used(), 6);
        std::fs::write(folder.path().join("kernels").join(module.to_string()), b"kernal").expect("writes");
        let again = open(&folder, 100).expect("opens");
        assert_eq!(again.size(&Item::Kernel(module)), None);
        again.put_kernel(module, b"kernel").expect("stores again");
    }

    #[test]
    fn an_account_has_a_share_and_no_more_also_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |content: &Content, owner: AccountId, bytes: &[u8]| {
            let mut uploads = Uploads::new(content.clone(), owner);
            check(&mut uploads, BlobId::of(bytes), bytes.len() as u64, 0, bytes).expect("answered")
        };
        let content = open(&folder, 1 << 20).expect("opens");
        put(&content, ACCOUNT, b"one").expect("fits");
        // An upload under way counts.
        let mut begun = Uploads::new(content.clone(), ACCOUNT);
        assert!(check(&mut begun, BlobId::of(b"two"), 3, 0, b"t").is_none());
        refusal(
            Some(put(&content, ACCOUNT, b"three")),
            "5 bytes do not fit: 8192 of the 8192 bytes for this account's",
        );
        drop(begun);
        put(&content, ACCOUNT, &[7; 4096]).expect("fits again");
        put(&content, ACCOUNT, b"one").expect("it is there");
        put(&content, OTHER, b"three").expect("another account");
        put(&content, OTHER, b"one").expect("it is there, at nobody's cost");
        put(&content, OTHER, b"four").expect("so this fits");
        let again = open(&folder, 1 << 20).expect("opens");
        assert_eq!((again.used(), again.blobs().len()), (3 + 4096 + 5 + 4, 4));
        for owner in [ACCOUNT, OTHER] {
            refusal(Some(put(&again, owner, b"five")), "8192 of the 8192");
        }
        put(&again, AccountId::from_bytes([3; 16]), b"five").expect("a third account");
    }

    #[test]
    fn two_accounts_that_bring_the_same_blob_at_once_leave_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let content = open(&folder, 100).expect("opens");
        let mut both = [ACCOUNT, OTHER].map(|owner| Uploads::new(content.clone(), owner));
        let blob = BlobId::of(b"same");
        assert!(both.iter_mut().all(|uploads| check(uploads, blob, 4, 0, b"sa").is_none()));
        // Both are past the look whether it is there; the second to finish stays.
        for uploads in &mut both {
            let upload = uploads.current.as_mut().expect("under way");
            upload.write(b"me").expect("writes");
            upload.finish().expect("stores");
        }
        assert_eq!(content.used(), 4);
        assert_eq!(content.read(&Item::Blob(blob), 0, 9).expect("reads"), Some((b"same".to_vec(), 4)));
        drop((both, content));
        assert_eq!(open(&folder, 100).expect("opens").used(), 4);
    }
}
