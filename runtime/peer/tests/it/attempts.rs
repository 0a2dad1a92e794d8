//! From assignment to vote, and every way in which there is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use p2c2r_peer::{Answer, Assignment, Executor};
use p2c2r_protocol::message::{Fault, OfferedClass, Path, PeerToServer, ServerToPeer};
use p2c2r_signing::{Ballot, ClassId, Digest, ModuleId, Outcome, SecretKey, TraceRoot, input_digest};

use crate::coordinator::{Conn, Coordinator, nonce, task};
use crate::kernels;
use crate::running::Setup;

async fn expect_fault(conn: &mut Conn, host: &Coordinator, expected: Fault) {
    match conn.answer(host).await.0 {
        PeerToServer::Fault { fault, .. } => assert_eq!(fault, expected),
        other => panic!("expected {expected:?}, got {other:?}"),
    }
}

#[tokio::test]
async fn fetches_verifies_runs_and_votes() {
    let (mut host, setup) = (Coordinator::new().await, Setup::new());
    let module = host.serve_kernel(kernels::blob_head(&setup.publisher));
    let mut bytes: Vec<u8> = (0..700_000u32).map(|i| (i % 241) as u8).collect();
    bytes[..8].copy_from_slice(b"treasure");
    let blob = host.serve_blob(bytes);
    let peer = setup.start(&host);
    let mut conn = host.accept().await;
    let paths: Vec<Path> = conn.classes.iter().map(|class| class.path).collect();
    assert_eq!((conn.slots, &paths[..]), (8, &[Path::Cpu, Path::Exact][..]));
    conn.assign(1, module, &[blob], b"in");
    let (message, output) = conn.answer(&host).await;
    let PeerToServer::Result { ticket, outcome, units, trace_root, seal } = message else {
        panic!("expected a result, got {message:?}")
    };
    assert_eq!((ticket, outcome, units, &output[..]), (vec![1; 16], Outcome::Output, 0, &b"treasure"[..]));
    // The coordinator computes the same vote from what was sent.
    let input = input_digest(b"in", &[blob], 9);
    let (class, output) = (conn.class(), Digest::of(&output));
    let ballot = Ballot { task: task(1), module, class, input, outcome, output, units, trace_root };
    assert_eq!(seal, ballot.vote().seal(&conn.key, &nonce(1)));
    peer.stop().await.unwrap().unwrap();
}

#[tokio::test]
async fn what_does_not_verify_is_never_run() {
    let (mut host, setup) = (Coordinator::new().await, Setup::new());
    let stranger = host.serve_kernel(kernels::echo(&SecretKey::generate()));
    let (module, mut bytes) = kernels::echo(&setup.publisher);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let flipped = host.serve_kernel((ModuleId::of(&bytes), bytes.clone()));
    let other_hash = host.serve_kernel((module, bytes));
    let absent = ModuleId::of(b"absent");
    let endless = host.serve_kernel(kernels::endless(&setup.publisher));
    let good_blob_missing = p2c2r_signing::BlobId::of(b"nobody has it");
    let peer = setup.start(&host);
    let mut conn = host.accept().await;
    for (attempt, module) in [(1, stranger), (2, flipped), (3, other_hash), (4, absent)] {
        conn.assign(attempt, module, &[], b"");
        expect_fault(&mut conn, &host, Fault::Fetch).await;
    }
    conn.assign(5, endless, &[good_blob_missing], b"");
    expect_fault(&mut conn, &host, Fault::Fetch).await;
    // Asked again at once, it is refused without another fetch.
    let before = conn.fetched.len();
    conn.assign(6, stranger, &[], b"");
    expect_fault(&mut conn, &host, Fault::Fetch).await;
    assert_eq!(conn.fetched.len(), before);
    peer.stop().await.unwrap().unwrap();
}

#[tokio::test]
async fn a_deadline_ends_an_endless_kernel() {
    let (mut host, setup) = (Coordinator::new().await, Setup::new());
    let module = host.serve_kernel(kernels::endless(&setup.publisher));
    let peer = setup.start(&host);
    let mut conn = host.accept().await;
    conn.assign_within(1, module, &[], b"", 300);
    expect_fault(&mut conn, &host, Fault::Deadline).await;
    peer.stop().await.unwrap().unwrap();
}

#[tokio::test]
async fn a_cancelled_attempt_ends_without_a_word() {
    let (mut host, setup) = (Coordinator::new().await, Setup::new());
    let endless = host.serve_kernel(kernels::endless(&setup.publisher));
    let echo = host.serve_kernel(kernels::echo(&setup.publisher));
    let peer = setup.start(&host);
    let mut conn = host.accept().await;
    // Both workers are taken for good unless the cancels free them.
    let endless_ones = [conn.assign(1, endless, &[], b""), conn.assign(2, endless, &[], b"")];
    for nonce in endless_ones {
        conn.send(&ServerToPeer::Cancel { nonce });
    }
    conn.send(&ServerToPeer::Cancel { nonce: nonce(99) });
    conn.assign(3, echo, &[], b"still here");
    let (message, output) = conn.answer(&host).await;
    assert!(matches!(&message, PeerToServer::Result { ticket, .. } if ticket == &vec![3; 16]), "{message:?}");
    assert_eq!(&output[..], b"still here");
    peer.stop().await.unwrap().unwrap();
}

#[tokio::test]
async fn a_class_that_was_not_offered_is_refused() {
    let (host, setup) = (Coordinator::new().await, Setup::new());
    let peer = setup.start(&host);
    let mut conn = host.accept().await;
    conn.classes[0].class = ClassId::from_bytes([1; 32]);
    conn.assign(1, ModuleId::of(b"any"), &[], b"");
    expect_fault(&mut conn, &host, Fault::Internal).await;
    peer.stop().await.unwrap().unwrap();
}

/// Panics first, then answers with what it was given.
#[derive(Default)]
struct Unsteady(AtomicUsize);

impl Executor for Unsteady {
    fn classes(&self) -> Vec<OfferedClass> {
        vec![OfferedClass { class: ClassId::from_bytes([3; 32]), path: Path::Cpu }]
    }

    fn device(&self) -> String {
        "test".to_owned()
    }

    fn execute(&self, assignment: &Assignment) -> Result<Answer, Fault> {
        assert!(self.0.fetch_add(1, Ordering::Relaxed) > 0, "the first one panics");
        let output = assignment.input.clone();
        Ok(Answer { outcome: Outcome::Failed(4), output, units: 1, trace_root: TraceRoot::from_bytes([0; 32]) })
    }
}

#[tokio::test]
async fn another_executor_uses_the_same_connection_and_a_panic_in_it_is_a_fault() {
    let (mut host, setup) = (Coordinator::new().await, Setup::new());
    let module = host.serve_kernel(kernels::echo(&setup.publisher));
    let peer = setup.start_with(&host, Arc::new(Unsteady::default()));
    let mut conn = host.accept().await;
    conn.assign(1, module, &[], b"a");
    expect_fault(&mut conn, &host, Fault::Internal).await;
    conn.assign(2, module, &[], b"b");
    let (message, output) = conn.answer(&host).await;
    assert!(matches!(message, PeerToServer::Result { outcome: Outcome::Failed(4), .. }), "{message:?}");
    assert_eq!(&output[..], b"b");
    peer.stop().await.unwrap().unwrap();
}
