//! With a network: answers, verdicts, blobs, lost connections.

use std::time::Duration;

use bytes::BytesMut;
use p2c2r_client::{Credits, Event, Failure, LocalPolicy, Network, Provenance, Refusal, Task};
use p2c2r_protocol::limits::CHUNK_BYTES;
use p2c2r_protocol::message::{Basis, ClientToServer, ServerToClient, Verdict};
use p2c2r_signing::Outcome;

use crate::coordinator::Coordinator;
use crate::{LIMIT, echo, next};

const ONE_THREAD: LocalPolicy = LocalPolicy::Threads { threads: 1, gpu: false };

/// Far from any hedge.
const PATIENT: Duration = Duration::from_secs(600);

#[test]
fn an_answer_and_its_verdict() {
    let coordinator = Coordinator::new();
    let client = coordinator.client(LocalPolicy::Off);
    let (mut conn, _) = coordinator.accept_ready(&client);
    let kernel = echo(&client);
    let handle = client.submit(Task::new(&kernel, &b"in"[..]).deadline(PATIENT)).unwrap();
    let (number, input) = conn.task();
    assert_eq!(input, &b"in"[..]);
    conn.answer(number, b"wrong");
    let Event::Result(result) = next(&client) else { panic!("no result") };
    assert_eq!(
        (result.handle, result.provenance, &result.output[..]),
        (handle, Provenance::RemoteProvisional, &b"wrong"[..])
    );
    let cost = Credits::from_nano_usd(20);
    let verdict = Verdict::Revoked { cost, outcome: Outcome::Output, units: 1, basis: Basis::Quorum };
    conn.send(&ServerToClient::TaskVerdict { number, verdict }, b"right");
    let Event::Revoked { output, cost: charged, .. } = next(&client) else { panic!("not revoked") };
    assert_eq!((&output[..], charged), (&b"right"[..], cost));
    let stats = client.stats();
    assert_eq!((stats.remote, stats.revoked, stats.spent, stats.live), (1, 1, cost, 0));
}

#[test]
fn a_refused_task_falls_back_to_this_machine() {
    let coordinator = Coordinator::new();
    let client = coordinator.client(ONE_THREAD);
    let (mut conn, _) = coordinator.accept_ready(&client);
    let kernel = echo(&client);
    client.submit(Task::new(&kernel, &b"in"[..]).deadline(PATIENT)).unwrap();
    let (number, _) = conn.task();
    let refused = ServerToClient::TaskRefused { number, code: Refusal::NoPeers, message: "none".to_owned() };
    conn.send(&refused, b"");
    let Event::Result(result) = next(&client) else { panic!("no result") };
    assert_eq!((result.provenance, &result.output[..]), (Provenance::Local, &b"in"[..]));
}

#[test]
fn out_of_budget_is_said_with_the_reason() {
    let coordinator = Coordinator::new();
    let client = coordinator.client(LocalPolicy::Off);
    let mut conn = coordinator.accept();
    conn.next();
    let message = "balance is 3, budget 500".to_owned();
    conn.send(&ServerToClient::SessionRefused { code: Refusal::Funds, message: message.clone() }, b"");
    let code = Refusal::Funds;
    assert_eq!(client.wait(LIMIT).unwrap(), Event::Network(Network::NoBudget { code, message }));
    let kernel = echo(&client);
    let handle = client.submit(Task::new(&kernel, &b"x"[..]).deadline(Duration::from_millis(5))).unwrap();
    assert_eq!(next(&client), Event::Failed { handle, reason: Failure::Deadline });
}

#[test]
fn a_blob_goes_up_once_in_chunks_before_its_task() {
    let coordinator = Coordinator::new();
    let client = coordinator.client(LocalPolicy::Off);
    let (mut conn, _) = coordinator.accept_ready(&client);
    let kernel = echo(&client);
    let bytes: Vec<u8> = (0..CHUNK_BYTES + 1000).map(|n| n as u8).collect();
    let blob = client.add_blob(bytes.clone()).unwrap();
    assert_eq!(client.add_blob(bytes.clone()).unwrap(), blob);
    client.submit(Task::new(&kernel, &b"in"[..]).blob(blob).deadline(PATIENT)).unwrap();
    let mut received = BytesMut::new();
    while received.len() < bytes.len() {
        let (message, chunk) = conn.next();
        let expected = ClientToServer::PutBlob { blob, total_bytes: bytes.len() as u64, offset: received.len() as u64 };
        assert_eq!(message, expected);
        received.extend_from_slice(&chunk);
    }
    assert_eq!(received, bytes);
    conn.send(&ServerToClient::BlobStored { blob }, b"");
    assert_eq!(conn.task().1, &b"in"[..]);
}

#[test]
fn after_a_lost_connection_the_session_and_its_tasks_come_back() {
    let coordinator = Coordinator::new();
    let client = coordinator.client(LocalPolicy::Off);
    let (mut conn, session) = coordinator.accept_ready(&client);
    let kernel = echo(&client);
    let handle = client.submit(Task::new(&kernel, &b"in"[..]).deadline(PATIENT)).unwrap();
    let (number, _) = conn.task();
    drop(conn);
    assert!(matches!(client.wait(LIMIT).unwrap(), Event::Network(Network::Offline { .. })));
    let (mut conn, again) = coordinator.accept_ready(&client);
    assert_eq!(again, session);
    assert_eq!(conn.task().0, number);
    conn.answer(number, b"out");
    let Event::Result(result) = next(&client) else { panic!("no result") };
    assert_eq!((result.handle, &result.output[..]), (handle, &b"out"[..]));
}

#[test]
fn cancel_reaches_the_coordinator() {
    let coordinator = Coordinator::new();
    let client = coordinator.client(LocalPolicy::Off);
    let (mut conn, _) = coordinator.accept_ready(&client);
    let kernel = echo(&client);
    let handle = client.submit(Task::new(&kernel, &b"in"[..]).deadline(PATIENT)).unwrap();
    let (number, _) = conn.task();
    client.cancel(handle);
    assert_eq!(next(&client), Event::Failed { handle, reason: Failure::Cancelled });
    assert_eq!(conn.next().0, ClientToServer::Cancel { number });
    client.shutdown(Duration::ZERO);
    assert_eq!(conn.next().0, ClientToServer::CloseSession);
}

#[test]
fn without_a_coordinator_nothing_blocks() {
    let coordinator = Coordinator::new();
    let client = coordinator.client(ONE_THREAD);
    // Nobody accepts: the client is still connecting, and tasks run here.
    let kernel = echo(&client);
    client.submit(Task::new(&kernel, &b"in"[..])).unwrap();
    let Event::Result(result) = next(&client) else { panic!("no result") };
    assert_eq!(result.provenance, Provenance::Local);
}
