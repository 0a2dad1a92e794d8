//! A landscape from a seed, in integers: the same hills on every machine.

use p2c2r_guest::fixed;
use p2c2r_guest::random::noise2;

use crate::task::Terrain;

/// Octaves of the hills; each is half as wide and half as high as the one before.
const OCTAVES: u32 = 6;

/// Height of the widest hills.
const HILLS: i32 = fixed::of(24);

impl Terrain {
    /// Hills around a valley that winds from the north to the south, `side` by `side` cells, at most 512.
    #[must_use]
    pub fn valley(side: u32, seed: u32) -> Self {
        let side = side.clamp(1, 512);
        let mut ground = Vec::with_capacity((side * side) as usize);
        for y in 0..side {
            for x in 0..side {
                ground.push(height(x, y, side, seed));
            }
        }
        Self { width: side, height: side, ground }
    }
}

fn height(x: u32, y: u32, side: u32, seed: u32) -> i32 {
    // Places as shares of the side, so that a larger terrain shows more of the same land.
    let [u, v] = [x, y].map(|at| fixed::div(at as i32, side as i32));
    let mut height = 0;
    // Bent a little, so that no hill shows the grid it was made on.
    let warp = |seed| {
        fixed::mul(noise2([u * 5, v * 5], seed) + noise2([u * 11, v * 11], seed) / 2 - fixed::HALF, fixed::ONE / 6)
    };
    let (hx, hy) = (u + warp(seed ^ 0x51ed), v + warp(seed ^ 0xa7c3));
    for octave in 0..OCTAVES {
        let scale = 3 << octave;
        let ridge =
            fixed::ONE - fixed::abs(noise2([hx * scale, hy * scale], seed.wrapping_add(octave)) * 2 - fixed::ONE);
        height += fixed::mul(HILLS >> octave, fixed::mul(ridge, ridge));
    }
    // The valley: a bend, and a fall from end to end.
    let bend = fixed::HALF + fixed::mul(fixed::sin(fixed::mul(v, fixed::of(6))), fixed::ONE / 6);
    let off = fixed::abs(u - bend);
    let bank = fixed::mul(fixed::mul(off, off), fixed::of(90));
    let fall = fixed::mul(fixed::ONE - v, fixed::of(26));
    fixed::mul(height, (fixed::ONE / 4 + off * 3).min(fixed::ONE)) + bank + fall
}
