//! The imports of `p2c2r_v1`. Signatures are those of `p2c2r_abi::import`; `u32` is an `i32` in Wasm.
//!
//! What makes these calls sound is the same for all: a pointer and a length come from one live slice, and the host
//! copies exactly that range of linear memory during the call and keeps nothing.
#![expect(unsafe_code, reason = "Wasm imports are foreign functions")]

use p2c2r_abi::{BINDING_BYTES, SEED_BYTES};

mod import {
    #[link(wasm_import_module = "p2c2r_v1")]
    unsafe extern "C" {
        pub(super) safe fn input_len() -> i32;
        pub(super) fn input_read(offset: u32, dst: *mut u8, len: u32) -> i32;
        pub(super) fn output_write(src: *const u8, len: u32) -> i32;
        pub(super) safe fn blob_count() -> i32;
        pub(super) safe fn blob_len(index: u32) -> i64;
        pub(super) fn blob_read(index: u32, offset: u64, dst: *mut u8, len: u32) -> i32;
        pub(super) fn seed(dst: *mut u8);
        pub(super) fn log(level: i32, src: *const u8, len: u32);
        pub(super) safe fn charge(units: i64);
        pub(super) safe fn gpu_caps() -> i32;
        pub(super) safe fn buf_create(bytes: u64) -> i32;
        pub(super) fn buf_write(handle: i32, offset: u64, src: *const u8, len: u32) -> i32;
        pub(super) fn buf_read(handle: i32, offset: u64, dst: *mut u8, len: u32) -> i32;
        pub(super) safe fn buf_drop(handle: i32) -> i32;
        pub(super) fn dispatch(
            name: *const u8,
            name_len: u32,
            x: u32,
            y: u32,
            z: u32,
            bindings: *const u8,
            count: u32,
        ) -> i32;
    }
}

/// A length of something in a 32-bit memory.
fn len32(len: usize) -> u32 {
    len as u32
}

pub(crate) fn input_len() -> usize {
    usize::try_from(import::input_len()).unwrap_or(0)
}

pub(crate) fn input_read(offset: u32, dst: &mut [u8]) -> i32 {
    // SAFETY: pointer and length of one exclusive slice.
    unsafe { import::input_read(offset, dst.as_mut_ptr(), len32(dst.len())) }
}

pub(crate) fn output_write(src: &[u8]) -> i32 {
    // SAFETY: pointer and length of one slice; the host only reads.
    unsafe { import::output_write(src.as_ptr(), len32(src.len())) }
}

pub(crate) fn blob_count() -> u32 {
    u32::try_from(import::blob_count()).unwrap_or(0)
}

pub(crate) fn blob_len(index: u32) -> i64 {
    import::blob_len(index)
}

pub(crate) fn blob_read(index: u32, offset: u64, dst: &mut [u8]) -> i32 {
    // SAFETY: pointer and length of one exclusive slice.
    unsafe { import::blob_read(index, offset, dst.as_mut_ptr(), len32(dst.len())) }
}

pub(crate) fn seed() -> [u8; SEED_BYTES] {
    let mut seed = [0; SEED_BYTES];
    // SAFETY: the host writes SEED_BYTES, the size of this array.
    unsafe { import::seed(seed.as_mut_ptr()) };
    seed
}

pub(crate) fn log(level: i32, line: &str) {
    // SAFETY: pointer and length of one string; the host only reads.
    unsafe { import::log(level, line.as_ptr(), len32(line.len())) }
}

pub(crate) fn charge(units: u64) {
    // Above i64::MAX this is negative, which the host traps on: such a bill is over every limit.
    import::charge(units.cast_signed());
}

pub(crate) fn gpu_caps() -> i32 {
    import::gpu_caps()
}

pub(crate) fn buf_create(bytes: u64) -> i32 {
    import::buf_create(bytes)
}

pub(crate) fn buf_write(handle: i32, offset: u64, src: &[u8]) -> i32 {
    // SAFETY: pointer and length of one slice; the host only reads.
    unsafe { import::buf_write(handle, offset, src.as_ptr(), len32(src.len())) }
}

pub(crate) fn buf_read(handle: i32, offset: u64, dst: &mut [u8]) -> i32 {
    // SAFETY: pointer and length of one exclusive slice.
    unsafe { import::buf_read(handle, offset, dst.as_mut_ptr(), len32(dst.len())) }
}

pub(crate) fn buf_drop(handle: i32) -> i32 {
    import::buf_drop(handle)
}

pub(crate) fn dispatch(shader: &str, workgroups: [u32; 3], bindings: &[[u8; BINDING_BYTES]]) -> i32 {
    let [x, y, z] = workgroups;
    let (name, records) = (shader.as_ptr(), bindings.as_ptr().cast());
    // SAFETY: pointers and lengths of two slices, the second in records of BINDING_BYTES; the host only reads.
    unsafe { import::dispatch(name, len32(shader.len()), x, y, z, records, len32(bindings.len())) }
}
