// Fixed-point numbers: i32 with 16 bits behind the point (Q16.16), from -32768 to 32767.99998 in steps of 1/65536.
// What does not fit is the nearest number that does; `+`, `-` and `<<` of WGSL wrap. "Rounded" is to the nearest step. No
// loops. In Rust: p2c2r_guest::fixed, function by function.
// p2c2r: use wide

const FIXED_ONE: i32 = 65536;

const FIXED_HALF: i32 = 32768;

const FIXED_MAX: i32 = 2147483647;

const FIXED_MIN: i32 = -2147483648;

const FIXED_PI: i32 = 205887;

const FIXED_TAU: i32 = 411775;

// A whole number, -32768 to 32767; past that the nearest of them.
fn fixed_of(whole: i32) -> i32 { return clamp(whole, -32768, 32767) * 65536; }

// The whole number at or below.
fn fixed_floor(a: i32) -> i32 { return a >> 16u; }

// The nearest whole number, the upper one of two.
fn fixed_round(a: i32) -> i32 { return (a >> 16u) + ((a >> 15u) & 1); }

fn fixed_add(a: i32, b: i32) -> i32 {
    let sum = a + b;
    return select(sum, fixed_end(a), ((a ^ sum) & (b ^ sum)) < 0);
}

fn fixed_sub(a: i32, b: i32) -> i32 {
    let difference = a - b;
    return select(difference, fixed_end(a), ((a ^ b) & (a ^ difference)) < 0);
}

fn fixed_abs(a: i32) -> i32 { return select(a, -max(a, -FIXED_MAX), a < 0); }

// Rounded.
fn fixed_mul(a: i32, b: i32) -> i32 { return fixed_from_wide(wide_product_signed(a, b)); }

// Rounded, halves away from zero. By zero it is the end on the side of `a`; 0 / 0 is 0.
fn fixed_div(a: i32, b: i32) -> i32 {
    let divisor = fixed_magnitude(b);
    let dividend = fixed_magnitude(a);
    let n = wide_add(vec2<u32>(dividend << 16u, dividend >> 16u), vec2<u32>(divisor / 2u, 0u));
    if n.y >= divisor { return select(fixed_end(a ^ b), 0, a == 0); }
    return fixed_signed(wide_short_div(n, divisor).x, a ^ b);
}

// Rounded; 0 below zero.
fn fixed_sqrt(a: i32) -> i32 {
    let n = u32(max(a, 0));
    return i32(wide_sqrt_nearest(vec2<u32>(n << 16u, n >> 16u)));
}

// 1 / sqrt(a), rounded; the largest number at zero and below.
fn fixed_rsqrt(a: i32) -> i32 {
    if a <= 0 { return FIXED_MAX; }
    // Twice the root, so that its last bit rounds.
    return i32((wide_sqrt(wide_div(vec2<u32>(0u, 0x40000u), vec2<u32>(u32(a), 0u))) + 1u) / 2u);
}

// `angle` in radians. At most 0.51 steps off, and 1 at most.
fn fixed_sin(angle: i32) -> i32 { return fixed_sin_turn(fixed_turn(angle)); }

// As fixed_sin.
fn fixed_cos(angle: i32) -> i32 { return fixed_sin_turn(fixed_turn(angle) + 0x40000000u); }

// The sine of a share of a whole turn, 2^32 of them. At most 0.51 steps off.
fn fixed_sin_turn(turn: u32) -> i32 {
    let along = turn & 0x3fffffffu;
    let f = i32(select(along, 0x40000000u - along, (turn & 0x40000000u) != 0u));
    // A minimax polynomial of degree 9 for sin(pi / 2 * f), its error 3.4e-9; 30 bits behind the point.
    let f2 = fixed_mul30(f, f);
    var sum = fixed_mul30(161942, f2) - 5016767;
    sum = fixed_mul30(sum, f2) + 85564854;
    sum = fixed_mul30(sum, f2) - 693597876;
    sum = fixed_mul30(sum, f2) + 1686629674;
    let sine = (fixed_mul30(sum, f) + 8192) >> 14u;
    return select(sine, -sine, (turn & 0x80000000u) != 0u);
}

// The cosine of a share of a whole turn.
fn fixed_cos_turn(turn: u32) -> i32 { return fixed_sin_turn(turn + 0x40000000u); }

// Radians as a share of a whole turn, 2^32 of them; whole turns fall away.
fn fixed_turn(angle: i32) -> u32 {
    // 2^48 / (2 pi), 2^64 of which are a turn.
    return wide_mul(wide_of_signed(angle), vec2<u32>(0x60db9391u, 0x28beu)).y;
}

// The angle of the point (x, y), in radians, -pi to pi; 0 of (0, 0). At most 0.53 steps off.
fn fixed_atan2(y: i32, x: i32) -> i32 {
    let up = fixed_magnitude(y);
    let along = fixed_magnitude(x);
    let most = max(up, along);
    if most == 0u { return 0; }
    let least = min(up, along);
    let z = i32(wide_short_div(vec2<u32>(least << 30u, least >> 2u), most).x);
    // A minimax polynomial of degree 13 for atan on 0 to 1, its error 2.5e-7; 30 bits behind the point.
    let z2 = fixed_mul30(z, z);
    var sum = fixed_mul30(7314107, z2) - 36082257;
    sum = fixed_mul30(sum, z2) + 85495267;
    sum = fixed_mul30(sum, z2) - 142091929;
    sum = fixed_mul30(sum, z2) + 212684800;
    sum = fixed_mul30(sum, z2) - 357742515;
    sum = fixed_mul30(sum, z2) + 1073737649;
    var angle = u32(fixed_mul30(sum, z));
    // Half of pi and pi with 30 bits behind the point.
    angle = select(angle, 1686629713u - angle, up > along);
    angle = select(angle, 3373259426u - angle, x < 0);
    return fixed_signed((angle + 8192u) >> 14u, y);
}

// From `a` at 0 to `b` at 1, rounded; `t` past them counts as 0 or 1.
fn fixed_lerp(a: i32, b: i32, t: i32) -> i32 {
    let share = clamp(t, 0, FIXED_ONE);
    return fixed_from_wide(wide_add(wide_product_signed(a, FIXED_ONE - share), wide_product_signed(b, share)));
}

// Rounded once.
fn fixed_dot2(a: vec2<i32>, b: vec2<i32>) -> i32 {
    return fixed_from_wides(wide_product_signed(a.x, b.x), wide_product_signed(a.y, b.y), vec2<u32>());
}

// Rounded once.
fn fixed_dot3(a: vec3<i32>, b: vec3<i32>) -> i32 {
    return fixed_from_wides(
        wide_product_signed(a.x, b.x),
        wide_product_signed(a.y, b.y),
        wide_product_signed(a.z, b.z),
    );
}

// The vector product, each component rounded once.
fn fixed_cross(a: vec3<i32>, b: vec3<i32>) -> vec3<i32> {
    return vec3<i32>(
        fixed_from_wides(wide_product_signed(a.y, b.z), wide_neg(wide_product_signed(a.z, b.y)), vec2<u32>()),
        fixed_from_wides(wide_product_signed(a.z, b.x), wide_neg(wide_product_signed(a.x, b.z)), vec2<u32>()),
        fixed_from_wides(wide_product_signed(a.x, b.y), wide_neg(wide_product_signed(a.y, b.x)), vec2<u32>()),
    );
}

// Rounded.
fn fixed_length2(a: vec2<i32>) -> i32 { return fixed_length3(vec3<i32>(a, 0)); }

// Rounded.
fn fixed_length3(a: vec3<i32>) -> i32 {
    return i32(min(wide_sqrt_nearest(fixed_square(fixed_magnitudes(a))), 0x7fffffffu));
}

// The direction of `a`, each component at most 0.51 steps off; of a vector of zeros, zeros.
fn fixed_normalise2(a: vec2<i32>) -> vec2<i32> { return fixed_normalise3(vec3<i32>(a, 0)).xy; }

// As fixed_normalise2.
fn fixed_normalise3(a: vec3<i32>) -> vec3<i32> {
    let m = fixed_magnitudes(a);
    let most = max(max(m.x, m.y), m.z);
    if most == 0u { return vec3<i32>(); }
    // As large as it gets, so that its length has 30 good bits.
    let shift = max(countLeadingZeros(most), 1u) - 1u;
    let large = vec3<u32>(m.x << shift, m.y << shift, m.z << shift);
    let length = wide_sqrt_nearest(fixed_square(large));
    return vec3<i32>(
        fixed_signed(fixed_share(large.x, length), a.x),
        fixed_signed(fixed_share(large.y, length), a.y),
        fixed_signed(fixed_share(large.z, length), a.z),
    );
}

// part / whole, rounded, `part` at most `whole`.
fn fixed_share(part: u32, whole: u32) -> u32 {
    return wide_short_div(wide_add(vec2<u32>(part << 16u, part >> 16u), vec2<u32>(whole / 2u, 0u)), whole).x;
}

fn fixed_square(a: vec3<u32>) -> vec2<u32> {
    return wide_add(wide_add(wide_product(a.x, a.x), wide_product(a.y, a.y)), wide_product(a.z, a.z));
}

// 32 bits behind the point to 16, rounded; a 64-bit integer as in `wide`.
fn fixed_from_wide(a: vec2<u32>) -> i32 { return fixed_from_wides(a, vec2<u32>(), vec2<u32>()); }

// The sum of three, rounded, which itself may be wider than 64 bits.
fn fixed_from_wides(a: vec2<u32>, b: vec2<u32>, c: vec2<u32>) -> i32 {
    let low = ((a.x & 0xffffu) + (b.x & 0xffffu) + (c.x & 0xffffu) + 0x8000u) >> 16u;
    let high = wide_add(wide_add(wide_sar(a, 16u), wide_sar(b, 16u)), wide_sar(c, 16u));
    let sum = wide_add(high, vec2<u32>(low, 0u));
    let fits = i32(sum.y) == i32(sum.x) >> 31u;
    return select(fixed_end(i32(sum.y)), i32(sum.x), fits);
}

// Numbers with 30 bits behind the point, rounded down.
fn fixed_mul30(a: i32, b: i32) -> i32 {
    let p = wide_product_signed(a, b);
    return i32((p.y << 2u) | (p.x >> 30u));
}

// The largest or the least number, by the sign of `a`.
fn fixed_end(a: i32) -> i32 { return select(FIXED_MAX, FIXED_MIN, a < 0); }

fn fixed_magnitude(a: i32) -> u32 { return select(u32(a), 0u - u32(a), a < 0); }

fn fixed_magnitudes(a: vec3<i32>) -> vec3<u32> {
    return vec3<u32>(fixed_magnitude(a.x), fixed_magnitude(a.y), fixed_magnitude(a.z));
}

// `magnitude` with the sign of `sign`, ends instead of what does not fit.
fn fixed_signed(magnitude: u32, sign: i32) -> i32 {
    if sign < 0 { return i32(0u - min(magnitude, 0x80000000u)); }
    return i32(min(magnitude, 0x7fffffffu));
}
