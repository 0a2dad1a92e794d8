//! Energy: no surface makes light, and white ones lose none.

use bytemuck::Zeroable;
use kernel_raytrace::scene::{Environment, Material, Sphere, kind};
use kernel_raytrace::vector::vec3;
use kernel_raytrace::{Camera, Frame, Mesh, Scene, Vec3, trace};

const SAMPLES: u32 = 64;

/// Mean light over a view filled by a ball of `material` under a sky of radiance 1 everywhere.
fn furnace(material: Material) -> (Vec3, Vec3) {
    let environment = Environment {
        zenith: Vec3::splat(1.0),
        horizon: Vec3::splat(1.0),
        floor_material: u32::MAX,
        ..Environment::zeroed()
    };
    let ball = Sphere { centre: Vec3::default(), radius: 1.0, material: 0, reserved: [0; 3] };
    let scene = Scene::new(environment, vec![ball], vec![material], &Mesh::default(), 0);
    let frame = Frame {
        bounces: 8,
        eye: vec3(0.0, 0.0, 4.0),
        target: Vec3::default(),
        zoom: 0.15,
        aperture: 0.0,
        ..Frame::studio(16, 16, SAMPLES)
    };
    let camera = Camera::new(&frame, &scene, 16);
    let (mut sum, mut most) = (Vec3::default(), Vec3::default());
    for (x, y, s) in (0..16).flat_map(|x| (0..16).flat_map(move |y| (0..SAMPLES).map(move |s| (x, y, s)))) {
        let light = trace::sample(&scene, &camera, x, y, s);
        sum = sum + light;
        most = most.max(light);
    }
    (sum * (1.0 / (16.0 * 16.0 * SAMPLES as f32)), most)
}

fn white(kind: u32, roughness: f32) -> Material {
    Material { colour: Vec3::splat(1.0), kind, roughness, index: 1.5, ..Material::zeroed() }
}

#[test]
fn white_surfaces_vanish_in_a_white_furnace() {
    for (what, material, loss) in [
        ("matt", white(kind::MATT, 0.0), 1e-4),
        ("mirror", white(kind::METAL, 0.0), 1e-4),
        // Eight surfaces are not the end of every path inside glass.
        ("glass", white(kind::GLASS, 0.0), 0.02),
        ("coated", white(kind::COATED, 0.0), 0.01),
    ] {
        let (mean, _) = furnace(material);
        for channel in mean.to_array() {
            assert!(channel > 1.0 - loss && channel < 1.0 + loss.min(0.01), "{what}: {channel}");
        }
    }
}

#[test]
fn grey_surfaces_keep_their_share() {
    let (mean, most) = furnace(Material { colour: vec3(0.25, 0.5, 0.75), ..white(kind::MATT, 0.0) });
    for (got, want) in mean.to_array().into_iter().zip([0.25, 0.5, 0.75]) {
        assert!((got - want).abs() < 1e-3, "{got} {want}");
    }
    assert!(most.largest() < 0.7501);
    // Rough metal may lose what it would send into itself, and gains nothing.
    let (mean, _) = furnace(white(kind::METAL, 0.5));
    assert!(mean.x > 0.85 && mean.x <= 1.0001, "{mean:?}");
}

#[test]
fn the_lamp_lights_as_its_formula_says() {
    // A small lamp straight above a matt floor: L * A / (pi * d^2) at the point under it.
    let environment = Environment {
        lamp_corner: vec3(-0.05, 2.0, -0.05),
        lamp_u: vec3(0.1, 0.0, 0.0),
        lamp_v: vec3(0.0, 0.0, 0.1),
        lamp_area: 0.01,
        lamp_light: Vec3::splat(100.0),
        fade_near: 1e3,
        fade_far: 2e3,
        floor_material: 0,
        ..Environment::zeroed()
    };
    let scene = Scene::new(environment, Vec::new(), vec![white(kind::MATT, 0.0)], &Mesh::default(), 0);
    let frame = Frame {
        bounces: 1,
        eye: vec3(1.0, 1.0, 0.0),
        target: Vec3::default(),
        zoom: 1e-4,
        aperture: 0.0,
        ..Frame::studio(1, 1, SAMPLES)
    };
    let camera = Camera::new(&frame, &scene, 1);
    let sum: f32 = (0..SAMPLES).map(|s| trace::sample(&scene, &camera, 0, 0, s).x).sum();
    let want = 100.0 * 0.01 / (core::f32::consts::PI * 4.0);
    let got = sum / SAMPLES as f32;
    assert!((got / want - 1.0).abs() < 0.01, "{got} {want}");
}

#[test]
fn a_ball_between_lamp_and_floor_casts_a_shadow_and_glass_a_lighter_one() {
    let lit = |kind: u32| {
        let mut scene = Scene::studio(&Mesh::procedural());
        scene.nodes.clear();
        scene.materials = vec![white(kind::MATT, 0.0), white(kind, 0.0)];
        scene.environment.zenith = Vec3::default();
        scene.environment.horizon = Vec3::default();
        let lamp = scene.environment.lamp_corner + (scene.environment.lamp_u + scene.environment.lamp_v) * 0.5;
        let middle = lamp * 0.5;
        scene.spheres = vec![Sphere { centre: middle, radius: 1.6, material: 1, reserved: [0; 3] }];
        let frame = Frame {
            bounces: 1,
            eye: vec3(0.5, 0.2, 0.0),
            target: Vec3::default(),
            zoom: 1e-4,
            aperture: 0.0,
            ..Frame::studio(1, 1, 16)
        };
        let camera = Camera::new(&frame, &scene, 1);
        (0..16).map(|s| trace::sample(&scene, &camera, 0, 0, s).x).sum::<f32>()
    };
    let (matt, glass) = (lit(kind::MATT), lit(kind::GLASS));
    assert!(matt < glass * 0.5 && glass > 0.0, "{matt} {glass}");
}
