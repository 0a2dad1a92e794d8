//! A town to try the kernel on: streets, buildings with a door, trees, mud, and agents with lives.

use p2c2r_guest::rand_core::{Rng as _, SeedableRng};
use p2c2r_guest::{Encode, Failure, Rng};

use crate::direction::Direction;
use crate::grid::{Cell, NavGrid};
use crate::layout::{Agent, Batch, Decision, Mover, World};
use crate::limits::AGENTS;
use crate::path::RouteKind;
use crate::utility::Action;

/// Cells along a side of the town.
pub const TOWN_SIDE: u16 = 192;

/// Cells from one building to the next: a block and its streets.
const BLOCK: u16 = 12;

/// A town and its people, the same for the same seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// The map; blob 0 of every task.
    pub grid: NavGrid,
    /// World and agents; the input of the next task.
    pub batch: Batch,
}

/// Builds a town with `agents` agents (at most [`AGENTS`]).
#[must_use]
pub fn scenario(seed: u64, agents: usize) -> Scenario {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut rng = Rng::from_seed(key);
    let grid = town(&mut rng);
    let world = World {
        tick: 0,
        threat: open_cell(&grid, &mut rng),
        threat_strength: 255,
        food: open_cell(&grid, &mut rng),
        shelter: open_cell(&grid, &mut rng),
        max_nodes: 1024,
        mover: Mover::Search,
    };
    let agents = (0..agents.min(AGENTS) as u32)
        .map(|id| {
            let [at, home, post] = [(); 3].map(|()| open_cell(&grid, &mut rng));
            let [hunger, fatigue, health, courage, duty, curiosity, ..] = rng.next_u64().to_le_bytes();
            let health = health | 128;
            Agent { id, at, home, post, hunger, fatigue, health, courage, duty, curiosity, heading: None }
        })
        .collect();
    Scenario { grid, batch: Batch { world, agents } }
}

impl Scenario {
    /// The input of the next task.
    ///
    /// # Errors
    /// None; the signature is that of [`Encode`].
    pub fn input(&self) -> Result<Vec<u8>, Failure> {
        (&self.batch).encode()
    }

    /// Blob 0.
    #[must_use]
    pub fn blob(&self) -> Vec<u8> {
        self.grid.to_bytes()
    }

    /// Lets the decisions happen and time pass: agents walk to their last waypoint, needs grow, arrival satisfies them. Decisions of
    /// unknown agents and waypoints in walls are ignored, so a wrong result cannot break the next task.
    pub fn apply(&mut self, decisions: &[Decision]) {
        self.batch.world.tick = self.batch.world.tick.wrapping_add(1);
        for decision in decisions {
            let index = decision.id as usize;
            let Some(agent) = self.batch.agents.get_mut(index).filter(|agent| agent.id == decision.id) else {
                continue;
            };
            agent.hunger = agent.hunger.saturating_add(2);
            agent.fatigue = agent.fatigue.saturating_add(1);
            if decision.route == RouteKind::There {
                match decision.action {
                    Action::Eat => agent.hunger = 0,
                    Action::Rest => agent.fatigue = 0,
                    Action::Fight => agent.health = agent.health.saturating_sub(16),
                    Action::Work => agent.fatigue = agent.fatigue.saturating_add(2),
                    Action::Flee | Action::Wander => {}
                }
            }
            let [.., before, end] = decision.waypoints;
            if self.grid.is_open(end) {
                agent.at = end;
                agent.heading = Direction::between(before, end);
            }
        }
    }
}

/// Blocks of 12 x 12 cells: streets of 3 around a building with a door, or a park with trees and mud.
pub(crate) fn town(rng: &mut Rng) -> NavGrid {
    let side = usize::from(TOWN_SIDE);
    let mut costs = vec![1u8; side * side];
    let mut set = |x: u16, y: u16, cost: u8| {
        if let Some(cell) = costs.get_mut(usize::from(y) * side + usize::from(x)) {
            *cell = cost;
        }
    };
    for (bx, by) in (0..TOWN_SIDE / BLOCK).flat_map(|y| (0..TOWN_SIDE / BLOCK).map(move |x| (x * BLOCK, y * BLOCK))) {
        let (low, high) = (2, BLOCK - 2);
        if rng.next_u32().is_multiple_of(4) {
            for (x, y) in (low..high).flat_map(|y| (low..high).map(move |x| (x, y))) {
                match rng.next_u32() % 8 {
                    0 => set(bx + x, by + y, 0),
                    1..=3 => set(bx + x, by + y, 4),
                    _ => {}
                }
            }
        } else {
            for i in low..high {
                for (x, y) in [(i, low), (i, high - 1), (low, i), (high - 1, i)] {
                    set(bx + x, by + y, 0);
                }
            }
            let along = low + 1 + (rng.next_u32() % u32::from(high - low - 2)) as u16;
            let (x, y) =
                [(along, low), (along, high - 1), (low, along), (high - 1, along)][rng.next_u32() as usize % 4];
            set(bx + x, by + y, 2);
        }
    }
    NavGrid::new(TOWN_SIDE, TOWN_SIDE, costs).unwrap_or_else(|e| unreachable!("the side is in bounds: {e}"))
}

/// A random open cell. The corner of the town is street, so a search always ends.
pub(crate) fn open_cell(grid: &NavGrid, rng: &mut Rng) -> Cell {
    const TRIES: usize = 1000;
    let side = u32::from(TOWN_SIDE);
    (0..TRIES)
        .map(|_| Cell::new((rng.next_u32() % side) as u16, (rng.next_u32() % side) as u16))
        .find(|&cell| grid.is_open(cell))
        .unwrap_or_default()
}
