//! Other versions: what is new is skipped, refused or read as `Other`, as the versioning rules say.

use bytes::Bytes;
use p2c2r_protocol::frame::{self, FrameError, Message};
use p2c2r_protocol::message::{ClientToServer, Door, Fault, PeerToServer, Refusal, ServerToClient, Verdict};

fn decode<M: Message>(header: &[u8]) -> Result<M, FrameError> {
    let mut bytes = u32::try_from(header.len()).expect("a short header").to_le_bytes().to_vec();
    bytes.extend_from_slice(header);
    frame::decode(Bytes::from(bytes)).map(|(message, _)| message)
}

#[test]
fn unknown_fields_are_skipped() {
    let message: ClientToServer =
        decode(b"\x81\xa6cancel\x83\xa3why\x92\x01\x81\xa1a\xc4\x02hi\xa6number\x07\xa4when\xcb\0\0\0\0\0\0\0\0")
            .expect("tolerated");
    assert_eq!(message, ClientToServer::Cancel { number: 7 });
}

#[test]
fn order_of_fields_is_free() {
    let refused: Door = decode(b"\x81\xa7refused\x82\xa7message\xa2no\xa4code\xa5funds").expect("decodes");
    assert_eq!(refused, Door::Refused { code: Refusal::Funds, message: "no".to_owned() });
}

#[test]
fn unknown_messages_are_refused_by_name() {
    for header in [&b"\xaafrobnicate"[..], b"\x81\xaafrobnicate\x80", b"\x81\xaafrobnicate\x07"] {
        let error = decode::<ClientToServer>(header).expect_err("unknown");
        assert_eq!(error, FrameError::UnknownMessage { name: "frobnicate".to_owned() });
    }
    let mut long = vec![0x81, 0xd9, 200];
    long.extend([b'n'; 200]);
    long.push(0xc0);
    let error = decode::<ClientToServer>(&long).expect_err("unknown");
    assert_eq!(error, FrameError::UnknownMessage { name: "n".repeat(64) }, "long names are cut");
}

#[test]
fn messages_of_the_other_direction_are_unknown() {
    let error = decode::<ClientToServer>(b"\xa8draining").expect_err("not from a client");
    assert_eq!(error, FrameError::UnknownMessage { name: "draining".to_owned() });
}

#[test]
fn unknown_refusals_and_faults_read_as_other() {
    let refused: Door = decode(b"\x81\xa7refused\x82\xa4code\xaatoo_purple\xa7message\xa0").expect("decodes");
    assert_eq!(refused, Door::Refused { code: Refusal::Other, message: String::new() });
    let fault: PeerToServer = decode(b"\x81\xa5fault\x82\xa6ticket\xc4\x01t\xa5fault\xa5flood").expect("decodes");
    assert_eq!(fault, PeerToServer::Fault { ticket: b"t".to_vec(), fault: Fault::Other });
    let verdict: ServerToClient =
        decode(b"\x81\xactask_verdict\x82\xa6number\x01\xa7verdict\x81\xaaunverified\x81\xa4code\xa6eclips")
            .expect("decodes");
    assert_eq!(
        verdict,
        ServerToClient::TaskVerdict { number: 1, verdict: Verdict::Unverified { code: Refusal::Other } }
    );
}

#[test]
fn an_unknown_value_elsewhere_is_a_bad_message() {
    let error =
        decode::<ServerToClient>(b"\x81\xactask_verdict\x82\xa6number\x01\xa7verdict\xa5maybe").expect_err("bad");
    assert!(matches!(error, FrameError::BadMessage(_)), "{error}");
}
