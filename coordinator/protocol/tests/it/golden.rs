//! Frames byte by byte: what another implementation has to send, and what may never change within a wire version.

use bytes::Bytes;
use p2c2r_protocol::Credits;
use p2c2r_protocol::frame::{self, Message};
use p2c2r_protocol::message::{
    Basis, ClientToServer, Door, Knock, Mode, PeerToServer, Refusal, RightAnswer, Role, ServerToClient, ServerToPeer,
    SettledAttempt, Standing, Verdict,
};
use p2c2r_signing::{AttemptNonce, BlobId, Digest, ModuleId, Outcome, Seal, TraceRoot, TrapCode};

use crate::strategy;

/// `expected` is a list of parts so that a reader can follow it.
fn check<M: Message + PartialEq + core::fmt::Debug>(message: &M, payload: &[u8], expected: &[&[u8]]) {
    let expected = expected.concat();
    let encoded = frame::encode(message, payload).expect("within limits");
    assert_eq!(encoded.escape_ascii().to_string(), expected.escape_ascii().to_string());
    let (decoded, rest) = frame::decode::<M>(Bytes::from(expected)).expect("decodes");
    assert_eq!((&decoded, &rest[..]), (message, payload));
}

#[test]
fn hello() {
    let key = strategy::key(0);
    check(
        &Knock::Hello { versions: vec![2], role: Role::Peer, key, agent: "me/1".to_owned() },
        b"",
        &[
            &[78, 0, 0, 0],
            b"\x81\xa5hello\x84",
            b"\xa8versions\x91\x02",
            b"\xa4role\xa4peer",
            b"\xa3key\xc4\x20",
            key.as_bytes(),
            b"\xa5agent\xa4me/1",
        ],
    );
}

#[test]
fn door_messages() {
    let nonce = Digest::from_bytes([9; 32]);
    check(
        &Door::Challenge { version: 2, nonce },
        b"",
        &[&[61, 0, 0, 0], b"\x81\xa9challenge\x82", b"\xa7version\x02", b"\xa5nonce\xc4\x20", nonce.as_bytes()],
    );
    check(
        &Door::Refused { code: Refusal::UnknownKernel, message: "no".to_owned() },
        b"",
        &[&[41, 0, 0, 0], b"\x81\xa7refused\x82", b"\xa4code\xaeunknown_kernel", b"\xa7message\xa2no"],
    );
}

#[test]
fn messages_without_fields_are_a_text() {
    check(&ClientToServer::CloseSession, b"", &[&[14, 0, 0, 0], b"\xadclose_session"]);
    check(&ServerToPeer::Draining, b"", &[&[9, 0, 0, 0], b"\xa8draining"]);
}

#[test]
fn submit() {
    let (module, blob) = (ModuleId::from_bytes([1; 32]), BlobId::from_bytes([2; 32]));
    check(
        &ClientToServer::Submit {
            number: 300,
            module,
            blobs: vec![blob],
            seed: u64::MAX,
            deadline_ms: 100,
            priority: 5,
            mode: Mode::Provisional,
            replicas: 2,
            max_units: 1 << 32,
        },
        b"input",
        &[
            &[184, 0, 0, 0],
            b"\x81\xa6submit\x89",
            b"\xa6number\xcd\x01\x2c",
            b"\xa6module\xc4\x20",
            module.as_bytes(),
            b"\xa5blobs\x91\xc4\x20",
            blob.as_bytes(),
            b"\xa4seed\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xabdeadline_ms\x64",
            b"\xa8priority\x05",
            b"\xa4mode\xabprovisional",
            b"\xa8replicas\x02",
            b"\xa9max_units\xcf\0\0\0\x01\0\0\0\0",
            b"input",
        ],
    );
}

#[test]
fn result_and_verdict() {
    let (trace_root, seal) = (TraceRoot::from_bytes([3; 32]), Seal::from_bytes([4; 32]));
    check(
        &PeerToServer::Result { ticket: vec![1, 2], outcome: Outcome::Failed(-3), units: 40, trace_root, seal },
        b"output",
        &[
            &[128, 0, 0, 0],
            b"\x81\xa6result\x85",
            b"\xa6ticket\xc4\x02\x01\x02",
            b"\xa7outcome\x81\xa6failed\xfd",
            b"\xa5units\x28",
            b"\xaatrace_root\xc4\x20",
            trace_root.as_bytes(),
            b"\xa4seal\xc4\x20",
            seal.as_bytes(),
            b"output",
        ],
    );
    let verdict = Verdict::Revoked {
        cost: Credits::from_nano_usd(128),
        outcome: Outcome::Trap(TrapCode::GrowLimit),
        units: 7,
        basis: Basis::Referee,
    };
    check(
        &ServerToClient::TaskVerdict { number: 1, verdict },
        b"right",
        &[
            &[94, 0, 0, 0],
            b"\x81\xactask_verdict\x82",
            b"\xa6number\x01",
            b"\xa7verdict\x81\xa7revoked\x84",
            b"\xa4cost\xcc\x80",
            b"\xa7outcome\x81\xa4trap\xaagrow_limit",
            b"\xa5units\x07",
            b"\xa5basis\xa7referee",
            b"right",
        ],
    );
    check(
        &ServerToClient::TaskVerdict {
            number: 1,
            verdict: Verdict::Confirmed { cost: Credits::from_nano_usd(1), basis: Basis::HeldWindow },
        },
        b"",
        &[
            &[67, 0, 0, 0],
            b"\x81\xactask_verdict\x82",
            b"\xa6number\x01",
            b"\xa7verdict\x81\xa9confirmed\x82",
            b"\xa4cost\x01",
            b"\xa5basis\xabheld_window",
        ],
    );
}

#[test]
fn withdrawn() {
    let (number, refund) = (3, Credits::from_nano_usd(7));
    check(
        &ServerToClient::TaskWithdrawn { number, refund, right: None },
        b"",
        &[&[40, 0, 0, 0], b"\x81\xaetask_withdrawn\x83", b"\xa6number\x03", b"\xa6refund\x07", b"\xa5right\xc0"],
    );
    let right = Some(RightAnswer { outcome: Outcome::Output, units: 5 });
    check(
        &ServerToClient::TaskWithdrawn { number, refund: Credits::ZERO, right },
        b"right",
        &[
            &[62, 0, 0, 0],
            b"\x81\xaetask_withdrawn\x83",
            b"\xa6number\x03",
            b"\xa6refund\x00",
            b"\xa5right\x82",
            b"\xa7outcome\xa6output",
            b"\xa5units\x05",
            b"right",
        ],
    );
}

#[test]
fn settled() {
    let (root, nonce) = (Digest::from_bytes([5; 32]), AttemptNonce::from_bytes([6; 16]));
    let entry = SettledAttempt { nonce, standing: Standing::Agreed, earned: Credits::from_nano_usd(75) };
    check(
        &ServerToPeer::Settled { batch: 2, root, entries: vec![entry] },
        b"",
        &[
            &[114, 0, 0, 0],
            b"\x81\xa7settled\x83",
            b"\xa5batch\x02",
            b"\xa4root\xc4\x20",
            root.as_bytes(),
            b"\xa7entries\x91\x83",
            b"\xa5nonce\xc4\x10",
            nonce.as_bytes(),
            b"\xa8standing\xa6agreed",
            b"\xa6earned\x4b",
        ],
    );
}
