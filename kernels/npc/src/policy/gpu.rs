//! The policy on a GPU: one invocation an agent, all its steps in one dispatch.

use p2c2r_guest::{Failure, Gpu};

use super::{Policy, Steps, Walker};
use crate::direction::Direction;
use crate::grid::{Cell, NavGrid};

/// Invocations of a workgroup of `shaders/policy.wgsl`.
pub(crate) const GROUP: usize = 64;

/// Words of a walker: place, goal, threat, then its last step (number + 1, 0 for none) with [`THREATENED`] added.
const WALKER_WORDS: usize = 4;
const THREATENED: u32 = 1 << 8;

/// [`Policy::walk`] of all walkers.
pub(crate) fn walk(gpu: Gpu, policy: &Policy, grid: &NavGrid, walkers: &[Walker]) -> Result<Vec<Steps>, Failure> {
    if walkers.is_empty() {
        return Ok(Vec::new());
    }
    let records: Vec<[u32; WALKER_WORDS]> = walkers.iter().map(record).collect();
    let cells = gpu.buffer_from(&words(grid.to_bytes()))?;
    let weights = gpu.buffer_from(&policy.network.to_words())?;
    let agents = gpu.buffer_from(records.as_flattened())?;
    let steps = gpu.buffer::<u32>(walkers.len())?;
    let groups = walkers.len().div_ceil(GROUP) as u32;
    gpu.dispatch("policy", [groups, 1, 1], &[cells.at(0), weights.at(1), agents.at(2), steps.at(3)])?;
    Ok(steps.to_vec()?.into_iter().map(steps_of).collect())
}

fn record(walker: &Walker) -> [u32; WALKER_WORDS] {
    let word = |cell: Cell| u32::from(cell.x) | u32::from(cell.y) << 16;
    let heading = walker.heading.map_or(0, |direction| direction as u32 + 1);
    let threatened = if walker.threat.is_some() { THREATENED } else { 0 };
    [word(walker.at), word(walker.goal), word(walker.threat.unwrap_or_default()), heading | threatened]
}

/// A byte a step, the first one lowest: its direction's number, or another number to stay.
fn steps_of(word: u32) -> Steps {
    word.to_le_bytes().map(|number| Direction::ALL.get(usize::from(number)).copied())
}

/// The nav grid's layout as words, the end filled with zeros.
fn words(mut bytes: Vec<u8>) -> Vec<u32> {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.as_chunks().0.iter().map(|four| u32::from_le_bytes(*four)).collect()
}
