//! Random numbers as functions of a counter, and the twins of the shader block `random` (`// p2c2r: use random`): for each
//! `random_NAME` in WGSL there is `NAME` here, with the same bits for every argument.
//!
//! A guest that needs a stream takes [`Context::rng`](crate::Context::rng); this is for numbers that a shader makes as well. Give
//! the shader a word or two of [`Context::seed`](crate::Context::seed) as the key. Not for secrets.
//!
//! ```
//! use p2c2r_guest::random;
//!
//! let [a, b, _, _] = random::philox([7, 0, 0, 0], [1, 2]);
//! assert_ne!(a, b);
//! assert!(random::below(a, 6) < 6);
//! assert!((0..65536).contains(&random::fixed(b)));
//! ```

use crate::{fixed, wide};

/// One word from one: the permutation of a PCG (O'Neill, 2014), as in Jarzynski and Olano, "Hash Functions for GPU
/// Rendering" (2020). A bijection; cheap and good enough for noise.
#[must_use]
pub const fn hash(a: u32) -> u32 {
    let state = a.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (word >> 22) ^ word
}

/// Three words from three, all of them mixed: `pcg3d` of the same paper.
#[must_use]
pub const fn hash3(a: [u32; 3]) -> [u32; 3] {
    let [mut x, mut y, mut z] = a;
    x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    y = y.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    z = z.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    x = x.wrapping_add(y.wrapping_mul(z));
    y = y.wrapping_add(z.wrapping_mul(x));
    z = z.wrapping_add(x.wrapping_mul(y));
    x ^= x >> 16;
    y ^= y >> 16;
    z ^= z >> 16;
    x = x.wrapping_add(y.wrapping_mul(z));
    y = y.wrapping_add(z.wrapping_mul(x));
    z = z.wrapping_add(x.wrapping_mul(y));
    [x, y, z]
}

/// Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011): passes every battery of TestU01. Four
/// words from a counter and a key.
#[must_use]
pub const fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut x, mut y, mut z, mut w] = counter;
    let mut round = 0u32;
    while round < 10 {
        let a = wide::product(0xd251_1f53, x);
        let b = wide::product(0xcd9e_8d57, z);
        let k0 = key[0].wrapping_add(0x9e37_79b9_u32.wrapping_mul(round));
        let k1 = key[1].wrapping_add(0xbb67_ae85_u32.wrapping_mul(round));
        [x, y, z, w] = [(b >> 32) as u32 ^ y ^ k0, b as u32, (a >> 32) as u32 ^ w ^ k1, a as u32];
        round += 1;
    }
    [x, y, z, w]
}

/// 0 to `count - 1` from a random word; no value is likelier than another by more than one in 2^32. 0 of a count of 0.
#[must_use]
pub const fn below(word: u32, count: u32) -> u32 {
    (wide::product(word, count) >> 32) as u32
}

/// A [Q16.16](crate::fixed) number, 0 or more and below 1, from a random word.
#[must_use]
pub const fn fixed(word: u32) -> i32 {
    (word >> 16) as i32
}

/// Value noise: a [Q16.16](crate::fixed) number, 0 or more and below 1, random at whole numbers and smooth between them.
#[must_use]
pub const fn noise2(at: [i32; 2], seed: u32) -> i32 {
    let [x, y] = [smooth(at[0] & 0xffff), smooth(at[1] & 0xffff)];
    let near = fixed::lerp(corner(at, 0, 0, seed), corner(at, 1, 0, seed), x);
    let far = fixed::lerp(corner(at, 0, 1, seed), corner(at, 1, 1, seed), x);
    fixed::lerp(near, far, y)
}

const fn corner(at: [i32; 2], dx: i32, dy: i32, seed: u32) -> i32 {
    fixed(hash3([(fixed::floor(at[0]) + dx) as u32, (fixed::floor(at[1]) + dy) as u32, seed])[0])
}

/// 3t² - 2t³
const fn smooth(t: i32) -> i32 {
    fixed::mul(fixed::mul(t, t), 3 * fixed::ONE - 2 * t)
}
