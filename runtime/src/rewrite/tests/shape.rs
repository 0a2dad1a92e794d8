//! What is changed, and what is left alone.

use std::borrow::Cow;

use super::kit::{rewritten, wat};
use crate::engine::FEATURES;
use crate::kernel::LoadError;
use crate::limits::{FRAME_SLOTS, STACK_SLOTS, UNCHARGED_SLOTS};
use crate::rewrite::emit::Growth;
use crate::rewrite::{Parts, Refusal, rewrite_within};

fn exported(body: &str) -> String {
    body.replacen("(func", "(func (export \"f\")", 1)
}

/// The rewritten function in text form, one instruction a line.
fn code(body: &str) -> Vec<String> {
    let wasm = wat(&format!("(module (memory 1) {body})"));
    let wasm = rewritten(&wasm).expect("rewritten");
    wasmparser::validate(&wasm).unwrap_or_else(|error| panic!("{error}: {body}"));
    let mut out = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(&wasm) {
        if let wasmparser::Payload::CodeSectionEntry(body) = payload.expect("valid") {
            for operator in body.get_operators_reader().expect("valid") {
                let text = format!("{:?}", operator.expect("valid"));
                out.push(text.split([' ', '{']).next().unwrap_or_default().to_owned());
            }
        }
    }
    out
}

/// Of functions that the host may call with any bits.
fn canonicalised(body: &str) -> usize {
    code(&exported(body)).iter().filter(|op| ["Select", "V128Bitselect"].contains(&op.as_str())).count()
}

#[test]
fn a_module_with_nothing_to_change_is_left_alone() {
    for text in [
        "(module)",
        "(module (memory 1) (func (param f64) (f64.store (i32.const 0) (local.get 0))))",
        "(module (memory 1) (func $f (param f64 f64) (result i32) (f64.lt (f64.add (local.get 0) (local.get 1)) (f64.const 1))))",
        "(module (func $a (call $b)) (func $b))",
        "(module (table 1 funcref) (elem (i32.const 0) $b) (type $t (func)) (func $a (param i32) (call_indirect (type $t) (i32.const 0))) (func $b))",
    ] {
        let wasm = wat(text);
        assert!(matches!(rewritten(&wasm), Ok(Cow::Borrowed(_))), "{text}");
    }
}

#[test]
fn one_canonicalisation_where_bits_are_looked_at() {
    for (wanted, body) in [
        (0, "(func (param f64) (result i32) (f64.eq (f64.mul (local.get 0) (local.get 0)) (f64.const 0)))"),
        (0, "(func (param f64) (drop (f64.mul (local.get 0) (local.get 0))))"),
        (0, "(func (result f64) (f64.const nan))"),
        (0, "(func (param f64) (result f64) (f64.neg (local.get 0)))"),
        (1, "(func (param f64) (result f64) (f64.add (f64.mul (local.get 0) (local.get 0)) (f64.const 1)))"),
        (1, "(func (param f64) (result f64) (f64.neg (f64.add (local.get 0) (local.get 0))))"),
        (2, "(func (param f64) (result f64) (f64.copysign (f64.sqrt (local.get 0)) (f64.sqrt (local.get 0))))"),
        // A sum that a loop carries along.
        (
            1,
            "(func (param f64) (local f64)
                (loop $l (local.set 1 (f64.add (local.get 1) (local.get 0)))
                    (br_if $l (f64.lt (local.get 1) (f64.const 100))))
                (f64.store (i32.const 0) (local.get 1)))",
        ),
        // Parameters may carry a payload, so the sum is put right before it goes where one was.
        (
            1,
            "(func (param f64)
                (loop $l (local.set 0 (f64.add (local.get 0) (f64.const 1)))
                    (br_if $l (f64.lt (local.get 0) (f64.const 100))))
                (f64.store (i32.const 0) (local.get 0)))",
        ),
        // A block's result, from both arms.
        (
            1,
            "(func (param f64 i32) (result i64) (i64.reinterpret_f64 (if (result f64) (local.get 1)
                (then (f64.sqrt (local.get 0))) (else (f64.div (local.get 0) (f64.const 0))))))",
        ),
        // One arm has specified bits: only the other is put right.
        (
            1,
            "(func (param f64 i32) (result i64) (i64.reinterpret_f64 (if (result f64) (local.get 1)
                (then (f64.sqrt (local.get 0))) (else (local.get 0)))))",
        ),
        // Code that is never reached only has to stay valid.
        (1, "(func (result f64) unreachable f64.add)"),
        (1, "(func (param f64) (result f64) (return (local.get 0)) f64.add f64.neg)"),
        // Of two kinds of lanes, both are put right.
        (
            2,
            "(func (param v128) (local v128)
                (local.set 1 (f32x4.sqrt (local.get 0)))
                (local.set 1 (f64x2.sqrt (local.get 0)))
                (v128.store (i32.const 0) (local.get 1)))",
        ),
        (
            1,
            "(func (param v128) (result v128) (f32x4.add (f64x2.sqrt (local.get 0)) (local.get 0)) drop (local.get 0))",
        ),
        (
            1,
            "(func (param v128) (result v128)
                (f32x4.add (f32x4.demote_f64x2_zero (f64x2.sqrt (local.get 0))) (local.get 0)))",
        ),
        // The bits of these are seen by nobody, whatever else is done to them.
        (0, "(func (param f64) (result i32) (f64.lt (f64.abs (f64.add (local.get 0) (local.get 0))) (f64.const 1)))"),
        (
            0,
            "(func (param f64) (result i32) (local.set 0 (f64.sqrt (local.get 0)))
                (f64.lt (local.get 0) (f64.const 1)))",
        ),
        // A sign gets into a number.
        (1, "(func (param f64) (result i32) (f64.lt (f64.copysign (local.get 0) (f64.sqrt (local.get 0))) (f64.const 1)))"),
        // Lanes are put right when they were put together.
        (
            1,
            "(func (param f64) (result v128) (f64x2.replace_lane 1 (f64x2.splat (f64.sqrt (local.get 0)))
                (f64.sqrt (local.get 0))))",
        ),
        (1, "(func (param v128) (result f32) (f32x4.extract_lane 2 (f32x4.sqrt (local.get 0))))"),
        // Halves of an f64 are no lanes.
        (1, "(func (param v128) (result i32) (f32.lt (f32x4.extract_lane 2 (f64x2.sqrt (local.get 0))) (f32.const 1)))"),
        // An unexported function takes and gives what it is given; a table's takes anything.
        (
            1,
            "(func (param f64) (result f64) (call $sum (f64.sqrt (local.get 0))))
             (func $sum (param f64) (result f64) (f64.add (local.get 0) (f64.sqrt (local.get 0))))",
        ),
        (
            2,
            "(func (param f64) (result f64) (call $sum (f64.sqrt (local.get 0))))
             (func $sum (param f64) (result f64) (f64.add (local.get 0) (f64.sqrt (local.get 0))))
             (table 1 funcref) (elem (i32.const 0) $sum)",
        ),
        // One call gives a payload, so the other must not give dirt.
        (
            2,
            "(func (param f64) (call $put (f64.sqrt (local.get 0))) (call $put (local.get 0)) (call $put (f64.ceil (local.get 0))))
             (func $put (param f64) (f64.store (i32.const 0) (local.get 0)))",
        ),
        // A select in the function itself counts as one.
        (
            2,
            "(func (param f64 i32) (result f64) (select (f64.sqrt (local.get 0)) (f64.ceil (local.get 0)) (local.get 1)))",
        ),
        (2, "(func (param f64 i32) (result f64) (select (f64.sqrt (local.get 0)) (local.get 0) (local.get 1)))"),
    ] {
        assert_eq!(canonicalised(body), wanted, "{body}\n{:?}", code(body));
    }
}

#[test]
fn only_recursion_is_charged() {
    let charged = |body: &str| code(body).iter().filter(|op| *op == "Unreachable").count();
    for (wanted, body) in [
        (0, "(func $a (call $b)) (func $b)"),
        (1, "(func $a (call $a))"),
        (2, "(func $a (call $b) (call $c)) (func $b (call $a)) (func $c)"),
        // Through the table: $b can be called by type and calls back.
        (
            2,
            "(type $t (func)) (table 2 funcref) (elem (i32.const 0) $b)
             (func $a (call_indirect (type $t) (i32.const 0))) (func $b (call $a))",
        ),
        // Types of equal structure are one.
        (
            2,
            "(type $t (func)) (type $u (func)) (table 2 funcref) (elem (i32.const 0) $b)
             (func $a (call_indirect (type $u) (i32.const 0))) (func $b (type $t) (call $a))",
        ),
        // $b is never in a table.
        (0, "(type $t (func)) (table 2 funcref) (func $a (call_indirect (type $t) (i32.const 0))) (func $b (call $a))"),
        // It may get there.
        (
            2,
            "(type $t (func)) (table 2 funcref) (elem declare func $b)
             (func $a (call_indirect (type $t) (i32.const 0)))
             (func $b (table.set (i32.const 0) (ref.func $b)) (call $a))",
        ),
    ] {
        assert_eq!(charged(body), wanted, "{body}\n{:?}", code(body));
    }
}

#[test]
fn a_long_chain_of_calls_is_charged_although_it_cannot_recurse() {
    let chain = |length: usize| {
        let functions: String = (0..length).map(|i| format!("(func $f{i} (call $f{}))", i + 1)).collect();
        code(&format!("{functions} (func $f{length})")).iter().filter(|op| *op == "Unreachable").count()
    };
    let most = (UNCHARGED_SLOTS / FRAME_SLOTS) as usize;
    // A chain of so many calls has one function more.
    assert_eq!(chain(most - 1), 0);
    assert_eq!(chain(most), most);
}

#[test]
fn names_of_the_sandbox_are_refused() {
    let wasm = wat(r#"(module (global (export "p2c2r.sandbox.stack") (mut i32) (i32.const -1)))"#);
    let Err(Refusal::BadAbi(reason)) = rewritten(&wasm) else { panic!("accepted") };
    assert!(reason.contains("p2c2r.sandbox.stack"), "{reason}");
}

#[test]
fn growth_is_bounded() {
    // 5 bytes that become 33, many times.
    let ops = "(drop (v128.any_true (local.get 1)))".repeat(100_000);
    let body = format!("(param v128) (local v128) (local.set 1 (f64x2.sqrt (local.get 0))) {ops}");
    let Err(Refusal::Load(LoadError::TooLarge { what, .. })) =
        rewritten(&wat(&format!("(module (func (export \"f\") {body}))")))
    else {
        panic!("accepted")
    };
    assert_eq!(what, "bytes in one rewritten function");
    let locals = wat(&format!(
        "(module (func (export \"f\") (param f64) (result f64) (local {}) (f64.sqrt (local.get 0))))",
        "i32 ".repeat(49_999)
    ));
    let Err(Refusal::Load(LoadError::TooLarge { what, got, .. })) = rewritten(&locals) else { panic!("accepted") };
    assert_eq!((what, got), ("locals in one function", 50_001));
    let wide = |locals: &str| rewritten(&wat(&format!("(module (func (local {locals})))"))).map(|_| ());
    let widest = "v128 ".repeat(((STACK_SLOTS - FRAME_SLOTS) / 2) as usize);
    assert_eq!(wide(&widest), Ok(()));
    let error = LoadError::TooLarge {
        what: "stack slots in one function",
        got: 1 + u64::from(STACK_SLOTS),
        max: STACK_SLOTS.into(),
    };
    assert_eq!(wide(&format!("{widest} i32")), Err(Refusal::Load(error)));
}

#[test]
fn growth_is_bounded_by_the_byte() {
    // The second insertion is not the end of the function.
    let wasm = wat(r#"(module
            (func (export "f") (param f64) (result f64) (f64.neg (f64.sqrt (f64.neg (f64.sqrt (local.get 0))))))
            (func (export "g") (param f64) (result f64) (f64.sqrt (local.get 0))))"#);
    let grown = rewritten(&wasm).expect("rewritten");
    let (mut functions, mut code) = (Vec::new(), 0);
    for payload in wasmparser::Parser::new(0).parse_all(&grown) {
        match payload.expect("valid") {
            wasmparser::Payload::CodeSectionStart { size, .. } => code = size as usize,
            wasmparser::Payload::CodeSectionEntry(body) => functions.push(body.range().len()),
            _ => {}
        }
    }
    let exact = Growth { function_bytes: functions[0], code_bytes: code };
    let within = |growth| rewrite_within(&wasm, FEATURES, growth, Parts { nans: true, stack: true }).map(|_| ());
    assert_eq!(within(exact), Ok(()));
    let refused =
        |what, got: usize| Err(Refusal::Load(LoadError::TooLarge { what, got: got as u64, max: got as u64 - 1 }));
    let less = Growth { function_bytes: exact.function_bytes - 1, ..exact };
    assert_eq!(within(less), refused("bytes in one rewritten function", exact.function_bytes));
    let less = Growth { code_bytes: exact.code_bytes - 1, ..exact };
    assert_eq!(within(less), refused("bytes of rewritten code", exact.code_bytes));
}

#[test]
fn sections_that_were_not_there_are_put_in_their_place() {
    for text in [
        "(module (func $a (call $a)))",
        "(module (func $a (call $a)) (start $a))",
        r#"(module (func $a (export "a") (call $a)) (global i32 (i32.const 1)) (table 1 funcref) (elem (i32.const 0) $a))"#,
        r#"(module (func $a (call $a)) (memory 1) (data "x") (func (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0))))"#,
    ] {
        let wasm = wat(text);
        let wasm = rewritten(&wasm).expect("rewritten");
        assert!(matches!(wasm, Cow::Owned(_)), "{text}");
        wasmparser::validate(&wasm).unwrap_or_else(|error| panic!("{error}: {text}"));
    }
}

/// Found by the soak, seed 100072095: a byte was changed.
#[test]
fn imports_of_exact_types_are_refused() {
    let mut wasm = wat(r#"(module (import "m" "x" (func)))"#);
    let kind = wasm.windows(3).position(|bytes| bytes == b"\x01x\0").expect("the import") + 2;
    wasm[kind] = 0x20;
    assert!(wasmparser::Validator::new_with_features(FEATURES).validate_all(&wasm).is_ok(), "only we refuse it");
    let refused = rewritten(&wasm).expect_err("an exact function");
    assert!(matches!(&refused, Refusal::BadAbi(reason) if reason.contains("\"m.x\"")), "{refused:?}");
}
