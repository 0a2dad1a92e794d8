//! Input and output: SI units, y is up, rotations are unit quaternions x, y, z, w.

use std::ops::RangeInclusive;

use p2c2r_guest::{Encode, Failure, Postcard};
use serde::{Deserialize, Serialize};

use crate::code;
use crate::limits::{
    BODIES, BODY_STEPS, COORDINATE, DENSITY, DT, FRICTION, LENGTH, RESTITUTION, ROTATION_NORM, SPEED, STEPS,
};

/// The input: bodies, what they fall on, and how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// Acceleration of everything, m/s^2.
    pub gravity: [f32; 3],
    /// Length of a step, seconds.
    pub dt: f32,
    /// Steps to take.
    pub steps: u32,
    /// A fixed square slab with its upper face at y = 0, if any.
    pub ground: Option<Ground>,
    /// The bodies; results come in this order.
    pub bodies: Vec<Body>,
}

/// The slab everything lands on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ground {
    /// From its middle to its edges, metres.
    pub half_side: f32,
    /// Friction coefficient.
    pub friction: f32,
    /// Coefficient of restitution.
    pub restitution: f32,
}

/// A rigid body.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Body {
    /// Its form.
    pub shape: Shape,
    /// Whether it moves; a fixed body only stands in the way.
    pub fixed: bool,
    /// kg/m^3.
    pub density: f32,
    /// Friction coefficient.
    pub friction: f32,
    /// Coefficient of restitution.
    pub restitution: f32,
    /// Where it starts.
    pub motion: Motion,
}

/// A form around the body's own origin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Shape {
    /// Of this radius, metres.
    Ball(f32),
    /// From the middle to the faces, metres.
    Cuboid([f32; 3]),
    /// A cylinder along y with round ends.
    Capsule {
        /// Half the length of the straight part, metres.
        half_height: f32,
        /// Metres.
        radius: f32,
    },
}

/// Where a body is and how it moves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Motion {
    /// Metres.
    pub position: [f32; 3],
    /// Unit quaternion x, y, z, w.
    pub rotation: [f32; 4],
    /// m/s.
    pub velocity: [f32; 3],
    /// rad/s.
    pub spin: [f32; 3],
}

/// The output: the scene after its steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// In the order of the scene.
    pub bodies: Vec<Motion>,
    /// Pairs of bodies that touch, the ground included.
    pub contacts: u32,
    /// Bodies that have not come to rest.
    pub awake: u32,
}

/// Why a scene cannot be simulated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SceneError {
    /// Too many bodies, steps, or both together.
    #[error("{what} is {value}, at most {max} are simulated")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        value: u64,
        /// How much is allowed.
        max: u64,
    },
    /// A number of the scene itself is out of bounds.
    #[error("{what} is {value}, between {min} and {max} are simulated")]
    OutOfBounds {
        /// Which number.
        what: &'static str,
        /// Its value.
        value: f32,
        /// Least allowed.
        min: f32,
        /// Most allowed.
        max: f32,
    },
    /// A number of a body is out of bounds.
    #[error("{what} of body {body} is {value}, between {min} and {max} are simulated")]
    Body {
        /// Index of the body.
        body: usize,
        /// Which number.
        what: &'static str,
        /// Its value.
        value: f32,
        /// Least allowed.
        min: f32,
        /// Most allowed.
        max: f32,
    },
    /// A body's motion became infinite or not a number.
    #[error("the motion of body {body} diverged")]
    Diverged {
        /// Index of the body.
        body: usize,
    },
}

impl From<SceneError> for Failure {
    fn from(error: SceneError) -> Self {
        Self::new(code::SCENE, error)
    }
}

impl Scene {
    /// The bytes to submit.
    ///
    /// # Errors
    /// None; the signature is that of [`Encode`].
    pub fn input(&self) -> Result<Vec<u8>, Failure> {
        Postcard(self).encode()
    }

    /// What simulating it costs.
    #[must_use]
    pub fn body_steps(&self) -> u64 {
        self.bodies.len() as u64 * u64::from(self.steps)
    }

    /// The scene that goes on from a frame of this one. Bodies the frame lacks stay where they were.
    #[must_use]
    pub fn resumed(&self, frame: &Frame) -> Self {
        let mut next = self.clone();
        for (body, motion) in next.bodies.iter_mut().zip(&frame.bodies) {
            body.motion = *motion;
        }
        next
    }

    /// Checks every number against [`limits`](crate::limits).
    ///
    /// # Errors
    /// [`SceneError`] for the first that is out of bounds; a NaN is out of all bounds.
    pub fn check(&self) -> Result<(), SceneError> {
        most("bodies", self.bodies.len() as u64, BODIES as u64)?;
        most("steps", u64::from(self.steps), u64::from(STEPS))?;
        most("bodies times steps", self.body_steps(), BODY_STEPS)?;
        let scene = |what, value: f32, bounds: RangeInclusive<f32>| match bounds.contains(&value) {
            true => Ok(()),
            false => Err(SceneError::OutOfBounds { what, value, min: *bounds.start(), max: *bounds.end() }),
        };
        scene("dt", self.dt, DT)?;
        for component in self.gravity {
            scene("gravity", component, SPEED)?;
        }
        if let Some(ground) = &self.ground {
            scene("half side of the ground", ground.half_side, *LENGTH.start()..=*COORDINATE.end())?;
            scene("friction of the ground", ground.friction, FRICTION)?;
            scene("restitution of the ground", ground.restitution, RESTITUTION)?;
        }
        self.bodies.iter().enumerate().try_for_each(|(index, body)| body.check(index))
    }
}

impl Body {
    fn check(&self, index: usize) -> Result<(), SceneError> {
        let within = |what, values: &[f32], bounds: RangeInclusive<f32>| match values
            .iter()
            .find(|value| !bounds.contains(value))
        {
            None => Ok(()),
            Some(&value) => {
                Err(SceneError::Body { body: index, what, value, min: *bounds.start(), max: *bounds.end() })
            }
        };
        match self.shape {
            Shape::Ball(radius) => within("radius", &[radius], LENGTH)?,
            Shape::Cuboid(half) => within("half side", &half, LENGTH)?,
            Shape::Capsule { half_height, radius } => within("length", &[half_height, radius], LENGTH)?,
        }
        within("density", &[self.density], DENSITY)?;
        within("friction", &[self.friction], FRICTION)?;
        within("restitution", &[self.restitution], RESTITUTION)?;
        within("position", &self.motion.position, COORDINATE)?;
        within("velocity", &self.motion.velocity, SPEED)?;
        within("spin", &self.motion.spin, SPEED)?;
        let [x, y, z, w] = self.motion.rotation;
        within("squared norm of the rotation", &[x * x + y * y + z * z + w * w], ROTATION_NORM)
    }
}

impl Motion {
    /// At rest at a place, not rotated.
    #[must_use]
    pub const fn at(position: [f32; 3]) -> Self {
        Self { position, rotation: [0.0, 0.0, 0.0, 1.0], velocity: [0.0; 3], spin: [0.0; 3] }
    }

    /// Whether every number is one.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        let Self { position, rotation, velocity, spin } = self;
        [position, velocity, spin].into_iter().flatten().chain(rotation).all(|value| value.is_finite())
    }
}

fn most(what: &'static str, value: u64, max: u64) -> Result<(), SceneError> {
    if value <= max { Ok(()) } else { Err(SceneError::TooMuch { what, value, max }) }
}
