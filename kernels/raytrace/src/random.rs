//! Random numbers of a path: a function of frame seed, pixel and sample, so that any cut of an image into tasks
//! gives the same pixels.

use crate::vector::{Vec3, vec3};

/// Source of one path's random numbers: PCG (O'Neill 2014, RXS-M-XS 32), seeded by hashing, with the first few draws
/// taken from a low-discrepancy sequence (Roberts' R2) over the samples of a pixel.
#[derive(Debug, Clone, Copy)]
pub struct Random {
    state: u32,
    pixel: u32,
    sample: u32,
}

/// 2^32 / g and 2^32 / g^2, g the plastic number: the R2 sequence.
const R2: [u32; 2] = [0xc13f_a9a9, 0x91e1_0da5];

impl Random {
    /// The source for sample number `sample` of pixel number `pixel` in a frame.
    #[must_use]
    pub fn new(frame_seed: u32, pixel: u32, sample: u32) -> Self {
        let pixel = hash(pixel ^ hash(frame_seed));
        Self { state: hash(pixel.wrapping_add(hash(sample))), pixel, sample }
    }

    /// Uniform in [0, 1).
    pub fn draw(&mut self) -> f32 {
        self.state = self.state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        unit(permute(self.state))
    }

    /// Two numbers in [0, 1) that are spread evenly over the samples of the pixel, different for each `dimension`.
    #[must_use]
    pub fn even(&self, dimension: u32) -> [f32; 2] {
        let shift = hash(self.pixel.wrapping_add(dimension.wrapping_mul(0x9e37_79b9)));
        let u = shift.wrapping_add(self.sample.wrapping_mul(R2[0]));
        let v = hash(shift).wrapping_add(self.sample.wrapping_mul(R2[1]));
        [unit(u), unit(v)]
    }

    /// Two fresh numbers.
    pub fn pair(&mut self) -> [f32; 2] {
        [self.draw(), self.draw()]
    }
}

/// A point on the unit sphere from two numbers in [0, 1).
#[must_use]
pub fn on_sphere([u, v]: [f32; 2]) -> Vec3 {
    let z = 1.0 - 2.0 * u;
    let r = (1.0 - z * z).max(0.0).sqrt();
    let [x, y] = on_circle(v);
    vec3(r * x, r * y, z)
}

/// A point in the unit disk.
#[must_use]
pub fn in_disk([u, v]: [f32; 2]) -> [f32; 2] {
    let r = u.sqrt();
    let [x, y] = on_circle(v);
    [r * x, r * y]
}

/// A point on the unit circle, at `turn` of a turn. Polynomials, because `sin` of a C library is not the same everywhere.
fn on_circle(turn: f32) -> [f32; 2] {
    let quarters = turn * 4.0;
    let quadrant = quarters.floor();
    // Within 45 degrees of the quadrant's middle; where turn 0 points does not matter.
    let a = (quarters - quadrant - 0.5) * core::f32::consts::FRAC_PI_2;
    let a2 = a * a;
    let s = a * (1.0 - a2 * (1.0 / 6.0) * (1.0 - a2 * (1.0 / 20.0) * (1.0 - a2 * (1.0 / 42.0))));
    let c = 1.0 - a2 * 0.5 * (1.0 - a2 * (1.0 / 12.0) * (1.0 - a2 * (1.0 / 30.0)));
    match quadrant as u32 {
        0 => [c, s],
        1 => [-s, c],
        2 => [-c, -s],
        _ => [s, -c],
    }
}

fn hash(x: u32) -> u32 {
    permute(x.wrapping_mul(747_796_405).wrapping_add(2_891_336_453))
}

fn permute(state: u32) -> u32 {
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (word >> 22) ^ word
}

fn unit(bits: u32) -> f32 {
    (bits >> 8) as f32 * (1.0 / 16_777_216.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_uniform_and_directions_are_unit() {
        let (mut sum, mut centre) = (0.0f64, [0.0f64; 3]);
        const N: u32 = 100_000;
        for i in 0..N {
            let mut random = Random::new(7, i, 3);
            let (u, v) = (random.draw(), random.draw());
            assert!((0.0..1.0).contains(&u));
            sum += f64::from(u);
            let d = on_sphere([u, v]);
            assert!((d.length() - 1.0).abs() < 1e-5, "{d:?}");
            for (c, x) in centre.iter_mut().zip(d.to_array()) {
                *c += f64::from(x);
            }
        }
        assert!((sum / f64::from(N) - 0.5).abs() < 0.005);
        for c in centre {
            assert!((c / f64::from(N)).abs() < 0.01, "{centre:?}");
        }
    }

    #[test]
    fn even_draws_cover_the_square() {
        let mut cells = [0u32; 16];
        for sample in 0..64 {
            let [u, v] = Random::new(1, 99, sample).even(2);
            cells[(u * 4.0) as usize * 4 + (v * 4.0) as usize] += 1;
        }
        assert!(cells.iter().all(|n| (2..=6).contains(n)), "{cells:?}");
    }
}
