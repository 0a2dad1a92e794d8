//! A coordinator that comes back with what its store kept.

use bytes::Bytes;
use p2c2r_core::{Commit, Input, Market, MarketConfig, Millis, Snapshot};
use p2c2r_protocol::message::{PeerToServer, Refusal, ServerToClient, ServerToPeer, Standing};

use crate::fixture::{Desk, RATE, account, plain, submit, ticket_key, usd, within};

/// The market of the same store after all its commits but the last `lost`.
fn restarted(desk: &Desk, lost: usize) -> Desk {
    restarted_as(desk, lost, plain())
}

/// [`restarted`], with these settings.
pub(crate) fn restarted_as(desk: &Desk, lost: usize, config: MarketConfig) -> Desk {
    let mut snapshot = Snapshot::default();
    let kept: &[Commit] = &desk.commits[..desk.commits.len() - lost];
    kept.iter().for_each(|commit| snapshot.apply(commit));
    let market = Market::restore(config, [2; 32], ticket_key(), snapshot, Millis(desk.now));
    let mut after = Desk::over(market);
    after.now = desk.now;
    after.commits = kept.to_vec();
    after
}

#[test]
fn confirmed_work_is_paid_although_the_batch_was_lost_and_once_although_it_is_sent_again() {
    let mut desk = Desk::new(plain());
    let (a, b) = (desk.peer(2, 1), desk.peer(3, 1));
    let client = desk.client(1, 0, 10_000);
    desk.client_says(client, submit(0, 2));
    let jobs = desk.jobs();
    for (conn, job) in &jobs {
        desk.answer(*conn, job, &job.truth());
    }
    desk.wait(1_000);

    let mut desk = restarted(&desk, 1);
    assert_eq!(desk.market.last_batch(), 0);
    assert_eq!(desk.market.balance(account(1)), Some(usd(990_000)), "the hold is open");
    desk.peer(2, 1);
    desk.peer(3, 1);
    let client = desk.client(1, 0, 10_000);
    assert!(matches!(desk.heard()[..], [ServerToClient::SessionOpened { .. }]));
    desk.client_says(client, submit(1, 1));
    assert!(matches!(&desk.heard()[..], [ServerToClient::TaskRefused { code: Refusal::Unavailable, message, .. }]
        if message == "results from before a restart have 30000 ms more to come in for this session"));
    for (conn, job) in &jobs {
        desk.answer(*conn, job, &job.truth());
        desk.answer(*conn, job, &job.truth());
    }
    desk.wait(1_000);
    let cost = RATE * jobs[0].1.truth().units * 2;
    let each = usd(cost * 75 / 100 / 2);
    assert_eq!(desk.settled().iter().map(|(_, e)| e.earned).collect::<Vec<_>>(), [each, each]);

    // Killed again, after the batch was written and before anybody heard of it.
    let mut desk = restarted(&desk, 0);
    desk.peer(2, 1);
    desk.peer(3, 1);
    let repeated: Vec<_> = desk.settled();
    assert_eq!(repeated.iter().map(|(_, e)| (e.standing, e.earned)).collect::<Vec<_>>(), [(Standing::Agreed, each); 2]);
    for (conn, job) in &jobs {
        desk.answer(*conn, job, &job.truth());
    }
    assert!(desk.settled().iter().all(|(_, e)| e.earned == each), "the answer is the same again");
    for conn in [a, b] {
        desk.peer_says(conn, PeerToServer::SettledAck { batch: 1 }, Bytes::new());
    }
    desk.wait(1_000);
    for conn in [a, b] {
        desk.peer_says(conn, PeerToServer::QueryEarnings, Bytes::new());
        let Some((_, ServerToPeer::Earnings { balance, earned, agreed, .. }, _)) = desk.to_peers.pop() else {
            panic!()
        };
        assert_eq!((balance, earned, agreed), (each, each, 1), "nothing is paid twice");
    }
    assert_eq!(desk.market.last_batch(), 1);
}

#[test]
fn a_session_that_nobody_comes_back_for_expires_after_the_grace() {
    let mut desk = Desk::new(plain());
    desk.client(1, 0, 10_000);
    let mut desk = restarted(&desk, 0);
    desk.wait(plain().hold_grace_ms - 1);
    assert_eq!(desk.market.balance(account(1)), Some(usd(990_000)));
    desk.wait(1);
    assert_eq!(desk.market.balance(account(1)), Some(usd(1_000_000)));
}

#[test]
fn a_result_for_a_session_that_is_over_is_void() {
    let mut desk = Desk::new(plain());
    desk.peer(2, 1);
    let client = desk.client(1, 0, 10_000);
    desk.client_says(client, submit(0, 1));
    let (conn, job) = desk.jobs().remove(0);
    let mut desk = restarted(&desk, 0);
    desk.wait(plain().hold_grace_ms);
    desk.peer(2, 1);
    desk.answer(conn, &job, &job.truth());
    assert!(matches!(&desk.settled()[..], [(_, e)] if e.standing == Standing::Void && e.nonce == job.nonce));
    assert_eq!(desk.market.stats().tasks_recovered, 0);
}

#[test]
fn an_answer_about_other_work_acknowledges_no_batch_that_is_yet_to_come() {
    let mut desk = Desk::new(plain());
    let peer = desk.peer(2, 4);
    let client = desk.client(1, 0, 10_000);
    desk.client_says(client, submit(0, 1));
    desk.client_says(client, within(1, 60_000));
    let jobs = desk.jobs();
    // Nobody waits for the first any more; the second is done, and its batch is with the store.
    desk.wait(150);
    desk.answer(peer, &jobs[1].1, &jobs[1].1.truth());
    desk.durable = false;
    desk.wait(1_000);
    desk.to_peers.clear();
    desk.answer(peer, &jobs[0].1, &jobs[0].1.truth());
    let Some((_, ServerToPeer::Settled { batch, .. }, _)) = desk.to_peers.pop() else { panic!("no answer") };
    let commit = desk.commits.last().unwrap().id;
    desk.input(Input::Committed { commit });
    let earned = desk.settled().remove(0).1;
    assert_eq!(earned.standing, Standing::Agreed);

    // What was told of the batch is lost with the connection; only the answer before it was acknowledged.
    desk.peer_says(peer, PeerToServer::SettledAck { batch }, Bytes::new());
    desk.input(Input::Disconnected { conn: peer });
    desk.peer(2, 4);
    assert_eq!(desk.settled(), [(peer, earned)]);
}

#[test]
fn standing_and_prices_survive() {
    let mut desk = Desk::new(plain());
    desk.peer(2, 4);
    let client = desk.client(1, 0, 10_000);
    for number in 0..3 {
        desk.client_says(client, submit(number, 1));
        let (conn, job) = desk.jobs().remove(0);
        desk.answer(conn, &job, &job.truth());
    }
    desk.wait(1_000);
    let after = restarted(&desk, 0);
    let (before, after) = (&desk.market, &after.market);
    assert_eq!(
        before.peers().map(|p| p.record).collect::<Vec<_>>(),
        after.peers().map(|p| p.record).collect::<Vec<_>>()
    );
    assert_eq!(before.kernels().collect::<Vec<_>>(), after.kernels().collect::<Vec<_>>());
    assert_eq!(before.accounts().collect::<Vec<_>>(), after.accounts().collect::<Vec<_>>());
    assert_eq!(before.ledger().chain(), after.ledger().chain());
    assert_eq!((before.journal_lines(), before.last_batch()), (after.journal_lines(), after.last_batch()));
    let mut again = restarted(&desk, 0);
    again.input(Input::Tick);
    assert!(again.commits.len() == desk.commits.len());
}
