//! The frame codec: `[u32 LE header length][MessagePack header][raw payload]`.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits;
use crate::message::{ClientToServer, Door, Knock, PeerToServer, Refusal, ServerToClient, ServerToPeer};
use crate::{scan, variants};

/// Bytes in front of the header.
pub const PREFIX_BYTES: usize = 4;

/// Room reserved for a header when encoding; nearly all fit.
const TYPICAL_HEADER_BYTES: usize = 256;

/// Bytes of an unknown message's name shown in an error.
const SHOWN_NAME_BYTES: usize = 64;

/// Bytes that are not a frame, or a message that may not become one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not even a header length.
    #[error("frame of {bytes} bytes is shorter than its {PREFIX_BYTES}-byte header length")]
    TooShort {
        /// What came.
        bytes: usize,
    },
    /// The header is announced or would be longer than allowed.
    #[error("header of {bytes} bytes is over the limit of {limit}")]
    HeaderTooLong {
        /// Announced or encoded.
        bytes: usize,
        /// [`limits::HEADER_BYTES`].
        limit: usize,
    },
    /// The frame ends inside the header.
    #[error("header cut off: {announced} bytes announced, {present} there")]
    HeaderCut {
        /// By the header length.
        announced: usize,
        /// Behind the header length.
        present: usize,
    },
    /// More bytes behind the header than allowed.
    #[error("payload of {bytes} bytes is over the limit of {limit}")]
    PayloadTooLong {
        /// What came.
        bytes: usize,
        /// [`limits::PAYLOAD_BYTES`].
        limit: usize,
    },
    /// Not MessagePack, or a type this wire does not use.
    #[error("bad MessagePack at header byte {offset}: {what}")]
    BadMessagePack {
        /// Where in the header.
        offset: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// The header goes on after its message.
    #[error("{bytes} bytes of garbage behind the message in the header")]
    TrailingBytes {
        /// How many.
        bytes: usize,
    },
    /// Arrays and maps inside each other.
    #[error("header nests deeper than {limit} levels")]
    TooDeep {
        /// [`limits::DEPTH`].
        limit: usize,
    },
    /// A text field.
    #[error("text of {bytes} bytes is over the limit of {limit}")]
    TextTooLong {
        /// What came.
        bytes: usize,
        /// [`limits::TEXT_BYTES`].
        limit: usize,
    },
    /// A binary field.
    #[error("binary field of {bytes} bytes is over the limit of {limit}")]
    BinaryTooLong {
        /// What came.
        bytes: usize,
        /// [`limits::BINARY_BYTES`].
        limit: usize,
    },
    /// A list.
    #[error("{what}: {items} items are over the limit of {limit}")]
    TooManyItems {
        /// Which list.
        what: &'static str,
        /// What came.
        items: usize,
        /// The list's own limit.
        limit: usize,
    },
    /// Well-formed, but no message of this direction and version.
    #[error("unknown message {name:?}")]
    UnknownMessage {
        /// Its name, cut.
        name: String,
    },
    /// A known message with a field missing or of the wrong type.
    #[error("bad message: {0}")]
    BadMessage(String),
}

impl FrameError {
    /// What the other side is told.
    #[must_use]
    pub const fn refusal(&self) -> Refusal {
        match self {
            Self::HeaderTooLong { .. }
            | Self::PayloadTooLong { .. }
            | Self::TooDeep { .. }
            | Self::TextTooLong { .. }
            | Self::BinaryTooLong { .. }
            | Self::TooManyItems { .. } => Refusal::Limit,
            Self::TooShort { .. }
            | Self::HeaderCut { .. }
            | Self::BadMessagePack { .. }
            | Self::TrailingBytes { .. }
            | Self::UnknownMessage { .. }
            | Self::BadMessage(_) => Refusal::Protocol,
        }
    }
}

/// One of the six enums of [`crate::message`]; sealed, because the wire has no others.
pub trait Message: Serialize + DeserializeOwned + sealed::Sealed {}

mod sealed {
    /// Limits of single fields, tighter than what every header has to keep.
    pub trait Sealed {
        /// # Errors
        /// The first field over its limit.
        fn check(&self) -> Result<(), super::FrameError>;
    }
}

/// One frame. The payload is copied once, behind the header: a WebSocket message is one buffer.
///
/// # Errors
/// A message or payload over a limit; nothing that this version decodes fails to encode.
pub fn encode<M: Message>(message: &M, payload: &[u8]) -> Result<Bytes, FrameError> {
    let mut out = BytesMut::with_capacity(PREFIX_BYTES + TYPICAL_HEADER_BYTES + payload.len());
    encode_into(&mut out, message, payload)?;
    Ok(out.freeze())
}

/// As [`encode`], behind whatever `out` already holds; on an error `out` is as before.
///
/// # Errors
/// As [`encode`].
pub fn encode_into<M: Message>(out: &mut BytesMut, message: &M, payload: &[u8]) -> Result<(), FrameError> {
    check_payload(payload.len())?;
    message.check()?;
    let start = out.len();
    out.put_u32_le(0);
    let result = encode_header(out, start, message);
    match result {
        Ok(()) => out.put_slice(payload),
        Err(_) => out.truncate(start),
    }
    result
}

fn encode_header<M: Message>(out: &mut BytesMut, start: usize, message: &M) -> Result<(), FrameError> {
    let mut serializer = rmp_serde::Serializer::new(out.writer()).with_struct_map();
    message.serialize(&mut serializer).map_err(|e| FrameError::BadMessage(e.to_string()))?;
    let header = out.get(start + PREFIX_BYTES..).unwrap_or_default();
    let bytes = header.len();
    if bytes > limits::HEADER_BYTES {
        return Err(FrameError::HeaderTooLong { bytes, limit: limits::HEADER_BYTES });
    }
    scan::check(header)?;
    let length = u32::try_from(bytes).expect("HEADER_BYTES fits a u32");
    if let Some(prefix) = out.get_mut(start..start + PREFIX_BYTES) {
        prefix.copy_from_slice(&length.to_le_bytes());
    }
    Ok(())
}

/// The message and payload of one frame. The payload is a slice of `frame`: nothing is copied.
///
/// # Errors
/// Whatever is wrong with bytes from a stranger; never panics and never allocates more than the frame's own size.
pub fn decode<M: Message>(mut frame: Bytes) -> Result<(M, Bytes), FrameError> {
    let Some((prefix, rest)) = frame.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(FrameError::TooShort { bytes: frame.len() });
    };
    let announced = usize::try_from(u32::from_le_bytes(*prefix)).unwrap_or(usize::MAX);
    if announced > limits::HEADER_BYTES {
        return Err(FrameError::HeaderTooLong { bytes: announced, limit: limits::HEADER_BYTES });
    }
    if announced > rest.len() {
        return Err(FrameError::HeaderCut { announced, present: rest.len() });
    }
    check_payload(rest.len() - announced)?;
    let payload = frame.split_off(PREFIX_BYTES + announced);
    let header = frame.slice(PREFIX_BYTES..);
    let name = scan::check(&header)?;
    let message: M = rmp_serde::from_slice(&header).map_err(|error| {
        if variants::of::<M>().contains(&name) {
            FrameError::BadMessage(cut(&error.to_string(), limits::TEXT_BYTES))
        } else {
            FrameError::UnknownMessage { name: cut(name, SHOWN_NAME_BYTES) }
        }
    })?;
    message.check()?;
    Ok((message, payload))
}

fn check_payload(bytes: usize) -> Result<(), FrameError> {
    if bytes > limits::PAYLOAD_BYTES {
        return Err(FrameError::PayloadTooLong { bytes, limit: limits::PAYLOAD_BYTES });
    }
    Ok(())
}

fn check_items(what: &'static str, items: usize, limit: usize) -> Result<(), FrameError> {
    if items > limit { Err(FrameError::TooManyItems { what, items, limit }) } else { Ok(()) }
}

/// The longest prefix of at most `bytes` bytes that is whole characters; senders shorten free text with it.
#[must_use]
pub fn cut(text: &str, bytes: usize) -> String {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default().to_owned()
}

macro_rules! message {
    ($name:ident, $this:ident => $check:expr) => {
        impl sealed::Sealed for $name {
            fn check(&self) -> Result<(), FrameError> {
                let $this = self;
                $check
            }
        }
        impl Message for $name {}
    };
}

message!(Knock, this => match this {
    Knock::Hello { versions, .. } => check_items("versions", versions.len(), limits::VERSIONS_PER_HELLO),
    Knock::Proof { .. } => Ok(()),
});
message!(Door, _this => Ok(()));
message!(ClientToServer, this => match this {
    ClientToServer::Submit { blobs, .. } => check_items("blobs", blobs.len(), limits::BLOBS_PER_TASK),
    _ => Ok(()),
});
message!(ServerToClient, _this => Ok(()));
message!(PeerToServer, this => match this {
    PeerToServer::Offer { classes, .. } => check_items("classes", classes.len(), limits::CLASSES_PER_PEER),
    _ => Ok(()),
});
message!(ServerToPeer, this => match this {
    ServerToPeer::Assign { blobs, .. } => check_items("blobs", blobs.len(), limits::BLOBS_PER_TASK),
    ServerToPeer::Settled { entries, .. } => check_items("entries", entries.len(), limits::SETTLED_PER_MESSAGE),
    _ => Ok(()),
});
