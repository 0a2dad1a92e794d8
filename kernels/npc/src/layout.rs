//! Input and output bytes. Integers are little-endian; a cell is x then y, two bytes each.
//!
//! Input: a header of 32 bytes, then 24 bytes for each agent.
//!
//! | header | bytes | | agent | bytes | |
//! |---|---|---|---|---|---|
//! | 0 | 4 | `NPC1` | 0 | 4 | id, free to choose |
//! | 4 | 4 | tick | 4 | 4 | where it stands |
//! | 8 | 4 | cell of the threat | 8 | 4 | its home |
//! | 12 | 1 | strength of the threat, 0 for none | 12 | 4 | its post |
//! | 13 | 1 | who finds the way, [`Mover`] | 16 | 6 | hunger, fatigue, health, courage, duty, curiosity |
//! | 14 | 2 | 0 | 22 | 1 | direction of its last step ([`Direction`] + 1), 0 for none |
//! | 16 | 4 | cell of the food | 23 | 1 | 0 |
//! | 20 | 4 | cell of the shelter | | | |
//! | 24 | 4 | nodes a search may expand, 1 to 16,384 | | | |
//! | 28 | 4 | 0 | | | |
//!
//! Output: 32 bytes for each agent, in their order.
//!
//! | decision | bytes | |
//! |---|---|---|
//! | 0 | 4 | id |
//! | 4 | 1 | action, [`Action`] |
//! | 5 | 1 | route, [`RouteKind`] |
//! | 6 | 2 | score of the action |
//! | 8 | 4 | cost of the route |
//! | 12 | 16 | the next 4 cells |
//! | 28 | 4 | 0 |

use p2c2r_guest::{Decode, Encode, Failure};

use crate::direction::Direction;
use crate::grid::{Cell, NavGrid};
use crate::limits::{AGENTS, NODES};
use crate::path::{RouteKind, WAYPOINTS};
use crate::utility::Action;

/// Bytes of the header; `split.header_bytes` of the manifest.
pub const HEADER_BYTES: usize = 32;
/// Bytes of an agent; `split.item_bytes` of the manifest.
pub const AGENT_BYTES: usize = 24;
/// Bytes of a decision.
pub const DECISION_BYTES: usize = 32;

const MAGIC: [u8; 4] = *b"NPC1";

/// What all agents see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct World {
    /// The game's time; makes whims change.
    pub tick: u32,
    /// Where the threat is.
    pub threat: Cell,
    /// How strong it is; 0 for no threat.
    pub threat_strength: u8,
    /// Where there is food.
    pub food: Cell,
    /// Where one is safe.
    pub shelter: Cell,
    /// Nodes the search of one agent may expand, 1 to [`NODES`]; the policy does not search, and minds no bound.
    pub max_nodes: u32,
    /// Who finds the way.
    pub mover: Mover,
}

/// Who finds the way to where an action leads; the number is the byte in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Mover {
    /// The search ([`path`](crate::path)): the cheapest way, through the threat if it must be.
    #[default]
    Search = 0,
    /// The policy ([`policy`](crate::policy)): a few steps at a fixed price, around the threat.
    Policy = 1,
}

/// One agent. Needs and traits go from 0 (none) to 255 (full).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Agent {
    /// The game's name for it; comes back in the decision.
    pub id: u32,
    /// Where it stands.
    pub at: Cell,
    /// Where it rests.
    pub home: Cell,
    /// Where it works.
    pub post: Cell,
    /// Wish to eat.
    pub hunger: u8,
    /// Wish to rest.
    pub fatigue: u8,
    /// 255 is unhurt.
    pub health: u8,
    /// How readily it fights.
    pub courage: u8,
    /// How readily it works.
    pub duty: u8,
    /// How readily it wanders.
    pub curiosity: u8,
    /// The direction of its last step; the policy's memory, the search does not mind it.
    pub heading: Option<Direction>,
}

/// The input: a world and its agents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// What all agents see.
    pub world: World,
    /// At most [`AGENTS`].
    pub agents: Vec<Agent>,
}

/// What one agent does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The agent's id.
    pub id: u32,
    /// What it does.
    pub action: Action,
    /// Whether the way leads there.
    pub route: RouteKind,
    /// Score of the action.
    pub utility: u16,
    /// Cost of the way, tenths of a cell of cost 1.
    pub cost: u32,
    /// The next cells of the way.
    pub waypoints: [Cell; WAYPOINTS],
}

/// The output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decisions(pub Vec<Decision>);

/// A place that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Off the grid.
    #[error("{what} is at ({x}, {y}), outside the grid of {width} x {height}")]
    Outside {
        /// Whose place.
        what: String,
        /// Column.
        x: u16,
        /// Row.
        y: u16,
        /// Cells across.
        width: u16,
        /// Cells down.
        height: u16,
    },
    /// An agent in a wall.
    #[error("agent {id} stands in a wall at ({x}, {y})")]
    InWall {
        /// The agent.
        id: u32,
        /// Column.
        x: u16,
        /// Row.
        y: u16,
    },
}

impl Batch {
    /// Checks every place against the grid. Goals may be walls (nobody gets there); agents may not stand in one.
    ///
    /// # Errors
    /// [`PlaceError`] for the first wrong place.
    pub fn check_places(&self, grid: &NavGrid) -> Result<(), PlaceError> {
        let inside = |cell: Cell, what: &dyn Fn() -> String| match grid.contains(cell) {
            true => Ok(()),
            false => {
                let (width, height) = (grid.width(), grid.height());
                Err(PlaceError::Outside { what: what(), x: cell.x, y: cell.y, width, height })
            }
        };
        for (cell, what) in
            [(self.world.threat, "the threat"), (self.world.food, "the food"), (self.world.shelter, "the shelter")]
        {
            inside(cell, &|| what.to_owned())?;
        }
        for agent in &self.agents {
            let id = agent.id;
            inside(agent.at, &|| format!("agent {id}"))?;
            inside(agent.home, &|| format!("the home of agent {id}"))?;
            inside(agent.post, &|| format!("the post of agent {id}"))?;
            if !grid.is_open(agent.at) {
                return Err(PlaceError::InWall { id, x: agent.at.x, y: agent.at.y });
            }
        }
        Ok(())
    }
}

impl Encode for &Batch {
    fn encode(self) -> Result<Vec<u8>, Failure> {
        let World { tick, threat, threat_strength, food, shelter, max_nodes, mover } = self.world;
        let mut bytes = Vec::with_capacity(HEADER_BYTES + AGENT_BYTES * self.agents.len());
        bytes.extend(MAGIC);
        bytes.extend(tick.to_le_bytes());
        put_cell(&mut bytes, threat);
        bytes.extend([threat_strength, mover as u8, 0, 0]);
        put_cell(&mut bytes, food);
        put_cell(&mut bytes, shelter);
        bytes.extend(max_nodes.to_le_bytes());
        bytes.extend([0; 4]);
        for agent in &self.agents {
            bytes.extend(agent.id.to_le_bytes());
            for cell in [agent.at, agent.home, agent.post] {
                put_cell(&mut bytes, cell);
            }
            bytes.extend([agent.hunger, agent.fatigue, agent.health, agent.courage, agent.duty, agent.curiosity]);
            bytes.extend([agent.heading.map_or(0, |direction| direction as u8 + 1), 0]);
        }
        Ok(bytes)
    }
}

impl Decode for Batch {
    fn decode(bytes: Vec<u8>) -> Result<Self, Failure> {
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(Failure::bad_input(format_args!("{} bytes, the header has {HEADER_BYTES}", bytes.len())));
        };
        let (agents, []) = rest.as_chunks::<AGENT_BYTES>() else {
            return Err(Failure::bad_input(format_args!(
                "{} bytes of agents are no multiple of {AGENT_BYTES}",
                rest.len()
            )));
        };
        if agents.len() > AGENTS {
            return Err(Failure::bad_input(format_args!("{} agents, at most {AGENTS}", agents.len())));
        }
        Ok(Self { world: world(header)?, agents: agents.iter().map(agent).collect::<Result<_, _>>()? })
    }
}

fn world(header: &[u8; HEADER_BYTES]) -> Result<World, Failure> {
    if header[..4] != MAGIC || header[14..16] != [0; 2] || header[28..] != [0; 4] {
        return Err(Failure::bad_input("the header does not start with NPC1, or its reserved bytes are not 0"));
    }
    let max_nodes = u32_at(header, 24);
    if !(1..=NODES).contains(&max_nodes) {
        return Err(Failure::bad_input(format_args!("searches of {max_nodes} nodes, 1 to {NODES} are taken")));
    }
    let mover = match header[13] {
        0 => Mover::Search,
        1 => Mover::Policy,
        unknown => {
            return Err(Failure::bad_input(format_args!("mover {unknown}, there are 0 (search) and 1 (policy)")));
        }
    };
    Ok(World {
        tick: u32_at(header, 4),
        threat: cell_at(header, 8),
        threat_strength: header[12],
        food: cell_at(header, 16),
        shelter: cell_at(header, 20),
        max_nodes,
        mover,
    })
}

fn agent(bytes: &[u8; AGENT_BYTES]) -> Result<Agent, Failure> {
    let [.., hunger, fatigue, health, courage, duty, curiosity, heading, 0] = *bytes else {
        return Err(Failure::bad_input(format_args!("the last byte of agent {} is not 0", u32_at(bytes, 0))));
    };
    let heading = match heading.checked_sub(1) {
        None => None,
        Some(number) => Some(*Direction::ALL.get(usize::from(number)).ok_or_else(|| {
            let id = u32_at(bytes, 0);
            Failure::bad_input(format_args!("the last step of agent {id} is {heading}, there are 0 to 8"))
        })?),
    };
    Ok(Agent {
        id: u32_at(bytes, 0),
        at: cell_at(bytes, 4),
        home: cell_at(bytes, 8),
        post: cell_at(bytes, 12),
        hunger,
        fatigue,
        health,
        courage,
        duty,
        curiosity,
        heading,
    })
}

impl Encode for Decisions {
    fn encode(self) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::with_capacity(DECISION_BYTES * self.0.len());
        for decision in &self.0 {
            bytes.extend(decision.id.to_le_bytes());
            bytes.extend([decision.action as u8, decision.route as u8]);
            bytes.extend(decision.utility.to_le_bytes());
            bytes.extend(decision.cost.to_le_bytes());
            for cell in decision.waypoints {
                put_cell(&mut bytes, cell);
            }
            bytes.extend([0; 4]);
        }
        Ok(bytes)
    }
}

impl Decode for Decisions {
    fn decode(bytes: Vec<u8>) -> Result<Self, Failure> {
        let (records, []) = bytes.as_chunks::<DECISION_BYTES>() else {
            return Err(Failure::bad_input(format_args!("{} bytes are no multiple of {DECISION_BYTES}", bytes.len())));
        };
        records.iter().map(decision).collect::<Result<_, _>>().map(Self)
    }
}

fn decision(bytes: &[u8; DECISION_BYTES]) -> Result<Decision, Failure> {
    let action = match bytes[4] {
        0 => Action::Flee,
        1 => Action::Fight,
        2 => Action::Eat,
        3 => Action::Rest,
        4 => Action::Work,
        5 => Action::Wander,
        unknown => return Err(Failure::bad_input(format_args!("action {unknown}, there are 0 to 5"))),
    };
    let route = match bytes[5] {
        0 => RouteKind::There,
        1 => RouteKind::Whole,
        2 => RouteKind::Partial,
        3 => RouteKind::Blocked,
        unknown => return Err(Failure::bad_input(format_args!("route {unknown}, there are 0 to 3"))),
    };
    Ok(Decision {
        id: u32_at(bytes, 0),
        action,
        route,
        utility: u16::from_le_bytes([bytes[6], bytes[7]]),
        cost: u32_at(bytes, 8),
        waypoints: [12, 16, 20, 24].map(|at| cell_at(bytes, at)),
    })
}

fn put_cell(bytes: &mut Vec<u8>, cell: Cell) {
    bytes.extend(cell.x.to_le_bytes());
    bytes.extend(cell.y.to_le_bytes());
}

/// Offsets are constants inside the record.
fn u32_at<const N: usize>(record: &[u8; N], at: usize) -> u32 {
    u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]])
}

fn cell_at<const N: usize>(record: &[u8; N], at: usize) -> Cell {
    Cell {
        x: u16::from_le_bytes([record[at], record[at + 1]]),
        y: u16::from_le_bytes([record[at + 2], record[at + 3]]),
    }
}
