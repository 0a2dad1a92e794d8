//! Writes a task for `p2c2r run`, and times it natively: `cargo run -p kernel-npc --example npc_task -- SEED AGENTS search|policy DIR`
//! makes `DIR/npc.input` and `DIR/npc.grid`.
#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use kernel_npc::Mover;
use p2c2r_guest::testing::Host;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    const USAGE: &str = "arguments: SEED AGENTS search|policy DIR";
    let [seed, agents, mover, dir] = arguments.as_slice() else { return Err(USAGE.into()) };
    let mut scenario = kernel_npc::scenario(seed.parse()?, agents.parse()?);
    scenario.batch.world.mover = match mover.as_str() {
        "search" => Mover::Search,
        "policy" => Mover::Policy,
        _ => return Err(USAGE.into()),
    };
    let (input, grid) = (scenario.input()?, scenario.blob());
    std::fs::write(Path::new(dir).join("npc.input"), &input)?;
    std::fs::write(Path::new(dir).join("npc.grid"), &grid)?;

    let start = Instant::now();
    let report = Host::new().input(input).blob(grid).run(kernel_npc::npc);
    let took = start.elapsed();
    let per_unit = took.as_nanos() / u128::from(report.units.max(1));
    println!("{} units in {took:.1?}: {per_unit} ns each, {} bytes of output", report.units, report.output.len());
    Ok(())
}
