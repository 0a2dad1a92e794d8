//! Who the network learns from: a search over the whole town that knows every way to the goal, and fears the hunter.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use kernel_npc::policy::network::MOVES;
use kernel_npc::policy::{Situation, Walker};
use kernel_npc::{Cell, Direction, Episode, NavGrid};

use crate::net::exp;

/// What a cell costs on top, in tenths of a step, by its distance from the hunter.
const FEAR: [u32; 9] = [4000, 4000, 1500, 500, 200, 90, 40, 15, 5];
/// Cells around the agent in which the fear is counted.
const RADIUS: u16 = 14;
/// A move that costs this many tenths more is liked e times less.
const INDIFFERENCE: f32 = 3.0;

pub(crate) struct Expert<'a> {
    grid: &'a NavGrid,
    /// Cost of the cheapest way to the goal from each cell.
    to_goal: Vec<u32>,
}

impl<'a> Expert<'a> {
    pub(crate) fn new(episode: &'a Episode) -> Self {
        let cells = usize::from(episode.grid.width()) * usize::from(episode.grid.height());
        let mut expert = Self { grid: &episode.grid, to_goal: Vec::new() };
        expert.to_goal = expert.spread(vec![u32::MAX; cells], [(0, episode.goal)], |_| true, |_| 0);
        expert
    }

    /// How much each of a situation's moves is liked, below 0 where the grid forbids it.
    pub(crate) fn likes(&self, walker: &Walker, situation: &Situation) -> [f32; MOVES] {
        let costs = self.costs(walker, situation);
        let best = costs.iter().flatten().min().copied().unwrap_or(0);
        let likes = costs.map(|cost| cost.map_or(-1.0, |cost| exp(-((cost - best) as f32) / INDIFFERENCE)));
        let sum: f32 = likes.iter().filter(|like| **like > 0.0).sum();
        likes.map(|like| if like < 0.0 { like } else { like / sum })
    }

    /// The move it would take.
    pub(crate) fn step(&self, walker: &Walker) -> Option<Direction> {
        let situation = Situation::of(self.grid, walker);
        let costs = self.costs(walker, &situation);
        let moves = costs.into_iter().zip(situation.moves).filter_map(|(cost, step)| Some((cost?, step?)));
        moves.reduce(|best, next| if next.0 < best.0 { next } else { best }).and_then(|(_, step)| step)
    }

    fn costs(&self, walker: &Walker, situation: &Situation) -> [Option<u32>; MOVES] {
        let fear = |cell: Cell| {
            walker.threat.and_then(|threat| FEAR.get(usize::from(threat.distance(cell)))).copied().unwrap_or(0)
        };
        let near = walker.threat.is_some_and(|threat| threat.distance(walker.at) <= RADIUS);
        let local = near.then(|| self.around(walker, fear));
        let to_goal = local.as_ref().unwrap_or(&self.to_goal);
        situation.moves.map(|step| {
            let (next, cost) = match step? {
                Some(direction) => {
                    let next = self.grid.step(walker.at, direction)?;
                    (next, self.grid.step_cost(next, direction))
                }
                None => (walker.at, 10),
            };
            Some(to_goal[self.index(next)].saturating_add(cost + fear(next)))
        })
    }

    /// Costs of the cells around the agent, with fear; beyond them nobody is afraid.
    fn around(&self, walker: &Walker, fear: impl Fn(Cell) -> u32) -> Vec<u32> {
        let inside = |cell: Cell| cell.distance(walker.at) <= RADIUS;
        let (w, h) = (self.grid.width(), self.grid.height());
        let rows = walker.at.y.saturating_sub(RADIUS)..=(walker.at.y + RADIUS).min(h - 1);
        let columns = walker.at.x.saturating_sub(RADIUS)..=(walker.at.x + RADIUS).min(w - 1);
        let known = rows.flat_map(|y| columns.clone().map(move |x| Cell::new(x, y)));
        let known = known.filter(|&cell| cell.distance(walker.at) == RADIUS || cell == walker.goal);
        let seeds: Vec<_> = known.map(|cell| (self.to_goal[self.index(cell)], cell)).collect();
        self.spread(vec![u32::MAX; self.to_goal.len()], seeds, inside, fear)
    }

    /// Dijkstra from cells of known cost, backwards: what a step costs is the cost of the cell entered.
    fn spread(
        &self,
        mut costs: Vec<u32>,
        seeds: impl IntoIterator<Item = (u32, Cell)>,
        inside: impl Fn(Cell) -> bool,
        fear: impl Fn(Cell) -> u32,
    ) -> Vec<u32> {
        let mut open = BinaryHeap::new();
        for (cost, cell) in seeds.into_iter().filter(|&(cost, cell)| cost < u32::MAX && self.grid.is_open(cell)) {
            costs[self.index(cell)] = cost;
            open.push(Reverse((cost, cell)));
        }
        while let Some(Reverse((cost, cell))) = open.pop() {
            if cost > costs[self.index(cell)] {
                continue;
            }
            for direction in Direction::ALL {
                let Some(before) = self.grid.step(cell, direction).filter(|&before| inside(before)) else { continue };
                let cost = cost + self.grid.step_cost(cell, direction) + fear(cell);
                let known = &mut costs[usize::from(before.y) * usize::from(self.grid.width()) + usize::from(before.x)];
                if cost < *known {
                    *known = cost;
                    open.push(Reverse((cost, before)));
                }
            }
        }
        costs
    }

    fn index(&self, cell: Cell) -> usize {
        usize::from(cell.y) * usize::from(self.grid.width()) + usize::from(cell.x)
    }
}
