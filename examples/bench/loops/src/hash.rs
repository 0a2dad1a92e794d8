//! Integers: a keyed hash over a buffer of 64 KiB that is encrypted with a stream on the way. Shifts, multiplications,
//! loads and stores that stay in the first-level caches.

use crate::{SEED, mix, next};

/// Words of 8 bytes.
const WORDS: usize = 8 << 10;

/// Once over the buffer a round.
#[must_use]
pub fn run(rounds: u32) -> u64 {
    let mut buffer: Vec<u64> = (0..WORDS as u64).collect();
    let (mut digest, mut stream) = (0, SEED);
    for _ in 0..rounds {
        for word in &mut buffer {
            stream = next(stream);
            *word ^= stream;
            digest = mix(digest, *word);
        }
    }
    digest
}
