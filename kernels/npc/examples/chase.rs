//! Draws chases: `cargo run -p kernel-npc --example chase -- FILE.png [SEED ..]`. A row for each seed, the same town three times: the
//! agent follows the search, the search with dodging written by hand, the policy.
//!
//! Walls are dark, mud is brown. The agent's steps go from light to dark green, from its start (ring) to its goal (yellow); the
//! hunter's from light to dark red. Where both end close together, it was caught.
#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;

use kernel_npc::episode::{self, Trail};
use kernel_npc::{Cell, Direction, Episode, NavGrid, Policy, Walker};

/// Pixels of a cell's side.
const CELL: usize = 9;
/// Cells shown around the middle of the way.
const SIDE: usize = 56;
/// Pixels between pictures.
const GAP: usize = 8;

const GROUND: [u8; 3] = [236, 233, 226];
const MUD: [u8; 3] = [205, 182, 150];
const WALL: [u8; 3] = [62, 66, 74];
const GOAL: [u8; 3] = [245, 190, 40];
const AGENT: [[u8; 3]; 2] = [[150, 215, 160], [10, 110, 50]];
const HUNTER: [[u8; 3]; 2] = [[245, 170, 160], [190, 20, 20]];

type Mover<'a> = Box<dyn FnMut(&NavGrid, &Walker) -> Option<Direction> + 'a>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("arguments: FILE.png [SEED ..]")?;
    let mut seeds = arguments.map(|seed| seed.parse()).collect::<Result<Vec<u64>, _>>()?;
    if seeds.is_empty() {
        seeds = vec![1 << 32, (1 << 32) + 4];
    }
    let policy = Policy::built_in();
    let width = 3 * (SIDE * CELL + GAP) + GAP;
    let mut picture = Picture { width, pixels: vec![255; 3 * width * (seeds.len() * (SIDE * CELL + GAP) + GAP)] };
    for (row, seed) in seeds.into_iter().enumerate() {
        let episode = Episode::new(seed, true);
        let movers: [(&str, Mover<'_>); 3] = [
            ("search", Box::new(episode::search())),
            ("dodging", Box::new(episode::dodge())),
            ("policy", Box::new(episode::learned(&policy))),
        ];
        for (column, (name, mover)) in movers.into_iter().enumerate() {
            let trail = episode.play(mover);
            let steps = trail.agent.len() - 1;
            println!(
                "seed {seed}, {name}: {:?} after {steps} steps, the cheapest way has {}",
                trail.end, episode.shortest
            );
            picture.chase((column, row), &episode, &trail);
        }
    }
    let mut encoder = png::Encoder::new(
        BufWriter::new(File::create(&file)?),
        width as u32,
        (picture.pixels.len() / 3 / width) as u32,
    );
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&picture.pixels)?;
    println!("{file}");
    Ok(())
}

struct Picture {
    width: usize,
    pixels: Vec<u8>,
}

impl Picture {
    fn chase(&mut self, (column, row): (usize, usize), episode: &Episode, trail: &Trail) {
        let corner = |a: u16, b: u16| ((usize::from(a) + usize::from(b)) / 2).saturating_sub(SIDE / 2);
        let (left, top) = (corner(episode.start.x, episode.goal.x), corner(episode.start.y, episode.goal.y));
        let origin = (GAP + column * (SIDE * CELL + GAP), GAP + row * (SIDE * CELL + GAP));
        let place = |cell: Cell| {
            let (x, y) = (usize::from(cell.x).checked_sub(left)?, usize::from(cell.y).checked_sub(top)?);
            (x < SIDE && y < SIDE).then_some((origin.0 + x * CELL, origin.1 + y * CELL))
        };
        for y in top..top + SIDE {
            for x in left..left + SIDE {
                let cell = Cell::new(x as u16, y as u16);
                let color = match episode.grid.cost(cell) {
                    None => WALL,
                    Some(1) => GROUND,
                    Some(_) => MUD,
                };
                self.square(place(cell), 0, color);
            }
        }
        self.square(place(episode.goal), 0, GOAL);
        for (cells, [from, to], inset) in [(&trail.hunter, HUNTER, 3), (&trail.agent, AGENT, 2)] {
            for (i, cell) in cells.iter().enumerate() {
                let mixed = |c: usize| {
                    let (from, to) = (usize::from(from[c]), usize::from(to[c]));
                    ((from * (cells.len() - 1 - i) + to * i) / (cells.len() - 1).max(1)) as u8
                };
                self.square(place(*cell), inset, [mixed(0), mixed(1), mixed(2)]);
            }
        }
        for (cells, [_, color]) in [(&trail.hunter, HUNTER), (&trail.agent, AGENT)] {
            self.square(cells.last().and_then(|cell| place(*cell)), 0, color);
            self.square(cells.first().and_then(|cell| place(*cell)), 0, color);
            self.square(cells.first().and_then(|cell| place(*cell)), 2, GROUND);
        }
    }

    fn square(&mut self, at: Option<(usize, usize)>, inset: usize, color: [u8; 3]) {
        let Some((x, y)) = at else { return };
        for y in y + inset..y + CELL - inset {
            for x in x + inset..x + CELL - inset {
                let pixel = 3 * (y * self.width + x);
                self.pixels[pixel..pixel + 3].copy_from_slice(&color);
            }
        }
    }
}
