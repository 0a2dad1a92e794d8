//! A frame, as each kind of receiver decodes it. Also run by `coordinator/protocol/tests/it/hostile.rs`.

use bytes::Bytes;
use p2c2r_protocol::frame::{self, Message};
use p2c2r_protocol::message::{ClientToServer, Door, Knock, PeerToServer, ServerToClient, ServerToPeer};

/// No bytes panic; a message that was decoded can be encoded, and comes back as it was.
pub(crate) fn check(bytes: &[u8]) {
    round_trip::<Knock>(bytes);
    round_trip::<Door>(bytes);
    round_trip::<ClientToServer>(bytes);
    round_trip::<ServerToClient>(bytes);
    round_trip::<PeerToServer>(bytes);
    round_trip::<ServerToPeer>(bytes);
}

fn round_trip<M: Message>(bytes: &[u8]) {
    let Ok((message, payload)) = frame::decode::<M>(Bytes::copy_from_slice(bytes)) else { return };
    // A header may be spelled more briefly than we write it, so it can grow past its limit.
    let Ok(ours) = frame::encode(&message, &payload) else { return };
    let (again, same) = frame::decode::<M>(ours.clone()).expect("what was encoded decodes");
    // Bytes are compared and not messages: a NaN is not equal to itself.
    assert_eq!(frame::encode(&again, &same).expect("what was encoded before"), ours);
}
