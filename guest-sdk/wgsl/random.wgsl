// Random numbers as functions of a counter: the same on every machine, in any order, and without a state that
// invocations would share. Not for secrets. In Rust: p2c2r_guest::random, function by function.
// p2c2r: use fixed, wide

// One word from one: the permutation of a PCG (O'Neill, 2014), as in Jarzynski and Olano, "Hash Functions for GPU
// Rendering" (2020). A bijection; cheap and good enough for noise.
fn random_hash(a: u32) -> u32 {
    let state = a * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}

// Three words from three, all of them mixed: pcg3d of the same paper.
fn random_hash3(a: vec3<u32>) -> vec3<u32> {
    var v = a * 1664525u + 1013904223u;
    v.x += v.y * v.z;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v ^= v >> vec3<u32>(16u);
    v.x += v.y * v.z;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    return v;
}

// Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011): passes every battery of TestU01.
// Four words from a counter and a key.
fn random_philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    var c = random_philox_round(counter, key);
    c = random_philox_round(c, key + vec2<u32>(0x9e3779b9u, 0xbb67ae85u));
    c = random_philox_round(c, key + vec2<u32>(0x3c6ef372u, 0x76cf5d0au));
    c = random_philox_round(c, key + vec2<u32>(0xdaa66d2bu, 0x32370b8fu));
    c = random_philox_round(c, key + vec2<u32>(0x78dde6e4u, 0xed9eba14u));
    c = random_philox_round(c, key + vec2<u32>(0x1715609du, 0xa9066899u));
    c = random_philox_round(c, key + vec2<u32>(0xb54cda56u, 0x646e171eu));
    c = random_philox_round(c, key + vec2<u32>(0x5384540fu, 0x1fd5c5a3u));
    c = random_philox_round(c, key + vec2<u32>(0xf1bbcdc8u, 0xdb3d7428u));
    return random_philox_round(c, key + vec2<u32>(0x8ff34781u, 0x96a522adu));
}

fn random_philox_round(c: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    let a = wide_product(0xd2511f53u, c.x);
    let b = wide_product(0xcd9e8d57u, c.z);
    return vec4<u32>(b.y ^ c.y ^ key.x, b.x, a.y ^ c.w ^ key.y, a.x);
}

// 0 to `count - 1` from a random word; no value is likelier than another by more than one in 2^32. 0 of a count of 0.
fn random_below(word: u32, count: u32) -> u32 { return wide_product(word, count).y; }

// A Q16.16 number, 0 or more and below 1, from a random word.
fn random_fixed(word: u32) -> i32 { return i32(word >> 16u); }

// Value noise: a Q16.16 number, 0 or more and below 1, random at whole numbers and smooth between them.
fn random_noise2(at: vec2<i32>, seed: u32) -> i32 {
    let corner = at >> vec2<u32>(16u);
    let x = random_smooth(at.x & 0xffff);
    let y = random_smooth(at.y & 0xffff);
    let near = fixed_lerp(random_corner(corner, 0, 0, seed), random_corner(corner, 1, 0, seed), x);
    let far = fixed_lerp(random_corner(corner, 0, 1, seed), random_corner(corner, 1, 1, seed), x);
    return fixed_lerp(near, far, y);
}

fn random_corner(at: vec2<i32>, dx: i32, dy: i32, seed: u32) -> i32 {
    return random_fixed(random_hash3(vec3<u32>(u32(at.x + dx), u32(at.y + dy), seed)).x);
}

// 3 t^2 - 2 t^3
fn random_smooth(t: i32) -> i32 { return fixed_mul(fixed_mul(t, t), 3 * FIXED_ONE - 2 * t); }
