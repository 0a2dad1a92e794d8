//! Equal attempts leave equal traces, and nothing survives an attempt.

use p2c2r_runtime::{Attempt, PathKind, seed_for};
use p2c2r_signing::{InputDigest, ModuleId, Outcome, TrapCode};

use crate::kit::{core, load, manifest, numbers, run, run_with, sandbox};

#[test]
fn two_runs_leave_the_same_trace() {
    for body in [
        "(call $put (i32.const 7)) (i32.store (i32.const 40000) (i32.const 9))",
        "(i32.store (i32.const 40000) (i32.const 9)) unreachable",
        "(i32.store (i32.const 65532) (i32.const 9)) (i64.store (i32.const 65532) (i64.const -1))",
        "(drop (memory.grow (i32.const 3))) (i32.store (i32.const 200000) (i32.const 9))",
    ] {
        let kernel = load(&core(body), &manifest()).unwrap();
        let first = sandbox().run(&kernel, Attempt::new("")).unwrap();
        for _ in 0..3 {
            let again = sandbox().run(&kernel, Attempt::new("")).unwrap();
            assert_eq!(first.outcome, again.outcome, "{body}");
            assert_eq!(first.output, again.output, "{body}");
            assert_eq!(first.trace_root, again.trace_root, "{body}");
        }
    }
}

#[test]
fn the_trace_sees_memory_that_the_output_does_not() {
    let a = run(&core("(i32.store (i32.const 40000) (i32.const 1))"));
    let b = run(&core("(i32.store (i32.const 40000) (i32.const 2))"));
    assert_eq!(a.output, b.output);
    assert_ne!(a.trace_root, b.trace_root);
    let trapped = run(&core("(i32.store (i32.const 40000) (i32.const 1)) unreachable"));
    assert_eq!(trapped.trace_root, a.trace_root, "a trap keeps what was stored before it");
}

#[test]
fn growing_without_touching_is_seen() {
    let (a, b) = (run(&core("")), run(&core("(drop (memory.grow (i32.const 1)))")));
    assert_ne!(a.trace_root, b.trace_root);
}

#[test]
fn nothing_survives_an_attempt() {
    // Memory, a global and a table entry, each read before it is written.
    let wat = r#"(module
        (import "p2c2r_v1" "output_write" (func $output_write (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (global $g (mut i32) (i32.const 0))
        (table 2 funcref)
        (func $f)
        (elem declare func $f)
        (func (export "p2c2r_main") (result i32)
            (i32.store (i32.const 0) (i32.load (i32.const 50000)))
            (i32.store (i32.const 4) (global.get $g))
            (i32.store (i32.const 8) (i32.eqz (ref.is_null (table.get (i32.const 0)))))
            (i32.store (i32.const 12) (memory.size))
            (drop (call $output_write (i32.const 0) (i32.const 16)))
            (i32.store (i32.const 50000) (i32.const 1))
            (global.set $g (i32.const 1))
            (table.set (i32.const 0) (ref.func $f))
            (drop (memory.grow (i32.const 1)))
            (i32.const 0)))"#;
    let kernel = load(wat, &manifest()).unwrap();
    for _ in 0..200 {
        let execution = sandbox().run(&kernel, Attempt::new("")).unwrap();
        assert_eq!(numbers(&execution), [0, 0, 0, 1]);
    }
}

#[test]
fn a_store_across_the_end_of_memory_leaves_a_fixed_trace() {
    let outside = Outcome::Trap(TrapCode::MemoryOutOfBounds);
    let torn = run(&core("(v128.store (i32.const 65528) (v128.const i64x2 -1 -1))"));
    let clean = run(&core("(v128.store (i32.const 65537) (v128.const i64x2 -1 -1))"));
    assert_eq!((torn.outcome, clean.outcome), (outside, outside));
    assert_eq!(torn.trace_root, clean.trace_root);
}

#[test]
fn results_depend_on_the_input_only_through_the_input() {
    let echo = core(
        "(drop (call $input_read (i32.const 0) (i32.const 100) (call $input_len)))
         (drop (call $output_write (i32.const 100) (call $input_len)))",
    );
    let a = run_with(&echo, &manifest(), Attempt::new("same"));
    let b = run_with(&echo, &manifest(), Attempt::new("same"));
    let c = run_with(&echo, &manifest(), Attempt::new("else"));
    assert_eq!((a.output.as_slice(), a.trace_root), (&b"same"[..], b.trace_root));
    assert_ne!(a.trace_root, c.trace_root);
}

#[test]
fn seeds_are_pinned() {
    let seed = seed_for(&ModuleId::from_bytes([1; 32]), &InputDigest::from_bytes([2; 32]));
    assert_eq!(seed, seed_for(&ModuleId::from_bytes([1; 32]), &InputDigest::from_bytes([2; 32])));
    assert_ne!(seed, seed_for(&ModuleId::from_bytes([2; 32]), &InputDigest::from_bytes([1; 32])));
    let hex: String = seed.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, "c5ff488181a44cd73025765707cabd3fc8bbddf187a2de15802941207d7d3153");
}

#[test]
fn classes_are_stable() {
    assert_eq!(sandbox().classes(), sandbox().classes());
    let paths: Vec<PathKind> = sandbox().classes().into_iter().map(|(_, path)| path).collect();
    assert_eq!(paths, [PathKind::Cpu, PathKind::Exact], "the tests' sandbox has no gpu");
}
