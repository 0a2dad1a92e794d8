//! A jailed kernel computes what an unjailed one does.

use std::time::Duration;

use bytes::Bytes;
use p2c2r_jail::Jail;
use p2c2r_runtime::{Attempt, Execution, GpuPolicy, HostFault, LogLevel, Sandbox, SandboxConfig};
use p2c2r_signing::{BlobId, Manifest, Outcome, TrapCode};

use crate::kit::{ECHO, config, core, jail, load, manifest, module, run};

/// All but how long it took.
fn assert_same(one: &Execution, other: &Execution, about: &str) {
    assert_eq!((one.outcome, &one.log), (other.outcome, &other.log), "{about}");
    assert!(one.output == other.output, "{about}: {} and {} bytes", one.output.len(), other.output.len());
    assert_eq!((one.units, one.trace_root), (other.units, other.trace_root), "{about}");
}

#[test]
fn inside_and_outside_agree() {
    let sandbox = Sandbox::new(SandboxConfig { gpu: GpuPolicy::Off, ..SandboxConfig::default() }).unwrap();
    assert_eq!(jail().engine_id(), sandbox.engine_id());
    assert_eq!(jail().classes(), sandbox.classes());
    let metered = Manifest { fuel: Some(10_000), ..manifest() };
    let all_blobs = "(local.set $n (call $blob_count))
        (loop $next (if (i32.lt_u (local.get $i) (local.get $n)) (then
            (drop (call $blob_read (local.get $i) (i64.const 0) (i32.const 64)
                (i32.wrap_i64 (call $blob_len (local.get $i)))))
            (drop (call $output_write (i32.const 64) (i32.wrap_i64 (call $blob_len (local.get $i)))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $next))))";
    let cases: &[(&str, &Manifest)] = &[
        (ECHO, &manifest()),
        ("", &manifest()),
        (all_blobs, &manifest()),
        ("(call $seed (i32.const 32)) (drop (call $output_write (i32.const 32) (i32.const 32)))", &manifest()),
        ("(call $log (i32.const 2) (i32.const 0) (i32.const 5))", &manifest()),
        ("unreachable", &manifest()),
        ("(i32.store (i32.const 77) (i32.const 7)) (drop (i32.load (i32.const -1)))", &manifest()),
        ("(drop (i32.div_u (i32.const 1) (local.get $i)))", &manifest()),
        ("(call $charge (i64.const 10000001))", &manifest()),
        ("(return (i32.const 42))", &manifest()),
        ("(drop (memory.grow (i32.const 1000)))", &manifest()),
        ("(loop (br 0))", &metered),
        (ECHO, &metered),
    ];
    let attempts = [
        Attempt::new("hello"),
        Attempt { seed: [9; 32], blobs: vec![Bytes::from_static(b"one"), Bytes::new()], ..Attempt::new("") },
        Attempt { blobs: vec![Bytes::from(vec![3; 100_000])], ..Attempt::new(vec![5u8; 700_000]) },
    ];
    for (body, manifest) in cases {
        let module = module(&core(body), manifest);
        let (inside, outside) = (jail().load(&module).unwrap(), sandbox.load(&module).unwrap());
        for attempt in &attempts {
            let (in_there, out_here) =
                (run(jail(), &inside, attempt).unwrap(), sandbox.run(&outside, attempt.clone()).unwrap());
            assert_same(&in_there, &out_here, body);
        }
    }
}

/// By its first byte: traps, spins, writes 40 KiB, or gives back its input and the first blob's first byte.
const MANNERS: &str = r#"(drop (call $input_read (i32.const 0) (i32.const 0) (call $input_len)))
    (if (i32.eq (i32.load8_u (i32.const 0)) (i32.const 116)) (then unreachable))
    (if (i32.eq (i32.load8_u (i32.const 0)) (i32.const 115)) (then (loop (br 0))))
    (call $log (i32.const 1) (i32.const 0) (call $input_len))
    (if (i32.eq (i32.load8_u (i32.const 0)) (i32.const 108)) (then
        (drop (call $output_write (i32.const 0) (i32.const 40960)))))
    (if (i32.gt_u (call $blob_count) (i32.const 0)) (then
        (drop (call $blob_read (i32.const 0) (i64.const 0) (i32.const 100) (i32.const 1)))
        (drop (call $output_write (i32.const 100) (i32.const 1)))))
    (drop (call $output_write (i32.const 0) (call $input_len)))"#;

#[test]
fn attempts_together_end_as_each_alone() {
    let kernel = load(jail(), MANNERS);
    let blob = |n: usize| vec![Bytes::from(vec![n as u8; 10])];
    let attempts: Vec<(Attempt, Vec<BlobId>)> = (0..100)
        .map(|n| {
            let text = match n % 10 {
                3 => "trap".to_owned(),
                5 | 6 => format!("long {n}"),
                7 => "x".repeat(10_000 * (n / 10)),
                _ => format!("input {n}"),
            };
            let blobs = if n % 4 == 0 { blob(n % 7) } else { Vec::new() };
            let ids = blobs.iter().map(|blob| BlobId::of(blob)).collect();
            let max_units = if n == 42 { u64::MAX } else { 5 };
            (Attempt { blobs, max_units, ..Attempt::new(text) }, ids)
        })
        .collect();
    let results = jail().run_all(&kernel, &attempts);
    assert_eq!(results.len(), attempts.len());
    for ((attempt, ids), result) in attempts.iter().zip(results) {
        let (together, alone) = (result.unwrap(), jail().run(&kernel, attempt, ids).unwrap());
        assert_same(&together, &alone, &format!("{:?}", attempt.input));
    }
}

#[test]
fn one_that_does_not_end_takes_its_company_with_it_and_nobody_else() {
    let kernel = load(jail(), MANNERS);
    let deadline = Duration::from_millis(200);
    let of = |inputs: &[&'static str]| -> Vec<(Attempt, Vec<BlobId>)> {
        inputs.iter().map(|input| (Attempt { deadline, ..Attempt::new(*input) }, Vec::new())).collect()
    };
    let late = HostFault::Deadline { after: deadline };
    for result in jail().run_all(&kernel, &of(&["a", "spin", "b"])) {
        assert_eq!(result.unwrap_err(), late);
    }
    let patient = |(attempt, ids)| (Attempt { deadline: Duration::from_secs(60), ..attempt }, ids);
    let again: Vec<_> = of(&["a", "b"]).into_iter().map(patient).collect();
    let outputs: Vec<_> = jail().run_all(&kernel, &again).into_iter().map(|result| result.unwrap().output).collect();
    assert_eq!(outputs, [b"a", b"b"]);
    assert!(jail().run_all(&kernel, &[]).is_empty());
}

#[test]
fn large_inputs_and_outputs_cross_in_shared_memory() {
    let kernel = load(jail(), ECHO);
    for bytes in [0, 1, 32 << 10, (32 << 10) + 1, 1 << 20, 1_000_000] {
        let input: Vec<u8> = (0..bytes).map(|i| (i * 7 % 251) as u8).collect();
        let execution = run(jail(), &kernel, &Attempt::new(input.clone())).unwrap();
        assert_eq!((execution.outcome, execution.units), (Outcome::Output, bytes as u64));
        assert!(execution.output == input, "{bytes} bytes came back otherwise");
    }
}

#[test]
fn blobs_are_given_once_and_forgotten_in_time() {
    let first_byte = "(drop (call $blob_read (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 1)))
        (drop (call $output_write (i32.const 0) (i32.const 1)))";
    // One worker, so that it gets to see them all.
    let jail = Jail::start(p2c2r_jail::JailConfig { workers: 1, ..config() }).unwrap();
    let kernel = load(&jail, first_byte);
    for round in 0..2 {
        for n in 0..=200u8 {
            let blob = Bytes::from(vec![n; 10_000]);
            let execution = run(&jail, &kernel, &Attempt { blobs: vec![blob], ..Attempt::new("") }).unwrap();
            assert_eq!(execution.output, [n], "round {round}");
        }
    }
}

#[test]
fn as_many_blobs_as_a_task_may_have() {
    let count =
        "(drop (call $output_write (i32.const 0) (i32.const 0))) (call $charge (i64.extend_i32_u (call $blob_count)))";
    let kernel = load(jail(), count);
    let blobs = |count: usize| (0..count).map(|n| Bytes::from(n.to_le_bytes().to_vec())).collect();
    let most = p2c2r_runtime::limits::BLOBS;
    let execution = run(jail(), &kernel, &Attempt { blobs: blobs(most), ..Attempt::new("") }).unwrap();
    assert_eq!(execution.units, most as u64);
    let error = run(jail(), &kernel, &Attempt { blobs: blobs(most + 1), ..Attempt::new("") }).unwrap_err();
    assert_eq!(error.to_string(), "65 blobs, at most 64 are allowed");
}

#[test]
fn what_breaks_the_contract_is_a_vote() {
    let no_entry = module(r#"(module (memory (export "memory") 1))"#, &manifest());
    let threads = module(
        r#"(module (memory (export "memory") 1 1 shared) (func (export "p2c2r_main") (result i32) (i32.const 0)))"#,
        &manifest(),
    );
    for (module, part) in [(no_entry, "no exported function"), (threads, "threads must be enabled")] {
        let kernel = jail().load(&module).unwrap();
        let execution = run(jail(), &kernel, &Attempt::new("")).unwrap();
        assert_eq!(execution.outcome, Outcome::BadAbi);
        assert_eq!(execution.log[0].level, LogLevel::Panic);
        assert!(execution.log[0].text.contains(part), "{:?} does not say {part:?}", execution.log);
    }
}

#[test]
fn code_is_compiled_once() {
    let dir = tempfile::tempdir().unwrap();
    let module = module(&core(ECHO), &manifest());
    for from_cache in [false, true] {
        let config = p2c2r_jail::JailConfig { cache_dir: Some(dir.path().join("aot")), ..config() };
        let jail = Jail::start(config).unwrap();
        let kernel = jail.load(&module).unwrap();
        assert_eq!(kernel.from_cache(), from_cache);
        assert_eq!(run(&jail, &kernel, &Attempt::new("x")).unwrap().output, b"x");
    }
}

#[test]
fn nothing_survives_an_attempt() {
    let count = "(i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
        (drop (call $output_write (i32.const 0) (i32.const 4)))";
    let kernel = load(jail(), count);
    for _ in 0..10 {
        assert_eq!(run(jail(), &kernel, &Attempt::new("")).unwrap().output, [1, 0, 0, 0]);
    }
}

#[test]
fn a_trap_keeps_its_worker() {
    let trap = load(jail(), "unreachable");
    for _ in 0..20 {
        let execution = run(jail(), &trap, &Attempt::new("")).unwrap();
        assert_eq!(execution.outcome, Outcome::Trap(TrapCode::Unreachable));
    }
}
