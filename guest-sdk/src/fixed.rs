//! Fixed-point numbers, and the twins of the shader block `fixed` (`// p2c2r: use fixed`): `i32` with 16 bits behind the point
//! (Q16.16), from -32768 to 32767.99998 in steps of 1/65536. For each `fixed_NAME` in WGSL there is `NAME` here, with the same bits for
//! every argument.
//!
//! What does not fit is the nearest number that does. "Rounded" is to the nearest step, half a step upwards where nothing
//! else is said. Errors are in steps, and tests hold them against exact arithmetic.
//!
//! ```
//! use p2c2r_guest::fixed;
//!
//! let third = fixed::div(fixed::ONE, fixed::of(3));
//! assert_eq!(third, 21845);
//! assert_eq!(fixed::mul(fixed::of(30_000), fixed::of(2)), fixed::MAX);
//! assert_eq!(fixed::length2([fixed::of(3), fixed::of(4)]), fixed::of(5));
//! assert_eq!(fixed::sin(fixed::PI / 2), fixed::ONE);
//! ```

use crate::wide;

/// Bits behind the point.
pub const BITS: u32 = 16;

/// 1.
pub const ONE: i32 = 1 << BITS;

/// 1/2.
pub const HALF: i32 = ONE / 2;

/// The largest number.
pub const MAX: i32 = i32::MAX;

/// The least number.
pub const MIN: i32 = i32::MIN;

/// π, rounded.
pub const PI: i32 = 205_887;

/// 2π, rounded.
pub const TAU: i32 = 411_775;

/// A whole number, -32768 to 32767; past that the nearest of them.
#[must_use]
pub const fn of(whole: i32) -> i32 {
    let whole = if whole < -32768 { -32768 } else { whole };
    (if whole > 32767 { 32767 } else { whole }) << BITS
}

/// The whole number at or below.
#[must_use]
pub const fn floor(a: i32) -> i32 {
    a >> BITS
}

/// The nearest whole number, the upper one of two.
#[must_use]
pub const fn round(a: i32) -> i32 {
    (a >> BITS) + ((a >> (BITS - 1)) & 1)
}

/// Sum.
#[must_use]
pub const fn add(a: i32, b: i32) -> i32 {
    a.saturating_add(b)
}

/// Difference.
#[must_use]
pub const fn sub(a: i32, b: i32) -> i32 {
    a.saturating_sub(b)
}

/// Without its sign; of the least number the largest.
#[must_use]
pub const fn abs(a: i32) -> i32 {
    a.saturating_abs()
}

/// Product, rounded.
#[must_use]
pub const fn mul(a: i32, b: i32) -> i32 {
    rounded(wide::product_signed(a, b) as i128)
}

/// Quotient, rounded, half a step away from zero. By zero it is the end on the side of `a`; 0 / 0 is 0.
#[must_use]
pub const fn div(a: i32, b: i32) -> i32 {
    if b == 0 {
        return if a == 0 { 0 } else { end((a as i64) << 32) };
    }
    let divisor = b.unsigned_abs() as i64;
    let quotient = (((a.unsigned_abs() as i64) << BITS) + divisor / 2) / divisor;
    clamped(if (a < 0) == (b < 0) { quotient } else { -quotient })
}

/// Square root, rounded; 0 below zero.
#[must_use]
pub const fn sqrt(a: i32) -> i32 {
    if a <= 0 { 0 } else { wide::sqrt_nearest((a as u64) << BITS) as i32 }
}

/// 1 / sqrt(a), rounded; the largest number at zero and below.
#[must_use]
pub const fn rsqrt(a: i32) -> i32 {
    if a <= 0 { MAX } else { (wide::sqrt((1 << 50) / a as u64)).div_ceil(2) as i32 }
}

/// Sine of an angle in radians: at most 0.51 steps off.
#[must_use]
pub const fn sin(angle: i32) -> i32 {
    sin_turn(turn(angle))
}

/// Cosine of an angle in radians, as [`sin`].
#[must_use]
pub const fn cos(angle: i32) -> i32 {
    cos_turn(turn(angle))
}

/// The sine of a share of a whole turn, 2^32 of them: at most 0.51 steps off.
#[must_use]
pub const fn sin_turn(turn: u32) -> i32 {
    const QUARTER: u32 = 1 << 30;
    let along = turn % QUARTER;
    let f = if turn & QUARTER == 0 { along } else { QUARTER - along } as i32;
    let f2 = mul30(f, f);
    let mut sum = mul30(161_942, f2) - 5_016_767;
    sum = mul30(sum, f2) + 85_564_854;
    sum = mul30(sum, f2) - 693_597_876;
    sum = mul30(sum, f2) + 1_686_629_674;
    let sine = (mul30(sum, f) + (1 << 13)) >> 14;
    if turn >> 31 == 0 { sine } else { -sine }
}

/// The cosine of a share of a whole turn, as [`sin_turn`].
#[must_use]
pub const fn cos_turn(turn: u32) -> i32 {
    sin_turn(turn.wrapping_add(1 << 30))
}

/// Radians as a share of a whole turn, 2^32 of them; whole turns fall away.
#[must_use]
pub const fn turn(angle: i32) -> u32 {
    // 2^48 / 2π: 2^64 of its products with an angle are a turn.
    (wide::of_signed(angle).wrapping_mul(44_798_133_900_177) >> 32) as u32
}

/// The angle of the point (x, y) in radians, -π to π; 0 of (0, 0). At most 0.53 steps off.
#[must_use]
pub const fn atan2(y: i32, x: i32) -> i32 {
    let (up, along) = (y.unsigned_abs(), x.unsigned_abs());
    let (most, least) = if up > along { (up, along) } else { (along, up) };
    if most == 0 {
        return 0;
    }
    let z = (((least as u64) << 30) / most as u64) as i32;
    let z2 = mul30(z, z);
    let mut sum = mul30(7_314_107, z2) - 36_082_257;
    sum = mul30(sum, z2) + 85_495_267;
    sum = mul30(sum, z2) - 142_091_929;
    sum = mul30(sum, z2) + 212_684_800;
    sum = mul30(sum, z2) - 357_742_515;
    sum = mul30(sum, z2) + 1_073_737_649;
    let first = mul30(sum, z) as i64;
    let upper = if up > along { 1_686_629_713 - first } else { first };
    let half = if x < 0 { 3_373_259_426 - upper } else { upper };
    let angle = ((half + (1 << 13)) >> 14) as i32;
    if y < 0 { -angle } else { angle }
}

/// From `a` at 0 to `b` at 1, rounded; `t` past them counts as 0 or 1.
#[must_use]
pub const fn lerp(a: i32, b: i32, t: i32) -> i32 {
    let t = if t < 0 { 0 } else { t };
    let t = if t > ONE { ONE } else { t };
    rounded(wide::product_signed(a, ONE - t) as i128 + wide::product_signed(b, t) as i128)
}

/// Scalar product, rounded once.
#[must_use]
pub const fn dot2(a: [i32; 2], b: [i32; 2]) -> i32 {
    dot3([a[0], a[1], 0], [b[0], b[1], 0])
}

/// Scalar product, rounded once.
#[must_use]
pub const fn dot3(a: [i32; 3], b: [i32; 3]) -> i32 {
    rounded(product(a[0], b[0]) + product(a[1], b[1]) + product(a[2], b[2]))
}

/// Vector product, each component rounded once.
#[must_use]
pub const fn cross(a: [i32; 3], b: [i32; 3]) -> [i32; 3] {
    [
        rounded(product(a[1], b[2]) - product(a[2], b[1])),
        rounded(product(a[2], b[0]) - product(a[0], b[2])),
        rounded(product(a[0], b[1]) - product(a[1], b[0])),
    ]
}

/// Euclidean length, rounded.
#[must_use]
pub const fn length2(a: [i32; 2]) -> i32 {
    length3([a[0], a[1], 0])
}

/// Euclidean length, rounded.
#[must_use]
pub const fn length3(a: [i32; 3]) -> i32 {
    let length = wide::sqrt_nearest(square([a[0].unsigned_abs(), a[1].unsigned_abs(), a[2].unsigned_abs()]));
    if length > MAX as u32 { MAX } else { length as i32 }
}

/// The direction of `a`, each component at most 0.51 steps off; of a vector of zeros, zeros.
#[must_use]
pub const fn normalise2(a: [i32; 2]) -> [i32; 2] {
    let [x, y, _] = normalise3([a[0], a[1], 0]);
    [x, y]
}

/// As [`normalise2`].
#[must_use]
pub const fn normalise3(a: [i32; 3]) -> [i32; 3] {
    let size = [a[0].unsigned_abs(), a[1].unsigned_abs(), a[2].unsigned_abs()];
    let zeros = (size[0] | size[1] | size[2]).leading_zeros();
    if zeros == 32 {
        return [0; 3];
    }
    let shift = zeros.saturating_sub(1);
    let large = [size[0] << shift, size[1] << shift, size[2] << shift];
    let length = wide::sqrt_nearest(square(large)) as u64;
    let mut direction = [0; 3];
    let mut i = 0;
    while i < 3 {
        let share = ((((large[i] as u64) << BITS) + length / 2) / length) as i32;
        direction[i] = if a[i] < 0 { -share } else { share };
        i += 1;
    }
    direction
}

const fn product(a: i32, b: i32) -> i128 {
    wide::product_signed(a, b) as i128
}

const fn square(a: [u32; 3]) -> u64 {
    wide::product(a[0], a[0]) + wide::product(a[1], a[1]) + wide::product(a[2], a[2])
}

/// 32 bits behind the point to 16.
const fn rounded(a: i128) -> i32 {
    // At most three products: the sum fits.
    clamped(((a + (1 << (BITS - 1))) >> BITS) as i64)
}

const fn clamped(a: i64) -> i32 {
    if a == a as i32 as i64 { a as i32 } else { end(a) }
}

const fn end(a: i64) -> i32 {
    if a < 0 { MIN } else { MAX }
}

/// Product of numbers with 30 bits behind the point, rounded down.
const fn mul30(a: i32, b: i32) -> i32 {
    (wide::product_signed(a, b) >> 30) as i32
}
