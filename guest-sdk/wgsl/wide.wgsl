// 64-bit integers as vec2<u32>, the low word first: the eight bytes of a little-endian u64, or of an i64 in two's
// complement. Results wrap unless a function says otherwise. No loops. In Rust: p2c2r_guest::wide, function by function.

// `a` with zeros above it.
fn wide_of(a: u32) -> vec2<u32> { return vec2<u32>(a, 0u); }

// `a` with its sign above it.
fn wide_of_signed(a: i32) -> vec2<u32> { return vec2<u32>(u32(a), u32(a >> 31u)); }

fn wide_add(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + u32(low < a.x));
}

fn wide_sub(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(a.x - b.x, a.y - b.y - u32(a.x < b.x));
}

fn wide_neg(a: vec2<u32>) -> vec2<u32> { return wide_sub(vec2<u32>(), a); }

// The whole product of two words.
fn wide_product(a: u32, b: u32) -> vec2<u32> {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    let cross = a1 * b0;
    let middle = ((a0 * b0) >> 16u) + (cross & 0xffffu) + a0 * b1;
    return vec2<u32>(a * b, a1 * b1 + (cross >> 16u) + (middle >> 16u));
}

// The whole product of two signed words.
fn wide_product_signed(a: i32, b: i32) -> vec2<u32> {
    let p = wide_product(u32(a), u32(b));
    return vec2<u32>(p.x, p.y - (u32(a >> 31u) & u32(b)) - (u32(b >> 31u) & u32(a)));
}

// Of signed and unsigned numbers alike.
fn wide_mul(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let p = wide_product(a.x, b.x);
    return vec2<u32>(p.x, p.y + a.x * b.y + a.y * b.x);
}

// `count` modulo 64, as in the other two shifts.
fn wide_shl(a: vec2<u32>, count: u32) -> vec2<u32> {
    let n = count & 31u;
    let near = vec2<u32>(a.x << n, (a.y << n) | ((a.x >> 1u) >> (31u - n)));
    return select(near, vec2<u32>(0u, near.x), (count & 32u) != 0u);
}

fn wide_shr(a: vec2<u32>, count: u32) -> vec2<u32> {
    let n = count & 31u;
    let near = vec2<u32>((a.x >> n) | ((a.y << 1u) << (31u - n)), a.y >> n);
    return select(near, vec2<u32>(near.y, 0u), (count & 32u) != 0u);
}

// With copies of the sign from above.
fn wide_sar(a: vec2<u32>, count: u32) -> vec2<u32> {
    let n = count & 31u;
    let sign = u32(i32(a.y) >> 31u);
    let near = vec2<u32>((a.x >> n) | ((a.y << 1u) << (31u - n)), u32(i32(a.y) >> n));
    return select(near, vec2<u32>(near.y, sign), (count & 32u) != 0u);
}

fn wide_equal(a: vec2<u32>, b: vec2<u32>) -> bool { return all(a == b); }

fn wide_less(a: vec2<u32>, b: vec2<u32>) -> bool {
    return select(a.y < b.y, a.x < b.x, a.y == b.y);
}

fn wide_less_signed(a: vec2<u32>, b: vec2<u32>) -> bool {
    return select(i32(a.y) < i32(b.y), a.x < b.x, a.y == b.y);
}

fn wide_leading_zeros(a: vec2<u32>) -> u32 {
    return select(countLeadingZeros(a.y), 32u + countLeadingZeros(a.x), a.y == 0u);
}

// As `/` of WGSL: by zero it is `a`.
fn wide_div(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    if b.y == 0u {
        if b.x == 0u { return a; }
        return vec2<u32>(wide_short_div(vec2<u32>(a.x, a.y % b.x), b.x).x, a.y / b.x);
    }
    // Half the dividend by the divisor's upper word; off by one at most (Warren, Hacker's Delight, 9-5).
    let shift = countLeadingZeros(b.y);
    let rough = wide_short_div(wide_shr(a, 1u), wide_shl(b, shift).y).x >> (31u - shift);
    let least = rough - min(rough, 1u);
    let rest = wide_sub(a, wide_mul(vec2<u32>(least, 0u), b));
    return vec2<u32>(least + u32(!wide_less(rest, b)), 0u);
}

// As `%` of WGSL: by zero it is 0.
fn wide_rem(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    if all(b == vec2<u32>()) { return b; }
    return wide_sub(a, wide_mul(wide_div(a, b), b));
}

// Towards zero; by zero it is `a`, and the least number by -1 is itself.
fn wide_div_signed(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let q = wide_div(wide_magnitude(a), wide_magnitude(b));
    return select(q, wide_neg(q), i32(a.y ^ b.y) < 0);
}

// floor(a * b / c), the product whole; 0xffffffff if that is more than a word, or if `c` is 0.
fn wide_mul_div(a: u32, b: u32, c: u32) -> u32 {
    let product = wide_product(a, b);
    if product.y >= c { return 0xffffffffu; }
    return wide_short_div(product, c).x;
}

// floor(sqrt(a)).
fn wide_sqrt(a: vec2<u32>) -> u32 {
    if wide_equal(a, vec2<u32>()) { return 0u; }
    let shift = wide_leading_zeros(a) & 62u;
    let n = wide_shl(a, shift);
    // Zimmermann, Karatsuba Square Root (1999): each step takes twice the digits of the last.
    let upper = wide_sqrt_word(n.y);
    let half = (upper.y << 15u) | (n.x >> 17u);
    let digit = half / upper.x;
    let left = (half - digit * upper.x) * 2u + ((n.x >> 16u) & 1u);
    let rest = vec2<u32>((left << 16u) | (n.x & 0xffffu), left >> 16u);
    // May pass 2^32 and come back.
    let root = (upper.x << 16u) + digit - u32(wide_less(rest, wide_product(digit, digit)));
    return root >> (shift / 2u);
}

// sqrt(a), rounded to the nearest word; 0xffffffff if that is past it.
fn wide_sqrt_nearest(a: vec2<u32>) -> u32 {
    let root = wide_sqrt(a);
    let rest = wide_sub(a, wide_product(root, root));
    let up = rest.y != 0u || rest.x > root;
    return root + u32(up && root != 0xffffffffu);
}

// Root and rest of a number of at least 2^30.
fn wide_sqrt_word(n: u32) -> vec2<u32> {
    // Four bits of the upper byte's root, one by one.
    let byte = n >> 24u;
    var root = 8u + select(0u, 4u, byte >= 144u);
    root += select(0u, 2u, byte >= (root + 2u) * (root + 2u));
    root += select(0u, 1u, byte >= (root + 1u) * (root + 1u));
    let second = wide_sqrt_step(root, byte - root * root, (n >> 16u) & 0xffu, 4u);
    return wide_sqrt_step(second.x, second.y, n & 0xffffu, 8u);
}

// Root and rest of a number whose upper half has this root and rest, and whose lower half is `low`, twice `bits` long.
fn wide_sqrt_step(root: u32, rest: u32, low: u32, bits: u32) -> vec2<u32> {
    let mask = (1u << bits) - 1u;
    let left = (rest << bits) | (low >> bits);
    let digit = left / (2u * root);
    let next = (root << bits) + digit;
    let over = ((left - digit * 2u * root) << bits) | (low & mask);
    let square = digit * digit;
    if over >= square { return vec2<u32>(next, over - square); }
    return vec2<u32>(next - 1u, over + 2u * next - 1u - square);
}

fn wide_magnitude(a: vec2<u32>) -> vec2<u32> {
    return select(a, wide_neg(a), i32(a.y) < 0);
}

// Quotient and remainder of a division whose quotient is one word: `a.y` is below `b`.
fn wide_short_div(a: vec2<u32>, b: u32) -> vec2<u32> {
    let shift = countLeadingZeros(b);
    let divisor = b << shift;
    let n = wide_shl(a, shift);
    let upper = wide_short_digit(n.y, n.x >> 16u, divisor);
    let middle = ((n.y << 16u) | (n.x >> 16u)) - upper * divisor;
    let lower = wide_short_digit(middle, n.x & 0xffffu, divisor);
    let rest = ((middle << 16u) | (n.x & 0xffffu)) - lower * divisor;
    return vec2<u32>((upper << 16u) | lower, rest >> shift);
}

// A digit of 16 bits (Knuth, The Art of Computer Programming 2, 4.3.1, algorithm D); `divisor` is at least 2^31.
fn wide_short_digit(high: u32, next: u32, divisor: u32) -> u32 {
    let d1 = divisor >> 16u;
    let d0 = divisor & 0xffffu;
    var digit = high / d1;
    var rest = high - digit * d1;
    if digit > 0xffffu || digit * d0 > ((rest << 16u) | next) {
        digit -= 1u;
        rest += d1;
        if rest <= 0xffffu && (digit > 0xffffu || digit * d0 > ((rest << 16u) | next)) { digit -= 1u; }
    }
    return digit;
}
