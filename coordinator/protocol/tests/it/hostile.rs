//! Bytes from a stranger: an error that says what and which bound, never a panic, never a big allocation.

use bytes::Bytes;
use p2c2r_protocol::frame::{self, FrameError};
use p2c2r_protocol::message::{
    ClientToServer, Knock, Mode, OfferedClass, Path, PeerToServer, Refusal, Role, ServerToPeer,
};
use p2c2r_protocol::{Credits, limits};
use p2c2r_signing::{BlobId, ClassId, ModuleId};
use proptest::prelude::*;

use crate::{frame_body, strategy};

fn with_header(header: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(header.len()).expect("a short header").to_le_bytes().to_vec();
    frame.extend_from_slice(header);
    frame
}

fn frames() -> impl Strategy<Value = Bytes> {
    fn encoded<M: frame::Message>(message: M) -> Bytes {
        frame::encode(&message, b"payload").expect("within limits")
    }
    prop_oneof![
        strategy::knock().prop_map(encoded),
        strategy::door().prop_map(encoded),
        strategy::client_to_server().prop_map(encoded),
        strategy::server_to_client().prop_map(encoded),
        strategy::peer_to_server().prop_map(encoded),
        strategy::server_to_peer().prop_map(encoded),
    ]
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        frame_body::check(&bytes);
        frame_body::check(&with_header(&bytes));
    }

    #[test]
    fn mutated_frames_never_panic(
        frame in frames(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = frame.to_vec();
        for (index, value) in changes {
            *index.get_mut(&mut bytes) = value;
        }
        frame_body::check(&bytes);
    }

    #[test]
    fn a_frame_cut_in_its_header_is_refused(frame in frames(), at in any::<prop::sample::Index>()) {
        let header_end = 4 + u32::from_le_bytes(frame[..4].try_into().expect("4 bytes")) as usize;
        let cut = frame.slice(..at.index(header_end));
        let error = frame::decode::<ServerToPeer>(cut).expect_err("half a frame is no frame");
        prop_assert!(matches!(error, FrameError::TooShort { .. } | FrameError::HeaderCut { .. }), "{error}");
    }
}

fn check_refused(frame: &[u8], code: Refusal, expected: &str) {
    let error = frame::decode::<ClientToServer>(Bytes::copy_from_slice(frame)).expect_err("must be refused");
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.refusal(), code);
}

#[test]
fn each_fault_names_the_value_and_the_bound() {
    check_refused(&[], Refusal::Protocol, "frame of 0 bytes is shorter than its 4-byte header length");
    check_refused(&[1, 0, 0], Refusal::Protocol, "frame of 3 bytes is shorter than its 4-byte header length");
    check_refused(&[0xff; 4], Refusal::Limit, "header of 4294967295 bytes is over the limit of 16384");
    check_refused(&[9, 0, 0, 0, 1], Refusal::Protocol, "header cut off: 9 bytes announced, 1 there");
    check_refused(
        &with_header(&[]),
        Refusal::Protocol,
        "bad MessagePack at header byte 0: the header ends inside a value",
    );
    check_refused(&with_header(b"\xa5dance"), Refusal::Protocol, "unknown message \"dance\"");
    check_refused(&with_header(b"\x81\xa6submit\x80"), Refusal::Protocol, "bad message: missing field `number`");
    check_refused(
        &with_header(b"\x81\xa6cancel\x81\xa6number\xa1x"),
        Refusal::Protocol,
        "bad message: wrong msgpack marker FixStr(1)",
    );
    check_refused(
        &with_header(b"\xadclose_session\xc0"),
        Refusal::Protocol,
        "1 bytes of garbage behind the message in the header",
    );
    let mut oversized = with_header(b"\xadclose_session");
    oversized.resize(oversized.len() + limits::PAYLOAD_BYTES + 1, 0);
    check_refused(&oversized, Refusal::Limit, "payload of 8388609 bytes is over the limit of 8388608");
}

#[test]
fn lists_have_limits_of_their_own_in_both_directions() {
    fn check<M: frame::Message>(message: &M, expected: &str) {
        assert_eq!(frame::encode(message, b"").expect_err("over the limit").to_string(), expected);
        let header = rmp_serde::to_vec_named(message).expect("serializes");
        let error = frame::decode::<M>(with_header(&header).into()).err().expect("over the limit");
        assert_eq!(error.to_string(), expected);
    }
    check(
        &Knock::Hello { versions: vec![1; 17], role: Role::Client, key: strategy::key(0), agent: String::new() },
        "versions: 17 items are over the limit of 16",
    );
    let submit = ClientToServer::Submit {
        number: 1,
        module: ModuleId::of(b""),
        blobs: vec![BlobId::of(b""); 65],
        seed: 0,
        deadline_ms: 0,
        priority: 0,
        mode: Mode::Confirmed,
        replicas: 1,
        max_units: 1,
    };
    check(&submit, "blobs: 65 items are over the limit of 64");
    let class = OfferedClass { class: ClassId::from_bytes([0; 32]), path: Path::Cpu };
    check(
        &PeerToServer::Offer { slots: 1, classes: vec![class; 9], speed: 1 },
        "classes: 9 items are over the limit of 8",
    );
}

#[test]
fn every_header_within_its_own_limits_fits_the_header_limit() {
    let largest = ClientToServer::Submit {
        number: u64::MAX,
        module: ModuleId::of(b""),
        blobs: vec![BlobId::of(b""); limits::BLOBS_PER_TASK],
        seed: u64::MAX,
        deadline_ms: u32::MAX,
        priority: u8::MAX,
        mode: Mode::Provisional,
        replicas: u8::MAX,
        max_units: u64::MAX,
    };
    frame::encode(&largest, b"").expect("fits");
    let entry = p2c2r_protocol::message::SettledAttempt {
        nonce: p2c2r_signing::AttemptNonce::from_bytes([1; 16]),
        standing: p2c2r_protocol::message::Standing::Outvoted,
        earned: Credits::from_nano_usd(u64::MAX),
    };
    let settled = ServerToPeer::Settled {
        batch: u64::MAX,
        root: p2c2r_signing::Digest::of(b""),
        entries: vec![entry; limits::SETTLED_PER_MESSAGE],
    };
    frame::encode(&settled, b"").expect("fits");
}
