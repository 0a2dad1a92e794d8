//! The shader `trace` in Rust, function by function under the same names: what the tests hold the shader against, and what
//! draws without a GPU. The kernel itself does not run it: a peer without a GPU runs the shader on the host's reference.

use p2c2r_guest::fixed::{self, ONE};
use p2c2r_guest::random;

use crate::camera::Params;
use crate::film;
use crate::frame::Rows;
use crate::limits::STEPS;
use crate::world::{World, kind};

/// Most that one path may bring, 12: brighter ones are rare and leave specks.
const BRIGHTEST: i32 = 12 * ONE;

/// A path that would bring less than this share is not followed: 1/128.
const FAINTEST: i32 = ONE / 128;

/// Second word of the key of all random numbers.
const KEY: u32 = u32::from_be_bytes(*b"p2c2");

type Vec3 = [i32; 3];

/// What a ray meets.
struct Hit {
    material: u8,
    point: Vec3,
    normal: Vec3,
    /// The empty voxel in front of the surface.
    cell: Vec3,
}

/// Pixels of the rows, RGB.
#[must_use]
pub fn render(world: &World, input: &Rows) -> Vec<u8> {
    let params = Params::new(&input.frame, world, input.rows.len());
    let light = light(world, &params, &input.rows);
    light.iter().flat_map(|sum| film::develop(*sum, input.frame.samples, input.frame.exposure)).collect()
}

/// What a dispatch adds to the light of each pixel.
#[must_use]
pub fn light(world: &World, params: &Params, rows: &[u32]) -> Vec<Vec3> {
    let pixel = |at: u32| {
        let mut sum = [0; 3];
        for k in 0..params.samples {
            let (x, y) = (at % params.width, rows[(at / params.width) as usize]);
            sum = plus(sum, sample(world, params, x, y, params.first_sample + k));
        }
        sum
    };
    (0..params.pixels).map(pixel).collect()
}

fn plus(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

fn times(a: Vec3, b: Vec3) -> Vec3 {
    [fixed::mul(a[0], b[0]), fixed::mul(a[1], b[1]), fixed::mul(a[2], b[2])]
}

fn scaled(a: Vec3, by: i32) -> Vec3 {
    times(a, [by; 3])
}

fn vector([x, y, z, _]: [i32; 4]) -> Vec3 {
    [x, y, z]
}

/// Way along the ray from one voxel to the next, along one axis.
fn reach(direction: i32) -> i32 {
    if direction == 0 { fixed::MAX } else { fixed::abs(fixed::div(ONE, direction)) }
}

/// Way along the ray to the first border of its voxel, along one axis.
fn first(origin: i32, cell: i32, direction: i32, each: i32) -> i32 {
    if direction == 0 {
        return fixed::MAX;
    }
    let way = if direction > 0 { ((cell + 1) << 16) - origin } else { origin - (cell << 16) };
    fixed::mul(way, each)
}

/// Amanatides and Woo, "A Fast Voxel Traversal Algorithm for Ray Tracing" (1987). `start` is the voxel of `origin`. `None` is the
/// sky.
fn walk(world: &World, origin: Vec3, start: Vec3, direction: Vec3) -> Option<Hit> {
    let side = world.side as i32;
    let way = direction.map(i32::signum);
    let each = direction.map(reach);
    let mut next = [0, 1, 2].map(|i| first(origin[i], start[i], direction[i], each[i]));
    let mut cell = start;
    for _ in 0..STEPS {
        let [x, y, z] = next;
        let axis = if x <= y && x <= z {
            0
        } else if y <= z {
            1
        } else {
            2
        };
        let along = next[axis];
        next[axis] = fixed::add(along, each[axis]);
        let before = cell;
        cell[axis] += way[axis];
        // Outside of the world along one axis, and on the way out.
        if (cell[axis] < 0 && way[axis] < 0) || (cell[axis] >= side && way[axis] > 0) {
            return None;
        }
        let material = world.voxel(cell);
        if material != 0 {
            let mut to = [0; 3];
            to[axis] = way[axis];
            return Some(Hit {
                material,
                point: surface(origin, direction, along, before, to),
                normal: to.map(|a| -a),
                cell: before,
            });
        }
    }
    None
}

/// Where a ray leaves the voxel `cell`: on the face that it moves through, and within its other bounds whatever was rounded.
fn surface(origin: Vec3, direction: Vec3, along: i32, cell: Vec3, to: Vec3) -> Vec3 {
    let at = plus(origin, scaled(direction, along));
    [0, 1, 2].map(|i| {
        let low = cell[i] * ONE;
        if to[i] == 0 { at[i].clamp(low, low + ONE - 1) } else { low + to[i].max(0) * ONE }
    })
}

fn sky(params: &Params, direction: Vec3) -> Vec3 {
    let height = fixed::sqrt(fixed::abs(direction[1]));
    [0, 1, 2].map(|i| fixed::lerp(params.horizon[i], params.zenith[i], height))
}

/// A point of the unit sphere, all of them alike.
fn on_sphere(a: u32, b: u32) -> Vec3 {
    let z = ONE - 2 * random::fixed(a);
    let r = fixed::sqrt(ONE - fixed::mul(z, z));
    [fixed::mul(r, fixed::cos_turn(b)), fixed::mul(r, fixed::sin_turn(b)), z]
}

fn camera_ray(params: &Params, x: u32, y: u32, jitter: [u32; 4]) -> Vec3 {
    let share = |at: u32, word: u32, of: u32| fixed::div((at << 16) as i32 + random::fixed(word), (of << 16) as i32);
    let sx = 2 * share(x, jitter[0], params.width) - ONE;
    let sy = ONE - 2 * share(y, jitter[1], params.height);
    let aside = plus(scaled(vector(params.right), sx), scaled(vector(params.up), sy));
    fixed::normalise3(plus(vector(params.forward), aside))
}

/// Light of the sun that a surface sends back.
fn sunlight(world: &World, params: &Params, hit: &Hit, a: u32, b: u32) -> Vec3 {
    let [.., softness] = params.eye;
    let direction = fixed::normalise3(plus(vector(params.sun), scaled(on_sphere(a, b), softness)));
    let cosine: i32 = (0..3).map(|i| direction[i] * hit.normal[i]).sum();
    if cosine <= 0 || walk(world, hit.point, hit.cell, direction).is_some() {
        return [0; 3];
    }
    scaled(vector(params.sun_light), cosine)
}

/// Light along one path.
fn sample(world: &World, params: &Params, x: u32, y: u32, number: u32) -> Vec3 {
    let pixel = y * params.width + x;
    let key = [params.seed, KEY];
    let mut direction = camera_ray(params, x, y, random::philox([pixel, number, 0, 0], key));
    let mut origin = vector(params.eye);
    let mut cell = origin.map(fixed::floor);
    let mut weight = [ONE; 3];
    let mut sum = [0; 3];
    for bounce in 0..params.bounces {
        let Some(hit) = walk(world, origin, cell, direction) else {
            sum = plus(sum, times(weight, sky(params, direction)));
            break;
        };
        let material = &world.materials[hit.material as usize];
        sum = plus(sum, times(weight, material.light));
        weight = times(weight, material.colour);
        let draw = random::philox([pixel, number, 1 + bounce, 0], key);
        let around = on_sphere(draw[0], draw[1]);
        let bent = if material.kind == kind::MIRROR {
            let mirrored = [0, 1, 2].map(|i| if hit.normal[i] == 0 { direction[i] } else { -direction[i] });
            plus(mirrored, scaled(around, material.roughness))
        } else {
            sum = plus(sum, times(weight, sunlight(world, params, &hit, draw[2], draw[3])));
            plus(hit.normal.map(|a| a * ONE), around)
        };
        let bent = fixed::normalise3(bent);
        // What would go into the surface grazes it.
        let grazes = |i: usize| hit.normal[i] != 0 && bent[i] * hit.normal[i] <= 0;
        direction = [0, 1, 2].map(|i| if grazes(i) { hit.normal[i] } else { bent[i] });
        (origin, cell) = (hit.point, hit.cell);
        if weight.iter().all(|share| *share < FAINTEST) {
            break;
        }
    }
    sum.map(|light| light.min(BRIGHTEST))
}
