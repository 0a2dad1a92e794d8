//! Input and output. Lengths are Q16.16 metres, so 65536 is a metre; a cell is a metre square, and depth is volume.

use bytemuck::{Pod, Zeroable};
use p2c2r_guest::{Decode, Encode, Failure, fixed};

use crate::limits::{CELL_STEPS, CELLS, DEPTH, FLOW, GROUND, PULL, SPRINGS, STEPS};

const TASK_MAGIC: u32 = u32::from_le_bytes(*b"P2FL");
const TERRAIN_MAGIC: u32 = u32::from_le_bytes(*b"P2FT");

/// The ground, blob 0: uploaded once for all tasks on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terrain {
    /// Cells from west to east.
    pub width: u32,
    /// Cells from north to south.
    pub height: u32,
    /// Row by row, from the north-west, within [`GROUND`] of zero.
    pub ground: Vec<i32>,
}

/// The input: how water moves, where it comes from, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Steps to take, at most [`STEPS`].
    pub steps: u32,
    /// What is left of a flow from step to step, 0 to [`fixed::ONE`]: 1 has no friction.
    pub keep: i32,
    /// What a metre of difference adds to a flow in a step, 0 to [`PULL`]: gravity times the square of the step's length.
    pub pull: i32,
    /// Added to each depth in each step, at most [`FLOW`].
    pub rain: u32,
    /// Springs and drains, at most [`SPRINGS`].
    pub springs: Vec<Spring>,
    /// Where the water is at first.
    pub water: Water,
}

/// A place where water comes from or goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Spring {
    /// Number of the cell.
    pub cell: u32,
    /// Added to its depth in each step, within [`FLOW`] of zero. A drain takes what there is.
    pub flow: i32,
}

/// The output, and part of the input: a task goes on where another ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Water {
    /// Of each cell, at most [`DEPTH`].
    pub depths: Vec<u32>,
    /// What left each cell in the last step to the west, east, north and south, each at most [`DEPTH`]; of two neighbours only
    /// one gives.
    pub flows: Vec<[u32; 4]>,
}

/// What the shaders are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Params {
    /// Cells from west to east.
    pub width: u32,
    /// Cells from north to south.
    pub height: u32,
    /// As in [`Task`].
    pub keep: i32,
    /// As in [`Task`].
    pub pull: i32,
    /// As in [`Task`].
    pub rain: u32,
    /// Number of springs.
    pub springs: u32,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Header {
    magic: u32,
    steps: u32,
    keep: i32,
    pull: i32,
    rain: u32,
    springs: u32,
    /// Cells whose water follows.
    cells: u32,
    reserved: u32,
}

impl Terrain {
    /// The blob.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = bytemuck::cast_slice(&[TERRAIN_MAGIC, self.width, self.height]).to_vec();
        bytes.extend_from_slice(bytemuck::cast_slice(&self.ground));
        bytes
    }

    /// Reads a blob.
    ///
    /// # Errors
    /// What is wrong with it, for the client that made it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        let words = words(bytes)?;
        let [TERRAIN_MAGIC, width, height, ground @ ..] = words.as_slice() else {
            return Err(Failure::bad_input("blob 0 does not start with P2FT, a width and a height"));
        };
        let cells = u64::from(*width) * u64::from(*height);
        if cells == 0 || cells > u64::from(CELLS) || ground.len() as u64 != cells {
            return Err(Failure::bad_input(format_args!(
                "{} heights for {width} by {height} cells, of which there may be 1 to {CELLS}",
                ground.len()
            )));
        }
        let ground: Vec<i32> = bytemuck::cast_slice(ground).to_vec();
        if let Some(height) = ground.iter().find(|height| height.unsigned_abs() > GROUND as u32) {
            return Err(Failure::bad_input(format_args!("the ground is at {height}, at most {GROUND} from zero")));
        }
        Ok(Self { width: *width, height: *height, ground })
    }

    /// Number of cells.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.ground.len()
    }
}

impl Water {
    /// None at all.
    #[must_use]
    pub fn none(cells: usize) -> Self {
        Self { depths: vec![0; cells], flows: vec![[0; 4]; cells] }
    }

    /// All of it, in 1/65536 of a cubic metre.
    #[must_use]
    pub fn volume(&self) -> u64 {
        self.depths.iter().map(|depth| u64::from(*depth)).sum()
    }

    fn from_words(words: &[u32]) -> Self {
        let (depths, flows) = words.split_at(words.len() / 5);
        Self { depths: depths.to_vec(), flows: bytemuck::cast_slice(flows).to_vec() }
    }
}

impl Task {
    /// Water as it runs in games: little friction, a pull that is stable.
    #[must_use]
    pub fn new(steps: u32, water: Water) -> Self {
        Self { steps, keep: fixed::ONE - fixed::ONE / 64, pull: fixed::ONE / 6, rain: 0, springs: Vec::new(), water }
    }

    /// Units that the task charges on a terrain, exactly.
    #[must_use]
    pub fn units(&self, terrain: &Terrain) -> u64 {
        terrain.cells() as u64 * u64::from(self.steps)
    }

    /// What the shaders are told about it.
    #[must_use]
    pub fn params(&self, terrain: &Terrain) -> Params {
        let Self { keep, pull, rain, .. } = *self;
        Params { width: terrain.width, height: terrain.height, keep, pull, rain, springs: self.springs.len() as u32 }
    }

    /// Checks what only shows with the terrain at hand.
    ///
    /// # Errors
    /// A failure that names the value and the bound.
    pub fn check(&self, terrain: &Terrain) -> Result<(), Failure> {
        let cells = terrain.cells();
        if self.water.depths.len() != cells {
            let got = self.water.depths.len();
            return Err(Failure::bad_input(format_args!("water of {got} cells for a terrain of {cells}")));
        }
        if let Some(spring) = self.springs.iter().find(|spring| spring.cell as usize >= cells) {
            return Err(Failure::bad_input(format_args!("a spring in cell {} of {cells}", spring.cell)));
        }
        let units = self.units(terrain);
        if units > CELL_STEPS {
            return Err(Failure::bad_input(format_args!("{units} cells times steps, at most {CELL_STEPS}")));
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<(), Failure> {
        let one = i64::from(fixed::ONE);
        for (what, got, max) in [
            ("steps", i64::from(self.steps), i64::from(STEPS)),
            ("keep", i64::from(self.keep), one),
            ("pull", i64::from(self.pull), i64::from(PULL)),
            ("rain", i64::from(self.rain), i64::from(FLOW)),
        ] {
            if !(0..=max).contains(&got) {
                return Err(Failure::bad_input(format_args!("{what} is {got}, must be 0 to {max}")));
            }
        }
        if let Some(spring) = self.springs.iter().find(|spring| spring.flow.unsigned_abs() > FLOW) {
            return Err(Failure::bad_input(format_args!("a spring of {}, at most {FLOW} from zero", spring.flow)));
        }
        let deepest = self.water.depths.iter().chain(self.water.flows.as_flattened()).max();
        if let Some(depth) = deepest.filter(|depth| **depth > DEPTH) {
            return Err(Failure::bad_input(format_args!("water of {depth}, at most {DEPTH}")));
        }
        Ok(())
    }
}

impl Encode for Task {
    fn encode(self) -> Result<Vec<u8>, Failure> {
        let header = Header {
            magic: TASK_MAGIC,
            steps: self.steps,
            keep: self.keep,
            pull: self.pull,
            rain: self.rain,
            springs: self.springs.len() as u32,
            cells: self.water.depths.len() as u32,
            reserved: 0,
        };
        let mut bytes = bytemuck::bytes_of(&header).to_vec();
        bytes.extend_from_slice(bytemuck::cast_slice(&self.springs));
        bytes.extend(self.water.encode()?);
        Ok(bytes)
    }
}

impl Decode for Task {
    fn decode(bytes: Vec<u8>) -> Result<Self, Failure> {
        const HEADER_WORDS: usize = size_of::<Header>() / 4;
        let words = words(&bytes)?;
        let header = words.split_at_checked(HEADER_WORDS);
        let Some((header, rest)) = header.filter(|(header, _)| header[0] == TASK_MAGIC) else {
            return Err(Failure::bad_input("the input does not start with a header of P2FL"));
        };
        let header: Header = bytemuck::pod_read_unaligned(bytemuck::cast_slice(header));
        let (springs, cells) = (header.springs as usize, header.cells);
        if springs > SPRINGS || cells > CELLS {
            return Err(Failure::bad_input(format_args!(
                "{springs} springs and {cells} cells, at most {SPRINGS} and {CELLS}"
            )));
        }
        if rest.len() != springs * 2 + cells as usize * 5 {
            let got = rest.len() * 4;
            return Err(Failure::bad_input(format_args!("{got} bytes for {springs} springs and {cells} cells")));
        }
        let (springs, water) = rest.split_at(springs * 2);
        let task = Self {
            steps: header.steps,
            keep: header.keep,
            pull: header.pull,
            rain: header.rain,
            springs: bytemuck::cast_slice(springs).to_vec(),
            water: Water::from_words(water),
        };
        task.check_numbers()?;
        Ok(task)
    }
}

impl Encode for Water {
    fn encode(self) -> Result<Vec<u8>, Failure> {
        let mut bytes: Vec<u8> = bytemuck::cast_slice(&self.depths).to_vec();
        bytes.extend_from_slice(bytemuck::cast_slice(&self.flows));
        Ok(bytes)
    }
}

impl Decode for Water {
    fn decode(bytes: Vec<u8>) -> Result<Self, Failure> {
        let words = words(&bytes)?;
        if !words.len().is_multiple_of(5) {
            return Err(Failure::bad_input(format_args!("{} bytes, must be 20 for each cell", bytes.len())));
        }
        Ok(Self::from_words(&words))
    }
}

/// Little-endian words, wherever the bytes lie.
fn words(bytes: &[u8]) -> Result<Vec<u32>, Failure> {
    if !bytes.len().is_multiple_of(4) {
        return Err(Failure::bad_input(format_args!("{} bytes, not a multiple of 4", bytes.len())));
    }
    Ok(bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect())
}
