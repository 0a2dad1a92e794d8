//! Who gets in, who does not, and what each is told.

use futures_util::SinkExt;
use p2c2r_protocol::frame;
use p2c2r_protocol::message::{Door, Knock, Refusal, Role, WIRE_VERSION};
use p2c2r_signing::SecretKey;
use p2c2r_transport::{AcceptError, ClientSide, ConnectError, Decline, PeerSide, Phase, connect};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio_tungstenite::tungstenite::Message;

use crate::host::{Host, role};
use crate::raw::{Raw, hello};

/// Runs `visit` against the server half; returns what the server makes of it.
async fn against<F, Fut>(visit: F) -> AcceptError
where
    F: FnOnce(DuplexStream) -> Fut,
    Fut: Future<Output = ()>,
{
    let (outer, inner) = duplex(1 << 16);
    let decide = |_| async { Err(Decline { code: Refusal::Forbidden, message: "account suspended".to_owned() }) };
    let (accepted, ()) = tokio::join!(p2c2r_transport::accept(inner, &[9; 32], decide), visit(outer));
    accepted.unwrap_err()
}

#[tokio::test]
async fn a_client_and_a_peer_come_in() {
    let host = Host::new().await;
    let target = host.target();
    let (outer, inner) = tokio::join!(connect::<ClientSide>(&target), host.accept());
    let inner = inner.unwrap();
    assert_eq!((role(&inner), inner.visitor.key), (Role::Client, target.key().public()));
    assert_eq!(inner.visitor.agent, "test/1");
    assert_eq!(outer.unwrap().0, host.welcome());

    let (outer, inner) = tokio::join!(connect::<PeerSide>(&target), host.accept());
    assert!(outer.is_ok());
    assert_eq!(role(&inner.unwrap()), Role::Peer);
}

#[tokio::test]
async fn a_refusal_reaches_the_other_side_in_words() {
    let host = Host::new().await;
    let target = host.target();
    for (code, temporary) in [(Refusal::Forbidden, false), (Refusal::Unavailable, true)] {
        let decline = Decline { code, message: "account 07 is suspended".to_owned() };
        let (outer, inner) = tokio::join!(connect::<PeerSide>(&target), host.accept_by(|_| Err(decline)));
        assert!(matches!(inner, Err(AcceptError::Declined { .. })));
        let error = outer.unwrap_err();
        assert_eq!(error.is_temporary(), temporary);
        match error {
            ConnectError::Rejected { code: got, message, .. } => {
                assert_eq!((got, message.as_str()), (code, "account 07 is suspended"));
            }
            other => panic!("expected Rejected, got {other:?}"),
        }
    }
}

#[tokio::test]
async fn no_common_version() {
    let error = against(|io| async {
        let mut raw = Raw::new(io).await;
        raw.say(&hello(&SecretKey::generate(), vec![900, 901])).await;
        match raw.hear().await {
            Door::Refused { code: Refusal::Version, message } => assert!(message.contains("[900, 901]"), "{message}"),
            other => panic!("expected a refusal, got {other:?}"),
        }
    })
    .await;
    assert!(matches!(error, AcceptError::Version { .. }), "{error:?}");
}

#[tokio::test]
async fn a_proof_for_another_server_key_or_role_is_no_proof() {
    for (server, proof_role, own_key) in [
        ([8; 32], p2c2r_signing::auth::Role::Peer, true),
        ([9; 32], p2c2r_signing::auth::Role::Client, true),
        ([9; 32], p2c2r_signing::auth::Role::Peer, false),
    ] {
        let error = against(|io| async move {
            let (key, other) = (SecretKey::generate(), SecretKey::generate());
            let mut raw = Raw::new(io).await;
            raw.say(&hello(&key, vec![7, WIRE_VERSION])).await;
            let Door::Challenge { version: WIRE_VERSION, nonce } = raw.hear().await else {
                panic!("expected a challenge")
            };
            let message = p2c2r_signing::Challenge { role: proof_role, nonce, server }.message();
            let signer = if own_key { &key } else { &other };
            raw.say(&Knock::Proof { signature: signer.sign(&message).to_vec() }).await;
            assert!(matches!(raw.hear().await, Door::Refused { code: Refusal::Authentication, .. }));
        })
        .await;
        assert!(matches!(error, AcceptError::Signature { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_bad_order_garbage_and_oversize_are_refused() {
    async fn protocol(frames: Vec<Message>, expected: &str) {
        let error = against(|io| async move {
            let mut raw = Raw::new(io).await;
            for frame in frames {
                raw.0.send(frame).await.unwrap();
            }
            assert!(matches!(raw.hear().await, Door::Refused { code: Refusal::Protocol, .. }));
        })
        .await;
        assert!(matches!(error, AcceptError::Protocol { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let proof = frame::encode(&Knock::Proof { signature: vec![0; 64] }, &[]).unwrap();
    protocol(vec![Message::Binary(proof)], "before the hello").await;
    protocol(vec![Message::Binary(vec![3, 0, 0, 0, 0xc1, 0xc1, 0xc1].into())], "MessagePack").await;
    protocol(vec![Message::Binary(vec![1].into())], "shorter than").await;
    protocol(vec![Message::Text("hello".into())], "text frame").await;
    protocol(vec![Message::Binary(vec![0; (16 << 10) + 1].into())], "frame over 16384 bytes").await;
}

#[tokio::test]
async fn a_visitor_that_leaves_or_breaks_off() {
    let error = against(|io| async move { drop(io) }).await;
    assert!(matches!(error, AcceptError::Lost(_)), "{error:?}");
    let error = against(|mut io| async move {
        // Header of a masked binary frame of 100 bytes, and then only ten of them.
        io.write_all(&[0x82, 0x80 | 100, 1, 2, 3, 4]).await.unwrap();
        io.write_all(&[0; 10]).await.unwrap();
    })
    .await;
    assert!(matches!(error, AcceptError::Lost(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_visitor_that_says_nothing() {
    let error = against(|io| async move {
        let mut raw = Raw::new(io).await;
        assert!(matches!(raw.hear().await, Door::Refused { code: Refusal::Deadline, .. }));
    })
    .await;
    assert!(matches!(error, AcceptError::Timeout { phase: Phase::Handshake, .. }), "{error:?}");
}

#[tokio::test]
async fn nothing_listens_or_it_is_no_coordinator() {
    let host = Host::new().await;
    let target = host.target();
    // A listener that answers in clear text.
    let plain = async {
        let (mut tcp, _) = host.listener.accept().await.unwrap();
        tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        tcp
    };
    let (outer, _tcp) = tokio::join!(connect::<PeerSide>(&target), plain);
    assert!(matches!(outer, Err(ConnectError::Tls { .. })), "{outer:?}");
    drop(host);
    let error = connect::<PeerSide>(&target).await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");
    assert!(error.is_temporary());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_tls() {
    let host = Host::new().await;
    // The system accepts the connection, nobody ever reads it.
    let error = connect::<PeerSide>(&host.target()).await.unwrap_err();
    assert!(matches!(error, ConnectError::Timeout { .. }), "{error:?}");
}
