//! Three floats. Only operations that IEEE 754 rounds exactly: every machine gets the same bits.

use core::ops::{Add, Mul, Neg, Sub};

use bytemuck::{Pod, Zeroable};

/// A point, direction or colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Vec3 {
    /// First component; red.
    pub x: f32,
    /// Second component, up; green.
    pub y: f32,
    /// Third component; blue.
    pub z: f32,
}

/// Shorthand for a vector of three numbers.
#[must_use]
pub const fn vec3(x: f32, y: f32, z: f32) -> Vec3 {
    Vec3 { x, y, z }
}

impl Vec3 {
    /// All components equal.
    #[must_use]
    pub const fn splat(v: f32) -> Self {
        vec3(v, v, v)
    }

    /// Scalar product.
    #[must_use]
    pub fn dot(self, o: Self) -> f32 {
        self.x * o.x + self.y * o.y + self.z * o.z
    }

    /// Vector product.
    #[must_use]
    pub fn cross(self, o: Self) -> Self {
        vec3(self.y * o.z - self.z * o.y, self.z * o.x - self.x * o.z, self.x * o.y - self.y * o.x)
    }

    /// Euclidean length.
    #[must_use]
    pub fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// The direction of `self`; `up` for a vector too short to have one.
    #[must_use]
    pub fn normalised_or(self, up: Self) -> Self {
        let length = self.length();
        if length > 1e-12 { self * (1.0 / length) } else { up }
    }

    /// Componentwise product.
    #[must_use]
    pub fn times(self, o: Self) -> Self {
        vec3(self.x * o.x, self.y * o.y, self.z * o.z)
    }

    /// Componentwise minimum.
    #[must_use]
    pub fn min(self, o: Self) -> Self {
        vec3(self.x.min(o.x), self.y.min(o.y), self.z.min(o.z))
    }

    /// Componentwise maximum.
    #[must_use]
    pub fn max(self, o: Self) -> Self {
        vec3(self.x.max(o.x), self.y.max(o.y), self.z.max(o.z))
    }

    /// Linear interpolation.
    #[must_use]
    pub fn mix(self, o: Self, t: f32) -> Self {
        self * (1.0 - t) + o * t
    }

    /// Largest component.
    #[must_use]
    pub fn largest(self) -> f32 {
        self.x.max(self.y).max(self.z)
    }

    /// Mirror image of a direction at a surface with unit normal `n`.
    #[must_use]
    pub fn reflected(self, n: Self) -> Self {
        self - n * (2.0 * self.dot(n))
    }

    /// The components.
    #[must_use]
    pub const fn to_array(self) -> [f32; 3] {
        [self.x, self.y, self.z]
    }

    /// Whether no component is infinite or NaN.
    #[must_use]
    pub const fn is_finite(self) -> bool {
        self.x.is_finite() && self.y.is_finite() && self.z.is_finite()
    }
}

impl Add for Vec3 {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        vec3(self.x + o.x, self.y + o.y, self.z + o.z)
    }
}

impl Sub for Vec3 {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        vec3(self.x - o.x, self.y - o.y, self.z - o.z)
    }
}

impl Mul<f32> for Vec3 {
    type Output = Self;
    fn mul(self, s: f32) -> Self {
        vec3(self.x * s, self.y * s, self.z * s)
    }
}

impl Neg for Vec3 {
    type Output = Self;
    fn neg(self) -> Self {
        vec3(-self.x, -self.y, -self.z)
    }
}
