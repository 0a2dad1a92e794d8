//! Renders the studio scene natively on the CPU: `cargo run -p kernel-raytrace --example render -- out.png [mesh.obj] [WIDTH HEIGHT SAMPLES]`.
#![expect(clippy::print_stdout, reason = "a command-line program talks to its user")]

use std::io::BufWriter;

use anyhow::Context as _;
use kernel_raytrace::{Frame, Mesh, Rows, Scene, render};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let out = arguments.first().context("usage: render OUT.png [MESH.obj|-] [WIDTH HEIGHT SAMPLES]")?;
    let mesh = match arguments.get(1).map(String::as_str) {
        None | Some("-") => Mesh::procedural(),
        Some(path) => Mesh::from_obj(&std::fs::read_to_string(path).context(path.to_owned())?)?.subdivided(),
    };
    let number = |at: usize, default: u32| arguments.get(at).map_or(Ok(default), |text| text.parse());
    let frame = Frame::studio(number(2, 480)?, number(3, 270)?, number(4, 16)?);
    let scene = Scene::studio(&mesh);
    println!("{} triangles, blob of {} bytes", scene.triangles.len(), scene.to_bytes().len());

    let started = std::time::Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let rows = frame.all_rows().rows;
    let parts = rows.chunks(rows.len().div_ceil(threads));
    let pixels: Vec<u8> = std::thread::scope(|scope| {
        let work: Vec<_> = parts
            .map(|rows| {
                let part = Rows { frame, rows: rows.to_vec() };
                let scene = &scene;
                scope.spawn(move || render(scene, &part))
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
