//! Lets it rain on a valley and draws what becomes of it, on the CPU: `cargo run --release -p kernel-flow --example flow_picture -- out.png [SIDE STEPS
//! SEED]`.
#![expect(clippy::print_stdout, reason = "a command-line program talks to its user")]

use std::io::BufWriter;

use anyhow::Context as _;
use kernel_flow::{Spring, Task, Terrain, Water, model};
use p2c2r_guest::fixed;

/// Pixels along a side of a cell.
const ZOOM: usize = 3;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let out = arguments.first().context("usage: draw OUT.png [SIDE STEPS SEED]")?;
    let number = |at: usize, default: u32| arguments.get(at).map_or(Ok(default), |text| text.parse());
    let (side, steps, seed) = (number(1, 256)?, number(2, 900)?, number(3, 5)?);
    let terrain = Terrain::valley(side, seed);
    let started = std::time::Instant::now();
    let water = weather(&terrain, steps);
    println!("{} cell-steps in {:?}", terrain.cells() as u64 * u64::from(steps), started.elapsed());

    let (pixels, size) = draw(&terrain, &water);
    let file = BufWriter::new(std::fs::File::create(out).context(out.clone())?);
    let mut encoder = png::Encoder::new(file, size as u32, size as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(())
}

/// A shower for a quarter of the time, a spring in the north that never ends, and a drain where the valley leaves the map.
fn weather(terrain: &Terrain, steps: u32) -> Water {
    let side = terrain.width;
    let lowest = |y: u32| (0..side).min_by_key(|x| terrain.ground[(y * side + x) as usize]).unwrap_or(0);
    let spring = Spring { cell: 4 * side + lowest(4), flow: fixed::of(6) };
    let drain = Spring { cell: (side - 1) * side + lowest(side - 1), flow: -fixed::of(50) };
    let mut shower = Task { rain: 600, ..Task::new(steps / 4, Water::none(terrain.cells())) };
    shower.springs = vec![spring, drain];
    let wet = model::simulate(terrain, &shower);
    model::simulate(terrain, &Task { steps: steps - steps / 4, rain: 0, water: wet, ..shower })
}

/// The map from above, the sun in the north-west.
fn draw(terrain: &Terrain, water: &Water) -> (Vec<u8>, usize) {
    let side = terrain.width as usize;
    let metres = |a: i32| f64::from(a) / 65536.0;
    let sample = |values: &dyn Fn(usize) -> f64, x: f64, y: f64| {
        let (x, y) = (x.clamp(0.0, side as f64 - 1.001), y.clamp(0.0, side as f64 - 1.001));
        let (i, j) = (x as usize, y as usize);
        let (tx, ty) = (x - i as f64, y - j as f64);
        let row = |j: usize| values(j * side + i) * (1.0 - tx) + values(j * side + (i + 1).min(side - 1)) * tx;
        row(j) * (1.0 - ty) + row((j + 1).min(side - 1)) * ty
    };
    let ground = |at: usize| metres(terrain.ground[at]);
    let depth = |at: usize| f64::from(water.depths[at]) / 65536.0;
    let level = |at: usize| ground(at) + depth(at);
    let speed = |at: usize| f64::from(water.flows[at].iter().sum::<u32>()) / 65536.0;
    let most = terrain.ground.iter().copied().max().map_or(1.0, metres);
    let size = side * ZOOM;
    let mut pixels = Vec::with_capacity(size * size * 3);
    for py in 0..size {
        for px in 0..size {
            let (x, y) = (px as f64 / ZOOM as f64, py as f64 / ZOOM as f64);
            let deep = sample(&depth, x, y);
            let lit = |values: &dyn Fn(usize) -> f64, steep: f64| {
                let dx = sample(values, x + 0.7, y) - sample(values, x - 0.7, y);
                let dy = sample(values, x, y + 0.7) - sample(values, x, y - 0.7);
                let normal = [-dx * steep, -dy * steep, 1.4];
                let size = normal.iter().map(|v| v * v).sum::<f64>().sqrt();
                (normal[0] * -0.5 + normal[1] * -0.5 + normal[2] * 0.7) / size
            };
            let high = sample(&ground, x, y) / most;
            let stone =
                mix(mix([0.33, 0.42, 0.20], [0.52, 0.46, 0.34], high * 1.6), [0.93, 0.93, 0.95], high * 2.4 - 1.3);
            let land = stone.map(|c| c * (0.25 + 0.95 * lit(&ground, 1.0).max(0.0)));
            let shine = lit(&level, 3.0).max(0.0).powi(24) * 0.35;
            let foam = (sample(&speed, x, y) / (0.25 + deep) - 0.25).clamp(0.0, 0.6);
            let sea = mix([0.28, 0.60, 0.62], [0.03, 0.16, 0.34], deep / 5.0);
            let sea = mix(sea.map(|c| c * (0.5 + 0.7 * lit(&level, 1.5).max(0.0)) + shine), [0.95; 3], foam);
            // A film of water only darkens the ground.
            let colour = mix(land, sea, (deep - 0.02) * 2.5);
            pixels.extend(colour.map(|c| (c.clamp(0.0, 1.0).powf(1.0 / 1.6) * 255.0) as u8));
        }
    }
    (pixels, size)
}

fn mix(a: [f64; 3], b: [f64; 3], t: f64) -> [f64; 3] {
    let t = t.clamp(0.0, 1.0);
    std::array::from_fn(|i| a[i] * (1.0 - t) + b[i] * t)
}
