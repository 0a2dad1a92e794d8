//! The operator's referee: asked when votes differ, and right by definition.

use bytes::Bytes;
use p2c2r_core::{ConnId, Input, MarketConfig};
use p2c2r_protocol::message::{Basis, Fault, PeerToServer, ServerToClient, Standing, Verdict};

use crate::fixture::{Desk, Job, account, execution, plain, submit, usd};

const REFEREE: u8 = 9;
const AT: ConnId = ConnId(100 + REFEREE as u64);

/// `peers` peers, a referee, a client.
fn desk(peers: u8) -> (Desk, ConnId) {
    let mut desk = Desk::new(MarketConfig { referees: [account(REFEREE)].into(), ..plain() });
    for n in 2..2 + peers {
        desk.peer(n, 1);
    }
    desk.peer(REFEREE, 1);
    let client = desk.client(1, 0, 100_000);
    desk.heard();
    (desk, client)
}

/// A task with two replicas, of which the first answers wrong and a third one just as wrong: the ring's quorum.
fn ring_rules(desk: &mut Desk, client: ConnId) -> (Vec<ConnId>, ConnId, Job) {
    desk.client_says(client, submit(0, 2));
    let jobs = desk.jobs();
    desk.answer(jobs[0].0, &jobs[0].1, &execution(&[1], 100));
    desk.answer(jobs[1].0, &jobs[1].1, &jobs[1].1.truth());
    let third = desk.jobs().remove(0);
    assert_ne!(third.0, AT, "first another peer");
    desk.heard();
    desk.answer(third.0, &third.1, &execution(&[1], 100));
    let (conn, job) = desk.jobs().remove(0);
    assert_eq!(conn, AT, "then the referee");
    assert_eq!(desk.heard(), [], "before any verdict");
    (vec![jobs[0].0, third.0], jobs[1].0, job)
}

fn standing(desk: &mut Desk) -> impl Fn(ConnId) -> Standing + use<> {
    desk.wait(1_000);
    let settled = desk.settled();
    move |conn| settled.iter().find(|(c, _)| *c == conn).unwrap().1.standing
}

#[test]
fn a_ring_with_a_majority_does_not_outvote_the_truth() {
    let (mut desk, client) = desk(3);
    let (liars, honest, job) = ring_rules(&mut desk, client);
    desk.answer(AT, &job, &job.truth());
    let (_, message, payload) = desk.to_clients.pop().unwrap();
    assert!(matches!(
        message,
        ServerToClient::TaskVerdict { verdict: Verdict::Revoked { basis: Basis::Referee, .. }, .. }
    ));
    assert_eq!(payload, job.truth().output);
    let standing = standing(&mut desk);
    assert!(liars.into_iter().all(|liar| standing(liar) == Standing::Outvoted));
    assert_eq!((standing(honest), standing(AT)), (Standing::Agreed, Standing::Agreed));
    assert_eq!(desk.market.stats().tasks_on_referee, 1);
    assert!(desk.market.balance(account(REFEREE)) > Some(usd(0)), "it is paid as everybody who was right");
}

#[test]
fn without_the_referee_the_quorum_rules() {
    let lost: [fn(&mut Desk, &Job); 3] = [
        |desk, _| desk.input(Input::Disconnected { conn: AT }),
        |desk, job| {
            let fault = PeerToServer::Fault { ticket: job.ticket.clone(), fault: Fault::Resources };
            desk.peer_says(AT, fault, Bytes::new());
        },
        |desk, _| desk.wait(20_000),
    ];
    for lose in lost {
        let (mut desk, client) = desk(3);
        let (liars, _, job) = ring_rules(&mut desk, client);
        lose(&mut desk, &job);
        let heard = desk.heard();
        assert!(
            matches!(heard[..], [ServerToClient::TaskVerdict { verdict: Verdict::Confirmed { .. }, .. }]),
            "{heard:?}"
        );
        assert_eq!(desk.market.stats().tasks_on_referee, 0);
        if desk.market.stats().batches == 0 {
            assert_eq!(standing(&mut desk)(liars[0]), Standing::Agreed, "which is why there is a referee");
        }
    }
}

#[test]
fn where_everybody_differs_the_referee_decides() {
    let (mut desk, client) = desk(2);
    desk.client_says(client, submit(0, 2));
    let jobs = desk.jobs();
    desk.answer(jobs[0].0, &jobs[0].1, &execution(&[1], 100));
    desk.answer(jobs[1].0, &jobs[1].1, &jobs[1].1.truth());
    let (conn, job) = desk.jobs().remove(0);
    assert_eq!(conn, AT, "nobody else is left");
    desk.answer(AT, &job, &job.truth());
    assert!(matches!(desk.heard().last(), Some(ServerToClient::TaskVerdict { verdict: Verdict::Revoked { .. }, .. })));
    let standing = standing(&mut desk);
    assert_eq!((standing(jobs[0].0), standing(jobs[1].0)), (Standing::Outvoted, Standing::Agreed));
}

#[test]
fn a_referee_gets_no_ordinary_work() {
    let (mut desk, client) = desk(0);
    desk.client_says(client, submit(0, 1));
    assert!(matches!(desk.heard()[..], [ServerToClient::TaskRefused { .. }]));
    assert!(desk.jobs().is_empty());
}
