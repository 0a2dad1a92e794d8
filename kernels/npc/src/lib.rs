//! Kernel `npc`: for each of a batch of agents, what to do next (utility scores) and the way there (A* over a nav grid).
//!
//! Integers only, so every machine computes the same. The nav grid is blob 0, uploaded once; a task carries the state of
//! the world (header) and of its agents. Agents are decided one by one and see only the world, never each other, so a
//! batch may be cut anywhere: the decisions of the parts are those of the whole. That is also why nothing here draws
//! from the task's seed, which differs between parts: what looks random is a hash of tick and agent.
//!
//! Byte layouts are in [`layout`] and [`grid`]; [`scenario()`] builds a town to try it on.
#![forbid(unsafe_code)]

pub mod direction;
pub mod grid;
pub mod layout;
pub mod limits;
pub mod path;
pub mod scenario;
pub mod utility;

use p2c2r_guest::{Context, Failure, kernel};

pub use direction::Direction;
pub use grid::{Cell, GridError, NavGrid};
pub use layout::{Agent, Batch, Decision, Decisions, World};
pub use path::{Route, RouteKind};
pub use scenario::{Scenario, scenario};
pub use utility::Action;

/// Failure codes of this kernel; messages say which agent or which byte.
pub mod code {
    /// Blob 0 is no nav grid.
    pub const GRID: i32 = 1;
    /// A place of the world or of an agent is outside the grid, or an agent stands in a wall.
    pub const PLACE: i32 = 2;
}

/// The kernel: input [`Batch`], blob 0 a [`NavGrid`], output [`Decisions`] in the order of the agents.
///
/// # Errors
/// A failure for a grid or place that makes no sense; nothing is decided then.
#[kernel]
pub fn npc(ctx: &mut Context, batch: Batch) -> Result<Decisions, Failure> {
    let blob = ctx.blob(0)?.to_vec(grid::max_bytes())?;
    let grid = NavGrid::parse(blob).map_err(|e| Failure::new(code::GRID, e))?;
    batch.check_places(&grid).map_err(|e| Failure::new(code::PLACE, e))?;
    ctx.charge(limits::AGENT_UNITS * batch.agents.len() as u64);
    let mut decisions = Vec::with_capacity(batch.agents.len());
    for agent in &batch.agents {
        let (decision, nodes) = decide(&batch.world, &grid, agent);
        ctx.charge(u64::from(nodes));
        decisions.push(decision);
    }
    Ok(Decisions(decisions))
}

/// Decides one agent; also returns the nodes its search expanded. The places must be on the grid
/// ([`Batch::check_places`]); one that is not is treated as a wall.
#[must_use]
pub fn decide(world: &World, grid: &NavGrid, agent: &Agent) -> (Decision, u32) {
    let (action, utility) = utility::choose(world, agent);
    let goal = utility::goal(action, world, grid, agent);
    let route = path::route(grid, agent.at, goal, world.max_nodes);
    let decision =
        Decision { id: agent.id, action, route: route.kind, utility, cost: route.cost, waypoints: route.waypoints };
    (decision, route.nodes)
}
