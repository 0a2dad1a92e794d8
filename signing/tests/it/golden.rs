//! Bytes that other programs, other versions and other machines rely on. A change here is a new version of the format,
//! never an edit of the expected value.

use p2c2r_signing::auth::{Challenge, Role};
use p2c2r_signing::merkle::Tree;
use p2c2r_signing::{
    Ballot, BlobId, ClassId, Digest, InputDigest, ModuleId, Outcome, RevocationDraft, SessionId, TaskId, TicketKey,
    TraceRoot, TrapCode, TrustedKeys, input_digest, verify_module,
};

use crate::samples::{attached, author, hex, manifest, signed, stranger};
use crate::ticket::ticket;

#[track_caller]
fn check(got: impl ToString, want: &str) {
    assert_eq!(got.to_string(), want);
}

#[test]
fn keys() {
    check(
        author().to_pem().as_str(),
        "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\n-----END PRIVATE KEY-----\n",
    );
    check(
        author().public().to_pem(),
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=\n-----END PUBLIC KEY-----\n",
    );
    check(author().public(), "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c");
    check(author().public().account(), "ddab28d0d27cf581b6d1741bfd019dc5");
    check(
        hex(&author().sign(b"message")),
        concat!(
            "9e46ad095242486ab68b0b6664ade0909c98e02de019d98810c448d7e58d4319",
            "c8ae941a474f6ef64ea9dd22106c5c52196e4728f9a3464737bbac84df2fab0a"
        ),
    );
}

#[test]
fn modules() {
    check(
        String::from_utf8(manifest().to_json().unwrap()).unwrap(),
        concat!(
            r#"{"name":"echo","version":"1.2.3","abi":1,"publisher":"Example","profile":"core","entry":"p2c2r_main","#,
            r#""limits":{"memory_bytes":16777216,"input_bytes":1048576,"output_bytes":1048576,"units":4294967296},"#,
            r#""gpu":{"buffers":2,"buffer_bytes":4096,"dispatches":1,"workgroups":64,"cpu_path":false},"#,
            r#""result_class":"exact","vote":"trace","unit":"byte"}"#
        ),
    );
    check(Digest::of(&attached()), "7c25603a0cfc01e6e9449e2c16a6487012340b5b58e63cd75e989033edd1ac00");
    check(
        hex(&signed()[8..140]),
        concat!(
            // custom section of 129 bytes, named `signature`
            "008101097369676e6174757265",
            // specification, content type, hash function
            "010101",
            // one set, 114 bytes
            "0172",
            // one hash
            "01",
            // sha-256 of the sections
            "aec62d27276fb478c0b316f4beb2c5f213d8f14331cb7c7aaf52cb0b46ea7e5b",
            // one signature, 79 bytes
            "014f",
            // key id
            "0c221c8d1f818a2a696a8b0fe7",
            // ed25519, 64 bytes
            "0140",
            // signature
            "e4e1167d1a3a4b05fed3565a4e53ee641be18a0b83152cc6c2373df61f8f68d730a9c3cb608568d8a88e59391e3284910bcad7547bb8bdbccbb9edd21d5a0a0f",
        ),
    );
    check(signed().len(), "698");
    let kernel = verify_module(signed(), &TrustedKeys::from(author().public())).unwrap();
    check(kernel.id(), "9a6b8031b69038944097e08d6a07f8896b1877e7f73450bc38fe2ca1b0d55026");
    check(hex(kernel.content()), "aec62d27276fb478c0b316f4beb2c5f213d8f14331cb7c7aaf52cb0b46ea7e5b");
}

#[test]
fn identities() {
    let session = SessionId::derive(&author().public().account(), 1);
    check(session, "651b1cbab1224eb8b91f3d9957994f1b");
    check(TaskId::derive(&session, 2), "e4659666a78892f77af04b7e6ebc9003");
    check(Digest::of(b"message"), "4bd766dabadb76f246b13b877e09eeca2c5e74a55d3e6828cbaf9edcaa4e055a");
}

fn ballot() -> Ballot {
    Ballot {
        task: TaskId::from_bytes([1; 16]),
        module: ModuleId::from_bytes([2; 32]),
        class: ClassId::from_bytes([3; 32]),
        input: InputDigest::from_bytes([4; 32]),
        outcome: Outcome::Output,
        output: Digest::from_bytes([5; 32]),
        units: 6,
        trace_root: TraceRoot::from_bytes([7; 32]),
    }
}

#[test]
fn votes() {
    check(
        input_digest(b"input", &[BlobId::of(b"blob")], 9),
        "f3fe3f743978ad0efb26e38c8d112386933fc3d8fbfe636f50c8f565afd22eb1",
    );
    let vote = ballot().vote();
    check(vote, "80bc12280d66f22da7570e1f72223cb1aecc8446542c32214d30ae0b05af3999");
    check(
        vote.seal(&author().public(), &ticket().nonce),
        "e9f30dacc625c53cf56241e0f8d7eca295791894fef8d8245596c22e6b756024",
    );
    for (outcome, want) in [
        (Outcome::Output, "0000000000"),
        (Outcome::Failed(-2), "01feffffff"),
        (Outcome::Trap(TrapCode::ShaderFuel), "020c000000"),
        (Outcome::Trap(TrapCode::StackLimit), "020d000000"),
        (Outcome::OutOfFuel, "0300000000"),
        (Outcome::BadAbi, "0400000000"),
    ] {
        check(hex(&outcome.to_bytes()), want);
    }
}

#[test]
fn every_field_changes_the_vote() {
    let base = ballot();
    let votes = [
        base,
        Ballot { task: TaskId::from_bytes([9; 16]), ..base },
        Ballot { module: ModuleId::from_bytes([9; 32]), ..base },
        Ballot { class: ClassId::from_bytes([9; 32]), ..base },
        Ballot { input: InputDigest::from_bytes([9; 32]), ..base },
        Ballot { outcome: Outcome::Failed(0), ..base },
        Ballot { output: Digest::from_bytes([9; 32]), ..base },
        Ballot { units: 9, ..base },
        Ballot { trace_root: TraceRoot::from_bytes([9; 32]), ..base },
    ]
    .map(|b| b.vote());
    for (i, a) in votes.iter().enumerate() {
        assert!(votes[i + 1..].iter().all(|b| a != b), "ballot {i}");
    }
    let nonce = ticket().nonce;
    assert_ne!(votes[0].seal(&author().public(), &nonce), votes[0].seal(&stranger().public(), &nonce));
    assert_ne!(votes[0].seal(&author().public(), &nonce), votes[1].seal(&author().public(), &nonce));
}

#[test]
fn input_digests_have_no_two_readings() {
    let blob = BlobId::of(b"blob");
    let base = input_digest(b"input", &[blob], 9);
    let swallowed = [&5u64.to_le_bytes()[..], b"input"].concat();
    for other in [
        input_digest(b"input", &[], 9),
        input_digest(b"input", &[blob, blob], 9),
        input_digest(b"input", &[blob], 8),
        input_digest(b"inpu", &[blob], 9),
        input_digest(&[blob.as_bytes(), &swallowed[..]].concat(), &[], 9),
    ] {
        assert_ne!(base, other);
    }
}

#[test]
fn tickets() {
    check(
        hex(&ticket().seal(&TicketKey::from_bytes(&[12; 32]))),
        concat!(
            // version
            "03",
            // session 01.., under its pad
            "8b4b616d089e903d6c433bc80e9c50ec",
            // task
            "02020202020202020202020202020202",
            // peer
            "ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1",
            // nonce
            "04040404040404040404040404040404",
            // module
            "0505050505050505050505050505050505050505050505050505050505050505",
            // class
            "0606060606060606060606060606060606060606060606060606060606060606",
            // input digest
            "0707070707070707070707070707070707070707070707070707070707070707",
            // plan 2 + 16 * 1, under its pad
            "20",
            // number 8, under its pad
            "2efba6dcc4eb6650",
            // rate
            "0900000000000000",
            // max units
            "0a00000000000000",
            // issued
            "0b00000000000000",
            // mac
            "ea89e9ec14bf6ae6b8b00466894bfae714633f1729592a3dab11453d5862666f",
        ),
    );
}

#[test]
fn challenges() {
    let challenge = Challenge { role: Role::Peer, nonce: Digest::from_bytes([1; 32]), server: [2; 32] };
    check(
        hex(&challenge.message()),
        concat!(
            // P2C2R 2026-11-22 challenge v1
            "503243325220323032362d31312d3232206368616c6c656e6765207631",
            // role
            "02",
            // nonce
            "0101010101010101010101010101010101010101010101010101010101010101",
            // server
            "0202020202020202020202020202020202020202020202020202020202020202",
        ),
    );
    let client = Challenge { role: Role::Client, ..challenge };
    assert_ne!(client.message(), challenge.message());
}

#[test]
fn merkle_roots() {
    check(Tree::new([b""; 0]).root(), "f44e849039298424269ee782ab9885b82834d4e3575490797a541915610bc50e");
    check(Tree::new([b"a"]).root(), "6e2e0560d56190dbee497784acba25b236e97b87c3b4bc24759a8b8d63480fee");
    check(Tree::new([b"a", b"b", b"c"]).root(), "782865abdb3de536557b421392e4674da0a4614c3c40c333f3a207daf03ba407");
}

#[test]
fn revocations() {
    let draft =
        RevocationDraft { version: 1, issued_ms: 2, keys: [author().public()].into(), contents: [[3; 32]].into() };
    check(
        hex(&draft.sign(&stranger()).unwrap()),
        concat!(
            // P2C2R 2026-11-22 revocations v1
            "503243325220323032362d31312d3232207265766f636174696f6e73207631",
            // version
            "0100000000000000",
            // issued
            "0200000000000000",
            // keys
            "01000000",
            // key
            "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c",
            // contents
            "01000000",
            // content
            "0303030303030303030303030303030303030303030303030303030303030303",
            // signature
            "bec35bf6c6f1f2baf0abff8a8f24aaa23da860fdf7caa27a99c05678cb69483663e0abe92929ae4c08eb8ff014e05ef1b0da8aec61d7ba859dfdf137549f4102",
        ),
    );
}
