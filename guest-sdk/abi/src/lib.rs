//! The contract between a kernel and the sandbox that runs it: import names, signatures, status codes and
//! byte layouts of `p2c2r_v1`. No code, no dependencies; the guest SDK and the host both read it here.
//!
//! Every pointer is a 32-bit offset into the guest's linear memory, every length is in bytes, every integer is
//! little-endian. The host checks `pointer + length` once, in 64-bit arithmetic, and copies. A pointer out of
//! range traps ([`trap::MEMORY`]); every other guest mistake is a negative [`status`].
//!
//! # Imports of module [`IMPORT_MODULE`]
//!
//! | name | signature | meaning |
//! |---|---|---|
//! | `input_len` | `() -> i32` | bytes of the task's input (at most 2^31 - 1) |
//! | `input_read` | `(offset, dst, len) -> i32` | copies input bytes; [`status::RANGE`] past the end |
//! | `output_write` | `(src, len) -> i32` | appends to the output; past the manifest's limit the attempt traps |
//! | `blob_count` | `() -> i32` | number of blobs the task names |
//! | `blob_len` | `(index) -> i64` | bytes of a blob, or a negative status |
//! | `blob_read` | `(index, offset: i64, dst, len) -> i32` | copies blob bytes |
//! | `seed` | `(dst)` | writes [`SEED_BYTES`] bytes, a function of module, input and the task's seed |
//! | `log` | `(level, src, len)` | a UTF-8 line for the author; truncated at the host's limit, never part of a vote |
//! | `charge` | `(units: i64)` | adds work units to the bill; overflow or a negative value traps |
//! | `gpu_caps` | `() -> i32` | bit set of [`gpu`]; fixed by the task's result class, never by the adapter |
//! | `buf_create` | `(bytes: i64) -> i32` | a zeroed GPU storage buffer; handle > 0 or a negative status |
//! | `buf_write` | `(handle, offset: i64, src, len) -> i32` | host to GPU; offset and len are multiples of 4 |
//! | `buf_read` | `(handle, offset: i64, dst, len) -> i32` | GPU to host; offset and len are multiples of 4 |
//! | `buf_drop` | `(handle) -> i32` | frees the buffer |
//! | `dispatch` | `(name, name_len, x, y, z, bindings, count) -> i32` | runs a shader of the module over x*y*z workgroups |
//!
//! `bindings` points at `count` records of [`BINDING_BYTES`] bytes: `[binding: u32][handle: u32]`, all in group 0.
#![no_std]
#![forbid(unsafe_code)]

/// Version of this contract; a manifest names it and a host that does not know it refuses the kernel.
pub const ABI_VERSION: u32 = 1;

/// The module name all imports live under.
pub const IMPORT_MODULE: &str = "p2c2r_v1";

/// Export the host calls, `() -> i32`: 0 is success, anything else is the kernel's own failure code.
pub const DEFAULT_ENTRY: &str = "p2c2r_main";

/// Export name of the guest's linear memory.
pub const MEMORY_EXPORT: &str = "memory";

/// Bytes written by `seed`.
pub const SEED_BYTES: usize = 32;

/// Bytes of one binding record given to `dispatch`.
pub const BINDING_BYTES: usize = 8;

/// Names of the imports.
pub mod import {
    /// `() -> i32`
    pub const INPUT_LEN: &str = "input_len";
    /// `(offset: i32, dst: i32, len: i32) -> i32`
    pub const INPUT_READ: &str = "input_read";
    /// `(src: i32, len: i32) -> i32`
    pub const OUTPUT_WRITE: &str = "output_write";
    /// `() -> i32`
    pub const BLOB_COUNT: &str = "blob_count";
    /// `(index: i32) -> i64`
    pub const BLOB_LEN: &str = "blob_len";
    /// `(index: i32, offset: i64, dst: i32, len: i32) -> i32`
    pub const BLOB_READ: &str = "blob_read";
    /// `(dst: i32)`
    pub const SEED: &str = "seed";
    /// `(level: i32, src: i32, len: i32)`
    pub const LOG: &str = "log";
    /// `(units: i64)`
    pub const CHARGE: &str = "charge";
    /// `() -> i32`
    pub const GPU_CAPS: &str = "gpu_caps";
    /// `(bytes: i64) -> i32`
    pub const BUF_CREATE: &str = "buf_create";
    /// `(handle: i32, offset: i64, src: i32, len: i32) -> i32`
    pub const BUF_WRITE: &str = "buf_write";
    /// `(handle: i32, offset: i64, dst: i32, len: i32) -> i32`
    pub const BUF_READ: &str = "buf_read";
    /// `(handle: i32) -> i32`
    pub const BUF_DROP: &str = "buf_drop";
    /// `(name: i32, name_len: i32, x: i32, y: i32, z: i32, bindings: i32, count: i32) -> i32`
    pub const DISPATCH: &str = "dispatch";

    /// Every import with its WebAssembly signature. A host that offers another set is not `p2c2r_v1`.
    pub const ALL: [(&str, &str); 15] = [
        (INPUT_LEN, "() -> i32"),
        (INPUT_READ, "(offset: i32, dst: i32, len: i32) -> i32"),
        (OUTPUT_WRITE, "(src: i32, len: i32) -> i32"),
        (BLOB_COUNT, "() -> i32"),
        (BLOB_LEN, "(index: i32) -> i64"),
        (BLOB_READ, "(index: i32, offset: i64, dst: i32, len: i32) -> i32"),
        (SEED, "(dst: i32)"),
        (LOG, "(level: i32, src: i32, len: i32)"),
        (CHARGE, "(units: i64)"),
        (GPU_CAPS, "() -> i32"),
        (BUF_CREATE, "(bytes: i64) -> i32"),
        (BUF_WRITE, "(handle: i32, offset: i64, src: i32, len: i32) -> i32"),
        (BUF_READ, "(handle: i32, offset: i64, dst: i32, len: i32) -> i32"),
        (BUF_DROP, "(handle: i32) -> i32"),
        (DISPATCH, "(name: i32, name_len: i32, x: i32, y: i32, z: i32, bindings: i32, count: i32) -> i32"),
    ];
}

/// Results of imports that can fail. All are functions of the task alone, so every peer returns the same one;
/// what depends on the device or the host ends the attempt instead and the guest never sees it.
pub mod status {
    /// Done.
    pub const OK: i32 = 0;
    /// Offset and length leave the input, blob or buffer.
    pub const RANGE: i32 = -1;
    /// A limit would be passed: of the manifest (buffers, bytes, dispatches, workgroups), or of every peer (128 MiB in a buffer, 65,535
    /// workgroups along an axis).
    pub const LIMIT: i32 = -2;
    /// No such blob or buffer handle, or it was dropped.
    pub const HANDLE: i32 = -3;
    /// The task runs in a class without GPU; see `gpu_caps`.
    pub const NO_GPU: i32 = -4;
    /// The module has no shader of that name.
    pub const NO_SHADER: i32 = -5;
    /// Bindings do not fit the shader, an offset or length is not a multiple of 4, or an exact shader was dispatched
    /// along an axis that its places do not depend on, or over more than 2^26 invocations along several axes.
    pub const INVALID: i32 = -6;
}

/// Bits returned by `gpu_caps`.
pub mod gpu {
    /// Buffers and dispatch are available.
    pub const DISPATCH: i32 = 1;
}

/// Levels of `log`.
pub mod level {
    /// Detail for the author.
    pub const DEBUG: i32 = 0;
    /// Worth knowing.
    pub const INFO: i32 = 1;
    /// Something is off.
    pub const WARN: i32 = 2;
    /// The message of a panic; the trap follows.
    pub const PANIC: i32 = 3;
}

/// Why the host itself ends an attempt with a trap (shown to the author; the vote carries only the code).
pub mod trap {
    /// A pointer and length given to an import leave linear memory.
    pub const MEMORY: &str = "pointer outside linear memory";
    /// The output would pass the manifest's limit.
    pub const OUTPUT: &str = "output over the manifest's limit";
    /// `charge` was negative or overflowed.
    pub const UNITS: &str = "units negative or overflowing";
}
