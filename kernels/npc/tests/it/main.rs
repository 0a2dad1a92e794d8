//! The kernel against the mock host: golden vectors, splitting, hostile input.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod mirror;
mod policy;

use kernel_npc::layout::{AGENT_BYTES, DECISION_BYTES, HEADER_BYTES};
use kernel_npc::{Decisions, Mover, RouteKind, Scenario, code, limits, npc, scenario};
use p2c2r_guest::failure::code as sdk_code;
use p2c2r_guest::testing::{Host, Outcome, Report};
use serde::{Deserialize, Serialize};

fn run(input: impl Into<Vec<u8>>, grid: impl Into<Vec<u8>>) -> Report {
    Host::new().input(input).blob(grid).run(npc)
}

fn run_scenario(scenario: &Scenario) -> Report {
    run(scenario.input().unwrap(), scenario.blob())
}

/// A row of `tests/golden/npc.json`: digests in hex. The same rows are checked through the sandbox.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Golden {
    seed: u64,
    agents: usize,
    mover: String,
    input: String,
    blob: String,
    output: String,
    units: u64,
}

/// `UPDATE_GOLDEN=1` writes the file anew: results then changed on purpose, and the kernel's version with them.
#[test]
fn golden_vectors() {
    let by = [("search", Mover::Search), ("policy", Mover::Policy)];
    let rows =
        by.into_iter().flat_map(|by| [(1, 1, by), (2, 64, by), (3, 512, by)]).map(|(seed, agents, (name, mover))| {
            let mut scenario = scenario(seed, agents);
            scenario.batch.world.mover = mover;
            let report = run_scenario(&scenario);
            assert_eq!(report.outcome, Outcome::Output, "{}", report.message());
            let hex = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
            let (input, blob) = (hex(&scenario.input().unwrap()), hex(&scenario.blob()));
            Golden {
                seed,
                agents,
                mover: name.to_owned(),
                input,
                blob,
                output: hex(&report.output),
                units: report.units,
            }
        });
    let rows: Vec<Golden> = rows.collect();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/npc.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(file, serde_json::to_string_pretty(&rows).unwrap() + "\n").unwrap();
    }
    let golden: Vec<Golden> = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(rows, golden);
}

#[test]
fn parts_make_the_whole() {
    check_parts(Mover::Search);
    check_parts(Mover::Policy);
}

fn check_parts(mover: Mover) {
    let mut scenario = scenario(5, 100);
    scenario.batch.world.mover = mover;
    let (input, blob) = (scenario.input().unwrap(), scenario.blob());
    let whole = run(input.clone(), blob.clone());
    let (header, agents) = input.split_at(HEADER_BYTES);
    for per_part in [1, 7, 99] {
        let mut output = Vec::new();
        let mut units = 0;
        for part in agents.chunks(per_part * AGENT_BYTES) {
            let report = run([header, part].concat(), blob.clone());
            output.extend(report.output);
            units += report.units;
        }
        assert_eq!((output, units), (whole.output.clone(), whole.units), "{per_part} agents a part");
    }
}

#[test]
fn a_town_lives() {
    let mut scenario = scenario(1, 64);
    let start: Vec<_> = scenario.batch.agents.iter().map(|agent| agent.at).collect();
    let mut arrived = 0;
    for _ in 0..50 {
        let report = run_scenario(&scenario);
        let Decisions(decisions) = report.output_as().unwrap();
        assert_eq!(decisions.len(), 64);
        arrived += decisions.iter().filter(|d| d.route == RouteKind::There).count();
        scenario.apply(&decisions);
    }
    let moved = scenario.batch.agents.iter().zip(&start).filter(|(agent, start)| agent.at != **start).count();
    assert!(moved > 32 && arrived > 64, "{moved} of 64 moved, {arrived} arrivals");
}

#[test]
fn hostile_input_is_a_failure_with_a_message() {
    let town = scenario(2, 3);
    let (input, blob) = (town.input().unwrap(), town.blob());
    let check = |input: Vec<u8>, blob: Vec<u8>, code: i32, message: &str| {
        let report = run(input, blob);
        assert_eq!((report.outcome.clone(), report.message()), (Outcome::Failed(code), message));
        assert_eq!(report.units, 0, "nothing was done");
    };
    let with = |at: usize, bytes: &[u8]| {
        let mut input = input.clone();
        input[at..at + bytes.len()].copy_from_slice(bytes);
        input
    };
    let bad = sdk_code::BAD_INPUT;
    let header = "the header does not start with NPC1, or its reserved bytes are not 0";
    check(vec![], blob.clone(), bad, "0 bytes, the header has 32");
    check(input[..50].to_vec(), blob.clone(), bad, "18 bytes of agents are no multiple of 24");
    check(with(0, b"X"), blob.clone(), bad, header);
    check(with(31, &[1]), blob.clone(), bad, header);
    check(with(24, &[0; 4]), blob.clone(), bad, "searches of 0 nodes, 1 to 16384 are taken");
    check(with(24, &[255; 4]), blob.clone(), bad, "searches of 4294967295 nodes, 1 to 16384 are taken");
    check(with(55, &[9]), blob.clone(), bad, "the last byte of agent 0 is not 0");
    let crowd = [&input[..HEADER_BYTES], &[0; AGENT_BYTES].repeat(limits::AGENTS + 1)].concat();
    check(crowd, blob.clone(), bad, "4097 agents, at most 4096");

    let place = code::PLACE;
    check(with(8, &[255; 4]), blob.clone(), place, "the threat is at (65535, 65535), outside the grid of 192 x 192");
    check(with(36, &[192, 0, 0, 0]), blob.clone(), place, "agent 0 is at (192, 0), outside the grid of 192 x 192");
    check(with(36, &[2, 0, 2, 0]), walled(), place, "agent 0 stands in a wall at (2, 2)");
    check(
        with(64, &[0, 0, 0, 1]),
        blob.clone(),
        place,
        "the home of agent 1 is at (0, 256), outside the grid of 192 x 192",
    );

    check(input.clone(), vec![], code::GRID, "a nav grid starts with NAV1 and two sizes, these 0 bytes do not");
    check(input.clone(), blob[..100].to_vec(), code::GRID, "nav grid of 192 x 192 cells carries 92 of them");
    let report = Host::new().input(input.clone()).run(npc);
    assert_eq!(
        (report.outcome, report.output),
        (Outcome::Failed(sdk_code::BLOB), b"blob 0 asked for, the task names 0".to_vec())
    );
    let report = run(input, vec![0; 2 << 20]);
    assert_eq!(report.outcome, Outcome::Failed(sdk_code::BLOB), "{}", report.message());
}

/// A grid of the town's size with a wall at (2, 2).
fn walled() -> Vec<u8> {
    let mut costs = vec![1; 192 * 192];
    costs[2 * 192 + 2] = 0;
    kernel_npc::NavGrid::new(192, 192, costs).unwrap().to_bytes()
}

#[test]
fn units_are_agents_and_nodes() {
    let town = scenario(3, 40);
    let report = run_scenario(&town);
    let batch = &town.batch;
    let nodes: u64 =
        batch.agents.iter().map(|agent| u64::from(kernel_npc::decide(&batch.world, &town.grid, agent).1)).sum();
    assert_eq!(report.units, nodes + 40 * limits::AGENT_UNITS);
    assert_eq!(report.output.len(), 40 * DECISION_BYTES);
}

#[test]
fn the_manifest_follows_from_the_limits() {
    let manifest = include_str!("../../p2c2r.toml").replace('_', "");
    let check = |key: &str, value: u64| {
        let line = format!("{}={value}", key.replace('_', ""));
        let found = manifest.lines().any(|l| l.replace(' ', "") == line);
        assert!(found, "{key} = {value} missing");
    };
    let agents = limits::AGENTS as u64;
    check("input_bytes", HEADER_BYTES as u64 + agents * AGENT_BYTES as u64);
    check("output_bytes", agents * DECISION_BYTES as u64);
    check("units", agents * (limits::AGENT_UNITS + u64::from(limits::NODES)));
    check("header_bytes", HEADER_BYTES as u64);
    check("item_bytes", AGENT_BYTES as u64);
}
