//! Memory: a table of 32 MiB is written once, then looked up at random, as the join of two tables does. The places do not
//! depend on what is read, so the processor may look up several at once.

use crate::{SEED, mix, next};

/// Entries of 4 bytes: 32 MiB.
const ENTRIES: usize = 8 << 20;

/// Look-ups of one round.
const READS: u32 = 1 << 16;

/// 65,536 look-ups a round.
#[must_use]
pub fn run(rounds: u32) -> u64 {
    let table: Vec<u32> = (0..ENTRIES as u32).map(|entry| entry.wrapping_mul(2_654_435_761)).collect();
    let (mut digest, mut stream) = (0, SEED);
    for _ in 0..rounds {
        for _ in 0..READS {
            stream = next(stream);
            digest = mix(digest, u64::from(table[stream as usize % ENTRIES]));
        }
    }
    digest
}
