//! What the network sees of an agent's surroundings.
//!
//! The plane is turned and mirrored so that the goal always lies between ahead (the positive first axis) and 45 degrees to
//! its right: the network learns one eighth of all situations and treats the other seven alike. Every number is an
//! `i8`, 64 standing for 1:
//!
//! | inputs | |
//! |---|---|
//! | 0 to 167 | the 13 x 13 cells around the agent, row by row, without its own: 64 for a wall, else twice the cost above 1 (at most 30) less 16 for each cell by which the threat is closer than 5 |
//! | 168, 169 | cells to the goal along both axes, eighths (at most 127) |
//! | 170, 171 | the same, halves |
//! | 172 | slope of the way there, 64 for 45 degrees |
//! | 173 | 8 for each cell by which the goal is closer than 8 |
//! | 174 to 179 | 0 without a threat within 12 cells; else 64, its place in eighths along both axes, 8 for each cell by which it is closer than 13, its direction as a fraction of its distance along both axes |
//! | 180 to 187 | 64 at the direction of the last step |
//! | 188 to 191 | 0 |

use crate::direction::Direction;
use crate::grid::{Cell, NavGrid};
use crate::policy::network::{INPUTS, ONE};

/// Cells seen to each side.
const RADIUS: i32 = 6;
/// Cells from which a threat is seen.
const SIGHT: i32 = 12;
/// Cells around a threat that look dangerous.
const DANGER: i32 = 5;

const GOAL_AT: usize = 168;
const THREAT_AT: usize = 174;
const STEP_AT: usize = 180;

/// An agent on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walker {
    /// Where it is.
    pub at: Cell,
    /// Where it wants to be.
    pub goal: Cell,
    /// What it should keep away from.
    pub threat: Option<Cell>,
    /// The direction of its last step.
    pub heading: Option<Direction>,
}

/// How the plane is turned: mirrored along x, along y, then the axes swapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct View {
    flip_x: bool,
    flip_y: bool,
    swap: bool,
}

impl View {
    /// The view that has an offset ahead.
    fn towards((dx, dy): (i32, i32)) -> Self {
        Self { flip_x: dx < 0, flip_y: dy < 0, swap: dy.abs() > dx.abs() }
    }

    /// An offset on the grid as it is seen.
    fn seen(self, (dx, dy): (i32, i32)) -> (i32, i32) {
        let (u, v) = (if self.flip_x { -dx } else { dx }, if self.flip_y { -dy } else { dy });
        if self.swap { (v, u) } else { (u, v) }
    }

    /// A seen offset on the grid.
    fn on_grid(self, (u, v): (i32, i32)) -> (i32, i32) {
        let (dx, dy) = if self.swap { (v, u) } else { (u, v) };
        (if self.flip_x { -dx } else { dx }, if self.flip_y { -dy } else { dy })
    }

    /// A direction as it is seen.
    pub(crate) fn direction_seen(self, direction: Direction) -> Direction {
        Direction::of_offset(self.seen(direction.offset())).unwrap_or(direction)
    }

    /// A seen direction on the grid.
    pub(crate) fn direction_on_grid(self, direction: Direction) -> Direction {
        Direction::of_offset(self.on_grid(direction.offset())).unwrap_or(direction)
    }
}

/// The inputs of the network, and how to read its answer.
pub(crate) fn observe(grid: &NavGrid, walker: &Walker) -> (View, [i8; INPUTS]) {
    let to_goal = walker.at.offset_to(walker.goal);
    let view = View::towards(to_goal);
    let mut inputs = [0; INPUTS];
    let threat = walker.threat.map(|threat| view.seen(walker.at.offset_to(threat)));

    let around = (-RADIUS..=RADIUS).flat_map(|v| (-RADIUS..=RADIUS).map(move |u| (u, v))).filter(|&uv| uv != (0, 0));
    for (input, (u, v)) in inputs.iter_mut().zip(around) {
        let (dx, dy) = view.on_grid((u, v));
        *input = match walker.at.moved(dx, dy).and_then(|cell| grid.cost(cell)) {
            None => ONE,
            Some(cost) => {
                let close = threat.map_or(0, |(tu, tv)| (DANGER - distance(tu - u, tv - v)).max(0));
                (2 * (i32::from(cost) - 1).min(15) - 16 * close) as i8
            }
        };
    }

    let (u, v) = view.seen(to_goal);
    inputs[GOAL_AT] = (8 * u).min(127) as i8;
    inputs[GOAL_AT + 1] = (8 * v).min(127) as i8;
    inputs[GOAL_AT + 2] = (2 * u).min(127) as i8;
    inputs[GOAL_AT + 3] = (2 * v).min(127) as i8;
    inputs[GOAL_AT + 4] = (64 * v / u.max(1)) as i8;
    inputs[GOAL_AT + 5] = (8 * (8 - u).max(0)) as i8;

    if let Some((u, v)) = threat.filter(|&(u, v)| distance(u, v) <= SIGHT) {
        let cells = distance(u, v);
        inputs[THREAT_AT] = ONE;
        inputs[THREAT_AT + 1] = (8 * u) as i8;
        inputs[THREAT_AT + 2] = (8 * v) as i8;
        inputs[THREAT_AT + 3] = (8 * (SIGHT + 1 - cells)) as i8;
        inputs[THREAT_AT + 4] = (64 * u / cells.max(1)) as i8;
        inputs[THREAT_AT + 5] = (64 * v / cells.max(1)) as i8;
    }

    if let Some(heading) = walker.heading {
        inputs[STEP_AT + view.direction_seen(heading) as usize] = ONE;
    }
    (view, inputs)
}

fn distance(u: i32, v: i32) -> i32 {
    u.abs().max(v.abs())
}
