//! A task finds nothing of the one before it, whose buffers it may have.

use std::time::Instant;

use p2c2r_abi::status;
use p2c2r_runtime::gpu::{GpuAttempt, GpuSession};

use crate::bench::{PATIENCE, ROOMY, adapter, module};

/// Collects what is in fresh memory of every kind, and leaves something in all of it.
const PEEK: &str = "
@group(0) @binding(0) var<storage, read_write> found: array<u32>;
@group(0) @binding(1) var<storage, read_write> secret: array<u32>;
var<workgroup> block: array<u32, 4096>;
var<private> own: array<u32, 128>;
@compute @workgroup_size(64) fn main(
    @builtin(local_invocation_index) i: u32, @builtin(global_invocation_id) id: vec3<u32>
) {
    var local: array<u32, 128>;
    var seen = secret[id.x] | secret[id.x + 4096u];
    for (var n = 0u; n < 64u; n++) { seen |= block[n * 64u + i]; }
    for (var n = 0u; n < 128u; n++) { seen |= own[n] | local[n]; }
    workgroupBarrier();
    for (var n = 0u; n < 64u; n++) { block[n * 64u + i] = 0xdeadbeefu; }
    for (var n = 0u; n < 128u; n++) { own[n] = 0xdeadbeefu; local[(n + i) % 128u] = 0xdeadbeefu; }
    secret[id.x] = 0xdeadbeefu;
    secret[id.x + 4096u] = 0xdeadbeefu;
    found[id.x * 2u] = seen;
    found[id.x * 2u + 1u] = block[i] & own[i] & local[i] & 1u;
}";

#[test]
fn nothing_of_an_earlier_task_is_left() {
    let Some(gpu) = adapter() else { return };
    let shaders = gpu.prepare(&module(&[("peek", PEEK)])).unwrap();
    for task in 0..7 {
        let mut s = GpuSession::new(gpu, &shaders, &ROOMY, Instant::now() + PATIENCE).unwrap();
        let (found, secret) = (s.buf_create(8 * 4096).unwrap(), s.buf_create(8 * 4096).unwrap());
        assert_eq!(s.dispatch(b"peek", [64, 1, 1], &[(0, found), (1, secret)]), Ok(status::OK));
        let mut bytes = vec![0xaa; 8 * 4096];
        assert_eq!(s.buf_read(found, 0, &mut bytes), Ok(status::OK));
        for pair in bytes.chunks_exact(8) {
            assert_eq!(pair, [0, 0, 0, 0, 1, 0, 0, 0], "task {task} found something, or left nothing");
        }
        // The next one gets the same buffers: with what was read left in them, or written last, or by what still runs.
        match task % 3 {
            0 => {}
            1 => assert_eq!(s.buf_write(found, 0, &bytes), Ok(status::OK)),
            _ => assert_eq!(s.dispatch(b"peek", [64, 1, 1], &[(0, found), (1, secret)]), Ok(status::OK)),
        }
    }
}
