//! The shaders' arithmetic in Rust, cell by cell: what the tests hold the shaders against, and what draws the example
//! without a GPU. The kernel itself does not run it: a peer without a GPU runs the same shaders on the host's reference.

use p2c2r_guest::{fixed, wide};

use crate::limits::DEPTH;
use crate::task::{Params, Spring, Task, Terrain, Water};

/// The other end of each pipe: what runs west comes to a cell whose east it left.
const BACK: [usize; 4] = [1, 0, 3, 2];

/// All steps of a task.
#[must_use]
pub fn simulate(terrain: &Terrain, task: &Task) -> Water {
    let params = task.params(terrain);
    let mut water = task.water.clone();
    for _ in 0..task.steps {
        water.flows = pipes(&params, &terrain.ground, &water.depths, &water.flows);
        depths(&params, &task.springs, &mut water.depths, &water.flows);
    }
    water
}

/// The shader `pipes`.
#[must_use]
pub fn pipes(params: &Params, ground: &[i32], depths: &[u32], flows: &[[u32; 4]]) -> Vec<[u32; 4]> {
    (0..flows.len()).map(|at| outflow(params, ground, depths, flows, at)).collect()
}

/// The shader `depths`.
pub fn depths(params: &Params, springs: &[Spring], depths: &mut [u32], flows: &[[u32; 4]]) {
    for (at, before) in depths.iter_mut().enumerate() {
        *before = depth(params, springs, *before, flows, at);
    }
}

fn outflow(params: &Params, ground: &[i32], depths: &[u32], flows: &[[u32; 4]], at: usize) -> [u32; 4] {
    let pipe = |there: usize, gave: u32, got: u32| {
        let fall = ground[at] + depths[at] as i32 - ground[there] - depths[there] as i32;
        let speed = fixed::mul(gave as i32 - got as i32, params.keep) + fixed::mul(fall, params.pull);
        let room = (DEPTH - depths[there]) / 4;
        (speed.max(0) as u32).min(depths[at]).min(room)
    };
    let mut flow = [0; 4];
    for (to, neighbour) in neighbours(params, at).into_iter().enumerate() {
        if let Some(there) = neighbour {
            flow[to] = pipe(there, flows[at][to], flows[there][BACK[to]]);
        }
    }
    let sum: u32 = flow.iter().sum();
    if sum > depths[at] { flow.map(|part| wide::mul_div(part, depths[at], sum)) } else { flow }
}

fn depth(params: &Params, springs: &[Spring], before: u32, flows: &[[u32; 4]], at: usize) -> u32 {
    let mut depth = before - flows[at].iter().sum::<u32>();
    for (neighbour, from) in neighbours(params, at).into_iter().zip(BACK) {
        depth += neighbour.map_or(0, |there| flows[there][from]);
    }
    depth = (depth + params.rain).min(DEPTH);
    for spring in springs.iter().filter(|spring| spring.cell as usize == at) {
        depth = (depth as i32 + spring.flow).clamp(0, DEPTH as i32) as u32;
    }
    depth
}

/// West, east, north, south, where there is one.
fn neighbours(params: &Params, at: usize) -> [Option<usize>; 4] {
    let width = params.width as usize;
    let (x, y) = (at % width, at / width);
    [
        (x > 0).then(|| at - 1),
        (x + 1 < width).then(|| at + 1),
        (y > 0).then(|| at - width),
        (y + 1 < params.height as usize).then(|| at + width),
    ]
}
