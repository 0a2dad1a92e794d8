//! The `wasi` profile: programs that know nothing of P2C2R, on a world that is a function of the task.

use p2c2r_runtime::{Attempt, Execution, LogLevel, limits};
use p2c2r_signing::{Outcome, TrapCode};

use crate::kit::{numbers, run_with, wasi_manifest};

/// Errno values of preview 1.
const BADF: i32 = 8;
const INVAL: i32 = 28;
const NOTDIR: i32 = 54;
const SPIPE: i32 = 70;

/// A WASI command with the imports the tests need; `$put` writes an i32 to standard output.
fn command(body: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_seek" (func $fd_seek (param i32 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_prestat_get" (func $fd_prestat_get (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_open"
                (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
            (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "sched_yield" (func $sched_yield (result i32)))
            (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "environ_sizes_get"
                (func $environ_sizes_get (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
            (import "wasi_snapshot_preview1" "proc_raise" (func $proc_raise (param i32) (result i32)))
            (import "wasi_snapshot_preview1" "sock_accept" (func $sock_accept (param i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 1024) "hello, world\n")
            (data (i32.const 1100) "/etc/passwd")
            (func $write (param $fd i32) (param $src i32) (param $len i32)
                (i32.store (i32.const 16) (local.get $src))
                (i32.store (i32.const 20) (local.get $len))
                (if (call $fd_write (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 24)) (then unreachable)))
            (func $put (param i32)
                (i32.store (i32.const 0) (local.get 0))
                (call $write (i32.const 1) (i32.const 0) (i32.const 4)))
            (func (export "_start") {body}))"#
    )
}

fn run(body: &str, attempt: Attempt) -> Execution {
    run_with(&command(body), &wasi_manifest(), attempt)
}

fn puts(body: &str) -> Vec<i32> {
    let execution = run(body, Attempt::new(""));
    assert_eq!(execution.outcome, Outcome::Output, "{body}");
    numbers(&execution)
}

#[test]
fn hello() {
    let execution = run("(call $write (i32.const 1) (i32.const 1024) (i32.const 13))", Attempt::new(""));
    assert_eq!((execution.outcome, execution.output.as_slice()), (Outcome::Output, &b"hello, world\n"[..]));
    assert_eq!(execution.units, 1, "a program that cannot charge costs one unit");
}

#[test]
fn cat() {
    let body = "(loop $again
        (i32.store (i32.const 16) (i32.const 4096))
        (i32.store (i32.const 20) (i32.const 100))
        (if (call $fd_read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 24)) (then unreachable))
        (if (i32.load (i32.const 24)) (then
            (call $write (i32.const 1) (i32.const 4096) (i32.load (i32.const 24)))
            (br $again))))";
    let input: Vec<u8> = (0..1234u32).map(|i| (i % 251) as u8).collect();
    let execution = run(body, Attempt::new(input.clone()));
    assert_eq!((execution.outcome, execution.output), (Outcome::Output, input));
}

#[test]
fn standard_error_is_the_log() {
    let execution = run("(call $write (i32.const 2) (i32.const 1024) (i32.const 13))", Attempt::new(""));
    assert_eq!(execution.output, b"");
    assert_eq!(execution.log.len(), 1);
    assert_eq!((execution.log[0].level, execution.log[0].text.as_str()), (LogLevel::Warn, "hello, world"));
}

#[test]
fn exit_codes_are_outcomes() {
    for (code, outcome) in [(0, Outcome::Output), (1, Outcome::Failed(1)), (200, Outcome::Failed(200))] {
        let execution = run(
            &format!("(call $put (i32.const 9)) (call $proc_exit (i32.const {code})) unreachable"),
            Attempt::new(""),
        );
        assert_eq!((execution.outcome, numbers(&execution)), (outcome, vec![9]));
    }
    let raised = run("(drop (call $proc_raise (i32.const 6)))", Attempt::new(""));
    assert_eq!(raised.outcome, Outcome::Trap(TrapCode::Unreachable));
}

#[test]
fn output_is_bounded() {
    let execution = run("(call $write (i32.const 1) (i32.const 0) (i32.const 4097))", Attempt::new(""));
    assert_eq!((execution.outcome, execution.output.len()), (Outcome::Trap(TrapCode::OutputLimit), 0));
    // A thousand vectors over the same 60 KiB.
    let body = "(local $i i32)
        (loop $fill
            (i32.store offset=4096 (i32.mul (local.get $i) (i32.const 8)) (i32.const 0))
            (i32.store offset=4100 (i32.mul (local.get $i) (i32.const 8)) (i32.const 60000))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $fill (i32.lt_u (local.get $i) (i32.const 1000))))
        (drop (call $fd_write (i32.const 1) (i32.const 4096) (i32.const 1000) (i32.const 0)))";
    assert_eq!(run(body, Attempt::new("")).outcome, Outcome::Trap(TrapCode::OutputLimit));
    let log =
        run(&body.replace("(i32.const 1) (i32.const 4096)", "(i32.const 2) (i32.const 4096)"), Attempt::new("")).log;
    assert!(log.iter().map(|l| l.text.len()).sum::<usize>() <= limits::LOG_BYTES);
}

#[test]
fn there_are_no_files_sockets_arguments_or_environment() {
    assert_eq!(puts("(call $put (call $fd_prestat_get (i32.const 3) (i32.const 64)))"), [BADF]);
    for fd in [0, 1, 3, 4, -1] {
        let open = format!(
            "(call $put (call $path_open (i32.const {fd}) (i32.const 0) (i32.const 1100) (i32.const 11) (i32.const 0)
                (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 64)))"
        );
        let said = puts(&open);
        assert!(said == [BADF] || said == [NOTDIR], "fd {fd}: {said:?}");
    }
    assert_eq!(puts("(call $put (call $sock_accept (i32.const 0) (i32.const 0) (i32.const 64)))"), [BADF]);
    for sizes in ["$args_sizes_get", "$environ_sizes_get"] {
        let body = format!(
            "(call $put (call {sizes} (i32.const 64) (i32.const 68)))
             (call $put (i32.load (i32.const 64))) (call $put (i32.load (i32.const 68)))"
        );
        assert_eq!(puts(&body), [0, 0, 0]);
    }
    assert_eq!(puts("(call $put (call $fd_seek (i32.const 1) (i64.const 0) (i32.const 0) (i32.const 64)))"), [SPIPE]);
}

#[test]
fn clocks_and_random_are_functions_of_the_task() {
    let body = "
        (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 64)))
        (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 72)))
        (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 80)))
        (drop (call $random_get (i32.const 88) (i32.const 16)))
        (call $write (i32.const 1) (i32.const 64) (i32.const 40))";
    let seeded = |byte| run(body, Attempt { seed: [byte; 32], ..Attempt::new("") });
    let (a, b, c) = (seeded(1), seeded(1), seeded(2));
    assert_eq!((&a.output, a.trace_root), (&b.output, b.trace_root));
    let word = |at: usize| u64::from_le_bytes(a.output[at..at + 8].try_into().unwrap());
    assert_eq!(word(0), 946_684_800_000_002_000, "the year 2000; the first reading started the clock");
    assert!(word(16) > word(8), "time moves");
    assert_eq!(a.output[..24], c.output[..24], "clocks do not depend on the seed");
    assert_ne!(a.output[24..], c.output[24..], "random does");
    assert_ne!(a.output[24..], [0; 16]);
}

#[test]
fn sleeping_takes_no_time() {
    // One relative timer of a million seconds on the monotonic clock, in a subscription at 128.
    let body = "
        (i64.store (i32.const 152) (i64.const 1000000000000000))
        (i32.store (i32.const 144) (i32.const 1))
        (call $put (call $poll_oneoff (i32.const 128) (i32.const 256) (i32.const 1) (i32.const 64)))
        (call $put (i32.load (i32.const 64)))
        (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 72)))
        (call $put (i64.gt_u (i64.load (i32.const 72)) (i64.const 1000000000000000)))
        (call $put (call $sched_yield))";
    assert_eq!(puts(body), [0, 1, 1, 0]);
}

#[test]
fn counts_that_cost_the_host_are_refused() {
    for call in [
        "(call $fd_read (i32.const 0) (i32.const 0) (i32.const 1025) (i32.const 0))",
        "(call $fd_write (i32.const 1) (i32.const 0) (i32.const -1) (i32.const 0))",
        "(call $poll_oneoff (i32.const 0) (i32.const 0) (i32.const 65) (i32.const 0))",
        "(call $poll_oneoff (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))",
        "(call $random_get (i32.const 0) (i32.const 1048577))",
    ] {
        assert_eq!(puts(&format!("(call $put {call})")), [INVAL], "{call}");
    }
}

#[test]
fn pointers_outside_memory_trap() {
    for call in [
        "(call $fd_read (i32.const 0) (i32.const 65536) (i32.const 1) (i32.const 0))",
        "(call $fd_write (i32.const 1) (i32.const -8) (i32.const 1) (i32.const 0))",
        "(call $random_get (i32.const 65530) (i32.const 100))",
        "(call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 65536))",
        "(call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 1))",
        "(call $args_sizes_get (i32.const -4) (i32.const 0))",
        "(call $poll_oneoff (i32.const 65528) (i32.const 0) (i32.const 1) (i32.const 0))",
        "(call $path_open (i32.const 3) (i32.const 0) (i32.const 65535) (i32.const 9) (i32.const 0)
            (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 64))",
    ] {
        let execution = run(&format!("(drop {call})"), Attempt::new(""));
        // wasi-common looks at the descriptor before the path: an unknown one is an errno, not a trap.
        let expected = if call.contains("path_open") {
            [Outcome::Output, Outcome::Trap(TrapCode::MemoryOutOfBounds)].as_slice()
        } else {
            &[Outcome::Trap(TrapCode::MemoryOutOfBounds)]
        };
        assert!(expected.contains(&execution.outcome), "{call}: {:?}", execution.outcome);
    }
}

#[test]
fn closed_streams_stay_closed_for_this_attempt_only() {
    let body = "(drop (call $fd_close (i32.const 0)))
        (call $put (call $fd_read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 24)))";
    assert_eq!(puts(body), [BADF]);
    assert_eq!(puts(body), [BADF]);
}

#[test]
fn a_wasi_kernel_may_use_the_p2c2r_imports_too() {
    let wat = r#"(module
        (import "p2c2r_v1" "charge" (func $charge (param i64)))
        (memory (export "memory") 1)
        (func (export "_start") (call $charge (i64.const 42))))"#;
    assert_eq!(run_with(wat, &wasi_manifest(), Attempt::new("")).units, 42);
}

#[test]
fn a_program_without_start_is_bad_abi() {
    let wat = r#"(module (memory (export "memory") 1) (func (export "p2c2r_main") (result i32) (i32.const 0)))"#;
    assert_eq!(run_with(wat, &wasi_manifest(), Attempt::new("")).outcome, Outcome::BadAbi);
}
