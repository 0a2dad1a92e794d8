//! Blob 0: voxels, what they are made of, and the light they stand in. Light and colour are Q16.16.

use bytemuck::{Pod, Zeroable};
use p2c2r_guest::{Failure, fixed};

use crate::limits::{LIGHT, MATERIALS, SIDE};

const MAGIC: u32 = u32::from_le_bytes(*b"P2VW");

/// What a surface does with light.
pub mod kind {
    /// Sends it everywhere.
    pub const MATT: u32 = 0;
    /// Reflects it, blurred by the roughness.
    pub const MIRROR: u32 = 1;
}

/// A cube of voxels under a sky.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct World {
    /// Voxels along each side: a multiple of 4, 4 to [`SIDE`].
    pub side: u32,
    /// Sky and sun.
    pub sky: Sky,
    /// Materials by number; that of 0, air, is not looked at.
    pub materials: Vec<Material>,
    /// A material's number each: x first, then z, then y, which is up.
    pub voxels: Vec<u8>,
}

/// Where light comes from that no voxel makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Sky {
    /// Direction to the sun, of length 1.
    pub sun: [i32; 3],
    /// What a white surface that faces the sun sends back.
    pub sun_light: [i32; 3],
    /// The sky straight above, and straight below.
    pub zenith: [i32; 3],
    /// The sky at the horizon.
    pub horizon: [i32; 3],
    /// Radius of the sun at a distance of 1, at most 1: how soft shadows are.
    pub softness: i32,
}

/// What a voxel is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Material {
    /// Share of light it sends back, 0 to 1 for red, green and blue.
    pub colour: [i32; 3],
    /// One of [`kind`].
    pub kind: u32,
    /// Light of its own.
    pub light: [i32; 3],
    /// Of a mirror, 0 to 1.
    pub roughness: i32,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Header {
    magic: u32,
    side: u32,
    materials: u32,
    sky: Sky,
}

impl World {
    /// The material at a place; 0 outside.
    #[must_use]
    pub fn voxel(&self, [x, y, z]: [i32; 3]) -> u8 {
        let side = self.side as i32;
        let inside = [x, y, z].iter().all(|at| (0..side).contains(at));
        if inside { self.voxels[((y * side + z) * side + x) as usize] } else { 0 }
    }

    /// The blob.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { side, sky, materials, voxels } = self;
        let header = Header { magic: MAGIC, side: *side, materials: materials.len() as u32, sky: *sky };
        let mut bytes = bytemuck::bytes_of(&header).to_vec();
        bytes.extend_from_slice(bytemuck::cast_slice(materials));
        bytes.extend_from_slice(voxels);
        bytes
    }

    /// Reads a blob.
    ///
    /// # Errors
    /// What is wrong with it, for the client that made it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        let wrong = |reason: std::fmt::Arguments<'_>| Failure::bad_input(format_args!("blob 0: {reason}"));
        let header = bytes.split_at_checked(size_of::<Header>());
        let Some((header, rest)) = header.filter(|(header, _)| header.starts_with(&MAGIC.to_le_bytes())) else {
            return Err(wrong(format_args!("does not start with a header of P2VW")));
        };
        let Header { magic: _, side, materials, sky } = bytemuck::pod_read_unaligned(header);
        if !(4..=SIDE).contains(&side) || side % 4 != 0 {
            return Err(wrong(format_args!("a side of {side}, must be a multiple of 4 up to {SIDE}")));
        }
        let count = materials as usize;
        let sizes = (count <= MATERIALS).then(|| (count * size_of::<Material>(), side.pow(3) as usize));
        let Some((materials, voxels)) = sizes
            .filter(|(materials, voxels)| rest.len() == materials + voxels)
            .map(|(materials, _)| rest.split_at(materials))
        else {
            let got = rest.len();
            return Err(wrong(format_args!(
                "{got} bytes for {count} materials, at most {MATERIALS}, and {side}^3 voxels"
            )));
        };
        let materials: Vec<Material> =
            materials.chunks_exact(size_of::<Material>()).map(bytemuck::pod_read_unaligned).collect();
        if let Some(voxel) = voxels.iter().find(|voxel| **voxel > 0 && **voxel as usize >= count) {
            return Err(wrong(format_args!("a voxel of material {voxel} of {count}")));
        }
        let numbers = [
            ("light", sky.sun_light, LIGHT),
            ("light", sky.zenith, LIGHT),
            ("light", sky.horizon, LIGHT),
            ("direction of the sun", sky.sun.map(fixed::abs), fixed::ONE),
            ("softness", [sky.softness; 3], fixed::ONE),
        ];
        let of_materials = materials.iter().flat_map(|material| {
            [
                ("colour", material.colour, fixed::ONE),
                ("light", material.light, LIGHT),
                ("roughness", [material.roughness; 3], fixed::ONE),
                ("kind", [material.kind as i32; 3], kind::MIRROR as i32),
            ]
        });
        for (what, values, max) in numbers.into_iter().chain(of_materials) {
            if let Some(bad) = values.iter().find(|value| !(0..=max).contains(*value)) {
                return Err(wrong(format_args!("a {what} of {bad}, must be 0 to {max}")));
            }
        }
        Ok(Self { side, sky, materials, voxels: voxels.to_vec() })
    }
}
