//! The GPU path through a kernel's eyes. What the device does with a shader is tested where the device is.

use std::sync::OnceLock;

use p2c2r_abi::{gpu, status};
use p2c2r_runtime::{Attempt, HostFault, PathKind, Sandbox, SandboxConfig};
use p2c2r_signing::{Gpu, Manifest, Outcome, TrapCode};

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
fn a_sandbox_with_an_adapter_offers_two_classes() {
    let Some(with) = with_gpu() else { return };
    let classes = with.classes();
    assert_eq!(classes[0], sandbox().classes()[0], "the cpu class does not depend on the adapter");
    assert_eq!(classes[1].1, PathKind::Gpu);
    assert_ne!(classes[0].0, classes[1].0);
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
