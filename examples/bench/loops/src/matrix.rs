//! The product of two `f32` matrices of 128 x 128, row by row: what compilers turn into SIMD by themselves, four lanes
//! on both sides (SSE2 and simd128).

use crate::mix;

const SIDE: usize = 128;

type Matrix = Vec<[f32; SIDE]>;

/// One product a round; the next round multiplies its result.
#[must_use]
pub fn run(rounds: u32) -> u64 {
    let filled = |factor: usize| -> Matrix {
        (0..SIDE).map(|row| std::array::from_fn(|column| ((row * factor + column * 7) % 17) as f32 / 1024.0)).collect()
    };
    // Rows of the right one sum to about 1, so that powers of it neither grow nor vanish.
    let (mut left, right) = (filled(5), filled(3));
    for _ in 0..rounds {
        left = product(&left, &right);
    }
    left.iter().flatten().fold(0, |digest, number| mix(digest, u64::from(number.to_bits())))
}

fn product(left: &[[f32; SIDE]], right: &[[f32; SIDE]]) -> Matrix {
    let mut result = vec![[0.0; SIDE]; SIDE];
    for (sums, factors) in result.iter_mut().zip(left) {
        for (factor, row) in factors.iter().zip(right) {
            add_scaled(sums, *factor, row);
        }
    }
    result
}

/// A function of its own so that the compiler knows that the sums overlap with nothing, natively too: without that it
/// does not vectorise.
fn add_scaled(sums: &mut [f32; SIDE], factor: f32, row: &[f32; SIDE]) {
    for (sum, number) in sums.iter_mut().zip(row) {
        *sum += factor * number;
    }
}
