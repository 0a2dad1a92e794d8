// The path tracer of src/model.rs, function by function under the same names. One invocation a pixel; it adds `samples`
// samples to what earlier dispatches left in `light`. All numbers but counts are Q16.16, a voxel being 1.
// p2c2r: use fixed, random

// As Params of src/camera.rs.
struct Params {
    width: u32, height: u32, first_sample: u32, samples: u32,
    bounces: u32, seed: u32, side: i32, pixels: u32,
    eye: vec3<i32>, softness: i32,
    forward: vec3<i32>, reserved: i32,
    right: vec3<i32>, reserved2: i32,
    up: vec3<i32>, reserved3: i32,
    sun: vec3<i32>, reserved4: i32,
    sun_light: vec3<i32>, reserved5: i32,
    zenith: vec3<i32>, reserved6: i32,
    horizon: vec3<i32>, reserved7: i32,
}

// As Material of src/world.rs.
struct Material { colour: vec3<i32>, kind: u32, light: vec3<i32>, roughness: i32 }

@group(0) @binding(0) var<storage, read> params: Params;
@group(0) @binding(1) var<storage, read> materials: array<Material>;
// Four voxels a word; x first, then z, then y.
@group(0) @binding(2) var<storage, read> voxels: array<u32>;
@group(0) @binding(3) var<storage, read> rows: array<u32>;
@group(0) @binding(4) var<storage, read_write> light: array<vec4<i32>>;

// As in src/world.rs and src/limits.rs.
const MIRROR: u32 = 1u;
const STEPS: u32 = 512u;
const BRIGHTEST: i32 = 786432;

struct Hit {
    // 0 is the sky.
    material: u32,
    point: vec3<i32>,
    normal: vec3<i32>,
    // The empty voxel in front of the surface.
    cell: vec3<i32>,
}

fn times(a: vec3<i32>, b: vec3<i32>) -> vec3<i32> {
    return vec3<i32>(fixed_mul(a.x, b.x), fixed_mul(a.y, b.y), fixed_mul(a.z, b.z));
}

fn scaled(a: vec3<i32>, by: i32) -> vec3<i32> { return times(a, vec3<i32>(by)); }

fn voxel(cell: vec3<i32>) -> u32 {
    if any(cell < vec3<i32>()) || any(cell >= vec3<i32>(params.side)) { return 0u; }
    let at = u32((cell.y * params.side + cell.z) * params.side + cell.x);
    return (voxels[at >> 2u] >> ((at & 3u) * 8u)) & 0xffu;
}

// Way along the ray from one voxel to the next, along one axis.
fn reach(direction: i32) -> i32 {
    if direction == 0 { return FIXED_MAX; }
    return fixed_abs(fixed_div(FIXED_ONE, direction));
}

// Way along the ray to the first border of its voxel, along one axis.
fn first(origin: i32, cell: i32, direction: i32, each: i32) -> i32 {
    if direction == 0 { return FIXED_MAX; }
    let way = select(origin - (cell << 16u), ((cell + 1) << 16u) - origin, direction > 0);
    return fixed_mul(way, each);
}

// Whether a ray outside of the world along one axis moves away from it.
fn leaves(cell: i32, way: i32) -> bool { return (cell < 0 && way < 0) || (cell >= params.side && way > 0); }

// Amanatides and Woo, "A Fast Voxel Traversal Algorithm for Ray Tracing" (1987). `start` is the voxel of `origin`.
fn walk(origin: vec3<i32>, start: vec3<i32>, direction: vec3<i32>) -> Hit {
    let way = sign(direction);
    let each = vec3<i32>(reach(direction.x), reach(direction.y), reach(direction.z));
    var next = vec3<i32>(
        first(origin.x, start.x, direction.x, each.x),
        first(origin.y, start.y, direction.y, each.y),
        first(origin.z, start.z, direction.z, each.z),
    );
    var cell = start;
    var hit = Hit(0u, vec3<i32>(), vec3<i32>(), start);
    for (var step = 0u; step < STEPS; step++) {
        var along = next.z;
        var to = vec3<i32>(0, 0, way.z);
        var gone = leaves(cell.z + way.z, way.z);
        if next.x <= next.y && next.x <= next.z {
            along = next.x;
            to = vec3<i32>(way.x, 0, 0);
            gone = leaves(cell.x + way.x, way.x);
            next.x = fixed_add(next.x, each.x);
        } else if next.y <= next.z {
            along = next.y;
            to = vec3<i32>(0, way.y, 0);
            gone = leaves(cell.y + way.y, way.y);
            next.y = fixed_add(next.y, each.y);
        } else {
            next.z = fixed_add(next.z, each.z);
        }
        if gone { break; }
        let before = cell;
        cell += to;
        let material = voxel(cell);
        if material != 0u {
            hit = Hit(material, surface(origin, direction, along, before, to), -to, before);
            break;
        }
    }
    return hit;
}

// Where a ray leaves the voxel `cell`: on the face that it moves through, and within its other bounds whatever was rounded.
fn surface(origin: vec3<i32>, direction: vec3<i32>, along: i32, cell: vec3<i32>, to: vec3<i32>) -> vec3<i32> {
    let low = cell * 65536;
    let point = clamp(origin + scaled(direction, along), low, low + 65535);
    let face = low + max(to, vec3<i32>()) * 65536;
    return select(point, face, to != vec3<i32>());
}

fn sky(direction: vec3<i32>) -> vec3<i32> {
    let height = fixed_sqrt(fixed_abs(direction.y));
    return vec3<i32>(
        fixed_lerp(params.horizon.x, params.zenith.x, height),
        fixed_lerp(params.horizon.y, params.zenith.y, height),
        fixed_lerp(params.horizon.z, params.zenith.z, height),
    );
}

// A point of the unit sphere, all of them alike.
fn on_sphere(a: u32, b: u32) -> vec3<i32> {
    let z = FIXED_ONE - 2 * random_fixed(a);
    let r = fixed_sqrt(FIXED_ONE - fixed_mul(z, z));
    return vec3<i32>(fixed_mul(r, fixed_cos_turn(b)), fixed_mul(r, fixed_sin_turn(b)), z);
}

fn camera_ray(x: u32, y: u32, jitter: vec4<u32>) -> vec3<i32> {
    let sx = 2 * fixed_div(i32(x << 16u) + random_fixed(jitter.x), i32(params.width << 16u)) - FIXED_ONE;
    let sy = FIXED_ONE - 2 * fixed_div(i32(y << 16u) + random_fixed(jitter.y), i32(params.height << 16u));
    return fixed_normalise3(params.forward + scaled(params.right, sx) + scaled(params.up, sy));
}

// Light of the sun that a surface sends back.
fn sunlight(hit: Hit, a: u32, b: u32) -> vec3<i32> {
    let direction = fixed_normalise3(params.sun + scaled(on_sphere(a, b), params.softness));
    let cosine = dot(direction, hit.normal);
    if cosine <= 0 { return vec3<i32>(); }
    if walk(hit.point, hit.cell, direction).material != 0u { return vec3<i32>(); }
    return scaled(params.sun_light, cosine);
}

// Light along one path.
fn sample(x: u32, y: u32, number: u32) -> vec3<i32> {
    let pixel = y * params.width + x;
    let key = vec2<u32>(params.seed, 0x70326332u);
    var direction = camera_ray(x, y, random_philox(vec4<u32>(pixel, number, 0u, 0u), key));
    var origin = params.eye;
    var cell = params.eye >> vec3<u32>(16u);
    var weight = vec3<i32>(FIXED_ONE);
    var sum = vec3<i32>();
    for (var bounce = 0u; bounce < params.bounces; bounce++) {
        let hit = walk(origin, cell, direction);
        if hit.material == 0u {
            sum += times(weight, sky(direction));
            break;
        }
        let material = materials[hit.material];
        sum += times(weight, material.light);
        weight = times(weight, material.colour);
        let draw = random_philox(vec4<u32>(pixel, number, 1u + bounce, 0u), key);
        if material.kind == MIRROR {
            let mirrored = select(direction, -direction, hit.normal != vec3<i32>());
            direction = fixed_normalise3(mirrored + scaled(on_sphere(draw.x, draw.y), material.roughness));
        } else {
            sum += times(weight, sunlight(hit, draw.z, draw.w));
            direction = fixed_normalise3(hit.normal * FIXED_ONE + on_sphere(draw.x, draw.y));
        }
        // What would go into the surface grazes it.
        direction = select(direction, hit.normal, (hit.normal != vec3<i32>()) & (direction * hit.normal <= vec3<i32>()));
        origin = hit.point;
        cell = hit.cell;
        if max(max(weight.x, weight.y), weight.z) < 512 { break; }
    }
    return min(sum, vec3<i32>(BRIGHTEST));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.pixels { return; }
    let y = rows[id.x / params.width];
    var sum = light[id.x].xyz;
    for (var k = 0u; k < params.samples; k++) { sum += sample(id.x % params.width, y, params.first_sample + k); }
    light[id.x] = vec4<i32>(sum, 0);
}
