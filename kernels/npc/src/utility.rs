//! What to do: each action gets a score from 0 to 65,535, the highest wins, of equal ones the first in the order of
//! [`Action`]. Scores are products of needs in unsigned fixed point with 16 fractional bits.
//!
//! `near` is how close and strong the threat is, falling linearly to 0 at [`THREAT_CELLS`]:
//!
//! | action | score |
//! |---|---|
//! | flee | near * (1 - courage * health) |
//! | fight | near * courage * health |
//! | eat | hunger^2 |
//! | rest | fatigue^2 * (1 - near) |
//! | work | duty * (1 - hunger) * (1 - fatigue) |
//! | wander | curiosity / 2 * hash(tick, agent) |

use crate::grid::{Cell, NavGrid};
use crate::layout::{Agent, World};

/// Distance at which a threat stops mattering.
pub const THREAT_CELLS: u16 = 48;

/// How far a wanderer goes along each axis.
const WANDER_CELLS: u64 = 16;

/// Places a wanderer tries before it stays.
const WANDER_TRIES: u64 = 8;

/// What an agent can do; the number is the byte in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Action {
    /// Run to the shelter.
    Flee = 0,
    /// Go for the threat.
    Fight = 1,
    /// Go to the food.
    Eat = 2,
    /// Go home.
    Rest = 3,
    /// Go to its post.
    Work = 4,
    /// Go somewhere close.
    Wander = 5,
}

/// The action with the highest score, and the score.
#[must_use]
pub fn choose(world: &World, agent: &Agent) -> (Action, u16) {
    let [hunger, fatigue, health, courage, duty, curiosity] =
        [agent.hunger, agent.fatigue, agent.health, agent.courage, agent.duty, agent.curiosity].map(fraction);
    let near = nearness(world, agent.at);
    let strong = times(courage, health);
    let whim = hash(world.tick, agent.id, 0) as u16;
    let scores = [
        (Action::Flee, times(near, not(strong))),
        (Action::Fight, times(near, strong)),
        (Action::Eat, times(hunger, hunger)),
        (Action::Rest, times(times(fatigue, fatigue), not(near))),
        (Action::Work, times(duty, times(not(hunger), not(fatigue)))),
        (Action::Wander, times(curiosity / 2, whim)),
    ];
    scores.into_iter().fold((Action::Flee, 0), |best, next| if next.1 > best.1 { next } else { best })
}

/// Where an action leads.
#[must_use]
pub fn goal(action: Action, world: &World, grid: &NavGrid, agent: &Agent) -> Cell {
    match action {
        Action::Flee => world.shelter,
        Action::Fight => world.threat,
        Action::Eat => world.food,
        Action::Rest => agent.home,
        Action::Work => agent.post,
        Action::Wander => (1..=WANDER_TRIES)
            .map(|turn| {
                let random = hash(world.tick, agent.id, turn);
                let offset = |at: u16, random: u64| {
                    let moved = i64::from(at) + (random % (2 * WANDER_CELLS + 1)) as i64 - WANDER_CELLS as i64;
                    u16::try_from(moved).unwrap_or(at)
                };
                Cell::new(offset(agent.at.x, random & 0xffff), offset(agent.at.y, random >> 16 & 0xffff))
            })
            .find(|&cell| grid.is_open(cell))
            .unwrap_or(agent.at),
    }
}

fn nearness(world: &World, at: Cell) -> u16 {
    let cells = THREAT_CELLS.saturating_sub(world.threat.distance(at));
    let close = u32::from(cells) * u32::from(u16::MAX) / u32::from(THREAT_CELLS);
    times(fraction(world.threat_strength), close as u16)
}

/// 0 to 255 as 0 to 65,535.
fn fraction(need: u8) -> u16 {
    u16::from(need) * 257
}

fn not(a: u16) -> u16 {
    u16::MAX - a
}

/// The product, rounded down; 65,535 is taken for 1.
fn times(a: u16, b: u16) -> u16 {
    (u32::from(a) * u32::from(b) / u32::from(u16::MAX)) as u16
}

/// splitmix64 (Steele, Lea, Flood 2014) of tick, agent and turn.
fn hash(tick: u32, id: u32, turn: u64) -> u64 {
    let mut z = (u64::from(tick) << 32 | u64::from(id)).wrapping_add((turn + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_decide() {
        let world = World { threat: Cell::new(10, 10), threat_strength: 255, ..World::default() };
        let calm = Agent { at: Cell::new(90, 90), health: 255, ..Agent::default() };
        let check = |agent: Agent, action: Action| {
            let (chosen, score) = choose(&world, &agent);
            assert_eq!(chosen, action, "{agent:?} scored {score}");
        };
        check(Agent { hunger: 200, ..calm }, Action::Eat);
        check(Agent { fatigue: 200, hunger: 100, ..calm }, Action::Rest);
        check(Agent { duty: 200, hunger: 50, ..calm }, Action::Work);
        let close = Agent { at: Cell::new(12, 10), ..calm };
        check(Agent { courage: 20, hunger: 200, ..close }, Action::Flee);
        check(Agent { courage: 250, hunger: 200, ..close }, Action::Fight);
        check(Agent { courage: 250, health: 20, ..close }, Action::Flee);
        // Nothing matters: the first action, with score 0.
        assert_eq!(choose(&World::default(), &Agent::default()), (Action::Flee, 0));
    }

    #[test]
    fn fixed_point_keeps_its_ends() {
        assert_eq!([times(u16::MAX, u16::MAX), times(u16::MAX, 7), times(0, 9)], [u16::MAX, 7, 0]);
        assert_eq!([fraction(0), fraction(255)], [0, u16::MAX]);
    }

    #[test]
    fn wanderers_stay_on_the_grid() {
        let grid = NavGrid::new(4, 4, vec![1; 16]).expect("sizes fit");
        for id in 0..500 {
            let agent = Agent { id, at: Cell::new(3, 0), ..Agent::default() };
            assert!(grid.is_open(goal(Action::Wander, &World::default(), &grid, &agent)));
        }
    }
}
