//! The input: how a picture is taken, and which of its rows this task makes. Lengths are Q16.16 voxels, y is up.

use bytemuck::{Pod, Zeroable};
use p2c2r_guest::{Decode, Encode, Failure, fixed};

use crate::limits::{BOUNCES, LIGHT, PLACE, SAMPLES, SIDE_PIXELS, TASK_PIXELS};
use crate::world::World;

const MAGIC: u32 = u32::from_le_bytes(*b"P2VF");

/// Camera and quality: the header, 64 bytes, repeated in front of every part of a split task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Pixels across, 1 to [`SIDE_PIXELS`].
    pub width: u32,
    /// Pixels down, 1 to [`SIDE_PIXELS`].
    pub height: u32,
    /// Camera paths a pixel, 1 to [`SAMPLES`].
    pub samples: u32,
    /// Surfaces a path may meet, 1 to [`BOUNCES`].
    pub bounces: u32,
    /// Picks the noise; the same seed makes the same picture.
    pub seed: u32,
    /// Factor on the light before tone mapping.
    pub exposure: i32,
    /// Tangent of half the vertical angle of view, above 0 and at most 16.
    pub zoom: i32,
    /// Where the camera is, within [`PLACE`].
    pub eye: [i32; 3],
    /// What it looks at, within [`PLACE`].
    pub target: [i32; 3],
}

/// The kernel's input: a frame and row numbers, top row 0. The output is `3 * width` bytes of RGB a row, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// The header.
    pub frame: Frame,
    /// The items, 4 bytes each.
    pub rows: Vec<u32>,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Header {
    magic: u32,
    width: u32,
    height: u32,
    samples: u32,
    bounces: u32,
    seed: u32,
    exposure: i32,
    zoom: i32,
    eye: [i32; 3],
    target: [i32; 3],
    reserved: [u32; 2],
}

const _: () = assert!(size_of::<Header>() == Frame::BYTES);

impl Frame {
    /// Bytes of the header.
    pub const BYTES: usize = 64;

    /// The view of [`World::island`] from over the water that the example draws.
    #[must_use]
    pub fn harbour(world: &World, width: u32, height: u32, samples: u32) -> Self {
        // In percent of a side.
        let place = |x: i32, y: i32, z: i32| [x, y, z].map(|at| fixed::of(world.side as i32) / 100 * at);
        Self {
            width,
            height,
            samples,
            bounces: 5,
            seed: 1,
            exposure: fixed::ONE * 9 / 10,
            zoom: fixed::ONE * 36 / 100,
            eye: place(128, 62, 152),
            target: place(50, 25, 48),
        }
    }

    /// All rows of the picture, as one task.
    #[must_use]
    pub fn all_rows(self) -> Rows {
        Rows { frame: self, rows: (0..self.height).collect() }
    }

    /// Units that a task of `rows` rows of this frame charges, exactly.
    #[must_use]
    pub fn units(&self, rows: usize) -> u64 {
        u64::from(self.width) * u64::from(self.samples) * rows as u64
    }

    fn check(&self) -> Result<(), Failure> {
        let at_most = |what: &str, got: u32, max: u32| match (1..=max).contains(&got) {
            true => Ok(()),
            false => Err(Failure::bad_input(format_args!("{what} is {got}, must be 1 to {max}"))),
        };
        at_most("width", self.width, SIDE_PIXELS)?;
        at_most("height", self.height, SIDE_PIXELS)?;
        at_most("samples", self.samples, SAMPLES)?;
        at_most("bounces", self.bounces, BOUNCES)?;
        // A negative number is a large one here.
        at_most("zoom", self.zoom as u32, fixed::of(16) as u32)?;
        at_most("exposure", self.exposure as u32, LIGHT as u32)?;
        if let Some(far) = self.eye.iter().chain(&self.target).find(|at| at.unsigned_abs() > PLACE as u32) {
            return Err(Failure::bad_input(format_args!("eye or target is at {far}, at most {PLACE} from zero")));
        }
        Ok(())
    }
}

impl Encode for Rows {
    fn encode(self) -> Result<Vec<u8>, Failure> {
        let Frame { width, height, samples, bounces, seed, exposure, zoom, eye, target } = self.frame;
        let header = Header {
            magic: MAGIC,
            width,
            height,
            samples,
            bounces,
            seed,
            exposure,
            zoom,
            eye,
            target,
            reserved: [0; 2],
        };
        let mut bytes = bytemuck::bytes_of(&header).to_vec();
        bytes.extend_from_slice(bytemuck::cast_slice(&self.rows));
        Ok(bytes)
    }
}

impl Decode for Rows {
    fn decode(bytes: Vec<u8>) -> Result<Self, Failure> {
        let whole = bytes.split_at_checked(Frame::BYTES).filter(|(_, rows)| rows.len() % 4 == 0);
        let Some((header, rows)) = whole else {
            let (got, header) = (bytes.len(), Frame::BYTES);
            return Err(Failure::bad_input(format_args!("{got} bytes of input, must be {header} and 4 for each row")));
        };
        let header: Header = bytemuck::pod_read_unaligned(header);
        let Header { magic, width, height, samples, bounces, seed, exposure, zoom, eye, target, reserved: _ } = header;
        if magic != MAGIC {
            return Err(Failure::bad_input(format_args!("input starts with {magic:08x}, not with P2VF")));
        }
        let frame = Frame { width, height, samples, bounces, seed, exposure, zoom, eye, target };
        frame.check()?;
        let rows: Vec<u32> = rows.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect();
        if let Some(row) = rows.iter().find(|row| **row >= height) {
            return Err(Failure::bad_input(format_args!("row {row} of a picture of {height} rows")));
        }
        let pixels = rows.len() as u64 * u64::from(width);
        if pixels > TASK_PIXELS {
            return Err(Failure::bad_input(format_args!("{pixels} pixels, at most {TASK_PIXELS} are made at once")));
        }
        Ok(Self { frame, rows })
    }
}
