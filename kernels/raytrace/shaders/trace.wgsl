// The path tracer of src/trace.rs, src/bvh.rs, src/camera.rs and src/random.rs, function by function under the same
// names. One invocation a pixel; it adds `samples` samples to what earlier dispatches left in `light`.

struct Camera {
    eye: vec3<f32>, width: u32,
    right: vec3<f32>, height: u32,
    up: vec3<f32>, seed: u32,
    forward: vec3<f32>, bounces: u32,
    lens_right: vec3<f32>, focus: f32,
    lens_up: vec3<f32>, rows: u32,
    first_sample: u32, samples: u32, spheres: u32, materials: u32,
}

struct Environment {
    zenith: vec3<f32>, fade_near: f32,
    horizon: vec3<f32>, fade_far: f32,
    lamp_corner: vec3<f32>, floor_material: u32,
    lamp_u: vec3<f32>, lamp_area: f32,
    lamp_v: vec3<f32>, reserved: f32,
    lamp_light: vec3<f32>, reserved2: f32,
}

struct Sphere {
    centre: vec3<f32>, radius: f32,
    material: u32, reserved: u32, reserved2: u32, reserved3: u32,
}

struct Material {
    colour: vec3<f32>, kind: u32,
    colour2: vec3<f32>, roughness: f32,
    index: f32, check: f32, reserved: u32, reserved2: u32,
}

// Sizes of the arrays are SPHERES and MATERIALS of src/limits.rs.
struct Params {
    camera: Camera,
    environment: Environment,
    spheres: array<Sphere, 8>,
    materials: array<Material, 16>,
}

struct Node {
    low: vec3<f32>, first: u32,
    high: vec3<f32>, count: u32,
}

@group(0) @binding(0) var<storage, read> params: Params;
@group(0) @binding(1) var<storage, read> nodes: array<Node>;
// Six floats a vertex: position and normal.
@group(0) @binding(2) var<storage, read> vertices: array<f32>;
// Three vertex numbers and the material.
@group(0) @binding(3) var<storage, read> triangles: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> rows: array<u32>;
@group(0) @binding(5) var<storage, read_write> light: array<vec4<f32>>;

const METAL: u32 = 1u;
const GLASS: u32 = 2u;
const COATED: u32 = 3u;

// As in src/limits.rs and src/trace.rs.
const DEPTH: u32 = 32u;
const STEPS: u32 = 256u;
const BRIGHTEST: f32 = 12.0;
const COAT_CHANCE: f32 = 0.2;
const OFFSET: f32 = 4e-4;
const FAR: f32 = 1e7;
const GLASS_SHADOW: f32 = 0.82;

const NOTHING: u32 = 0xffffffffu;

struct Ray { origin: vec3<f32>, direction: vec3<f32>, inverse: vec3<f32> }
struct MeshHit { t: f32, triangle: u32, u: f32, v: f32 }

const SKY: u32 = 0u;
const LAMP: u32 = 1u;
const SURFACE: u32 = 2u;

struct Met {
    what: u32,
    outside: bool,
    material: u32,
    point: vec3<f32>,
    normal: vec3<f32>,
    shading: vec3<f32>,
}

// ---- random numbers ----

var<private> state: u32;
var<private> pixel_hash: u32;
var<private> sample_number: u32;

fn permute(s: u32) -> u32 {
    let word = ((s >> ((s >> 28u) + 4u)) ^ s) * 277803737u;
    return (word >> 22u) ^ word;
}

fn hash(x: u32) -> u32 { return permute(x * 747796405u + 2891336453u); }

fn unit(bits: u32) -> f32 { return f32(bits >> 8u) * (1.0 / 16777216.0); }

fn start(frame_seed: u32, pixel: u32, sample: u32) {
    pixel_hash = hash(pixel ^ hash(frame_seed));
    state = hash(pixel_hash + hash(sample));
    sample_number = sample;
}

fn draw_one() -> f32 {
    state = state * 747796405u + 2891336453u;
    return unit(permute(state));
}

fn even(dimension: u32) -> vec2<f32> {
    let shift = hash(pixel_hash + dimension * 0x9e3779b9u);
    return vec2<f32>(unit(shift + sample_number * 0xc13fa9a9u), unit(hash(shift) + sample_number * 0x91e10da5u));
}

fn pair() -> vec2<f32> {
    let u = draw_one();
    return vec2<f32>(u, draw_one());
}

fn on_circle(turn: f32) -> vec2<f32> {
    let quarters = turn * 4.0;
    let quadrant = floor(quarters);
    let a = (quarters - quadrant - 0.5) * 1.5707964;
    let a2 = a * a;
    let s = a * (1.0 - a2 * (1.0 / 6.0) * (1.0 - a2 * (1.0 / 20.0) * (1.0 - a2 * (1.0 / 42.0))));
    let c = 1.0 - a2 * 0.5 * (1.0 - a2 * (1.0 / 12.0) * (1.0 - a2 * (1.0 / 30.0)));
    switch u32(quadrant) {
        case 0u: { return vec2<f32>(c, s); }
        case 1u: { return vec2<f32>(-s, c); }
        case 2u: { return vec2<f32>(-c, -s); }
        default: { return vec2<f32>(s, -c); }
    }
}

fn on_sphere(uv: vec2<f32>) -> vec3<f32> {
    let z = 1.0 - 2.0 * uv.x;
    let r = sqrt(max(1.0 - z * z, 0.0));
    let xy = on_circle(uv.y);
    return vec3<f32>(r * xy.x, r * xy.y, z);
}

fn in_disk(uv: vec2<f32>) -> vec2<f32> { return on_circle(uv.y) * sqrt(uv.x); }

// ---- rays ----

fn normalised_or(v: vec3<f32>, other: vec3<f32>) -> vec3<f32> {
    let size = sqrt(dot(v, v));
    if size > 1e-12 { return v * (1.0 / size); }
    return other;
}

fn inverse_of(d: f32) -> f32 {
    if abs(d) > 1e-9 { return 1.0 / d; }
    return select(1e9, -1e9, d < 0.0);
}

fn new_ray(origin: vec3<f32>, direction: vec3<f32>) -> Ray {
    let inverse = vec3<f32>(inverse_of(direction.x), inverse_of(direction.y), inverse_of(direction.z));
    return Ray(origin, direction, inverse);
}

fn camera_ray(x: u32, y: u32) -> Ray {
    let jitter = even(0u);
    let sx = (f32(x) + jitter.x) / f32(params.camera.width) * 2.0 - 1.0;
    let sy = 1.0 - (f32(y) + jitter.y) / f32(params.camera.height) * 2.0;
    let sharp = (params.camera.forward + params.camera.right * sx + params.camera.up * sy) * params.camera.focus;
    let at = in_disk(even(1u));
    let lens = params.camera.lens_right * at.x + params.camera.lens_up * at.y;
    return new_ray(params.camera.eye + lens, normalised_or(sharp - lens, params.camera.forward));
}

// ---- the tree ----

// Distance at which the ray enters the box, or negative if it does not before `limit`.
fn enter(node: u32, ray: Ray, limit: f32) -> f32 {
    let a = (nodes[node].low - ray.origin) * ray.inverse;
    let b = (nodes[node].high - ray.origin) * ray.inverse;
    let near = min(a, b);
    let far = max(a, b);
    let first = max(max(near.x, near.y), max(near.z, 0.0));
    let last = min(min(far.x, far.y), min(far.z, limit));
    return select(-1.0, first, first <= last);
}

fn position(vertex: u32) -> vec3<f32> {
    let at = vertex * 6u;
    return vec3<f32>(vertices[at], vertices[at + 1u], vertices[at + 2u]);
}

fn normal_of(vertex: u32) -> vec3<f32> {
    let at = vertex * 6u + 3u;
    return vec3<f32>(vertices[at], vertices[at + 1u], vertices[at + 2u]);
}

fn meet_triangle(number: u32, ray: Ray, best: MeshHit) -> MeshHit {
    let corners = triangles[number];
    let a = position(corners.x);
    let ab = position(corners.y) - a;
    let ac = position(corners.z) - a;
    let p = cross(ray.direction, ac);
    let det = dot(ab, p);
    if abs(det) < 1e-12 { return best; }
    let scale = 1.0 / det;
    let s = ray.origin - a;
    let u = dot(s, p) * scale;
    let q = cross(s, ab);
    let v = dot(ray.direction, q) * scale;
    let t = dot(ac, q) * scale;
    if u >= 0.0 && v >= 0.0 && u + v <= 1.0 && t > 0.0 && t < best.t { return MeshHit(t, number, u, v); }
    return best;
}

fn walk(ray: Ray, limit: f32, any: bool) -> MeshHit {
    var best = MeshHit(limit, NOTHING, 0.0, 0.0);
    if enter(0u, ray, limit) < 0.0 { return best; }
    var stack: array<u32, 32>;
    var depth = 0u;
    var at = 0u;
    for (var step = 0u; step < STEPS; step++) {
        let first = nodes[at].first;
        let count = nodes[at].count;
        if count > 0u {
            // At most LEAF_TRIANGLES, without a loop: some drivers count iterations.
            best = meet_triangle(first, ray, best);
            if count > 1u { best = meet_triangle(first + 1u, ray, best); }
            if any && best.triangle != NOTHING { break; }
        } else {
            let left = enter(first, ray, best.t);
            let right = enter(first + 1u, ray, best.t);
            if left >= 0.0 && right >= 0.0 {
                let far = select(0u, 1u, left <= right);
                stack[depth & (DEPTH - 1u)] = first + far;
                depth++;
                at = first + 1u - far;
                continue;
            }
            if left >= 0.0 { at = first; continue; }
            if right >= 0.0 { at = first + 1u; continue; }
        }
        if depth == 0u { break; }
        depth--;
        at = stack[depth & (DEPTH - 1u)];
    }
    return best;
}

// ---- the rest of the scene; distances are negative for a miss ----

fn sphere_distance(centre: vec3<f32>, radius: f32, ray: Ray, limit: f32) -> f32 {
    let way = centre - ray.origin;
    let along = dot(way, ray.direction);
    let off = way - ray.direction * along;
    let inside = radius * radius - dot(off, off);
    if inside <= 0.0 { return -1.0; }
    let half = sqrt(inside);
    let t = select(along + half, along - half, along - half > OFFSET);
    return select(-1.0, t, t > OFFSET && t < limit);
}

fn floor_distance(ray: Ray) -> f32 {
    if params.environment.floor_material >= params.camera.materials || abs(ray.direction.y) < 1e-6 { return -1.0; }
    let t = -ray.origin.y / ray.direction.y;
    return select(-1.0, t, t > OFFSET && t < FAR);
}

fn lamp_distance(ray: Ray) -> f32 {
    if params.environment.lamp_area <= 0.0 { return -1.0; }
    let u = params.environment.lamp_u;
    let v = params.environment.lamp_v;
    let face = cross(u, v);
    let slope = dot(ray.direction, face);
    if slope >= -1e-9 { return -1.0; }
    let t = dot(params.environment.lamp_corner - ray.origin, face) / slope;
    if t <= OFFSET { return -1.0; }
    let at = ray.origin + ray.direction * t - params.environment.lamp_corner;
    let a = dot(at, u) / dot(u, u);
    let b = dot(at, v) / dot(v, v);
    return select(-1.0, t, a >= 0.0 && a <= 1.0 && b >= 0.0 && b <= 1.0);
}

fn smooth_step(x: f32) -> f32 {
    let y = clamp(x, 0.0, 1.0);
    return y * y * (3.0 - 2.0 * y);
}

fn surface(ray: Ray, point: vec3<f32>, normal: vec3<f32>, shading: vec3<f32>, material: u32) -> Met {
    let outside = dot(ray.direction, normal) < 0.0;
    let side = select(-1.0, 1.0, outside);
    let facing = shading * side;
    let leaning = select(normal * side, facing, dot(ray.direction, facing) < 0.0);
    return Met(SURFACE, outside, material, point, normal * side, leaning);
}

fn meet(ray: Ray) -> Met {
    let nowhere = vec3<f32>(0.0);
    let sky = Met(SKY, false, 0u, nowhere, nowhere, nowhere);
    let mesh = walk(ray, FAR, false);
    var limit = mesh.t;
    var ball = NOTHING;
    for (var i = 0u; i < params.camera.spheres; i++) {
        let t = sphere_distance(params.spheres[i].centre, params.spheres[i].radius, ray, limit);
        if t >= 0.0 { limit = t; ball = i; }
    }
    let floor_t = floor_distance(ray);
    let on_floor = floor_t >= 0.0 && floor_t < limit;
    limit = select(limit, floor_t, on_floor);
    let lamp_t = lamp_distance(ray);
    if lamp_t >= 0.0 && lamp_t < limit { return Met(LAMP, false, 0u, nowhere, nowhere, nowhere); }
    let point = ray.origin + ray.direction * limit;
    if on_floor {
        let away = sqrt(point.x * point.x + point.z * point.z);
        let fade = (away - params.environment.fade_near) / (params.environment.fade_far - params.environment.fade_near);
        if draw_one() < smooth_step(fade) { return sky; }
        let up = vec3<f32>(0.0, 1.0, 0.0);
        return surface(ray, point, up, up, params.environment.floor_material);
    }
    if ball != NOTHING {
        let normal = (point - params.spheres[ball].centre) * (1.0 / params.spheres[ball].radius);
        return surface(ray, point, normal, normal, params.spheres[ball].material);
    }
    if mesh.triangle == NOTHING { return sky; }
    let corners = triangles[mesh.triangle];
    let a = position(corners.x);
    let normal = normalised_or(cross(position(corners.y) - a, position(corners.z) - a), vec3<f32>(0.0, 1.0, 0.0));
    let blend = normalised_or(
        normal_of(corners.x) * (1.0 - mesh.u - mesh.v) + normal_of(corners.y) * mesh.u + normal_of(corners.z) * mesh.v,
        normal,
    );
    return surface(ray, point, normal, select(-blend, blend, dot(blend, normal) >= 0.0), corners.w);
}

fn lamp(hit: Met, uv: vec2<f32>) -> vec3<f32> {
    let dark = vec3<f32>(0.0);
    if params.environment.lamp_area <= 0.0 { return dark; }
    let target_point =
        params.environment.lamp_corner + params.environment.lamp_u * uv.x + params.environment.lamp_v * uv.y;
    let origin = hit.point + hit.normal * OFFSET;
    let way = target_point - origin;
    let distance = sqrt(dot(way, way));
    let direction = normalised_or(way, hit.normal);
    let cosine = dot(direction, hit.shading);
    let face = normalised_or(cross(params.environment.lamp_u, params.environment.lamp_v), vec3<f32>(0.0, -1.0, 0.0));
    let lamp_cosine = -dot(direction, face);
    if cosine <= 0.0 || lamp_cosine <= 0.0 || dot(direction, hit.normal) <= 0.0 { return dark; }
    let ray = new_ray(origin, direction);
    let limit = distance - OFFSET;
    var through = 1.0;
    for (var i = 0u; i < params.camera.spheres; i++) {
        if sphere_distance(params.spheres[i].centre, params.spheres[i].radius, ray, limit) >= 0.0 {
            let clear = params.materials[params.spheres[i].material].kind == GLASS;
            through *= select(0.0, GLASS_SHADOW, clear);
        }
    }
    if through <= 0.0 { return dark; }
    if walk(ray, limit, true).triangle != NOTHING { return dark; }
    let solid = params.environment.lamp_area * lamp_cosine / max(distance * distance, 1e-4);
    return params.environment.lamp_light * (through * cosine * solid * 0.31830987);
}

// ---- scattering ----

fn sky_light(direction: vec3<f32>) -> vec3<f32> {
    let height = sqrt(max(direction.y, 0.0));
    return params.environment.horizon * (1.0 - height) + params.environment.zenith * height;
}

fn schlick(facing: f32) -> f32 {
    let m = clamp(1.0 - facing, 0.0, 1.0);
    let m2 = m * m;
    return m2 * m2 * m;
}

fn clear_coat(index: f32, facing: f32) -> f32 {
    let r = (index - 1.0) / (index + 1.0);
    let r0 = r * r;
    return r0 + (1.0 - r0) * schlick(facing);
}

fn paint(material: u32, point: vec3<f32>) -> vec3<f32> {
    let check = params.materials[material].check;
    if check <= 0.0 { return params.materials[material].colour; }
    let square = i32(floor(point.x / check)) + i32(floor(point.z / check));
    if (square & 1) == 0 { return params.materials[material].colour; }
    return params.materials[material].colour2;
}

fn reflected(direction: vec3<f32>, normal: vec3<f32>) -> vec3<f32> {
    return direction - normal * (2.0 * dot(direction, normal));
}

fn glossy(ray: Ray, hit: Met) -> vec3<f32> {
    let mirrored = reflected(ray.direction, hit.shading);
    let roughness = params.materials[hit.material].roughness;
    if roughness <= 0.0 { return mirrored; }
    return normalised_or(mirrored + on_sphere(pair()) * roughness, mirrored);
}

// Direction, and 1 in w if it passed the surface.
fn glass(ray: Ray, hit: Met, facing: f32, draw: f32) -> vec4<f32> {
    let index = params.materials[hit.material].index;
    let ratio = select(index, 1.0 / index, hit.outside);
    let sine2 = ratio * ratio * max(1.0 - facing * facing, 0.0);
    let mirrored = reflected(ray.direction, hit.shading);
    if sine2 >= 1.0 { return vec4<f32>(mirrored, 0.0); }
    let cosine = sqrt(1.0 - sine2);
    if draw < clear_coat(index, select(cosine, facing, hit.outside)) { return vec4<f32>(mirrored, 0.0); }
    let bent = ray.direction * ratio + hit.shading * (ratio * facing - cosine);
    return vec4<f32>(normalised_or(bent, ray.direction), 1.0);
}

fn trace_path(x: u32, y: u32, sample: u32) -> vec3<f32> {
    start(params.camera.seed, y * params.camera.width + x, sample);
    var ray = camera_ray(x, y);
    var gathered = vec3<f32>(0.0);
    var weight = vec3<f32>(1.0);
    var sees_lamp = true;
    for (var bounce = 0u; bounce < params.camera.bounces; bounce++) {
        let hit = meet(ray);
        if hit.what == SKY {
            gathered += weight * sky_light(ray.direction);
            break;
        }
        if hit.what == LAMP {
            if sees_lamp { gathered += weight * params.environment.lamp_light; }
            break;
        }
        let kind = params.materials[hit.material].kind;
        let facing = -dot(ray.direction, hit.shading);
        var scattered: vec3<f32>;
        var matt = false;
        if kind == METAL {
            let shine = schlick(facing);
            weight *= params.materials[hit.material].colour * (1.0 - shine) + vec3<f32>(shine);
            scattered = glossy(ray, hit);
        } else if kind == GLASS {
            let passed = glass(ray, hit, facing, draw_one());
            if passed.w > 0.0 { weight *= params.materials[hit.material].colour; }
            scattered = passed.xyz;
        } else if kind == COATED {
            let shine = clear_coat(params.materials[hit.material].index, facing);
            let chance = clamp(shine, COAT_CHANCE, 1.0 - COAT_CHANCE);
            var draw: f32;
            if bounce == 0u { draw = even(4u).x; } else { draw = draw_one(); }
            if draw < chance {
                weight *= shine / chance;
                scattered = glossy(ray, hit);
            } else {
                weight *= (1.0 - shine) / (1.0 - chance);
                matt = true;
            }
        } else {
            matt = true;
        }
        if matt {
            weight *= paint(hit.material, hit.point);
            sees_lamp = false;
            var at_lamp: vec2<f32>;
            if bounce == 0u { at_lamp = even(2u); } else { at_lamp = pair(); }
            gathered += weight * lamp(hit, at_lamp);
            var draw: vec2<f32>;
            if bounce == 0u { draw = even(3u); } else { draw = pair(); }
            scattered = normalised_or(hit.shading + on_sphere(draw), hit.shading);
        }
        let leaves = dot(scattered, hit.normal) >= 0.0;
        if kind != GLASS && !leaves { break; }
        let outward = select(-hit.normal, hit.normal, leaves);
        if bounce >= 2u {
            let keep = clamp(max(weight.x, max(weight.y, weight.z)), 0.05, 0.95);
            if draw_one() >= keep { break; }
            weight *= 1.0 / keep;
        }
        ray = new_ray(hit.point + outward * OFFSET, scattered);
    }
    return min(gathered, vec3<f32>(BRIGHTEST));
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.camera.width || id.y >= params.camera.rows { return; }
    let at = id.y * params.camera.width + id.x;
    var sum = light[at].xyz;
    for (var i = 0u; i < params.camera.samples; i++) {
        sum += trace_path(id.x, rows[id.y], params.camera.first_sample + i);
    }
    light[at] = vec4<f32>(sum, 0.0);
}
