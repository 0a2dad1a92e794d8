//! How deep calls nest is the same on every engine: it is counted, not found out.

use p2c2r_runtime::{Attempt, limits};
use p2c2r_signing::{Manifest, Outcome, TrapCode};

use crate::kit::{core, load, manifest, numbers, run, run_with, sandbox, try_sign};

const STACK_LIMIT: Outcome = Outcome::Trap(TrapCode::StackLimit);

/// A module whose `$deep` calls itself without end and writes output when it is `depth` deep.
fn recursion(locals: &str, depth: u32) -> String {
    core("(drop (call $deep (i32.const 1)))").replace(
        "(func $put (param i32)",
        &format!(
            "(func $deep (param i32) (result i32) (local {locals})
                (if (i32.eq (local.get 0) (i32.const {depth})) (then (call $put (local.get 0))))
                (i32.add (i32.const 1) (call $deep (i32.add (local.get 0) (i32.const 1)))))
             (func $put (param i32)"
        ),
    )
}

/// Calls that fit: the largest depth that still writes.
fn depth(locals: &str, manifest: &Manifest) -> u32 {
    let reaches = |depth: u32| {
        let execution = run_with(&recursion(locals, depth), manifest, Attempt::new(""));
        assert_eq!(execution.outcome, STACK_LIMIT);
        !execution.output.is_empty()
    };
    let (mut low, mut high) = (1, limits::STACK_SLOTS);
    while high - low > 1 {
        let middle = low.midpoint(high);
        if reaches(middle) { low = middle } else { high = middle }
    }
    low
}

#[test]
fn depth_is_counted_in_slots_whether_there_is_fuel_or_not() {
    let metered = Manifest { fuel: Some(1 << 40), ..manifest() };
    for (locals, frame) in [("", 1 + 3), ("i64 i64", 3 + 3), ("v128 f32", 1 + 3 + 3)] {
        // The first call comes from outside the recursion and is not counted.
        let wanted = limits::STACK_SLOTS / (limits::FRAME_SLOTS + frame) + 1;
        assert_eq!(depth(locals, &manifest()), wanted, "{locals}");
        assert_eq!(depth(locals, &metered), wanted, "{locals}, with fuel");
    }
}

/// On a thread with no more stack than the sandbox asks for; past it the process would end.
#[test]
fn the_deepest_recursion_fits_on_the_smallest_thread() {
    let run = || {
        let kernel = load(&recursion("", u32::MAX), &manifest()).unwrap();
        sandbox().run(&kernel, Attempt::new("")).unwrap().outcome
    };
    let thread = std::thread::Builder::new().stack_size(limits::THREAD_STACK_BYTES);
    assert_eq!(thread.spawn(run).unwrap().join().unwrap(), STACK_LIMIT);
}

#[test]
fn the_trace_is_the_same_with_and_without_fuel() {
    let text = recursion("i32", 7).replace(
        "(if (i32.eq (local.get 0) (i32.const 7))",
        "(i32.store (i32.const 40000) (local.get 0)) (if (i32.eq (local.get 0) (i32.const 7))",
    );
    let plain = run(&text);
    let metered = run_with(&text, &Manifest { fuel: Some(1 << 40), ..manifest() }, Attempt::new(""));
    assert_eq!((plain.outcome, plain.output, plain.trace_root), (STACK_LIMIT, metered.output, metered.trace_root));
}

#[test]
fn the_start_function_counts_as_well() {
    let wat = r#"(module (memory (export "memory") 1) (func $deep (call $deep)) (start $deep)
        (func (export "p2c2r_main") (result i32) (i32.const 0)))"#;
    let execution = run(wat);
    assert_eq!(execution.outcome, STACK_LIMIT);
    // As after any start function that fails, there is no memory to trace.
    let trapped = run(&wat.replace("(call $deep)", "unreachable"));
    assert_eq!(execution.trace_root, trapped.trace_root);
    let once = r#"(module (memory (export "memory") 1)
        (func $deep (param i32) (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1))))))
        (func $start (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 5))) (call $deep (i32.const 9)))
        (start $start)
        (func (export "p2c2r_main") (result i32) (i32.load (i32.const 0))))"#;
    assert_eq!(run(once).outcome, Outcome::Failed(5), "started once");
}

#[test]
fn an_ordinary_unreachable_in_a_recursion_is_not_the_limit() {
    let text = recursion("", 100).replace("(then (call $put (local.get 0)))", "(then unreachable)");
    assert_eq!(run(&text).outcome, Outcome::Trap(TrapCode::Unreachable));
}

#[test]
fn what_returns_is_given_back() {
    let text = core(
        "(local i32) (loop $l (drop (call $down (i32.const 5000)))
            (br_if $l (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 50))))",
    )
    .replace(
        "(func $put (param i32)",
        "(func $down (param i32) (result i32)
            (if (result i32) (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 0))))
         (func $put (param i32)",
    );
    assert_eq!(run(&text).outcome, Outcome::Output);
}

#[test]
fn the_counter_cannot_be_named() {
    for (name, item) in [
        ("p2c2r.sandbox.stack", r#"(global (export "p2c2r.sandbox.stack") (mut i32) (i32.const -1))"#),
        ("p2c2r.sandbox.start", r#"(func (export "p2c2r.sandbox.start"))"#),
    ] {
        let wat = format!(
            r#"(module (memory (export "memory") 1) {item} (func (export "p2c2r_main") (result i32) unreachable))"#
        );
        let kernel = load(&wat, &manifest()).unwrap();
        assert!(kernel.bad_abi().unwrap_or_default().contains(name), "{:?}", kernel.bad_abi());
        assert_eq!(sandbox().run(&kernel, Attempt::new("")).unwrap().outcome, Outcome::BadAbi);
    }
    // By its index it cannot be reached either: the module is validated before the sandbox adds it.
    let wat = r#"(module (memory (export "memory") 1)
        (func (export "p2c2r_main") (result i32) (global.set 0 (i32.const 1000000)) (i32.const 0)))"#;
    assert!(try_sign(&wat::parse_str(wat).unwrap(), &manifest(), &[]).is_none());
}

#[test]
fn large_frames_reach_the_logical_limit_before_the_native_one() {
    // Every local is alive across the call.
    for (ty, add, count) in [("i64", "i64.add", 300), ("f64", "f64.add", 300), ("v128", "i32x4.add", 150)] {
        let zero = if ty == "v128" { "(v128.const i64x2 0 0)" } else { &format!("({ty}.const 1)") };
        let set: String =
            (1..=count).map(|i| format!("(local.set {i} ({add} (local.get {}) {zero}))", i - 1)).collect();
        let used: String =
            (1..=count).map(|i| format!("(local.set 0 ({add} (local.get 0) (local.get {i})))")).collect();
        let wat = format!(
            r#"(module (memory (export "memory") 1)
                (func $deep (param {ty}) (result {ty}) (local {}) {set} (local.set 0 (call $deep (local.get {count}))) {used}
                    (local.get 0))
                (func (export "p2c2r_main") (result i32) (drop (call $deep {zero})) (i32.const 0)))"#,
            format!("{ty} ").repeat(count)
        );
        assert_eq!(run(&wat).outcome, STACK_LIMIT, "{ty}");
    }
    assert_eq!(numbers(&run(&core("(call $put (i32.const 1))"))), [1]);
}
