//! The network: three layers of int8 weights, 32-bit sums, shifts in place of scales.
//!
//! A layer's sum is `bias + weight * input` over its inputs, in `i32`. Between layers it becomes the next input by
//! `clamp((sum + half) >> shift, 0, 127)`, `half` being `1 << (shift - 1)`: rounding, scaling and ReLU in one. The last layer's sums
//! are the scores. Nothing here can overflow: 192 products of at most 2^14 and a bias of at most 2^24 stay below 2^25.
//!
//! The weights file is a run of little-endian 32-bit words, which is also the shader's buffer:
//!
//! | words | |
//! |---|---|
//! | 4 | `NPW1`, the shift after layer 1, the shift after layer 2, 0 |
//! | 64 x 48, 64 | layer 1: for each output its weights, four to a word, lowest byte first; then the biases |
//! | 32 x 16, 32 | layer 2 |
//! | 9 x 8, 9 | layer 3 |

use crate::limits::POLICY_BIAS;

/// Numbers the network is given.
pub const INPUTS: usize = 192;
/// Outputs of layers 1 and 2.
pub const HIDDEN: [usize; 2] = [64, 32];
/// Scores: the eight directions by number, then staying.
pub const MOVES: usize = 9;
/// The number of staying.
pub const STAY: usize = 8;

/// What an input, and an output of layers 1 and 2, must be to stand for 1.
pub const ONE: i8 = 64;

const MAGIC: u32 = u32::from_le_bytes(*b"NPW1");
const HEADER_WORDS: usize = 4;
const WORDS: usize = HEADER_WORDS
    + Layer::<INPUTS, { HIDDEN[0] }>::WORDS
    + Layer::<{ HIDDEN[0] }, { HIDDEN[1] }>::WORDS
    + Layer::<{ HIDDEN[1] }, MOVES>::WORDS;

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer<const IN: usize, const OUT: usize> {
    weights: Vec<[i8; IN]>,
    biases: Vec<i32>,
}

/// The weights of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// After layers 1 and 2.
    shifts: [u32; 2],
    first: Layer<INPUTS, { HIDDEN[0] }>,
    second: Layer<{ HIDDEN[0] }, { HIDDEN[1] }>,
    third: Layer<{ HIDDEN[1] }, MOVES>,
}

/// Why bytes are no weights.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Too short, too long, or another format.
    #[error("a policy is NPW1 and {WORDS} words in all, these {bytes} bytes are not")]
    NoPolicy {
        /// Length of what was given.
        bytes: usize,
    },
    /// A shift that scales nothing sensible.
    #[error("a shift of {shift}, 1 to 15 are taken")]
    Shift {
        /// What it says.
        shift: u32,
    },
    /// A bias with which sums could overflow.
    #[error("a bias of {bias}, at most {POLICY_BIAS} either way")]
    Bias {
        /// What it says.
        bias: i32,
    },
}

impl Network {
    /// Puts layers together.
    ///
    /// # Errors
    /// [`NetworkError`] for a shift or bias out of bounds.
    pub fn new(
        shifts: [u32; 2],
        first: Layer<INPUTS, { HIDDEN[0] }>,
        second: Layer<{ HIDDEN[0] }, { HIDDEN[1] }>,
        third: Layer<{ HIDDEN[1] }, MOVES>,
    ) -> Result<Self, NetworkError> {
        if let Some(&shift) = shifts.iter().find(|shift| !(1..=15).contains(*shift)) {
            return Err(NetworkError::Shift { shift });
        }
        let mut biases = first.biases.iter().chain(&second.biases).chain(&third.biases);
        if let Some(&bias) = biases.find(|bias| !(-POLICY_BIAS..=POLICY_BIAS).contains(*bias)) {
            return Err(NetworkError::Bias { bias });
        }
        Ok(Self { shifts, first, second, third })
    }

    /// Reads a weights file.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NetworkError> {
        let no_policy = || NetworkError::NoPolicy { bytes: bytes.len() };
        let (words, []) = bytes.as_chunks::<4>() else { return Err(no_policy()) };
        let ([magic, one, two, [0, 0, 0, 0]], mut words) = words.split_first_chunk().ok_or_else(no_policy)? else {
            return Err(no_policy());
        };
        if u32::from_le_bytes(*magic) != MAGIC {
            return Err(no_policy());
        }
        let first = Layer::take(&mut words).ok_or_else(no_policy)?;
        let second = Layer::take(&mut words).ok_or_else(no_policy)?;
        let third = Layer::take(&mut words).ok_or_else(no_policy)?;
        if !words.is_empty() {
            return Err(no_policy());
        }
        Self::new([one, two].map(|shift| u32::from_le_bytes(*shift)), first, second, third)
    }

    /// The words of a weights file.
    #[must_use]
    pub fn to_words(&self) -> Vec<u32> {
        let mut words = vec![MAGIC, self.shifts[0], self.shifts[1], 0];
        self.first.put(&mut words);
        self.second.put(&mut words);
        self.third.put(&mut words);
        words
    }

    /// A score for each move; only their order means something.
    #[must_use]
    pub fn scores(&self, inputs: &[i8; INPUTS]) -> [i32; MOVES] {
        let first = self.first.sums(inputs).map(|sum| activation(sum, self.shifts[0]));
        let second = self.second.sums(&first).map(|sum| activation(sum, self.shifts[1]));
        self.third.sums(&second)
    }
}

impl<const IN: usize, const OUT: usize> Layer<IN, OUT> {
    const WORDS: usize = OUT * IN / 4 + OUT;

    /// A layer of the weights of each output and their biases.
    #[must_use]
    pub fn new(weights: &[[i8; IN]; OUT], biases: &[i32; OUT]) -> Self {
        Self { weights: weights.to_vec(), biases: biases.to_vec() }
    }

    fn take(words: &mut &[[u8; 4]]) -> Option<Self> {
        let (weights, rest) = words.split_at_checked(OUT * IN / 4)?;
        let (biases, rest) = rest.split_at_checked(OUT)?;
        *words = rest;
        let (weights, []) = weights.as_flattened().as_chunks::<IN>() else { return None };
        let weights = weights.iter().map(|row| row.map(u8::cast_signed)).collect();
        Some(Self { weights, biases: biases.iter().map(|bias| i32::from_le_bytes(*bias)).collect() })
    }

    fn put(&self, words: &mut Vec<u32>) {
        let weights = self.weights.as_flattened().as_chunks::<4>().0;
        words.extend(weights.iter().map(|four| u32::from_le_bytes(four.map(i8::cast_unsigned))));
        words.extend(self.biases.iter().map(|bias| bias.cast_unsigned()));
    }

    fn sums(&self, inputs: &[i8; IN]) -> [i32; OUT] {
        let mut sums = [0; OUT];
        for ((sum, weights), bias) in sums.iter_mut().zip(&self.weights).zip(&self.biases) {
            let products = weights.iter().zip(inputs).map(|(w, x)| i32::from(*w) * i32::from(*x));
            *sum = bias + products.sum::<i32>();
        }
        sums
    }
}

fn activation(sum: i32, shift: u32) -> i8 {
    ((sum + (1 << (shift - 1))) >> shift).clamp(0, 127) as i8
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2c2r_guest::Rng;
    use p2c2r_guest::rand_core::{Rng as _, SeedableRng};

    /// Weights and biases of any size that parses; `extreme` takes the ends of their ranges only.
    fn random(rng: &mut Rng, extreme: bool) -> Network {
        let mut bytes: Vec<u8> = b"NPW1".to_vec();
        for _ in 0..2 {
            bytes.extend((1 + rng.next_u32() % 15).to_le_bytes());
        }
        bytes.extend([0; 4]);
        for (inputs, outputs) in [(INPUTS, HIDDEN[0]), (HIDDEN[0], HIDDEN[1]), (HIDDEN[1], MOVES)] {
            for _ in 0..inputs * outputs {
                let byte = rng.next_u32() as u8;
                bytes.push(if extreme { 127 + byte % 2 } else { byte });
            }
            for _ in 0..outputs {
                let bias = match extreme {
                    true => [-POLICY_BIAS, POLICY_BIAS][rng.next_u32() as usize % 2],
                    false => rng.next_u32().cast_signed() >> 16,
                };
                bytes.extend(bias.to_le_bytes());
            }
        }
        Network::parse(&bytes).expect("in bounds")
    }

    /// The same in 128 bits, a division that rounds down in place of the shift, and weights taken from the words.
    fn oracle(network: &Network, inputs: &[i8]) -> Vec<i128> {
        let words = network.to_words();
        let mut at = HEADER_WORDS;
        let mut values: Vec<i128> = inputs.iter().map(|x| i128::from(*x)).collect();
        for (layer, outputs) in [HIDDEN[0], HIDDEN[1], MOVES].into_iter().enumerate() {
            let weights = values.len() * outputs;
            let weight = |i: usize| i128::from((words[at + i / 4] >> (8 * (i % 4))) as u8 as i8);
            let sums: Vec<i128> = (0..outputs)
                .map(|o| {
                    let products = values.iter().enumerate().map(|(i, x)| weight(o * values.len() + i) * x);
                    i128::from(words[at + weights / 4 + o] as i32) + products.sum::<i128>()
                })
                .collect();
            at += weights / 4 + outputs;
            values = match network.shifts.get(layer) {
                Some(&shift) => {
                    let scale = 1i128 << shift;
                    sums.into_iter().map(|sum| (sum + scale / 2).div_euclid(scale).clamp(0, 127)).collect()
                }
                None => sums,
            };
        }
        assert_eq!(at, words.len());
        values
    }

    #[test]
    fn sums_are_those_of_wide_integers() {
        let mut rng = Rng::from_seed([7; 32]);
        for round in 0..200 {
            let network = random(&mut rng, round % 2 == 1);
            let mut inputs = [0; INPUTS];
            inputs.fill_with(|| match round % 4 {
                0 | 1 => rng.next_u32() as i8,
                2 => -128,
                _ => 127,
            });
            let wide: Vec<i128> = network.scores(&inputs).map(i128::from).to_vec();
            assert_eq!(wide, oracle(&network, &inputs), "round {round}");
        }
    }

    #[test]
    fn activations_round_to_the_nearest_and_stay_in_seven_bits() {
        let check = |sum, shift, expected| assert_eq!(activation(sum, shift), expected, "{sum} >> {shift}");
        check(0, 8, 0);
        check(127, 8, 0);
        check(128, 8, 1);
        check(383, 8, 1);
        check(384, 8, 2);
        check(-1, 1, 0);
        check(-5000, 8, 0);
        check(127 << 8, 8, 127);
        check(i32::MAX / 2, 1, 127);
    }

    #[test]
    fn files_round_trip_and_lies_are_refused() {
        let network = random(&mut Rng::from_seed([1; 32]), false);
        let bytes: Vec<u8> = network.to_words().iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(bytes.len(), WORDS * 4);
        assert_eq!(Network::parse(&bytes), Ok(network));

        let check = |at: usize, value: u32, message: &str| {
            let mut bytes = bytes.clone();
            bytes[at * 4..at * 4 + 4].copy_from_slice(&value.to_le_bytes());
            assert_eq!(Network::parse(&bytes).expect_err(message).to_string(), message);
        };
        let no_policy = "a policy is NPW1 and 3765 words in all, these 15060 bytes are not";
        check(0, 0, no_policy);
        check(3, 1, no_policy);
        check(1, 0, "a shift of 0, 1 to 15 are taken");
        check(2, 16, "a shift of 16, 1 to 15 are taken");
        check(WORDS - 1, 0x0100_0001, "a bias of 16777217, at most 16777216 either way");
        for length in [0, 3, 16, bytes.len() - 4] {
            let error = Network::parse(&bytes[..length]).expect_err("too short");
            assert_eq!(error, NetworkError::NoPolicy { bytes: length });
        }
        let long = [&bytes[..], &[0; 4]].concat();
        assert_eq!(Network::parse(&long), Err(NetworkError::NoPolicy { bytes: long.len() }));
    }
}
