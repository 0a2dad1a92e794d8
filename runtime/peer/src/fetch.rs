//! Kernels and blobs on their way: chunks asked for a few at a time, put together in order, requests for the same item
//! made once. No input or output of its own.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use p2c2r_protocol::limits::CHUNK_BYTES;
use p2c2r_protocol::message::{Chunk, Fetch, Item};

use crate::library::item_limit;
use crate::limits;

/// What comes of a chunk.
#[derive(Debug, PartialEq)]
pub(crate) enum Progress {
    /// Ask for these next.
    More(Vec<Fetch>),
    /// All bytes are here, not checked yet.
    Done(Bytes),
    /// It will not come; why.
    Failed(String),
    /// Nobody asked for it.
    Stray,
}

/// Items being fetched.
#[derive(Debug, Default)]
pub(crate) struct Fetches {
    active: BTreeMap<Item, Partial>,
    refused: BTreeMap<Item, Instant>,
}

#[derive(Debug)]
struct Partial {
    total: Option<u64>,
    asked: u64,
    bytes: Vec<u8>,
    /// Chunks that came before their turn, by offset.
    early: BTreeMap<u64, Bytes>,
    heard: Instant,
}

impl Fetches {
    /// Starts fetching `item`; the first request, or `None` if it is on its way already.
    ///
    /// # Errors
    /// Why it is not tried.
    pub(crate) fn start(&mut self, item: Item, now: Instant) -> Result<Option<Fetch>, String> {
        if self.active.contains_key(&item) {
            return Ok(None);
        }
        if let Some(at) = self.refused.get(&item) {
            if now.duration_since(*at) < limits::REFUSED_FOR {
                return Err("it failed a moment ago".to_owned());
            }
            self.refused.remove(&item);
        }
        if self.active.len() >= limits::FETCHES {
            return Err(format!("{} items are being fetched already", limits::FETCHES));
        }
        let partial = Partial { total: None, asked: chunk(), bytes: Vec::new(), early: BTreeMap::new(), heard: now };
        self.active.insert(item, partial);
        Ok(Some(Fetch { item, offset: 0 }))
    }

    /// Takes a chunk in.
    pub(crate) fn chunk(&mut self, head: &Chunk, payload: Bytes, now: Instant) -> Progress {
        let others: u64 =
            self.active.iter().filter(|(item, _)| **item != head.item).filter_map(|(_, partial)| partial.total).sum();
        let Some(partial) = self.active.get_mut(&head.item) else { return Progress::Stray };
        let result = partial.take(head, payload, others, now);
        match result {
            Ok(requests) if partial.total != Some(partial.bytes.len() as u64) => Progress::More(requests),
            Ok(_) => match self.active.remove(&head.item) {
                Some(done) => Progress::Done(done.bytes.into()),
                None => Progress::Stray,
            },
            Err(reason) => {
                self.refuse(head.item, now);
                Progress::Failed(reason)
            }
        }
    }

    /// Gives an item up, and does not try it again for a while.
    pub(crate) fn refuse(&mut self, item: Item, now: Instant) {
        self.active.remove(&item);
        if self.refused.len() >= limits::REFUSED_ITEMS
            && let Some(oldest) = self.refused.iter().min_by_key(|(_, at)| **at).map(|(item, _)| *item)
        {
            self.refused.remove(&oldest);
        }
        self.refused.insert(item, now);
    }

    /// Items of which nothing came for too long; they are given up.
    pub(crate) fn stalled(&mut self, now: Instant) -> Vec<Item> {
        let stalled = |partial: &Partial| now.duration_since(partial.heard) > limits::FETCH_STALL;
        let items: Vec<Item> =
            self.active.iter().filter(|(_, partial)| stalled(partial)).map(|(item, _)| *item).collect();
        items.iter().for_each(|item| self.refuse(*item, now));
        items
    }
}

impl Partial {
    fn take(&mut self, head: &Chunk, payload: Bytes, others: u64, now: Instant) -> Result<Vec<Fetch>, String> {
        let Chunk { item, offset, total_bytes } = *head;
        self.heard = now;
        if total_bytes == 0 {
            return Err("the coordinator does not have it".to_owned());
        }
        let limit = item_limit(&item);
        if total_bytes > limit {
            return Err(format!("{total_bytes} bytes are over the limit of {limit}"));
        }
        if others + total_bytes > limits::FETCH_BYTES {
            return Err(format!("with it more than {} bytes would be on their way", limits::FETCH_BYTES));
        }
        if *self.total.get_or_insert(total_bytes) != total_bytes {
            return Err("its size changed on the way".to_owned());
        }
        let end = offset.checked_add(payload.len() as u64).filter(|end| *end <= total_bytes);
        let whole = payload.len() == CHUNK_BYTES || end == Some(total_bytes);
        let wanted = offset % chunk() == 0 && (self.bytes.len() as u64..self.asked).contains(&offset);
        if end.is_none() || payload.is_empty() || !whole || !wanted {
            return Err(format!("a chunk of {} bytes at {offset} of {total_bytes} was not asked for", payload.len()));
        }
        self.early.insert(offset, payload);
        while let Some(next) = self.early.remove(&(self.bytes.len() as u64)) {
            self.bytes.extend_from_slice(&next);
        }
        let mut requests = Vec::new();
        let ahead = self.bytes.len() as u64 + limits::FETCH_WINDOW * chunk();
        while self.asked < total_bytes.min(ahead) {
            requests.push(Fetch { item, offset: self.asked });
            self.asked += chunk();
        }
        Ok(requests)
    }
}

const fn chunk() -> u64 {
    CHUNK_BYTES as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2c2r_signing::BlobId;

    fn serve(fetch: &Fetch, whole: &[u8]) -> (Chunk, Bytes) {
        let start = usize::try_from(fetch.offset).unwrap();
        let end = whole.len().min(start + CHUNK_BYTES);
        let head = Chunk { item: fetch.item, offset: fetch.offset, total_bytes: whole.len() as u64 };
        (head, Bytes::copy_from_slice(&whole[start..end]))
    }

    /// Fetches `whole`, answering the newest request first if `reverse`.
    fn fetch(whole: &[u8], reverse: bool) -> Bytes {
        let (mut fetches, now) = (Fetches::default(), Instant::now());
        let item = Item::Blob(BlobId::of(whole));
        let mut open = vec![fetches.start(item, now).unwrap().unwrap()];
        assert_eq!(fetches.start(item, now), Ok(None), "asked for once");
        loop {
            assert!(open.len() <= 4, "window");
            let next = if reverse { open.pop().unwrap() } else { open.remove(0) };
            let (head, payload) = serve(&next, whole);
            match fetches.chunk(&head, payload, now) {
                Progress::More(requests) => open.extend(requests),
                Progress::Done(bytes) => return bytes,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn any_size_in_any_order() {
        let whole: Vec<u8> = (0..CHUNK_BYTES * 9 + 5).map(|i| (i % 251) as u8).collect();
        for bytes in [1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, CHUNK_BYTES * 4, whole.len()] {
            assert_eq!(fetch(&whole[..bytes], false), whole[..bytes]);
            assert_eq!(fetch(&whole[..bytes], true), whole[..bytes]);
        }
    }

    #[test]
    fn hostile_chunks_end_the_fetch() {
        let item = Item::Blob(BlobId::of(b"x"));
        let check = |offset: u64, total_bytes: u64, payload: usize| {
            let (mut fetches, now) = (Fetches::default(), Instant::now());
            fetches.start(item, now).unwrap();
            let head = Chunk { item, offset, total_bytes };
            let progress = fetches.chunk(&head, vec![0; payload].into(), now);
            assert!(matches!(progress, Progress::Failed(_)), "{offset} {total_bytes} {payload}: {progress:?}");
            assert!(fetches.start(item, now).is_err(), "not tried again at once");
            assert_eq!(fetches.chunk(&head, Bytes::new(), now), Progress::Stray);
        };
        check(0, 0, 0);
        check(0, 100, 0);
        check(0, 100, 99);
        check(0, 100, 101);
        check(1, 100, 99);
        check(u64::MAX, 100, 1);
        check(CHUNK_BYTES as u64, 2 * CHUNK_BYTES as u64, CHUNK_BYTES);
        check(0, u64::MAX, CHUNK_BYTES);
        check(0, (256 << 20) + 1, CHUNK_BYTES);
    }

    #[test]
    fn silence_ends_it() {
        let (mut fetches, now) = (Fetches::default(), Instant::now());
        let item = Item::Blob(BlobId::of(b"x"));
        fetches.start(item, now).unwrap();
        assert!(fetches.stalled(now + limits::FETCH_STALL).is_empty());
        assert_eq!(fetches.stalled(now + limits::FETCH_STALL * 2), [item]);
    }
}
