//! The twins of the shader block `wide` (`// p2c2r: use wide`): for each `wide_NAME` on `vec2<u32>` the function `NAME` on `u64`,
//! or `i64` where its comment says signed, with the same bits for every argument. In memory the two are the same eight bytes.
//!
//! Guests have 64-bit integers and need none of this; it says what the shader computes.
//!
//! ```
//! use p2c2r_guest::wide;
//!
//! assert_eq!(wide::mul_div(3_000_000_000, 7, 10), 2_100_000_000);
//! assert_eq!(wide::div(7, 0), 7);
//! assert_eq!(wide::sqrt(u64::MAX), u32::MAX);
//! ```

/// `a` with zeros above it.
#[must_use]
pub const fn of(a: u32) -> u64 {
    a as u64
}

/// `a` with its sign above it.
#[must_use]
pub const fn of_signed(a: i32) -> i64 {
    a as i64
}

/// Sum, wrapping.
#[must_use]
pub const fn add(a: u64, b: u64) -> u64 {
    a.wrapping_add(b)
}

/// Difference, wrapping.
#[must_use]
pub const fn sub(a: u64, b: u64) -> u64 {
    a.wrapping_sub(b)
}

/// `-a`, wrapping.
#[must_use]
pub const fn neg(a: u64) -> u64 {
    a.wrapping_neg()
}

/// The whole product of two words.
#[must_use]
pub const fn product(a: u32, b: u32) -> u64 {
    a as u64 * b as u64
}

/// The whole product of two signed words.
#[must_use]
pub const fn product_signed(a: i32, b: i32) -> i64 {
    a as i64 * b as i64
}

/// Product, wrapping; the bits are those of signed numbers too.
#[must_use]
pub const fn mul(a: u64, b: u64) -> u64 {
    a.wrapping_mul(b)
}

/// Shift left by `count` modulo 64.
#[must_use]
pub const fn shl(a: u64, count: u32) -> u64 {
    a.wrapping_shl(count)
}

/// Shift right by `count` modulo 64, zeros from above.
#[must_use]
pub const fn shr(a: u64, count: u32) -> u64 {
    a.wrapping_shr(count)
}

/// Shift right by `count` modulo 64, copies of the sign from above.
#[must_use]
pub const fn sar(a: i64, count: u32) -> i64 {
    a.wrapping_shr(count)
}

/// `a == b`.
#[must_use]
pub const fn equal(a: u64, b: u64) -> bool {
    a == b
}

/// `a < b`.
#[must_use]
pub const fn less(a: u64, b: u64) -> bool {
    a < b
}

/// `a < b` of signed numbers.
#[must_use]
pub const fn less_signed(a: i64, b: i64) -> bool {
    a < b
}

/// Zero bits above the first one; 64 of zero.
#[must_use]
pub const fn leading_zeros(a: u64) -> u32 {
    a.leading_zeros()
}

/// `a / b`; by zero it is `a`.
#[must_use]
pub const fn div(a: u64, b: u64) -> u64 {
    match a.checked_div(b) {
        Some(quotient) => quotient,
        None => a,
    }
}

/// `a % b`; by zero it is 0.
#[must_use]
pub const fn rem(a: u64, b: u64) -> u64 {
    if b == 0 { 0 } else { a % b }
}

/// `a / b` towards zero; by zero it is `a`, and the least number by -1 is itself.
#[must_use]
pub const fn div_signed(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { a.wrapping_div(b) }
}

/// `a * b / c` rounded down, the product whole; `u32::MAX` if that is more than a word, or if `c` is 0.
#[must_use]
pub const fn mul_div(a: u32, b: u32, c: u32) -> u32 {
    let product = product(a, b);
    if product >> 32 >= c as u64 { u32::MAX } else { (product / c as u64) as u32 }
}

/// The square root, rounded down.
#[must_use]
pub const fn sqrt(a: u64) -> u32 {
    a.isqrt() as u32
}

/// The square root, rounded to the nearest word; `u32::MAX` if that is past it.
#[must_use]
pub const fn sqrt_nearest(a: u64) -> u32 {
    let root = sqrt(a);
    // (root + 1/2)^2 = root^2 + root + 1/4
    let up = a - product(root, root) > root as u64;
    if up { root.saturating_add(1) } else { root }
}
