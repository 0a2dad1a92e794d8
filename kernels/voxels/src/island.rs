//! A world to look at, from a seed and in integers: an island in the evening, with woods and a lighthouse.

use p2c2r_guest::random::{hash3, noise2};
use p2c2r_guest::{fixed, random};

use crate::world::{Material, Sky, World, kind};

const GRASS: u8 = 1;
const EARTH: u8 = 2;
const STONE: u8 = 3;
const SAND: u8 = 4;
const WATER: u8 = 5;
const TRUNK: u8 = 6;
const LEAVES: u8 = 7;
const WHITE: u8 = 8;
const RED: u8 = 9;
const LAMP: u8 = 10;
const WINDOW: u8 = 11;
const SNOW: u8 = 12;
const AUTUMN: u8 = 13;
const GOLD: u8 = 14;

impl World {
    /// The island, `side` voxels wide; rounded to what a world may have.
    #[must_use]
    pub fn island(side: u32, seed: u32) -> Self {
        let side = (side / 4 * 4).clamp(16, crate::limits::SIDE);
        let voxels = vec![0; side.pow(3) as usize];
        let mut world = Self { side, sky: evening(), materials: materials(), voxels };
        let s = side as i32;
        let sea = s / 10;
        let heights: Vec<i32> = (0..s * s).map(|at| height(at % s, at / s, s, seed)).collect();
        let height = |x: i32, z: i32| heights[(z * s + x) as usize];
        for z in 0..s {
            for x in 0..s {
                world.column(x, z, height(x, z), sea);
            }
        }
        for z in (3..s - 3).step_by(3) {
            for x in (3..s - 3).step_by(3) {
                let [a, b, c] = hash3([x as u32, z as u32, seed ^ 0x7ee]);
                let (x, z) = (x + (a % 3) as i32 - 1, z + (b % 3) as i32 - 1);
                let ground = height(x, z);
                let wood = noise2([x * fixed::of(6) / s, z * fixed::of(6) / s], seed ^ 0x3d) > fixed::ONE * 45 / 100;
                if ground > sea + 1 && ground < s * 38 / 100 && wood && random::below(c, 10) < 7 {
                    world.tree([x, ground + 1, z], c);
                }
            }
        }
        // The lighthouse stands on the headland that looks at the camera.
        let (x, z) = (s * 70 / 100, s * 62 / 100);
        world.lighthouse([x, height(x, z).max(sea), z]);
        world
    }

    fn set(&mut self, [x, y, z]: [i32; 3], material: u8) {
        let side = self.side as i32;
        if [x, y, z].iter().all(|at| (0..side).contains(at)) {
            self.voxels[((y * side + z) * side + x) as usize] = material;
        }
    }

    fn column(&mut self, x: i32, z: i32, height: i32, sea: i32) {
        let side = self.side as i32;
        for y in 0..=height.max(sea) {
            let material = match () {
                () if y > height => WATER,
                () if height <= sea + 1 => SAND,
                () if y < height - 2 => STONE,
                () if height > side * 46 / 100 => SNOW,
                () if height > side * 37 / 100 => STONE,
                () if y == height => GRASS,
                () => EARTH,
            };
            self.set([x, y, z], material);
        }
    }

    fn tree(&mut self, [x, y, z]: [i32; 3], word: u32) {
        let tall = self.side as i32 / 24 + (word >> 8 & 1) as i32;
        let leaves = if word >> 12 & 7 == 0 { AUTUMN } else { LEAVES };
        let radius = tall * 2 / 3;
        for dy in -radius..=radius {
            for dz in -radius..=radius {
                for dx in -radius..=radius {
                    let rough = (random::hash(word ^ (dx + 8 * dy + 64 * dz) as u32) & 1) as i32;
                    if dx * dx + dy * dy + dz * dz <= radius * radius + rough {
                        self.set([x + dx, y + tall + dy, z + dz], leaves);
                    }
                }
            }
        }
        (0..tall).for_each(|up| self.set([x, y + up, z], TRUNK));
    }

    fn lighthouse(&mut self, [x, y, z]: [i32; 3]) {
        let side = self.side as i32;
        let (tall, wide) = (side * 36 / 100, side / 22);
        for up in -4..tall {
            let radius = if up < 0 { wide + 1 } else { wide - up * wide / (3 * tall) };
            for dz in -radius..=radius {
                for dx in -radius..=radius {
                    let off = dx * dx + dz * dz;
                    if off > radius * radius {
                        continue;
                    }
                    let band = if up < 0 { STONE } else { [WHITE, RED][(up * 6 / tall % 2) as usize] };
                    let glazed = up % 7 == 4 && off > (radius - 1) * (radius - 1) && (dx == 0 || dz == 0);
                    self.set([x + dx, y + up, z + dz], if glazed { WINDOW } else { band });
                }
            }
        }
        let top = y + tall;
        for up in 0..wide + 2 {
            for dz in -wide..=wide {
                for dx in -wide..=wide {
                    let off = dx * dx + dz * dz;
                    let material = match () {
                        () if up == 0 && off <= wide * wide => WHITE,
                        () if up < wide - 1 && off <= wide * wide / 4 => LAMP,
                        () if up == wide - 1 && off <= wide * wide => RED,
                        () if up > wide - 1 && off <= (wide - 1 - (up - wide)).pow(2) / 2 => GOLD,
                        () => continue,
                    };
                    self.set([x + dx, top + up, z + dz], material);
                }
            }
        }
    }
}

fn height(x: i32, z: i32, side: i32, seed: u32) -> i32 {
    let [u, v] = [x, z].map(|at| fixed::div(at, side));
    let hills: i32 =
        (0..4).map(|octave| noise2([u * (4 << octave), v * (4 << octave)], seed.wrapping_add(octave)) >> octave).sum();
    let middle = [u - fixed::ONE * 46 / 100, v - fixed::ONE * 44 / 100];
    let off = fixed::length2(middle);
    let shore = fixed::ONE - fixed::mul(fixed::mul(off, off), fixed::of(5));
    let peak = (fixed::ONE - fixed::mul(fixed::length2([middle[0] + 6000, middle[1] + 9000]), fixed::of(4))).max(0);
    let height = fixed::mul(hills - fixed::ONE * 55 / 100, fixed::ONE * 22 / 100)
        + fixed::mul(shore, fixed::ONE * 16 / 100)
        + fixed::mul(fixed::mul(peak, peak), fixed::ONE * 42 / 100);
    fixed::floor(height * side).clamp(0, side - 1)
}

/// The sun is low in the south-west, the sky still bright.
fn evening() -> Sky {
    Sky {
        sun: fixed::normalise3([fixed::of(5), fixed::of(3), fixed::of(1)]),
        sun_light: [hundredths(210), hundredths(118), hundredths(56)],
        zenith: [hundredths(7), hundredths(13), hundredths(34)],
        horizon: [hundredths(58), hundredths(38), hundredths(33)],
        softness: hundredths(3),
    }
}

fn materials() -> Vec<Material> {
    let matt =
        |colour: [i32; 3]| Material { colour: colour.map(hundredths), kind: kind::MATT, light: [0; 3], roughness: 0 };
    let glow = |light: [i32; 3]| Material { light: light.map(hundredths), ..matt([80, 80, 80]) };
    let mirror =
        |colour: [i32; 3], roughness| Material { kind: kind::MIRROR, roughness: hundredths(roughness), ..matt(colour) };
    vec![
        matt([0, 0, 0]),
        matt([26, 44, 12]),
        matt([36, 25, 16]),
        matt([38, 37, 37]),
        matt([76, 66, 44]),
        mirror([32, 52, 58], 4),
        matt([24, 15, 9]),
        matt([11, 33, 9]),
        matt([84, 82, 78]),
        matt([66, 10, 8]),
        glow([3000, 2100, 1000]),
        glow([900, 560, 210]),
        matt([88, 90, 94]),
        matt([62, 28, 6]),
        mirror([92, 70, 32], 12),
    ]
}

fn hundredths(number: i32) -> i32 {
    number * fixed::ONE / 100
}
