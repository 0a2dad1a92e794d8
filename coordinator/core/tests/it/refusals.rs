//! Every way in which a task, an offer, a command can be wrong, and that the answer names the value and the bound.

use bytes::Bytes;
use p2c2r_core::{Admin, ConnId, Input, Limits, MarketConfig};
use p2c2r_protocol::message::{ClientToServer, PeerToServer, Refusal, ServerToClient};
use p2c2r_signing::{BlobId, ModuleId};

use crate::fixture::{Desk, account, cpu, key, manifest, module, plain, submit, usd};

/// A submit as its parts, to be spoilt one at a time.
struct Parts {
    module: ModuleId,
    blobs: Vec<BlobId>,
    deadline_ms: u32,
    replicas: u8,
    max_units: u64,
    input_bytes: usize,
}

fn check(spoil: fn(&mut Parts), code: Refusal, why: &str) {
    let mut desk = Desk::new(plain());
    desk.peer(2, 10);
    desk.client(1, 0, 10_000);
    desk.heard();
    let mut parts =
        Parts { module: module(1), blobs: vec![], deadline_ms: 100, replicas: 1, max_units: 10, input_bytes: 5 };
    spoil(&mut parts);
    let ClientToServer::Submit { number, seed, priority, mode, .. } = submit(3, 1) else { return };
    let Parts { module, blobs, deadline_ms, replicas, max_units, input_bytes } = parts;
    let message =
        ClientToServer::Submit { number, module, blobs, seed, deadline_ms, priority, mode, replicas, max_units };
    desk.input(Input::Client { conn: ConnId(1), message, payload: Bytes::from(vec![0; input_bytes]) });
    let expected = ServerToClient::TaskRefused { number: 3, code, message: why.to_owned() };
    assert_eq!(desk.heard(), [expected]);
    assert_eq!((desk.jobs().len(), desk.market.stats().tasks), (0, 0));
    let session = desk.market.sessions().next().unwrap();
    assert_eq!(session.reserved, usd(0), "nothing is kept for it");
}

#[test]
fn a_submit_is_refused_with_the_value_and_the_bound() {
    let unknown = format!("kernel {} is not registered", module(9));
    check(|p| p.module = module(9), Refusal::UnknownKernel, &unknown);
    let blob = format!("blob {} is not stored", BlobId::of(b"x"));
    check(|p| p.blobs = vec![BlobId::of(b"x")], Refusal::UnknownBlob, &blob);
    check(|p| p.blobs = vec![BlobId::of(b"x"); 65], Refusal::Limit, "65 blobs, at most 64");
    check(|p| p.replicas = 0, Refusal::Limit, "0 replicas; there must be 1 to 5");
    check(|p| p.replicas = 6, Refusal::Limit, "6 replicas; there must be 1 to 5");
    check(|p| p.deadline_ms = 0, Refusal::Deadline, "a deadline of 0 ms; it must be 1 to 600000");
    check(|p| p.deadline_ms = 600_001, Refusal::Deadline, "a deadline of 600001 ms; it must be 1 to 600000");
    check(|p| p.max_units = 0, Refusal::Limit, "0 units; kernel echo allows 1 to 1000");
    check(|p| p.max_units = 1_001, Refusal::Limit, "1001 units; kernel echo allows 1 to 1000");
    check(|p| p.input_bytes = 4_097, Refusal::Limit, "an input of 4097 bytes; kernel echo takes at most 4096");
    let funds = "the task may cost 0.000014000 USD, the session has 0.000010000 USD left of 0.000010000 USD";
    check(|p| (p.max_units, p.replicas) = (1_000, 2), Refusal::Funds, funds);
    let peers = "2 replicas need as many owners with peers of one class, there are 1";
    check(|p| p.replicas = 2, Refusal::NoPeers, peers);
}

#[test]
fn a_blob_that_is_stored_may_be_named() {
    let mut desk = Desk::new(plain());
    desk.peer(2, 10);
    desk.client(1, 0, 10_000);
    desk.input(Input::BlobStored { blob: BlobId::of(b"x") });
    let ClientToServer::Submit { number, module, seed, deadline_ms, priority, mode, replicas, max_units, .. } =
        submit(0, 1)
    else {
        return;
    };
    let blobs = vec![BlobId::of(b"x")];
    let message =
        ClientToServer::Submit { number, module, blobs, seed, deadline_ms, priority, mode, replicas, max_units };
    desk.client_says(ConnId(1), message);
    assert_eq!(desk.jobs().len(), 1);
}

#[test]
fn a_price_that_overflows_is_no_price() {
    let mut desk = Desk::new(plain());
    desk.peer(2, 1);
    desk.client(1, 0, 10_000);
    let rate = usd(u64::MAX / 2);
    let command = Admin::RegisterKernel { module: module(1), manifest: Box::new(manifest("")), rate };
    desk.admin(command).unwrap();
    desk.heard();
    desk.client_says(ConnId(1), submit(0, 1));
    assert!(matches!(&desk.heard()[..], [ServerToClient::TaskRefused { code: Refusal::Funds, message, .. }]
        if message == "9223372036.854775807 USD x 100 units x 1 is more money than there can be"));
}

#[test]
fn full_is_said_with_numbers() {
    let check = |limits: Limits, tasks: u64, code: Refusal, why: &str| {
        let mut desk = Desk::new(MarketConfig { limits, ..plain() });
        desk.peer(2, 1);
        desk.client(1, 0, 100_000);
        desk.heard();
        for number in 0..tasks {
            desk.client_says(ConnId(1), submit(number * 2, 1));
        }
        let expected = ServerToClient::TaskRefused { number: (tasks - 1) * 2, code, message: why.to_owned() };
        assert_eq!(desk.heard(), [expected]);
    };
    let limits = Limits::default;
    let (limit, busy) = (Refusal::Limit, Refusal::Unavailable);
    let tasks_per_session = Limits { tasks_per_session: 2, ..limits() };
    check(tasks_per_session, 3, limit, "2 tasks in flight in this session, at most 2");
    check(Limits { tasks: 2, ..limits() }, 3, busy, "the coordinator has 2 tasks in flight, at most 2 fit");
    check(Limits { pending: 1, ..limits() }, 3, busy, "the coordinator has 1 tasks waiting, at most 1 fit");
    let why = "the coordinator has 15 bytes of inputs with this one, at most 14 fit";
    check(Limits { input_bytes: 14, ..limits() }, 3, busy, why);
}

#[test]
fn a_session_lives_on_however_many_of_its_numbers_are_left_out() {
    let limits = Limits { number_gaps: 2, ..Limits::default() };
    let mut desk = Desk::new(MarketConfig { limits, ..plain() });
    desk.peer(2, 1);
    desk.client(1, 0, 100_000);
    for number in (0..100).step_by(10) {
        desk.client_says(ConnId(1), submit(number, 1));
        let (conn, job) = desk.jobs().remove(0);
        desk.answer(conn, &job, &job.truth());
        desk.wait(1_000);
    }
    desk.heard();
    // Of the gaps the newest one is left.
    desk.client_says(ConnId(1), submit(75, 1));
    assert!(matches!(&desk.heard()[..], [ServerToClient::TaskRefused { code: Refusal::Protocol, message, .. }]
        if message == "task number 75 was used before"));
    desk.client_says(ConnId(1), submit(85, 1));
    assert_eq!((desk.jobs().len(), desk.heard().len()), (1, 0));
}

#[test]
fn offers_and_keys_that_cannot_be_are_closed() {
    let limits = Limits { classes: 3, peers_known: 3, ..Limits::default() };
    let mut desk = Desk::new(MarketConfig { limits, ..plain() });
    let offer = |slots, classes: &[u8]| PeerToServer::Offer {
        slots,
        classes: classes.iter().map(|n| cpu(*n)).collect(),
        speed: 1,
    };
    let conn = desk.peer(2, 1);
    desk.peer_says(conn, offer(1_025, &[1]), Bytes::new());
    assert_eq!(desk.closed.pop().unwrap().1, Refusal::Limit);
    let conn = desk.peer(2, 1);
    desk.peer_says(conn, offer(1, &[1, 2, 3, 4, 5, 6, 7, 8, 9]), Bytes::new());
    let (_, code, why) = desk.closed.pop().unwrap();
    assert_eq!((code, why.as_str()), (Refusal::Limit, "1 slots and 9 classes; at most 1024 and 8"));
    let conn = desk.peer(3, 1);
    desk.peer_says(conn, offer(1, &[4, 5, 6]), Bytes::new());
    assert_eq!(desk.closed.pop().unwrap().2, "3 new classes on top of 1, at most 3 fit");

    let conn = desk.peer(4, 1);
    desk.input(Input::PeerConnected {
        conn: ConnId(999),
        account: account(4),
        key: key(4),
        network: crate::fixture::network(4),
    });
    let (closed, code, why) = desk.closed.pop().unwrap();
    assert_eq!((closed, code, why.as_str()), (conn, Refusal::Protocol, "its key connected again"));
    desk.input(Input::PeerConnected {
        conn: ConnId(998),
        account: account(77),
        key: key(77),
        network: crate::fixture::network(77),
    });
    assert_eq!(desk.closed.pop().unwrap().1, Refusal::Forbidden);
    desk.peer(5, 1);
    desk.peer(6, 1);
    desk.peer(7, 1);
    assert_eq!(desk.closed.pop().unwrap().2, "3 peers are known, which is all there may be");
}

#[test]
fn commands_are_idempotent_or_say_why_not() {
    let limits = Limits { kernels: 1, accounts: 12, ..Limits::default() };
    let mut desk = Desk::new(MarketConfig { limits, ..plain() });
    let deposit = |amount, reference: &str| Admin::Deposit {
        account: account(1),
        amount: usd(amount),
        reference: reference.to_owned(),
    };
    desk.admin(deposit(5, "r")).unwrap();
    let before = desk.commits.len();
    desk.admin(deposit(5, "r")).unwrap();
    assert_eq!(desk.commits.len(), before, "the same reference is the same deposit");
    let why = desk.admin(deposit(6, "r")).unwrap_err();
    assert_eq!(
        why,
        "reference \"r\" is a deposit of 0.000000005 USD to account 01010101010101010101010101010101 already"
    );
    let why = desk.admin(deposit(6, &"r".repeat(129))).unwrap_err();
    assert_eq!(why, "a reference of 129 bytes; it must have 1 to 128");
    assert!(desk.admin(deposit(6, "")).is_err());
    let kernel =
        |n, rate| Admin::RegisterKernel { module: module(n), manifest: Box::new(manifest("")), rate: usd(rate) };
    desk.admin(kernel(1, 8)).unwrap();
    assert_eq!(desk.market.kernel(module(1)).unwrap().rate, usd(8));
    assert_eq!(desk.admin(kernel(2, 8)).unwrap_err(), "there are 1 kernels, at most 1 fit");
    for n in 10..=11 {
        desk.admin(Admin::OpenAccount { account: account(n) }).unwrap();
    }
    let why = desk.admin(Admin::OpenAccount { account: account(12) }).unwrap_err();
    assert_eq!(why, "there are 12 ledger accounts, at most 12 fit");
    desk.admin(Admin::OpenAccount { account: account(1) }).unwrap();
}
