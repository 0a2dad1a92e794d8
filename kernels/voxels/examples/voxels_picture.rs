//! Draws the island on the CPU: `cargo run --release -p kernel-voxels --example voxels_picture -- out.png [WIDTH HEIGHT SAMPLES]`.
#![expect(clippy::print_stdout, reason = "a command-line program talks to its user")]

use std::io::BufWriter;

use anyhow::Context as _;
use kernel_voxels::{Frame, Rows, World, model};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let out = arguments.first().context("usage: draw OUT.png [WIDTH HEIGHT SAMPLES]")?;
    let number = |at: usize, default: u32| arguments.get(at).map_or(Ok(default), |text| text.parse());
    let world = World::island(96, 4);
    let frame = Frame::harbour(&world, number(1, 640)?, number(2, 400)?, number(3, 32)?);

    let started = std::time::Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let rows = frame.all_rows().rows;
    let pixels: Vec<u8> = std::thread::scope(|scope| {
        let parts = rows.chunks(rows.len().div_ceil(threads));
        let part = |rows: &[u32]| Rows { frame, rows: rows.to_vec() };
        let work: Vec<_> = parts
            .map(|rows| {
                let (world, part) = (&world, part(rows));
                scope.spawn(move || model::render(world, &part))
            })
            .collect();
        work.into_iter().map(|thread| thread.join().expect("tracing does not panic")).collect::<Vec<_>>().concat()
    });
    println!("{} paths in {:?} on {threads} threads", frame.units(rows.len()), started.elapsed());

    let file = BufWriter::new(std::fs::File::create(out).context(out.clone())?);
    let mut encoder = png::Encoder::new(file, frame.width, frame.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(())
}
