//! The GPU path through a kernel's eyes. What the device does with a shader is tested where the device is.

use std::sync::OnceLock;

use p2c2r_abi::{gpu, status};
use p2c2r_runtime::limits::LOG_REFUSALS;
use p2c2r_runtime::{Attempt, HostFault, LogLevel, PathKind, Sandbox, SandboxConfig};
use p2c2r_signing::{Gpu, Manifest, Outcome, ResultClass, TrapCode};

use crate::kit::{core, manifest, numbers, sandbox, sign};

const DOUBLE: &str = "
    @group(0) @binding(0) var<storage, read_write> data: array<u32>;
    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3<u32>) {
        if id.x < arrayLength(&data) { data[id.x] = data[id.x] * 2u; }
    }";

/// Doubles the input's words on the GPU, and puts what every call returned and what it read back.
const BODY: &str = "(local $buffer i32)
    (call $put (call $gpu_caps))
    (drop (call $input_read (i32.const 0) (i32.const 100) (i32.const 16)))
    (local.set $buffer (call $buf_create (i64.const 16)))
    (call $put (call $buf_write (local.get $buffer) (i64.const 0) (i32.const 100) (i32.const 16)))
    (i32.store (i32.const 200) (i32.const 0))
    (i32.store (i32.const 204) (local.get $buffer))
    (call $put (call $dispatch (i32.const 2048) (i32.const 6) (i32.const 1) (i32.const 1) (i32.const 1)
        (i32.const 200) (i32.const 1)))
    (call $put (call $buf_read (local.get $buffer) (i64.const 0) (i32.const 300) (i32.const 16)))
    (drop (call $output_write (i32.const 300) (i32.const 16)))
    (call $put (call $dispatch (i32.const 1024) (i32.const 5) (i32.const 1) (i32.const 1) (i32.const 1)
        (i32.const 200) (i32.const 1)))
    (call $put (call $dispatch (i32.const 2048) (i32.const 6) (i32.const 1) (i32.const 1) (i32.const 1)
        (i32.const 200) (i32.const 1000)))
    (call $put (call $buf_read (i32.const 77) (i64.const 0) (i32.const 300) (i32.const 16)))";

fn gpu_manifest() -> Manifest {
    let gpu = Gpu { buffers: 4, buffer_bytes: 1 << 20, dispatches: 10, workgroups: 1000, cpu_path: true };
    Manifest { gpu: Some(gpu), ..manifest() }
}

fn kernel_module(body: &str) -> p2c2r_signing::VerifiedModule {
    sign(&wat::parse_str(core(body)).unwrap(), &gpu_manifest(), &[("double", DOUBLE)])
}

/// A sandbox with an adapter, if this machine has one.
fn with_gpu() -> Option<&'static Sandbox> {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    let sandbox =
        SANDBOX.get_or_init(|| Sandbox::new(SandboxConfig { workers: 16, ..SandboxConfig::default() }).unwrap());
    if let Some(reason) = sandbox.gpu_missing() {
        assert!(std::env::var_os("P2C2R_REQUIRE_GPU").is_none(), "no gpu: {reason}");
        eprintln!("SKIPPED: {reason}");
        return None;
    }
    Some(sandbox)
}

fn input() -> Vec<u8> {
    [1u32, 2, 3, 0x4000_0000].iter().flat_map(|n| n.to_le_bytes()).collect()
}

#[test]
fn a_kernel_computes_on_the_gpu() {
    let Some(sandbox) = with_gpu() else { return };
    let kernel = sandbox.load(&kernel_module(BODY)).unwrap();
    assert_eq!(kernel.gpu_refused(), None);
    let attempt = || Attempt { path: PathKind::Gpu, ..Attempt::new(input()) };
    let execution = sandbox.run(&kernel, attempt()).unwrap();
    assert_eq!(execution.outcome, Outcome::Output);
    let expected = [
        gpu::DISPATCH,
        status::OK,
        status::OK,
        status::OK,
        2,
        4,
        6,
        0x8000_0000_u32.cast_signed(),
        status::NO_SHADER,
        // The records behind the first are zeros, and there is no buffer 0.
        status::HANDLE,
        status::HANDLE,
    ];
    assert_eq!(numbers(&execution), expected);
    assert_eq!(sandbox.run(&kernel, attempt()).unwrap().trace_root, execution.trace_root);
}

#[test]
fn why_a_call_is_refused_is_in_the_log() {
    let log = |sandbox: &Sandbox, body: &str, path| {
        let kernel = sandbox.load(&kernel_module(body)).unwrap();
        sandbox.run(&kernel, Attempt { path, ..Attempt::new(input()) }).unwrap().log
    };
    let want = [
        "dispatch \"hello\": the module has no shader of that name; it has \"double\"",
        "dispatch \"double\": binding 0 is given handle 0, and no buffer is live that has it",
        "buf_read: no buffer is live that has handle 77",
    ];
    let texts = |path, sandbox| {
        let lines = log(sandbox, BODY, path);
        assert!(lines.iter().all(|line| line.level == LogLevel::Warn), "{lines:?}");
        lines.into_iter().map(|line| line.text).collect::<Vec<_>>()
    };
    assert_eq!(texts(PathKind::Exact, sandbox()), want);
    if let Some(with) = with_gpu() {
        assert_eq!(texts(PathKind::Gpu, with), want);
    }
    // A guest that asks again and again, with a name as long as its memory, fills neither the log nor anybody's time.
    let again = "(local $n i32)
        (loop $again
            (drop (call $dispatch (i32.const 0) (i32.const 65536) (i32.const 1) (i32.const 1) (i32.const 1)
                (i32.const 200) (i32.const 1)))
            (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 100000))))";
    let lines = log(sandbox(), again, PathKind::Exact);
    assert_eq!(lines.len(), LOG_REFUSALS as usize);
    assert!(lines.iter().all(|line| line.text.len() < 1000), "{lines:?}");
}

#[test]
fn the_trace_covers_buffers() {
    let Some(sandbox) = with_gpu() else { return };
    // The same memory in the end, and other bytes in a buffer.
    let body = |word: i32| {
        format!(
            "(i32.store (i32.const 100) (i32.const {word}))
             (drop (call $buf_write (call $buf_create (i64.const 16)) (i64.const 4) (i32.const 100) (i32.const 4)))
             (i32.store (i32.const 100) (i32.const 0))"
        )
    };
    let trace = |word| {
        let kernel = sandbox.load(&kernel_module(&body(word))).unwrap();
        sandbox.run(&kernel, Attempt { path: PathKind::Gpu, ..Attempt::new("") }).unwrap().trace_root
    };
    assert_eq!(trace(1), trace(1));
    assert_ne!(trace(1), trace(2));
}

#[test]
fn a_shader_without_an_end_is_a_trap_whether_the_kernel_looks_or_not() {
    let Some(sandbox) = with_gpu() else { return };
    let endless = "@group(0) @binding(0) var<storage, read_write> data: array<u32>;
        @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            loop { data[id.x] += 2u; if data[id.x] == 1u { break; } }
        }";
    let run = |end: &str| {
        let body = format!(
            "(i32.store (i32.const 204) (call $buf_create (i64.const 16)))
             (call $put (call $dispatch (i32.const 2048) (i32.const 6) (i32.const 1) (i32.const 1) (i32.const 1)
                (i32.const 200) (i32.const 1)))
             {end}"
        );
        let module = sign(&wat::parse_str(core(&body)).unwrap(), &gpu_manifest(), &[("double", endless)]);
        let kernel = sandbox.load(&module).unwrap();
        assert_eq!(kernel.gpu_refused(), None);
        sandbox.run(&kernel, Attempt { path: PathKind::Gpu, ..Attempt::new("") }).unwrap()
    };
    let read = "(call $put (call $buf_read (i32.load (i32.const 204)) (i64.const 0) (i32.const 300) (i32.const 16)))";
    for (end, written) in [("", 1), (read, 1), ("(call $put (i32.const 7))", 2), ("unreachable", 1)] {
        let execution = run(end);
        assert_eq!(execution.outcome, Outcome::Trap(TrapCode::ShaderFuel), "{end}");
        assert_eq!(numbers(&execution).len(), written, "{end}");
        assert_eq!(run(end).trace_root, execution.trace_root, "{end}");
    }
}

#[test]
fn bad_pointers_trap_on_the_gpu_path_too() {
    let Some(sandbox) = with_gpu() else { return };
    for call in [
        "(call $buf_write (i32.const 1) (i64.const 0) (i32.const 65536) (i32.const 4))",
        "(call $buf_read (i32.const 1) (i64.const 0) (i32.const 65534) (i32.const 4))",
        "(call $dispatch (i32.const -1) (i32.const 6) (i32.const 1) (i32.const 1) (i32.const 1) (i32.const 0) (i32.const 0))",
        "(call $dispatch (i32.const 0) (i32.const 6) (i32.const 1) (i32.const 1) (i32.const 1) (i32.const 0) (i32.const -1))",
    ] {
        let kernel = sandbox.load(&kernel_module(&format!("(drop {call})"))).unwrap();
        let execution = sandbox.run(&kernel, Attempt { path: PathKind::Gpu, ..Attempt::new("") }).unwrap();
        assert_eq!(execution.outcome, Outcome::Trap(TrapCode::MemoryOutOfBounds), "{call}");
    }
}

#[test]
fn a_bad_shader_refuses_the_gpu_path_only() {
    let Some(sandbox) = with_gpu() else { return };
    let wasm = wat::parse_str(core("(call $put (call $gpu_caps))")).unwrap();
    let module = sign(&wasm, &gpu_manifest(), &[("double", "fn main( {")]);
    let kernel = sandbox.load(&module).unwrap();
    assert!(kernel.gpu_refused().is_some());
    let on = |path| sandbox.run(&kernel, Attempt { path, ..Attempt::new("") });
    assert!(matches!(on(PathKind::Gpu), Err(HostFault::Gpu(_))));
    assert_eq!(numbers(&on(PathKind::Cpu).unwrap()), [0]);
}

#[test]
fn classes_of_the_cpu_and_of_exact_shaders_are_everybodys() {
    let without = sandbox().classes();
    assert_eq!(without.iter().map(|(_, path)| *path).collect::<Vec<_>>(), [PathKind::Cpu, PathKind::Exact]);
    assert_ne!(without[0].0, without[1].0);
    let Some(with) = with_gpu() else { return };
    let classes = with.classes();
    assert_eq!(classes[..2], without, "they do not depend on the adapter");
    if let Some((class, path)) = classes.get(2) {
        assert_eq!(*path, PathKind::Gpu);
        assert!(without.iter().all(|(other, _)| other != class));
    }
}

#[test]
fn exact_shaders_run_without_an_adapter_and_nobody_can_tell() {
    let run = |sandbox: &Sandbox, path| {
        let kernel = sandbox.load(&kernel_module(BODY)).unwrap();
        let execution = sandbox.run(&kernel, Attempt { path, ..Attempt::new(input()) }).unwrap();
        (execution.outcome, execution.output, execution.units, execution.trace_root)
    };
    let without = run(sandbox(), PathKind::Exact);
    assert_eq!(without.0, Outcome::Output);
    let Some(with) = with_gpu() else { return };
    assert_eq!(run(with, PathKind::Exact), without);
    // On the adapter whatever its probe said of it.
    assert_eq!(run(with, PathKind::Gpu), without);
}

#[test]
fn an_endless_exact_shader_is_the_same_vote_without_an_adapter() {
    let endless = "@group(0) @binding(0) var<storage, read_write> data: array<u32>;
        @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            loop { data[id.x] += 2u; if data[id.x] == 1u { break; } }
        }";
    let module = sign(&wat::parse_str(core(BODY)).unwrap(), &gpu_manifest(), &[("double", endless)]);
    let run = |sandbox: &Sandbox, path| {
        let kernel = sandbox.load(&module).unwrap();
        let execution = sandbox.run(&kernel, Attempt { path, ..Attempt::new(input()) }).unwrap();
        (execution.outcome, execution.output, execution.trace_root)
    };
    let without = run(sandbox(), PathKind::Exact);
    assert_eq!(without.0, Outcome::Trap(TrapCode::ShaderFuel));
    let Some(with) = with_gpu() else { return };
    assert_eq!(run(with, PathKind::Gpu), without);
}

#[test]
fn the_reference_is_no_way_round_a_deadline() {
    let slow = "@group(0) @binding(0) var<storage, read_write> data: array<u32>;
        @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            for (var n = 0u; n < 57000u; n++) { data[id.x] += n; }
        }";
    let body = BODY.replace(
        "(call $put (call $dispatch (i32.const 2048) (i32.const 6) (i32.const 1)",
        "(call $put (call $dispatch (i32.const 2048) (i32.const 6) (i32.const 1000)",
    );
    let module = sign(&wat::parse_str(core(&body)).unwrap(), &gpu_manifest(), &[("double", slow)]);
    let kernel = sandbox().load(&module).unwrap();
    let deadline = std::time::Duration::from_millis(300);
    let fault =
        sandbox().run(&kernel, Attempt { path: PathKind::Exact, deadline, ..Attempt::new(input()) }).unwrap_err();
    assert_eq!(fault, HostFault::Deadline { after: deadline });
}

#[test]
fn only_kernels_that_claim_it_run_as_exact() {
    let manifest = Manifest { result_class: ResultClass::Device, ..gpu_manifest() };
    let module = sign(&wat::parse_str(core(BODY)).unwrap(), &manifest, &[("double", DOUBLE)]);
    let kernel = sandbox().load(&module).unwrap();
    let fault = sandbox().run(&kernel, Attempt { path: PathKind::Exact, ..Attempt::new(input()) }).unwrap_err();
    assert!(matches!(fault, HostFault::Gpu(_)), "{fault}");
}

#[test]
fn without_an_adapter_the_gpu_path_is_a_fault() {
    let kernel = sandbox().load(&kernel_module(BODY)).unwrap();
    let fault = sandbox().run(&kernel, Attempt { path: PathKind::Gpu, ..Attempt::new(input()) }).unwrap_err();
    assert!(matches!(fault, HostFault::Gpu(_)), "{fault}");
    // The same kernel on the CPU path sees no GPU and ends in its own way.
    let execution = sandbox().run(&kernel, Attempt::new(input())).unwrap();
    assert_eq!(numbers(&execution)[..2], [0, status::NO_GPU]);
}
