//! Bounds on everything that crosses the wire, each with its unit and reason.

/// Bytes of one frame's MessagePack header. The largest header is a submit with [`BLOBS_PER_TASK`] blobs, under 3 KiB;
/// the rest is room for later versions.
pub const HEADER_BYTES: usize = 16 << 10;

/// Bytes of one frame's payload: an input, an output or a chunk. Larger data travels as blobs.
pub const PAYLOAD_BYTES: usize = 8 << 20;

/// Bytes of one whole frame.
pub const FRAME_BYTES: usize = 4 + HEADER_BYTES + PAYLOAD_BYTES;

/// Bytes of one chunk of a kernel or blob: small enough that a task waits behind at most one.
pub const CHUNK_BYTES: usize = 256 << 10;

/// Bytes of one blob.
pub const BLOB_BYTES: u64 = 256 << 20;

/// Blobs one task may name.
pub const BLOBS_PER_TASK: usize = 64;

/// Replicas a client may ask for.
pub const REPLICAS: u8 = 5;

/// Bytes of any text in a message; longer texts are cut by the sender and refused by the receiver.
pub const TEXT_BYTES: usize = 1024;

/// Classes a peer may announce.
pub const CLASSES_PER_PEER: usize = 8;

/// Attempts a peer may ask to hold at once.
pub const SLOTS_PER_PEER: u16 = 1024;

/// Milliseconds of the longest task deadline.
pub const DEADLINE_MS: u32 = 600_000;

/// Milliseconds from accept to the end of the handshake.
pub const HANDSHAKE_MS: u64 = 10_000;

/// Bytes of the WebSocket read buffer per connection: with tungstenite's default of 128 KiB an idle TLS connection
/// costs 138 KiB, with this 18 KiB (measured).
pub const READ_BUFFER_BYTES: usize = 8 << 10;

/// Versions a connecting side may list.
pub const VERSIONS_PER_HELLO: usize = 16;

/// Attempts in one [`crate::message::ServerToPeer::Settled`]; a larger settlement travels as several messages with the
/// same batch number. One entry is 60 bytes of header, so this is under half of [`HEADER_BYTES`].
pub const SETTLED_PER_MESSAGE: usize = 128;

/// Elements of any array or map in a header, also in fields this version does not know.
pub const ITEMS: usize = 128;

/// Bytes of any binary field in a header: tickets, signatures, identities.
pub const BINARY_BYTES: usize = 2048;

/// Nesting of arrays and maps in a header. The deepest message of this version has 4 levels.
pub const DEPTH: usize = 8;
