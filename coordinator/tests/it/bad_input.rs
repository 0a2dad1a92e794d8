//! Every kind of bad input: a clear error that names the value and the bound, and nothing lost.

use std::path::PathBuf;

use p2c2r_coordinator::config::Settings;
use p2c2r_coordinator::{Coordinator, StartError};
use p2c2r_protocol::message::{Basis, ClientToServer, Door, Knock, Refusal, ServerToClient, Verdict, WIRE_VERSION};
use p2c2r_protocol::{Credits, limits};
use p2c2r_signing::{ModuleId, SecretKey};
use tokio::io::AsyncWriteExt;

use crate::raw::Raw;
use crate::world::{Behaviour, RATE, UNITS, World, task};

fn key() -> SecretKey {
    SecretKey::from_seed(&[9; 32])
}

/// The coordinator still serves, and the money of `world`'s client is all there.
async fn nothing_lost(world: &World, deposited: u64) {
    let report = world.report().await;
    assert_eq!(report["ledger_balanced"], true, "{report}");
    assert_eq!(report["deposited_nano_usd"], deposited, "{report}");
    world.client(&SecretKey::generate()).await;
}

#[tokio::test]
async fn wrong_key() {
    let mut world = World::start().await;
    let mut raw = Raw::connect(&world).await;
    raw.hello(&key(), vec![WIRE_VERSION]).await;
    let Door::Challenge { nonce, .. } = raw.receive().await else { panic!("no challenge") };
    let signature = raw.proof(nonce, &SecretKey::from_seed(&[10; 32]));
    raw.send(&Knock::Proof { signature }).await;
    let Door::Refused { code, message } = raw.receive().await else { panic!("let in") };
    assert_eq!(code, Refusal::Authentication);
    assert!(message.contains(&key().public().to_string()), "{message}");
    nothing_lost(&world, 0).await;
    world.stop().await.expect("drains");
}

#[tokio::test]
async fn wrong_protocol_version() {
    let mut world = World::start().await;
    let mut raw = Raw::connect(&world).await;
    raw.hello(&key(), vec![7, 99]).await;
    let Door::Refused { code, message } = raw.receive().await else { panic!("let in") };
    assert_eq!(code, Refusal::Version);
    assert!(message.contains("99") && message.contains(&WIRE_VERSION.to_string()), "{message}");
    world.stop().await.expect("drains");
}

#[tokio::test]
async fn expired_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cert, secret): (PathBuf, PathBuf) = (folder.path().join("old.pem"), folder.path().join("old.key"));
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("params");
    params.not_after = rcgen::date_time_ymd(2021, 3, 4);
    let pair = rcgen::KeyPair::generate().expect("a key");
    std::fs::write(&cert, params.self_signed(&pair).expect("signs").pem()).expect("writes");
    std::fs::write(&secret, pair.serialize_pem()).expect("writes");
    let settings = Settings {
        listen: Some("127.0.0.1:0".parse().expect("an address")),
        data: Some(folder.path().join("data")),
        tls_cert: Some(cert),
        tls_key: Some(secret),
        ..Settings::default()
    };
    let config = settings.finish().expect("good");
    let error = Box::pin(Coordinator::start(&config)).await.err().expect("refused");
    assert!(matches!(error, StartError::Certificate(_)));
    let text = error.to_string();
    assert!(text.contains("old.pem") && text.contains("Mar  4 00:00:00 2021"), "{text}");
    assert!(!folder.path().join("data/listen").exists(), "nothing was announced");
}

#[tokio::test]
async fn unknown_kernel_and_no_session() {
    let mut world = World::start().await;
    let unknown = ModuleId::of(b"nobody registered this");
    let mut client = world.client(&key()).await;
    let answer = client.ask(task(1, unknown), b"x").await;
    assert!(matches!(answer, ServerToClient::TaskRefused { number: 1, code: Refusal::NoSession, .. }), "{answer:?}");
    let mut client = world.paying_client(&key(), 1_000).await;
    let answer = client.ask(task(2, unknown), b"x").await;
    let ServerToClient::TaskRefused { number: 2, code, message } = answer else { panic!("{answer:?}") };
    assert_eq!(code, Refusal::UnknownKernel);
    assert!(message.contains(&unknown.to_string()), "{message}");
    let answer = client.ask(ClientToServer::QueryKernel { module: unknown }, &[]).await;
    assert_eq!(answer, ServerToClient::KernelUnknown { module: unknown });
    nothing_lost(&world, 1_000).await;
    world.stop().await.expect("drains");
}

#[tokio::test]
async fn frames_that_are_none() {
    let mut world = World::start().await;
    let _client = world.paying_client(&key(), 1_000).await;
    let stranger = SecretKey::from_seed(&[11; 32]);
    let check = async |bytes: Vec<u8>, code: u16, text: &str| {
        let mut raw = Raw::enter(&world, &stranger).await;
        raw.send_bytes(bytes).await;
        let (found, reason) = raw.closed().await;
        assert!(found == code && reason.contains(text), "{found} {reason:?}, expected {code} {text:?}");
    };
    check(vec![], 4004, "frame of 0 bytes").await;
    check(vec![0xff; 64], 4005, "header of 4294967295 bytes is over the limit of 16384").await;
    check(vec![200, 0, 0, 0, 0xc0], 4004, "header cut off: 200 bytes announced, 1 there").await;
    check(vec![3, 0, 0, 0, 0x81, 0xa1, b'x'], 4004, "bad MessagePack at header byte 3").await;
    check(b"\x08\0\0\0\xa7explode".to_vec(), 4004, "unknown message \"explode\"").await;
    check(b"\x09\0\0\0\x81\xa6cancel\xc0".to_vec(), 4004, "bad message").await;

    // The largest frame and one byte more, announced (RFC 6455, 5.2): it is refused before a byte of it is read.
    let mut raw = Raw::enter(&world, &stranger).await;
    let announced = (limits::FRAME_BYTES as u64 + 1).to_be_bytes();
    raw.write(&[&[0x82, 0xff][..], &announced, &[0; 4]].concat()).await;
    let (code, reason) = raw.closed().await;
    assert!(code == 4005 && reason.contains("over the limit of 8404996 bytes"), "{code} {reason:?}");
    nothing_lost(&world, 1_000).await;
    world.stop().await.expect("drains");
}

#[tokio::test]
async fn half_a_frame_then_gone() {
    let mut world = World::start().await;
    let module = world.register_kernel().await;
    world.peer(1, Behaviour::Honest).await;
    world.peer(2, Behaviour::Honest).await;
    let mut client = world.paying_client(&key(), 1_000).await;
    // A WebSocket frame (RFC 6455, 5.2) that announces 1,000 masked bytes and brings ten, at every stage of a life.
    let half = [&[0x82, 0xfe, 0x03, 0xe8, 1, 2, 3, 4][..], &[0; 10]].concat();
    let mut tls = Raw::tls(&world).await;
    tls.write_all(b"GET /v1/connect HTTP/1.1\r\nHost: local").await.expect("sent");
    drop(tls);
    let mut before = Raw::connect(&world).await;
    before.write(&half).await;
    drop(before);
    let mut after = Raw::enter(&world, &SecretKey::from_seed(&[12; 32])).await;
    after.write(&half).await;
    drop(after);
    client.submit(task(1, module), b"still here");
    assert!(matches!(client.next().await.0, ServerToClient::TaskResult { number: 1, .. }));
    nothing_lost(&world, 1_000).await;
    world.stop().await.expect("drains");
}

#[tokio::test]
async fn a_peer_that_never_answers() {
    let mut world = World::start().await;
    let module = world.register_kernel().await;
    world.peer(1, Behaviour::Silent).await;
    let mut client = world.paying_client(&key(), 10_000).await;
    world.peer(2, Behaviour::Honest).await;
    world.peer(3, Behaviour::Honest).await;
    for number in 1..=3 {
        let mut one = task(number, module);
        if let ClientToServer::Submit { deadline_ms, .. } = &mut one {
            *deadline_ms = 200;
        }
        client.submit(one, b"anyone?");
        loop {
            match client.next().await.0 {
                ServerToClient::TaskVerdict { number: n, verdict } => {
                    assert_eq!(
                        (n, verdict),
                        (
                            number,
                            Verdict::Confirmed { cost: Credits::from_nano_usd(RATE * UNITS * 2), basis: Basis::Quorum }
                        )
                    );
                    break;
                }
                ServerToClient::TaskResult { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
    nothing_lost(&world, 10_000).await;
    world.stop().await.expect("drains");
}

#[tokio::test]
async fn a_client_out_of_budget() {
    let mut world = World::start().await;
    let module = world.register_kernel().await;
    world.peer(1, Behaviour::Honest).await;
    world.peer(2, Behaviour::Honest).await;
    world.deposit(&key(), 200, "a little").await;
    let mut client = world.client(&key()).await;
    let budget = Credits::from_nano_usd(201);
    let answer = client.ask(ClientToServer::OpenSession { number: 1, budget }, &[]).await;
    let ServerToClient::SessionRefused { code, message } = answer else { panic!("{answer:?}") };
    assert_eq!(code, Refusal::Funds);
    assert!(message.contains("0.000000201") && message.contains("0.000000200"), "{message}");
    client.open_session(2, 200).await;
    // One task reserves 7 * 10 * 2 = 140; a second does not fit.
    client.submit(task(1, module), b"one");
    client.submit(task(2, module), b"two");
    let mut refused = None;
    let mut confirmed = false;
    while refused.is_none() || !confirmed {
        match client.next().await.0 {
            ServerToClient::TaskRefused { number, code, message } => refused = Some((number, code, message)),
            ServerToClient::TaskVerdict { number: 1, verdict: Verdict::Confirmed { .. } } => confirmed = true,
            ServerToClient::TaskResult { number: 1, .. } => {}
            other => panic!("{other:?}"),
        }
    }
    let (number, code, message) = refused.expect("refused");
    assert_eq!((number, code), (2, Refusal::Funds));
    assert!(message.contains("140") || message.contains("0.000000140"), "{message}");
    let closed = client.ask(ClientToServer::CloseSession, &[]).await;
    assert_eq!(closed, ServerToClient::SessionClosed { spent: Credits::from_nano_usd(140) });
    nothing_lost(&world, 200).await;
    world.stop().await.expect("drains");
}

#[tokio::test]
async fn a_full_disk() {
    // Room for the schema and little more.
    let mut world =
        World::with(Settings { store_bytes: Some(150 << 10), drain_ms: Some(50), ..Settings::default() }).await;
    let mut deposited = 0;
    let mut failure = None;
    let account = key().public().account();
    // Each deposit is a commit of its own; sooner or later one does not fit and is not confirmed.
    for number in 0..2_000u64 {
        let (status, text) = world.http_text("GET", "/healthz", None, Vec::new()).await;
        if status != 200 {
            failure = Some(text);
            break;
        }
        let path = format!("/admin/v1/accounts/{account}/deposits");
        let body = serde_json::json!({ "amount_nano_usd": 1, "reference": format!("{number:0>128}") });
        let asked = world.admin("POST", &path, body.to_string().into_bytes());
        match tokio::time::timeout(std::time::Duration::from_secs(1), asked).await {
            Ok((200, _)) => deposited += 1,
            Ok((status, answer)) => assert_eq!(status, 503, "{answer}"),
            Err(_unanswered) => {}
        }
    }
    let failure = failure.expect("150 KiB do not hold 2,000 deposits");
    assert!(failure.contains("full"), "{failure}");
    let (_, metrics) = world.http_text("GET", "/metrics", None, Vec::new()).await;
    assert!(metrics.contains("p2c2r_store_healthy 0"), "{metrics}");
    let error = world.stop().await.expect_err("cannot drain").to_string();
    assert!(error.contains("not durable"), "{error}");

    world.settings.store_bytes = None;
    world.settings.drain_ms = None;
    world.run().await;
    let report = world.report().await;
    assert_eq!(report["ledger_balanced"], true, "{report}");
    let found = report["deposited_nano_usd"].as_u64().expect("a number");
    assert!(found >= deposited, "{deposited} deposits were confirmed, {found} are there");
    world.deposit(&key(), 5, "there is room again").await;
    nothing_lost(&world, found + 5).await;
    world.stop().await.expect("drains");
}
