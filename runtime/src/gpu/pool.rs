//! Buffers that one attempt has finished with, for the next. Each was cleared by the device before it came here, and whatever
//! is submitted later comes after that: who takes one finds zeros.

use super::limits::{POOLED_BUFFERS, POOLED_BYTES};

/// Buffers to take, the longest unused first.
pub(super) struct Pool<B> {
    spare: Vec<(u64, B)>,
    bytes: u64,
}

impl<B> Pool<B> {
    pub(super) const fn new() -> Self {
        Self { spare: Vec::new(), bytes: 0 }
    }

    /// One of exactly so many bytes: a shader sees how long a buffer is.
    pub(super) fn take(&mut self, bytes: u64) -> Option<B> {
        let at = self.spare.iter().rposition(|(size, _)| *size == bytes)?;
        self.bytes -= bytes;
        Some(self.spare.remove(at).1)
    }

    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.spare.len()
    }

    /// Whether one of so many bytes is kept at all.
    pub(super) const fn wants(bytes: u64) -> bool {
        bytes <= POOLED_BYTES
    }

    /// Keeps a cleared buffer, and lets go of the longest unused that there is no room for.
    pub(super) fn put(&mut self, bytes: u64, buffer: B) {
        if !Self::wants(bytes) {
            return;
        }
        self.bytes += bytes;
        self.spare.push((bytes, buffer));
        while self.bytes > POOLED_BYTES || self.spare.len() > POOLED_BUFFERS {
            self.bytes -= self.spare.remove(0).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_exact() {
        let mut pool = Pool::new();
        pool.put(8, 'a');
        pool.put(16, 'b');
        assert_eq!((pool.take(12), pool.take(4), pool.take(8), pool.take(8)), (None, None, Some('a'), None));
        assert_eq!(pool.bytes, 16);
    }

    #[test]
    fn bytes_and_buffers_are_bounded() {
        let mut pool = Pool::new();
        for n in 0..=POOLED_BUFFERS {
            pool.put(4, n);
        }
        assert_eq!((pool.spare.len(), pool.spare[0].1), (POOLED_BUFFERS, 1));
        pool.put(POOLED_BYTES + 4, 0);
        assert_eq!(pool.spare.len(), POOLED_BUFFERS, "too large to be kept");
        pool.put(POOLED_BYTES, 0);
        assert_eq!((pool.spare.len(), pool.bytes), (1, POOLED_BYTES));
        assert_eq!(pool.take(POOLED_BYTES), Some(0));
        assert_eq!(pool.bytes, 0);
    }
}
