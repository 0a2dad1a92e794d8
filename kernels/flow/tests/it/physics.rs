//! What water does: it is conserved, has no left or right, comes to rest level, and falls downhill.

use kernel_flow::{Spring, Task, Terrain, Water, limits, model};
use p2c2r_guest::{fixed, random};
use proptest::prelude::*;

/// Any ground and any water, the extremes among them.
fn anything(width: u32, height: u32, seed: u32) -> (Terrain, Task) {
    let word = |k: u32, n: usize| random::philox([n as u32, k, 0, 0], [seed, 7])[0];
    let cells = (width * height) as usize;
    // Gentle, wild, or at the bounds.
    let size = [16, 6, 0][seed as usize % 3];
    let ground = (0..cells).map(|n| (word(0, n) >> 2 >> size) as i32 - (limits::GROUND >> size)).collect();
    let depths = (0..cells).map(|n| word(1, n) >> 2 >> size).collect();
    let flows = (0..cells).map(|n| [2, 3, 4, 5].map(|k| word(k, n) >> 2 >> size)).collect();
    let mut task = Task::new(12, Water { depths, flows });
    task.pull = (word(6, 0) % (limits::PULL as u32 + 1)) as i32;
    task.keep = (word(7, 0) % (fixed::ONE as u32 + 1)) as i32;
    (Terrain { width, height, ground }, task)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn not_a_drop_is_lost(seed in any::<u32>(), width in 1..20u32, height in 1..20u32) {
        let (terrain, task) = anything(width, height, seed);
        let after = model::simulate(&terrain, &task);
        prop_assert_eq!(after.volume(), task.water.volume());
        prop_assert!(after.depths.iter().all(|depth| *depth <= limits::DEPTH));
    }

    #[test]
    fn there_is_no_left_and_no_right(seed in any::<u32>(), width in 1..16u32, height in 1..16u32) {
        let (terrain, task) = anything(width, height, seed);
        let after = model::simulate(&terrain, &task);
        let (w, h) = (width as usize, height as usize);
        // East for west.
        let mirror = |n: usize| n - n % w + (w - 1 - n % w);
        let mirrored = Terrain { ground: permuted(&terrain.ground, mirror), ..terrain.clone() };
        let water = Water {
            depths: permuted(&task.water.depths, mirror),
            flows: permuted(&task.water.flows, mirror).into_iter().map(|[w, e, n, s]| [e, w, n, s]).collect(),
        };
        let seen = model::simulate(&mirrored, &Task { water, ..task.clone() });
        prop_assert_eq!(permuted(&seen.depths, mirror), after.depths.clone());
        // Rows for columns.
        let turn = |n: usize| n % h * w + n / h;
        let turned = Terrain { width: height, height: width, ground: permuted(&terrain.ground, turn) };
        let water = Water {
            depths: permuted(&task.water.depths, turn),
            flows: permuted(&task.water.flows, turn).into_iter().map(|[w, e, n, s]| [n, s, w, e]).collect(),
        };
        let seen = model::simulate(&turned, &Task { water, ..task });
        prop_assert_eq!(seen.depths, permuted(&after.depths, turn));
    }
}

/// The value of place `n` is what was at `from(n)`.
fn permuted<T: Copy>(values: &[T], from: impl Fn(usize) -> usize) -> Vec<T> {
    (0..values.len()).map(|n| values[from(n)]).collect()
}

#[test]
fn a_lake_at_rest_stays_at_rest() {
    let terrain = Terrain::valley(40, 3);
    let level = fixed::of(30);
    let depths: Vec<u32> = terrain.ground.iter().map(|ground| (level - ground).max(0) as u32).collect();
    assert!(depths.iter().filter(|depth| **depth > 0).count() > 100, "a lake");
    let water = Water { flows: vec![[0; 4]; depths.len()], depths };
    assert_eq!(model::simulate(&terrain, &Task::new(100, water.clone())), water);
}

#[test]
fn a_dam_break_comes_to_rest_level() {
    let terrain = Terrain { width: 24, height: 5, ground: vec![0; 120] };
    let depths = (0..120).map(|n| if n % 24 < 6 { 8 << 16 } else { 0 }).collect();
    let water = Water { depths, flows: vec![[0; 4]; 120] };
    let after = model::simulate(&terrain, &Task { keep: fixed::ONE - fixed::ONE / 16, ..Task::new(1000, water) });
    // Two metres everywhere, to a hundredth.
    assert!(after.depths.iter().all(|depth| depth.abs_diff(2 << 16) < 656), "{:?}", after.depths);
}

#[test]
fn a_wave_runs_as_fast_as_shallow_water() {
    // A pipe carries `pull` times the fall however deep the water is: a wave runs sqrt(pull) cells a step.
    let terrain = Terrain { width: 400, height: 1, ground: vec![0; 400] };
    let mut water = Water { depths: vec![10 << 16; 400], flows: vec![[0; 4]; 400] };
    (0..20).for_each(|at| water.depths[at] += 1 << 16);
    let steps = 500;
    let after = model::simulate(&terrain, &Task { keep: fixed::ONE, ..Task::new(steps, water) });
    // Half a metre of the step is on its way (the other half filled the hole behind it): where is its middle?
    let front = (0..400).rposition(|at| after.depths[at] > (10 << 16) + (1 << 14)).unwrap();
    let want = 20.0 + f64::from(steps) * (1.0f64 / 6.0).sqrt();
    assert!((front as f64 - want).abs() < 8.0, "{front} is not {want}");
}

#[test]
fn rain_ends_in_the_valley() {
    let terrain = Terrain::valley(48, 9);
    let wet = Task { rain: 2000, ..Task::new(60, Water::none(terrain.cells())) };
    let water = model::simulate(&terrain, &wet);
    assert_eq!(water.volume(), 60 * 2000 * 48 * 48);
    let after = model::simulate(&terrain, &Task::new(1000, water.clone()));
    let energy = |water: &Water| -> i128 {
        let columns = water.depths.iter().zip(&terrain.ground);
        columns.map(|(depth, ground)| i128::from(*depth) * (i128::from(*ground) + i128::from(*depth) / 2)).sum()
    };
    assert!(energy(&after) < energy(&water) * 9 / 10, "{} {}", energy(&after), energy(&water));
}

#[test]
fn springs_and_drains() {
    let terrain = Terrain { width: 3, height: 1, ground: vec![0, 1 << 29, 0] };
    let springs =
        vec![Spring { cell: 0, flow: 500 }, Spring { cell: 0, flow: -100 }, Spring { cell: 2, flow: -1 << 20 }];
    let mut task = Task { springs, ..Task::new(10, Water::none(3)) };
    task.water.depths[2] = 7;
    assert_eq!(model::simulate(&terrain, &task).depths, [4000, 0, 0]);
}
