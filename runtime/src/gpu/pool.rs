//! Buffers that one attempt has finished with, for the next. They are as it left them: whoever takes one clears it first.

use super::limits::{POOLED_BUFFER_BYTES, POOLED_BUFFERS};

/// Buffers to take, the longest unused first, each with its size.
pub(super) struct Pool<B>(Vec<(u64, B)>);

impl<B> Pool<B> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// One of exactly so many bytes: a shader sees how long a buffer is.
    pub(super) fn take(&mut self, bytes: u64) -> Option<B> {
        let at = self.0.iter().rposition(|(size, _)| *size == bytes)?;
        Some(self.0.remove(at).1)
    }

    #[cfg(test)]
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Keeps a small buffer, and lets go of the longest unused that there is no room for.
    pub(super) fn put(&mut self, bytes: u64, buffer: B) {
        if bytes > POOLED_BUFFER_BYTES as u64 {
            return;
        }
        if self.0.len() >= POOLED_BUFFERS {
            self.0.remove(0);
        }
        self.0.push((bytes, buffer));
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
        assert_eq!(pool.len(), 1);
    }

    #[test]
    fn bytes_and_buffers_are_bounded() {
        let mut pool = Pool::new();
        for n in 0..=POOLED_BUFFERS {
            pool.put(4, n);
        }
        assert_eq!((pool.len(), pool.0[0].1), (POOLED_BUFFERS, 1));
        pool.put(POOLED_BUFFER_BYTES as u64 + 4, 0);
        assert_eq!(
            (pool.len(), pool.take(POOLED_BUFFER_BYTES as u64 + 4)),
            (POOLED_BUFFERS, None),
            "too large to be kept"
        );
        pool.put(POOLED_BUFFER_BYTES as u64, 0);
        assert_eq!(pool.take(POOLED_BUFFER_BYTES as u64), Some(0));
    }
}
