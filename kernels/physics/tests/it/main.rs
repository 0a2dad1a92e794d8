//! The kernel against the mock host: golden vectors, sane physics, hostile scenes.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use kernel_physics::{Body, Frame, Ground, Motion, Scene, Shape, code, limits, physics, pile};
use p2c2r_guest::Postcard;
use p2c2r_guest::failure::code as sdk_code;
use p2c2r_guest::testing::{self, Outcome, Report};
use serde::{Deserialize, Serialize};

fn run(scene: &Scene) -> Report {
    testing::run(physics, scene.input().unwrap())
}

fn frame(scene: &Scene) -> Frame {
    let report = run(scene);
    assert_eq!(report.units, scene.body_steps());
    report.output_as::<Postcard<Frame>>().unwrap().0
}

fn ball(position: [f32; 3]) -> Body {
    let motion = Motion::at(position);
    Body { shape: Shape::Ball(0.5), fixed: false, density: 1000.0, friction: 0.5, restitution: 0.0, motion }
}

fn scene(bodies: Vec<Body>, steps: u32) -> Scene {
    let ground = Some(Ground { half_side: 50.0, friction: 0.5, restitution: 0.0 });
    Scene { gravity: [0.0, -9.81, 0.0], dt: 1.0 / 60.0, steps, ground, bodies }
}

/// A row of `tests/golden/physics.json`: digests in hex. The same rows are checked through the sandbox.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Golden {
    bodies: usize,
    steps: u32,
    input: String,
    output: String,
    contacts: u32,
    units: u64,
}

/// `UPDATE_GOLDEN=1` writes the file anew: results then changed on purpose, and the kernel's version with them.
#[test]
fn golden_vectors() {
    let rows = [(1, 60), (64, 120), (512, 90)].map(|(bodies, steps)| {
        let scene = pile(bodies, steps);
        let report = run(&scene);
        let hex = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
        let contacts = report.output_as::<Postcard<Frame>>().unwrap().0.contacts;
        let (input, output) = (hex(&scene.input().unwrap()), hex(&report.output));
        Golden { bodies, steps, input, output, contacts, units: report.units }
    });
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/physics.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(file, serde_json::to_string_pretty(&rows).unwrap() + "\n").unwrap();
    }
    let golden: Vec<Golden> = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(rows.as_slice(), golden);
}

#[test]
fn a_falling_ball_obeys_newton() {
    // Half a second of free fall: g t^2 / 2 = 1.226 m, and the integrator is first order in dt.
    let free = frame(&scene(vec![ball([0.0, 100.0, 0.0])], 30));
    let fallen = 100.0 - free.bodies[0].position[1];
    assert!((fallen - 1.226).abs() < 0.05, "{fallen}");
    assert!((free.bodies[0].velocity[1] + 4.905).abs() < 0.01, "{:?}", free.bodies[0]);
    assert_eq!((free.contacts, free.awake), (0, 1));
}

#[test]
fn a_ball_comes_to_rest_on_the_ground() {
    let rest = frame(&scene(vec![ball([0.0, 1.0, 0.0])], 300));
    let height = rest.bodies[0].position[1];
    assert!((height - 0.5).abs() < 0.02, "{height}");
    assert_eq!((rest.contacts, rest.awake), (1, 0));
}

#[test]
fn equal_masses_exchange_velocities() {
    let mut bodies = vec![ball([-2.0, 0.0, 0.0]), ball([2.0, 0.0, 0.0])];
    bodies[0].motion.velocity = [4.0, 0.0, 0.0];
    for body in &mut bodies {
        (body.restitution, body.friction) = (1.0, 0.0);
    }
    let hit = frame(&Scene { gravity: [0.0; 3], ground: None, ..scene(bodies, 120) });
    let [first, second] = [hit.bodies[0].velocity[0], hit.bodies[1].velocity[0]];
    assert!((first + second - 4.0).abs() < 0.01, "momentum: {first} + {second}");
    assert!(first.abs() < 0.1 && (second - 4.0).abs() < 0.1, "{first} {second}");
}

#[test]
fn fixed_bodies_stay_and_frames_resume() {
    let mut shelf = ball([0.0, 5.0, 0.0]);
    (shelf.shape, shelf.fixed) = (Shape::Cuboid([2.0, 0.1, 2.0]), true);
    let start = scene(vec![shelf, ball([0.0, 6.0, 0.0])], 60);
    let first = frame(&start);
    assert_eq!(first.bodies[0].position, [0.0, 5.0, 0.0]);
    let second = frame(&start.resumed(&first));
    assert!((second.bodies[1].position[1] - 5.6).abs() < 0.02, "{:?}", second.bodies[1]);
}

#[test]
fn hostile_scenes_are_failures_with_a_message() {
    let check = |change: &dyn Fn(&mut Scene), message: &str| {
        let mut scene = scene(vec![ball([0.0; 3]); 3], 1);
        change(&mut scene);
        let report = run(&scene);
        assert_eq!((report.outcome.clone(), report.message()), (Outcome::Failed(code::SCENE), message));
        assert_eq!(report.units, 0, "nothing was done");
    };
    check(&|s| s.bodies = vec![ball([0.0; 3]); limits::BODIES + 1], "bodies is 4097, at most 4096 are simulated");
    check(&|s| s.steps = 601, "steps is 601, at most 600 are simulated");
    check(
        &|s| (s.steps, s.bodies) = (600, vec![ball([0.0; 3]); 4096]),
        "bodies times steps is 2457600, at most 1048576 are simulated",
    );
    check(&|s| s.dt = 0.0, "dt is 0, between 0.001 and 0.05 are simulated");
    check(&|s| s.dt = f32::NAN, "dt is NaN, between 0.001 and 0.05 are simulated");
    check(&|s| s.gravity[2] = f32::INFINITY, "gravity is inf, between -1000 and 1000 are simulated");
    check(&|s| s.bodies[2].shape = Shape::Ball(-1.0), "radius of body 2 is -1, between 0.01 and 100 are simulated");
    check(
        &|s| s.bodies[1].motion.rotation = [0.0; 4],
        "squared norm of the rotation of body 1 is 0, between 0.9 and 1.1 are simulated",
    );
    check(
        &|s| s.bodies[1].motion.position[0] = f32::NAN,
        "position of body 1 is NaN, between -4096 and 4096 are simulated",
    );
    let report = testing::run(physics, *b"not a scene");
    assert_eq!(report.outcome, Outcome::Failed(sdk_code::BAD_INPUT));
}

#[test]
fn the_worst_of_what_is_allowed_ends() {
    // Everything in one place, at the fastest, with the longest step: ugly, but a result or a failure.
    let mut body = ball([0.0; 3]);
    (body.motion.velocity, body.motion.spin) = ([1000.0; 3], [-1000.0; 3]);
    let mut scene = scene(vec![body; 24], 20);
    scene.dt = 0.05;
    let report = run(&scene);
    assert!(matches!(report.outcome, Outcome::Output | Outcome::Failed(code::SCENE)), "{report:?}");
    if report.outcome == Outcome::Output {
        assert!(report.output_as::<Postcard<Frame>>().unwrap().0.bodies.iter().all(Motion::is_finite));
    }
}
