//! A scene to try the kernel on: a tower of balls, boxes and capsules that collapses into a heap.

use p2c2r_guest::Rng;
use p2c2r_guest::rand_core::{Rng as _, SeedableRng};

use crate::scene::{Body, Ground, Motion, Scene, Shape};

/// `bodies` bodies above a floor, `steps` steps of a 60th of a second. The same for the same numbers.
#[must_use]
pub fn pile(bodies: usize, steps: u32) -> Scene {
    let mut rng = Rng::from_seed([7; 32]);
    // A square base as wide as the tower is a third of high.
    let side = (1..).find(|side| side * side * side * 3 >= bodies).unwrap_or(1);
    let bodies = (0..bodies).map(|i| {
        let (layer, row, column) = (i / (side * side), i / side % side, i % side);
        let middle = (side as f32 - 1.0) / 2.0;
        let position = [
            (column as f32 - middle) * 1.1 + unit(&mut rng) * 0.05,
            layer as f32 * 1.2 + 1.0,
            (row as f32 - middle) * 1.1 + unit(&mut rng) * 0.05,
        ];
        let size = 0.4 + unit(&mut rng) * 0.1;
        let shape = match rng.next_u32() % 3 {
            0 => Shape::Ball(size),
            1 => Shape::Cuboid([size, size * 0.75, size * 0.875]),
            _ => Shape::Capsule { half_height: size * 0.5, radius: size * 0.5 },
        };
        let spin = [unit(&mut rng), unit(&mut rng), unit(&mut rng)];
        let motion = Motion { velocity: [0.0, -2.0, 0.0], spin, ..Motion::at(position) };
        Body { shape, fixed: false, density: 500.0, friction: 0.6, restitution: 0.1, motion }
    });
    Scene {
        gravity: [0.0, -9.81, 0.0],
        dt: 1.0 / 60.0,
        steps,
        ground: Some(Ground { half_side: 100.0, friction: 0.8, restitution: 0.0 }),
        bodies: bodies.collect(),
    }
}

/// From -1 to 1 in steps of 2^-15.
fn unit(rng: &mut Rng) -> f32 {
    (rng.next_u32() >> 16) as f32 / 32_768.0 - 1.0
}
