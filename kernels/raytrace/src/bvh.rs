//! Bounding volume hierarchy over triangles: built by binned surface area heuristic (Wald 2007), walked with a stack.

use bytemuck::{Pod, Zeroable};

use crate::limits::{DEPTH, LEAF_TRIANGLES, STEPS};
use crate::scene::{Triangle, Vertex};
use crate::vector::{Vec3, vec3};

/// A box with either two children, `first` and `first + 1`, or `count` triangles from `first` on.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Node {
    /// Lower corner.
    pub low: Vec3,
    /// First child or first triangle.
    pub first: u32,
    /// Upper corner.
    pub high: Vec3,
    /// Triangles; 0 for an inner node.
    pub count: u32,
}

/// Where a ray meets a triangle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeshHit {
    /// Distance in lengths of the direction.
    pub t: f32,
    /// Number of the triangle.
    pub triangle: u32,
    /// Weight of its second vertex.
    pub u: f32,
    /// Weight of its third vertex.
    pub v: f32,
}

/// A half-line.
#[derive(Debug, Clone, Copy)]
pub struct Ray {
    /// Where it starts.
    pub origin: Vec3,
    /// Unit direction.
    pub direction: Vec3,
    inverse: Vec3,
}

/// Cuts tried along each axis.
const BINS: usize = 16;

impl Ray {
    /// A ray with a unit direction.
    #[must_use]
    pub fn new(origin: Vec3, direction: Vec3) -> Self {
        // Never infinite, so that no box test multiplies infinity by zero.
        let inverse = |d: f32| if d.abs() > 1e-9 { 1.0 / d } else { 1e9f32.copysign(d) };
        Self { origin, direction, inverse: vec3(inverse(direction.x), inverse(direction.y), inverse(direction.z)) }
    }

    /// The point at distance `t`.
    #[must_use]
    pub fn at(&self, t: f32) -> Vec3 {
        self.origin + self.direction * t
    }
}

/// Builds the tree and brings `triangles` into its order. Children come after their parents.
#[must_use]
pub fn build(vertices: &[Vertex], triangles: &mut [Triangle]) -> Vec<Node> {
    let bounds: Vec<(Vec3, Vec3)> = triangles.iter().map(|t| bounds(vertices, t)).collect();
    let mut order: Vec<u32> = (0..triangles.len() as u32).collect();
    let mut nodes = vec![Node::zeroed()];
    // (node, range of order, levels left below it)
    let mut open = vec![(0usize, 0usize, order.len(), DEPTH - 1)];
    while let Some((node, start, end, levels)) = open.pop() {
        let (low, high) = union(order[start..end].iter().map(|t| bounds[*t as usize]));
        let count = end - start;
        let leaf = count <= LEAF_TRIANGLES as usize;
        nodes[node] = Node { low, first: start as u32, high, count: if leaf { count as u32 } else { 0 } };
        if leaf {
            continue;
        }
        let part = &mut order[start..end];
        let middle = start + cut(part, &bounds, levels);
        let children = nodes.len();
        nodes[node].first = children as u32;
        nodes.extend([Node::zeroed(); 2]);
        open.push((children + 1, middle, end, levels - 1));
        open.push((children, start, middle, levels - 1));
    }
    let sorted: Vec<Triangle> = order.iter().map(|t| triangles[*t as usize]).collect();
    triangles.copy_from_slice(&sorted);
    nodes
}

/// The nearest triangle `ray` meets before `limit`, and the number of nodes opened.
#[must_use]
pub fn nearest(
    nodes: &[Node],
    vertices: &[Vertex],
    triangles: &[Triangle],
    ray: &Ray,
    limit: f32,
) -> (Option<MeshHit>, u32) {
    walk(nodes, vertices, triangles, ray, limit, false)
}

/// Whether `ray` meets any triangle before `limit`.
#[must_use]
pub fn blocked(nodes: &[Node], vertices: &[Vertex], triangles: &[Triangle], ray: &Ray, limit: f32) -> bool {
    walk(nodes, vertices, triangles, ray, limit, true).0.is_some()
}

fn walk(
    nodes: &[Node],
    vertices: &[Vertex],
    triangles: &[Triangle],
    ray: &Ray,
    limit: f32,
    any: bool,
) -> (Option<MeshHit>, u32) {
    let mut best: Option<MeshHit> = None;
    let mut limit = limit;
    let mut steps = 0;
    let Some(root) = nodes.first() else { return (None, 0) };
    if enter(root, ray, limit).is_none() {
        return (None, 0);
    }
    let mut stack = [0u32; DEPTH as usize];
    let mut depth = 0;
    let mut at = 0u32;
    while steps < STEPS {
        steps += 1;
        let node = &nodes[at as usize];
        if node.count > 0 {
            for number in node.first..node.first + node.count {
                if let Some((t, u, v)) = meet(vertices, &triangles[number as usize], ray, limit) {
                    limit = t;
                    best = Some(MeshHit { t, triangle: number, u, v });
                }
            }
            if any && best.is_some() {
                break;
            }
        } else {
            let left = enter(&nodes[node.first as usize], ray, limit);
            let right = enter(&nodes[node.first as usize + 1], ray, limit);
            match (left, right) {
                (Some(l), Some(r)) => {
                    let (near, far) = if l <= r { (0, 1) } else { (1, 0) };
                    stack[depth] = node.first + far;
                    depth += 1;
                    at = node.first + near;
                    continue;
                }
                (Some(_), None) => {
                    at = node.first;
                    continue;
                }
                (None, Some(_)) => {
                    at = node.first + 1;
                    continue;
                }
                (None, None) => {}
            }
        }
        if depth == 0 {
            break;
        }
        depth -= 1;
        at = stack[depth];
    }
    (best, steps)
}

/// Distance at which `ray` enters the box, if it does before `limit`.
fn enter(node: &Node, ray: &Ray, limit: f32) -> Option<f32> {
    let a = (node.low - ray.origin).times(ray.inverse);
    let b = (node.high - ray.origin).times(ray.inverse);
    let (near, far) = (a.min(b), a.max(b));
    let enter = near.x.max(near.y).max(near.z).max(0.0);
    let leave = far.x.min(far.y).min(far.z).min(limit);
    (enter <= leave).then_some(enter)
}

/// Möller and Trumbore 1997, both sides.
fn meet(vertices: &[Vertex], triangle: &Triangle, ray: &Ray, limit: f32) -> Option<(f32, f32, f32)> {
    let [a, b, c] = triangle.vertices.map(|v| vertices[v as usize].position);
    let (ab, ac) = (b - a, c - a);
    let p = ray.direction.cross(ac);
    let det = ab.dot(p);
    if det.abs() < 1e-12 {
        return None;
    }
    let scale = 1.0 / det;
    let s = ray.origin - a;
    let u = s.dot(p) * scale;
    let q = s.cross(ab);
    let v = ray.direction.dot(q) * scale;
    let t = ac.dot(q) * scale;
    (u >= 0.0 && v >= 0.0 && u + v <= 1.0 && t > 0.0 && t < limit).then_some((t, u, v))
}

/// A border between two bins.
struct Cut {
    axis: usize,
    border: usize,
    low: f32,
    scale: f32,
}

/// Where to cut `part`, which it sorts accordingly: at the cheapest bin border, or in the middle when levels run short.
fn cut(part: &mut [u32], bounds: &[(Vec3, Vec3)], levels: u32) -> usize {
    let half = part.len() / 2;
    let centre = |t: u32| {
        let (low, high) = bounds[t as usize];
        ((low + high) * 0.5).to_array()
    };
    let centres = |axis: usize| part.iter().map(move |t| centre(*t)[axis]);
    // A median cut halves: with this many levels left it always reaches the leaves.
    let needed = usize::BITS - part.len().leading_zeros();
    let mut best: Option<(f32, Cut)> = None;
    for axis in 0..3 {
        let low = centres(axis).fold(f32::MAX, f32::min);
        let high = centres(axis).fold(f32::MIN, f32::max);
        let scale = BINS as f32 / (high - low);
        if levels <= needed || !scale.is_finite() {
            continue;
        }
        let mut bins = [(Vec3::splat(f32::MAX), Vec3::splat(f32::MIN), 0u32); BINS];
        for t in part.iter() {
            let bin = &mut bins[bin_of(centre(*t)[axis], low, scale)];
            let (l, h) = bounds[*t as usize];
            *bin = (bin.0.min(l), bin.1.max(h), bin.2 + 1);
        }
        for border in 1..BINS {
            let side = |range: &[(Vec3, Vec3, u32)]| {
                let all = range.iter().fold((Vec3::splat(f32::MAX), Vec3::splat(f32::MIN), 0), |s, b| {
                    (s.0.min(b.0), s.1.max(b.1), s.2 + b.2)
                });
                (all.2 > 0).then(|| surface(all.0, all.1) * all.2 as f32)
            };
            let (Some(l), Some(r)) = (side(&bins[..border]), side(&bins[border..])) else { continue };
            if best.as_ref().is_none_or(|(cost, _)| l + r < *cost) {
                best = Some((l + r, Cut { axis, border, low, scale }));
            }
        }
    }
    let Some((_, Cut { axis, border, low, scale })) = best else {
        let (low, high) = union(part.iter().map(|t| bounds[*t as usize]));
        let size = (high - low).to_array();
        let axis = (0..3).fold(0, |a, b| if size[b] > size[a] { b } else { a });
        part.sort_by(|a, b| centre(*a)[axis].total_cmp(&centre(*b)[axis]));
        return half;
    };
    // Stable, so the order is a function of the input alone.
    part.sort_by_key(|t| bin_of(centre(*t)[axis], low, scale) >= border);
    part.partition_point(|t| bin_of(centre(*t)[axis], low, scale) < border)
}

fn bin_of(centre: f32, low: f32, scale: f32) -> usize {
    (((centre - low) * scale) as usize).min(BINS - 1)
}

fn bounds(vertices: &[Vertex], triangle: &Triangle) -> (Vec3, Vec3) {
    let [a, b, c] = triangle.vertices.map(|v| vertices[v as usize].position);
    (a.min(b).min(c), a.max(b).max(c))
}

fn union(boxes: impl Iterator<Item = (Vec3, Vec3)>) -> (Vec3, Vec3) {
    boxes.fold((Vec3::splat(f32::MAX), Vec3::splat(f32::MIN)), |a, b| (a.0.min(b.0), a.1.max(b.1)))
}

fn surface(low: Vec3, high: Vec3) -> f32 {
    let d = high - low;
    d.x * d.y + d.y * d.z + d.z * d.x
}
