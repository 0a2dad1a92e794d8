//! What is sent is what arrives, whatever it is.

use bytes::{Bytes, BytesMut};
use p2c2r_protocol::frame::{self, Message};
use p2c2r_protocol::limits;
use proptest::prelude::*;

use crate::strategy;

fn check<M: Message + PartialEq + core::fmt::Debug>(message: &M, payload: &[u8]) {
    let bytes = frame::encode(message, payload).expect("a message within limits encodes");
    let (header_and_all, start) = (bytes.as_ptr() as usize, bytes.len() - payload.len());
    let (decoded, rest) = frame::decode::<M>(bytes).expect("what was encoded decodes");
    assert_eq!(&decoded, message);
    assert_eq!(rest, payload);
    if !payload.is_empty() {
        assert_eq!(rest.as_ptr() as usize, header_and_all + start, "the payload is a slice of the frame");
    }
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..512)
}

proptest! {
    #[test]
    fn knock(message in strategy::knock(), payload in payload()) { check(&message, &payload); }

    #[test]
    fn door(message in strategy::door(), payload in payload()) { check(&message, &payload); }

    #[test]
    fn client_to_server(message in strategy::client_to_server(), payload in payload()) { check(&message, &payload); }

    #[test]
    fn server_to_client(message in strategy::server_to_client(), payload in payload()) { check(&message, &payload); }

    #[test]
    fn peer_to_server(message in strategy::peer_to_server(), payload in payload()) { check(&message, &payload); }

    #[test]
    fn server_to_peer(message in strategy::server_to_peer(), payload in payload()) { check(&message, &payload); }
}

#[test]
fn the_largest_payload_fits_and_one_byte_more_does_not() {
    let message = p2c2r_protocol::message::ClientToServer::CloseSession;
    let largest = vec![7; limits::PAYLOAD_BYTES];
    check(&message, &largest);
    assert!(frame::encode(&message, &largest).expect("encodes").len() <= limits::FRAME_BYTES);
    let error = frame::encode(&message, &vec![7; limits::PAYLOAD_BYTES + 1]).expect_err("over the limit");
    assert_eq!(error.to_string(), "payload of 8388609 bytes is over the limit of 8388608");
}

#[test]
fn a_message_that_may_not_be_sent_leaves_the_buffer_as_it_was() {
    let mut out = BytesMut::from(&b"before"[..]);
    let message = p2c2r_protocol::message::Door::Refused {
        code: p2c2r_protocol::message::Refusal::Limit,
        message: "x".repeat(limits::TEXT_BYTES + 1),
    };
    let error = frame::encode_into(&mut out, &message, b"payload").expect_err("over the limit");
    assert_eq!(error.to_string(), "text of 1025 bytes is over the limit of 1024");
    assert_eq!(Bytes::from(out), "before");
}

#[test]
fn free_text_is_cut_at_whole_characters() {
    assert_eq!(frame::cut("größer", 4), "grö");
    assert_eq!(frame::cut("größer", 3), "gr");
    assert_eq!(frame::cut("größer", 100), "größer");
}
