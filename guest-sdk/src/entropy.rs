//! The `getrandom` backend: foreign crates that want entropy get the task's seed instead, so they link without an import
//! of their own and behave the same on every peer.
//!
//! Versions 0.3 and 0.4 call `__getrandom_v03_custom` (their `src/backends/custom.rs`), 0.2 calls `__getrandom_custom`
//! (its `src/custom.rs`, feature `custom`).
#![expect(unsafe_code, reason = "getrandom's custom backends are raw symbols")]

use core::num::NonZeroI32;
use core::slice;
use core::sync::atomic::{AtomicU64, Ordering};

use rand_core::{Rng as _, SeedableRng};

use crate::context::Rng;
use crate::sys;

/// Stream of the seed this backend draws from; [`Context::rng`](crate::Context::rng) draws from stream 0.
const STREAM: u64 = u64::MAX;

/// Words drawn so far in this attempt: an attempt is an instance, so this starts at 0.
static WORDS: AtomicU64 = AtomicU64::new(0);

fn fill(bytes: &mut [u8]) {
    let words = bytes.len().div_ceil(4) as u64;
    let at = WORDS.fetch_add(words, Ordering::Relaxed);
    let mut rng = Rng::from_seed(sys::seed());
    rng.set_stream(STREAM);
    rng.set_word_pos(u128::from(at));
    rng.fill_bytes(bytes);
}

/// Backend of `getrandom` 0.3 and 0.4, which declare it to return `Result<(), getrandom::Error>`. Their error is one
/// `NonZeroI32`, so this type has the same layout; a test compares the sizes.
///
/// # Safety
/// `dest` is valid for writes of `len` bytes.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(dest: *mut u8, len: usize) -> Result<(), NonZeroI32> {
    // SAFETY: the caller gives memory valid for writes of `len` bytes; zeroing it first makes every byte initialised.
    unsafe { dest.write_bytes(0, len) };
    // SAFETY: `dest` is valid for `len` bytes, initialised above, and nobody else has it during the call.
    fill(unsafe { slice::from_raw_parts_mut(dest, len) });
    Ok(())
}

/// Backend of `getrandom` 0.2, which declares it to return an error code, 0 for none.
///
/// # Safety
/// `dest` is valid for writes of `len` bytes.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_custom(dest: *mut u8, len: usize) -> u32 {
    // SAFETY: the caller gives memory valid for writes of `len` bytes; zeroing it first makes every byte initialised.
    unsafe { dest.write_bytes(0, len) };
    // SAFETY: `dest` is valid for `len` bytes, initialised above, and nobody else has it during the call.
    fill(unsafe { slice::from_raw_parts_mut(dest, len) });
    0
}
