//! Writes a task for `p2c2r run`, and times it natively: `cargo run -p kernel-physics --example physics_task -- BODIES STEPS DIR`
//! makes `DIR/physics.input`.
#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use p2c2r_guest::testing;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bodies, steps, dir] = arguments.as_slice() else { return Err("arguments: BODIES STEPS DIR".into()) };
    let input = kernel_physics::pile(bodies.parse()?, steps.parse()?).input()?;
    std::fs::write(Path::new(dir).join("physics.input"), &input)?;

    let start = Instant::now();
    let report = testing::run(kernel_physics::physics, input);
    let took = start.elapsed();
    let per_unit = took.as_nanos() / u128::from(report.units.max(1));
    println!("{} units in {took:.1?}: {per_unit} ns each, {} bytes of output", report.units, report.output.len());
    Ok(())
}
