//! An open connection: order, batching, bounds, silence and endings.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use p2c2r_protocol::limits::PAYLOAD_BYTES;
use p2c2r_protocol::message::{ClientToServer, PeerToServer, ServerToClient, ServerToPeer};
use p2c2r_signing::{AccountId, SecretKey};
use p2c2r_transport::{ClientSide, PeerSide, Receiver, RecvError, SendError, Sender, Welcome, connect};
use tokio::io::duplex;
use tokio_tungstenite::tungstenite::Message;

use crate::host::{Host, ToClient, ToPeer};
use crate::raw::Raw;

async fn client_pair(
    host: &Host,
) -> (Sender<ClientToServer>, Receiver<ServerToClient>, ToClient, Receiver<ClientToServer>) {
    let target = host.target();
    let (outer, inner) = tokio::join!(connect::<ClientSide>(&target), host.accept());
    let (_, sender, receiver) = outer.unwrap();
    let (to, from) = inner.unwrap().open();
    (sender, receiver, to, from)
}

#[tokio::test]
async fn ten_thousand_messages_arrive_in_order_with_their_payloads() {
    let host = Host::new().await;
    let (sender, _receiver, _to, mut from) = client_pair(&host).await;
    let produce = async {
        for number in 0..10_000u64 {
            while let Err(SendError::Full { .. }) =
                sender.send(&ClientToServer::Cancel { number }, &number.to_le_bytes())
            {
                sender.drained().await;
            }
        }
        sender.drained().await;
    };
    let consume = async {
        for number in 0..10_000u64 {
            let (message, payload) = from.next().await.unwrap();
            assert_eq!(message, ClientToServer::Cancel { number });
            assert_eq!(payload, number.to_le_bytes()[..]);
        }
    };
    tokio::join!(produce, consume);
}

#[tokio::test]
async fn the_largest_payload_passes_and_one_byte_more_does_not() {
    let host = Host::new().await;
    let (sender, mut receiver, to, mut from) = client_pair(&host).await;
    let payload = Bytes::from(vec![0xa5; PAYLOAD_BYTES]);
    sender.send(&ClientToServer::CloseSession, &payload).unwrap();
    assert_eq!(from.next().await.unwrap().1, payload);
    to.send(&ServerToClient::Draining, &payload).unwrap();
    assert_eq!(receiver.next().await.unwrap().1, payload);
    let larger = vec![0; PAYLOAD_BYTES + 1];
    assert!(matches!(sender.send(&ClientToServer::CloseSession, &larger), Err(SendError::Frame(_))));
}

#[tokio::test]
async fn a_queue_nobody_reads_fills_up_and_says_so() {
    let host = Host::new().await;
    let (sender, _receiver, _to, _from) = client_pair(&host).await;
    let payload = vec![0; PAYLOAD_BYTES];
    // The server's end is never polled: the socket's buffers fill, then the queue.
    let error = loop {
        match sender.send(&ClientToServer::CloseSession, &payload) {
            Ok(()) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SendError::Full { .. }), "{error:?}");
}

#[tokio::test]
async fn a_close_carries_its_reason_and_what_was_sent_before_it() {
    let host = Host::new().await;
    let target = host.target();
    let (outer, inner) = tokio::join!(connect::<PeerSide>(&target), host.accept());
    let (_, sender, mut receiver) = outer.unwrap();
    let (to, _from): (ToPeer, Receiver<PeerToServer>) = inner.unwrap().open();
    to.send(&ServerToPeer::Draining, &[]).unwrap();
    to.close(4001, &"offered 9 classes, the limit is 8; ".repeat(20));
    assert_eq!(receiver.next().await.unwrap().0, ServerToPeer::Draining);
    match receiver.next().await.unwrap_err() {
        RecvError::Closed { reason } => assert!(reason.starts_with("offered 9 classes") && reason.len() <= 123),
        other => panic!("expected Closed, got {other:?}"),
    }
    drop(receiver);
    sender.drained().await;
}

#[tokio::test]
async fn dropping_the_sender_ends_the_other_side() {
    let host = Host::new().await;
    let (sender, receiver, to, mut from) = client_pair(&host).await;
    sender.send(&ClientToServer::Cancel { number: 3 }, &[]).unwrap();
    drop((sender, receiver));
    assert_eq!(from.next().await.unwrap().0, ClientToServer::Cancel { number: 3 });
    assert!(from.next().await.is_err());
    drop(from);
    // The writer notices at its next write.
    while !to.is_closed() {
        let _ = to.send(&ServerToClient::Draining, &[]);
        tokio::task::yield_now().await;
    }
    assert!(matches!(to.send(&ServerToClient::Draining, &[]), Err(SendError::Closed)));
}

/// A visitor on a pipe, and the receiver of the coordinator's end; no system sockets, so that time is the test's own.
async fn piped() -> (Raw, ToPeer, Receiver<PeerToServer>) {
    let (outer, inner) = duplex(1 << 16);
    let operator = SecretKey::generate().public();
    let idle = Duration::from_secs(30);
    let welcome = Welcome { account: AccountId::from_bytes([7; 16]), operator, idle };
    let mut raw = Raw::new(outer).await;
    let decide = |_| async move { Ok(welcome) };
    let (admitted, ()) = tokio::join!(p2c2r_transport::accept(inner, &[9; 32], decide), raw.come_in([9; 32]));
    let (to, from) = admitted.unwrap().open();
    (raw, to, from)
}

#[tokio::test(start_paused = true)]
async fn pings_keep_a_quiet_connection() {
    let (mut raw, _to, mut from) = piped().await;
    let quiet = tokio::time::timeout(Duration::from_secs(300), async {
        tokio::select! {
            ended = from.next() => panic!("{ended:?}"),
            // Polling the visitor's end answers the pings.
            () = async { while let Some(Ok(_)) = raw.0.next().await {} } => panic!("visitor ended"),
        }
    });
    assert!(quiet.await.is_err(), "ten idle limits went by");
}

#[tokio::test(start_paused = true)]
async fn silence_is_noticed() {
    let (raw, _to, mut from) = piped().await;
    assert!(matches!(from.next().await, Err(RecvError::Idle(idle)) if idle == Duration::from_secs(30)));
    drop(raw);
}

#[tokio::test]
async fn a_bad_frame_ends_the_connection_with_the_reason() {
    async fn check(frame: Message, expected: &str) {
        let (mut raw, to, mut from) = piped().await;
        // The largest refused frame does not fit the pipe: sending it and reading it go side by side.
        let (_, received) = tokio::join!(raw.0.send(frame), async {
            let received = from.next().await;
            drop((to, from));
            received
        });
        let error = received.unwrap_err();
        assert!(error.to_string().contains(expected), "{error:?}");
    }
    check(Message::Text("{}".into()), "text frame").await;
    check(Message::Binary(vec![0xff; 64].into()), "bad frame").await;
    check(Message::Binary(vec![0; p2c2r_protocol::limits::FRAME_BYTES + 1].into()), "over the limit").await;
}
