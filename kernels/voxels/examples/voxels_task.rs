//! Writes a task for `p2c2r run`, and times the model natively: `cargo run -p kernel-voxels --example voxels_task -- WIDTH HEIGHT SAMPLES DIR` makes
//! `DIR/voxels.input` and `DIR/voxels.blob`.
#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use kernel_voxels::{Frame, World, model};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [width, height, samples, dir] = arguments.as_slice() else {
        return Err("arguments: WIDTH HEIGHT SAMPLES DIR".into());
    };
    let world = World::island(96, 4);
    let task = Frame::harbour(&world, width.parse()?, height.parse()?, samples.parse()?).all_rows();
    std::fs::write(Path::new(dir).join("voxels.input"), p2c2r_guest::encode(task.clone())?)?;
    std::fs::write(Path::new(dir).join("voxels.blob"), world.to_bytes())?;

    let start = Instant::now();
    let output = model::render(&world, &task);
    let took = start.elapsed();
    let units = task.frame.units(task.rows.len());
    let per_unit = took.as_nanos() / u128::from(units.max(1));
    println!("{units} units in {took:.1?}: {per_unit} ns each; output {}", blake3::hash(&output));
    Ok(())
}
