//! The market's randomness: a ChaCha stream from the seed it was given, so that a run can be replayed. The seed must be
//! secret and new at every start: nonces and the choice of peers come from it.

use p2c2r_signing::AttemptNonce;
use rand_chacha::ChaCha12Rng;
use rand_core::{Rng, SeedableRng};

/// Nonces and picks.
pub(crate) struct Dice(ChaCha12Rng);

impl Dice {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha12Rng::from_seed(seed))
    }

    /// A number in `0..bound`, 0 for a bound of 0. Its bias is under 2^-32 for any bound that fits in memory.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let product = u128::from(self.0.next_u64()) * bound as u128;
        usize::try_from(product >> 64).unwrap_or(0)
    }

    pub(crate) fn nonce(&mut self) -> AttemptNonce {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        AttemptNonce::from_bytes(bytes)
    }
}
