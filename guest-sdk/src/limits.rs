//! Bounds of this crate. Input, output, memory, units and GPU use are bounded by the manifest and enforced by the host.

/// Bytes of a failure's message that become output. A message may quote hostile input; this keeps it a message.
pub const MESSAGE_BYTES: usize = 1024;

/// Bytes of one log line the guest sends; the host truncates further.
pub const LOG_LINE_BYTES: usize = 4096;
