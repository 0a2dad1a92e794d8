//! The operator's referee: asked when votes differ, and right by definition.

use bytes::Bytes;
use p2c2r_core::{ConnId, Input, MarketConfig};
use p2c2r_protocol::message::{Basis, Fault, OfferedClass, PeerToServer, Refusal, ServerToClient, Standing, Verdict};

use crate::fixture::{
    Desk, Job, RATE, account, cpu, exact, exact_manifest, execution, gpu, gpu_manifest, manifest, plain, submit,
    submit_of, usd,
};
use crate::restart::restarted_as;

const REFEREE: u8 = 9;
const AT: ConnId = ConnId(100 + REFEREE as u64);

fn config() -> MarketConfig {
    MarketConfig { referees: [account(REFEREE)].into(), ..plain() }
}

/// `peers` peers, a referee, a client.
fn desk(peers: u8) -> (Desk, ConnId) {
    let mut desk = Desk::new(config());
    for n in 2..2 + peers {
        desk.peer(n, 1);
    }
    desk.peer(REFEREE, 1);
    let client = desk.client(1, 0, 100_000);
    desk.heard();
    (desk, client)
}

/// A task with two replicas, of which the first answers wrong and a third one just as wrong: the ring's quorum.
fn ring_rules(desk: &mut Desk, client: ConnId) -> ([(ConnId, Job); 2], (ConnId, Job), Job) {
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
    let [liar, honest] = <[_; 2]>::try_from(jobs).unwrap();
    ([liar, third], honest, job)
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
    assert!(liars.iter().all(|(liar, _)| standing(*liar) == Standing::Outvoted));
    assert_eq!((standing(honest.0), standing(AT)), (Standing::Agreed, Standing::Agreed));
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
            assert_eq!(standing(&mut desk)(liars[0].0), Standing::Agreed, "which is why there is a referee");
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

/// Another class may have other results, on other adapters: it has a referee of its own, or none. Exact shaders have one on any
/// machine.
#[test]
fn the_referee_is_of_the_class_that_differs() {
    let kernels = [(cpu as fn(u8) -> _, manifest("")), (gpu, gpu_manifest(false)), (exact, exact_manifest(false))];
    for (class_of, manifest) in kernels {
        let class: [OfferedClass; 1] = [class_of(1)];
        let all = [cpu(1), cpu(2), gpu(1), gpu(2), exact(1), exact(2)];
        let others: Vec<_> = all.into_iter().filter(|other| !class.contains(other)).collect();
        for is_there in [true, false] {
            let mut desk =
                Desk::new(MarketConfig { referees: [account(REFEREE - 1), account(REFEREE)].into(), ..plain() });
            desk.kernel(2, manifest.clone());
            desk.peer_of(2, 1, &class);
            desk.peer_of(3, 1, &class);
            desk.peer_of(REFEREE - 1, 2, &others);
            if is_there {
                desk.peer_of(REFEREE, 1, &class);
            }
            let client = desk.client(1, 0, 100_000);
            desk.client_says(client, submit_of(2, 0, 2));
            let jobs = desk.jobs();
            desk.answer(jobs[0].0, &jobs[0].1, &execution(&[1], 100));
            desk.answer(jobs[1].0, &jobs[1].1, &jobs[1].1.truth());
            // To decide, and once more to see whether it agrees with itself.
            for _ in 0..2 * usize::from(is_there) {
                let jobs = desk.jobs();
                let [(conn, job)] = &jobs[..] else { panic!("{jobs:?}") };
                assert_eq!((*conn, job.class), (AT, class[0].class));
                desk.answer(AT, job, &job.truth());
            }
            assert!(desk.jobs().is_empty());
            let heard = desk.heard();
            let Some(ServerToClient::TaskVerdict { verdict, .. }) = heard.last() else { panic!("{heard:?}") };
            match verdict {
                Verdict::Revoked { basis: Basis::Referee, .. } => assert!(is_there),
                verdict => assert_eq!((is_there, *verdict), (false, Verdict::Unverified { code: Refusal::NoPeers })),
            }
        }
    }
}

#[test]
fn a_referee_gets_no_ordinary_work() {
    let (mut desk, client) = desk(0);
    desk.client_says(client, submit(0, 1));
    assert!(matches!(desk.heard()[..], [ServerToClient::TaskRefused { .. }]));
    assert!(desk.jobs().is_empty());
}

/// A ring's majority that the referee outvoted, in a batch that is lost with the coordinator: the results come again, in any order.
#[test]
fn what_the_referee_decided_stands_over_a_restart() {
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [0, 3, 1, 2], [2, 0, 1, 3]] {
        let (mut desk, client) = desk(3);
        let ([liar, other], honest, job) = ring_rules(&mut desk, client);
        desk.answer(AT, &job, &job.truth());
        desk.wait(1_000);
        assert_eq!(desk.market.last_batch(), 1);
        let (right, wrong) = (job.truth(), execution(&[1], 100));
        let attempts = [(liar, &wrong), (other, &wrong), (honest, &right), ((AT, job), &right)];

        let mut desk = restarted_as(&desk, 1, config());
        for n in (2..5).chain([REFEREE]) {
            desk.peer(n, 1);
        }
        desk.client(1, 0, 100_000);
        for ((conn, job), execution) in order.map(|at| &attempts[at]) {
            desk.answer(*conn, job, execution);
            // Longer than from a verdict to its batch.
            desk.wait(2_000);
        }
        assert_eq!(desk.settled(), [], "who comes later is to be settled too");
        desk.wait(config().recovery_ms);
        let verdicts = desk.heard().into_iter().filter_map(|message| match message {
            ServerToClient::TaskVerdict { verdict, .. } => Some(verdict),
            _ => None,
        });
        let cost = usd(RATE * right.units * 2);
        let by_referee = |v: Verdict| match v {
            Verdict::Confirmed { cost, basis } | Verdict::Revoked { cost, basis, .. } => (cost, basis),
            Verdict::Unverified { .. } => panic!("{v:?}"),
        };
        assert_eq!(verdicts.map(by_referee).collect::<Vec<_>>(), [(cost, Basis::Referee)], "{order:?}");
        let settled = desk.settled();
        let standing = |at: usize| settled.iter().find(|(conn, _)| *conn == attempts[at].0.0).unwrap().1.standing;
        let standings = [0, 1, 2, 3].map(standing);
        use Standing::{Agreed, Outvoted};
        assert_eq!(standings, [Outvoted, Outvoted, Agreed, Agreed], "{order:?}");
    }
}

/// The referee never ruled, or does not come back: as much as others agree on is the verdict once the time for results is over.
#[test]
fn over_a_restart_the_quorum_rules_without_the_referee() {
    let (mut desk, client) = desk(2);
    desk.client_says(client, submit(0, 2));
    let jobs = desk.jobs();
    let mut desk = restarted_as(&desk, 0, config());
    for n in 2..4 {
        desk.peer(n, 1);
    }
    desk.client(1, 0, 100_000);
    for (conn, job) in &jobs {
        desk.answer(*conn, job, &job.truth());
    }
    desk.wait(config().recovery_ms + 1_000);
    assert!(matches!(
        desk.heard().last(),
        Some(ServerToClient::TaskVerdict { verdict: Verdict::Confirmed { basis: Basis::Quorum, .. }, .. })
    ));
    assert_eq!(desk.settled().iter().map(|(_, e)| e.standing).collect::<Vec<_>>(), [Standing::Agreed; 2]);
}
