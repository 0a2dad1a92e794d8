//! Whatever bytes a publisher signs and whatever numbers a guest passes, the process lives.

use std::time::Duration;

use p2c2r_runtime::{Attempt, HostFault, limits};
use p2c2r_signing::{Outcome, TrapCode};
use proptest::prelude::*;

use crate::kit::{
    assert_stack_ended, core, core_imports, load, manifest, run, sandbox, try_run, try_sign, wasi_imports,
};

/// Loads and, if it loads, runs. Any outcome and any fault is fine.
fn survive(wasm: &[u8]) {
    let Some(module) = try_sign(wasm, &manifest(), &[]) else { return };
    if let Ok(kernel) = sandbox().load(&module) {
        let _ = sandbox().run(&kernel, Attempt { deadline: Duration::from_millis(50), ..Attempt::new("input") });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        survive(&bytes);
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend_from_slice(&bytes);
        survive(&module);
    }

    #[test]
    fn a_changed_module(at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut wasm = wat::parse_str(core(
            "(call $put (i32.const 1)) (call $seed (i32.const 64)) (drop (memory.grow (i32.const 1)))",
        )).unwrap();
        let at = at.index(wasm.len());
        wasm[at] = to;
        survive(&wasm);
        wasm.truncate(cut.index(wasm.len()));
        survive(&wasm);
    }

    #[test]
    fn any_arguments_to_any_import(which in any::<prop::sample::Index>(), numbers in proptest::collection::vec(number(), 9)) {
        let imports: Vec<_> = core_imports().into_iter().chain(wasi_imports()).collect();
        let import = which.get(&imports);
        let kernel = load(&import.caller(&numbers, false), &import.manifest()).unwrap();
        prop_assert_eq!(kernel.bad_abi(), None);
        sandbox().run(&kernel, Attempt { blobs: vec!["blob".into()], ..Attempt::new("input") }).unwrap();
    }
}

/// Numbers around the edges of things.
fn number() -> impl Strategy<Value = i64> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(-1),
        Just(i64::from(i32::MAX)),
        Just(i64::from(i32::MIN)),
        Just(65_535),
        Just(65_536),
        0i64..16,
        1000i64..1100,
        any::<i32>().prop_map(i64::from),
    ]
}

/// Runs a module whose entry never returns by itself.
fn ends(wat: &str, after: Duration) -> Result<Outcome, HostFault> {
    try_run(wat, &manifest(), Attempt { deadline: after, ..Attempt::new("input") }).map(|execution| execution.outcome)
}

const MAIN: &str = r#"(func (export "p2c2r_main") (result i32) (i32.const 0))"#;

#[test]
fn a_storm_of_calls_to_any_import_ends() {
    let after = Duration::from_millis(10);
    for import in core_imports().into_iter().chain(wasi_imports()) {
        // As much work as one call takes: pointers to the start of memory, lengths that reach its end.
        let arguments: Vec<i64> = import
            .params
            .iter()
            .map(|(name, _)| match *name {
                "iovs" => 16,
                "fd" => 2,
                "iovs_len" => i64::from(limits::WASI_IOVECS),
                "len" if import.name == "poll_oneoff" => i64::from(limits::WASI_SUBSCRIPTIONS),
                "len" | "name_len" | "path_len" | "buf_len" | "old_len" | "new_len" => 65_000,
                "count" => 8_000,
                _ => 0,
            })
            .collect();
        let wat = import.caller(&arguments, true);
        let ended = try_run(&wat, &import.manifest(), Attempt { deadline: after, ..Attempt::new("input") });
        let ended = ended.map(|execution| execution.outcome);
        let expected = match import.name {
            "output_write" => ended == Ok(Outcome::Trap(TrapCode::OutputLimit)),
            "proc_exit" => ended == Ok(Outcome::Output),
            "proc_raise" => ended == Ok(Outcome::Trap(TrapCode::Unreachable)),
            _ => ended == Err(HostFault::Deadline { after }),
        };
        assert!(expected, "{}: {ended:?}", import.name);
    }
    assert_eq!(run(&core("")).outcome, Outcome::Output, "the sandbox goes on");
}

#[test]
fn work_without_end_ends_at_the_deadline() {
    let after = Duration::from_millis(20);
    for (name, body) in [
        ("fill", "(loop $again (memory.fill (i32.const 0) (i32.const 7) (i32.const 65536)) (br $again))"),
        ("copy", "(loop $again (memory.copy (i32.const 0) (i32.const 1) (i32.const 65535)) (br $again))"),
        ("jump table", "(loop $again (br_table $again $again $again (i32.const 1)))"),
        ("growing by nothing", "(loop $again (drop (memory.grow (i32.const 0))) (br $again))"),
        ("calls", "(loop $again (call $put64 (i64.const 0)) (br $again))"),
    ] {
        let ended = ends(&core(body), after);
        let expected =
            if name == "calls" { Ok(Outcome::Trap(TrapCode::OutputLimit)) } else { Err(HostFault::Deadline { after }) };
        assert_eq!(ended, expected, "{name}");
    }
}

#[test]
fn growing_for_ever_meets_a_limit() {
    let grow = |declared: &str, body: &str| {
        format!(
            r#"(module {declared} (func (export "p2c2r_main") (result i32)
                (loop $again (drop {body}) (br $again)) unreachable))"#
        )
    };
    let memory = r#"(memory (export "memory") 1)"#;
    let after = Duration::from_millis(20);
    let trapped = Ok(Outcome::Trap(TrapCode::GrowLimit));
    assert_eq!(ends(&grow(memory, "(memory.grow (i32.const 1))"), after), trapped);
    let table = format!("{memory} (table 1 funcref)");
    assert_eq!(ends(&grow(&table, "(table.grow (ref.null func) (i32.const 1))"), Duration::from_secs(10)), trapped);
    // Past a maximum of its own a module gets -1, for as long as it likes to ask.
    let bounded = r#"(memory (export "memory") 1 2) (table 1 2 funcref)"#;
    for body in ["(memory.grow (i32.const 1))", "(table.grow (ref.null func) (i32.const 1))"] {
        assert_eq!(ends(&grow(bounded, body), after), Err(HostFault::Deadline { after }));
    }
}

#[test]
fn every_kind_of_deep_recursion_ends() {
    let locals = "(local v128)".repeat(1000);
    for (name, functions) in [
        ("direct", "(func $f (call $f))".to_owned()),
        ("mutual", "(func $f (call $g)) (func $g (call $f))".to_owned()),
        ("through a table", "(table 1 funcref) (elem (i32.const 0) $f) (type $t (func)) (func $f (call_indirect (type $t) (i32.const 0)))".to_owned()),
        (
            "large frames",
            format!(
                "(func $f (result v128) {locals} {} (call $f) {})",
                (0..1000).map(|i| format!("(local.set {i} (v128.load (i32.const {i})))")).collect::<String>(),
                (0..1000).map(|i| format!("(local.get {i}) (i32x4.add)")).collect::<String>(),
            ),
        ),
    ] {
        let drop = if name == "large frames" { "drop" } else { "" };
        let wat = format!(
            r#"(module (memory (export "memory") 1) {functions}
                (func (export "p2c2r_main") (result i32) (call $f) {drop} (i32.const 0)))"#
        );
        assert_stack_ended(&try_run(&wat, &manifest(), Attempt::new("")));
    }
    let start = format!(r#"(module (memory (export "memory") 1) (func $f (call $f)) (start $f) {MAIN})"#);
    assert_stack_ended(&try_run(&start, &manifest(), Attempt::new("")));
    assert_eq!(run(&core("")).outcome, Outcome::Output, "the process lives");
}

#[test]
fn a_start_function_may_do_no_more_than_the_entry() {
    let start = |body: &str| {
        format!(
            r#"(module
                (import "p2c2r_v1" "output_write" (func $write (param i32 i32) (result i32)))
                (import "p2c2r_v1" "charge" (func $charge (param i64)))
                (memory (export "memory") 1) (table 1 funcref)
                (func $start {body}) (start $start) {MAIN})"#
        )
    };
    for (body, code) in [
        ("(drop (call $write (i32.const 0) (i32.const 4097)))", TrapCode::OutputLimit),
        ("(call $charge (i64.const 1001))", TrapCode::UnitsLimit),
        ("(drop (memory.grow (i32.const 16)))", TrapCode::GrowLimit),
        ("(drop (table.grow (ref.null func) (i32.const 65536)))", TrapCode::GrowLimit),
        ("(drop (call $write (i32.const 65535) (i32.const 2)))", TrapCode::MemoryOutOfBounds),
        ("(drop (i32.load (i32.const 65533)))", TrapCode::MemoryOutOfBounds),
    ] {
        assert_eq!(run(&start(body)).outcome, Outcome::Trap(code), "{body}");
    }
    let wrote = run(&start("(drop (call $write (i32.const 0) (i32.const 5))) unreachable"));
    assert_eq!((wrote.outcome, wrote.output.len()), (Outcome::Trap(TrapCode::Unreachable), 5));
}
