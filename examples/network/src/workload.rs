//! What the demo client asks for: a town of agents deciding again and again, a pile of bodies falling frame after frame,
//! and one picture cut into strips.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::ValueEnum;

use kernel_npc::scenario;
use kernel_physics::pile;
use kernel_raytrace::{Frame, Mesh, Rows, Scene};

/// Name of the kernel whose outputs make the picture.
pub const RAYTRACE: &str = "raytrace";

/// How long an answer is of use. Generous: a real game asks for 100 ms, but here the whole network, GPU included, shares
/// the cores of one machine.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// What one act may cost, nano-USD: 40 cents.
pub const SESSION_NANO_USD: u64 = 400_000_000;

/// The kernels of the demo and what the operator charges for them.
pub const KERNELS: &[Priced] = &[
    Priced { name: "npc", unit: "node", rate_nano_usd: 1 },
    Priced { name: "physics", unit: "body-step", rate_nano_usd: 3 },
    Priced { name: RAYTRACE, unit: "path", rate_nano_usd: 1 },
];

/// A kernel and its price.
#[derive(Debug, Clone, Copy)]
pub struct Priced {
    /// Its name, and that of its file.
    pub name: &'static str,
    /// What a unit is.
    pub unit: &'static str,
    /// Price of one unit of one execution, nano-USD.
    pub rate_nano_usd: u64,
}

/// How much work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Size {
    /// Seconds; for tests.
    Quick,
    /// About a minute; for people.
    Full,
}

/// One task.
#[derive(Debug, Clone)]
pub struct Item {
    /// Name of the kernel.
    pub kernel: &'static str,
    /// Its input.
    pub input: Bytes,
    /// Its blob, if it takes one.
    pub blob: Option<Bytes>,
    /// Units one execution may charge.
    pub max_units: u64,
    /// Whether to wait for the quorum instead of taking the first answer.
    pub confirmed: bool,
}

/// Shape of the picture; three bytes a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// All tasks of an act.
#[derive(Debug)]
pub struct Work {
    /// In order of submission; those of the picture are in order of its rows.
    pub items: Vec<Item>,
    /// The picture their outputs make, if this act makes one.
    pub picture: Option<Picture>,
}

/// How much of what.
struct Amounts {
    npc: usize,
    agents: usize,
    physics: usize,
    bodies: usize,
    steps: u32,
    width: u32,
    height: u32,
    samples: u32,
    rows_per_task: usize,
}

impl Size {
    /// As the command line spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
        }
    }

    const fn amounts(self) -> Amounts {
        match self {
            Self::Quick => Amounts {
                npc: 12,
                agents: 32,
                physics: 6,
                bodies: 48,
                steps: 10,
                width: 160,
                height: 90,
                samples: 4,
                rows_per_task: 15,
            },
            Self::Full => Amounts {
                npc: 120,
                agents: 64,
                physics: 40,
                bodies: 128,
                steps: 20,
                width: 640,
                height: 360,
                samples: 48,
                rows_per_task: 6,
            },
        }
    }
}

/// The tasks of act 1 (all kernels, with the picture), act 2 (no picture) or act 3 (the first few of act 2).
///
/// # Errors
/// If `mesh` exists but is no mesh.
pub fn items(size: Size, act: u8, mesh: Option<&Path>) -> Result<Work> {
    let amounts = size.amounts();
    let mut kinds = vec![npc(&amounts)?, physics(&amounts)?];
    if act == 3 {
        kinds.iter_mut().for_each(|items| items.truncate(items.len().div_ceil(4)));
    }
    let mut picture = None;
    if act == 1 {
        kinds.push(strips(&amounts, mesh)?);
        picture = Some(Picture { width: amounts.width, height: amounts.height });
    }
    Ok(Work { items: interleave(kinds), picture })
}

fn npc(amounts: &Amounts) -> Result<Vec<Item>> {
    let mut town = scenario(7, amounts.agents);
    let blob = Bytes::from(town.blob());
    let agents = amounts.agents as u64;
    let max_units = agents * (kernel_npc::limits::AGENT_UNITS + u64::from(town.batch.world.max_nodes));
    let mut items = Vec::with_capacity(amounts.npc);
    for index in 0..amounts.npc {
        items.push(Item {
            kernel: "npc",
            input: town.input()?.into(),
            blob: Some(blob.clone()),
            max_units,
            confirmed: index % 4 == 3,
        });
        // The next batch is the same town a tick later, whatever the agents decide.
        town.apply(&[]);
    }
    Ok(items)
}

fn physics(amounts: &Amounts) -> Result<Vec<Item>> {
    let mut scene = pile(amounts.bodies, amounts.steps);
    let max_units = scene.body_steps();
    let mut items = Vec::with_capacity(amounts.physics);
    for _ in 0..amounts.physics {
        items.push(Item { kernel: "physics", input: scene.input()?.into(), blob: None, max_units, confirmed: false });
        // A game goes on from its own prediction and corrects it when the answer comes.
        scene = scene.resumed(&kernel_physics::simulate(&scene)?);
    }
    Ok(items)
}

fn strips(amounts: &Amounts, mesh: Option<&Path>) -> Result<Vec<Item>> {
    let mesh = match mesh.filter(|file| file.exists()) {
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
            Mesh::from_obj(&text).with_context(|| format!("reading {}", file.display()))?.subdivided()
        }
        None => Mesh::procedural(),
    };
    let blob = Bytes::from(Scene::studio(&mesh).to_bytes());
    let frame = Frame::studio(amounts.width, amounts.height, amounts.samples);
    let rows = frame.all_rows().rows;
    let strip = |rows: &[u32]| Item {
        kernel: RAYTRACE,
        input: Rows { frame, rows: rows.to_vec() }.to_bytes().into(),
        blob: Some(blob.clone()),
        max_units: frame.units(rows.len()),
        confirmed: false,
    };
    Ok(rows.chunks(amounts.rows_per_task).map(strip).collect())
}

/// Spreads the kinds evenly over time, as a game would mix them.
fn interleave(kinds: Vec<Vec<Item>>) -> Vec<Item> {
    let mut placed: Vec<(f64, Item)> = kinds
        .into_iter()
        .flat_map(|items| {
            let count = items.len() as f64;
            items.into_iter().enumerate().map(move |(index, item)| (index as f64 / count, item))
        })
        .collect();
    placed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    placed.into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_stay_in_order_and_cover_the_picture() {
        let work = items(Size::Quick, 1, None).expect("the procedural scene needs nothing");
        let picture = work.picture.expect("act 1 makes one");
        let rows: Vec<u32> = work
            .items
            .iter()
            .filter(|item| item.kernel == RAYTRACE)
            .flat_map(|item| {
                item.input[Frame::BYTES..].chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            })
            .collect();
        assert_eq!(rows, (0..picture.height).collect::<Vec<_>>());
    }

    #[test]
    fn act_two_has_no_picture() {
        let work = items(Size::Quick, 2, None).expect("nothing to read");
        assert!(work.picture.is_none() && work.items.iter().all(|item| item.kernel != RAYTRACE));
    }

    #[test]
    fn act_three_asks_for_what_was_asked_before() {
        let of = |act, kernel| {
            let work = items(Size::Quick, act, None).expect("nothing to read");
            work.items.into_iter().filter(|item| item.kernel == kernel).map(|item| item.input).collect::<Vec<_>>()
        };
        for kernel in ["npc", "physics"] {
            let (before, again) = (of(2, kernel), of(3, kernel));
            assert!(!again.is_empty() && before.starts_with(&again), "{kernel}");
        }
    }
}
