//! Modules full of floats: every instruction that makes, moves or looks at a NaN, over memory with NaNs of all kinds
//! in it.

use std::fmt::Write;

/// Instructions of one type, by what they take.
const UNARY: [&str; 8] = ["sqrt", "ceil", "floor", "trunc", "nearest", "neg", "abs", "neg"];
const BINARY: [&str; 8] = ["add", "sub", "mul", "div", "min", "max", "add", "mul"];

/// Of bytes, of lanes of four, and of lanes of eight.
const SHUFFLES: [&str; 3] = [
    "0 17 2 19 4 21 6 23 8 9 10 11 28 29 30 31",
    "4 5 6 7 24 25 26 27 0 1 2 3 12 13 14 15",
    "24 25 26 27 28 29 30 31 0 1 2 3 4 5 6 7",
];

/// A module in text form whose entry leaves what it computed in memory; the same for the same seed.
pub(super) fn module(seed: u64) -> String {
    let mut made = Maker { state: seed, loops: 0 };
    let data: String = (0..512).map(|_| format!("\\{:02x}", made.byte())).collect();
    let body = made.statements(12, 3);
    let (helper64, helper128) = (made.f64(3), made.v128(3));
    let ends: String = (0..4)
        .map(|i| {
            format!(
                "(f64.store (i32.const {}) (local.get $d{i})) (f32.store (i32.const {}) (local.get $s{i}))
                 (v128.store (i32.const {}) (local.get $v{i}))",
                2048 + i * 8,
                2096 + i * 4,
                2112 + i * 16
            )
        })
        .collect();
    let locals = "(local $d2 f64) (local $d3 f64) (local $s2 f32) (local $s3 f32) (local $v1 v128) (local $v2 v128)
        (local $v3 v128) (local $i0 i32) (local $i1 i32) (local $i2 i32)";
    let parameters = "(param $d0 f64) (param $d1 f64) (param $s0 f32) (param $s1 f32) (param $v0 v128)";
    format!(
        r#"(module (memory (export "memory") 1) (data (i32.const 0) "{data}")
            (global $gd (mut f64) (f64.const nan:0x123)) (global $gs (mut f32) (f32.const 1.5))
            (func $hd {parameters} (result f64) {locals}
                (if (f64.gt (local.get $d0) (local.get $d1)) (then (return (local.get $d1)))) {helper64})
            (func $hv {parameters} (result v128) {locals} {helper128})
            (func $main {parameters} {locals} {body} {ends}
                (f64.store (i32.const 2040) (global.get $gd)) (f32.store (i32.const 2032) (global.get $gs)))
            (func (export "p2c2r_main") (result i32)
                (call $main (f64.load (i32.const 8)) (f64.const 2) (f32.load (i32.const 20)) (f32.const -1)
                    (v128.load (i32.const 32)))
                (i32.const 0)))"#
    )
}

struct Maker {
    state: u64,
    /// Loops around the statement being made.
    loops: u32,
}

impl Maker {
    /// splitmix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// Often part of a NaN.
    fn byte(&mut self) -> u8 {
        match self.below(3) {
            0 => 0xff,
            1 => 0x7f,
            _ => self.next() as u8,
        }
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }

    fn address(&mut self) -> String {
        format!("(i32.const {})", self.below(400))
    }

    fn statements(&mut self, count: u64, depth: u32) -> String {
        let mut out = String::new();
        for _ in 0..count {
            let one = self.statement(depth);
            let _ = writeln!(out, "{one}");
        }
        out
    }

    fn statement(&mut self, depth: u32) -> String {
        let n = self.below(4);
        match self.below(if depth > 0 { 11 } else { 6 }) {
            0 => format!("(local.set $d{n} {})", self.f64(3)),
            1 => format!("(local.set $s{n} {})", self.f32(3)),
            2 => format!("(local.set $v{n} {})", self.v128(3)),
            3 => format!("(f64.store (i32.const {}) {})", self.below(1500), self.f64(3)),
            4 => format!("(v128.store (i32.const {}) {})", self.below(1500), self.v128(3)),
            5 => format!("(global.set $gd {}) (global.set $gs {})", self.f64(2), self.f32(2)),
            6 => {
                let (condition, then, otherwise) =
                    (self.i32(2), self.statements(2, depth - 1), self.statements(2, depth - 1));
                format!("(if {condition} (then {then}) (else {otherwise}))")
            }
            7 if self.loops < 3 => {
                let i = self.loops;
                self.loops += 1;
                let body = self.statements(3, depth - 1);
                self.loops -= 1;
                format!(
                    "(local.set $i{i} (i32.const 4)) (loop $l{i} {body}
                        (br_if $l{i} (local.tee $i{i} (i32.sub (local.get $i{i}) (i32.const 1)))))"
                )
            }
            8 => format!("(local.set $d{n} (call $hd {}))", self.arguments()),
            9 => format!("(local.set $v{n} (call $hv {}))", self.arguments()),
            _ => format!("(drop {}) (f32.store (i32.const {}) {})", self.f64(2), self.below(1500), self.f32(3)),
        }
    }

    fn arguments(&mut self) -> String {
        [self.f64(2), self.f64(1), self.f32(2), self.f32(1), self.v128(2)].join(" ")
    }

    fn f64(&mut self, depth: u32) -> String {
        let n = self.below(4);
        if depth == 0 {
            return match self.below(4) {
                0 => {
                    format!("(f64.const {})", self.pick(&["0", "-1.5", "inf", "nan", "-nan:0x8000000000001", "1e300"]))
                }
                1 => format!("(f64.load {})", self.address()),
                2 => "(global.get $gd)".to_owned(),
                _ => format!("(local.get $d{n})"),
            };
        }
        let d = depth - 1;
        match self.below(14) {
            0..=4 => format!("(f64.{} {} {})", self.pick(&BINARY), self.f64(d), self.f64(d)),
            5 | 6 => format!("(f64.{} {})", self.pick(&UNARY), self.f64(d)),
            7 => format!("(f64.copysign {} {})", self.f64(d), self.f64(d)),
            8 => format!("(select {} {} {})", self.f64(d), self.f64(d), self.i32(d)),
            9 => format!("(if (result f64) {} (then {}) (else {}))", self.i32(d), self.f64(d), self.f64(d)),
            10 => format!("(f64.promote_f32 {})", self.f32(d)),
            11 => format!("(block (result f64) (br_if 0 {} {}) (drop) {})", self.f64(d), self.i32(d), self.f64(d)),
            12 => format!("(f64x2.extract_lane {} {})", self.below(2), self.v128(d)),
            _ => match self.below(3) {
                0 => format!("(local.tee $d{n} {})", self.f64(d)),
                1 => format!("(f64.reinterpret_i64 (i64.reinterpret_f64 {}))", self.f64(d)),
                _ => format!("(f64.convert_i32_s {})", self.i32(d)),
            },
        }
    }

    fn f32(&mut self, depth: u32) -> String {
        let n = self.below(4);
        if depth == 0 {
            return match self.below(4) {
                0 => format!("(f32.const {})", self.pick(&["0", "-1.5", "inf", "nan", "-nan:0x200001"])),
                1 => format!("(f32.load {})", self.address()),
                2 => "(global.get $gs)".to_owned(),
                _ => format!("(local.get $s{n})"),
            };
        }
        let d = depth - 1;
        match self.below(9) {
            0..=2 => format!("(f32.{} {} {})", self.pick(&BINARY), self.f32(d), self.f32(d)),
            3 => format!("(f32.{} {})", self.pick(&UNARY), self.f32(d)),
            4 => format!("(f32.copysign {} {})", self.f32(d), self.f32(d)),
            5 => format!("(select {} {} {})", self.f32(d), self.f32(d), self.i32(d)),
            6 => format!("(f32.demote_f64 {})", self.f64(d)),
            7 => format!("(f32x4.extract_lane {} {})", self.below(4), self.v128(d)),
            _ => format!("(local.tee $s{n} {})", self.f32(d)),
        }
    }

    fn v128(&mut self, depth: u32) -> String {
        let n = self.below(4);
        if depth == 0 {
            return match self.below(3) {
                0 => format!("(v128.const i32x4 {} {} 0x7fc00000 0)", self.next() as u32, self.byte()),
                1 => format!("(v128.load {})", self.address()),
                _ => format!("(local.get $v{n})"),
            };
        }
        let d = depth - 1;
        let ty = self.pick(&["f32x4", "f64x2"]);
        match self.below(16) {
            0..=4 => format!("({ty}.{} {} {})", self.pick(&BINARY), self.v128(d), self.v128(d)),
            5 | 6 => format!("({ty}.{} {})", self.pick(&UNARY), self.v128(d)),
            7 => format!("({ty}.{} {} {})", self.pick(&["pmin", "pmax", "lt", "eq"]), self.v128(d), self.v128(d)),
            8 => format!("(i8x16.shuffle {} {} {})", self.pick(&SHUFFLES), self.v128(d), self.v128(d)),
            9 if ty == "f64x2" => format!("(f64x2.splat {})", self.f64(d)),
            9 => format!("(f32x4.splat {})", self.f32(d)),
            10 if ty == "f64x2" => format!("(f64x2.replace_lane {} {} {})", self.below(2), self.v128(d), self.f64(d)),
            10 => format!("(f32x4.replace_lane {} {} {})", self.below(4), self.v128(d), self.f32(d)),
            11 => format!("(f32x4.demote_f64x2_zero {})", self.v128(d)),
            12 => format!("(f64x2.promote_low_f32x4 {})", self.v128(d)),
            13 => format!("(select {} {} {})", self.v128(d), self.v128(d), self.i32(d)),
            14 => format!("(if (result v128) {} (then {}) (else {}))", self.i32(d), self.v128(d), self.v128(d)),
            _ => match self.below(3) {
                0 => format!("(local.tee $v{n} {})", self.v128(d)),
                1 => format!("(i32x4.add {} {})", self.v128(d), self.v128(d)),
                _ => format!("(i32x4.trunc_sat_f32x4_s {})", self.v128(d)),
            },
        }
    }

    fn i32(&mut self, depth: u32) -> String {
        if depth == 0 {
            return format!("(i32.const {})", self.below(2));
        }
        let d = depth - 1;
        match self.below(4) {
            0 => format!("(f64.lt {} {})", self.f64(d), self.f64(d)),
            1 => format!("(f32.ne {} {})", self.f32(d), self.f32(d)),
            2 => format!("(i32.trunc_sat_f64_s {})", self.f64(d)),
            _ => format!("(v128.any_true {})", self.v128(d)),
        }
    }
}
