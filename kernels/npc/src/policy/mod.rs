//! The other way to a goal: a small neural network in integers that looks around and takes a step, four times a task.
//!
//! **What for.** A* searches up to thousands of nodes for every agent and every task, and walks into a threat that stands on
//! the cheapest way. The network sees 13 x 13 cells, where the goal lies and where the threat is, and answers at a fixed
//! price; it was trained to reach the goal without being caught. It has no map and no memory but its last step, so
//! it can lose itself where a search cannot.
//!
//! **How it decides.** `view` turns grid, goal, threat and last step into 192 numbers. [`network`] makes nine scores of
//! them. Of the moves that the grid allows, the highest score wins, of equal ones the first: an agent never walks into a wall
//! whatever the weights are.
//!
//! **Why integers.** The same bits on every machine, so the task is of class `exact`. [`Policy::walk`] runs in Wasm and in
//! native code; `shaders/policy.wgsl` is the same for a GPU, one invocation an agent, and reads nothing that another one
//! writes. Both read the same weights file, `weights/policy.bin`, which `examples/train_policy` makes.

pub(crate) mod gpu;
pub mod network;
mod view;

use crate::direction::Direction;
use crate::grid::NavGrid;
use crate::path::{Route, RouteKind, WAYPOINTS};

use network::{INPUTS, MOVES, STAY};
pub use network::{Network, NetworkError};
pub use view::Walker;

/// The steps of one task; `None` stays.
pub type Steps = [Option<Direction>; WAYPOINTS];

/// A trained network that walks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    network: Network,
}

/// A situation as the network is told, for training.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation {
    /// The network's inputs.
    pub inputs: [i8; INPUTS],
    /// Of each score: the move on the grid it stands for, `None` if the grid forbids it, `Some(None)` for staying.
    pub moves: [Option<Option<Direction>>; MOVES],
}

impl Policy {
    /// A policy of one's own.
    #[must_use]
    pub const fn new(network: Network) -> Self {
        Self { network }
    }

    /// The policy this kernel was built with.
    #[must_use]
    pub fn built_in() -> Self {
        let network = Network::parse(include_bytes!("../../weights/policy.bin"));
        Self::new(network.unwrap_or_else(|e| unreachable!("a test parses the file: {e}")))
    }

    /// The next step; `None` stays.
    #[must_use]
    pub fn step(&self, grid: &NavGrid, walker: &Walker) -> Option<Direction> {
        let situation = Situation::of(grid, walker);
        let scores = self.network.scores(&situation.inputs);
        let allowed = scores.into_iter().zip(situation.moves).filter_map(|(score, step)| Some((score, step?)));
        allowed.reduce(|best, next| if next.0 > best.0 { next } else { best }).and_then(|(_, step)| step)
    }

    /// The steps of one task: the world stands still while the agent walks, it stops at its goal, and it does not set out for a
    /// wall.
    #[must_use]
    pub fn walk(&self, grid: &NavGrid, mut walker: Walker) -> Steps {
        let mut steps = [None; WAYPOINTS];
        for slot in &mut steps {
            if walker.at == walker.goal || !grid.is_open(walker.goal) {
                break;
            }
            let step = self.step(grid, &walker);
            walker.at = step.and_then(|direction| grid.step(walker.at, direction)).unwrap_or(walker.at);
            walker.heading = step;
            *slot = step;
        }
        steps
    }
}

impl Situation {
    /// What the network is told about a walker.
    #[must_use]
    pub fn of(grid: &NavGrid, walker: &Walker) -> Self {
        let (view, inputs) = view::observe(grid, walker);
        let mut moves = [None; MOVES];
        for (step, direction) in moves.iter_mut().zip(Direction::ALL) {
            let direction = view.direction_on_grid(direction);
            *step = grid.step(walker.at, direction).map(|_| Some(direction));
        }
        moves[STAY] = Some(None);
        Self { inputs, moves }
    }
}

/// The way that steps lead; one that the grid forbids stays. [`Route::nodes`] is 0.
pub(crate) fn route(grid: &NavGrid, walker: &Walker, steps: Steps) -> Route {
    let mut at = walker.at;
    let mut cost = 0;
    let waypoints = steps.map(|step| {
        if let Some((direction, next)) = step.and_then(|direction| Some((direction, grid.step(at, direction)?))) {
            cost += grid.step_cost(next, direction);
            at = next;
        }
        at
    });
    let kind = match () {
        () if walker.at == walker.goal => RouteKind::There,
        () if !grid.is_open(walker.goal) => RouteKind::Blocked,
        () if at == walker.goal => RouteKind::Whole,
        () => RouteKind::Partial,
    };
    Route { kind, cost, waypoints, nodes: 0 }
}
