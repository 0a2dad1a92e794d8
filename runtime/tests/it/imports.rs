//! Every import: what it gives, and what a bad pointer costs.

use bytes::Bytes;
use p2c2r_abi::status;
use p2c2r_runtime::{Attempt, LogLevel, limits};
use p2c2r_signing::{Outcome, TrapCode};

use crate::kit::{core, manifest, numbers, run, run_with};

/// Runs a body that `$put`s numbers.
fn check(body: &str, attempt: Attempt, expected: &[i32]) {
    let execution = run_with(&core(body), &manifest(), attempt);
    assert_eq!(execution.outcome, Outcome::Output, "{body}");
    assert_eq!(numbers(&execution), expected, "{body}");
}

#[test]
fn input() {
    check("(call $put (call $input_len))", Attempt::new("abcd"), &[4]);
    check("(call $put (call $input_len))", Attempt::new(""), &[0]);
    let read = |offset: &str, len: &str| {
        format!(
            "(i32.store (i32.const 100) (i32.const -1))
             (call $put (call $input_read (i32.const {offset}) (i32.const 100) (i32.const {len})))
             (call $put (i32.load (i32.const 100)))"
        )
    };
    let word = |text: &[u8; 4]| i32::from_le_bytes(*text);
    check(&read("0", "4"), Attempt::new("abcdef"), &[status::OK, word(b"abcd")]);
    check(&read("2", "4"), Attempt::new("abcdef"), &[status::OK, word(b"cdef")]);
    check(&read("6", "0"), Attempt::new("abcdef"), &[status::OK, -1]);
    check(&read("3", "4"), Attempt::new("abcdef"), &[status::RANGE, -1]);
    check(&read("7", "0"), Attempt::new("abcdef"), &[status::RANGE, -1]);
    check(&read("-1", "4"), Attempt::new("abcdef"), &[status::RANGE, -1]);
}

#[test]
fn output_is_appended_up_to_the_limit() {
    let body = "(call $put (i32.const 1)) (call $put (i32.const 2))";
    check(body, Attempt::new(""), &[1, 2]);

    let exact = "(drop (call $output_write (i32.const 0) (i32.const 4096)))";
    let execution = run(&core(exact));
    assert_eq!((execution.outcome, execution.output.len()), (Outcome::Output, 4096));

    let over = format!("{exact} (drop (call $output_write (i32.const 0) (i32.const 1)))");
    let execution = run(&core(&over));
    assert_eq!(execution.outcome, Outcome::Trap(TrapCode::OutputLimit));
    assert_eq!(execution.output.len(), 4096, "what came before the trap stays");
}

#[test]
fn blobs() {
    let blobs = || Attempt { blobs: vec![Bytes::from("first"), Bytes::from("second")], ..Attempt::new("") };
    check("(call $put (call $blob_count))", blobs(), &[2]);
    let len = |i: i32| format!("(call $put (i32.wrap_i64 (call $blob_len (i32.const {i}))))");
    check(&[len(0), len(1), len(2), len(-1)].concat(), blobs(), &[5, 6, status::HANDLE, status::HANDLE]);
    let read = |index: i32, offset: i64, len: i32| {
        format!(
            "(i32.store (i32.const 100) (i32.const 0))
             (call $put (call $blob_read (i32.const {index}) (i64.const {offset}) (i32.const 100) (i32.const {len})))
             (call $put (i32.load (i32.const 100)))"
        )
    };
    let word = |text: &[u8; 4]| i32::from_le_bytes(*text);
    check(&read(1, 2, 4), blobs(), &[status::OK, word(b"cond")]);
    check(&read(1, 3, 4), blobs(), &[status::RANGE, 0]);
    check(&read(1, -1, 1), blobs(), &[status::RANGE, 0]);
    check(&read(0, i64::MAX, 1), blobs(), &[status::RANGE, 0]);
    check(&read(2, 0, 1), blobs(), &[status::HANDLE, 0]);
}

#[test]
fn seed() {
    let body = "(call $seed (i32.const 100)) (drop (call $output_write (i32.const 100) (i32.const 32)))";
    let seed = std::array::from_fn(|i| i as u8);
    let execution = run_with(&core(body), &manifest(), Attempt { seed, ..Attempt::new("") });
    assert_eq!(execution.output, seed);
}

#[test]
fn log() {
    let line = |level: i32| format!("(call $log (i32.const {level}) (i32.const 1024) (i32.const 5))");
    let execution = run(&core(&[line(0), line(1), line(2), line(3), line(99)].concat()));
    let levels: Vec<_> = execution.log.iter().map(|l| l.level).collect();
    assert_eq!(levels, [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Panic, LogLevel::Info]);
    assert!(execution.log.iter().all(|l| l.text == "hello"));
}

#[test]
fn log_is_cut_and_never_part_of_the_result() {
    let forever = |n: u32| {
        core(&format!(
            "(local $i i32)
             (loop $again
                (call $log (i32.const 1) (i32.const 1024) (i32.const 60000))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $i) (i32.const {n}))))
             (local.set $i (i32.const 0))"
        ))
    };
    let execution = run(&forever(1000));
    assert_eq!(execution.outcome, Outcome::Output);
    assert!(execution.log.len() <= limits::LOG_LINES);
    assert!(execution.log.iter().all(|l| l.text.len() <= limits::LOG_LINE_BYTES));
    assert!(execution.log.iter().map(|l| l.text.len()).sum::<usize>() <= limits::LOG_BYTES);
    assert_eq!(execution.trace_root, run(&forever(1)).trace_root);
}

#[test]
fn charge() {
    let charge = |units: &str| core(&format!("(call $charge (i64.const {units}))"));
    assert_eq!(run(&charge("1000")).units, 1000);
    let trapped = Outcome::Trap(TrapCode::UnitsLimit);
    assert_eq!(run(&charge("1001")).outcome, trapped);
    assert_eq!(run(&charge("-1")).outcome, trapped);
    assert_eq!(run(&charge("9223372036854775807")).outcome, trapped);
    let held = run_with(&charge("11"), &manifest(), Attempt { max_units: 10, ..Attempt::new("") });
    assert_eq!((held.outcome, held.units), (trapped, 0), "the task's hold binds as well");
    let twice = core("(call $charge (i64.const 600)) (call $charge (i64.const 600))");
    assert_eq!((run(&twice).outcome, run(&twice).units), (trapped, 600));
}

#[test]
fn on_the_cpu_path_there_is_no_gpu() {
    check("(call $put (call $gpu_caps))", Attempt::new(""), &[0]);
    for call in [
        "(call $buf_create (i64.const 16))",
        "(call $buf_write (i32.const 1) (i64.const 0) (i32.const 0) (i32.const 4))",
        "(call $buf_read (i32.const 1) (i64.const 0) (i32.const 0) (i32.const 4))",
        "(call $buf_drop (i32.const 1))",
        "(call $dispatch (i32.const 2048) (i32.const 6) (i32.const 1) (i32.const 1) (i32.const 1) (i32.const 0) (i32.const 0))",
    ] {
        check(&format!("(call $put {call})"), Attempt::new(""), &[status::NO_GPU]);
    }
}

#[test]
fn a_pointer_outside_memory_traps_at_every_import() {
    // Memory is 65,536 bytes. Each entry takes a pointer and a length.
    type Call<'a> = &'a dyn Fn(i32, i32) -> String;
    let calls: [(&str, Call<'_>); 8] = [
        ("input_read", &|p, n| format!("(drop (call $input_read (i32.const 0) (i32.const {p}) (i32.const {n})))")),
        ("output_write", &|p, n| format!("(drop (call $output_write (i32.const {p}) (i32.const {n})))")),
        ("blob_read", &|p, n| {
            format!("(drop (call $blob_read (i32.const 0) (i64.const 0) (i32.const {p}) (i32.const {n})))")
        }),
        ("log", &|p, n| format!("(call $log (i32.const 1) (i32.const {p}) (i32.const {n}))")),
        ("buf_write", &|p, n| {
            format!("(drop (call $buf_write (i32.const 1) (i64.const 0) (i32.const {p}) (i32.const {n})))")
        }),
        ("buf_read", &|p, n| {
            format!("(drop (call $buf_read (i32.const 1) (i64.const 0) (i32.const {p}) (i32.const {n})))")
        }),
        ("dispatch name", &|p, n| {
            format!(
                "(drop (call $dispatch (i32.const {p}) (i32.const {n}) (i32.const 1) (i32.const 1) (i32.const 1)
                    (i32.const 0) (i32.const 0)))"
            )
        }),
        ("dispatch bindings", &|p, n| {
            format!(
                "(drop (call $dispatch (i32.const 2048) (i32.const 6) (i32.const 1) (i32.const 1) (i32.const 1)
                    (i32.const {p}) (i32.const {n})))"
            )
        }),
    ];
    let outside = [(65_536, 1), (65_535, 2), (-1, 1), (0, 65_537), (0, -1), (-1, -1), (i32::MIN, 8), (65_537, 0)];
    for (name, call) in calls {
        for (pointer, len) in outside {
            let execution = run(&core(&call(pointer, len)));
            let expected = Outcome::Trap(TrapCode::MemoryOutOfBounds);
            assert_eq!(execution.outcome, expected, "{name} with {pointer}, {len}");
        }
    }
    for pointer in [65_505, 65_536, -1, -32, i32::MIN] {
        let execution = run(&core(&format!("(call $seed (i32.const {pointer}))")));
        assert_eq!(execution.outcome, Outcome::Trap(TrapCode::MemoryOutOfBounds), "seed with {pointer}");
    }
    assert_eq!(run(&core("(call $seed (i32.const 65504))")).outcome, Outcome::Output);
}

#[test]
fn imports_work_in_a_start_function() {
    let wat = r#"(module
        (import "p2c2r_v1" "output_write" (func $output_write (param i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "start")
        (func $start (drop (call $output_write (i32.const 0) (i32.const 5))))
        (start $start)
        (func (export "p2c2r_main") (result i32) (i32.const 0)))"#;
    assert_eq!(run(wat).output, b"start");
}
