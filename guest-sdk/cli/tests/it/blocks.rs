//! The shader blocks on a GPU and on the reference against their Rust twins, function by function and bit for bit.

use std::collections::BTreeMap;

use p2c2r_guest::{fixed, random, wide};

use crate::device::{dispatch, engines, verdict};

/// Words an invocation is given.
const WORDS: usize = 6;

/// Words a function may return.
const RESULTS: usize = 4;

/// Sets of arguments for each function.
const CASES: u32 = 8192;

type Words = [u32; WORDS];

/// A function: its name, a WGSL expression of `vec4<u32>`, and its twin.
struct Row {
    name: &'static str,
    wgsl: &'static str,
    twin: fn(Words) -> [u32; RESULTS],
}

const fn row(name: &'static str, wgsl: &'static str, twin: fn(Words) -> [u32; RESULTS]) -> Row {
    Row { name, wgsl, twin }
}

/// Arguments and results of the twins.
fn s(word: u32) -> i32 {
    word.cast_signed()
}

fn u64_at(w: Words, at: usize) -> u64 {
    u64::from(w[at]) | u64::from(w[at + 1]) << 32
}

fn i64_at(w: Words, at: usize) -> i64 {
    u64_at(w, at).cast_signed()
}

fn v2(w: Words, at: usize) -> [i32; 2] {
    [s(w[at]), s(w[at + 1])]
}

fn v3(w: Words, at: usize) -> [i32; 3] {
    [s(w[at]), s(w[at + 1]), s(w[at + 2])]
}

fn one(word: u32) -> [u32; RESULTS] {
    [word, 0, 0, 0]
}

fn signed(word: i32) -> [u32; RESULTS] {
    one(word.cast_unsigned())
}

fn two(word: u64) -> [u32; RESULTS] {
    [word as u32, (word >> 32) as u32, 0, 0]
}

fn three([x, y, z]: [i32; 3]) -> [u32; RESULTS] {
    [x.cast_unsigned(), y.cast_unsigned(), z.cast_unsigned(), 0]
}

/// `w` word, `s` signed word, `ww` two of them as a 64-bit integer, `v` vectors; `one` and `two` make results of them.
const HARNESS: &str = "
@group(0) @binding(0) var<storage, read> words: array<u32>;
@group(0) @binding(1) var<storage, read_write> results: array<vec4<u32>>;
var<private> first: u32;
fn w(at: u32) -> u32 { return words[first + at]; }
fn s(at: u32) -> i32 { return i32(w(at)); }
fn ww(at: u32) -> vec2<u32> { return vec2<u32>(w(at), w(at + 1u)); }
fn v2(at: u32) -> vec2<i32> { return vec2<i32>(s(at), s(at + 1u)); }
fn v3(at: u32) -> vec3<i32> { return vec3<i32>(s(at), s(at + 1u), s(at + 2u)); }
fn one(a: u32) -> vec4<u32> { return vec4<u32>(a, 0u, 0u, 0u); }
fn signed(a: i32) -> vec4<u32> { return one(u32(a)); }
fn two(a: vec2<u32>) -> vec4<u32> { return vec4<u32>(a, 0u, 0u); }
fn three(a: vec3<i32>) -> vec4<u32> { return vec4<u32>(vec3<u32>(a), 0u); }
";

const WIDE: &[Row] = &[
    row("of", "two(wide_of(w(0u)))", |w| two(wide::of(w[0]))),
    row("of_signed", "two(wide_of_signed(s(0u)))", |w| two(wide::of_signed(s(w[0])).cast_unsigned())),
    row("add", "two(wide_add(ww(0u), ww(2u)))", |w| two(wide::add(u64_at(w, 0), u64_at(w, 2)))),
    row("sub", "two(wide_sub(ww(0u), ww(2u)))", |w| two(wide::sub(u64_at(w, 0), u64_at(w, 2)))),
    row("neg", "two(wide_neg(ww(0u)))", |w| two(wide::neg(u64_at(w, 0)))),
    row("product", "two(wide_product(w(0u), w(1u)))", |w| two(wide::product(w[0], w[1]))),
    row("product_signed", "two(wide_product_signed(s(0u), s(1u)))", |w| {
        two(wide::product_signed(s(w[0]), s(w[1])).cast_unsigned())
    }),
    row("mul", "two(wide_mul(ww(0u), ww(2u)))", |w| two(wide::mul(u64_at(w, 0), u64_at(w, 2)))),
    row("shl", "two(wide_shl(ww(0u), w(2u)))", |w| two(wide::shl(u64_at(w, 0), w[2]))),
    row("shr", "two(wide_shr(ww(0u), w(2u)))", |w| two(wide::shr(u64_at(w, 0), w[2]))),
    row("sar", "two(wide_sar(ww(0u), w(2u)))", |w| two(wide::sar(i64_at(w, 0), w[2]).cast_unsigned())),
    row("equal", "one(u32(wide_equal(ww(0u), ww(2u))))", |w| one(u32::from(wide::equal(u64_at(w, 0), u64_at(w, 2))))),
    row("less", "one(u32(wide_less(ww(0u), ww(2u))))", |w| one(u32::from(wide::less(u64_at(w, 0), u64_at(w, 2))))),
    row("less_signed", "one(u32(wide_less_signed(ww(0u), ww(2u))))", |w| {
        one(u32::from(wide::less_signed(i64_at(w, 0), i64_at(w, 2))))
    }),
    row("leading_zeros", "one(wide_leading_zeros(ww(0u)))", |w| one(wide::leading_zeros(u64_at(w, 0)))),
    row("div", "two(wide_div(ww(0u), ww(2u)))", |w| two(wide::div(u64_at(w, 0), u64_at(w, 2)))),
    row("rem", "two(wide_rem(ww(0u), ww(2u)))", |w| two(wide::rem(u64_at(w, 0), u64_at(w, 2)))),
    row("div_signed", "two(wide_div_signed(ww(0u), ww(2u)))", |w| {
        two(wide::div_signed(i64_at(w, 0), i64_at(w, 2)).cast_unsigned())
    }),
    row("mul_div", "one(wide_mul_div(w(0u), w(1u), w(2u)))", |w| one(wide::mul_div(w[0], w[1], w[2]))),
    row("sqrt", "one(wide_sqrt(ww(0u)))", |w| one(wide::sqrt(u64_at(w, 0)))),
    row("sqrt_nearest", "one(wide_sqrt_nearest(ww(0u)))", |w| one(wide::sqrt_nearest(u64_at(w, 0)))),
];

const FIXED: &[Row] = &[
    row("of", "signed(fixed_of(s(0u)))", |w| signed(fixed::of(s(w[0])))),
    row("floor", "signed(fixed_floor(s(0u)))", |w| signed(fixed::floor(s(w[0])))),
    row("round", "signed(fixed_round(s(0u)))", |w| signed(fixed::round(s(w[0])))),
    row("add", "signed(fixed_add(s(0u), s(1u)))", |w| signed(fixed::add(s(w[0]), s(w[1])))),
    row("sub", "signed(fixed_sub(s(0u), s(1u)))", |w| signed(fixed::sub(s(w[0]), s(w[1])))),
    row("abs", "signed(fixed_abs(s(0u)))", |w| signed(fixed::abs(s(w[0])))),
    row("mul", "signed(fixed_mul(s(0u), s(1u)))", |w| signed(fixed::mul(s(w[0]), s(w[1])))),
    row("div", "signed(fixed_div(s(0u), s(1u)))", |w| signed(fixed::div(s(w[0]), s(w[1])))),
    row("sqrt", "signed(fixed_sqrt(s(0u)))", |w| signed(fixed::sqrt(s(w[0])))),
    row("rsqrt", "signed(fixed_rsqrt(s(0u)))", |w| signed(fixed::rsqrt(s(w[0])))),
    row("sin", "signed(fixed_sin(s(0u)))", |w| signed(fixed::sin(s(w[0])))),
    row("cos", "signed(fixed_cos(s(0u)))", |w| signed(fixed::cos(s(w[0])))),
    row("sin_turn", "signed(fixed_sin_turn(w(0u)))", |w| signed(fixed::sin_turn(w[0]))),
    row("cos_turn", "signed(fixed_cos_turn(w(0u)))", |w| signed(fixed::cos_turn(w[0]))),
    row("turn", "one(fixed_turn(s(0u)))", |w| one(fixed::turn(s(w[0])))),
    row("atan2", "signed(fixed_atan2(s(0u), s(1u)))", |w| signed(fixed::atan2(s(w[0]), s(w[1])))),
    row("lerp", "signed(fixed_lerp(s(0u), s(1u), s(2u)))", |w| signed(fixed::lerp(s(w[0]), s(w[1]), s(w[2])))),
    row("dot2", "signed(fixed_dot2(v2(0u), v2(2u)))", |w| signed(fixed::dot2(v2(w, 0), v2(w, 2)))),
    row("dot3", "signed(fixed_dot3(v3(0u), v3(3u)))", |w| signed(fixed::dot3(v3(w, 0), v3(w, 3)))),
    row("cross", "three(fixed_cross(v3(0u), v3(3u)))", |w| three(fixed::cross(v3(w, 0), v3(w, 3)))),
    row("length2", "signed(fixed_length2(v2(0u)))", |w| signed(fixed::length2(v2(w, 0)))),
    row("length3", "signed(fixed_length3(v3(0u)))", |w| signed(fixed::length3(v3(w, 0)))),
    row("normalise2", "three(vec3<i32>(fixed_normalise2(v2(0u)), 0))", |w| {
        let [x, y] = fixed::normalise2(v2(w, 0));
        three([x, y, 0])
    }),
    row("normalise3", "three(fixed_normalise3(v3(0u)))", |w| three(fixed::normalise3(v3(w, 0)))),
];

const RANDOM: &[Row] = &[
    row("hash", "one(random_hash(w(0u)))", |w| one(random::hash(w[0]))),
    row("hash3", "vec4<u32>(random_hash3(vec3<u32>(v3(0u))), 0u)", |w| {
        three(random::hash3([w[0], w[1], w[2]]).map(u32::cast_signed))
    }),
    row("philox", "random_philox(vec4<u32>(ww(0u), ww(2u)), ww(4u))", |w| {
        random::philox([w[0], w[1], w[2], w[3]], [w[4], w[5]])
    }),
    row("below", "one(random_below(w(0u), w(1u)))", |w| one(random::below(w[0], w[1]))),
    row("fixed", "signed(random_fixed(w(0u)))", |w| signed(random::fixed(w[0]))),
    row("noise2", "signed(random_noise2(v2(0u), w(2u)))", |w| signed(random::noise2(v2(w, 0), w[2]))),
];

fn shader(block: &str, expression: &str) -> String {
    format!(
        "// p2c2r: use {block}{HARNESS}
         @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
             first = id.x * {WORDS}u;
             results[id.x] = {expression};
         }}"
    )
}

/// Numbers that tend to go wrong, numbers of every size, and numbers next to each other.
fn arguments() -> Vec<Words> {
    const EDGES: [u32; 16] = [
        0,
        1,
        2,
        3,
        0x7fff,
        0x8000,
        0xffff,
        0x1_0000,
        0x1_0001,
        0x3fff_ffff,
        0x4000_0000,
        0x7fff_ffff,
        0x8000_0000,
        0x8000_0001,
        0xffff_fffe,
        0xffff_ffff,
    ];
    let case = |number: u32| {
        let mut words: Words = std::array::from_fn(|k| {
            let [bits, kind, size, edge] = random::philox([number, k as u32, 0, 0], [1, 2]);
            match kind % 4 {
                0 => EDGES[edge as usize % EDGES.len()],
                1 => bits >> (size % 32),
                2 => s(bits).wrapping_shr(size).cast_unsigned(),
                _ => bits,
            }
        });
        // Squares and products of others: where roots and quotients come out even, and next to it.
        if number % 5 == 1 {
            let square = wide::product(words[0], words[0]).wrapping_add_signed(i64::from(number % 3) - 1);
            (words[0], words[1]) = (square as u32, (square >> 32) as u32);
        } else if number % 5 == 2 {
            let product = u64_at(words, 2).wrapping_mul(u64::from(words[0])).wrapping_sub(u64::from(number & 1));
            (words[0], words[1]) = (product as u32, (product >> 32) as u32);
        }
        words
    };
    (0..CASES).map(case).collect()
}

fn check(block: &str, rows: &[Row]) {
    let arguments = arguments();
    let words: Vec<u8> = arguments.iter().flatten().flat_map(|word| word.to_le_bytes()).collect();
    let empty = vec![0; CASES as usize * RESULTS * 4];
    let buffers = BTreeMap::from([(0, words), (1, empty)]);
    for Row { name, wgsl, twin } in rows {
        assert!(wgsl.contains(&format!("{block}_{name}(")), "{name}");
        let shader = shader(block, wgsl);
        verdict(&shader).unwrap_or_else(|error| panic!("{block}_{name} is not exact: {error}"));
        for (engine, mut session) in engines(&shader) {
            let after = dispatch(&mut *session, [CASES / 64, 1, 1], &buffers);
            let results: &[[u32; RESULTS]] = bytemuck::cast_slice(&after[&1]);
            for (words, got) in arguments.iter().zip(results) {
                assert_eq!(*got, twin(*words), "{block}_{name} of {words:#x?} on the {engine}");
            }
        }
    }
}

#[test]
fn wide_is_its_twin() {
    check("wide", WIDE);
}

#[test]
fn fixed_is_its_twin() {
    check("fixed", FIXED);
}

#[test]
fn random_is_its_twin() {
    check("random", RANDOM);
}

/// What has no row above is used by what has one, and not meant for shaders.
#[test]
fn every_function_has_a_row() {
    for (block, rows) in [("wide", WIDE), ("fixed", FIXED), ("random", RANDOM)] {
        let text = p2c2r_wgsl::BLOCKS.iter().find(|it| it.name == block).unwrap().text;
        let twins = match block {
            "wide" => include_str!("../../../src/wide.rs"),
            "fixed" => include_str!("../../../src/fixed.rs"),
            _ => include_str!("../../../src/random.rs"),
        };
        let public = twins.lines().filter_map(|line| line.strip_prefix("pub const fn ")?.split('(').next());
        let public: Vec<&str> = public.collect();
        assert_eq!(public, rows.iter().map(|row| row.name).collect::<Vec<_>>(), "{block}: twins and rows");
        for name in public {
            assert!(text.contains(&format!("fn {block}_{name}(")), "{block}_{name} is not in the block");
        }
    }
}

#[test]
fn constants_are_their_twins() {
    let text = p2c2r_wgsl::BLOCKS.iter().find(|it| it.name == "fixed").unwrap().text;
    for (name, value) in [
        ("ONE", fixed::ONE),
        ("HALF", fixed::HALF),
        ("MAX", fixed::MAX),
        ("MIN", fixed::MIN),
        ("PI", fixed::PI),
        ("TAU", fixed::TAU),
    ] {
        assert!(text.contains(&format!("const FIXED_{name}: i32 = {value};")), "{name}");
    }
}
