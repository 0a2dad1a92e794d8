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
    /// There is more to come.
    More,
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
    /// Bytes asked for, from the start.
    asked: u64,
    /// Chunks asked for and not here.
    open: u64,
    bytes: Vec<u8>,
    /// Chunks that came before their turn, by offset.
    early: BTreeMap<u64, Bytes>,
    heard: Instant,
}

impl Fetches {
    /// Wants `item`; nothing happens if it is on its way already.
    ///
    /// # Errors
    /// Why it is not tried.
    pub(crate) fn start(&mut self, item: Item, now: Instant) -> Result<(), String> {
        if self.active.contains_key(&item) {
            return Ok(());
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
        let (bytes, early) = (Vec::new(), BTreeMap::new());
        self.active.insert(item, Partial { total: None, asked: 0, open: 0, bytes, early, heard: now });
        Ok(())
    }

    /// What to ask for now, if anything.
    pub(crate) fn next_request(&mut self, now: Instant) -> Option<Fetch> {
        let open: u64 = self.active.values().map(|partial| partial.open).sum();
        if open >= limits::CHUNKS_OPEN {
            return None;
        }
        let (item, partial) = self.active.iter_mut().find(|(_, partial)| partial.wants_more())?;
        let request = Fetch { item: *item, offset: partial.asked };
        if partial.open == 0 {
            partial.heard = now;
        }
        partial.asked += chunk();
        partial.open += 1;
        Some(request)
    }

    /// Takes a chunk in.
    pub(crate) fn chunk(&mut self, head: &Chunk, payload: Bytes, now: Instant) -> Progress {
        let others: u64 =
            self.active.iter().filter(|(item, _)| **item != head.item).filter_map(|(_, partial)| partial.total).sum();
        let Some(partial) = self.active.get_mut(&head.item) else { return Progress::Stray };
        let result = partial.take(head, payload, others, now);
        match result {
            Ok(()) if partial.total != Some(partial.bytes.len() as u64) => Progress::More,
            Ok(()) => match self.active.remove(&head.item) {
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
        let stalled = |partial: &Partial| partial.open > 0 && now.duration_since(partial.heard) > limits::FETCH_STALL;
        let items: Vec<Item> =
            self.active.iter().filter(|(_, partial)| stalled(partial)).map(|(item, _)| *item).collect();
        items.iter().for_each(|item| self.refuse(*item, now));
        items
    }
}

impl Partial {
    /// The size comes with the first chunk; until then there is no more to ask for.
    fn wants_more(&self) -> bool {
        let ahead = self.bytes.len() as u64 + limits::FETCH_WINDOW * chunk();
        self.asked < self.total.unwrap_or(chunk()).min(ahead)
    }

    fn take(&mut self, head: &Chunk, payload: Bytes, others: u64, now: Instant) -> Result<(), String> {
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
        self.open = self.open.saturating_sub(1);
        self.early.insert(offset, payload);
        while let Some(next) = self.early.remove(&(self.bytes.len() as u64)) {
            self.bytes.extend_from_slice(&next);
        }
        Ok(())
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
        let mut open = Vec::new();
        fetches.start(item, now).unwrap();
        fetches.start(item, now).unwrap();
        loop {
            open.extend(std::iter::from_fn(|| fetches.next_request(now)));
            assert!(open.len() <= 4, "window");
            let next = if reverse { open.pop().unwrap() } else { open.remove(0) };
            let (head, payload) = serve(&next, whole);
            match fetches.chunk(&head, payload, now) {
                Progress::More => {}
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
            assert_eq!(fetches.next_request(now), Some(Fetch { item, offset: 0 }));
            assert_eq!(fetches.next_request(now), None, "the size is not known yet");
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
        assert!(fetches.stalled(now + limits::FETCH_STALL * 2).is_empty(), "not asked for yet");
        fetches.next_request(now).unwrap();
        assert!(fetches.stalled(now + limits::FETCH_STALL).is_empty());
        assert_eq!(fetches.stalled(now + limits::FETCH_STALL * 2), [item]);
    }

    #[test]
    fn many_items_share_the_connection() {
        let (mut fetches, now) = (Fetches::default(), Instant::now());
        for n in 0..limits::FETCHES {
            fetches.start(Item::Blob(BlobId::of(&n.to_le_bytes())), now).unwrap();
        }
        assert!(fetches.start(Item::Blob(BlobId::of(b"one more")), now).is_err());
        let mut asked: Vec<Fetch> = std::iter::from_fn(|| fetches.next_request(now)).collect();
        assert_eq!(asked.len() as u64, limits::CHUNKS_OPEN);
        let mut done = 0;
        while let Some(request) = asked.pop() {
            let head = Chunk { item: request.item, offset: 0, total_bytes: 1 };
            assert!(matches!(fetches.chunk(&head, Bytes::from_static(b"x"), now), Progress::Done(_)));
            done += 1;
            asked.extend(fetches.next_request(now));
        }
        assert_eq!(done, limits::FETCHES);
    }
}
