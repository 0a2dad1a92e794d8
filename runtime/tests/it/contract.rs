//! Modules that break the contract load, and every run of them says so, alike everywhere.

use p2c2r_runtime::{Attempt, LoadError};
use p2c2r_signing::{Manifest, Outcome};

use crate::kit::{load, manifest, sandbox, sign, try_sign};

const MEMORY: &str = r#"(memory (export "memory") 1)"#;
const MAIN: &str = r#"(func (export "p2c2r_main") (result i32) (i32.const 0))"#;

fn refused(wat: &str, manifest: &Manifest, reason: &str) {
    let kernel = sandbox().load(&sign(&wat::parse_str(wat).unwrap(), manifest, &[])).unwrap();
    let said = kernel.bad_abi().unwrap_or_default().to_owned();
    assert!(said.contains(reason), "{wat}\nsaid {said:?}, not {reason:?}");
    let first = sandbox().run(&kernel, Attempt::new("")).unwrap();
    let second = sandbox().run(&kernel, Attempt::new("other input")).unwrap();
    assert_eq!(first.outcome, Outcome::BadAbi);
    assert_eq!((first.units, first.output.len()), (0, 0));
    assert_eq!(first.trace_root, second.trace_root);
}

#[test]
fn imports_must_be_known_and_exact() {
    for (import, reason) in [
        (r#"(import "p2c2r_v1" "open_file" (func))"#, "open_file"),
        (r#"(import "env" "seed" (func (param i32)))"#, "env"),
        (r#"(import "p2c2r_v1" "seed" (func (param i64)))"#, "seed"),
        (r#"(import "p2c2r_v1" "seed" (func (param i32) (result i32)))"#, "seed"),
        (r#"(import "p2c2r_v1" "seed" (global i32))"#, "seed"),
        (r#"(import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))"#, "sched_yield"),
    ] {
        refused(&format!("(module {import} {MEMORY} {MAIN})"), &manifest(), reason);
    }
    refused(&format!(r#"(module (import "env" "memory" (memory 1)) {MAIN})"#), &manifest(), "memory");
}

#[test]
fn exports_must_be_there_and_exact() {
    for (rest, reason) in [
        (MAIN.to_owned(), "no export \"memory\""),
        (format!(r#"(func (export "memory")) {MAIN}"#), "not a memory"),
        (MEMORY.to_owned(), "p2c2r_main"),
        (format!(r#"{MEMORY} (func (export "p2c2r_main"))"#), "() -> i32"),
        (format!(r#"{MEMORY} (func (export "p2c2r_main") (result i64) (i64.const 0))"#), "() -> i32"),
        (format!(r#"{MEMORY} (func (export "p2c2r_main") (param i32) (result i32) (i32.const 0))"#), "() -> i32"),
        (format!(r#"{MEMORY} (global (export "p2c2r_main") i32 (i32.const 0))"#), "p2c2r_main"),
    ] {
        refused(&format!("(module {rest})"), &manifest(), reason);
    }
    let named = Manifest { entry: "go".to_owned(), ..manifest() };
    refused(&format!("(module {MEMORY} {MAIN})"), &named, "\"go\"");
    let go = format!(r#"(module {MEMORY} (func (export "go") (result i32) (i32.const 3)))"#);
    let kernel = load(&go, &named).unwrap();
    assert_eq!(sandbox().run(&kernel, Attempt::new("")).unwrap().outcome, Outcome::Failed(3));
}

#[test]
fn memory_must_start_within_the_manifest() {
    refused(&format!(r#"(module (memory (export "memory") 17) {MAIN})"#), &manifest(), "the manifest allows 1048576");
    let kernel = load(&format!(r#"(module (memory (export "memory") 16) {MAIN})"#), &manifest()).unwrap();
    assert_eq!(kernel.bad_abi(), None);
}

#[test]
fn proposals_that_are_off_are_refused() {
    let main = |body: &str| format!(r#"(func (export "p2c2r_main") (result i32) {body} (i32.const 0))"#);
    let ordinary = |body: &str| format!("(module {MEMORY} {})", main(body));
    for (name, wat) in [
        ("shared memory", format!(r#"(module (memory (export "memory") 1 1 shared) {MAIN})"#)),
        ("atomics", ordinary("(drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))")),
        ("memory64", format!(r#"(module (memory (export "memory") i64 1) {MAIN})"#)),
        ("multi-memory", format!("(module {MEMORY} (memory 1) {MAIN})")),
        (
            "relaxed simd",
            ordinary(
                "(drop (f32x4.relaxed_madd (v128.const i32x4 0 0 0 0) (v128.const i32x4 0 0 0 0)
                    (v128.const i32x4 0 0 0 0)))",
            ),
        ),
        ("tail calls", format!("(module {MEMORY} (func $f (return_call $f)) {MAIN})")),
        ("gc", format!("(module {MEMORY} (type (struct (field i32))) {MAIN})")),
        ("externref", format!("(module {MEMORY} (func (param externref)) {MAIN})")),
        ("function references", format!("(module {MEMORY} (type $t (func)) (func (param (ref $t))) {MAIN})")),
        ("exceptions", format!("(module {MEMORY} (tag) {MAIN})")),
        ("custom page sizes", format!(r#"(module (memory (export "memory") 1 (pagesize 1)) {MAIN})"#)),
        ("wide arithmetic", ordinary("(i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)) drop drop")),
    ] {
        let wasm = wat::parse_str(&wat).unwrap_or_else(|error| panic!("{name}: {error}"));
        // Signing refuses what no browser has; the rest is the sandbox's to refuse.
        let Some(module) = try_sign(&wasm, &manifest(), &[]) else {
            assert!(["custom page sizes", "wide arithmetic"].contains(&name), "{name} did not get here");
            continue;
        };
        let kernel = sandbox().load(&module).unwrap();
        assert!(kernel.bad_abi().is_some(), "{name} is on");
        assert_eq!(sandbox().run(&kernel, Attempt::new("")).unwrap().outcome, Outcome::BadAbi, "{name}");
    }
}

#[test]
fn proposals_that_compilers_emit_are_on() {
    for (name, body) in [
        ("simd", "(drop (i32x4.add (v128.const i32x4 1 2 3 4) (v128.const i32x4 1 2 3 4)))"),
        ("bulk memory", "(memory.copy (i32.const 0) (i32.const 8) (i32.const 8))"),
        ("sign extension", "(drop (i32.extend8_s (i32.const 255)))"),
        ("saturating conversion", "(drop (i32.trunc_sat_f64_s (f64.const nan)))"),
        ("multi-value", "(block (result i32 i32) (i32.const 1) (i32.const 2)) drop drop"),
    ] {
        let wat = format!(r#"(module {MEMORY} (func (export "p2c2r_main") (result i32) {body} (i32.const 0)))"#);
        let kernel = load(&wat, &manifest()).unwrap();
        assert_eq!(kernel.bad_abi(), None, "{name}");
        assert_eq!(sandbox().run(&kernel, Attempt::new("")).unwrap().outcome, Outcome::Output, "{name}");
    }
}

#[test]
fn counts_are_bounded_before_compiling() {
    let many = |count: usize, item: &str| format!("(module {MEMORY} {MAIN} {})", item.repeat(count));
    let long = "(drop (i32.const 1))".repeat(200_000);
    for (wat, what) in [
        (many(50_001, "(func)"), "functions"),
        (many(10_001, "(global i32 (i32.const 0))"), "globals"),
        (many(257, r#"(import "p2c2r_v1" "seed" (func (param i32)))"#), "imports"),
        (many(2, "(table 1 funcref)"), "tables"),
        (many(1, "(table 65537 funcref)"), "table elements"),
        (format!(r#"(module (memory (export "memory") 16385) {MAIN})"#), "pages of memory"),
        (many(1, &format!("(func {long})")), "bytes in one function"),
    ] {
        let wat = if what == "imports" {
            // Imports come first in a module.
            format!("(module {} {MEMORY} {MAIN})", r#"(import "p2c2r_v1" "seed" (func (param i32)))"#.repeat(257))
        } else {
            wat
        };
        match load(&wat, &manifest()) {
            Err(LoadError::TooLarge { what: said, .. }) => assert_eq!(said, what),
            other => panic!("{what}: {other:?}"),
        }
    }
}
