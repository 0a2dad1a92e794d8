//! A NaN that arithmetic gave is the canonical one wherever its bits can be seen; any other keeps its bits.

use p2c2r_runtime::Attempt;

use crate::kit::{core, manifest, numbers, run, run_with};

const CANONICAL: i32 = 0x7fc0_0000;
const NEGATIVE: i32 = 0xffc0_0000_u32.cast_signed();

/// Runs `body`, which puts an f32's bits at address 0, and compares them.
#[track_caller]
fn check(rest: &str, body: &str, wanted: i32) {
    // $zero is a zero that no compiler knows: input_len of no input.
    let prelude = "(local $zero f32) (local $f f32) (local $v v128) (local $i i32)
        (local.set $zero (f32.convert_i32_u (call $input_len)))";
    let text = core(&format!("{prelude} {body} (drop (call $output_write (i32.const 0) (i32.const 4)))"));
    // More of the module goes before its entry.
    let text = text.replace("(func $put (param i32)", &format!("{rest} (func $put (param i32)"));
    let got = numbers(&run(&text));
    assert_eq!(got, [wanted], "{body}: {:#x}", got[0]);
}

/// Each gives a NaN whose bits hardware chooses: x86 gives a negative one, ARM a positive one, and payloads pass or not.
const MADE: [&str; 8] = [
    "(f32.div (local.get $zero) (local.get $zero))",
    "(f32.sqrt (f32.sub (local.get $zero) (f32.const 1)))",
    "(f32.add (f32.reinterpret_i32 (i32.const 0x7fa12345)) (local.get $zero))",
    "(f32.mul (f32.reinterpret_i32 (i32.const 0xffc12345)) (f32.const 2))",
    "(f32.min (f32.reinterpret_i32 (i32.const 0x7fc12345)) (local.get $zero))",
    "(f32.nearest (f32.reinterpret_i32 (i32.const 0xffa12345)))",
    "(f32.demote_f64 (f64.sub (f64.const inf) (f64.add (f64.promote_f32 (local.get $zero)) (f64.const inf))))",
    "(f32.demote_f64 (f64.promote_f32 (f32.reinterpret_i32 (i32.const 0xffa12345))))",
];

#[test]
fn where_it_is_stored_or_reinterpreted() {
    for nan in MADE {
        check("", &format!("(f32.store (i32.const 0) {nan})"), CANONICAL);
        check("", &format!("(i32.store (i32.const 0) (i32.reinterpret_f32 {nan}))"), CANONICAL);
    }
    let wide = "(local $zero f64) (local.set $zero (f64.convert_i32_u (call $input_len)))
        (call $put64 (i64.reinterpret_f64 (f64.div (local.get $zero) (local.get $zero))))";
    assert_eq!(run(&core(wide)).output, 0x7ff8_0000_0000_0000_u64.to_le_bytes());
}

#[test]
fn through_locals() {
    for nan in MADE {
        check("", &format!("(local.set $f {nan}) (f32.store (i32.const 0) (local.get $f))"), CANONICAL);
        check("", &format!("(f32.store (i32.const 0) (local.tee $f {nan}))"), CANONICAL);
        let carried = "(loop $l (local.set $f (f32.add (local.get $f) NAN))
            (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 5))))
            (f32.store (i32.const 0) (local.get $f))";
        check("", &carried.replace("NAN", nan), CANONICAL);
    }
}

#[test]
fn through_selects_and_blocks() {
    for nan in MADE {
        for value in [
            format!("(select {nan} {nan} (call $input_len))"),
            format!("(select (f32.load (i32.const 1024)) {nan} (call $input_len))"),
            format!("(if (result f32) (call $input_len) (then (f32.const 1)) (else {nan}))"),
            format!("(if (result f32) (call $input_len) (then (f32.load (i32.const 1024))) (else {nan}))"),
            format!("(block $b (result f32) (br $b {nan}))"),
            format!("(block $b (result f32) (br_if $b {nan} (i32.const 1)))"),
            format!("(block $b (result f32) (br_table $b $b {nan} (i32.const 1)))"),
            format!("(loop (result f32) {nan})"),
            format!("(block (result f32 f32) {nan} {nan}) (local.set $f)"),
            format!("(block (result f32) {nan} (block (param f32) (result f32)))"),
        ] {
            check("", &format!("{value} (local.set $f) (f32.store (i32.const 0) (local.get $f))"), CANONICAL);
        }
    }
}

#[test]
fn through_calls_globals_and_tables() {
    let rest = "(global $g (mut f32) (f32.const 0)) (type $t (func (param f32) (result i32))) (table 1 funcref)
        (elem (i32.const 0) $bits) (func $bits (type $t) (i32.reinterpret_f32 (local.get 0)))
        (func $twice (param f32) (result f32) (f32.add (local.get 0) (local.get 0)))
        (func $same (param f32) (result f32) (return (local.get 0)))";
    for nan in MADE {
        check(rest, &format!("(i32.store (i32.const 0) (call $bits {nan}))"), CANONICAL);
        check(rest, &format!("(i32.store (i32.const 0) (call_indirect (type $t) {nan} (i32.const 0)))"), CANONICAL);
        check(rest, &format!("(f32.store (i32.const 0) (call $twice {nan}))"), CANONICAL);
        check(rest, &format!("(f32.store (i32.const 0) (call $same {nan}))"), CANONICAL);
        check(rest, &format!("(global.set $g {nan}) (f32.store (i32.const 0) (global.get $g))"), CANONICAL);
    }
}

#[test]
fn signs_are_those_of_the_canonical_nan() {
    for nan in MADE {
        check("", &format!("(f32.store (i32.const 0) (f32.neg {nan}))"), NEGATIVE);
        check("", &format!("(f32.store (i32.const 0) (f32.abs (f32.neg {nan})))"), CANONICAL);
        check("", &format!("(f32.store (i32.const 0) (f32.copysign {nan} (f32.const -1)))"), NEGATIVE);
        // The sign of a canonical NaN is plus.
        check("", &format!("(f32.store (i32.const 0) (f32.copysign (f32.const -1) {nan}))"), 0x3f80_0000);
    }
}

#[test]
fn in_lanes() {
    let store = |value: &str| format!("(v128.store (i32.const 0) {value})");
    for nan in MADE {
        let splat = format!("(f32x4.splat {nan})");
        for value in [
            splat.clone(),
            format!("(f32x4.add {splat} {splat})"),
            "(f32x4.div (f32x4.splat (local.get $zero)) (f32x4.splat (local.get $zero)))".to_owned(),
            "(f32x4.sqrt (f32x4.splat (f32.sub (local.get $zero) (f32.const 1))))".to_owned(),
            format!("(f32x4.replace_lane 0 (local.get $v) {nan})"),
            format!("(i32x4.add (f32x4.sqrt {splat}) (local.get $v))"),
            format!("(v128.or (f32x4.ceil {splat}) (local.get $v))"),
            format!("(f32x4.pmin (f32x4.mul {splat} {splat}) (f32x4.splat (f32.const 1)))"),
            format!("(f32x4.demote_f64x2_zero (f64x2.promote_low_f32x4 {splat}))"),
            format!("(select (f32x4.min {splat} {splat}) (local.get $v) (i32.const 1))"),
            format!(
                "(i8x16.shuffle 0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23 (f32x4.max {splat} {splat}) (local.get $v))"
            ),
        ] {
            check("", &store(&value), CANONICAL);
        }
        let lane = format!("(f32.store (i32.const 0) (f32x4.extract_lane 3 (f32x4.trunc {splat})))");
        check("", &lane, CANONICAL);
        check("", &store(&format!("(f32x4.neg (f32x4.add {splat} {splat}))")), NEGATIVE);
        // A local that holds lanes of both kinds.
        check(
            "",
            &format!(
                "(local.set $v (f64x2.sqrt (f64x2.splat (f64.const -1)))) (local.set $v (f32x4.add {splat} {splat}))
                 (v128.store (i32.const 0) (local.get $v))"
            ),
            CANONICAL,
        );
    }
    // The upper half of the canonical f64.
    let f64 = "(v128.store (i32.const 0) (i8x16.shuffle 4 5 6 7 4 5 6 7 4 5 6 7 4 5 6 7
        (f64x2.div (f64x2.splat (f64.promote_f32 (local.get $zero))) (local.get $v)) (local.get $v)))";
    check("", f64, 0x7ff8_0000);
}

#[test]
fn payloads_that_no_arithmetic_touched_stay() {
    const PAYLOAD: i32 = 0xffa1_2345_u32.cast_signed();
    let value = "(f32.reinterpret_i32 (i32.const 0xffa12345))";
    for body in [
        format!("(f32.store (i32.const 0) {value})"),
        format!("(local.set $f {value}) (f32.store (i32.const 0) (local.get $f))"),
        // The same local carries a sum as well.
        format!(
            "(local.set $f {value}) (f32.store (i32.const 0) (local.get $f))
             (local.set $f (f32.add (local.get $f) (local.get $zero))) (f32.store (i32.const 8) (local.get $f))"
        ),
        format!("(f32.store (i32.const 0) (select {value} (f32.sqrt (local.get $zero)) (i32.const 1)))"),
        format!("(f32.store (i32.const 0) (f32.neg (f32.neg {value})))"),
        format!("(f32.store (i32.const 0) (f32x4.extract_lane 1 (f32x4.splat {value})))"),
    ] {
        check("", &body, PAYLOAD);
    }
    // Through linear memory, as a program that boxes values into NaNs does.
    let copy = core(
        "(drop (call $input_read (i32.const 0) (i32.const 8) (i32.const 8)))
         (f64.store (i32.const 0) (f64.load (i32.const 8)))
         (drop (call $output_write (i32.const 0) (i32.const 8)))",
    );
    let boxed = 0xfff4_dead_beef_0001_u64.to_le_bytes();
    assert_eq!(run_with(&copy, &manifest(), Attempt::new(boxed.to_vec())).output, boxed);
}
