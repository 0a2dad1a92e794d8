//! Triangle meshes with smooth normals: from a Wavefront OBJ file, or made up.

use std::collections::BTreeMap;

use crate::limits::TRIANGLES;
use crate::vector::{Vec3, vec3};

/// Vertices, one normal each, and triangles of vertex numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mesh {
    /// Positions.
    pub positions: Vec<Vec3>,
    /// Unit normals, one a position.
    pub normals: Vec<Vec3>,
    /// Counter-clockwise seen from outside.
    pub triangles: Vec<[u32; 3]>,
}

/// An OBJ file that is no mesh.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MeshError {
    /// A line that cannot be read.
    #[error("line {line}: {reason}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing to trace.
    #[error("no triangles")]
    Empty,
    /// Too much to trace.
    #[error("more than {TRIANGLES} triangles or vertices")]
    TooLarge,
}

impl Mesh {
    /// Reads the `v` and `f` lines of an OBJ file; polygons are cut into triangles, everything else is skipped.
    /// Normals are the average of the faces around a vertex, weighted by area.
    ///
    /// # Errors
    /// [`MeshError`] with the line.
    pub fn from_obj(text: &str) -> Result<Self, MeshError> {
        let mut mesh = Self::default();
        for (index, line) in text.lines().enumerate() {
            let wrong = |reason: String| MeshError::Line { line: index + 1, reason };
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("v") => mesh.positions.push(position(words).map_err(wrong)?),
                Some("f") => face(words, &mut mesh).map_err(wrong)?,
                _ => {}
            }
            if mesh.positions.len() > TRIANGLES as usize || mesh.triangles.len() > TRIANGLES as usize {
                return Err(MeshError::TooLarge);
            }
        }
        if mesh.triangles.is_empty() {
            return Err(MeshError::Empty);
        }
        mesh.smooth();
        Ok(mesh)
    }

    /// A torus knot of type (2, 3): what is shown when no mesh is at hand. 12,288 triangles.
    #[must_use]
    pub fn procedural() -> Self {
        const AROUND: u32 = 256;
        const ACROSS: u32 = 24;
        let mut mesh = Self::default();
        let centre = |step: u32| {
            let [c2, s2] = turn(2 * step, AROUND);
            let [c3, s3] = turn(3 * step, AROUND);
            let r = 2.0 + c3;
            vec3(r * c2, r * s2, s3 * 1.1)
        };
        for step in 0..AROUND {
            let at = centre(step);
            let along = (centre(step + 1) - at).normalised_or(vec3(1.0, 0.0, 0.0));
            let side = along.cross(vec3(0.1, 0.2, 1.0)).normalised_or(vec3(0.0, 1.0, 0.0));
            let up = side.cross(along);
            for corner in 0..ACROSS {
                let [c, s] = turn(corner, ACROSS);
                mesh.positions.push(at + (side * c + up * s) * 0.55);
                let next = |a: u32, b: u32| ((step + a) % AROUND) * ACROSS + (corner + b) % ACROSS;
                mesh.triangles.push([next(0, 0), next(1, 0), next(0, 1)]);
                mesh.triangles.push([next(1, 0), next(1, 1), next(0, 1)]);
            }
        }
        mesh.smooth();
        mesh
    }

    /// One step of Loop subdivision (Loop 1987, with Warren's weights): four triangles for each, a smoother surface.
    /// Returns the mesh as it is if that would pass the limit.
    #[must_use]
    pub fn subdivided(&self) -> Self {
        if self.triangles.len() * 4 > TRIANGLES as usize {
            return self.clone();
        }
        // Edges in order of their vertices: numbering must not depend on a hasher.
        let mut edges: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
        for t in &self.triangles {
            for k in 0..3 {
                edges.entry(ordered(t[k], t[(k + 1) % 3])).or_default().push(t[(k + 2) % 3]);
            }
        }
        let at = |v: u32| self.positions[v as usize];
        let mut positions = Vec::with_capacity(self.positions.len() + edges.len());
        let mut rings = vec![(Vec3::default(), 0u32); self.positions.len()];
        let mut rims = vec![(Vec3::default(), 0u32); self.positions.len()];
        for (&(a, b), opposite) in &edges {
            let around = if opposite.len() == 2 { &mut rings } else { &mut rims };
            for (v, other) in [(a, b), (b, a)] {
                around[v as usize].0 = around[v as usize].0 + at(other);
                around[v as usize].1 += 1;
            }
        }
        for (v, position) in self.positions.iter().enumerate() {
            positions.push(match (rings[v], rims[v]) {
                (_, (sum, 2)) => *position * 0.75 + sum * 0.125,
                ((sum, n), (_, 0)) if n >= 3 => {
                    let beta = if n == 3 { 3.0 / 16.0 } else { 3.0 / (8.0 * n as f32) };
                    *position * (1.0 - n as f32 * beta) + sum * beta
                }
                _ => *position,
            });
        }
        let mut middle = BTreeMap::new();
        for (&(a, b), opposite) in &edges {
            middle.insert((a, b), positions.len() as u32);
            positions.push(match opposite.as_slice() {
                [c, d] => (at(a) + at(b)) * 0.375 + (at(*c) + at(*d)) * 0.125,
                _ => (at(a) + at(b)) * 0.5,
            });
        }
        let mut triangles = Vec::with_capacity(self.triangles.len() * 4);
        for &[a, b, c] in &self.triangles {
            let [ab, bc, ca] = [(a, b), (b, c), (c, a)].map(|(p, q)| middle[&ordered(p, q)]);
            triangles.extend([[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]]);
        }
        let mut mesh = Self { positions, normals: Vec::new(), triangles };
        mesh.smooth();
        mesh
    }

    /// Moved and scaled: standing on `y = 0`, centred over the origin, `height` high, turned by the angle with this cosine
    /// and sine around the vertical.
    #[must_use]
    pub fn placed(&self, height: f32, [cos, sin]: [f32; 2]) -> Self {
        let low = self.positions.iter().copied().fold(Vec3::splat(f32::MAX), Vec3::min);
        let high = self.positions.iter().copied().fold(Vec3::splat(f32::MIN), Vec3::max);
        let scale = height / (high.y - low.y).max(1e-6);
        let middle = (low + high) * 0.5;
        let turned = |v: Vec3| vec3(cos * v.x + sin * v.z, v.y, cos * v.z - sin * v.x);
        let place = |p: &Vec3| turned((*p - vec3(middle.x, low.y, middle.z)) * scale);
        Self {
            positions: self.positions.iter().map(place).collect(),
            normals: self.normals.iter().map(|n| turned(*n)).collect(),
            triangles: self.triangles.clone(),
        }
    }

    fn smooth(&mut self) {
        let mut sums = vec![Vec3::default(); self.positions.len()];
        for t in &self.triangles {
            let [a, b, c] = t.map(|v| self.positions[v as usize]);
            let area = (b - a).cross(c - a);
            for v in t {
                sums[*v as usize] = sums[*v as usize] + area;
            }
        }
        self.normals = sums.into_iter().map(|n| n.normalised_or(vec3(0.0, 1.0, 0.0))).collect();
    }
}

fn position<'a>(words: impl Iterator<Item = &'a str>) -> Result<Vec3, String> {
    let mut numbers = [0f32; 3];
    let mut found = 0;
    for (slot, word) in numbers.iter_mut().zip(words) {
        *slot =
            word.parse().ok().filter(|n: &f32| n.abs() < 1e9).ok_or_else(|| format!("{word:?} is no coordinate"))?;
        found += 1;
    }
    if found < 3 {
        Err(format!("{found} coordinates, 3 are needed"))
    } else {
        Ok(vec3(numbers[0], numbers[1], numbers[2]))
    }
}

fn face<'a>(words: impl Iterator<Item = &'a str>, mesh: &mut Mesh) -> Result<(), String> {
    let count = mesh.positions.len();
    let mut corners = Vec::with_capacity(4);
    for word in words.take(64) {
        let number = word.split('/').next().unwrap_or_default();
        let index = match number.parse::<i64>() {
            Ok(n) if n > 0 => usize::try_from(n - 1).ok(),
            Ok(n) if n < 0 => n.checked_neg().and_then(|n| count.checked_sub(usize::try_from(n).ok()?)),
            _ => None,
        };
        let index = index.filter(|i| *i < count).ok_or_else(|| format!("{word:?} names none of {count} vertices"))?;
        corners.push(index as u32);
    }
    if corners.len() < 3 {
        return Err(format!("a face of {} vertices", corners.len()));
    }
    mesh.triangles.extend((2..corners.len()).map(|k| [corners[0], corners[k - 1], corners[k]]));
    Ok(())
}

const fn ordered(a: u32, b: u32) -> (u32, u32) {
    if a < b { (a, b) } else { (b, a) }
}

/// Cosine and sine of `step` of `steps` of a turn, in double precision by Taylor's series: the same everywhere.
fn turn(step: u32, steps: u32) -> [f32; 2] {
    let mut a = f64::from(step % steps) / f64::from(steps);
    if a > 0.5 {
        a -= 1.0;
    }
    a *= core::f64::consts::TAU;
    let (mut cos, mut sin, mut term) = (0.0, 0.0, 1.0);
    for n in 0..24u32 {
        match n % 4 {
            0 => cos += term,
            1 => sin += term,
            2 => cos -= term,
            _ => sin -= term,
        }
        term *= a / f64::from(n + 1);
    }
    [cos as f32, sin as f32]
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUBE_CORNER: &str =
        "# comment\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1 1.0\nvn 0 0 1\nf 1//1 3//1 2//1\nf -4 -3 -1\n";

    #[test]
    fn obj_is_read() {
        let mesh = Mesh::from_obj(CUBE_CORNER).unwrap();
        assert_eq!(mesh.positions.len(), 4);
        assert_eq!(mesh.triangles, [[0, 2, 1], [0, 1, 3]]);
        assert_eq!(mesh.normals[2], vec3(0.0, 0.0, -1.0));
        assert_eq!(Mesh::from_obj("v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4").unwrap().triangles.len(), 2);
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, line, needle) in [
            ("v 1 2", 1, "2 coordinates"),
            ("\nv 1 2 x", 2, "\"x\""),
            ("v 1 2 NaN", 1, "\"NaN\""),
            ("v 0 0 0\nf 1 1", 2, "2 vertices"),
            ("v 0 0 0\nf 1 1 2", 2, "\"2\""),
            ("v 0 0 0\nf 1 1 0", 2, "\"0\""),
            ("v 0 0 0\nf 1 1 -9223372036854775808", 2, "none of 1"),
        ] {
            let Err(MeshError::Line { line: at, reason }) = Mesh::from_obj(text) else { panic!("{text:?}") };
            assert!(at == line && reason.contains(needle), "{text:?}: {at}: {reason}");
        }
        assert_eq!(Mesh::from_obj("v 0 0 0"), Err(MeshError::Empty));
    }

    #[test]
    fn subdivision_keeps_a_closed_surface_closed_and_round() {
        let octahedron = "v 1 0 0\nv -1 0 0\nv 0 1 0\nv 0 -1 0\nv 0 0 1\nv 0 0 -1\n\
            f 1 3 5\nf 3 2 5\nf 2 4 5\nf 4 1 5\nf 3 1 6\nf 2 3 6\nf 4 2 6\nf 1 4 6\n";
        let mut mesh = Mesh::from_obj(octahedron).unwrap();
        for _ in 0..3 {
            mesh = mesh.subdivided();
        }
        assert_eq!(mesh.triangles.len(), 8 * 64);
        assert_eq!(mesh.positions.len(), mesh.triangles.len() / 2 + 2, "Euler");
        let radii: Vec<f32> = mesh.positions.iter().map(|p| p.length()).collect();
        let (low, high) = radii.iter().fold((f32::MAX, 0f32), |(l, h), r| (l.min(*r), h.max(*r)));
        assert!(high / low < 1.25, "{low}..{high}");
        for (p, n) in mesh.positions.iter().zip(&mesh.normals) {
            assert!(p.dot(*n) > 0.0, "normals point out");
        }
    }

    #[test]
    fn the_knot_is_placed() {
        let knot = Mesh::procedural().placed(2.0, [1.0, 0.0]);
        assert_eq!(knot.triangles.len(), 12_288);
        let low = knot.positions.iter().map(|p| p.y).fold(f32::MAX, f32::min);
        let high = knot.positions.iter().map(|p| p.y).fold(f32::MIN, f32::max);
        let swollen = knot.positions.iter().zip(&knot.normals).map(|(p, n)| (*p + *n * 0.1).y).fold(f32::MIN, f32::max);
        assert!(swollen > high + 0.09, "normals point out: {swollen} {high}");
        assert!(low.abs() < 1e-5 && (high - 2.0).abs() < 1e-4, "{low} {high}");
    }
}
