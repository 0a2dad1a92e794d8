//! The steps themselves.

use rapier3d::prelude::{ColliderBuilder, PhysicsWorld, Pose, RigidBody, RigidBodyBuilder, Rotation, Vector};

use crate::scene::{Body, Frame, Motion, Scene, SceneError, Shape};

/// Half the thickness of the ground, metres: more than anything falls in a step.
const GROUND_HALF_HEIGHT: f32 = 50.0;

/// Takes the scene's steps. The result is a function of the scene, bit for bit.
///
/// # Errors
/// [`SceneError`] if the scene is out of bounds or a body's motion diverged.
pub fn simulate(scene: &Scene) -> Result<Frame, SceneError> {
    scene.check()?;
    let mut world = PhysicsWorld::new();
    world.gravity = vector(scene.gravity);
    world.integration_parameters.dt = scene.dt;
    if let Some(ground) = &scene.ground {
        let slab = ColliderBuilder::cuboid(ground.half_side, GROUND_HALF_HEIGHT, ground.half_side)
            .friction(ground.friction)
            .restitution(ground.restitution);
        world.insert(RigidBodyBuilder::fixed().translation(Vector::new(0.0, -GROUND_HALF_HEIGHT, 0.0)), slab);
    }
    let handles: Vec<_> = scene.bodies.iter().map(|body| world.insert(rigid_body(body), collider(body)).0).collect();

    for _ in 0..scene.steps {
        world.step();
        // Rapier resets and disables a body whose state stopped being finite; that is no result to vote on.
        if let Some(lost) = world.quarantine().bodies().first() {
            let body = handles.iter().position(|handle| handle == lost).unwrap_or(handles.len());
            return Err(SceneError::Diverged { body });
        }
    }

    let mut bodies = Vec::with_capacity(handles.len());
    let mut awake = 0;
    for (index, body) in handles.iter().enumerate().filter_map(|(i, &handle)| Some((i, world.bodies.get(handle)?))) {
        let motion = motion(body);
        if !motion.is_finite() {
            return Err(SceneError::Diverged { body: index });
        }
        awake += u32::from(body.is_dynamic() && !body.is_sleeping());
        bodies.push(motion);
    }
    let contacts = world.contact_pairs().filter(|pair| pair.has_any_active_contact()).count() as u32;
    Ok(Frame { bodies, contacts, awake })
}

fn rigid_body(body: &Body) -> RigidBodyBuilder {
    let builder = if body.fixed { RigidBodyBuilder::fixed() } else { RigidBodyBuilder::dynamic() };
    let Motion { position, rotation: [x, y, z, w], velocity, spin } = body.motion;
    // The square root is exact to the last bit on every platform (IEEE 754), unlike sines and their kin.
    let norm = (x * x + y * y + z * z + w * w).sqrt();
    let rotation = Rotation::from_xyzw(x / norm, y / norm, z / norm, w / norm);
    builder.pose(Pose::from_parts(vector(position), rotation)).linvel(vector(velocity)).angvel(vector(spin))
}

fn collider(body: &Body) -> ColliderBuilder {
    let collider = match body.shape {
        Shape::Ball(radius) => ColliderBuilder::ball(radius),
        Shape::Cuboid([x, y, z]) => ColliderBuilder::cuboid(x, y, z),
        Shape::Capsule { half_height, radius } => ColliderBuilder::capsule_y(half_height, radius),
    };
    collider.density(body.density).friction(body.friction).restitution(body.restitution)
}

fn motion(body: &RigidBody) -> Motion {
    Motion {
        position: body.translation().to_array(),
        rotation: body.rotation().to_array(),
        velocity: body.linvel().to_array(),
        spin: body.angvel().to_array(),
    }
}

fn vector([x, y, z]: [f32; 3]) -> Vector {
    Vector::new(x, y, z)
}
