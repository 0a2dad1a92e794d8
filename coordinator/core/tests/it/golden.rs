//! Golden tasks: confirmed work, given to a peer that never saw it, which cannot tell.

use bytes::Bytes;
use p2c2r_core::{ConnId, Input, MarketConfig, TrustConfig};
use p2c2r_protocol::message::{ServerToPeer, Standing};

use crate::fixture::{Desk, Execution, Job, account, execution, plain, submit, usd};
use crate::trust::seen;

/// Every task of one replica brings a golden one; nothing is audited.
fn config() -> MarketConfig {
    let trust = TrustConfig { golden_ppm: p2c2r_core::trust::ONE_PPM, held_tasks: 10, ..TrustConfig::OFF };
    MarketConfig { trust, ..plain() }
}

/// A task that peers 2 and 3 confirmed with `answer`, and peers from 4 on that never saw it. With the first assignment.
fn confirmed(config: MarketConfig, answer: fn(&Job) -> Execution, others: u8) -> (Desk, ConnId, (ServerToPeer, Bytes)) {
    let mut desk = Desk::new(config);
    desk.peer(2, 1);
    desk.peer(3, 1);
    let client = desk.client(1, 0, 100_000);
    desk.client_says(client, submit(0, 2));
    let first = desk.to_peers.iter().find(|(_, m, _)| matches!(m, ServerToPeer::Assign { .. })).unwrap();
    let first = (first.1.clone(), first.2.clone());
    for (conn, job) in desk.jobs() {
        desk.answer(conn, &job, &answer(&job));
    }
    for n in 4..4 + others {
        desk.peer(n, 1);
    }
    desk.wait(1_000);
    desk.heard();
    desk.settled();
    (desk, client, first)
}

/// Has a task run by peer 2 or 3, and waits for the golden one it brings.
fn golden(desk: &mut Desk, client: ConnId, number: u64) -> (ConnId, Job, (ServerToPeer, Bytes)) {
    desk.client_says(client, submit(number, 1));
    let (conn, job) = desk.jobs().remove(0);
    desk.answer(conn, &job, &job.truth());
    assert!(desk.jobs().is_empty(), "not at the moment the task came");
    let until = desk.now + 1_001;
    while desk.now < until {
        desk.wait(1);
        let found = desk.to_peers.iter().find(|(_, m, _)| matches!(m, ServerToPeer::Assign { .. }));
        if let Some((_, message, payload)) = found {
            let frame = (message.clone(), payload.clone());
            let (conn, job) = desk.jobs().remove(0);
            return (conn, job, frame);
        }
    }
    panic!("no golden task came")
}

fn standing(desk: &mut Desk, conn: ConnId) -> Vec<(Standing, bool)> {
    desk.wait(1_000);
    let of = desk.settled().into_iter().filter(|(c, _)| *c == conn);
    of.map(|(_, e)| (e.standing, e.earned > usd(0))).collect()
}

#[test]
fn a_peer_cannot_tell_a_golden_task_from_another() {
    let (mut desk, client, first) = confirmed(config(), Job::truth, 1);
    let (conn, job, frame) = golden(&mut desk, client, 1);
    assert_eq!(conn, ConnId(104), "the others saw it");
    assert_eq!(seen(&frame.0), seen(&first.0), "but for the task's identity and what is new in every attempt");
    assert_eq!(frame.1, first.1);
    let (ServerToPeer::Assign { task, ticket, .. }, ServerToPeer::Assign { task: before, ticket: first, .. }) =
        (frame.0, first.0)
    else {
        panic!("assignments")
    };
    assert!(task != before && ticket.len() == first.len());
    desk.answer(conn, &job, &job.truth());
    assert_eq!(standing(&mut desk, conn), [(Standing::Agreed, true)], "and is paid");
    assert_eq!(desk.heard().len(), 2, "only the client's own task was answered");
    assert_eq!((desk.market.stats().goldens, desk.market.stats().tasks), (1, 0));
    // It has seen it now, and so has everybody.
    desk.client_says(client, submit(2, 1));
    let (conn, job) = desk.jobs().remove(0);
    desk.answer(conn, &job, &job.truth());
    desk.wait(2_000);
    assert!(desk.jobs().is_empty());
}

#[test]
fn a_wrong_golden_answer_is_a_lie_if_others_say_so() {
    let (mut desk, client, _) = confirmed(config(), Job::truth, 2);
    let (liar, job, _) = golden(&mut desk, client, 1);
    desk.answer(liar, &job, &execution(&[1], 100));
    let (other, again) = desk.jobs().remove(0);
    assert!(other != liar && other >= ConnId(104), "another that never saw it");
    desk.answer(other, &again, &again.truth());
    assert!(standing(&mut desk, liar).contains(&(Standing::Outvoted, false)));
    assert_eq!(desk.market.stats().goldens_refuted, 0);
}

#[test]
fn what_a_ring_confirmed_is_refuted_and_harms_nobody() {
    let (mut desk, client, _) = confirmed(config(), |job| execution(b"ring", job.max_units), 2);
    let (first, job, _) = golden(&mut desk, client, 1);
    desk.answer(first, &job, &job.truth());
    let (second, again) = desk.jobs().remove(0);
    desk.answer(second, &again, &again.truth());
    desk.wait(1_000);
    let stats = desk.market.stats();
    assert_eq!((stats.goldens_refuted, stats.votes_outvoted, stats.golden_bytes), (1, 0, 0), "and is golden no more");
}

#[test]
fn where_nobody_else_offers_the_class_a_golden_task_checks() {
    // Everything of a newcomer is to be audited, and chance brings no golden tasks.
    let trust = TrustConfig { golden_ppm: 1, ..TrustConfig::default() };
    let (mut desk, client, _) = confirmed(MarketConfig { trust, ..plain() }, Job::truth, 1);
    for n in [2, 3] {
        desk.input(Input::Disconnected { conn: ConnId(100 + n) });
    }
    let (conn, job, _) = golden(&mut desk, client, 1);
    assert_eq!(conn, ConnId(104));
    desk.answer(conn, &job, &execution(&[1], 100));
    assert!(standing(&mut desk, conn).contains(&(Standing::Outvoted, false)), "nobody is left to ask");
    assert!(desk.market.stats().tasks_withdrawn > 0, "what it did unchecked is worth nothing now");
    assert_eq!(desk.market.ledger().withheld(account(4)), usd(0));
}
