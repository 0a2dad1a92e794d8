//! The policy: what it is allowed to do, what it reaches, and the same on a GPU.

use kernel_npc::episode::{self, End};
use kernel_npc::layout::{DECISION_BYTES, HEADER_BYTES};
use kernel_npc::policy::network::{HIDDEN, INPUTS, MOVES, ONE};
use kernel_npc::policy::{Network, Situation};
use kernel_npc::{
    Cell, Decisions, Direction, Episode, Mover, NavGrid, Policy, RouteKind, Scenario, Walker, limits, npc,
};
use p2c2r_guest::Rng;
use p2c2r_guest::failure::code as sdk_code;
use p2c2r_guest::rand_core::{Rng as _, SeedableRng};
use p2c2r_guest::testing::{Host, Outcome};
use p2c2r_shader::{Class, Shader};

use crate::{mirror, run, run_scenario};

/// Episodes from here on are nobody's but the tests'.
const TEST_SEEDS: u64 = 1 << 32;

fn town(seed: u64, agents: usize) -> Scenario {
    let mut town = kernel_npc::scenario(seed, agents);
    town.batch.world.mover = Mover::Policy;
    town
}

/// Weights nobody trained, as large as they can be.
fn untrained(rng: &mut Rng) -> Policy {
    let mut bytes = b"NPW1\x08\0\0\0\x07\0\0\0\0\0\0\0".to_vec();
    for (inputs, outputs) in [(INPUTS, HIDDEN[0]), (HIDDEN[0], HIDDEN[1]), (HIDDEN[1], MOVES)] {
        bytes.extend((0..inputs * outputs).map(|_| rng.next_u32() as u8));
        bytes.extend([0; 4].repeat(outputs));
    }
    Policy::new(Network::parse(&bytes).unwrap())
}

/// By the policy, by it four steps at once, by dodging, search, greed, chance.
const HUNTED: [[u32; 3]; 6] = [[97, 0, 3], [98, 0, 2], [76, 19, 5], [4, 96, 0], [10, 85, 5], [0, 99, 1]];
/// By the policy, search, greed.
const ALONE: [[u32; 3]; 3] = [[95, 0, 5], [100, 0, 0], [37, 0, 63]];

/// Reached, caught, late of 100 held-out episodes.
fn ends<M>(hunted: bool, mover: impl Fn() -> M) -> [u32; 3]
where
    M: FnMut(&NavGrid, &Walker) -> Option<Direction>,
{
    let mut ends = [0; 3];
    for seed in TEST_SEEDS..TEST_SEEDS + 100 {
        let trail = Episode::new(seed, hunted).play(mover());
        ends[match trail.end {
            End::Reached => 0,
            End::Caught => 1,
            End::Late => 2,
        }] += 1;
    }
    ends
}

/// All integers, so the counts are the same on every machine; new weights bring new ones, and must keep the margins.
#[test]
fn it_reaches_more_goals_than_what_is_written_by_hand() {
    let policy = Policy::built_in();
    let learned = ends(true, || episode::learned(&policy));
    let by_task = ends(true, || episode::learned_by_task(&policy));
    let dodge = ends(true, episode::dodge);
    let search = ends(true, episode::search);
    let greedy = ends(true, episode::greedy);
    let random = ends(true, || episode::random(1));
    assert_eq!([learned, by_task, dodge, search, greedy, random], HUNTED);
    assert!(learned[0] >= 90 && learned[0] >= dodge[0] + 15 && learned[0] >= 5 * search[0].max(greedy[0]));
    assert!(learned[1] * 4 <= dodge[1], "caught a quarter as often");
}

#[test]
fn alone_it_loses_itself_where_the_search_does_not() {
    let policy = Policy::built_in();
    let learned = ends(false, || episode::learned(&policy));
    assert_eq!([learned, ends(false, episode::search), ends(false, episode::greedy)], ALONE);
    assert!(learned[0] >= 88);
}

#[test]
fn decisions_are_those_of_the_policy_and_pay_by_the_agent() {
    let town = town(3, 40);
    let report = run_scenario(&town);
    assert_eq!(report.units, 40 * (limits::AGENT_UNITS + limits::POLICY_UNITS));
    assert_eq!(report.output.len(), 40 * DECISION_BYTES);
    let Decisions(decisions) = report.output_as().unwrap();
    let (policy, batch) = (Policy::built_in(), &town.batch);
    for (agent, decision) in batch.agents.iter().zip(&decisions) {
        assert_eq!(*decision, kernel_npc::decide_by_policy(&policy, &batch.world, &town.grid, agent));
        let searched = kernel_npc::decide(&batch.world, &town.grid, agent).0;
        assert_eq!((decision.action, decision.utility), (searched.action, searched.utility));
        assert_eq!(decision.route == RouteKind::There, searched.route == RouteKind::There);
    }
}

#[test]
fn a_town_lives_by_the_policy() {
    let mut town = town(1, 64);
    let mut arrived = 0;
    for _ in 0..50 {
        let Decisions(decisions) = run_scenario(&town).output_as().unwrap();
        arrived += decisions.iter().filter(|d| d.route == RouteKind::There).count();
        town.apply(&decisions);
    }
    assert!(town.batch.agents.iter().filter(|agent| agent.heading.is_some()).count() > 16);
    assert!(arrived > 64, "{arrived} arrivals");
}

/// Whatever the weights say, agents stay on open cells, step to neighbours, cut no corners, and the cost is that of their steps.
#[test]
fn no_weights_lead_into_a_wall() {
    let mut rng = Rng::from_seed([3; 32]);
    for round in 0..30 {
        let (town, policy) = (town(round, 20), untrained(&mut rng));
        for agent in &town.batch.agents {
            let decision = kernel_npc::decide_by_policy(&policy, &town.batch.world, &town.grid, agent);
            let (mut at, mut cost) = (agent.at, 0);
            for next in decision.waypoints {
                if next != at {
                    let direction = Direction::between(at, next).unwrap();
                    assert_eq!(town.grid.step(at, direction), Some(next));
                    cost += town.grid.step_cost(next, direction);
                }
                at = next;
            }
            assert_eq!(decision.cost, cost);
        }
    }
}

#[test]
fn goals_that_cannot_be_are_not_walked_to() {
    let grid = NavGrid::new(3, 1, vec![1, 1, 0]).unwrap();
    let policy = Policy::built_in();
    let walker = |goal| Walker { at: Cell::new(0, 0), goal, threat: None, heading: None };
    assert_eq!(policy.walk(&grid, walker(Cell::new(2, 0))), [None; 4]);
    assert_eq!(policy.walk(&grid, walker(Cell::new(0, 0))), [None; 4]);
    assert_eq!(policy.walk(&grid, walker(Cell::new(1, 0))), [Some(Direction::East), None, None, None]);

    let mut town = kernel_npc::scenario(1, 1);
    town.batch.world = kernel_npc::World { mover: Mover::Policy, max_nodes: 1, ..Default::default() };
    town.grid = grid;
    town.batch.agents[0] = kernel_npc::Agent { duty: 255, post: Cell::new(2, 0), ..Default::default() };
    let Decisions(decisions) = run_scenario(&town).output_as().unwrap();
    assert_eq!(
        (decisions[0].route, decisions[0].waypoints, decisions[0].cost),
        (RouteKind::Blocked, [Cell::default(); 4], 0)
    );
}

/// Of a cell on a square grid, given the number of its last row.
type Turn = fn((i32, i32), i32) -> (i32, i32);

/// Turned and mirrored worlds look the same, unless the goal lies on an axis or a diagonal, where two views fit.
#[test]
fn it_knows_no_left_and_right() {
    let mut rng = Rng::from_seed([9; 32]);
    const SIDE: u16 = 21;
    let end = i32::from(SIDE) - 1;
    let turns: [Turn; 4] =
        [|(x, y), _| (y, x), |(x, y), end| (end - x, y), |(x, y), end| (x, end - y), |(x, y), end| (end - y, x)];
    let mut compared = 0;
    while compared < 200 {
        let costs: Vec<u8> = (0..SIDE * SIDE).map(|_| [0, 1, 1, 1, 4][rng.next_u32() as usize % 5]).collect();
        let mut cell =
            || Cell::new((rng.next_u32() % u32::from(SIDE)) as u16, (rng.next_u32() % u32::from(SIDE)) as u16);
        let (at, goal, threat) = (cell(), cell(), cell());
        let (dx, dy) = at.offset_to(goal);
        if dx == 0 || dy == 0 || dx.abs() == dy.abs() {
            continue;
        }
        let heading = Direction::ALL[compared % 8];
        let grid = NavGrid::new(SIDE, SIDE, costs.clone()).unwrap();
        let plain = Situation::of(&grid, &Walker { at, goal, threat: Some(threat), heading: Some(heading) });
        for turn in turns {
            let turned = |cell: Cell| {
                let (x, y) = turn((i32::from(cell.x), i32::from(cell.y)), end);
                Cell::new(x as u16, y as u16)
            };
            let turned_step = |direction: Direction| {
                let (dx, dy) = direction.offset();
                // A turn of an offset is that of two cells' difference.
                let ((x0, y0), (x1, y1)) = (turn((5, 5), end), turn((5 + dx, 5 + dy), end));
                Direction::of_offset((x1 - x0, y1 - y0)).unwrap()
            };
            let mut turned_costs = costs.clone();
            for (index, cost) in costs.iter().enumerate() {
                let to = turned(Cell::new(index as u16 % SIDE, index as u16 / SIDE));
                turned_costs[usize::from(to.y) * usize::from(SIDE) + usize::from(to.x)] = *cost;
            }
            let grid = NavGrid::new(SIDE, SIDE, turned_costs).unwrap();
            let (threat, heading) = (Some(turned(threat)), Some(turned_step(heading)));
            let walker = Walker { at: turned(at), goal: turned(goal), threat, heading };
            let seen = Situation::of(&grid, &walker);
            assert_eq!(seen.inputs, plain.inputs, "{walker:?}");
            assert_eq!(seen.moves, plain.moves.map(|step| step.map(|step| step.map(turned_step))));
        }
        compared += 1;
    }
}

#[test]
fn the_surroundings_are_what_the_layout_says() {
    // Goal to the east, so nothing is turned: input 6 * 13 + 7 - 1 = 84 is the cell to the east, 83 the one to the west.
    let mut costs = vec![1; 41 * 41];
    costs[20 * 41 + 21] = 0;
    costs[20 * 41 + 19] = 9;
    let grid = NavGrid::new(41, 41, costs).unwrap();
    let (at, goal) = (Cell::new(20, 20), Cell::new(30, 22));
    let threat = Some(Cell::new(18, 17));
    let inputs = Situation::of(&grid, &Walker { at, goal, threat, heading: Some(Direction::North) }).inputs;
    assert_eq!([inputs[84], inputs[83]], [ONE, 2 * 8 - 16 * 2], "a wall; mud three cells from the threat");
    assert_eq!(inputs[168..174], [80, 16, 20, 4, 12, 0]);
    assert_eq!(inputs[174..180], [ONE, -16, -24, 80, -42, -64]);
    assert_eq!(inputs[180..192], [0, 0, 0, ONE, 0, 0, 0, 0, 0, 0, 0, 0]);
    // Off the grid is wall: from the corner everything to the west and the north.
    let corner = Situation::of(&grid, &Walker { at: Cell::new(0, 0), goal, threat: None, heading: None });
    assert!(corner.inputs[..83].iter().all(|input| *input == ONE) && corner.inputs[84] == 0);
    assert_eq!(corner.inputs[174..], [0; 18]);
}

#[test]
fn the_shader_is_exact() {
    let shader = Shader::parse(mirror::WGSL).unwrap_or_else(|finding| panic!("{finding}"));
    assert_eq!((shader.class(), shader.findings()), (Class::Exact, [].as_slice()));
    assert_eq!(shader.grid().axes(), 1);
}

/// The mirror reads the buffers as the shader does, so this pins their layout; the network's tests pin the numbers.
#[test]
fn the_gpu_path_answers_as_the_cpu_path() {
    for (seed, agents) in [(1, 0), (2, 1), (3, 65), (4, 300)] {
        let mut town = town(seed, agents);
        for _ in 0..3 {
            let (input, blob) = (town.input().unwrap(), town.blob());
            let plain = run(input.clone(), blob.clone());
            let gpu = Host::new().input(input).blob(blob).shader("policy", mirror::shader).run(npc);
            assert_eq!(gpu, plain, "{agents} agents of seed {seed}");
            assert_eq!((gpu.outcome, gpu.leaked_buffers), (Outcome::Output, 0));
            town.apply(&plain.output_as::<Decisions>().unwrap().0);
            // Close to the threat, where most differs.
            town.batch.world.threat = town.batch.agents.first().map_or(Cell::default(), |agent| agent.at);
        }
    }
}

#[test]
fn hostile_input_is_a_failure_with_a_message() {
    let town = town(2, 3);
    let (input, blob) = (town.input().unwrap(), town.blob());
    let check = |at: usize, byte: u8, message: &str| {
        let mut input = input.clone();
        input[at] = byte;
        let report = run(input, blob.clone());
        assert_eq!((report.outcome.clone(), report.message()), (Outcome::Failed(sdk_code::BAD_INPUT), message));
        assert_eq!(report.units, 0, "nothing was done");
    };
    check(13, 2, "mover 2, there are 0 (search) and 1 (policy)");
    check(14, 1, "the header does not start with NPC1, or its reserved bytes are not 0");
    check(HEADER_BYTES + 22, 9, "the last step of agent 0 is 9, there are 0 to 8");
    check(HEADER_BYTES + 23, 1, "the last byte of agent 0 is not 0");
}

/// A batch as it was before there was a policy: what was reserved is 0 and means the search.
#[test]
fn old_inputs_mean_what_they_meant() {
    let town = kernel_npc::scenario(6, 5);
    let input = town.input().unwrap();
    assert_eq!(input[13..16], [0; 3]);
    assert!(input[HEADER_BYTES..].chunks(24).all(|agent| agent[22..] == [0; 2]));
    assert_eq!(town.batch.world.mover, Mover::Search);
}

#[test]
fn the_gpu_section_of_the_manifest_follows_from_the_limits() {
    let manifest = include_str!("../../p2c2r.toml").replace('_', "");
    let value = |key: &str| {
        let line = manifest.lines().find_map(|line| line.strip_prefix(&format!("{} = ", key.replace('_', ""))));
        line.unwrap().parse::<u64>().unwrap()
    };
    let agents = limits::AGENTS as u64;
    assert_eq!(value("workgroups"), agents.div_ceil(64));
    let weights = std::fs::metadata(concat!(env!("CARGO_MANIFEST_DIR"), "/weights/policy.bin")).unwrap().len();
    let needed = kernel_npc::grid::max_bytes() + weights + agents * (16 + 4);
    assert!(needed <= value("buffer_bytes"), "{needed} bytes");
    assert!(agents * (limits::AGENT_UNITS + limits::POLICY_UNITS) <= value("units"));
}
