//! Bounds on GPU use that no manifest can raise. Each is the same on every peer, because a status the guest
//! sees ([`p2c2r_abi::status::LIMIT`]) must be.

use std::time::Duration;

/// Bytes of one buffer: WebGPU's guaranteed `maxStorageBufferBindingSize`.
pub const BUFFER_BYTES: u64 = 128 << 20;

/// Live buffers of one attempt; also the number of handle slots.
pub const BUFFERS: usize = 256;

/// Storage buffers one shader may bind: WebGPU's guaranteed `maxStorageBuffersPerShaderStage`, less one that is
/// kept for the host.
pub const BINDINGS: usize = 7;

/// Highest binding index a shader may name.
pub const BINDING_INDEX: u32 = 14;

/// Workgroups along one dimension: WebGPU's guaranteed `maxComputeWorkgroupsPerDimension`.
pub const WORKGROUPS_PER_DIMENSION: u32 = 65_535;

/// Invocations of one workgroup: WebGPU's guaranteed `maxComputeInvocationsPerWorkgroup`.
pub const INVOCATIONS_PER_WORKGROUP: u32 = 256;

/// Workgroup size along z: WebGPU's guaranteed `maxComputeWorkgroupSizeZ`.
pub const WORKGROUP_SIZE_Z: u32 = 64;

/// Bytes of all workgroup variables of a shader: WebGPU's guaranteed `maxComputeWorkgroupStorageSize`.
pub const WORKGROUP_BYTES: u32 = 16 << 10;

/// Bytes of all private variables of a shader, and of all variables of one function: WGSL's own limit
/// (section "Limits"), which naga does not check and drivers answer with a crash.
pub const LOCAL_BYTES: u32 = 8 << 10;

/// Shaders in one module.
pub const SHADERS: usize = 64;

/// Bytes of one shader's text.
pub const SHADER_BYTES: usize = 256 << 10;

/// Expressions in one shader after parsing; bounds what the driver's compiler is given.
pub const SHADER_EXPRESSIONS: usize = 64 << 10;

/// Bytes uploaded or dropped by one attempt before it waits for the device: what wgpu holds in staging memory and
/// in buffers that are dropped but still in use is at most this much, besides the manifest's own limit.
pub const UNSETTLED_BYTES: u64 = 64 << 20;

/// Bytes of one copy between host and device; longer ones are cut.
pub const COPY_BYTES: usize = 8 << 20;

/// Longest single wait inside wgpu; between two of them other threads get at its locks.
pub const WAIT_SLICE: Duration = Duration::from_millis(5);

/// How long a session that ends with work still running waits for it before it gives the device up.
pub const GRACE: Duration = Duration::from_millis(250);

/// Devices given up but not yet released by the driver; past it no device is opened until one is.
pub const ABANDONED_DEVICES: usize = 4;

/// Time for the probe suite, compiling included. Software adapters take about a second.
pub const PROBE: Duration = Duration::from_secs(30);
