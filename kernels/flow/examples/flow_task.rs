//! Writes a task for `p2c2r run`, and times the model natively: `cargo run -p kernel-flow --example flow_task -- SIDE STEPS DIR` makes
//! `DIR/flow.input` and `DIR/flow.blob`.
#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use kernel_flow::{Task, Terrain, Water, model};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [side, steps, dir] = arguments.as_slice() else { return Err("arguments: SIDE STEPS DIR".into()) };
    let terrain = Terrain::valley(side.parse()?, 5);
    let task = Task { rain: 600, ..Task::new(steps.parse()?, Water::none(terrain.cells())) };
    std::fs::write(Path::new(dir).join("flow.input"), p2c2r_guest::encode(task.clone())?)?;
    std::fs::write(Path::new(dir).join("flow.blob"), terrain.to_bytes())?;

    let start = Instant::now();
    let output = p2c2r_guest::encode(model::simulate(&terrain, &task))?;
    let took = start.elapsed();
    let units = task.units(&terrain);
    let per_unit = took.as_nanos() / u128::from(units.max(1));
    println!("{units} units in {took:.1?}: {per_unit} ns each; output {}", blake3::hash(&output));
    Ok(())
}
