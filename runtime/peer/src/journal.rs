//! Results that are not settled yet, in memory and in an append-only file: a peer that loses its connection, or is killed,
//! sends them again and is paid.
//!
//! A record is `[u32 LE length][body][first 8 bytes of blake3(body)]`; a body is `[1][nonce][frame]` for a result, with the
//! frame exactly as it is sent, or `[0][nonce]` for a settled one. A torn tail ends the file there.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use p2c2r_protocol::limits::FRAME_BYTES;
use p2c2r_protocol::message::PeerToServer;
use p2c2r_signing::AttemptNonce;
use p2c2r_transport::Encoded;

use crate::{file, limits};

const RESULT: u8 = 1;
const SETTLED: u8 = 0;
const HEAD_BYTES: usize = 1 + AttemptNonce::BYTES;
const CHECK_BYTES: usize = 8;

/// The journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    file_bytes: u64,
    dirty: bool,
    live: BTreeMap<AttemptNonce, Encoded<PeerToServer>>,
    live_bytes: u64,
    /// In the order they were added; settled ones are skipped when they come to the front.
    order: VecDeque<AttemptNonce>,
    dropped: u64,
}

impl Journal {
    /// Opens or makes the file and reads what is unsettled.
    ///
    /// # Errors
    /// If it cannot be read or written; a damaged tail is no error.
    pub fn open(path: &Path) -> io::Result<Self> {
        let old = match std::fs::read(path) {
            Ok(bytes) => Bytes::from(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Bytes::new(),
            Err(error) => return Err(error),
        };
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let mut journal = Self {
            path: path.to_owned(),
            file,
            file_bytes: 0,
            dirty: false,
            live: BTreeMap::new(),
            live_bytes: 0,
            order: VecDeque::new(),
            dropped: 0,
        };
        let good = journal.replay(&old);
        if good < old.len() {
            tracing::warn!(path = %path.display(), bytes = old.len() - good, "journal ends in a torn record");
        }
        journal.rewrite()?;
        Ok(journal)
    }

    /// Keeps a result until it is settled. Over the limit the oldest is given up.
    ///
    /// # Errors
    /// If the file cannot be written; the result is kept in memory all the same.
    pub fn add(&mut self, nonce: AttemptNonce, message: &Encoded<PeerToServer>) -> io::Result<()> {
        self.insert(nonce, message.clone());
        self.append(&record(RESULT, &nonce, message.as_bytes()))
    }

    /// Forgets settled results.
    ///
    /// # Errors
    /// If the file cannot be written; they are forgotten in memory all the same.
    pub fn settle(&mut self, nonces: impl IntoIterator<Item = AttemptNonce>) -> io::Result<()> {
        let mut records = Vec::new();
        for nonce in nonces {
            if self.remove(&nonce) {
                records.extend_from_slice(&record(SETTLED, &nonce, &[]));
            }
        }
        self.append(&records)
    }

    /// Whether this attempt's result is here.
    #[must_use]
    pub fn contains(&self, nonce: &AttemptNonce) -> bool {
        self.live.contains_key(nonce)
    }

    /// All unsettled results, oldest first.
    pub fn unsettled(&self) -> impl Iterator<Item = &Encoded<PeerToServer>> {
        self.order.iter().filter_map(|nonce| self.live.get(nonce))
    }

    /// How many results are unsettled.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether everything is settled.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Results given up because nobody settled them in time.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// A handle to bring to disk what was appended, if anything was; the caller syncs it without holding the journal.
    /// Rewrites the file first if most of it is settled.
    ///
    /// # Errors
    /// If the file cannot be rewritten.
    pub fn flush(&mut self) -> io::Result<Option<File>> {
        if self.file_bytes > self.live_bytes.saturating_mul(2) + limits::JOURNAL_SLACK_BYTES {
            self.rewrite()?;
        }
        if std::mem::take(&mut self.dirty) { self.file.try_clone().map(Some) } else { Ok(None) }
    }

    fn insert(&mut self, nonce: AttemptNonce, message: Encoded<PeerToServer>) {
        let bytes = message.as_bytes().len() as u64;
        if let Some(old) = self.live.insert(nonce, message) {
            self.live_bytes -= old.as_bytes().len() as u64;
        } else {
            self.order.push_back(nonce);
        }
        self.live_bytes += bytes;
        while self.live.len() > limits::UNSETTLED || self.live_bytes > limits::UNSETTLED_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            if self.remove(&oldest) {
                self.dropped += 1;
            }
        }
    }

    fn remove(&mut self, nonce: &AttemptNonce) -> bool {
        let removed = self.live.remove(nonce);
        if let Some(old) = &removed {
            self.live_bytes -= old.as_bytes().len() as u64;
        }
        while self.order.front().is_some_and(|front| !self.live.contains_key(front)) {
            self.order.pop_front();
        }
        // Settlements come nearly in order, so this is rare; it keeps the queue as bounded as the map.
        if self.order.len() > 2 * self.live.len() + 1024 {
            let live = &self.live;
            self.order.retain(|nonce| live.contains_key(nonce));
        }
        removed.is_some()
    }

    fn append(&mut self, records: &[u8]) -> io::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        self.file.write_all(records)?;
        self.file_bytes += records.len() as u64;
        self.dirty = true;
        Ok(())
    }

    /// Takes in the records of a file; bytes up to the first that is not whole.
    fn replay(&mut self, old: &Bytes) -> usize {
        let mut at = 0;
        while let Some((body, next)) = parse(old, at) {
            at = next;
            let nonce = body.get(1..HEAD_BYTES).and_then(|bytes| bytes.try_into().ok()).map(AttemptNonce::from_bytes);
            match (body.first(), nonce) {
                (Some(&RESULT), Some(nonce)) => match Encoded::parse(Bytes::copy_from_slice(
                    // A copy: a slice would keep the whole old file in memory.
                    body.get(HEAD_BYTES..).unwrap_or_default(),
                )) {
                    Ok(message) => self.insert(nonce, message),
                    Err(error) => tracing::warn!(%error, "journal holds a result of another version"),
                },
                (Some(&SETTLED), Some(nonce)) => {
                    self.remove(&nonce);
                }
                _ => return at,
            }
        }
        at
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        for nonce in &self.order {
            if let Some(message) = self.live.get(nonce) {
                bytes.extend_from_slice(&record(RESULT, nonce, message.as_bytes()));
            }
        }
        file::replace(&self.path, &bytes)?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        self.file_bytes = bytes.len() as u64;
        self.dirty = true;
        Ok(())
    }
}

fn record(kind: u8, nonce: &AttemptNonce, frame: &[u8]) -> Vec<u8> {
    let body_bytes = HEAD_BYTES + frame.len();
    let mut record = Vec::with_capacity(4 + body_bytes + CHECK_BYTES);
    record.extend_from_slice(&u32::try_from(body_bytes).unwrap_or(u32::MAX).to_le_bytes());
    record.push(kind);
    record.extend_from_slice(nonce.as_bytes());
    record.extend_from_slice(frame);
    let check = blake3::hash(&record[4..]);
    record.extend_from_slice(&check.as_bytes()[..CHECK_BYTES]);
    record
}

/// The body of the record at `at`, and where the next one starts.
fn parse(bytes: &Bytes, at: usize) -> Option<(Bytes, usize)> {
    let rest = bytes.get(at..)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if !(HEAD_BYTES..=HEAD_BYTES + FRAME_BYTES).contains(&length) {
        return None;
    }
    let (body, check) = rest.get(..length + CHECK_BYTES)?.split_at_checked(length)?;
    if blake3::hash(body).as_bytes()[..CHECK_BYTES] != *check {
        return None;
    }
    let start = at + 4;
    Some((bytes.slice(start..start + length), start + length + CHECK_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2c2r_protocol::message::Fault;

    fn nonce(n: u8) -> AttemptNonce {
        AttemptNonce::from_bytes([n; 16])
    }

    fn message(n: u8) -> Encoded<PeerToServer> {
        Encoded::new(&PeerToServer::Fault { ticket: vec![n; 8], fault: Fault::Gpu }, &[n; 100]).unwrap()
    }

    fn frames(journal: &Journal) -> Vec<Bytes> {
        journal.unsettled().map(|message| message.as_bytes().clone()).collect()
    }

    #[test]
    fn survives_a_restart_in_order_without_the_settled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        (1..=4).for_each(|n| journal.add(nonce(n), &message(n)).unwrap());
        journal.settle([nonce(1), nonce(3), nonce(9)]).unwrap();
        let expected: Vec<Bytes> = [2, 4].map(|n| message(n).as_bytes().clone()).to_vec();
        assert_eq!(frames(&journal), expected);
        drop(journal);
        let journal = Journal::open(&path).unwrap();
        assert_eq!(frames(&journal), expected);
        assert!(journal.contains(&nonce(2)) && !journal.contains(&nonce(3)));
    }

    #[test]
    fn a_torn_or_flipped_tail_costs_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        (1..=2).for_each(|n| journal.add(nonce(n), &message(n)).unwrap());
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        let half = whole.len() / 2;
        for cut in half..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(Journal::open(&path).unwrap().len(), 1, "cut at {cut}");
        }
        for flip in half + 4..whole.len() {
            let mut bytes = whole.clone();
            bytes[flip] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(Journal::open(&path).unwrap().len(), 1, "flip at {flip}");
        }
    }

    #[test]
    fn gives_up_the_oldest_over_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&dir.path().join("journal")).unwrap();
        let large = vec![0u8; 8 << 20];
        let message = |n| Encoded::new(&PeerToServer::Fault { ticket: vec![n], fault: Fault::Gpu }, &large).unwrap();
        let fit = u8::try_from(limits::UNSETTLED_BYTES / (8 << 20)).unwrap();
        (0..=fit).for_each(|n| journal.insert(nonce(n), message(n)));
        assert!(!journal.contains(&nonce(0)) && journal.contains(&nonce(fit)));
        assert!(journal.live_bytes <= limits::UNSETTLED_BYTES && journal.dropped() > 0);
    }
}
