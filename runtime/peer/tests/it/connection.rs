//! Reconnects, resends, stops.

use p2c2r_peer::{PeerError, State, Status};
use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{PeerToServer, ServerToPeer, SettledAttempt, Standing};
use p2c2r_signing::Digest;
use p2c2r_transport::{CertificateProblem, ConnectError};

use crate::coordinator::{Coordinator, nonce};
use crate::kernels;
use crate::running::Setup;

fn settle(batch: u64, attempts: &[u8]) -> ServerToPeer {
    let entry = |attempt: &u8| SettledAttempt {
        nonce: nonce(*attempt),
        standing: Standing::Agreed,
        earned: Credits::from_nano_usd(1000),
    };
    ServerToPeer::Settled { batch, root: Digest::of(b"root"), entries: attempts.iter().map(entry).collect() }
}

fn ticket(message: PeerToServer) -> Vec<u8> {
    match message {
        PeerToServer::Result { ticket, .. } => ticket,
        other => panic!("expected a result, got {other:?}"),
    }
}

#[tokio::test]
async fn results_are_sent_again_until_they_are_settled() {
    let (mut host, setup) = (Coordinator::new().await, Setup::new());
    let module = host.serve_kernel(kernels::echo(&setup.publisher));
    let peer = setup.start(&host);
    let mut conn = host.accept().await;
    for attempt in 1..=3 {
        conn.assign(attempt, module, &[], &[attempt; 5]);
        conn.answer(&host).await;
    }
    conn.send(&settle(1, &[2]));
    conn.until_ack(&host, 1).await;
    drop(conn);

    // The same process reconnects.
    let mut conn = host.accept().await;
    for attempt in [1, 3] {
        let (message, output) = conn.answer(&host).await;
        assert_eq!((ticket(message), &output[..]), (vec![attempt; 16], &[attempt; 5][..]));
    }
    // An attempt it has an answer for is not run again.
    conn.assign(3, module, &[], &[9; 5]);
    conn.send(&settle(2, &[1]));
    conn.until_ack(&host, 2).await;
    peer.stop().await.unwrap().unwrap();

    // Another process on the same data folder.
    let peer = setup.start(&host);
    let mut conn = host.accept().await;
    let (message, output) = conn.answer(&host).await;
    assert_eq!((ticket(message), &output[..]), (vec![3; 16], &[3; 5][..]));
    conn.send(&settle(3, &[3]));
    conn.until_ack(&host, 3).await;
    let data = peer.config.data.clone();
    peer.stop().await.unwrap().unwrap();
    let status = Status::read(&data).unwrap();
    assert_eq!((status.unsettled, status.counts.agreed, status.counts.earned_nano_usd), (0, 1, 1000));
    assert!(matches!(status.state, State::Stopped { .. }), "{:?}", status.state);
}

#[tokio::test]
async fn a_stop_waits_for_what_runs_and_takes_no_more() {
    let (mut host, setup) = (Coordinator::new().await, Setup::new());
    let endless = host.serve_kernel(kernels::endless(&setup.publisher));
    let echo = host.serve_kernel(kernels::echo(&setup.publisher));
    let peer = setup.start(&host);
    let mut conn = host.accept().await;
    conn.assign_within(1, endless, &[], b"", 1500);
    // Its answer shows that the first is fetched and running.
    conn.assign(2, echo, &[], b"x");
    conn.answer(&host).await;
    let ended = peer.stop();
    conn.until_offer(&host).await;
    assert_eq!(conn.slots, 0);
    conn.assign(3, echo, &[], b"too late");
    let mut faults = Vec::new();
    for _ in 0..2 {
        match conn.answer(&host).await.0 {
            PeerToServer::Fault { ticket, .. } => faults.push(ticket[0]),
            other => panic!("expected a fault, got {other:?}"),
        }
    }
    assert_eq!(faults, [3, 1], "the late one at once, the running one when it ends");
    conn.until_closed().await;
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_wrong_authority_is_said_at_once() {
    let (host, other, setup) = (Coordinator::new().await, Coordinator::new().await, Setup::new());
    let mut config = setup.config(&host);
    std::fs::write(&config.ca, &other.ca_pem).unwrap();
    config.workers = 1;
    let executor = std::sync::Arc::new(p2c2r_peer::JailExecutor::start(&config).unwrap());
    let run = Box::pin(p2c2r_peer::run_peer(&config, executor, std::future::pending()));
    let (result, _) = tokio::join!(run, host.accept_nobody());
    match result {
        Err(PeerError::Connect(error)) => assert!(
            matches!(*error, ConnectError::Certificate { problem: CertificateProblem::UnknownIssuer, .. }),
            "{error:?}"
        ),
        other => panic!("expected a certificate error, got {other:?}"),
    }
}

#[tokio::test]
async fn a_data_folder_belongs_to_one_peer() {
    let (host, setup) = (Coordinator::new().await, Setup::new());
    let first = setup.start(&host);
    let _conn = host.accept().await;
    let second = setup.start(&host).ended().await;
    assert!(matches!(second, Err(PeerError::Locked { .. })), "{second:?}");
    first.stop().await.unwrap().unwrap();
}
