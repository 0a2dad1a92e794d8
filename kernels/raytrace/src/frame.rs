//! The input: how an image is taken, and which of its rows this task makes.

use bytemuck::{Pod, Zeroable};
use p2c2r_guest::{Decode, Encode, Failure};

use crate::limits::{BOUNCES, SAMPLES, SIDE_PIXELS, TASK_PIXELS};
use crate::vector::{Vec3, vec3};

const MAGIC: u32 = u32::from_le_bytes(*b"P2RF");

/// Camera and quality: the header, 64 bytes, repeated in front of every part of a split task.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    /// Pixels across, 1 to [`SIDE_PIXELS`].
    pub width: u32,
    /// Pixels down, 1 to [`SIDE_PIXELS`].
    pub height: u32,
    /// Camera paths a pixel, 1 to [`SAMPLES`].
    pub samples: u32,
    /// Surfaces a path may meet, 1 to [`BOUNCES`].
    pub bounces: u32,
    /// Picks the noise; the same seed makes the same image.
    pub seed: u32,
    /// Factor on the light before tone mapping.
    pub exposure: f32,
    /// Where the camera is.
    pub eye: Vec3,
    /// What it looks at.
    pub target: Vec3,
    /// Tangent of half the vertical angle of view.
    pub zoom: f32,
    /// Radius of the lens; 0 is sharp everywhere.
    pub aperture: f32,
    /// Distance that is sharp.
    pub focus: f32,
}

/// The kernel's input: a frame and row numbers, top row 0. The output is `3 * width` bytes of RGB a row, in their order.
#[derive(Debug, Clone, PartialEq)]
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
    exposure: f32,
    zoom: f32,
    eye: Vec3,
    aperture: f32,
    target: Vec3,
    focus: f32,
}

const _: () = assert!(size_of::<Header>() == Frame::BYTES);

impl Frame {
    /// Bytes of the header.
    pub const BYTES: usize = 64;

    /// The view of [`Scene::studio`](crate::Scene::studio) that the demo shows.
    #[must_use]
    pub fn studio(width: u32, height: u32, samples: u32) -> Self {
        Self {
            width,
            height,
            samples,
            bounces: 6,
            seed: 1,
            exposure: 0.92,
            eye: vec3(0.55, 1.75, 5.6),
            target: vec3(0.02, 0.82, 0.0),
            zoom: 0.30,
            aperture: 0.025,
            focus: 5.2,
        }
    }

    /// All rows of the image, as one task.
    #[must_use]
    pub fn all_rows(self) -> Rows {
        Rows { frame: self, rows: (0..self.height).collect() }
    }

    /// Units that a task of `rows` rows of this frame charges, exactly.
    #[must_use]
    pub fn units(&self, rows: usize) -> u64 {
        u64::from(self.width) * u64::from(self.samples) * rows as u64
    }

    /// What is out of bounds, if anything.
    ///
    /// # Errors
    /// A failure that names the value and the bound.
    fn check(&self) -> Result<(), Failure> {
        for (what, got, max) in [
            ("width", self.width, SIDE_PIXELS),
            ("height", self.height, SIDE_PIXELS),
            ("samples", self.samples, SAMPLES),
            ("bounces", self.bounces, BOUNCES),
        ] {
            if got == 0 || got > max {
                return Err(Failure::bad_input(format_args!("{what} is {got}, must be 1 to {max}")));
            }
        }
        let numbers = [self.exposure, self.zoom, self.aperture, self.focus];
        let places = [self.eye.to_array(), self.target.to_array()];
        if let Some(bad) = numbers.iter().chain(places.iter().flatten()).find(|v| v.abs() >= 1e6 || v.is_nan()) {
            return Err(Failure::bad_input(format_args!("a camera value is {bad}, must be under 1e6")));
        }
        if self.zoom <= 0.0 || self.focus <= 0.0 || self.exposure < 0.0 || self.aperture < 0.0 {
            return Err(Failure::bad_input("zoom and focus must be above 0, exposure and aperture not under"));
        }
        Ok(())
    }
}

impl Rows {
    /// The task's bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let f = &self.frame;
        let header = Header {
            magic: MAGIC,
            width: f.width,
            height: f.height,
            samples: f.samples,
            bounces: f.bounces,
            seed: f.seed,
            exposure: f.exposure,
            zoom: f.zoom,
            eye: f.eye,
            aperture: f.aperture,
            target: f.target,
            focus: f.focus,
        };
        let mut bytes = bytemuck::bytes_of(&header).to_vec();
        bytes.extend_from_slice(bytemuck::cast_slice(&self.rows));
        bytes
    }
}

impl Encode for Rows {
    fn encode(self) -> Result<Vec<u8>, Failure> {
        Ok(self.to_bytes())
    }
}

impl Decode for Rows {
    fn decode(bytes: Vec<u8>) -> Result<Self, Failure> {
        let whole = bytes.split_at_checked(Frame::BYTES).filter(|(_, rows)| rows.len() % 4 == 0);
        let Some((header, rows)) = whole else {
            return Err(Failure::bad_input(format_args!(
                "{} bytes of input, must be {} and 4 for each row",
                bytes.len(),
                Frame::BYTES
            )));
        };
        let h: Header = bytemuck::pod_read_unaligned(header);
        if h.magic != MAGIC {
            return Err(Failure::bad_input(format_args!("input starts with {:08x}, not with P2RF", h.magic)));
        }
        let frame = Frame {
            width: h.width,
            height: h.height,
            samples: h.samples,
            bounces: h.bounces,
            seed: h.seed,
            exposure: h.exposure,
            eye: h.eye,
            target: h.target,
            zoom: h.zoom,
            aperture: h.aperture,
            focus: h.focus,
        };
        frame.check()?;
        let rows: Vec<u32> = rows.chunks_exact(4).map(|r| u32::from_le_bytes([r[0], r[1], r[2], r[3]])).collect();
        if let Some(row) = rows.iter().find(|row| **row >= frame.height) {
            return Err(Failure::bad_input(format_args!("row {row} of an image of {} rows", frame.height)));
        }
        let pixels = rows.len() as u64 * u64::from(frame.width);
        if pixels > TASK_PIXELS {
            return Err(Failure::bad_input(format_args!("{pixels} pixels, at most {TASK_PIXELS} are made at once")));
        }
        Ok(Self { frame, rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_round_trips() {
        let rows = Rows { rows: vec![5, 2], ..Frame::studio(7, 9, 3).all_rows() };
        let bytes = rows.to_bytes();
        assert_eq!(bytes.len(), Frame::BYTES + 8);
        assert_eq!(Rows::decode(bytes).unwrap(), rows);
    }

    #[test]
    fn bad_input_is_named() {
        let good = Frame::studio(8, 8, 1);
        for (rows, needle) in [
            (Frame { width: 0, ..good }.all_rows(), "width is 0"),
            (Frame { width: 4097, ..good }.all_rows(), "4096"),
            (Frame { samples: 1025, ..good }.all_rows(), "samples is 1025"),
            (Frame { bounces: 9, ..good }.all_rows(), "bounces is 9"),
            (Frame { zoom: f32::NAN, ..good }.all_rows(), "NaN"),
            (Frame { eye: vec3(0.0, f32::INFINITY, 0.0), ..good }.all_rows(), "inf"),
            (Frame { focus: 0.0, ..good }.all_rows(), "focus"),
            (Rows { frame: good, rows: vec![8] }, "row 8"),
            (Rows { frame: Frame { width: 4096, ..good }, rows: vec![0; 257] }, "1048576"),
        ] {
            let failure = Rows::decode(rows.to_bytes()).unwrap_err();
            assert!(failure.message().contains(needle), "{failure}");
        }
        let bytes = good.all_rows().to_bytes();
        for cut in [0, 4, 63, bytes.len() - 1] {
            assert!(Rows::decode(bytes[..cut].to_vec()).is_err(), "{cut}");
        }
        assert!(Rows::decode([b"nope", &bytes[4..]].concat()).is_err());
    }
}
