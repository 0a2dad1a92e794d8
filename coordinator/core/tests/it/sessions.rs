//! Sessions: what is held, who may come back, how it ends.

use bytes::Bytes;
use p2c2r_core::record::{Record, TransferKind};
use p2c2r_core::{ConnId, Input, Limits, MarketConfig};
use p2c2r_protocol::message::{ClientToServer, Refusal, ServerToClient};
use p2c2r_signing::SessionId;

use crate::fixture::{Desk, RATE, account, plain, submit, usd};

fn opened(heard: &[ServerToClient]) -> Option<SessionId> {
    heard.iter().find_map(|m| match m {
        ServerToClient::SessionOpened { session, .. } => Some(*session),
        _ => None,
    })
}

fn refused(desk: &mut Desk) -> (Refusal, String) {
    match desk.heard().pop() {
        Some(ServerToClient::SessionRefused { code, message }) => (code, message),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_session_opens_when_its_hold_is_durable() {
    let mut desk = Desk::new(plain());
    desk.durable = false;
    let client = desk.client(1, 5, 1_000);
    assert_eq!(desk.heard(), []);
    desk.client_says(client, submit(0, 1));
    assert!(matches!(desk.heard()[..], [ServerToClient::TaskRefused { code: Refusal::NoSession, .. }]));
    let commit = desk.commits.last().unwrap().id;
    desk.input(Input::Committed { commit });
    assert!(opened(&desk.heard()).is_some());
    assert_eq!(desk.market.balance(account(1)), Some(usd(999_000)));
    desk.client_says(client, ClientToServer::OpenSession { number: 5, budget: usd(1_000) });
    assert!(opened(&desk.heard()).is_some(), "a resend is answered");
    assert_eq!(desk.market.balance(account(1)), Some(usd(999_000)), "and holds nothing twice");
}

#[test]
fn what_cannot_be_held_is_refused_with_the_reason() {
    let limits = Limits { sessions_per_account: 2, ..Limits::default() };
    let mut desk = Desk::new(MarketConfig { limits, ..plain() });
    let cases: [(u8, u64, Refusal, &str); 3] = [
        (
            1,
            1_000_001,
            Refusal::Funds,
            "a budget of 0.001000001 USD is more than the account's balance of 0.001000000 USD",
        ),
        (1, 0, Refusal::Funds, "an amount of 0 nano-USD cannot be moved"),
        (77, 1, Refusal::Forbidden, "account 4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d is not open"),
    ];
    for (n, budget, code, why) in cases {
        desk.client(n, 1, budget);
        assert_eq!(refused(&mut desk), (code, why.to_owned()));
    }
    let client = desk.client(1, 1, 10);
    desk.heard();
    desk.client_says(client, ClientToServer::OpenSession { number: 2, budget: usd(10) });
    assert_eq!(
        refused(&mut desk),
        (Refusal::Limit, "session 1 is open on this connection, which can have one".to_owned())
    );
    for (conn, number) in [(50, 2), (51, 3)] {
        desk.input(Input::ClientConnected { conn: ConnId(conn), account: account(1) });
        desk.client_says(ConnId(conn), ClientToServer::OpenSession { number, budget: usd(10) });
    }
    assert_eq!(refused(&mut desk), (Refusal::Limit, "the account has 2 open sessions, at most 2".to_owned()));
}

#[test]
fn closing_waits_for_tasks_and_gives_back_the_rest() {
    let mut desk = Desk::new(plain());
    desk.peer(2, 4);
    let client = desk.client(1, 0, 10_000);
    let first = opened(&desk.heard()).unwrap();
    desk.client_says(client, submit(0, 1));
    desk.client_says(client, ClientToServer::CloseSession);
    assert_eq!(desk.heard(), []);
    let (conn, job) = desk.jobs().remove(0);
    let right = job.truth();
    desk.answer(conn, &job, &right);
    desk.wait(1_000);
    let spent = usd(RATE * right.units);
    assert!(desk.heard().contains(&ServerToClient::SessionClosed { spent }));
    assert_eq!(desk.market.balance(account(1)), usd(1_000_000).checked_sub(spent));
    let voided = desk.commits.iter().flat_map(|c| &c.records);
    assert!(voided.into_iter().any(|r| matches!(r, Record::Transfer(t) if t.kind == TransferKind::Void)));
    desk.client_says(client, ClientToServer::OpenSession { number: 0, budget: usd(10) });
    assert_ne!(opened(&desk.heard()), Some(first), "a number used again is another session");
}

#[test]
fn a_client_that_comes_back_finds_its_session_and_what_it_missed() {
    let mut desk = Desk::new(plain());
    desk.peer(2, 4);
    let client = desk.client(1, 0, 10_000);
    let session = opened(&desk.heard()).unwrap();
    desk.client_says(client, submit(0, 1));
    desk.input(Input::Disconnected { conn: client });
    let (conn, job) = desk.jobs().remove(0);
    desk.answer(conn, &job, &job.truth());
    assert_eq!(desk.heard(), []);
    desk.input(Input::ClientConnected { conn: ConnId(60), account: account(1) });
    desk.client_says(ConnId(60), ClientToServer::OpenSession { number: 0, budget: usd(1) });
    let heard = desk.heard();
    assert!(
        matches!(heard[..], [
        ServerToClient::SessionOpened { session: s, budget },
        ServerToClient::TaskResult { number: 0, .. },
        ServerToClient::TaskVerdict { number: 0, .. },
    ] if s == session && budget == usd(10_000)),
        "{heard:?}"
    );

    // From a third connection while the second is open: the newest has it.
    desk.input(Input::ClientConnected { conn: ConnId(61), account: account(1) });
    desk.client_says(ConnId(61), ClientToServer::OpenSession { number: 0, budget: usd(1) });
    assert!(matches!(&desk.closed[..], [(ConnId(60), Refusal::Protocol, _)]));
    desk.client_says(ConnId(61), submit(1, 1));
    assert_eq!(desk.jobs().len(), 1);
}

#[test]
fn a_verdict_that_was_lost_is_told_again_when_asked_for() {
    let most = MarketConfig::default().limits.verdicts as u64;
    let mut desk = Desk::new(plain());
    desk.peer(2, 4);
    let client = desk.client(1, 0, 900_000);
    let ask = |desk: &mut Desk, number| {
        desk.heard();
        desk.client_says(client, ClientToServer::QueryVerdict { number });
        desk.heard()
    };
    assert_eq!(ask(&mut desk, 0), [], "nobody submitted it");
    for number in 0..=most {
        desk.client_says(client, submit(number, 1));
        assert_eq!(ask(&mut desk, number), [], "it runs");
        let (conn, job) = desk.jobs().remove(0);
        desk.answer(conn, &job, &job.truth());
        let told = desk.heard();
        assert!(
            matches!(told[..], [ServerToClient::TaskResult { .. }, ServerToClient::TaskVerdict { .. }]),
            "{told:?}"
        );
        assert_eq!(ask(&mut desk, number), told[1..], "before its settlement");
        desk.wait(2_000);
        assert_eq!(ask(&mut desk, number), told[1..], "and after it");
    }
    assert_eq!(ask(&mut desk, 0), [], "as many as are kept came after it");
    desk.client_says(client, ClientToServer::CloseSession);
    assert_eq!(ask(&mut desk, most), [], "there is no session");
}

#[test]
fn a_session_nobody_comes_back_for_expires() {
    let config = MarketConfig { hold_grace_ms: 5_000, ..plain() };
    let mut desk = Desk::new(config);
    let client = desk.client(1, 0, 10_000);
    desk.input(Input::Disconnected { conn: client });
    desk.wait(4_999);
    assert_eq!(desk.market.sessions().count(), 1);
    desk.wait(1);
    assert_eq!(desk.market.sessions().count(), 0);
    assert_eq!(desk.market.balance(account(1)), Some(usd(1_000_000)));
    let last = desk.commits.pop().unwrap().records;
    assert!(matches!(&last[..], [Record::Transfer(t), Record::Hold(h)] if t.kind == TransferKind::Expire && !h.open));
}

#[test]
fn without_a_store_nothing_new_is_taken_on_and_what_runs_is_finished() {
    let limits = Limits { commits_in_flight: 2, ..Limits::default() };
    let mut desk = Desk::new(MarketConfig { limits, ..plain() });
    desk.peer(2, 4);
    let client = desk.client(1, 0, 10_000);
    desk.client_says(client, submit(0, 1));
    desk.heard();
    desk.input(Input::StoreHealth { ok: false });
    desk.client_says(client, submit(1, 1));
    assert!(matches!(desk.heard()[..], [ServerToClient::TaskRefused { code: Refusal::Unavailable, .. }]));
    let (conn, job) = desk.jobs().remove(0);
    desk.answer(conn, &job, &job.truth());
    assert_eq!(desk.heard().len(), 2, "an answer and a verdict");
    desk.input(Input::StoreHealth { ok: true });
    desk.durable = false;
    let before = desk.commits.len();
    for (conn, n) in [(70, 1), (71, 1), (72, 1)] {
        desk.input(Input::ClientConnected { conn: ConnId(conn), account: account(n) });
        desk.client_says(ConnId(conn), ClientToServer::OpenSession { number: conn, budget: usd(10) });
    }
    assert_eq!(refused(&mut desk), (Refusal::Unavailable, "2 commits wait for the store, at most 2 may".to_owned()));
    desk.wait(10_000);
    assert_eq!(desk.commits.len(), before + 2, "the batch waits too");
    let commit = desk.commits.last().unwrap().id;
    desk.input(Input::Committed { commit });
    desk.wait(1_000);
    assert_eq!(desk.commits.len(), before + 3);
}

#[test]
fn a_drain_takes_nothing_new_and_ends() {
    let mut desk = Desk::new(plain());
    let peer = desk.peer(2, 1);
    let client = desk.client(1, 0, 10_000);
    desk.client_says(client, submit(0, 1));
    desk.client_says(client, submit(1, 1));
    desk.heard();
    desk.input(Input::Drain);
    desk.client_says(client, submit(2, 1));
    let heard = desk.heard();
    assert!(
        matches!(
            heard[..],
            [
                ServerToClient::Draining,
                ServerToClient::TaskRefused { number: 1, code: Refusal::Unavailable, .. },
                ServerToClient::TaskRefused { number: 2, code: Refusal::Unavailable, .. },
            ]
        ),
        "{heard:?}"
    );
    assert!(!desk.market.is_idle());
    let (_, job) = desk.jobs().remove(0);
    let (message, payload) = job.result(&crate::fixture::key(2), &job.truth());
    desk.peer_says(peer, message, payload);
    desk.wait(1_000);
    assert!(desk.market.is_idle());
    assert_eq!(desk.market.sessions().count(), 1, "the hold waits for the restart");
    desk.peer_says(peer, p2c2r_protocol::message::PeerToServer::QueryEarnings, Bytes::new());
}
