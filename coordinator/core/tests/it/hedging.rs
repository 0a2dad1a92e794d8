//! A second attempt where the first is slow.

use p2c2r_core::{ConnId, MarketConfig, TrustConfig};
use p2c2r_protocol::message::{Fault, PeerToServer, Refusal, ServerToClient, ServerToPeer, Standing, Verdict};

use crate::fixture::{Desk, Job, execution, learn, plain, submit, usd, within};

/// What everybody takes while the market learns.
const USUAL_MS: u64 = 20;

/// Peers from 2 on that are known to take [`USUAL_MS`], and a client. The number of the next task.
fn desk(config: MarketConfig, peers: u8) -> (Desk, ConnId, u64) {
    let mut desk = Desk::new(config);
    for n in 2..2 + peers {
        desk.peer(n, 4);
    }
    let client = desk.client(1, 0, 900_000);
    learn(&mut desk, client, 0..80, |_| USUAL_MS);
    desk.wait(2_000);
    desk.settled();
    (desk, client, 80)
}

/// A task whose first attempt is slow: that one, and the hedge.
fn hedged(desk: &mut Desk, client: ConnId, number: u64) -> ((ConnId, Job), (ConnId, Job)) {
    desk.client_says(client, within(number, 100));
    let slow = desk.jobs().remove(0);
    desk.wait(USUAL_MS / 2);
    assert!(desk.jobs().is_empty(), "it is not slow yet");
    desk.wait(USUAL_MS);
    let mut hedges = desk.jobs();
    assert_eq!(hedges.len(), 1);
    (slow, hedges.remove(0))
}

fn verdicts(desk: &mut Desk) -> Vec<Verdict> {
    let heard = desk.heard();
    heard
        .iter()
        .filter_map(|m| if let ServerToClient::TaskVerdict { verdict, .. } = m { Some(*verdict) } else { None })
        .collect()
}

fn cancelled(desk: &Desk, who: &(ConnId, Job)) -> bool {
    desk.to_peers
        .iter()
        .any(|(conn, m, _)| *conn == who.0 && matches!(m, ServerToPeer::Cancel { nonce } if *nonce == who.1.nonce))
}

#[test]
fn the_first_answer_wins_and_the_loser_is_called_off() {
    for first_wins in [false, true] {
        let (mut desk, client, number) = desk(plain(), 3);
        let (slow, hedge) = hedged(&mut desk, client, number);
        assert_ne!(slow.0, hedge.0, "another owner");
        let (winner, loser) = if first_wins { (&slow, &hedge) } else { (&hedge, &slow) };
        desk.answer(winner.0, &winner.1, &winner.1.truth());
        assert!(matches!(
            desk.heard()[..],
            [ServerToClient::TaskResult { .. }, ServerToClient::TaskVerdict { verdict: Verdict::Confirmed { .. }, .. }]
        ));
        assert!(cancelled(&desk, loser) && !cancelled(&desk, winner));
        let stats = desk.market.stats();
        assert_eq!((stats.hedges, stats.hedges_won, stats.reissues), (1, u64::from(!first_wins), 0));
        desk.wait(60_000);
        assert!(desk.jobs().is_empty(), "nothing else is tried");
        assert_eq!((desk.market.stats().faults, desk.market.stats().tasks), (0, 0), "the loser did nothing wrong");
    }
}

#[test]
fn a_right_answer_that_lost_is_paid_like_the_one_that_won() {
    let (mut desk, client, number) = desk(plain(), 3);
    // Just before a batch is due, for a task of before.
    desk.client_says(client, within(number, 100));
    let (conn, job) = desk.jobs().remove(0);
    desk.answer(conn, &job, &job.truth());
    desk.wait(950);
    let (slow, hedge) = hedged(&mut desk, client, number + 1);
    desk.answer(hedge.0, &hedge.1, &hedge.1.truth());
    desk.wait(500);
    desk.settled();
    // The word that it is called off crossed with its answer.
    desk.answer(slow.0, &slow.1, &slow.1.truth());
    desk.wait(1_000);
    let cost = 7 * slow.1.truth().units;
    let each = usd((cost * 75 / 100) / 2);
    let settled = desk.settled();
    assert_eq!(settled.len(), 2, "{settled:?}");
    for who in [&slow, &hedge] {
        let entry = settled.iter().find(|(conn, e)| *conn == who.0 && e.nonce == who.1.nonce).unwrap();
        assert_eq!((entry.1.standing, entry.1.earned), (Standing::Agreed, each));
    }
    assert_eq!(desk.market.stats().tasks, 0);
}

#[test]
fn a_loser_that_says_nothing_does_not_hold_up_the_winners_pay_for_long() {
    let (mut desk, client, number) = desk(plain(), 3);
    let (_, hedge) = hedged(&mut desk, client, number);
    desk.answer(hedge.0, &hedge.1, &hedge.1.truth());
    desk.wait(2_000);
    assert!(matches!(&desk.settled()[..], [(conn, e)] if *conn == hedge.0 && e.standing == Standing::Agreed));
}

#[test]
fn hedges_stay_within_their_budget() {
    let (mut desk, client, number) = desk(plain(), 3);
    // Everybody has become slow, and ever slower: all are past what was usual.
    for number in number..number + 200 {
        desk.client_says(client, within(number, 60_000));
        desk.wait(USUAL_MS + 5 * (number - 80));
        for (conn, job) in desk.jobs() {
            desk.answer(conn, &job, &job.truth());
        }
        desk.wait(2_000);
    }
    let stats = desk.market.stats();
    assert!(stats.hedges > 8, "{}", stats.hedges);
    assert!(stats.hedges * 10 <= stats.attempts - stats.hedges, "{} of {}", stats.hedges, stats.attempts);

    let (mut off, client, number) = self::desk(crate::fixture::unhedged(), 3);
    off.client_says(client, within(number, 10_000));
    off.wait(9_000);
    assert_eq!((off.jobs().len(), off.market.stats().hedges), (1, 0));
}

#[test]
fn nobody_is_asked_twice_for_what_is_delivered_or_too_late_or_has_no_other_owner() {
    // Delivered: the second of two may take its time.
    let (mut desk, client, number) = desk(plain(), 3);
    desk.client_says(client, submit(number, 2));
    let jobs = desk.jobs();
    desk.answer(jobs[0].0, &jobs[0].1, &jobs[0].1.truth());
    desk.wait(90);
    assert_eq!((desk.jobs().len(), desk.market.stats().hedges), (0, 0));

    // Too late: the deadline comes before anybody is slow, in a task that is tried without a chance.
    let (mut alone, client, number) = self::desk(plain(), 1);
    alone.client_says(client, within(number, 100));
    alone.wait(99);
    assert_eq!((alone.jobs().len(), alone.market.stats().hedges), (1, 0));
}

#[test]
fn what_is_compared_is_not_hedged() {
    let (mut desk, client, number) = desk(plain(), 5);
    desk.client_says(client, submit(number, 2));
    assert_eq!(desk.jobs().len(), 2);
    desk.wait(99);
    assert_eq!((desk.jobs().len(), desk.market.stats().hedges), (0, 0));
}

/// Peers 2 and 3 are trusted, 4 and 5 are new: a hedge given to one of them is checked. The slow attempt, the hedge, and
/// the check.
fn checked_hedge() -> (Desk, [(ConnId, Job); 3]) {
    let trust = TrustConfig { probation: 4, floor_ppm: 0, unchecked_ppm: 1_000_000, ..TrustConfig::default() };
    let mut desk = Desk::new(MarketConfig { trust, suspend_outvoted: 8, ..MarketConfig::default() });
    for n in 2..=3 {
        desk.peer(n, 1);
    }
    let client = desk.client(1, 0, 900_000);
    for number in 0..60 {
        desk.client_says(client, within(number, 60_000));
        let jobs = desk.jobs();
        desk.wait(USUAL_MS);
        jobs.iter().for_each(|(conn, job)| desk.answer(*conn, job, &job.truth()));
        desk.wait(2_000);
    }
    desk.client_says(client, within(60, 60_000));
    let mut jobs = desk.jobs();
    assert_eq!(jobs.len(), 1, "both are trusted");
    let other = if jobs[0].0 == ConnId(102) { ConnId(103) } else { ConnId(102) };
    desk.input(p2c2r_core::Input::Disconnected { conn: other });
    desk.peer(4, 1);
    desk.peer(5, 1);
    desk.wait(2 * USUAL_MS);
    jobs.extend(desk.jobs());
    desk.heard();
    desk.wait(2_000);
    desk.settled();
    let jobs: [_; 3] = jobs.try_into().unwrap();
    assert!(jobs[1].0.0 >= 104 && jobs[2].0.0 >= 104);
    (desk, jobs)
}

#[test]
fn a_hedge_and_whom_it_stands_in_for_are_one_voice() {
    let (mut desk, [slow, hedge, check]) = checked_hedge();
    // Two of a ring that hold both ends.
    desk.answer(hedge.0, &hedge.1, &execution(&[1], 100));
    assert!(matches!(desk.heard()[..], [ServerToClient::TaskResult { confirmed: false, .. }]));
    desk.answer(slow.0, &slow.1, &execution(&[1], 100));
    assert_eq!(desk.heard(), [], "the same again is no second vote");
    desk.answer(check.0, &check.1, &check.1.truth());
    let unverified = Verdict::Unverified { code: Refusal::NoPeers };
    assert_eq!(verdicts(&mut desk), [unverified], "it is disputed, and nobody else is there");

    let (mut desk, [slow, hedge, check]) = checked_hedge();
    desk.answer(hedge.0, &hedge.1, &execution(&[1], 100));
    desk.answer(check.0, &check.1, &check.1.truth());
    desk.heard();
    desk.answer(slow.0, &slow.1, &slow.1.truth());
    assert!(matches!(verdicts(&mut desk)[..], [Verdict::Revoked { .. }]), "what contradicts counts");

    let (mut desk, [slow, hedge, check]) = checked_hedge();
    desk.answer(slow.0, &slow.1, &slow.1.truth());
    desk.answer(hedge.0, &hedge.1, &hedge.1.truth());
    desk.heard();
    desk.answer(check.0, &check.1, &check.1.truth());
    assert!(matches!(verdicts(&mut desk)[..], [Verdict::Confirmed { .. }]));
    desk.wait(2_000);
    let paid = desk.settled().iter().filter(|(_, e)| e.standing == Standing::Agreed && e.earned > usd(0)).count();
    assert_eq!(paid, 3, "all three were right");
}

#[test]
fn a_hedge_and_a_replacement_look_like_any_attempt() {
    // What the last of a task's attempts is sent when this has happened since the first.
    let sent = |happens: fn(&mut Desk, &(ConnId, Job)), attempts: usize| {
        let (mut desk, client, number) = desk(plain(), 4);
        desk.client_says(client, within(number, 100));
        let mut all: Vec<_> = desk.to_peers.clone();
        let first = desk.jobs().remove(0);
        happens(&mut desk, &first);
        all.extend(desk.to_peers);
        all.retain(|(_, m, _)| matches!(m, ServerToPeer::Assign { .. }));
        assert_eq!(all.len(), attempts);
        let (_, message, payload) = all.pop().unwrap();
        let (mut known, length) = crate::trust::seen(&message);
        // When it was issued.
        known[202..210].fill(0);
        (known, length, payload)
    };
    let ordinary = sent(|_, _| {}, 1);
    let hedge = sent(|desk, _| desk.wait(2 * USUAL_MS), 2);
    let replacement = sent(
        |desk, (conn, job)| {
            desk.wait(USUAL_MS / 2);
            let fault = PeerToServer::Fault { ticket: job.ticket.clone(), fault: Fault::Resources };
            desk.peer_says(*conn, fault, bytes::Bytes::new());
        },
        2,
    );
    assert_eq!(hedge, ordinary);
    assert_eq!(replacement, ordinary);
}
