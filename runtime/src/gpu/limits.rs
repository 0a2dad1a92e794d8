//! Bounds on GPU use that no manifest can raise. Each is the same on every peer, because a status the guest
//! sees ([`p2c2r_abi::status::LIMIT`]) must be.

use std::time::Duration;

/// Those on shaders themselves.
pub use p2c2r_shader::limits::{
    BINDING_INDEX, BINDINGS, INVOCATIONS_PER_WORKGROUP, LOCAL_BYTES, LOOP_FUEL, LOOP_ROUNDS, SHADER_BYTES,
    SHADER_EXPRESSIONS, SLICE_BINDING, SLICE_BYTES, TRAP_BINDING, TRAP_GOING, WORKGROUP_BYTES, WORKGROUP_SIZE_Z,
    WORKGROUPS_PER_DIMENSION,
};

/// Bytes of one buffer: WebGPU's guaranteed `maxStorageBufferBindingSize`.
pub const BUFFER_BYTES: u64 = 128 << 20;

// What the analysis of shaders takes for granted.
const _: () = assert!(BUFFER_BYTES == 4 * p2c2r_shader::limits::BUFFER_WORDS as u64);

/// Live buffers of one attempt; also the number of handle slots.
pub const BUFFERS: usize = 256;

/// Bytes uploaded or dropped by one attempt before it waits for the device: what wgpu holds in staging memory and
/// in buffers that are dropped but still in use is at most this much, besides the manifest's own limit.
pub const UNSETTLED_BYTES: u64 = 64 << 20;

/// Bytes of the largest buffer that is kept for another attempt. It is cleared by as many zeros from the host, which go along with
/// what is submitted next; larger ones are made anew, which is little next to what they take to fill.
pub const POOLED_BUFFER_BYTES: usize = 64 << 10;

/// Buffers that are kept between attempts, for a few attempts of the kernels at hand: 4 MiB.
pub const POOLED_BUFFERS: usize = 64;

/// Ways of binding buffers that are kept in an attempt; a kernel has a few shaders, each with its buffers, or two sets in turns.
pub const BIND_GROUPS: usize = 32;

/// Bytes of one copy between host and device; longer ones are cut.
pub const COPY_BYTES: usize = 8 << 20;

/// How long one submission should keep the device. Operating systems reset a device that is busy for longer than their
/// watchdog bears: Windows after 2 s, others later. It is a twentieth of that, so that work which is twenty times as heavy as
/// what was measured before it still passes; and long against the 0.1 ms or so that a submission costs.
pub const SLICE: Duration = Duration::from_millis(100);

/// Workgroups of the first slice of a shader that never ran on this device.
pub const SLICE_FIRST: u64 = 16;

/// How many times as large as the work it was learned from a slice may be.
pub const SLICE_GROWTH: u64 = 8;

/// Longest single wait inside wgpu; between two of them other threads get at its locks, and somebody looks whether the attempt
/// was called off.
pub const WAIT_SLICE: Duration = Duration::from_millis(5);

/// How long a session that ends with work still running waits for it before it gives the device up.
pub const GRACE: Duration = Duration::from_millis(250);

/// Devices given up but not yet released by the driver; past it no device is opened until one is.
pub const ABANDONED_DEVICES: usize = 4;

/// Time for the probe suite, compiling included. Lavapipe takes 0.2 s on an idle machine.
pub const PROBE: Duration = Duration::from_secs(30);

/// Shaders of a module that are named to whoever asks for one that is not there.
pub const NAMED_SHADERS: usize = 8;
