//! The GPU path: the driver in a process of its own, the guest in another.

use std::path::Path;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use p2c2r_jail::{Jail, JailConfig, JailedKernel};
use p2c2r_runtime::{Attempt, GpuPolicy, PathKind, Sandbox, SandboxConfig};
use p2c2r_signing::{Manifest, Outcome, ResultClass, TrapCode, VerifiedModule, manifest::Gpu};

use crate::kit::{config, manifest, run, with_shaders};

/// Enough for software on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A jail with a GPU, or `None` with a reason said.
fn jail() -> Option<&'static Jail> {
    static JAIL: OnceLock<Jail> = OnceLock::new();
    let jail = JAIL.get_or_init(|| Jail::start(JailConfig { gpu: GpuPolicy::Auto, ..config() }).unwrap());
    let Some(missing) = jail.gpu_missing() else { return Some(jail) };
    assert!(std::env::var_os("P2C2R_REQUIRE_GPU").is_none(), "no gpu: {missing}");
    eprintln!("SKIPPED: no gpu: {missing}");
    None
}

/// Tests that take the GPU worker down keep the others out.
static ALONE: Mutex<()> = Mutex::new(());

/// The jail, alone.
fn alone() -> Option<(&'static Jail, std::sync::MutexGuard<'static, ()>)> {
    let jail = jail()?;
    Some((jail, ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)))
}

/// Copies its input into a buffer, runs the shader that its seed's first byte names over it, and writes what comes back,
/// after the statuses of all calls.
const KERNEL: &str = r#"(module
    (import "p2c2r_v1" "input_len" (func $input_len (result i32)))
    (import "p2c2r_v1" "input_read" (func $input_read (param i32 i32 i32) (result i32)))
    (import "p2c2r_v1" "output_write" (func $output_write (param i32 i32) (result i32)))
    (import "p2c2r_v1" "seed" (func $seed (param i32)))
    (import "p2c2r_v1" "gpu_caps" (func $gpu_caps (result i32)))
    (import "p2c2r_v1" "buf_create" (func $create (param i64) (result i32)))
    (import "p2c2r_v1" "buf_write" (func $write (param i32 i64 i32 i32) (result i32)))
    (import "p2c2r_v1" "buf_read" (func $read (param i32 i64 i32 i32) (result i32)))
    (import "p2c2r_v1" "buf_drop" (func $drop (param i32) (result i32)))
    (import "p2c2r_v1" "dispatch" (func $dispatch (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 200)
    (data (i32.const 0) "double\00\00spin\00\00\00\00unknown\00")
    (global $next (mut i32) (i32.const 1024))
    (func $say (param $status i32)
        (i32.store (global.get $next) (local.get $status))
        (global.set $next (i32.add (global.get $next) (i32.const 4))))
    (func (export "p2c2r_main") (result i32) (local $buffer i32) (local $len i32) (local $name i32)
        (local.set $len (call $input_len))
        (drop (call $input_read (i32.const 0) (i32.const 65536) (local.get $len)))
        (call $seed (i32.const 512))
        (local.set $name (i32.mul (i32.const 8) (i32.load8_u (i32.const 512))))
        (call $say (call $gpu_caps))
        (local.set $buffer (call $create (i64.extend_i32_u (local.get $len))))
        (call $say (local.get $buffer))
        (call $say (call $create (i64.const 3)))
        (call $say (call $write (local.get $buffer) (i64.const 0) (i32.const 65536) (local.get $len)))
        (call $say (call $write (local.get $buffer) (i64.const 4) (i32.const 65536) (local.get $len)))
        (call $say (call $write (i32.const 999) (i64.const 0) (i32.const 65536) (i32.const 4)))
        (call $say (call $write (local.get $buffer) (i64.const 1) (i32.const 65536) (i32.const 4)))
        (call $say (call $write (local.get $buffer) (i64.const 0) (i32.const 65536) (i32.const 0)))
        (i32.store (i32.const 768) (i32.const 0))
        (i32.store (i32.const 772) (local.get $buffer))
        (call $say (call $dispatch (local.get $name)
            (select (i32.const 4) (i32.const 6) (i32.eq (local.get $name) (i32.const 8)))
            (i32.const 1) (i32.const 1) (i32.const 1) (i32.const 768) (i32.const 1)))
        (call $say (call $read (local.get $buffer) (i64.const 0) (i32.const 65536) (local.get $len)))
        (call $say (call $drop (i32.const 999)))
        (drop (call $output_write (i32.const 1024) (i32.sub (global.get $next) (i32.const 1024))))
        (drop (call $output_write (i32.const 65536) (local.get $len)))
        (i32.const 0)))"#;

/// As the seed's first byte names them.
const DOUBLE: u8 = 0;
const SPIN: u8 = 1;
const UNKNOWN: u8 = 2;

pub(crate) fn module() -> VerifiedModule {
    let double = "@group(0) @binding(0) var<storage, read_write> w: array<u32>;
        @compute @workgroup_size(64) fn main(@builtin(local_invocation_id) id: vec3<u32>) {
            for (var i = id.x; i < arrayLength(&w); i += 64u) { w[i] = w[i] * 2u; }
        }";
    let spin = "@group(0) @binding(0) var<storage, read_write> w: array<u32>;
        @compute @workgroup_size(1) fn main() { loop { w[0] = w[0] * 3u + 1u; if w[0] == 0u { break; } } }";
    let shaders = [("double".to_owned(), double.to_owned()), ("spin".to_owned(), spin.to_owned())];
    let gpu = Gpu { buffers: 4, buffer_bytes: 64 << 20, dispatches: 4, workgroups: 64, cpu_path: false };
    with_shaders(KERNEL, &Manifest { gpu: Some(gpu), result_class: ResultClass::Device, ..manifest() }, &shaders)
}

pub(crate) fn attempt(which: u8, words: usize) -> Attempt {
    let input: Vec<u8> = (0..words as u32).flat_map(u32::to_le_bytes).collect();
    let mut seed = [0; 32];
    seed[0] = which;
    Attempt { seed, path: PathKind::Gpu, deadline: PATIENCE, ..Attempt::new(input) }
}

pub(crate) fn doubles(jail: &Jail, kernel: &JailedKernel) {
    let execution = run(jail, kernel, &attempt(DOUBLE, 64)).unwrap();
    assert_eq!(execution.outcome, Outcome::Output, "{:?}", execution.log);
    let (_, doubled) = execution.output.split_at(execution.output.len() - 256);
    let words: Vec<u32> =
        doubled.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect();
    assert_eq!(words, (0..64).map(|word| word * 2).collect::<Vec<u32>>());
}

#[test]
fn two_processes_compute_what_one_does() {
    let Some((jail, _alone)) = alone() else { return };
    let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
    assert_eq!(jail.gpu_info(), sandbox.gpu_info());
    assert_eq!(jail.classes(), sandbox.classes());
    let module = module();
    let (inside, outside) = (jail.load(&module).unwrap(), sandbox.load(&module).unwrap());
    doubles(jail, &inside);
    // The largest crosses the window in more than one piece.
    for (which, words) in [(DOUBLE, 1), (DOUBLE, 5_000), (DOUBLE, 2_000_000), (UNKNOWN, 16), (DOUBLE, 0)] {
        let attempt = attempt(which, words);
        let (in_there, out_here) =
            (run(jail, &inside, &attempt).unwrap(), sandbox.run(&outside, attempt.clone()).unwrap());
        let about = format!("{which} {words}: {:?}", in_there.log);
        assert_eq!(in_there.outcome, out_here.outcome, "{about}");
        assert!(in_there.output == out_here.output, "{about}");
        assert_eq!(in_there.trace_root, out_here.trace_root, "{about}");
    }
}

#[test]
fn a_shader_that_never_ends_is_the_same_vote_in_both() {
    let Some((jail, _alone)) = alone() else { return };
    let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
    let module = module();
    let (inside, outside) = (jail.load(&module).unwrap(), sandbox.load(&module).unwrap());
    for _ in 0..2 {
        let attempt = attempt(SPIN, 1);
        let (in_there, out_here) =
            (run(jail, &inside, &attempt).unwrap(), sandbox.run(&outside, attempt.clone()).unwrap());
        assert_eq!(in_there.outcome, Outcome::Trap(TrapCode::ShaderFuel), "{:?}", in_there.log);
        assert_eq!((in_there.outcome, in_there.trace_root), (out_here.outcome, out_here.trace_root));
        doubles(jail, &inside);
    }
}

/// Writes a number, adds it to a sum, and drops the buffer it was in, for each number below its input; reads once, at the end.
const SUM: &str = r#"(module
    (import "p2c2r_v1" "input_read" (func $input_read (param i32 i32 i32) (result i32)))
    (import "p2c2r_v1" "output_write" (func $output_write (param i32 i32) (result i32)))
    (import "p2c2r_v1" "buf_create" (func $create (param i64) (result i32)))
    (import "p2c2r_v1" "buf_write" (func $write (param i32 i64 i32 i32) (result i32)))
    (import "p2c2r_v1" "buf_read" (func $read (param i32 i64 i32 i32) (result i32)))
    (import "p2c2r_v1" "buf_drop" (func $drop (param i32) (result i32)))
    (import "p2c2r_v1" "dispatch" (func $dispatch (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "sum")
    (func (export "p2c2r_main") (result i32) (local $n i32)
        (drop (call $input_read (i32.const 0) (i32.const 16) (i32.const 4)))
        (i32.store (i32.const 36) (call $create (i64.const 4)))
        (i32.store (i32.const 40) (i32.const 1))
        (loop $next
            ;; As much as goes along with a call, the number first.
            (i32.store (i32.const 1024) (local.get $n))
            (i32.store (i32.const 44) (call $create (i64.const 16384)))
            (if (i32.or (call $write (i32.load (i32.const 44)) (i64.const 0) (i32.const 1024) (i32.const 16384))
                    (i32.or (call $dispatch (i32.const 0) (i32.const 3) (i32.const 1) (i32.const 1) (i32.const 1)
                            (i32.const 32) (i32.const 2))
                        (call $drop (i32.load (i32.const 44)))))
                (then unreachable))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $n) (i32.load (i32.const 16)))))
        (if (call $read (i32.load (i32.const 36)) (i64.const 0) (i32.const 16) (i32.const 4)) (then unreachable))
        (drop (call $output_write (i32.const 16) (i32.const 4)))
        (i32.const 0)))"#;

/// More calls than the line holds, and none is waited for: they are done in their order all the same.
#[test]
fn calls_that_nobody_waits_for_are_all_done_in_order() {
    let Some((jail, _alone)) = alone() else { return };
    let shader = "@group(0) @binding(0) var<storage, read_write> sum: array<u32>;
        @group(0) @binding(1) var<storage, read> number: array<u32>;
        @compute @workgroup_size(1) fn main() { sum[0] = sum[0] * 31u + number[0]; }";
    let gpu = Gpu { buffers: 2, buffer_bytes: 16_388, dispatches: 100, workgroups: 1, cpu_path: false };
    let manifest = Manifest { gpu: Some(gpu), result_class: ResultClass::Device, ..manifest() };
    let kernel = jail.load(&with_shaders(SUM, &manifest, &[("sum".to_owned(), shader.to_owned())])).unwrap();
    let numbers = 100u32;
    let attempt = Attempt { path: PathKind::Gpu, deadline: PATIENCE, ..Attempt::new(numbers.to_le_bytes().to_vec()) };
    let execution = run(jail, &kernel, &attempt).unwrap();
    let want = (0..numbers).fold(0u32, |sum, number| sum.wrapping_mul(31).wrapping_add(number));
    assert_eq!(execution.outcome, Outcome::Output, "{:?}", execution.log);
    assert_eq!(execution.output, want.to_le_bytes());
}

#[test]
fn a_gpu_worker_that_dies_is_replaced() {
    let Some((jail, _alone)) = alone() else { return };
    let kernel = jail.load(&module()).unwrap();
    doubles(jail, &kernel);
    for _ in 0..2 {
        kill_gpu_workers();
        doubles(jail, &kernel);
    }
}

/// Of this test process: the children that run `p2c2r-worker gpu`.
fn kill_gpu_workers() {
    let mut killed = 0;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let read = |what: &str| std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join(what));
        let (Ok(command), Ok(stat)) = (read("cmdline"), read("stat")) else { continue };
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)).unwrap_or_default();
        if command.ends_with("\0gpu\0") && parent == std::process::id().to_string() {
            let pid = rustix::process::Pid::from_raw(pid.cast_signed()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            killed += 1;
        }
    }
    assert_eq!(killed, 1);
}

/// A kernel whose shaders are exact runs in the execute worker, with no GPU process, and gives the vote of an adapter.
#[test]
fn exact_shaders_need_no_gpu_worker() {
    let jail = Jail::start(JailConfig { gpu: GpuPolicy::Off, ..config() }).unwrap();
    let head = "@group(0) @binding(0) var<storage, read_write> w: array<u32>;
        @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>)";
    let double = format!("{head} {{ if id.x < arrayLength(&w) {{ w[id.x] *= 2u; }} }}");
    let spin = format!("{head} {{ loop {{ w[id.x] = w[id.x] * 3u + 1u; if w[id.x] == 0u {{ break; }} }} }}");
    let shaders = [("double".to_owned(), double), ("spin".to_owned(), spin)];
    let gpu = Gpu { buffers: 4, buffer_bytes: 64 << 20, dispatches: 4, workgroups: 64, cpu_path: false };
    let manifest = Manifest { gpu: Some(gpu), result_class: ResultClass::Exact, ..manifest() };
    let module = with_shaders(KERNEL, &manifest, &shaders);
    let inside = jail.load(&module).unwrap();
    let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
    let outside = sandbox.load(&module).unwrap();
    assert!(jail.classes().iter().any(|class| class.1 == PathKind::Exact && sandbox.classes().contains(class)));
    for (which, words) in [(DOUBLE, 64), (DOUBLE, 500_000), (UNKNOWN, 16), (SPIN, 64), (DOUBLE, 1)] {
        let exact = Attempt { path: PathKind::Exact, ..attempt(which, words) };
        let in_there = run(&jail, &inside, &exact).unwrap();
        let want = if which == SPIN { Outcome::Trap(TrapCode::ShaderFuel) } else { Outcome::Output };
        assert_eq!(in_there.outcome, want, "{which} {words}: {:?}", in_there.log);
        for path in [PathKind::Exact, PathKind::Gpu] {
            if path == PathKind::Gpu && sandbox.gpu_missing().is_some() {
                assert!(std::env::var_os("P2C2R_REQUIRE_GPU").is_none(), "no gpu");
                eprintln!("SKIPPED: no gpu");
                continue;
            }
            let out_here = sandbox.run(&outside, Attempt { path, ..exact.clone() }).unwrap();
            assert_eq!(in_there.outcome, out_here.outcome, "{which} {words} {path:?}");
            assert!(in_there.output == out_here.output, "{which} {words} {path:?}");
            assert_eq!(in_there.trace_root, out_here.trace_root, "{which} {words} {path:?}");
        }
    }
}

/// As a referee does: an adapter is there, and exact kernels do not hang on it.
#[test]
fn exact_kernels_can_be_kept_from_the_adapter() {
    let jail = Jail::start(JailConfig { gpu: GpuPolicy::DeviceOnly, ..config() }).unwrap();
    let Some(info) = jail.gpu_info() else {
        return eprintln!("SKIPPED: {}", jail.gpu_missing().unwrap());
    };
    assert!(!info.may_vote_on(ResultClass::Exact) && info.may_vote_on(ResultClass::Device), "{info:?}");
    let said = info.unfit_loops.last().unwrap();
    assert!(said.contains("as configured"), "{said}");
    assert_eq!(jail.classes().len(), 3, "with the adapter's own");
    let sandbox = Sandbox::new(SandboxConfig { gpu: GpuPolicy::DeviceOnly, ..SandboxConfig::default() }).unwrap();
    assert_eq!(sandbox.gpu_info(), Some(info), "the same without a jail");
}
