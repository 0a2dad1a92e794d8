//! What light does, in worlds where the answer is known.

use kernel_voxels::camera::Params;
use kernel_voxels::world::{Sky, kind};
use kernel_voxels::{Frame, Material, World, model};
use p2c2r_guest::fixed::{self, ONE};

const SIDE: i32 = 16;

const MATT: Material = Material { colour: [ONE; 3], kind: kind::MATT, light: [0; 3], roughness: 0 };

/// The same light from everywhere, no sun.
const EVEN: Sky =
    Sky { sun: [0, ONE, 0], sun_light: [0; 3], zenith: [ONE, ONE / 2, 7], horizon: [ONE, ONE / 2, 7], softness: 0 };

fn world(sky: Sky, material: Material, solid: impl Fn([i32; 3]) -> bool) -> World {
    let at = |n: i32| [n % SIDE, n / SIDE / SIDE, n / SIDE % SIDE];
    let voxels = (0..SIDE.pow(3)).map(|n| u8::from(solid(at(n)))).collect();
    World { side: SIDE as u32, sky, materials: vec![material; 2], voxels }
}

/// The light of each pixel, of one path.
fn look(world: &World, eye: [i32; 3], target: [i32; 3], bounces: u32) -> Vec<[i32; 3]> {
    let frame = Frame { bounces, eye, target, ..Frame::harbour(world, 24, 24, 1) };
    model::light(world, &Params::new(&frame, world, 24), &frame.all_rows().rows)
}

fn at(x: i32, y: i32, z: i32) -> [i32; 3] {
    [x, y, z].map(fixed::of)
}

#[test]
fn a_white_floor_under_an_even_sky_cannot_be_seen() {
    let floor = world(EVEN, MATT, |[_, y, _]| y < 3);
    for eye in [at(8, 9, 40), at(-9, 5, -3), [fixed::of(8) + 77, fixed::of(3) + 1, fixed::of(8) - 5]] {
        let light = look(&floor, eye, at(8, 3, 8), 6);
        assert!(light.iter().all(|sum| *sum == EVEN.zenith), "{eye:?}");
    }
    // One that reflects nothing can.
    let black = world(EVEN, Material { colour: [0; 3], ..MATT }, |[_, y, _]| y < 3);
    assert!(look(&black, at(8, 9, 8), at(8, 3, 7), 6).contains(&[0; 3]));
}

#[test]
fn no_light_leaks_into_a_closed_room() {
    let wall = |[x, y, z]: [i32; 3]| [x, y, z].iter().any(|at| *at == 3 || *at == 12);
    let sky = Sky { sun_light: [ONE; 3], softness: ONE, ..EVEN };
    for (material, bounces) in [(MATT, 6), (Material { kind: kind::MIRROR, roughness: ONE / 3, ..MATT }, 6)] {
        let room = world(sky, material, wall);
        for target in [at(12, 12, 12), at(4, 4, 4), at(8, 12, 8), at(0, 8, 8)] {
            let light = look(&room, at(7, 8, 9), target, bounces);
            assert!(light.iter().all(|sum| *sum == [0; 3]), "{target:?}");
        }
    }
}

#[test]
fn the_sun_shines_by_its_cosine_and_casts_shadows() {
    // 3, 4, 5: sixty percent of the light.
    let sun = [0, ONE * 3 / 5, ONE * 4 / 5];
    let sky = Sky { sun, sun_light: [ONE; 3], zenith: [0; 3], horizon: [0; 3], softness: 0 };
    let roof = world(sky, MATT, |[_, y, z]| y < 2 || (y == 8 && z > 7));
    // Straight down on the floor, at z = 3: under the open sky but in the roof's shadow; with the roof off, in the sun.
    let centre = |world: &World| look(world, at(8, 7, 3), at(8, 2, 3), 1)[12 * 24 + 12][0];
    assert_eq!(centre(&roof), 0);
    let lit = centre(&world(sky, MATT, |[_, y, _]| y < 2));
    assert!((lit - ONE * 3 / 5).abs() <= 2, "{lit}");
}

#[test]
fn a_mirror_shows_what_is_above_it() {
    // Red above, and nothing else.
    let sky = Sky { zenith: [ONE, 0, 0], horizon: [0, ONE, 0], ..EVEN };
    let mirror = world(sky, Material { kind: kind::MIRROR, ..MATT }, |[_, y, _]| y < 3);
    let [red, green, _] = look(&mirror, at(8, 9, 8), [fixed::of(8), 0, fixed::of(8) - 1], 2)[12 * 24 + 12];
    assert!(red > ONE * 95 / 100 && green < ONE * 5 / 100, "{red} {green}");
    // A tinted one halves it.
    let half = Material { kind: kind::MIRROR, colour: [ONE / 2; 3], ..MATT };
    let tinted = look(&world(sky, half, |[_, y, _]| y < 3), at(8, 9, 8), [fixed::of(8), 0, fixed::of(8) - 1], 2);
    assert!((tinted[12 * 24 + 12][0] * 2 - red).abs() <= 2);
}

#[test]
fn light_of_a_lamp_comes_round_the_corner() {
    // A room with light behind a wall that leaves a gap: nothing but bounces gets to the other half.
    let room = |[x, y, z]: [i32; 3]| [x, y, z].iter().any(|at| *at == 0 || *at == 15) || (x == 8 && z > 4);
    let mut world = world(EVEN, Material { colour: [ONE * 3 / 4; 3], ..MATT }, room);
    world.materials.push(Material { light: [fixed::of(9); 3], ..MATT });
    // The whole wall at x = 15.
    world.voxels.iter_mut().skip(15).step_by(16).for_each(|voxel| *voxel = 2);
    let seen =
        |bounces| look(&world, at(4, 8, 12), at(4, 2, 8), bounces).iter().map(|sum| i64::from(sum[0])).sum::<i64>();
    assert_eq!(seen(1), 0, "the lamp itself is not to be seen");
    assert!(seen(6) > seen(3) && seen(6) > 0, "{} {}", seen(6), seen(3));
}

#[test]
fn any_camera_ends() {
    let world = World::island(16, 3);
    let far = [-256, -17, 0, 5, 8, 256].map(fixed::of);
    for eye in [[far[0], far[5], far[0]], [far[2]; 3], [far[3], far[1], far[4]], [far[5]; 3]] {
        for target in [eye, at(8, 8, 8), [eye[0], 0, eye[2]], [eye[0] + 1, eye[1], eye[2]]] {
            assert_eq!(look(&world, eye, target, 6).len(), 24 * 24);
        }
    }
}
