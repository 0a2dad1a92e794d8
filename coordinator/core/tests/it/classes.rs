//! Which class a task runs in. Votes compare only inside one, so of its task nobody outside is asked anything.

use std::collections::BTreeMap;

use bytes::Bytes;
use p2c2r_core::{ConnId, Input, MarketConfig, TrustConfig};
use p2c2r_protocol::message::{Basis, Fault, OfferedClass, PeerToServer, Refusal, ServerToClient, Verdict};
use p2c2r_signing::ClassId;

use crate::fixture::{
    Desk, Execution, Job, cpu, exact, exact_manifest, execution, gpu, gpu_manifest, plain, submit_of,
};

/// Kernels: one that has a CPU path besides its shaders, one that has not, and one whose shaders are exact.
const EITHER: u8 = 2;
const DEVICE: u8 = 3;
const EXACT: u8 = 4;

/// Peers with a slot each, and a client.
fn desk(config: MarketConfig, peers: &[(u8, &[OfferedClass])]) -> (Desk, ConnId) {
    let mut desk = Desk::new(config);
    desk.kernel(EITHER, gpu_manifest(true));
    desk.kernel(DEVICE, gpu_manifest(false));
    desk.kernel(EXACT, exact_manifest(true));
    for (n, classes) in peers {
        desk.peer_of(*n, 1, classes);
    }
    let client = desk.client(1, 0, 100_000);
    desk.heard();
    (desk, client)
}

#[test]
fn a_kernel_with_shaders_goes_to_gpus_and_to_cpus_only_if_it_can() {
    let (mut desk, client) = desk(plain(), &[(2, &[cpu(1)]), (3, &[cpu(1), exact(7)]), (4, &[cpu(1), exact(7)])]);
    desk.client_says(client, submit_of(EITHER, 0, 2));
    assert_eq!(desk.jobs().len(), 2, "the CPU path is as good");
    desk.client_says(client, submit_of(DEVICE, 1, 2));
    assert!(matches!(desk.heard()[..], [ServerToClient::TaskRefused { number: 1, code: Refusal::NoPeers, .. }]));
    for n in 5..=6 {
        desk.peer_of(n, 1, &[cpu(1), gpu(9)]);
    }
    desk.client_says(client, submit_of(EITHER, 2, 2));
    assert!(desk.jobs().iter().all(|(conn, job)| conn.0 >= 105 && job.class == gpu(9).class));
}

#[test]
fn exact_shaders_go_to_their_own_class_wherever_they_run() {
    // Neither the kernel's own CPU path nor an adapter's numeric class will do.
    let (mut desk, client) = desk(plain(), &[(2, &[cpu(1)]), (3, &[cpu(1)]), (5, &[cpu(1), gpu(9)])]);
    desk.client_says(client, submit_of(EXACT, 0, 2));
    assert!(matches!(desk.heard()[..], [ServerToClient::TaskRefused { number: 0, code: Refusal::NoPeers, .. }]));
    // One has an adapter, the other has not.
    desk.peer_of(6, 1, &[cpu(1), exact(7), gpu(9)]);
    desk.peer_of(7, 1, &[cpu(1), exact(7)]);
    desk.client_says(client, submit_of(EXACT, 1, 2));
    let jobs = desk.jobs();
    assert_eq!(jobs.len(), 2);
    assert!(jobs.iter().all(|(_, job)| job.class == exact(7).class));
}

/// Who was asked since the last call, and in which class, in order.
fn asked(jobs: &[(ConnId, Job)]) -> Vec<(u64, ClassId)> {
    let mut asked: Vec<_> = jobs.iter().map(|(conn, job)| (conn.0 - 100, job.class)).collect();
    asked.sort_unstable();
    asked
}

/// Everybody who was asked answers right.
fn answer_all(desk: &mut Desk) -> Vec<(ConnId, Job)> {
    let jobs = desk.jobs();
    jobs.iter().for_each(|(conn, job)| desk.answer(*conn, job, &job.truth()));
    jobs
}

/// How tasks ended, given time: with what they cost, or why not. Nothing is left of them, and what was not spent is the session's.
fn ends(desk: &mut Desk) -> BTreeMap<u64, Result<u64, Refusal>> {
    desk.wait(20_000);
    let end = |message| match message {
        ServerToClient::TaskVerdict { number, verdict: Verdict::Unverified { code } }
        | ServerToClient::TaskRefused { number, code, .. } => Some((number, Err(code))),
        ServerToClient::TaskVerdict {
            number,
            verdict: Verdict::Confirmed { cost, .. } | Verdict::Revoked { cost, .. },
        } => Some((number, Ok(cost.nano_usd()))),
        _ => None,
    };
    let ends: BTreeMap<_, _> = desk.heard().into_iter().filter_map(end).collect();
    let stats = desk.market.stats();
    assert_eq!((stats.tasks, stats.pending, stats.running), (0, 0, 0));
    let session = desk.market.sessions().next().unwrap();
    let spent: u64 = ends.values().flatten().sum();
    assert_eq!((session.reserved.nano_usd(), session.spent.nano_usd()), (0, spent));
    ends
}

#[test]
fn replicas_are_of_one_numeric_class() {
    let (mut desk, client) =
        desk(plain(), &[(2, &[gpu(1)]), (3, &[gpu(1)]), (4, &[gpu(2)]), (5, &[gpu(2)]), (6, &[gpu(3)])]);
    desk.client_says(client, submit_of(DEVICE, 0, 3));
    assert!(matches!(&desk.heard()[..], [ServerToClient::TaskRefused { code: Refusal::NoPeers, message, .. }]
        if message == "3 replicas need as many owners with peers of one class, there are 2"));

    (1..=3).for_each(|number| desk.client_says(client, submit_of(DEVICE, number, 2)));
    let jobs = desk.jobs();
    assert_eq!(asked(&jobs), [(2, gpu(1).class), (3, gpu(1).class), (4, gpu(2).class), (5, gpu(2).class)]);
    let mut answer = |n: u64| {
        let (conn, job) = jobs.iter().find(|(conn, _)| conn.0 == 100 + n).unwrap();
        desk.answer(*conn, job, &job.truth());
        asked(&desk.jobs())
    };
    assert_eq!([answer(2), answer(4)], [[], []], "three owners are free, and no two of a class");
    assert_eq!(answer(5), [(4, gpu(2).class), (5, gpu(2).class)]);
}

/// There are as many classes as kinds of adapters and drivers.
#[test]
fn a_small_class_gets_what_the_larger_are_too_busy_for() {
    let classes: Vec<_> = (1..=6).map(|n| [gpu(n)]).collect();
    let (mut desk, client) = desk(plain(), &[]);
    for (class, n) in classes.iter().zip(2..) {
        desk.peer_of(n, 1, class);
    }
    desk.peer_of(8, 1, &classes[0]);
    desk.peer_of(9, 1, &classes[5]);
    // The first fills one of the classes with two owners; the others are of one replica, and two too many.
    desk.client_says(client, submit_of(DEVICE, 0, 2));
    (1..=8).for_each(|number| desk.client_says(client, submit_of(DEVICE, number, 1)));
    let jobs = desk.jobs();
    assert_eq!((jobs.len(), desk.market.stats().pending), (8, 2));
    let (conn, job) = jobs.iter().find(|(_, job)| job.class == gpu(5).class).unwrap();
    desk.answer(*conn, job, &job.truth());
    assert_eq!(asked(&desk.jobs()), [(6, gpu(5).class)], "and again when it is free");
}

#[test]
fn who_is_of_another_class_settles_no_dispute() {
    let (mut desk, client) = desk(plain(), &[(2, &[gpu(1)]), (3, &[gpu(1)]), (4, &[gpu(2)]), (5, &[gpu(2)])]);
    desk.client_says(client, submit_of(DEVICE, 0, 2));
    let jobs = desk.jobs();
    desk.answer(jobs[0].0, &jobs[0].1, &execution(&[1], 100));
    desk.answer(jobs[1].0, &jobs[1].1, &jobs[1].1.truth());
    let stats = desk.market.stats();
    assert_eq!((asked(&desk.jobs()), stats.tasks_unverified), (vec![], 1), "it ends at once");
    assert_eq!(ends(&mut desk), BTreeMap::from([(0, Err(Refusal::NoPeers))]));
    assert_eq!(desk.market.stats().votes_outvoted, 0, "one voice against another says nothing of either");
}

#[test]
fn who_is_of_another_class_checks_nobody() {
    // Everything of a newcomer is to be audited.
    let (mut desk, client) = desk(MarketConfig::default(), &[(2, &[gpu(1)]), (3, &[gpu(2)])]);
    desk.client_says(client, submit_of(DEVICE, 0, 1));
    assert_eq!(asked(&answer_all(&mut desk)), [(2, gpu(1).class)]);
    let heard = desk.heard();
    let [.., ServerToClient::TaskVerdict { verdict: Verdict::Confirmed { basis, .. }, .. }] = heard[..] else {
        panic!("{heard:?}");
    };
    assert_eq!((basis, desk.market.stats().audits), (Basis::HeldWindow, 0));
}

#[test]
fn golden_tasks_stay_in_their_class() {
    // Every task of one replica brings a golden one, if there is one.
    let trust = TrustConfig { golden_ppm: p2c2r_core::trust::ONE_PPM, ..TrustConfig::OFF };
    let (mut desk, client) = desk(MarketConfig { trust, ..plain() }, &[(2, &[gpu(1)]), (3, &[gpu(1)]), (4, &[gpu(2)])]);
    desk.client_says(client, submit_of(DEVICE, 0, 2));
    let confirmed = answer_all(&mut desk);
    assert_eq!(asked(&confirmed), [(2, gpu(1).class), (3, gpu(1).class)]);
    confirmed.iter().for_each(|(conn, _)| desk.input(Input::Disconnected { conn: *conn }));

    // Each finds a peer that never saw it; the first one's is of the other class.
    for (number, peer, golden) in [(1, (4, gpu(2).class), vec![]), (2, (5, gpu(1).class), vec![(5, gpu(1).class)])] {
        desk.client_says(client, submit_of(DEVICE, number, 1));
        assert_eq!(asked(&answer_all(&mut desk)), [peer]);
        desk.wait(1_001);
        let jobs = answer_all(&mut desk);
        assert_eq!(asked(&jobs), golden);
        assert!(jobs.iter().all(|(_, job)| job.input == confirmed[0].1.input));
        desk.peer_of(5, 1, &[gpu(1)]);
    }
    assert_eq!(desk.market.stats().goldens_refuted, 0);
}

#[test]
fn answers_of_a_liar_are_run_again_in_their_class_or_paid_back() {
    for (others, again, withdrawn) in [([gpu(1)], 2, 0), ([gpu(2)], 0, 2)] {
        let trust = TrustConfig { held_tasks: 100, ..TrustConfig::OFF };
        let (mut desk, client) = desk(MarketConfig { trust, ..plain() }, &[(2, &[gpu(1)])]);
        for number in 0..2 {
            desk.client_says(client, submit_of(DEVICE, number, 1));
            answer_all(&mut desk);
        }
        desk.client_says(client, submit_of(DEVICE, 2, 1));
        let (liar, job) = desk.jobs().remove(0);
        (3..=6).for_each(|n| _ = desk.peer_of(n, 1, &others));
        desk.answer(liar, &job, &Execution { units: 101, ..job.truth() });
        assert_eq!(answer_all(&mut desk).len(), usize::from(again > 0), "who takes over the task itself");
        desk.wait(1_000);
        assert_eq!((answer_all(&mut desk).len(), desk.market.stats().tasks_withdrawn), (again, withdrawn));
    }
}

/// An owner may come back with its result until the task ends; or its adapter is lost, and it goes on with other work.
#[test]
fn a_class_that_lost_an_owner_ends_its_task_and_the_next_goes_elsewhere() {
    type Leave = fn(&mut Desk, ConnId, &Job);
    let leave: [(Leave, Refusal); 2] = [
        (|desk, conn, _| desk.input(Input::Disconnected { conn }), Refusal::Deadline),
        (
            |desk, conn, job| {
                let fault = PeerToServer::Fault { ticket: job.ticket.clone(), fault: Fault::Gpu };
                desk.peer_says(conn, fault, Bytes::new());
                desk.peer_says(conn, PeerToServer::Offer { slots: 1, classes: vec![cpu(1)], speed: 1 }, Bytes::new());
            },
            Refusal::NoPeers,
        ),
    ];
    for (leave, code) in leave {
        for kernel in [EITHER, DEVICE] {
            let both: &[OfferedClass] = &[gpu(1), cpu(1)];
            let (mut desk, client) = desk(plain(), &[(2, both), (3, both), (4, &[gpu(2), cpu(1)]), (5, &[cpu(1)])]);
            desk.client_says(client, submit_of(kernel, 0, 2));
            let of_class = desk.jobs();
            assert_eq!(asked(&of_class), [(2, gpu(1).class), (3, gpu(1).class)]);
            // The class is busy. On the CPU there is room for one of these, and the other waits.
            (1..=2).for_each(|number| desk.client_says(client, submit_of(kernel, number, 2)));
            let [(leaver, its), (stays, job)] = &of_class[..] else { panic!("two replicas") };
            let elsewhere = desk.jobs();
            leave(&mut desk, *leaver, its);
            desk.client_says(client, submit_of(kernel, 3, 2));
            desk.answer(*stays, job, &job.truth());
            let mut jobs = elsewhere;
            while let Some((conn, job)) = jobs.pop() {
                assert_eq!((kernel, job.class), (EITHER, cpu(1).class), "only where its kernel has a path for it");
                desk.answer(conn, &job, &job.truth());
                jobs.extend(desk.jobs());
            }
            let codes: Vec<_> = ends(&mut desk).into_values().map(Result::err).collect();
            let expected = match kernel {
                EITHER => [Some(code), None, None, None],
                _ => [Some(code), Some(Refusal::Deadline), Some(Refusal::Deadline), Some(Refusal::NoPeers)],
            };
            assert_eq!(codes, expected);
        }
    }
}
