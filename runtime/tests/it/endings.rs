//! How attempts end: traps that vote, faults that do not.

use std::thread;
use std::time::Duration;

use p2c2r_runtime::{Attempt, CancelFlag, HostFault, limits};
use p2c2r_signing::{Manifest, Outcome, TrapCode};

use crate::kit::{core, load, manifest, run, run_with, sandbox, try_run};

const FOREVER: &str = "(loop $again (br $again))";

#[test]
fn every_trap_has_its_code() {
    let table = r#"(table 4 funcref) (type $nothing (func)) (type $other (func (param i32)))
        (func $f (type $nothing)) (elem (i32.const 0) $f)"#;
    let module = |body: &str| {
        format!(
            r#"(module {table} (memory (export "memory") 1)
                (func (export "p2c2r_main") (result i32) {body} (i32.const 0)))"#
        )
    };
    for (body, code) in [
        ("unreachable", TrapCode::Unreachable),
        ("(drop (i32.load (i32.const 65533)))", TrapCode::MemoryOutOfBounds),
        ("(i32.store8 (i32.const -1) (i32.const 0))", TrapCode::MemoryOutOfBounds),
        ("(memory.fill (i32.const 0) (i32.const 0) (i32.const 65537))", TrapCode::MemoryOutOfBounds),
        ("(call_indirect (type $nothing) (i32.const 4))", TrapCode::TableOutOfBounds),
        ("(call_indirect (type $nothing) (i32.const 1))", TrapCode::IndirectCallToNull),
        ("(call_indirect (type $other) (i32.const 0) (i32.const 0))", TrapCode::BadSignature),
        ("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", TrapCode::IntegerOverflow),
        ("(drop (i32.div_u (i32.const 1) (i32.const 0)))", TrapCode::IntegerDivisionByZero),
        ("(drop (i32.trunc_f32_s (f32.const nan)))", TrapCode::BadConversionToInteger),
        ("(drop (memory.grow (i32.const 16)))", TrapCode::GrowLimit),
        ("(drop (memory.grow (i32.const -1)))", TrapCode::GrowLimit),
        ("(drop (table.grow (ref.null func) (i32.const 65536)))", TrapCode::GrowLimit),
    ] {
        assert_eq!(run(&module(body)).outcome, Outcome::Trap(code), "{body}");
    }
}

#[test]
fn the_entrys_result_is_the_outcome() {
    let wat = |code: i32| {
        format!(r#"(module (memory (export "memory") 1) (func (export "p2c2r_main") (result i32) (i32.const {code})))"#)
    };
    assert_eq!(run(&wat(0)).outcome, Outcome::Output);
    assert_eq!(run(&wat(7)).outcome, Outcome::Failed(7));
    assert_eq!(run(&wat(-1)).outcome, Outcome::Failed(-1));
}

#[test]
fn memory_grows_to_the_limit_and_no_further() {
    // The manifest allows 16 pages.
    let execution =
        run(&core("(call $put (memory.grow (i32.const 15))) (i32.store (i32.const 1048572) (i32.const 1))"));
    assert_eq!(execution.outcome, Outcome::Output);
    // A module's own maximum comes first, and is an ordinary -1.
    let wat = r#"(module (memory (export "memory") 1 2)
        (func (export "p2c2r_main") (result i32) (memory.grow (i32.const 2))))"#;
    assert_eq!(run(wat).outcome, Outcome::Failed(-1));
}

#[test]
fn a_start_function_that_traps_is_a_trap() {
    let wat = r#"(module (memory (export "memory") 1) (func $start unreachable) (start $start)
        (func (export "p2c2r_main") (result i32) (i32.const 0)))"#;
    assert_eq!(run(wat).outcome, Outcome::Trap(TrapCode::Unreachable));
}

#[test]
fn segments_out_of_bounds_are_traps() {
    for (segment, code) in [
        (r#"(data (i32.const 65535) "ab")"#, TrapCode::MemoryOutOfBounds),
        (r#"(data (i32.const -1) "a")"#, TrapCode::MemoryOutOfBounds),
        ("(table 1 funcref) (func $f) (elem (i32.const 1) $f)", TrapCode::TableOutOfBounds),
    ] {
        let wat = format!(
            r#"(module (memory (export "memory") 1) {segment} (func (export "p2c2r_main") (result i32) (i32.const 0)))"#
        );
        let execution = run(&wat);
        assert_eq!(execution.outcome, Outcome::Trap(code), "{segment}");
        assert_eq!(execution.trace_root, run(&wat).trace_root);
    }
}

#[test]
fn an_endless_loop_ends_at_its_deadline() {
    let after = Duration::from_millis(30);
    for body in [FOREVER, "(loop $again (call $log (i32.const 1) (i32.const 0) (i32.const 65536)) (br $again))"] {
        let attempt = Attempt { deadline: after, ..Attempt::new("") };
        assert_eq!(try_run(&core(body), &manifest(), attempt).unwrap_err(), HostFault::Deadline { after });
    }
    let at_once = Attempt { deadline: Duration::ZERO, ..Attempt::new("") };
    let fault = try_run(&core(""), &manifest(), at_once).unwrap_err();
    assert_eq!(fault, HostFault::Deadline { after: Duration::ZERO });
}

#[test]
fn an_endless_start_function_ends_at_its_deadline() {
    let wat = format!(
        r#"(module (memory (export "memory") 1) (func $start {FOREVER}) (start $start)
            (func (export "p2c2r_main") (result i32) (i32.const 0)))"#
    );
    let after = Duration::from_millis(30);
    let attempt = Attempt { deadline: after, ..Attempt::new("") };
    assert_eq!(try_run(&wat, &manifest(), attempt).unwrap_err(), HostFault::Deadline { after });
}

#[test]
fn cancelling_ends_a_run() {
    let cancel = CancelFlag::new();
    let attempt = Attempt { cancel: Some(cancel.clone()), deadline: Duration::from_secs(600), ..Attempt::new("") };
    let kernel = load(&core(FOREVER), &manifest()).unwrap();
    let running = thread::spawn(move || sandbox().run(&kernel, attempt));
    cancel.cancel();
    assert_eq!(running.join().unwrap().unwrap_err(), HostFault::Cancelled);
}

#[test]
fn fuel_runs_out_at_the_same_place() {
    let metered = Manifest { fuel: Some(10_000), ..manifest() };
    let body = "(local $i i32)
        (loop $again
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (i32.store (i32.const 8) (local.get $i))
            (br $again))";
    let first = run_with(&core(body), &metered, Attempt::new(""));
    let second = run_with(&core(body), &metered, Attempt::new(""));
    assert_eq!(first.outcome, Outcome::OutOfFuel);
    assert_eq!(first.trace_root, second.trace_root);
    let more = run_with(&core(body), &Manifest { fuel: Some(20_000), ..manifest() }, Attempt::new(""));
    assert_ne!(first.trace_root, more.trace_root);
    assert_eq!(run_with(&core(""), &metered, Attempt::new("")).outcome, Outcome::Output);
}

#[test]
fn too_much_input_is_refused() {
    let attempt = Attempt::new(vec![0; (1 << 16) + 1]);
    let fault = try_run(&core(""), &manifest(), attempt).unwrap_err();
    assert_eq!(fault, HostFault::TooLarge { what: "bytes of input", got: (1 << 16) + 1, max: 1 << 16 });
    let blobs = vec![bytes::Bytes::new(); limits::BLOBS + 1];
    let fault = try_run(&core(""), &manifest(), Attempt { blobs, ..Attempt::new("") }).unwrap_err();
    assert!(matches!(fault, HostFault::TooLarge { what: "blobs", .. }));
}

#[test]
fn more_attempts_than_workers_are_refused() {
    use p2c2r_runtime::{GpuPolicy, Sandbox, SandboxConfig};
    let one =
        Sandbox::new(SandboxConfig { workers: 1, gpu: GpuPolicy::Off, cache_dir: None, ..SandboxConfig::default() })
            .unwrap();
    let kernel = one.load(&crate::kit::module(&core(FOREVER), &manifest())).unwrap();
    let cancel = CancelFlag::new();
    let (tell, told) = std::sync::mpsc::channel();
    let other = {
        let (one, kernel, cancel) = (one.clone(), kernel.clone(), cancel.clone());
        thread::spawn(move || {
            let attempt = Attempt { cancel: Some(cancel), deadline: Duration::from_secs(600), ..Attempt::new("") };
            tell.send(()).unwrap();
            loop {
                let ended = one.run(&kernel, attempt.clone()).unwrap_err();
                if ended != (HostFault::Busy { workers: 1 }) {
                    return ended;
                }
            }
        })
    };
    told.recv().unwrap();
    // The other thread takes the only worker now or a moment later; until then this one gets it and runs out of time.
    let brief = || Attempt { deadline: Duration::from_millis(5), ..Attempt::new("") };
    let fault = std::iter::repeat_with(|| one.run(&kernel, brief()).unwrap_err())
        .take(1000)
        .find(|fault| !matches!(fault, HostFault::Deadline { .. }));
    assert_eq!(fault, Some(HostFault::Busy { workers: 1 }));
    cancel.cancel();
    assert_eq!(other.join().unwrap(), HostFault::Cancelled);
    // A worker that was freed is there again.
    assert!(matches!(one.run(&kernel, brief()), Err(HostFault::Deadline { .. })));
}
