//! What the machine does wrong ends the attempt and nothing else.

use std::time::{Duration, Instant};

use p2c2r_abi::status;
use p2c2r_runtime::gpu::{Gpu, GpuAttempt, GpuFault, GpuOptions, GpuSession};

use crate::bench::{Backend, PATIENCE, ROOMY, adapter, filled, module, standard, words};

/// Stays within its loop budget and takes long: run over many workgroups it takes lavapipe seconds, whose driver waits for
/// them when the process ends.
const SLOW: &str = "
@group(0) @binding(0) var<storage, read_write> words: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32) {
    for (var n = 0u; n < 50000u; n++) {
        words[i] = words[i] * 1664525u + 1013904223u;
        if words[i] == 0x12345678u && words[0] == 0x9abcdef0u && words[1] == 3u { break; }
    }
}";

#[test]
fn a_slow_shader_ends_at_the_deadline_and_the_next_task_runs() {
    if adapter().is_none() {
        return;
    }
    // An adapter of its own: this test gives up its device.
    let gpu = Gpu::open(GpuOptions::default()).unwrap();
    let shaders = gpu.prepare(&module(&[("slow", SLOW)])).unwrap();
    let patience = Duration::from_millis(200);
    let started = Instant::now();
    let mut s = GpuSession::new(&gpu, &shaders, &ROOMY, started + patience).unwrap();
    let buffer = filled(&mut s, &[1; 64]);
    // Between two slices, or while the last one is waited for.
    let dispatched = s.dispatch(b"slow", [64, 1, 1], &[(0, buffer)]);
    assert!(matches!(dispatched, Ok(status::OK) | Err(GpuFault::Deadline)), "{dispatched:?}");
    assert_eq!(s.buf_read(buffer, 0, &mut [0; 4]), Err(GpuFault::Deadline.into()));
    let waited = started.elapsed();
    assert!(waited >= patience, "{waited:?}");
    // Nothing after it helps.
    assert_eq!(s.buf_create(4), Err(GpuFault::Deadline));
    assert_eq!(s.trace(), Err(GpuFault::Deadline.into()));
    let dropping = Instant::now();
    drop(s);
    assert!(dropping.elapsed() < Duration::from_secs(20), "dropping took {:?}", dropping.elapsed());

    let after = standard(&gpu);
    let mut next = GpuSession::new(&gpu, &after, &ROOMY, Instant::now() + PATIENCE).unwrap();
    let buffer = filled(&mut next, &[21]);
    assert_eq!(next.dispatch(b"double", [1, 1, 1], &[(0, buffer)]), Ok(status::OK));
    assert_eq!(words(&mut next, buffer, 1), [42]);
}

#[test]
fn a_deadline_in_the_past_is_a_fault_at_the_first_call() {
    let Some(gpu) = adapter() else { return };
    let mut s = GpuSession::new(gpu, &standard(gpu), &ROOMY, Instant::now()).unwrap();
    assert_eq!(s.buf_create(4), Err(GpuFault::Deadline));
    assert_eq!(s.dispatch(b"double", [1, 1, 1], &[]), Err(GpuFault::Deadline));
}

#[test]
fn an_attempt_that_ends_early_leaves_the_device_to_the_others() {
    let Some(gpu) = adapter() else { return };
    let mut other = crate::bench::session(Backend::Adapter(gpu), ROOMY);
    let kept = filled(&mut *other, &[5]);
    let mut s = crate::bench::session(Backend::Adapter(gpu), ROOMY);
    let buffer = filled(&mut *s, &[1; 4096]);
    assert_eq!(s.dispatch(b"double", [64, 1, 1], &[(0, buffer)]), Ok(status::OK));
    drop(s);
    assert_eq!(words(&mut *other, kept, 1), [5]);
}
