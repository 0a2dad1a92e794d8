//! The way to a goal: A* (`pathfinding` crate) over eight neighbours, bounded in nodes.
//!
//! A straight step costs 10 times the cost of the cell entered, a diagonal one 14 times (10 times the root of 2, rounded
//! down), and a diagonal step needs both cells it passes between. Of two ways of equal cost the one with the smaller sum of
//! direction numbers wins; ties beyond that fall by the order of insertion, which is the same everywhere because
//! nothing in the search is hashed with a random key.

use pathfinding::directed::astar::astar;

use crate::direction::Direction;
use crate::grid::{Cell, NavGrid};
use crate::limits::NODES;

/// Waypoints reported: the next cells, not the whole way; the next tick asks again.
pub const WAYPOINTS: usize = 4;

/// Bits under the cost that hold the sum of direction numbers: 2^20 cells of at most 7.
const TIE_BITS: u32 = 23;

/// What the search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Whether it leads to the goal.
    pub kind: RouteKind,
    /// Its cost: tenths of a cell of cost 1.
    pub cost: u32,
    /// The next cells; past the end of the way, its last cell again.
    pub waypoints: [Cell; WAYPOINTS],
    /// Nodes expanded.
    pub nodes: u32,
}

/// Whether a route leads to its goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RouteKind {
    /// The agent is there.
    There = 0,
    /// To the goal.
    Whole = 1,
    /// Toward the goal: the bound on nodes ended the search at the most promising cell, or the policy is not there yet.
    Partial = 2,
    /// There is no way; the agent stays.
    Blocked = 3,
}

/// Searches from `from` to `to`, expanding at most `max_nodes` nodes (and never more than [`NODES`]).
#[must_use]
pub fn route(grid: &NavGrid, from: Cell, to: Cell, max_nodes: u32) -> Route {
    let stay = |kind, nodes| Route { kind, cost: 0, waypoints: [from; WAYPOINTS], nodes };
    if from == to {
        return stay(RouteKind::There, 0);
    }
    if !grid.is_open(from) || !grid.is_open(to) {
        return stay(RouteKind::Blocked, 0);
    }
    let max_nodes = max_nodes.min(NODES);
    let nodes = core::cell::Cell::new(0);
    let found = astar(
        &from,
        |&cell| {
            nodes.set(nodes.get() + 1);
            neighbours(grid, cell)
        },
        |&cell| heuristic(cell, to),
        // Past the bound the cell at hand ends the search: of all seen it promises the cheapest way.
        |&cell| cell == to || nodes.get() >= max_nodes,
    );
    let Some((way, cost)) = found else { return stay(RouteKind::Blocked, nodes.get()) };
    let end = way.last().copied().unwrap_or(from);
    let mut waypoints = [end; WAYPOINTS];
    for (waypoint, cell) in waypoints.iter_mut().zip(way.iter().skip(1)) {
        *waypoint = *cell;
    }
    let kind = if end == to { RouteKind::Whole } else { RouteKind::Partial };
    // At most 2^20 cells of cost 14 * 255: below 2^32.
    Route { kind, cost: (cost >> TIE_BITS) as u32, waypoints, nodes: nodes.get() }
}

/// Cells one step away and what the step costs, cost above [`TIE_BITS`], direction number below.
fn neighbours(grid: &NavGrid, cell: Cell) -> impl Iterator<Item = (Cell, u64)> + use<'_> {
    Direction::ALL.into_iter().filter_map(move |direction| {
        let next = grid.step(cell, direction)?;
        Some((next, (u64::from(grid.step_cost(next, direction)) << TIE_BITS) + direction as u64))
    })
}

/// The cost of the way over open cells of cost 1: never more than the true one.
fn heuristic(from: Cell, to: Cell) -> u64 {
    let (dx, dy) = (u64::from(from.x.abs_diff(to.x)), u64::from(from.y.abs_diff(to.y)));
    (10 * dx.max(dy) + 4 * dx.min(dy)) << TIE_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Digits are costs, `#` walls, `A` the start, `B` the goal, both of cost 1.
    fn drawn(rows: &[&str]) -> (NavGrid, Cell, Cell) {
        let (mut a, mut b) = (Cell::default(), Cell::default());
        let mut costs = Vec::new();
        for (y, row) in rows.iter().enumerate() {
            for (x, c) in row.chars().enumerate() {
                let here = Cell::new(x as u16, y as u16);
                match c {
                    'A' => a = here,
                    'B' => b = here,
                    _ => {}
                }
                costs.push(match c {
                    '#' => 0,
                    c => c.to_digit(10).unwrap_or(1) as u8,
                });
            }
        }
        let grid = NavGrid::new(rows[0].len() as u16, rows.len() as u16, costs).expect("a drawn grid fits");
        (grid, a, b)
    }

    fn check(rows: &[&str], max_nodes: u32, kind: RouteKind, cost: u32, first: (u16, u16)) {
        let (grid, a, b) = drawn(rows);
        let route = route(&grid, a, b, max_nodes);
        let got = (route.kind, route.cost, (route.waypoints[0].x, route.waypoints[0].y));
        assert_eq!(got, (kind, cost, first), "{rows:?}: {route:?}");
        assert!(route.nodes <= max_nodes);
    }

    #[test]
    fn ways_are_the_cheapest() {
        check(&["A..B"], 100, RouteKind::Whole, 30, (1, 0));
        check(&["A..", "...", "..B"], 100, RouteKind::Whole, 28, (1, 1));
        // No cutting of corners.
        check(&["A#", ".B"], 100, RouteKind::Whole, 20, (0, 1));
        // Around the swamp: two diagonals and two steps instead of 9 + 9 + 1.
        check(&["A99B", "...."], 100, RouteKind::Whole, 38, (1, 1));
        check(&["A#B"], 100, RouteKind::Blocked, 0, (0, 0));
    }

    #[test]
    fn the_bound_on_nodes_ends_a_search() {
        let open = [".".repeat(64), format!("A{}B", ".".repeat(62))];
        let rows: Vec<&str> = open.iter().map(String::as_str).collect();
        check(&rows, 10, RouteKind::Partial, 100, (1, 1));
        check(&rows, 1000, RouteKind::Whole, 630, (1, 1));
        check(&rows, 0, RouteKind::Partial, 0, (0, 1));
    }

    #[test]
    fn a_goal_in_a_wall_costs_nothing() {
        let (grid, a, _) = drawn(&["A.#"]);
        assert_eq!(route(&grid, a, Cell::new(2, 0), 100).nodes, 0);
        assert_eq!(route(&grid, a, Cell::new(9, 9), 100).kind, RouteKind::Blocked);
        assert_eq!(route(&grid, a, a, 100).kind, RouteKind::There);
    }

    #[test]
    fn costs_match_an_independent_search() {
        // Bellman-Ford over the same rules, on random grids.
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32
        };
        for _ in 0..40 {
            let (w, h) = (3 + (random() % 9) as u16, 3 + (random() % 9) as u16);
            let costs =
                (0..w * h).map(|_| if random().is_multiple_of(4) { 0 } else { 1 + (random() % 5) as u8 }).collect();
            let grid = NavGrid::new(w, h, costs).expect("sizes fit");
            let cells: Vec<Cell> = (0..h).flat_map(|y| (0..w).map(move |x| Cell::new(x, y))).collect();
            let (from, to) = (cells[0], cells[cells.len() - 1]);
            let mut best = vec![u64::MAX; cells.len()];
            best[0] = 0;
            for _ in 0..cells.len() {
                for &cell in cells.iter().filter(|&&cell| grid.is_open(cell)) {
                    let here = best[usize::from(cell.y * w + cell.x)];
                    for (next, cost) in neighbours(&grid, cell) {
                        let there = &mut best[usize::from(next.y * w + next.x)];
                        *there = (*there).min(here.saturating_add(cost >> TIE_BITS));
                    }
                }
            }
            let route = route(&grid, from, to, NODES);
            let expected = best[cells.len() - 1];
            if !grid.is_open(from) || expected == u64::MAX {
                assert_eq!(route.kind, RouteKind::Blocked);
            } else {
                assert_eq!((route.kind, u64::from(route.cost)), (RouteKind::Whole, expected));
            }
        }
    }
}
