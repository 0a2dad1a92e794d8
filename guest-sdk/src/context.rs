//! What a kernel may ask of its host besides its input.

use alloc::vec;
use alloc::vec::Vec;

use p2c2r_abi::SEED_BYTES;
use rand_core::SeedableRng;

use crate::blob::{Blob, BlobError};
use crate::gpu::Gpu;
use crate::sys;

/// The random generator of [`Context::rng`]: ChaCha with 8 rounds (`rand_core` 0.10 traits).
pub type Rng = rand_chacha::ChaCha8Rng;

/// One attempt, as the kernel sees it. Everything read through it is a function of the task alone.
#[derive(Debug)]
pub struct Context {
    rng: Option<Rng>,
}

impl Context {
    pub(crate) fn new() -> Self {
        Self { rng: None }
    }

    /// The input bytes. Kernels with a typed input rarely need it.
    #[must_use]
    pub fn input(&self) -> Vec<u8> {
        let mut bytes = vec![0; sys::input_len()];
        // The host answers OK for exactly this range.
        let _ok = sys::input_read(0, &mut bytes);
        bytes
    }

    /// How many blobs the task names.
    #[must_use]
    pub fn blob_count(&self) -> u32 {
        sys::blob_count()
    }

    /// One of the task's blobs, in the order the client named them.
    ///
    /// # Errors
    /// [`BlobError::Missing`] if the task names fewer.
    pub fn blob(&self, index: u32) -> Result<Blob, BlobError> {
        Blob::open(index)
    }

    /// 32 bytes that depend on kernel, input and the seed of the task, and on nothing else.
    #[must_use]
    pub fn seed(&self) -> [u8; SEED_BYTES] {
        sys::seed()
    }

    /// The attempt's generator, stream 0 of its seed. It goes on where the last call left it.
    pub fn rng(&mut self) -> &mut Rng {
        self.rng.get_or_insert_with(|| Rng::from_seed(sys::seed()))
    }

    /// A generator of its own for one item (pixel, agent), so that the order of items does not matter. Stream 0 is
    /// that of [`rng`](Self::rng), `u64::MAX` that of the `getrandom` backend.
    #[must_use]
    pub fn rng_stream(&self, stream: u64) -> Rng {
        let mut rng = Rng::from_seed(sys::seed());
        rng.set_stream(stream);
        rng
    }

    /// Adds work units to the bill, in the unit the manifest names. Part of the vote; past the manifest's limit the
    /// attempt traps. Charge before the work is done, so that a task over its limit stops early.
    pub fn charge(&mut self, units: u64) {
        sys::charge(units);
    }

    /// The GPU, if this task's result class has one. The answer is the same on every peer of the class.
    #[must_use]
    pub fn gpu(&self) -> Option<Gpu> {
        Gpu::of_this_task()
    }
}
