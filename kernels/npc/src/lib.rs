//! Kernel `npc`: for each of a batch of agents, what to do next (utility scores) and the way there over a nav grid: by A*, or
//! by a trained policy that keeps away from the threat ([`policy`]).
//!
//! Integers only, so every machine computes the same. The nav grid is blob 0, uploaded once; a task carries the state of
//! the world (header) and of its agents. Agents are decided one by one and see only the world, never each other, so a
//! batch may be cut anywhere: the decisions of the parts are those of the whole. That is also why nothing here draws
//! from the task's seed, which differs between parts: what looks random is a hash of tick and agent.
//!
//! Byte layouts are in [`layout`] and [`grid`]; [`scenario()`] builds a town to try it on, [`episode`] measures ways of
//! walking.
#![forbid(unsafe_code)]

pub mod direction;
pub mod episode;
pub mod grid;
pub mod layout;
pub mod limits;
pub mod path;
pub mod policy;
pub mod scenario;
pub mod utility;

use p2c2r_guest::{Context, Failure, kernel};

pub use direction::Direction;
pub use episode::Episode;
pub use grid::{Cell, GridError, NavGrid};
pub use layout::{Agent, Batch, Decision, Decisions, Mover, World};
pub use path::{Route, RouteKind};
pub use policy::{Policy, Walker};
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
    match batch.world.mover {
        Mover::Search => Ok(search(ctx, &grid, &batch)),
        Mover::Policy => walk(ctx, &grid, &batch),
    }
}

/// Decides one agent, the way found by the search; also returns the nodes that expanded. The places must be on the grid
/// ([`Batch::check_places`]); one that is not is treated as a wall.
#[must_use]
pub fn decide(world: &World, grid: &NavGrid, agent: &Agent) -> (Decision, u32) {
    let errand = Errand::of(world, grid, agent);
    let route = path::route(grid, agent.at, errand.goal, world.max_nodes);
    (errand.decision(agent, route), route.nodes)
}

/// Decides one agent, the way found by the policy.
#[must_use]
pub fn decide_by_policy(policy: &Policy, world: &World, grid: &NavGrid, agent: &Agent) -> Decision {
    let errand = Errand::of(world, grid, agent);
    let walker = errand.walker(world, agent);
    errand.decision(agent, policy::route(grid, &walker, policy.walk(grid, walker)))
}

fn search(ctx: &mut Context, grid: &NavGrid, batch: &Batch) -> Decisions {
    let decided = batch.agents.iter().map(|agent| {
        let (decision, nodes) = decide(&batch.world, grid, agent);
        ctx.charge(u64::from(nodes));
        decision
    });
    Decisions(decided.collect())
}

fn walk(ctx: &mut Context, grid: &NavGrid, batch: &Batch) -> Result<Decisions, Failure> {
    ctx.charge(limits::POLICY_UNITS * batch.agents.len() as u64);
    let (world, policy) = (&batch.world, Policy::built_in());
    let Some(gpu) = ctx.gpu() else {
        let decided = batch.agents.iter().map(|agent| decide_by_policy(&policy, world, grid, agent));
        return Ok(Decisions(decided.collect()));
    };
    let errands: Vec<Errand> = batch.agents.iter().map(|agent| Errand::of(world, grid, agent)).collect();
    let walkers: Vec<Walker> = errands.iter().zip(&batch.agents).map(|(e, agent)| e.walker(world, agent)).collect();
    let steps = policy::gpu::walk(gpu, &policy, grid, &walkers)?;
    let routes = walkers.iter().zip(steps).map(|(walker, steps)| policy::route(grid, walker, steps));
    let decided = errands.iter().zip(&batch.agents).zip(routes).map(|((errand, agent), r)| errand.decision(agent, r));
    Ok(Decisions(decided.collect()))
}

/// What an agent is up to.
struct Errand {
    action: Action,
    utility: u16,
    goal: Cell,
}

impl Errand {
    fn of(world: &World, grid: &NavGrid, agent: &Agent) -> Self {
        let (action, utility) = utility::choose(world, agent);
        Self { action, utility, goal: utility::goal(action, world, grid, agent) }
    }

    /// For the policy: who fights does not keep away.
    fn walker(&self, world: &World, agent: &Agent) -> Walker {
        let threat = (world.threat_strength > 0 && self.action != Action::Fight).then_some(world.threat);
        Walker { at: agent.at, goal: self.goal, threat, heading: agent.heading }
    }

    fn decision(&self, agent: &Agent, route: Route) -> Decision {
        let Self { action, utility, .. } = *self;
        Decision { id: agent.id, action, route: route.kind, utility, cost: route.cost, waypoints: route.waypoints }
    }
}
