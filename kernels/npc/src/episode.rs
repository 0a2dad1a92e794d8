//! A chase, to measure ways of walking by: an agent of a town wants somewhere, and a hunter wants the agent.
//!
//! The agent takes a step, then the hunter takes one along its shortest way (the kernel's own search), resting every third
//! time: it is slower, but it has to be walked around. Whoever is within a cell of the hunter is caught.

use p2c2r_guest::Rng;
use p2c2r_guest::rand_core::{Rng as _, SeedableRng};

use crate::direction::Direction;
use crate::grid::{Cell, NavGrid};
use crate::limits::NODES;
use crate::path::{self, RouteKind, WAYPOINTS};
use crate::policy::{Policy, Walker};
use crate::scenario::{open_cell, town};

/// Cells between start and goal.
const DISTANCE: core::ops::RangeInclusive<u16> = 12..=40;
/// The hunter starts at least this far from the agent, near the middle of its way.
const HEAD_START: u16 = 6;
/// How far from the middle of the way the hunter starts, along each axis.
const AMBUSH: u32 = 4;
/// Nodes of the hunter's search.
const HUNTER_NODES: u32 = 256;
/// At this distance [`dodge`] stops following its way.
const DODGE: u16 = 5;

/// A town, who stands where, and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    /// The town.
    pub grid: NavGrid,
    /// Where the agent starts.
    pub start: Cell,
    /// Where it wants to be.
    pub goal: Cell,
    /// Where the hunter starts, if there is one.
    pub hunter: Option<Cell>,
    /// Steps of the cheapest way.
    pub shortest: usize,
}

/// How an episode ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// At the goal.
    Reached,
    /// By the hunter.
    Caught,
    /// Neither, in three times the steps of the cheapest way and 32 more.
    Late,
}

/// What happened, and where everybody was at every step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trail {
    /// How it ended.
    pub end: End,
    /// The agent's cells, its start first.
    pub agent: Vec<Cell>,
    /// The hunter's, as many.
    pub hunter: Vec<Cell>,
}

impl Episode {
    /// The episode of a seed, the same everywhere. Without `hunted` it is the same town and way, and nobody else.
    #[must_use]
    pub fn new(seed: u64, hunted: bool) -> Self {
        let mut key = *b"an agent, a goal and a hunter...";
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut rng = Rng::from_seed(key);
        let grid = town(&mut rng);
        loop {
            let (start, goal) = (open_cell(&grid, &mut rng), open_cell(&grid, &mut rng));
            let Some(way) = DISTANCE.contains(&start.distance(goal)).then(|| cheapest(&grid, start, goal)).flatten()
            else {
                continue;
            };
            let middle = way[way.len() / 2];
            let mut near = |at: u16| (u32::from(at) + rng.next_u32() % (2 * AMBUSH + 1)).saturating_sub(AMBUSH) as u16;
            let hunter = Cell::new(near(middle.x), near(middle.y));
            if grid.is_open(hunter) && hunter.distance(start) >= HEAD_START {
                let hunter = hunted.then_some(hunter);
                return Self { grid, start, goal, hunter, shortest: way.len() };
            }
        }
    }

    /// Lets an agent walk that takes the step `mover` says, `None` to stay; steps that the grid forbids stay too.
    pub fn play(&self, mut mover: impl FnMut(&NavGrid, &Walker) -> Option<Direction>) -> Trail {
        let mut walker = Walker { at: self.start, goal: self.goal, threat: self.hunter, heading: None };
        let mut trail = Trail { end: End::Late, agent: vec![self.start], hunter: self.hunter.into_iter().collect() };
        for turn in 0..3 * self.shortest + 32 {
            walker.heading = mover(&self.grid, &walker);
            let step = walker.heading.and_then(|direction| self.grid.step(walker.at, direction));
            walker.at = step.unwrap_or(walker.at);
            trail.agent.push(walker.at);
            if let Some(hunter) = &mut walker.threat {
                if turn % 3 != 2 && hunter.distance(walker.at) > 1 {
                    *hunter = path::route(&self.grid, *hunter, walker.at, HUNTER_NODES).waypoints[0];
                }
                trail.hunter.push(*hunter);
                if hunter.distance(walker.at) <= 1 {
                    trail.end = End::Caught;
                    break;
                }
            }
            if walker.at == self.goal {
                trail.end = End::Reached;
                break;
            }
        }
        trail
    }
}

/// Takes the steps of a policy that looks again after each.
pub fn learned(policy: &Policy) -> impl FnMut(&NavGrid, &Walker) -> Option<Direction> {
    |grid, walker| policy.step(grid, walker)
}

/// Takes the four steps of a task before it asks again.
pub fn learned_by_task(policy: &Policy) -> impl FnMut(&NavGrid, &Walker) -> Option<Direction> {
    let mut ahead = Vec::new();
    move |grid, walker| {
        if ahead.is_empty() {
            ahead = policy.walk(grid, *walker).into_iter().rev().collect();
        }
        ahead.pop().flatten()
    }
}

/// Follows the kernel's search and minds nobody.
pub fn search() -> impl FnMut(&NavGrid, &Walker) -> Option<Direction> {
    let mut ahead: Vec<Cell> = Vec::with_capacity(WAYPOINTS);
    move |grid, walker| {
        if ahead.is_empty() {
            ahead = path::route(grid, walker.at, walker.goal, NODES).waypoints.into_iter().rev().collect();
        }
        Direction::between(walker.at, ahead.pop()?)
    }
}

/// Follows the kernel's search, but with the hunter close takes the step that gets it farthest away, of those the one
/// nearest to the goal: what one writes by hand.
pub fn dodge() -> impl FnMut(&NavGrid, &Walker) -> Option<Direction> {
    let mut follow = search();
    move |grid, walker| {
        let Some(threat) = walker.threat.filter(|threat| threat.distance(walker.at) <= DODGE) else {
            return follow(grid, walker);
        };
        // The way planned before leads from a cell that is left behind now.
        follow = search();
        moves(grid, walker).max_by_key(|(_, cell)| (threat.distance(*cell), u16::MAX - cell.distance(walker.goal)))?.0
    }
}

/// Takes the step that ends nearest to the goal.
pub fn greedy() -> impl FnMut(&NavGrid, &Walker) -> Option<Direction> {
    |grid, walker| {
        let squared = |cell: Cell| {
            let (dx, dy) = cell.offset_to(walker.goal);
            dx * dx + dy * dy
        };
        moves(grid, walker).min_by_key(|(_, cell)| squared(*cell))?.0
    }
}

/// Takes any step.
pub fn random(seed: u64) -> impl FnMut(&NavGrid, &Walker) -> Option<Direction> {
    let mut rng = Rng::seed_from_u64(seed);
    move |grid, walker| {
        let moves: Vec<_> = moves(grid, walker).collect();
        moves[rng.next_u32() as usize % moves.len()].0
    }
}

/// What the grid allows, staying last.
fn moves(grid: &NavGrid, walker: &Walker) -> impl Iterator<Item = (Option<Direction>, Cell)> {
    let steps = Direction::ALL.into_iter().filter_map(|d| Some((Some(d), grid.step(walker.at, d)?)));
    steps.chain([(None, walker.at)])
}

/// The cells of the cheapest way, if the search finds one within its bound.
fn cheapest(grid: &NavGrid, from: Cell, to: Cell) -> Option<Vec<Cell>> {
    let mut way = vec![from];
    let mut at = from;
    while at != to {
        let route = path::route(grid, at, to, NODES);
        if route.kind != RouteKind::Whole {
            return None;
        }
        let cells = route.waypoints.into_iter().take_while(|cell| *cell != to);
        way.extend(cells);
        at = route.waypoints[WAYPOINTS - 1];
    }
    Some(way)
}
