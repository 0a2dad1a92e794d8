//! What an attempt may do on a GPU, wherever that is.

use p2c2r_signing::Digest;

use super::fault::{GpuFault, GpuStop};

/// Buffers and dispatches of one attempt, freed with it.
///
/// Every operation returns a [`p2c2r_abi::status`] (or a handle) that follows from the task alone, or a
/// [`GpuFault`], after which the attempt is over. Operations take effect in the order they are called.
pub trait GpuAttempt: Send {
    /// `buf_create`: a zeroed buffer of `bytes`, a positive multiple of 4. Its handle, or `INVALID` or `LIMIT`.
    ///
    /// # Errors
    /// [`GpuFault`] when the device is lost or its memory full.
    fn buf_create(&mut self, bytes: i64) -> Result<i32, GpuFault>;

    /// `buf_write`: copies `src` to `offset`. `OK`, `HANDLE`, `INVALID` (not multiples of 4) or `RANGE`.
    ///
    /// # Errors
    /// [`GpuFault`] when the device is lost, its memory full, or the deadline passed.
    fn buf_write(&mut self, handle: i32, offset: i64, src: &[u8]) -> Result<i32, GpuFault>;

    /// `buf_read`: fills `dst` from `offset`, after everything done before. Statuses as for [`Self::buf_write`].
    ///
    /// # Errors
    /// [`GpuStop::Fault`] when the device is lost or the deadline passes first; [`GpuStop::Trap`], if it reads at least a
    /// byte, when an invocation of a dispatch before it ran out of its loop budget; `dst`, which is part of the guest's
    /// final memory, is zero then.
    fn buf_read(&mut self, handle: i32, offset: i64, dst: &mut [u8]) -> Result<i32, GpuStop>;

    /// `buf_drop`: frees the buffer. `OK` or `HANDLE`.
    ///
    /// # Errors
    /// [`GpuFault`] when the device is lost or the deadline passed.
    fn buf_drop(&mut self, handle: i32) -> Result<i32, GpuFault>;

    /// `dispatch`: runs the shader named `name` over `groups` workgroups. `bindings` are pairs of binding index and
    /// handle; they must name exactly the buffers the shader declares, each large enough, and none twice if one use
    /// may write; `groups` must be such that an exact shader is exact ([`p2c2r_shader::Grid`]). `OK`, `NO_SHADER`, `LIMIT`, `HANDLE` or
    /// `INVALID`, checked in this order. A size of 0 runs nothing and counts as a dispatch.
    ///
    /// # Errors
    /// [`GpuFault`] when the device is lost or the deadline passed.
    fn dispatch(&mut self, name: &[u8], groups: [u32; 3], bindings: &[(u32, i32)]) -> Result<i32, GpuFault>;

    /// Why the last call that was refused was, in a sentence for the kernel's author that follows from the task alone. Every refusal
    /// is kept, none is written out before somebody asks.
    fn why_refused(&self) -> Option<String>;

    /// Digest of every live buffer, in order of handle: its handle (4 bytes) and length (8 bytes, little-endian both),
    /// then its contents. Waits for all work first.
    ///
    /// # Errors
    /// [`GpuStop::Fault`] when the device is lost or the deadline passes first; [`GpuStop::Trap`] when any dispatch of the
    /// attempt ran out of its loop budget.
    fn trace(&mut self) -> Result<Digest, GpuStop>;
}
