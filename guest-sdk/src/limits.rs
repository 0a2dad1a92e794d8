//! Bounds of this crate. Input, output, memory, units and GPU use are bounded by the manifest and enforced by the host.

/// Bytes of a failure's message that become output. A message may quote hostile input; this keeps it a message.
pub const MESSAGE_BYTES: usize = 1024;

/// Bytes of one log line the guest sends; the host truncates further.
pub const LOG_LINE_BYTES: usize = 4096;

/// Columns of a plane, and rows of it. Up to here `y * columns + x` fits a word in every row that a dispatch may have, 65,535
/// workgroups of 8 and 8,192 columns being just below 2^32: what the race check of exact shaders asks for. No texture of WebGPU is larger
/// everywhere either (`maxTextureDimension2D`).
pub const PLANE_SIDE: u32 = 8192;

/// Bytes of one GPU buffer, as on every peer.
pub const BUFFER_BYTES: u64 = 128 << 20;

/// Workgroups of a dispatch along one axis, as on every peer.
pub const WORKGROUPS_PER_AXIS: u32 = 65_535;

/// Buffers that a shader may bind, as on every peer.
pub const BINDINGS: usize = 7;
