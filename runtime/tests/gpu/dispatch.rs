//! Dispatches: effects, order, bindings.

use p2c2r_abi::status;
use p2c2r_runtime::gpu::GpuAttempt;

use crate::bench::{ROOMY, adapter, bytes, filled, module, on_every_backend, session, session_of, words};

#[test]
fn a_dispatch_computes() {
    on_every_backend(|gpu| {
        let mut s = session(gpu, ROOMY);
        let numbers: Vec<u32> = (0..1000).collect();
        let buffer = filled(&mut *s, &numbers);
        assert_eq!(s.dispatch(b"double", [16, 1, 1], &[(0, buffer)]), Ok(status::OK));
        let want: Vec<u32> = numbers.iter().map(|n| n * 2).collect();
        assert_eq!(words(&mut *s, buffer, 1000), want);
    });
}

#[test]
fn calls_take_effect_in_order() {
    on_every_backend(|gpu| {
        let mut s = session(gpu, ROOMY);
        let buffer = filled(&mut *s, &[1, 1]);
        assert_eq!(s.dispatch(b"double", [1, 1, 1], &[(0, buffer)]), Ok(status::OK));
        // Lands after the dispatch although nothing waited for that.
        assert_eq!(s.buf_write(buffer, 0, &bytes(&[10])), Ok(status::OK));
        assert_eq!(words(&mut *s, buffer, 2), [10, 2]);
        assert_eq!(s.dispatch(b"double", [1, 1, 1], &[(0, buffer)]), Ok(status::OK));
        assert_eq!(s.dispatch(b"double", [1, 1, 1], &[(0, buffer)]), Ok(status::OK));
        assert_eq!(words(&mut *s, buffer, 2), [40, 8]);
    });
}

#[test]
fn buffers_flow_from_one_shader_to_the_next() {
    on_every_backend(|gpu| {
        let mut s = session(gpu, ROOMY);
        let a = filled(&mut *s, &[1, 2, 3]);
        let b = filled(&mut *s, &[100, 100, 100]);
        for _ in 0..3 {
            assert_eq!(s.dispatch(b"double", [1, 1, 1], &[(0, a)]), Ok(status::OK));
            // Order of the records is free.
            assert_eq!(s.dispatch(b"add", [1, 1, 1], &[(4, b), (0, a)]), Ok(status::OK));
        }
        assert_eq!(words(&mut *s, b, 3), [114, 128, 142]);
        // A buffer dropped right after its last use was still used.
        assert_eq!(s.dispatch(b"add", [1, 1, 1], &[(0, a), (4, b)]), Ok(status::OK));
        assert_eq!(s.buf_drop(a), Ok(status::OK));
        assert_eq!(words(&mut *s, b, 3), [122, 144, 166]);
    });
}

#[test]
fn bindings_must_fit_the_shader() {
    on_every_backend(|gpu| {
        let mut s = session(gpu, ROOMY);
        let (a, b) = (filled(&mut *s, &[1]), filled(&mut *s, &[2]));
        for (name, bindings, want) in [
            (&b"add"[..], vec![(0, a), (4, b)], status::OK),
            (b"add", vec![], status::INVALID),
            (b"add", vec![(0, a)], status::INVALID),
            (b"add", vec![(0, a), (1, b)], status::INVALID),
            (b"add", vec![(0, a), (0, b)], status::INVALID),
            (b"add", vec![(0, a), (4, b), (5, a)], status::INVALID),
            (b"add", vec![(0, a), (u32::MAX, b)], status::INVALID),
            (b"add", vec![(0, a), (4, a)], status::INVALID), // read and written at once
            (b"nowhere", vec![], status::NO_SHADER),
            (b"", vec![], status::NO_SHADER),
            (b"\xff\xfe", vec![], status::NO_SHADER),
        ] {
            assert_eq!(s.dispatch(name, [1, 1, 1], &bindings), Ok(want), "{name:?} {bindings:?}");
        }
        assert_eq!(words(&mut *s, b, 1), [3]);
    });
}

#[test]
fn a_buffer_smaller_than_the_declared_type_does_not_fit() {
    on_every_backend(|gpu| {
        let wgsl = "@group(0) @binding(0) var<storage, read_write> words: array<u32, 8>;
         @compute @workgroup_size(8) fn main(@builtin(global_invocation_id) id: vec3<u32>) { words[id.x] = id.x; }";
        let mut s = session_of(gpu, &[("fixed", wgsl)], ROOMY);
        let (small, right) = (filled(&mut *s, &[9; 7]), filled(&mut *s, &[9; 8]));
        assert_eq!(s.dispatch(b"fixed", [1, 1, 1], &[(0, small)]), Ok(status::INVALID));
        assert_eq!(s.dispatch(b"fixed", [1, 1, 1], &[(0, right)]), Ok(status::OK));
        assert_eq!(words(&mut *s, right, 8), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(words(&mut *s, small, 7), [9; 7]);
    });
}

#[test]
fn an_index_out_of_bounds_stays_inside_its_buffer() {
    let Some(gpu) = adapter() else { return };
    let shaders = gpu
        .prepare(&module(&[(
            "stray",
            "@group(0) @binding(0) var<storage, read> at: array<u32>;
             @group(0) @binding(1) var<storage, read_write> words: array<u32>;
             @compute @workgroup_size(1) fn main() { words[at[0]] = 0xdeadu; words[1] = words[at[0] + 7u]; }",
        )]))
        .unwrap();
    let deadline = std::time::Instant::now() + crate::bench::PATIENCE;
    let mut s = p2c2r_runtime::gpu::GpuSession::new(gpu, &shaders, &ROOMY, deadline).unwrap();
    let before = filled(&mut s, &[0x1111_1111; 64]);
    let target = filled(&mut s, &[7; 4]);
    let after = filled(&mut s, &[0x2222_2222; 64]);
    for index in [4, 64, 1 << 20, 1 << 29, u32::MAX - 8] {
        let at = filled(&mut s, &[index]);
        assert_eq!(s.dispatch(b"stray", [1, 1, 1], &[(0, at), (1, target)]), Ok(status::OK));
        // Not stored, and zero when loaded, on every adapter.
        assert_eq!(words(&mut s, target, 4), [7, 0, 7, 7], "{index}");
        assert_eq!(words(&mut s, before, 64), [0x1111_1111; 64]);
        assert_eq!(words(&mut s, after, 64), [0x2222_2222; 64]);
        assert_eq!(s.buf_drop(at), Ok(status::OK));
    }
}

#[test]
fn sessions_run_side_by_side() {
    on_every_backend(|gpu| {
        std::thread::scope(|scope| {
            for seed in 1..=4u32 {
                scope.spawn(move || {
                    let mut s = session(gpu, ROOMY);
                    let buffer = filled(&mut *s, &[seed; 256]);
                    for _ in 0..20 {
                        assert_eq!(s.dispatch(b"double", [4, 1, 1], &[(0, buffer)]), Ok(status::OK));
                    }
                    assert_eq!(words(&mut *s, buffer, 256), [seed << 20; 256]);
                });
            }
        });
    });
}
