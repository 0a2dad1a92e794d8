//! Bounds of one connection, each with its unit and reason. Sizes of frames are in [`p2c2r_protocol::limits`].

use std::time::Duration;

/// Time to resolve the name and open the TCP connection, per address.
pub const TCP_TIMEOUT: Duration = Duration::from_secs(5);

/// Time of the TLS handshake.
pub const TLS_TIMEOUT: Duration = Duration::from_secs(5);

/// Time of the HTTP upgrade.
pub const UPGRADE_TIMEOUT: Duration = Duration::from_secs(5);

/// Time a flush may make no progress before the connection counts as dead: a reader that stopped reading.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Addresses of one name that are tried.
pub const ADDRESSES: usize = 4;

/// Frames waiting in one connection's send queue. A burst of a thousand tasks to one peer fits; more means that the
/// other side does not read.
pub const QUEUE_FRAMES: usize = 4096;

/// Bytes waiting in one connection's send queue: four of the largest frames.
pub const QUEUE_BYTES: usize = 4 * p2c2r_protocol::limits::FRAME_BYTES;

/// Frames taken from the queue for one flush.
pub const BATCH_FRAMES: usize = 256;

/// Bytes collected before they are handed to TLS: four records.
pub const WRITE_BUFFER_BYTES: usize = 64 << 10;

/// Bytes of one frame before the handshake is done; a stranger gets no more memory than this.
pub const HANDSHAKE_FRAME_BYTES: usize = 16 << 10;

/// Wire versions read from a `Hello`.
pub const VERSIONS: usize = 16;

/// Bytes of an agent string kept for logs.
pub const AGENT_BYTES: usize = 128;

/// Bytes of a close reason (RFC 6455, 5.5: a control frame carries 125 bytes, two of them the code).
pub const CLOSE_REASON_BYTES: usize = 123;

/// Shortest idle limit that is believed; a server that says less would close its own connections.
pub const IDLE_MIN: Duration = Duration::from_secs(1);

/// Longest idle limit that is believed.
pub const IDLE_MAX: Duration = Duration::from_secs(600);
