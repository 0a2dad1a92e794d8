//! Gravity between 64 bodies in `f64`: a square root and a division for each pair, and stores of every place and speed.

use crate::mix;

const BODIES: usize = 64;
const DT: f64 = 0.001;
/// Keeps bodies that meet from being flung away.
const SOFTENING: f64 = 0.01;

#[derive(Clone, Copy)]
struct Body {
    place: [f64; 3],
    speed: [f64; 3],
    mass: f64,
}

/// One step of time a round.
#[must_use]
pub fn run(rounds: u32) -> u64 {
    let mut bodies: [Body; BODIES] = std::array::from_fn(|index| {
        let at = |factor: usize| (index * factor % 1009) as f64 * 0.01;
        Body { place: [at(7919), at(6841), at(5717)], speed: [0.0; 3], mass: 1.0 + at(4517) }
    });
    for _ in 0..rounds {
        step(&mut bodies);
    }
    let numbers = bodies.iter().flat_map(|body| body.place.into_iter().chain(body.speed));
    numbers.fold(0, |digest, number| mix(digest, number.to_bits()))
}

fn step(bodies: &mut [Body]) {
    for index in 0..bodies.len() {
        let here = bodies[index].place;
        let mut pull = [0.0; 3];
        for other in &*bodies {
            let [x, y, z] = [0, 1, 2].map(|axis| other.place[axis] - here[axis]);
            let square = x * x + y * y + z * z + SOFTENING;
            let weight = other.mass / (square * square.sqrt());
            pull[0] += x * weight;
            pull[1] += y * weight;
            pull[2] += z * weight;
        }
        let Body { place, speed, .. } = &mut bodies[index];
        for ((place, speed), pull) in place.iter_mut().zip(speed).zip(pull) {
            *speed += pull * DT;
            *place += *speed * DT;
        }
    }
}
