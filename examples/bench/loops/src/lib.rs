//! Kernel `loops`: four inner loops as real programs have them, each bound by another part of the processor. The benchmark
//! runs them natively and in the sandbox; the output is a digest of every value computed, so that nothing is optimised
//! away and both sides can be compared.
//!
//! ```
//! use kernel_loops::{Loop, Work, digest};
//!
//! let work = Work { on: Loop::Hash, rounds: 2 };
//! assert_eq!(digest(work), digest(work));
//! assert_ne!(digest(work), digest(Work { rounds: 3, ..work }));
//! ```
#![forbid(unsafe_code)]

pub mod bodies;
pub mod hash;
pub mod matrix;
pub mod table;

use p2c2r_guest::{Context, Failure, Postcard, encode, kernel};
use serde::{Deserialize, Serialize};

/// What to run, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// The loop.
    pub on: Loop,
    /// Times through its data.
    pub rounds: u32,
}

/// The loops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loop {
    /// Scalar `f64`: [`bodies`].
    Bodies,
    /// Integers: [`hash`].
    Hash,
    /// SIMD, by the compiler's own vectoriser: [`matrix`].
    Matrix,
    /// Memory: [`table`].
    Table,
}

impl Work {
    /// The input of a task.
    ///
    /// # Errors
    /// None; the signature is that of [`p2c2r_guest::Encode`].
    pub fn input(self) -> Result<Vec<u8>, Failure> {
        encode(Postcard(self))
    }
}

/// The kernel: output is the digest, 8 bytes, little-endian.
///
/// # Errors
/// None but those of an input that is no [`Work`].
#[kernel]
pub fn loops(ctx: &mut Context, Postcard(work): Postcard<Work>) -> Result<Vec<u8>, Failure> {
    ctx.charge(u64::from(work.rounds));
    Ok(digest(work).to_le_bytes().to_vec())
}

/// Does the work.
#[must_use]
pub fn digest(work: Work) -> u64 {
    match work.on {
        Loop::Bodies => bodies::run(work.rounds),
        Loop::Hash => hash::run(work.rounds),
        Loop::Matrix => matrix::run(work.rounds),
        Loop::Table => table::run(work.rounds),
    }
}

/// Takes another word into a digest.
const fn mix(digest: u64, word: u64) -> u64 {
    (digest ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

/// The next of a stream of words that look random (Marsaglia's xorshift64).
const fn next(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^ state << 17
}

/// Where the streams start.
const SEED: u64 = 0x2545_f491_4f6c_dd1d;

#[cfg(test)]
mod tests {
    use super::*;

    /// That the sandbox computes the same is a test of `examples/network`.
    #[test]
    fn digests_are_pinned() {
        let digests = [Loop::Bodies, Loop::Hash, Loop::Matrix, Loop::Table].map(|on| digest(Work { on, rounds: 2 }));
        let pinned = [
            8_506_951_541_096_530_892,
            1_380_356_847_591_398_714,
            11_364_045_976_285_693_053,
            17_277_977_295_220_048_044,
        ];
        assert_eq!(digests, pinned);
    }
}
