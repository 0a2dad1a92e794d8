//! Buffers: contents, bounds, handles, limits.

use p2c2r_abi::status;
use p2c2r_runtime::gpu::{GpuAttempt, limits};
use p2c2r_signing::{Digest, manifest};

use crate::bench::{ROOMY, bytes, filled, on_every_backend, session, words};

#[test]
fn what_is_written_is_read() {
    on_every_backend(|gpu| {
        let mut s = session(gpu, ROOMY);
        let buffer = filled(&mut *s, &[1, 2, 3, 4]);
        assert_eq!(s.buf_write(buffer, 8, &bytes(&[30])), Ok(status::OK));
        assert_eq!(words(&mut *s, buffer, 4), [1, 2, 30, 4]);
        let mut part = [0; 8];
        assert_eq!(s.buf_read(buffer, 4, &mut part), Ok(status::OK));
        assert_eq!(part[..], bytes(&[2, 30]));
    });
}

#[test]
fn new_buffers_are_zero_even_after_others_were_not() {
    on_every_backend(|gpu| {
        const WORDS: usize = 1 << 16;
        for _ in 0..3 {
            let mut s = session(gpu, ROOMY);
            let dirty = filled(&mut *s, &vec![u32::MAX; WORDS]);
            assert_eq!(words(&mut *s, dirty, 1), [u32::MAX]);
            assert_eq!(s.buf_drop(dirty), Ok(status::OK));
            let clean = s.buf_create(WORDS as i64 * 4).unwrap();
            assert!(words(&mut *s, clean, WORDS).iter().all(|w| *w == 0));
        }
    });
}

#[test]
fn copies_longer_than_one_part_are_whole() {
    on_every_backend(|gpu| {
        let mut s = session(gpu, ROOMY);
        let long: Vec<u32> =
            (0..(limits::COPY_BYTES as u32 * 2 / 4 + 3)).map(|i| i.wrapping_mul(2_654_435_761)).collect();
        let buffer = filled(&mut *s, &long);
        assert!(words(&mut *s, buffer, long.len()) == long);
    });
}

#[test]
fn offsets_and_lengths_are_checked() {
    on_every_backend(|gpu| {
        let mut s = session(gpu, ROOMY);
        let buffer = filled(&mut *s, &[7; 4]);
        for (offset, len, want) in [
            (0, 16, status::OK),
            (16, 0, status::OK),
            (12, 4, status::OK),
            (0, 20, status::RANGE),
            (16, 4, status::RANGE),
            (i64::MAX - 3, 4, status::RANGE),
            (-4, 4, status::RANGE),
            (i64::MIN, 0, status::RANGE),
            (1, 4, status::INVALID),
            (0, 3, status::INVALID),
        ] {
            let mut data = vec![9; len];
            assert_eq!(s.buf_read(buffer, offset, &mut data), Ok(want), "read {offset}+{len}");
            assert_eq!(data.iter().all(|b| *b == 9), want != status::OK || len == 0, "read {offset}+{len} wrote");
            assert_eq!(s.buf_write(buffer, offset, &bytes(&[7; 8])[..len]), Ok(want), "write {offset}+{len}");
        }
        assert_eq!(words(&mut *s, buffer, 4), [7; 4]);
    });
}

#[test]
fn sizes_must_be_positive_multiples_of_4() {
    on_every_backend(|gpu| {
        let mut s = session(gpu, ROOMY);
        for bytes in [0, -4, i64::MIN, 1, 6] {
            assert_eq!(s.buf_create(bytes), Ok(status::INVALID), "{bytes}");
        }
        for bytes in [limits::BUFFER_BYTES as i64 + 4, i64::MAX - 3] {
            assert_eq!(s.buf_create(bytes), Ok(status::LIMIT), "{bytes}");
        }
    });
}

#[test]
fn every_limit_holds_at_the_bound_and_one_past() {
    on_every_backend(|gpu| {
        let limits = manifest::Gpu { buffers: 2, buffer_bytes: 64, dispatches: 2, workgroups: 6, cpu_path: false };
        let mut s = session(gpu, limits);

        // Bytes: all 64 and not 4 more; dropping gives them back.
        let all = s.buf_create(64).unwrap();
        assert!(all > 0);
        assert_eq!(s.buf_create(4), Ok(status::LIMIT));
        assert_eq!(s.buf_drop(all), Ok(status::OK));
        assert_eq!(s.buf_create(68), Ok(status::LIMIT));

        // Buffers: two and not three.
        let (a, b) = (s.buf_create(4).unwrap(), s.buf_create(4).unwrap());
        assert!(a > 0 && b > 0 && a != b);
        assert_eq!(s.buf_create(4), Ok(status::LIMIT));

        // Workgroups: six in any shape and not seven; a refused dispatch does not count.
        assert_eq!(s.dispatch(b"double", [7, 1, 1], &[(0, a)]), Ok(status::LIMIT));
        assert_eq!(s.dispatch(b"double", [u32::MAX, u32::MAX, u32::MAX], &[(0, a)]), Ok(status::LIMIT));
        assert_eq!(s.dispatch(b"count", [1, 2, 3], &[(0, a)]), Ok(status::OK));
        // Dispatches: two, an empty one counts, and not three.
        assert_eq!(s.dispatch(b"double", [0, 1, 1], &[(0, a)]), Ok(status::OK));
        assert_eq!(s.dispatch(b"double", [1, 1, 1], &[(0, a)]), Ok(status::LIMIT));
    });
}

/// The manifest bounds their product; this is how far a device counts. An empty dispatch is checked like any other.
#[test]
fn workgroups_along_a_dimension_end_even_when_the_manifest_does_not() {
    on_every_backend(|gpu| {
        const MOST: u32 = limits::WORKGROUPS_PER_DIMENSION;
        let mut s = session(gpu, manifest::Gpu { workgroups: u32::MAX, ..ROOMY });
        let buffer = filled(&mut *s, &[0]);
        for (axis, other) in [(0, 1), (1, 2), (2, 0)] {
            for (workgroups, want) in [(MOST, status::OK), (MOST + 1, status::LIMIT), (u32::MAX, status::LIMIT)] {
                let mut groups = [1; 3];
                (groups[axis], groups[other]) = (workgroups, 0);
                assert_eq!(s.dispatch(b"count", groups, &[(0, buffer)]), Ok(want), "{groups:?}");
            }
        }
        assert_eq!(s.dispatch(b"double", [MOST, 1, 1], &[(0, buffer)]), Ok(status::OK));
        assert_eq!(s.dispatch(b"count", [1, MOST, 1], &[(0, buffer)]), Ok(status::OK));
        assert_eq!(words(&mut *s, buffer, 1), [MOST * 64]);
    });
}

#[test]
fn handle_slots_end_even_when_the_manifest_does_not() {
    on_every_backend(|gpu| {
        let mut s = session(gpu, manifest::Gpu { buffers: u32::MAX, ..ROOMY });
        for n in 0..limits::BUFFERS {
            assert!(s.buf_create(4).unwrap() > 0, "{n}");
        }
        assert_eq!(s.buf_create(4), Ok(status::LIMIT));
    });
}

#[test]
fn dropped_and_invented_handles_are_refused_everywhere() {
    on_every_backend(|gpu| {
        let mut s = session(gpu, ROOMY);
        let dropped = filled(&mut *s, &[1]);
        assert_eq!(s.buf_drop(dropped), Ok(status::OK));
        let successor = filled(&mut *s, &[2]);
        assert_ne!(dropped, successor);
        for bad in [dropped, 0, -1, i32::MIN, i32::MAX, successor + 1, successor + 256] {
            assert_eq!(s.buf_write(bad, 0, &[0; 4]), Ok(status::HANDLE), "{bad}");
            assert_eq!(s.buf_read(bad, 0, &mut [0; 4]), Ok(status::HANDLE), "{bad}");
            assert_eq!(s.dispatch(b"double", [1, 1, 1], &[(0, bad)]), Ok(status::HANDLE), "{bad}");
            assert_eq!(s.buf_drop(bad), Ok(status::HANDLE), "{bad}");
        }
        assert_eq!(words(&mut *s, successor, 1), [2]);
    });
}

#[test]
fn handles_of_one_session_mean_nothing_in_another() {
    on_every_backend(|gpu| {
        let (mut one, mut two) = (session(gpu, ROOMY), session(gpu, ROOMY));
        let secret = filled(&mut *one, &[0x5ec3e7]);
        assert_eq!(two.buf_read(secret, 0, &mut [0; 4]), Ok(status::HANDLE));
        // The same number again, with contents of its own.
        let mine = two.buf_create(4).unwrap();
        assert_eq!(mine, secret);
        assert_eq!(words(&mut *two, mine, 1), [0]);
    });
}

#[test]
fn the_trace_is_a_function_of_live_buffers() {
    on_every_backend(|gpu| {
        let root = |s: &mut dyn GpuAttempt| s.trace().unwrap();
        let run = |last: u32| {
            let mut s = session(gpu, ROOMY);
            let a = filled(&mut *s, &[1, 2, 3]);
            let gone = filled(&mut *s, &[last; 5]);
            assert_eq!(s.buf_drop(gone), Ok(status::OK));
            filled(&mut *s, &[last]);
            assert_eq!(s.dispatch(b"double", [1, 1, 1], &[(0, a)]), Ok(status::OK));
            root(&mut *s)
        };
        assert_eq!(run(4), run(4));
        assert_ne!(run(4), run(5));

        // Layout, pinned: handle, length, contents.
        let mut s = session(gpu, ROOMY);
        let a = filled(&mut *s, &[6]);
        let mut want = blake3::Hasher::new_derive_key("P2C2R 2026-11-23 gpu buffers v1");
        want.update(&a.to_le_bytes()).update(&4u64.to_le_bytes()).update(&6u32.to_le_bytes());
        assert_eq!(root(&mut *s), Digest::from_bytes(*want.finalize().as_bytes()));
    });
}
