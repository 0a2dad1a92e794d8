//! Tasks from submit to pay.

use p2c2r_core::{ConnId, Input};
use p2c2r_protocol::message::{
    Basis, ClientToServer, Fault, Mode, PeerToServer, Refusal, ServerToClient, ServerToPeer, Standing, Verdict,
};
use p2c2r_signing::{Seal, TraceRoot};

use crate::fixture::{Desk, Execution, RATE, account, cpu, execution, key, plain, submit, usd};

/// Three peers with a slot each and a client with a session of 100,000 nano-USD.
fn desk() -> (Desk, ConnId) {
    let mut desk = Desk::new(plain());
    for n in 2..=4 {
        desk.peer(n, 1);
    }
    let client = desk.client(1, 0, 100_000);
    desk.heard();
    (desk, client)
}

fn wrong(n: u8) -> Execution {
    execution(&[n], 100)
}

fn verdicts(heard: &[ServerToClient]) -> Vec<Verdict> {
    let verdict = |m: &ServerToClient| match m {
        ServerToClient::TaskVerdict { verdict, .. } => Some(*verdict),
        _ => None,
    };
    heard.iter().filter_map(verdict).collect()
}

#[test]
fn the_first_answer_is_delivered_and_money_moves_with_the_second() {
    let (mut desk, client) = desk();
    desk.client_says(client, submit(0, 2));
    let jobs = desk.jobs();
    assert_eq!(jobs.len(), 2);
    let right = jobs[0].1.truth();
    desk.answer(jobs[0].0, &jobs[0].1, &right);
    let first = desk.to_clients.pop().unwrap();
    assert!(
        matches!(first.1, ServerToClient::TaskResult { number: 0, confirmed: false, units, .. } if units == right.units)
    );
    assert_eq!(first.2, right.output);
    desk.wait(2_000);
    assert!(desk.commits.iter().all(|c| c.records.len() < 3), "nothing is settled on one vote");

    let mut desk = self::desk().0;
    desk.client_says(client, submit(0, 2));
    let jobs = desk.jobs();
    for (conn, job) in &jobs {
        desk.answer(*conn, job, &right_of(job));
    }
    let cost = usd(RATE * right_of(&jobs[0].1).units * 2);
    assert_eq!(verdicts(&desk.heard()), [Verdict::Confirmed { cost, basis: Basis::Quorum }]);
    assert_eq!(desk.settled(), [], "peers hear of it when it is durable");
    desk.durable = false;
    desk.wait(1_000);
    assert_eq!(desk.settled(), []);
    let commit = desk.commits.last().unwrap().id;
    desk.input(Input::Committed { commit });
    let each = usd(cost.nano_usd() * 75 / 100 / 2);
    let settled = desk.settled();
    assert_eq!(settled.len(), 2);
    assert!(settled.iter().all(|(_, e)| e.standing == Standing::Agreed && e.earned == each));
    for (conn, _) in &jobs {
        let owner = account(u8::try_from(conn.0 - 100).unwrap());
        assert_eq!(desk.market.balance(owner), Some(each));
    }
    assert_eq!(desk.market.platform(), usd(cost.nano_usd() - 2 * each.nano_usd()));
}

fn right_of(job: &crate::fixture::Job) -> Execution {
    job.truth()
}

#[test]
fn a_lie_delivered_first_is_revoked_and_earns_nothing() {
    let (mut desk, client) = desk();
    desk.client_says(client, submit(0, 2));
    let jobs = desk.jobs();
    let (liar, lie) = (&jobs[0], wrong(1));
    desk.answer(liar.0, &liar.1, &lie);
    desk.answer(jobs[1].0, &jobs[1].1, &jobs[1].1.truth());
    let third = desk.jobs();
    assert_eq!(third.len(), 1, "disagreement asks one more owner");
    assert!(jobs.iter().all(|(conn, _)| *conn != third[0].0));
    desk.to_clients.remove(0);
    desk.answer(third[0].0, &third[0].1, &third[0].1.truth());
    let (_, message, payload) = desk.to_clients.pop().unwrap();
    let right = third[0].1.truth();
    let cost = usd(RATE * right.units * 2);
    assert!(matches!(message, ServerToClient::TaskVerdict { verdict: Verdict::Revoked { cost: c, units, .. }, .. }
            if c == cost && units == right.units));
    assert_eq!(payload, right.output);
    desk.wait(1_000);
    let settled = desk.settled();
    let of_liar: Vec<_> = settled.iter().filter(|(conn, _)| *conn == liar.0).collect();
    assert!(matches!(of_liar[..], [(_, e)] if e.standing == Standing::Outvoted && e.earned == usd(0)));
    assert_eq!(settled.iter().filter(|(_, e)| e.earned > usd(0)).count(), 2);
    assert_eq!(desk.market.stats().tasks_revoked, 1);
}

#[test]
fn more_units_or_output_than_allowed_is_a_wrong_vote() {
    for broken in [
        |right: Execution| Execution { units: 101, ..right },
        |right: Execution| Execution { output: vec![0; 4097].into(), ..right },
    ] {
        let (mut desk, client) = desk();
        desk.client_says(client, submit(0, 1));
        let (conn, job) = desk.jobs().remove(0);
        desk.answer(conn, &job, &broken(job.truth()));
        assert_eq!(desk.heard(), [], "it is not delivered");
        let (other, job) = desk.jobs().remove(0);
        desk.answer(other, &job, &job.truth());
        desk.wait(1_000);
        let settled = desk.settled();
        assert!(settled.iter().any(|(c, e)| *c == conn && e.standing == Standing::Outvoted));
        assert!(settled.iter().any(|(c, e)| *c == other && e.standing == Standing::Agreed));
    }
}

#[test]
fn a_late_right_result_shares_the_pool_until_the_batch_is_cut() {
    let (mut desk, client) = desk();
    desk.client_says(client, submit(0, 2));
    let slow = desk.jobs().remove(0);
    let first: Vec<_> = (2..=4).map(|n| ConnId(100 + n)).filter(|c| *c != slow.0).collect();
    desk.wait(100);
    assert_eq!(desk.market.stats().tasks_unverified, 1, "nobody answered in time");

    desk.client_says(client, submit(1, 1));
    let (fast, job) = desk.jobs().remove(0);
    desk.answer(fast, &job, &job.truth());
    desk.wait(1_000);
    desk.settled();
    desk.answer(slow.0, &slow.1, &slow.1.truth());
    let settled = desk.settled();
    assert!(matches!(&settled[..], [(c, e)] if *c == slow.0 && e.standing == Standing::Void && e.earned == usd(0)));
    assert!(first.len() >= 2);
}

#[test]
fn confirmed_mode_waits_for_the_quorum_and_gives_up_at_the_deadline() {
    let confirmed = |number| match submit(number, 2) {
        ClientToServer::Submit { module, blobs, seed, deadline_ms, priority, replicas, max_units, .. } => {
            let mode = Mode::Confirmed;
            ClientToServer::Submit { number, module, blobs, seed, deadline_ms, priority, mode, replicas, max_units }
        }
        other => other,
    };
    let (mut desk, client) = desk();
    desk.client_says(client, confirmed(0));
    let jobs = desk.jobs();
    desk.answer(jobs[0].0, &jobs[0].1, &jobs[0].1.truth());
    assert_eq!(desk.heard(), []);
    desk.answer(jobs[1].0, &jobs[1].1, &jobs[1].1.truth());
    let heard = desk.heard();
    assert!(matches!(heard[0], ServerToClient::TaskResult { confirmed: true, .. }));
    assert!(matches!(verdicts(&heard)[..], [Verdict::Confirmed { .. }]));

    desk.client_says(client, confirmed(1));
    let jobs = desk.jobs();
    desk.answer(jobs[0].0, &jobs[0].1, &jobs[0].1.truth());
    desk.wait(100);
    assert_eq!(verdicts(&desk.heard()), [Verdict::Unverified { code: Refusal::Deadline }]);
    desk.wait(1_000);
    assert!(desk.settled().iter().any(|(c, e)| *c == jobs[0].0 && e.standing == Standing::Void));
}

#[test]
fn a_fault_a_disconnect_and_a_timeout_go_to_another_owner() {
    type Failure = fn(&mut Desk, ConnId, &crate::fixture::Job);
    let failures: [Failure; 3] = [
        |desk, conn, job| {
            let fault = PeerToServer::Fault { ticket: job.ticket.clone(), fault: Fault::Resources };
            desk.peer_says(conn, fault, bytes::Bytes::new());
        },
        |desk, conn, _| desk.input(Input::Disconnected { conn }),
        |desk, _, _| desk.wait(100),
    ];
    for fail in failures {
        let (mut desk, client) = desk();
        desk.client_says(client, submit(0, 2));
        let jobs = desk.jobs();
        desk.answer(jobs[0].0, &jobs[0].1, &jobs[0].1.truth());
        fail(&mut desk, jobs[1].0, &jobs[1].1);
        let (conn, job) = desk.jobs().remove(0);
        assert!(jobs.iter().all(|(c, _)| *c != conn));
        desk.answer(conn, &job, &job.truth());
        assert!(matches!(verdicts(&desk.heard())[..], [Verdict::Confirmed { .. }]));
        assert_eq!((desk.market.stats().faults, desk.market.stats().reissues), (1, 1));
    }
}

#[test]
fn a_task_ends_at_once_when_nobody_is_left_to_ask() {
    let (mut desk, client) = desk();
    desk.client_says(client, submit(0, 3));
    for (conn, job) in desk.jobs() {
        let fault = PeerToServer::Fault { ticket: job.ticket.clone(), fault: Fault::Gpu };
        desk.peer_says(conn, fault, bytes::Bytes::new());
    }
    assert_eq!(verdicts(&desk.heard()), [Verdict::Unverified { code: Refusal::NoPeers }]);
    assert_eq!(desk.market.stats().tasks, 0);
}

#[test]
fn replicas_go_to_different_owners() {
    let mut desk = Desk::new(plain());
    // Two peers of owner 2, one of owner 3.
    for (conn, owner, k) in [(102, 2, 2), (112, 2, 12), (103, 3, 3)] {
        let conn = ConnId(conn);
        desk.input(Input::PeerConnected {
            conn,
            account: account(owner),
            key: key(k),
            network: crate::fixture::network(k),
        });
        let offer = PeerToServer::Offer { slots: 100, classes: vec![cpu(1)], speed: 1 };
        desk.peer_says(conn, offer, bytes::Bytes::new());
    }
    let client = desk.client(1, 0, 100_000);
    for number in 0..20 {
        desk.client_says(client, submit(number, 2));
        let conns: Vec<u64> = desk.jobs().iter().map(|(conn, _)| conn.0).collect();
        assert_eq!(conns.iter().filter(|c| **c == 103).count(), 1, "{conns:?}");
    }
    desk.heard();
    desk.client_says(client, submit(99, 3));
    assert!(matches!(&desk.heard()[..], [ServerToClient::TaskRefused { code: Refusal::NoPeers, message, .. }]
        if message == "3 replicas need as many owners with peers of one class, there are 2"));
}

#[test]
fn busy_peers_make_tasks_wait_in_turn_until_the_deadline() {
    let (mut desk, client) = desk();
    for number in 0..3 {
        desk.client_says(client, submit(number, 3));
    }
    assert_eq!((desk.market.stats().pending, desk.jobs().len()), (2, 3));
    desk.wait(40);
    desk.client_says(client, ClientToServer::Cancel { number: 2 });
    assert!(matches!(desk.heard()[..], [ServerToClient::TaskRefused { number: 2, code: Refusal::Other, .. }]));
    desk.wait(60);
    let heard = desk.heard();
    assert!(heard.iter().any(|m| matches!(m, ServerToClient::TaskVerdict { number: 0, .. })), "{heard:?}");
    assert!(heard.iter().any(|m| matches!(m, ServerToClient::TaskRefused { number: 1, code: Refusal::Deadline, .. })));
    assert_eq!(desk.market.stats().tasks, 0);

    desk.client_says(client, submit(3, 3));
    desk.client_says(client, submit(4, 3));
    for (conn, job) in desk.jobs() {
        desk.answer(conn, &job, &job.truth());
    }
    assert_eq!(desk.jobs().len(), 3, "the next one starts when the slots are free");
}

#[test]
fn what_is_answered_cannot_be_cancelled_out_of_being_paid() {
    let (mut desk, client) = desk();
    desk.client_says(client, submit(0, 2));
    let jobs = desk.jobs();
    desk.answer(jobs[0].0, &jobs[0].1, &jobs[0].1.truth());
    desk.client_says(client, ClientToServer::Cancel { number: 0 });
    desk.answer(jobs[1].0, &jobs[1].1, &jobs[1].1.truth());
    assert!(matches!(verdicts(&desk.heard())[..], [Verdict::Confirmed { .. }]));

    desk.client_says(client, submit(1, 2));
    let jobs = desk.jobs();
    desk.client_says(client, ClientToServer::Cancel { number: 1 });
    let cancelled = desk.to_peers.iter().filter(|(_, m, _)| matches!(m, ServerToPeer::Cancel { .. })).count();
    assert_eq!((cancelled, jobs.len()), (2, 2));
    assert_eq!(verdicts(&desk.heard()), [Verdict::Unverified { code: Refusal::Other }]);
}

#[test]
fn a_resend_is_the_same_task() {
    let (mut desk, client) = desk();
    desk.client_says(client, submit(0, 1));
    desk.client_says(client, submit(0, 1));
    let jobs = desk.jobs();
    assert_eq!(jobs.len(), 1);
    desk.answer(jobs[0].0, &jobs[0].1, &jobs[0].1.truth());
    desk.answer(jobs[0].0, &jobs[0].1, &jobs[0].1.truth());
    desk.wait(1_000);
    assert_eq!(desk.settled().len(), 1);
    desk.heard();
    desk.client_says(client, submit(0, 1));
    assert!(matches!(&desk.heard()[..], [ServerToClient::TaskRefused { code: Refusal::Protocol, message, .. }]
        if message == "task number 0 was used before"));
}

#[test]
fn a_seal_that_does_not_fit_closes_the_peer_and_counts_as_wrong() {
    let (mut desk, client) = desk();
    desk.client_says(client, submit(0, 2));
    let (conn, job) = desk.jobs().remove(0);
    let (message, payload) = job.result(&key(9), &job.truth());
    desk.peer_says(conn, message, payload);
    assert!(matches!(&desk.closed[..], [(c, Refusal::Protocol, _)] if *c == conn));
    assert_eq!(desk.jobs().len(), 1, "another one is asked");
    assert_eq!(desk.heard(), []);
}

#[test]
fn tickets_of_others_and_garbage_close_the_peer() {
    let outcome = p2c2r_signing::Outcome::Output;
    let (units, trace_root, seal) = (1, TraceRoot::from_bytes([0; 32]), Seal::from_bytes([0; 32]));
    let (mut desk, client) = desk();
    desk.client_says(client, submit(0, 1));
    let (conn, job) = desk.jobs().remove(0);
    let other = (2..=4).map(|n| ConnId(100 + n)).find(|c| *c != conn).unwrap();
    let mut flipped = job.ticket.clone();
    flipped[40] ^= 1;
    for (from, ticket) in [(other, job.ticket.clone()), (conn, flipped)] {
        let message = PeerToServer::Result { ticket, outcome, units, trace_root, seal };
        desk.peer_says(from, message, bytes::Bytes::new());
        let (closed, code, _) = desk.closed.pop().unwrap();
        assert_eq!((closed, code), (from, Refusal::Protocol));
    }
    assert_eq!(desk.heard(), []);
}
