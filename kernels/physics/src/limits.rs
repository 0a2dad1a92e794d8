//! Bounds on a scene. They keep the solver where it is accurate, and one task short enough to repeat when a peer leaves.

use std::ops::RangeInclusive;

/// Bodies in a scene.
pub const BODIES: usize = 4096;

/// Steps of a task.
pub const STEPS: u32 = 600;

/// Bodies times steps: about 10 s of one core.
pub const BODY_STEPS: u64 = 1 << 20;

/// Length of a step, seconds.
pub const DT: RangeInclusive<f32> = 0.001..=0.05;

/// Any length of a shape, metres: radius, half side, half height.
pub const LENGTH: RangeInclusive<f32> = 0.01..=100.0;

/// Each coordinate of a place, metres; `f32` is exact to half a millimetre there.
pub const COORDINATE: RangeInclusive<f32> = -4096.0..=4096.0;

/// Each component of a velocity, m/s and rad/s, and of gravity, m/s^2.
pub const SPEED: RangeInclusive<f32> = -1000.0..=1000.0;

/// Density, kg/m^3: from balsa foam to osmium.
pub const DENSITY: RangeInclusive<f32> = 1.0..=25_000.0;

/// Friction coefficient.
pub const FRICTION: RangeInclusive<f32> = 0.0..=10.0;

/// Coefficient of restitution.
pub const RESTITUTION: RangeInclusive<f32> = 0.0..=1.0;

/// How far the squared norm of a rotation may be from 1 before it is scaled to it.
pub const ROTATION_NORM: RangeInclusive<f32> = 0.9..=1.1;
