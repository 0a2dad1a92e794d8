//! The path tracer. Unidirectional, with the lamp sampled at every matt surface (next event estimation).
//!
//! Two things are left out on purpose, because they would need far more samples: light that reaches a matt surface by way
//! of a mirror or through glass (caustics; shadow rays pass glass instead, tinted), and single paths brighter than
//! [`BRIGHTEST`]. `shaders/trace.wgsl` is the same, line by line.

use crate::bvh::{self, Ray};
use crate::camera::Camera;
use crate::random::{Random, on_sphere};
use crate::scene::{Material, Scene, kind};
use crate::vector::{Vec3, vec3};

/// Largest contribution of one path, per channel.
pub const BRIGHTEST: f32 = 12.0;

/// Least share of paths that follow either way at a coated surface.
const COAT_CHANCE: f32 = 0.2;

/// Distance a new ray starts off its surface.
const OFFSET: f32 = 4e-4;

/// Farther than anything.
const FAR: f32 = 1e7;

/// Share of light that a shadow ray keeps at each glass ball: two surfaces at normal incidence, and some for the angle.
const GLASS_SHADOW: f32 = 0.82;

/// What a ray meets first.
struct Hit {
    point: Vec3,
    /// Geometric normal, on the ray's side.
    normal: Vec3,
    /// Interpolated normal, on the ray's side.
    shading: Vec3,
    /// Whether the ray comes from outside.
    outside: bool,
    material: Material,
}

enum Met {
    Sky,
    Lamp,
    Surface(Hit),
}

/// Light arriving along one camera path.
#[must_use]
pub fn sample(scene: &Scene, camera: &Camera, x: u32, y: u32, sample: u32) -> Vec3 {
    let mut random = Random::new(camera.seed, y * camera.width + x, sample);
    let mut ray = camera.ray(x, y, &random);
    let mut light = Vec3::default();
    let mut weight = Vec3::splat(1.0);
    // The lamp itself is counted only where no surface on the way sampled it.
    let mut sees_lamp = true;
    for bounce in 0..camera.bounces {
        let hit = match meet(scene, &ray, &mut random) {
            Met::Sky => {
                light = light + weight.times(sky(scene, ray.direction));
                break;
            }
            Met::Lamp => {
                if sees_lamp {
                    light = light + weight.times(scene.environment.lamp_light);
                }
                break;
            }
            Met::Surface(hit) => hit,
        };
        let material = &hit.material;
        let facing = -ray.direction.dot(hit.shading);
        let mut scatters = material.kind;
        if scatters == kind::COATED {
            // The coat is chosen more often than it reflects, and weighed accordingly: highlights are few but bright.
            let shine = clear_coat(material.index, facing);
            let chance = shine.clamp(COAT_CHANCE, 1.0 - COAT_CHANCE);
            let draw = if bounce == 0 { random.even(4)[0] } else { random.draw() };
            if draw < chance {
                weight = weight * (shine / chance);
            } else {
                weight = weight * ((1.0 - shine) / (1.0 - chance));
                scatters = kind::MATT;
            }
        }
        let next = match scatters {
            kind::COATED => glossy(&ray, &hit, &mut random),
            kind::METAL => {
                let shine = schlick(facing);
                weight = weight.times(material.colour.mix(Vec3::splat(1.0), shine));
                glossy(&ray, &hit, &mut random)
            }
            kind::GLASS => {
                let (direction, passed) = glass(&ray, &hit, facing, random.draw());
                if passed {
                    weight = weight.times(material.colour);
                }
                direction
            }
            _ => {
                weight = weight.times(paint(material, hit.point));
                sees_lamp = false;
                // The first matt surface decides most of the noise: spread its draws evenly over the samples.
                let at_lamp = if bounce == 0 { random.even(2) } else { random.pair() };
                light = light + weight.times(lamp(scene, &hit, at_lamp));
                let draw = if bounce == 0 { random.even(3) } else { random.pair() };
                (hit.shading + on_sphere(draw)).normalised_or(hit.shading)
            }
        };
        let outward = if next.dot(hit.normal) >= 0.0 { hit.normal } else { -hit.normal };
        if material.kind != kind::GLASS && outward != hit.normal {
            break;
        }
        if bounce >= 2 {
            let keep = weight.largest().clamp(0.05, 0.95);
            if random.draw() >= keep {
                break;
            }
            weight = weight * (1.0 / keep);
        }
        ray = Ray::new(hit.point + outward * OFFSET, next);
    }
    light.min(Vec3::splat(BRIGHTEST))
}

/// Nodes opened by the camera ray of a pixel; for tests of the bound.
#[must_use]
pub fn steps(scene: &Scene, ray: &Ray) -> u32 {
    bvh::nearest(&scene.nodes, &scene.vertices, &scene.triangles, ray, FAR).1
}

fn meet(scene: &Scene, ray: &Ray, random: &mut Random) -> Met {
    let (mesh, _) = bvh::nearest(&scene.nodes, &scene.vertices, &scene.triangles, ray, FAR);
    let mut limit = mesh.map_or(FAR, |hit| hit.t);
    let mut ball = None;
    for sphere in &scene.spheres {
        if let Some(t) = sphere_distance(sphere.centre, sphere.radius, ray, limit) {
            limit = t;
            ball = Some(sphere);
        }
    }
    let environment = &scene.environment;
    let floor = floor_distance(scene, ray).filter(|t| *t < limit);
    let limit = floor.unwrap_or(limit);
    if lamp_distance(scene, ray).is_some_and(|t| t < limit) {
        return Met::Lamp;
    }
    let surface = |point, normal: Vec3, shading: Vec3, material: u32| {
        let outside = ray.direction.dot(normal) < 0.0;
        let sign = if outside { 1.0 } else { -1.0 };
        let normal = normal * sign;
        let shading = shading * sign;
        // An interpolated normal may lean away from the ray.
        let shading = if ray.direction.dot(shading) < 0.0 { shading } else { normal };
        Met::Surface(Hit { point, normal, shading, outside, material: scene.materials[material as usize] })
    };
    if let Some(t) = floor {
        let point = ray.at(t);
        let away = vec3(point.x, 0.0, point.z).length();
        let fade = (away - environment.fade_near) / (environment.fade_far - environment.fade_near);
        // Chance instead of a blend: a path goes one way only.
        if random.draw() < smooth(fade) {
            return Met::Sky;
        }
        let up = vec3(0.0, 1.0, 0.0);
        return surface(point, up, up, environment.floor_material);
    }
    if let Some(sphere) = ball {
        let point = ray.at(limit);
        let normal = (point - sphere.centre) * (1.0 / sphere.radius);
        return surface(point, normal, normal, sphere.material);
    }
    let Some(hit) = mesh else { return Met::Sky };
    let triangle = &scene.triangles[hit.triangle as usize];
    let [a, b, c] = triangle.vertices.map(|v| scene.vertices[v as usize]);
    let normal = (b.position - a.position).cross(c.position - a.position).normalised_or(vec3(0.0, 1.0, 0.0));
    let blend = a.normal * (1.0 - hit.u - hit.v) + b.normal * hit.u + c.normal * hit.v;
    let blend = blend.normalised_or(normal);
    let blend = if blend.dot(normal) >= 0.0 { blend } else { -blend };
    surface(ray.at(hit.t), normal, blend, triangle.material)
}

/// Light of the lamp that a matt surface of reflectance 1 sends back, from one point of the lamp.
fn lamp(scene: &Scene, hit: &Hit, [u, v]: [f32; 2]) -> Vec3 {
    let environment = &scene.environment;
    if environment.lamp_area <= 0.0 {
        return Vec3::default();
    }
    let target = environment.lamp_corner + environment.lamp_u * u + environment.lamp_v * v;
    let start = hit.point + hit.normal * OFFSET;
    let way = target - start;
    let distance = way.length();
    let direction = way.normalised_or(hit.normal);
    let cosine = direction.dot(hit.shading);
    let face = environment.lamp_u.cross(environment.lamp_v).normalised_or(vec3(0.0, -1.0, 0.0));
    let lamp_cosine = -direction.dot(face);
    if cosine <= 0.0 || lamp_cosine <= 0.0 || direction.dot(hit.normal) <= 0.0 {
        return Vec3::default();
    }
    let ray = Ray::new(start, direction);
    let limit = distance - OFFSET;
    let mut through = 1.0;
    for sphere in &scene.spheres {
        if sphere_distance(sphere.centre, sphere.radius, &ray, limit).is_some() {
            if scene.materials[sphere.material as usize].kind != kind::GLASS {
                return Vec3::default();
            }
            through *= GLASS_SHADOW;
        }
    }
    if bvh::blocked(&scene.nodes, &scene.vertices, &scene.triangles, &ray, limit) {
        return Vec3::default();
    }
    let solid = environment.lamp_area * lamp_cosine / (distance * distance).max(1e-4);
    environment.lamp_light * (through * cosine * solid * core::f32::consts::FRAC_1_PI)
}

fn sky(scene: &Scene, direction: Vec3) -> Vec3 {
    let height = direction.y.max(0.0).sqrt();
    scene.environment.horizon.mix(scene.environment.zenith, height)
}

fn paint(material: &Material, point: Vec3) -> Vec3 {
    if material.check <= 0.0 {
        return material.colour;
    }
    let square = |v: f32| (v / material.check).floor() as i32;
    if square(point.x).wrapping_add(square(point.z)) & 1 == 0 { material.colour } else { material.colour2 }
}

/// Mirror direction, blurred by the roughness.
fn glossy(ray: &Ray, hit: &Hit, random: &mut Random) -> Vec3 {
    let mirrored = ray.direction.reflected(hit.shading);
    if hit.material.roughness <= 0.0 {
        return mirrored;
    }
    let pair = random.pair();
    (mirrored + on_sphere(pair) * hit.material.roughness).normalised_or(mirrored)
}

/// Direction behind or off a glass surface, and whether it passed.
fn glass(ray: &Ray, hit: &Hit, facing: f32, draw: f32) -> (Vec3, bool) {
    let ratio = if hit.outside { 1.0 / hit.material.index } else { hit.material.index };
    let sine2 = ratio * ratio * (1.0 - facing * facing).max(0.0);
    let mirrored = ray.direction.reflected(hit.shading);
    if sine2 >= 1.0 {
        return (mirrored, false);
    }
    let cosine = (1.0 - sine2).sqrt();
    // Schlick's formula wants the angle on the thin side.
    let shine = clear_coat(hit.material.index, if hit.outside { facing } else { cosine });
    if draw < shine {
        return (mirrored, false);
    }
    let bent = ray.direction * ratio + hit.shading * (ratio * facing - cosine);
    (bent.normalised_or(ray.direction), true)
}

/// Share reflected by a clear surface (Schlick 1994).
fn clear_coat(index: f32, facing: f32) -> f32 {
    let r = (index - 1.0) / (index + 1.0);
    let r0 = r * r;
    r0 + (1.0 - r0) * schlick(facing)
}

fn schlick(facing: f32) -> f32 {
    let m = (1.0 - facing).clamp(0.0, 1.0);
    let m2 = m * m;
    m2 * m2 * m
}

fn smooth(x: f32) -> f32 {
    let x = x.clamp(0.0, 1.0);
    x * x * (3.0 - 2.0 * x)
}

fn sphere_distance(centre: Vec3, radius: f32, ray: &Ray, limit: f32) -> Option<f32> {
    let way = centre - ray.origin;
    let along = way.dot(ray.direction);
    // From the nearest point rather than from the squares: no cancellation for far spheres.
    let off = way - ray.direction * along;
    let inside = radius * radius - off.dot(off);
    if inside <= 0.0 {
        return None;
    }
    let half = inside.sqrt();
    let t = if along - half > OFFSET { along - half } else { along + half };
    (t > OFFSET && t < limit).then_some(t)
}

fn floor_distance(scene: &Scene, ray: &Ray) -> Option<f32> {
    if scene.environment.floor_material as usize >= scene.materials.len() || ray.direction.y.abs() < 1e-6 {
        return None;
    }
    let t = -ray.origin.y / ray.direction.y;
    (t > OFFSET && t < FAR).then_some(t)
}

fn lamp_distance(scene: &Scene, ray: &Ray) -> Option<f32> {
    let environment = &scene.environment;
    if environment.lamp_area <= 0.0 {
        return None;
    }
    let (u, v) = (environment.lamp_u, environment.lamp_v);
    let face = u.cross(v);
    let slope = ray.direction.dot(face);
    // Its back does not shine and is not there.
    if slope >= -1e-9 {
        return None;
    }
    let t = (environment.lamp_corner - ray.origin).dot(face) / slope;
    if t <= OFFSET {
        return None;
    }
    let at = ray.at(t) - environment.lamp_corner;
    let (a, b) = (at.dot(u) / u.dot(u), at.dot(v) / v.dot(v));
    // Edges at right angles, which is what a lamp has.
    ((0.0..=1.0).contains(&a) && (0.0..=1.0).contains(&b)).then_some(t)
}
