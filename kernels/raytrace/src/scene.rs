//! What is seen: a mesh, a few spheres, a floor, a rectangular lamp and a sky. Its bytes are blob 0 of every task.
//!
//! Layout, all little-endian words of 4 bytes: `P2RT`, version 1, number of vertices, triangles, nodes, spheres,
//! materials, 0; then [`Environment`], the spheres, the materials, the nodes of the BVH, the vertices, the triangles,
//! each as its `repr(C)` type says.

use bytemuck::{Pod, Zeroable};

use crate::bvh::{self, Node};
use crate::limits::{DEPTH, LEAF_TRIANGLES, MATERIALS, SCENE_BYTES, SPHERES, TRIANGLES};
use crate::mesh::Mesh;
use crate::vector::{Vec3, vec3};

const MAGIC: u32 = u32::from_le_bytes(*b"P2RT");
const VERSION: u32 = 1;

/// Everything there is to trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Sky, lamp and floor.
    pub environment: Environment,
    /// At most [`SPHERES`].
    pub spheres: Vec<Sphere>,
    /// At most [`MATERIALS`].
    pub materials: Vec<Material>,
    /// BVH over the triangles, root first; empty without triangles.
    pub nodes: Vec<Node>,
    /// Vertices of the mesh.
    pub vertices: Vec<Vertex>,
    /// Triangles in the order of the BVH.
    pub triangles: Vec<Triangle>,
}

/// Sky, lamp and floor.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Environment {
    /// Radiance straight up.
    pub zenith: Vec3,
    /// Distance from the origin at which the floor begins to fade into the horizon.
    pub fade_near: f32,
    /// Radiance at the horizon and below.
    pub horizon: Vec3,
    /// Distance at which it has faded.
    pub fade_far: f32,
    /// A corner of the lamp.
    pub lamp_corner: Vec3,
    /// Material of the floor `y = 0`; no floor if there is no such material.
    pub floor_material: u32,
    /// One edge of the lamp.
    pub lamp_u: Vec3,
    /// Its area; no lamp if 0.
    pub lamp_area: f32,
    /// The other edge; it shines to the side of `u x v`.
    pub lamp_v: Vec3,
    /// Not used.
    pub reserved: f32,
    /// Radiance of the lamp.
    pub lamp_light: Vec3,
    /// Not used.
    pub reserved2: f32,
}

/// A ball.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Sphere {
    /// Centre.
    pub centre: Vec3,
    /// Radius.
    pub radius: f32,
    /// Its material.
    pub material: u32,
    /// Not used.
    pub reserved: [u32; 3],
}

/// How a surface scatters light.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Material {
    /// Reflectance; of glass, transmittance.
    pub colour: Vec3,
    /// One of [`kind`].
    pub kind: u32,
    /// Second colour of a checkerboard.
    pub colour2: Vec3,
    /// Blur of reflections, 0 is a mirror.
    pub roughness: f32,
    /// Index of refraction.
    pub index: f32,
    /// Side of a square of the checkerboard; 0 for none.
    pub check: f32,
    /// Not used.
    pub reserved: [u32; 2],
}

/// Kinds of material.
pub mod kind {
    /// Lambert's.
    pub const MATT: u32 = 0;
    /// Coloured mirror.
    pub const METAL: u32 = 1;
    /// Clear dielectric.
    pub const GLASS: u32 = 2;
    /// Matt under a clear coat.
    pub const COATED: u32 = 3;
}

/// A corner of triangles.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Vertex {
    /// Position.
    pub position: Vec3,
    /// Unit normal.
    pub normal: Vec3,
}

/// Three vertices and a material.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Triangle {
    /// Numbers of the vertices.
    pub vertices: [u32; 3],
    /// Number of the material.
    pub material: u32,
}

/// A blob that is no scene.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SceneError {
    /// Not one of ours.
    #[error("scene starts with {0:08x?}, not with P2RT and version 1")]
    Magic([u32; 2]),
    /// A count over its limit.
    #[error("scene has {got} {what}, at most {max} are allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        got: u32,
        /// The bound.
        max: u32,
    },
    /// Too short or too long for its counts.
    #[error("scene is {got} bytes, its counts make {want}")]
    Length {
        /// Bytes there are.
        got: usize,
        /// Bytes there must be.
        want: usize,
    },
    /// A number that refers to nothing, or a tree that is none.
    #[error("{what} {index} of the scene is broken")]
    Broken {
        /// What.
        what: &'static str,
        /// Which.
        index: usize,
    },
}

impl Scene {
    /// The demo's picture: the mesh in coloured glaze on a polished floor, with balls of gold, glass and glaze, under a
    /// soft lamp.
    #[must_use]
    pub fn studio(mesh: &Mesh) -> Self {
        let coated =
            |colour, roughness| Material { colour, kind: kind::COATED, roughness, index: 1.5, ..Material::zeroed() };
        let metal = |colour, roughness| Material { colour, kind: kind::METAL, roughness, ..Material::zeroed() };
        let materials = vec![
            Material { colour2: vec3(0.06, 0.07, 0.09), check: 0.6, ..coated(vec3(0.62, 0.60, 0.56), 0.02) },
            coated(vec3(0.74, 0.20, 0.09), 0.05),
            metal(vec3(1.0, 0.76, 0.33), 0.06),
            Material { colour: vec3(0.96, 0.99, 0.98), kind: kind::GLASS, index: 1.5, ..Material::zeroed() },
            coated(vec3(0.05, 0.30, 0.42), 0.02),
            metal(vec3(0.93, 0.94, 0.96), 0.0),
            coated(vec3(0.80, 0.62, 0.12), 0.05),
        ];
        let ball = |x, z, radius, material| Sphere { centre: vec3(x, radius, z), radius, material, reserved: [0; 3] };
        let spheres = vec![
            ball(-1.75, -0.75, 0.75, 2),
            ball(1.42, 0.62, 0.46, 3),
            ball(-1.05, 1.10, 0.24, 4),
            ball(1.95, -0.95, 0.62, 5),
            ball(0.52, 1.35, 0.17, 6),
        ];
        let (lamp_u, lamp_v) = (vec3(3.4, 0.0, 0.0), vec3(0.0, -1.5, 3.0));
        let environment = Environment {
            zenith: vec3(0.10, 0.17, 0.36),
            horizon: vec3(0.40, 0.44, 0.52),
            fade_near: 7.0,
            fade_far: 26.0,
            lamp_corner: vec3(-4.9, 5.6, 0.2),
            lamp_u,
            lamp_v,
            lamp_area: lamp_u.cross(lamp_v).length(),
            lamp_light: vec3(9.6, 8.3, 6.6),
            floor_material: 0,
            ..Environment::zeroed()
        };
        Self::new(environment, spheres, materials, &mesh.placed(2.0, [0.94, 0.3412]), 1)
    }

    /// A scene with its tree; every triangle of `mesh` of the same material.
    #[must_use]
    pub fn new(
        environment: Environment,
        spheres: Vec<Sphere>,
        materials: Vec<Material>,
        mesh: &Mesh,
        material: u32,
    ) -> Self {
        let corners = mesh.positions.iter().zip(&mesh.normals);
        let vertices: Vec<_> = corners.map(|(p, n)| Vertex { position: *p, normal: *n }).collect();
        let mut triangles: Vec<_> = mesh.triangles.iter().map(|t| Triangle { vertices: *t, material }).collect();
        let nodes = if triangles.is_empty() { Vec::new() } else { bvh::build(&vertices, &mut triangles) };
        Self { environment, spheres, materials, nodes, vertices, triangles }
    }

    /// The blob.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let counts = [
            MAGIC,
            VERSION,
            self.vertices.len() as u32,
            self.triangles.len() as u32,
            self.nodes.len() as u32,
            self.spheres.len() as u32,
            self.materials.len() as u32,
            0,
        ];
        let mut bytes = Vec::new();
        bytes.extend_from_slice(bytemuck::bytes_of(&counts));
        bytes.extend_from_slice(bytemuck::bytes_of(&self.environment));
        bytes.extend_from_slice(bytemuck::cast_slice(&self.spheres));
        bytes.extend_from_slice(bytemuck::cast_slice(&self.materials));
        bytes.extend_from_slice(bytemuck::cast_slice(&self.nodes));
        bytes.extend_from_slice(bytemuck::cast_slice(&self.vertices));
        bytes.extend_from_slice(bytemuck::cast_slice(&self.triangles));
        bytes
    }

    /// Reads a blob and checks everything tracing relies on: every number refers to something, the tree is one and not
    /// too deep.
    ///
    /// # Errors
    /// [`SceneError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, SceneError> {
        let mut rest = bytes;
        let counts: [u32; 8] = one(&mut rest).unwrap_or_default();
        let [magic, version, vertices, triangles, nodes, spheres, materials, _] = counts;
        if [magic, version] != [MAGIC, VERSION] {
            return Err(SceneError::Magic([magic, version]));
        }
        for (what, got, max) in [
            ("vertices", vertices, TRIANGLES),
            ("triangles", triangles, TRIANGLES),
            ("nodes", nodes, 2 * TRIANGLES),
            ("spheres", spheres, SPHERES as u32),
            ("materials", materials, MATERIALS as u32),
            ("bytes", u32::try_from(bytes.len()).unwrap_or(u32::MAX), SCENE_BYTES as u32),
        ] {
            if got > max {
                return Err(SceneError::TooMany { what, got, max });
            }
        }
        // All counts are bounded above: no product here overflows.
        let want = size_of_val(&counts)
            + size_of::<Environment>()
            + spheres as usize * size_of::<Sphere>()
            + materials as usize * size_of::<Material>()
            + nodes as usize * size_of::<Node>()
            + vertices as usize * size_of::<Vertex>()
            + triangles as usize * size_of::<Triangle>();
        let short = SceneError::Length { got: bytes.len(), want };
        if bytes.len() != want {
            return Err(short);
        }
        let scene = Self {
            environment: one(&mut rest).ok_or(short.clone())?,
            spheres: many(&mut rest, spheres).ok_or(short.clone())?,
            materials: many(&mut rest, materials).ok_or(short.clone())?,
            nodes: many(&mut rest, nodes).ok_or(short.clone())?,
            vertices: many(&mut rest, vertices).ok_or(short.clone())?,
            triangles: many(&mut rest, triangles).ok_or(short)?,
        };
        scene.check()?;
        Ok(scene)
    }

    fn check(&self) -> Result<(), SceneError> {
        let broken = |what, index| SceneError::Broken { what, index };
        let floats = |values: &[f32]| values.iter().all(|v| v.abs() < 1e6);
        let known = |material: u32| (material as usize) < self.materials.len();
        let e = &self.environment;
        if ![e.zenith, e.horizon, e.lamp_corner, e.lamp_u, e.lamp_v, e.lamp_light].iter().all(|v| floats(&v.to_array()))
            || !floats(&[e.fade_near, e.fade_far, e.lamp_area])
        {
            return Err(broken("environment", 0));
        }
        let bad = self.spheres.iter().position(|s| {
            !known(s.material) || !floats(&s.centre.to_array()) || s.radius <= 0.0 || !floats(&[s.radius])
        });
        bad.map_or(Ok(()), |i| Err(broken("sphere", i)))?;
        let bad = self.materials.iter().position(|m| {
            !floats(&m.colour.to_array())
                || !floats(&m.colour2.to_array())
                || !floats(&[m.roughness, m.index, m.check])
                || (m.kind == kind::GLASS && m.index < 1.0)
        });
        bad.map_or(Ok(()), |i| Err(broken("material", i)))?;
        let bad = self.vertices.iter().position(|v| !floats(&v.position.to_array()) || !floats(&v.normal.to_array()));
        bad.map_or(Ok(()), |i| Err(broken("vertex", i)))?;
        let bad = self
            .triangles
            .iter()
            .position(|t| !known(t.material) || t.vertices.iter().any(|v| *v as usize >= self.vertices.len()));
        bad.map_or(Ok(()), |i| Err(broken("triangle", i)))?;
        self.check_tree().map_or(Ok(()), |i| Err(broken("node", i)))
    }

    /// A node that breaks the tree. Children come after their parents, so no walk can go in circles.
    fn check_tree(&self) -> Option<usize> {
        let mut depth = vec![0u32; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            let first = node.first as usize;
            let fits = if node.count > 0 {
                node.count <= LEAF_TRIANGLES && first + node.count as usize <= self.triangles.len()
            } else {
                first > index && first + 1 < self.nodes.len() && depth[index] + 1 < DEPTH
            };
            let corners = [node.low.to_array(), node.high.to_array()];
            if !fits || !corners.iter().flatten().all(|v| v.abs() < 1e6) {
                return Some(index);
            }
            if node.count == 0 {
                for child in [first, first + 1] {
                    depth[child] = depth[child].max(depth[index] + 1);
                }
            }
        }
        None
    }
}

fn one<T: Pod>(rest: &mut &[u8]) -> Option<T> {
    let (head, tail) = rest.split_at_checked(size_of::<T>())?;
    *rest = tail;
    Some(bytemuck::pod_read_unaligned(head))
}

fn many<T: Pod>(rest: &mut &[u8], count: u32) -> Option<Vec<T>> {
    let (head, tail) = rest.split_at_checked(count as usize * size_of::<T>())?;
    *rest = tail;
    let mut values = vec![T::zeroed(); count as usize];
    bytemuck::cast_slice_mut(&mut values).copy_from_slice(head);
    Some(values)
}
