//! What the market learns of durations, and what it makes of that.

use p2c2r_core::{ConnId, MarketConfig};
use p2c2r_protocol::message::{ClientToServer, Refusal, ServerToClient, ServerToPeer};

use crate::fixture::{Desk, cpu, learn, unhedged, within};

/// Peers from 2 on with `slots` each, no audits, and a client.
fn desk(config: MarketConfig, peers: u8, slots: u16) -> (Desk, ConnId) {
    let mut desk = Desk::new(config);
    for n in 2..2 + peers {
        desk.peer(n, slots);
    }
    let client = desk.client(1, 0, 500_000);
    desk.heard();
    (desk, client)
}

/// The one refusal heard since the last call, if any.
fn refusal(desk: &mut Desk) -> Option<(Refusal, String)> {
    desk.heard().into_iter().find_map(|m| match m {
        ServerToClient::TaskRefused { code, message, .. } => Some((code, message)),
        _ => None,
    })
}

/// How many of 64 tasks with this deadline are refused at once; what is taken is cancelled at once.
fn refused(desk: &mut Desk, client: ConnId, from: u64, deadline_ms: u32) -> u32 {
    let mut refused = 0;
    for number in from..from + 64 {
        desk.client_says(client, within(number, deadline_ms));
        refused += u32::from(refusal(desk).is_some());
        desk.client_says(client, ClientToServer::Cancel { number });
    }
    desk.jobs();
    desk.heard();
    refused
}

#[test]
fn what_cannot_be_in_time_is_refused_at_once_and_says_so() {
    let (mut desk, client) = desk(unhedged(), 3, 1);
    desk.client_says(client, within(0, 1));
    assert_eq!(refusal(&mut desk), None, "without a prediction everything is tried");
    desk.wait(1);
    desk.jobs();
    desk.heard();

    learn(&mut desk, client, 1..60, |_| 40);
    let mut messages = Vec::new();
    for number in 100..110 {
        desk.client_says(client, within(number, 30));
        messages.extend(refusal(&mut desk));
    }
    // One in 32 is tried all the same; by the seed of the dice three of these.
    assert!(messages.len() >= 7, "{messages:?}");
    for (code, message) in &messages {
        assert_eq!(*code, Refusal::Deadline);
        assert_eq!(message, "predicted to take 41 ms (0 waiting, 41 running), its deadline is 30 ms");
    }
    assert_eq!(desk.market.stats().tasks_refused_late, messages.len() as u64);
    desk.wait(100_000);
    desk.heard();
    desk.jobs();
    for number in 200..210 {
        desk.client_says(client, within(number, 50));
        assert_eq!(refusal(&mut desk), None);
        let (conn, job) = desk.jobs().remove(0);
        desk.answer(conn, &job, &job.truth());
    }
}

#[test]
fn a_line_is_as_long_as_all_classes_take_to_serve_it() {
    let mut desk = Desk::new(unhedged());
    desk.peer_of(2, 1, &[cpu(1)]);
    desk.peer_of(3, 1, &[cpu(2)]);
    let client = desk.client(1, 0, 500_000);
    learn(&mut desk, client, 0..60, |_| 20);
    (60..62).for_each(|number| desk.client_says(client, within(number, 60_000)));
    assert_eq!((desk.jobs().len(), refusal(&mut desk)), (2, None));
    // Two at a time, the last of them from 80 to 100 ms.
    for number in 62..70 {
        desk.client_says(client, within(number, 100));
        assert_eq!(refusal(&mut desk), None, "{number}");
    }
    let refused = (70..102).filter(|number| {
        desk.client_says(client, within(*number, 100));
        refusal(&mut desk).is_some()
    });
    assert!(refused.count() > 28, "but for one in 32");
}

#[test]
fn who_drops_what_it_accepts_is_soon_given_nothing() {
    let (mut desk, client) = desk(unhedged(), 4, 1);
    learn(&mut desk, client, 0..60, |_| 20);
    let hoarder = ConnId(102);
    let mut given = Vec::new();
    for number in 100..1_100 {
        desk.client_says(client, within(number, 100));
        let (conn, job) = desk.jobs().remove(0);
        given.push(conn == hoarder);
        desk.wait(20);
        if conn != hoarder {
            desk.answer(conn, &job, &job.truth());
        }
        desk.wait(100);
        desk.heard();
    }
    let half = |of: &[bool]| of.iter().filter(|g| **g).count();
    let (first, second) = (half(&given[..500]), half(&given[500..]));
    assert!((3..=10).contains(&first) && second <= 2, "{first} and {second} of 500");

    // Nobody is blamed for what hardly anybody could do.
    let faults = desk.market.stats().faults;
    for number in 2_000..2_300 {
        desk.client_says(client, within(number, 1));
        desk.wait(1);
        desk.jobs();
        desk.heard();
    }
    assert_eq!(desk.market.stats().faults, faults);
}

#[test]
fn what_is_mostly_called_off_at_its_deadline_is_refused_until_peers_are_quick() {
    let (mut desk, client) = desk(unhedged(), 3, 1);
    // Everybody would take longer than all clients wait.
    let mut refused = Vec::new();
    for number in 0..400 {
        desk.client_says(client, within(number, 100));
        refused.push(refusal(&mut desk).is_some());
        desk.jobs();
        desk.wait(100);
        desk.heard();
    }
    let half = |of: &[bool]| of.iter().filter(|r| **r).count();
    assert!(refused[..16].iter().all(|r| !r), "{refused:?}");
    assert!(half(&refused[200..]) > 185, "but for one in 32: {refused:?}");
    assert_eq!(desk.market.stats().faults, 0, "nobody is to blame");
    desk.client_says(client, within(400, 10_000));
    assert_eq!(refusal(&mut desk), None, "whether so much is enough nobody knows");
    desk.jobs();
    desk.client_says(client, ClientToServer::Cancel { number: 400 });
    desk.heard();

    refused_until_found_out(&mut desk, client, 500, 100);
}

/// Submits tasks of 100 ms that are done in 20, one each `pause_ms`, until 64 in a row are taken; how many were refused.
fn refused_until_found_out(desk: &mut Desk, client: ConnId, first: u64, pause_ms: u64) -> u32 {
    let (mut refusals, mut taken_in_row, mut number) = (0, 0, first);
    while taken_in_row < 64 {
        desk.client_says(client, within(number, 100));
        match refusal(desk) {
            Some(_) => (refusals, taken_in_row) = (refusals + 1, 0),
            None => taken_in_row += 1,
        }
        for (conn, job) in desk.jobs() {
            desk.wait(20);
            desk.answer(conn, &job, &job.truth());
        }
        desk.wait(pause_ms);
        desk.heard();
        number += 1;
        assert!(refusals < 10_000, "it is never found out");
    }
    refusals
}

#[test]
fn who_is_late_is_called_off() {
    let (mut desk, client) = desk(unhedged(), 2, 1);
    learn(&mut desk, client, 0..60, |_| 20);
    desk.to_peers.clear();
    desk.client_says(client, within(100, 100));
    let (conn, job) = desk.jobs().remove(0);
    desk.wait(100);
    let cancelled = |(to, m, _): &(ConnId, ServerToPeer, _)| {
        *to == conn && matches!(m, ServerToPeer::Cancel { nonce } if *nonce == job.nonce)
    };
    assert!(desk.to_peers.iter().any(cancelled), "it need not finish what nobody waits for");
    assert_eq!(desk.market.stats().faults, 1);
}

#[test]
fn one_slow_peer_refuses_nobody() {
    // Most of what is known of the work is the slow peer's doing.
    let (mut desk, client) = desk(unhedged(), 1, 1);
    learn(&mut desk, client, 0..60, |_| 500);
    assert!(refused(&mut desk, client, 100, 100) > 55, "alone, it is the truth");
    desk.peer(3, 1);
    assert_eq!(refused(&mut desk, client, 200, 100), 0, "nothing is known of the other one");
    let fast = |conn: ConnId| if conn == ConnId(103) { 20 } else { 500 };
    learn(&mut desk, client, 300..340, fast);
    assert_eq!(refused(&mut desk, client, 400, 100), 0, "the other one is known to be fast");
}

#[test]
fn times_that_have_become_better_are_found_out() {
    let (mut desk, client) = desk(unhedged(), 2, 1);
    learn(&mut desk, client, 0..80, |_| 500);
    let refusals = refused_until_found_out(&mut desk, client, 100, 2_000);
    assert!(refusals > 1_000, "one in 32 is tried: {refusals}");
}

#[test]
fn who_would_wait_too_long_is_refused_and_who_would_not_waits() {
    let (mut desk, client) = desk(unhedged(), 2, 2);
    learn(&mut desk, client, 0..60, |_| 40);
    // 41 ms each on four slots: before the twelfth to wait are 113 ms of work.
    let refusals = (100..130).filter(|&number| {
        desk.client_says(client, within(number, 150));
        refusal(&mut desk).is_some_and(|(code, message)| {
            assert_eq!(code, Refusal::Deadline);
            assert!(message.contains(" waiting, 41 running), its deadline is 150 ms"), "{message}");
            true
        })
    });
    let refusals = refusals.count();
    let pending = desk.market.stats().pending;
    // One in 32 of the refused is tried all the same; the dice are seeded.
    assert!((11..=13).contains(&pending) && refusals + 4 + pending as usize == 30, "{refusals} {pending}");

    // Nobody of another session is before its first one but one task.
    desk.deposit(9, 10_000);
    let other = desk.client(9, 0, 10_000);
    desk.client_says(other, within(0, 150));
    assert_eq!(refusal(&mut desk), None);
}
