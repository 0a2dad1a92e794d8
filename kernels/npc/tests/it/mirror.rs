//! `shaders/policy.wgsl` by hand, line for line, over the same words: what a GPU answers, without one.

use std::collections::BTreeMap;

pub(crate) const WGSL: &str = include_str!("../../shaders/policy.wgsl");

const OFFSETS: [(i32, i32); 9] = [(1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (-1, -1), (1, -1), (0, 0)];
const STAY: usize = 8;

struct View {
    flip_x: bool,
    flip_y: bool,
    swapped: bool,
}

struct Walker {
    at: (i32, i32),
    goal: (i32, i32),
    threat: (i32, i32),
    threatened: bool,
    heading: usize,
}

/// Stands in for the shader: workgroups of 64 along x, buffers by binding.
pub(crate) fn shader(workgroups: [u32; 3], buffers: &mut BTreeMap<u32, Vec<u8>>) {
    let words = |bytes: &[u8]| -> Vec<u32> {
        let (words, []) = bytes.as_chunks() else { panic!("{} bytes", bytes.len()) };
        words.iter().map(|word| u32::from_le_bytes(*word)).collect()
    };
    let [grid, weights, agents] = [0, 1, 2].map(|binding| words(&buffers[&binding]));
    let mut steps = words(&buffers[&3]);
    assert_eq!((workgroups[1], workgroups[2]), (1, 1));
    for id in 0..workgroups[0] as usize * 64 {
        if id < steps.len() {
            steps[id] = main(&grid, &weights, &agents[id * 4..][..4]);
        }
    }
    *buffers.get_mut(&3).unwrap() = steps.iter().flat_map(|word| word.to_le_bytes()).collect();
}

fn main(grid: &[u32], weights: &[u32], agent: &[u32]) -> u32 {
    let flags = agent[3];
    let heading = if flags & 0xff == 0 { STAY } else { (flags & 0xff) as usize - 1 };
    let threatened = flags & 0x100 != 0;
    let mut walker = Walker { at: cell(agent[0]), goal: cell(agent[1]), threat: cell(agent[2]), threatened, heading };
    let mut taken = 0;
    for step in 0..4 {
        let mut direction = STAY;
        if walker.at != walker.goal && cost(grid, walker.goal) != 0 {
            direction = choose(grid, weights, &walker);
        }
        walker.at = plus(walker.at, OFFSETS[direction]);
        walker.heading = direction;
        taken |= (direction as u32) << (step * 8);
    }
    taken
}

fn choose(grid: &[u32], weights: &[u32], walker: &Walker) -> usize {
    let to_goal = minus(walker.goal, walker.at);
    let view = View { flip_x: to_goal.0 < 0, flip_y: to_goal.1 < 0, swapped: to_goal.1.abs() > to_goal.0.abs() };
    let inputs = observe(grid, walker, &view);
    let mut at = 4;
    let first = layer(weights, &mut at, &inputs, 64).map(|sum| activation(sum, weights[1]));
    let first = packed(first);
    let second = packed(layer(weights, &mut at, &first, 32).map(|sum| activation(sum, weights[2])));
    let mut best = None;
    for (o, sum) in layer(weights, &mut at, &second, 9).enumerate() {
        let offset = on_grid(&view, OFFSETS[o]);
        let direction = OFFSETS.iter().position(|known| *known == offset).unwrap();
        if (o == STAY || allowed(grid, walker.at, offset)) && best.is_none_or(|(_, most)| sum > most) {
            best = Some((direction, sum));
        }
    }
    best.unwrap().0
}

/// The sums of one layer; `at` is its first word and then that of the next.
fn layer<'a>(
    weights: &'a [u32],
    at: &mut usize,
    inputs: &'a [u32],
    outputs: usize,
) -> impl Iterator<Item = i32> + use<'a> {
    let rows = &weights[*at..][..outputs * inputs.len()];
    let biases = &weights[*at + rows.len()..][..outputs];
    *at += rows.len() + outputs;
    rows.chunks(inputs.len())
        .zip(biases)
        .map(move |(row, bias)| row.iter().zip(inputs).fold(*bias as i32, |sum, (w, x)| sum + dot4_i8_packed(*w, *x)))
}

fn dot4_i8_packed(a: u32, b: u32) -> i32 {
    (0..4).map(|i| i32::from((a >> (8 * i)) as u8 as i8) * i32::from((b >> (8 * i)) as u8 as i8)).sum()
}

fn activation(sum: i32, shift: u32) -> u32 {
    ((sum + (1 << (shift - 1))) >> shift).clamp(0, 127) as u32
}

fn packed(values: impl Iterator<Item = u32>) -> Vec<u32> {
    let values: Vec<u32> = values.collect();
    values.chunks(4).map(|four| four.iter().rev().fold(0, |word, value| word << 8 | value & 0xff)).collect()
}

fn observe(grid: &[u32], walker: &Walker, view: &View) -> Vec<u32> {
    let threat = seen(view, minus(walker.threat, walker.at));
    let mut inputs = Vec::new();
    for v in -6..=6 {
        for u in -6..=6 {
            if (u, v) == (0, 0) {
                continue;
            }
            let here = cost(grid, plus(walker.at, on_grid(view, (u, v)))) as i32;
            let mut value = 64;
            if here != 0 {
                let close = if walker.threatened { (5 - distance(minus(threat, (u, v)))).max(0) } else { 0 };
                value = 2 * (here - 1).min(15) - 16 * close;
            }
            inputs.push(value);
        }
    }
    let (u, v) = seen(view, minus(walker.goal, walker.at));
    inputs.extend([(8 * u).min(127), (8 * v).min(127), (2 * u).min(127), (2 * v).min(127)]);
    inputs.extend([64 * v / u.max(1), 8 * (8 - u).max(0)]);
    let (u, v) = threat;
    let cells = distance(threat);
    inputs.extend(match walker.threatened && cells <= 12 {
        true => [64, 8 * u, 8 * v, 8 * (13 - cells), 64 * u / cells.max(1), 64 * v / cells.max(1)],
        false => [0; 6],
    });
    let heading = seen(view, OFFSETS[walker.heading]);
    inputs.extend(OFFSETS[..STAY].iter().map(|known| if *known == heading { 64 } else { 0 }));
    inputs.extend([0; 4]);
    packed(inputs.into_iter().map(|input| input as u32))
}

fn cell(word: u32) -> (i32, i32) {
    ((word & 0xffff) as i32, (word >> 16) as i32)
}

fn cost(grid: &[u32], (x, y): (i32, i32)) -> u32 {
    let (width, height) = cell(grid[1]);
    if x < 0 || y < 0 || x >= width || y >= height {
        return 0;
    }
    let index = (y * width + x) as usize;
    grid[2 + index / 4] >> (index % 4 * 8) & 0xff
}

fn allowed(grid: &[u32], at: (i32, i32), (dx, dy): (i32, i32)) -> bool {
    [(dx, dy), (dx, 0), (0, dy)].into_iter().all(|by| cost(grid, plus(at, by)) != 0)
}

fn seen(view: &View, (dx, dy): (i32, i32)) -> (i32, i32) {
    let (u, v) = (if view.flip_x { -dx } else { dx }, if view.flip_y { -dy } else { dy });
    if view.swapped { (v, u) } else { (u, v) }
}

fn on_grid(view: &View, (u, v): (i32, i32)) -> (i32, i32) {
    let (dx, dy) = if view.swapped { (v, u) } else { (u, v) };
    (if view.flip_x { -dx } else { dx }, if view.flip_y { -dy } else { dy })
}

fn plus(a: (i32, i32), b: (i32, i32)) -> (i32, i32) {
    (a.0 + b.0, a.1 + b.1)
}

fn minus(a: (i32, i32), b: (i32, i32)) -> (i32, i32) {
    (a.0 - b.0, a.1 - b.1)
}

fn distance((u, v): (i32, i32)) -> i32 {
    u.abs().max(v.abs())
}
