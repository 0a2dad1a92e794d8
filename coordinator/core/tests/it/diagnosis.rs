//! A kernel that gives different results for one input is found out, and its peers lose nothing by it.

use p2c2r_core::record::Cause;
use p2c2r_core::{Admin, ConnId, Limits, Market, MarketConfig, Millis, Snapshot, TrustConfig};
use p2c2r_protocol::message::{Refusal, ServerToClient, Standing, Verdict};

use crate::fixture::{Desk, Job, account, execution, manifest, module, plain, submit, ticket_key, usd};

const REFEREE: u8 = 9;
const AT: ConnId = ConnId(100 + REFEREE as u64);

/// Pay of three executions is withheld, and who did three is established.
fn config() -> MarketConfig {
    let trust = TrustConfig { held_tasks: 3, ..TrustConfig::OFF };
    // Nothing of a liar's is run again (`withdrawal` has that): only what a test says is.
    let limits = Limits { recheck_bytes: 0, ..Limits::default() };
    MarketConfig { trust, limits, suspend_outvoted: 1, referees: [account(REFEREE)].into(), ..plain() }
}

/// Peers 10 and up, each with an account and a slot.
fn desk(peers: u8) -> (Desk, ConnId) {
    let mut desk = Desk::new(config());
    desk.deposit(1, 5_000_000);
    for n in 10..10 + peers {
        desk.admin(Admin::OpenAccount { account: account(n) }).unwrap();
        desk.peer(n, 1);
    }
    let client = desk.client(1, 0, 5_000_000);
    desk.heard();
    (desk, client)
}

/// Right work until every peer is established.
fn establish(desk: &mut Desk, client: ConnId, first: u64) -> u64 {
    let mut number = first;
    while desk.market.peers().any(|p| p.record.account != account(REFEREE) && p.record.agreed < 3) {
        desk.client_says(client, submit(number, 2));
        number += 1;
        for (conn, job) in desk.jobs() {
            desk.answer(conn, &job, &job.truth());
        }
        desk.wait(1_000);
    }
    number
}

/// Votes `n` for a job: everybody's own.
fn own(n: u8, job: &Job) -> crate::fixture::Execution {
    execution(&[n], job.max_units)
}

/// A task of two replicas, of which the first to answer is outvoted. Gives who that was.
fn outvoted(desk: &mut Desk, client: ConnId, number: u64) -> ConnId {
    desk.client_says(client, submit(number, 2));
    let jobs = desk.jobs();
    assert_eq!(jobs.len(), 2);
    desk.answer(jobs[0].0, &jobs[0].1, &own(1, &jobs[0].1));
    desk.answer(jobs[1].0, &jobs[1].1, &jobs[1].1.truth());
    for (conn, job) in desk.jobs() {
        desk.answer(conn, &job, &job.truth());
    }
    jobs[0].0
}

fn peer_of(desk: &Desk, conn: ConnId) -> p2c2r_core::PeerView {
    let owner = account(u8::try_from(conn.0 - 100).unwrap());
    desk.market.peers().find(|p| p.record.account == owner).unwrap()
}

fn withheld(desk: &Desk, conn: ConnId) -> u64 {
    desk.market.ledger().withheld(account(u8::try_from(conn.0 - 100).unwrap())).nano_usd()
}

fn refusal(desk: &mut Desk) -> Option<Refusal> {
    desk.heard().into_iter().find_map(|m| match m {
        ServerToClient::TaskRefused { code, message, .. } => {
            assert!(code != Refusal::FaultyKernel || message.contains("different results"), "{message}");
            Some(code)
        }
        _ => None,
    })
}

#[test]
fn a_referee_that_agrees_with_itself_leaves_the_liar_a_liar() {
    let (mut desk, client) = desk(4);
    establish(&mut desk, client, 0);
    desk.peer(REFEREE, 1);
    let liar = outvoted(&mut desk, client, 100);
    let (conn, job) = desk.jobs().remove(0);
    assert_eq!(conn, AT);
    desk.answer(AT, &job, &job.truth());
    let (conn, again) = desk.jobs().remove(0);
    assert_eq!((conn, again.input), (AT, job.input), "the same once more");
    assert!(again.task != job.task && again.nonce != job.nonce);
    desk.heard();
    desk.answer(AT, &again, &again.truth());
    desk.wait(1_000);
    assert_eq!(desk.heard(), [], "nobody is told of it");
    assert!(peer_of(&desk, liar).suspended && withheld(&desk, liar) == 0);
    assert_eq!(desk.market.suspicion(module(1)), None);
    assert_eq!((desk.market.stats().referee_checks, desk.market.stats().tasks), (1, 0));
    let referee = desk.settled().into_iter().filter(|(c, _)| *c == AT).map(|(_, e)| e).collect::<Vec<_>>();
    assert_eq!(referee.iter().map(|e| e.standing).collect::<Vec<_>>(), [Standing::Agreed; 2]);
    assert!(referee.iter().all(|e| e.earned > usd(0)));
}

#[test]
fn a_referee_that_contradicts_itself_proves_the_kernel_at_fault() {
    let (mut desk, client) = desk(5);
    establish(&mut desk, client, 0);
    // One is punished before there is a referee.
    let first = outvoted(&mut desk, client, 100);
    desk.wait(1_000);
    assert!(peer_of(&desk, first).suspended && withheld(&desk, first) == 0);
    desk.peer(REFEREE, 1);
    let second = outvoted(&mut desk, client, 101);
    let (_, job) = desk.jobs().remove(0);
    let platform = desk.market.platform().nano_usd();
    let before = withheld(&desk, second);
    desk.answer(AT, &job, &own(7, &job));
    let (_, again) = desk.jobs().remove(0);
    // Something of the kernel's is running meanwhile.
    desk.client_says(client, submit(102, 1));
    desk.heard();
    desk.answer(AT, &again, &own(8, &again));
    let verdict = Verdict::Unverified { code: Refusal::FaultyKernel };
    assert_eq!(desk.heard(), [ServerToClient::TaskVerdict { number: 102, verdict }]);
    let suspicion = *desk.market.suspicion(module(1)).unwrap();
    assert_eq!((suspicion.cause, suspicion.open), (Cause::Referee, true));
    desk.wait(2_000);

    for conn in [first, second] {
        let peer = peer_of(&desk, conn);
        assert!(!peer.suspended && peer.record.outvoted == 0, "{peer:?}");
    }
    assert_eq!(withheld(&desk, second), before, "what was not settled yet was never taken");
    let back = withheld(&desk, first);
    assert!(back > 0);
    let stats = desk.market.stats();
    assert_eq!((stats.restored_nano_usd, stats.forfeited_nano_usd, stats.penalties_lifted), (back, back, 1));
    assert!(desk.market.platform().nano_usd() <= platform + 1_000);
    let void = desk.settled().into_iter().filter(|(c, e)| *c == second && e.standing == Standing::Void).count();
    assert_eq!(void, 1);

    desk.client_says(client, submit(103, 1));
    assert_eq!(refusal(&mut desk), Some(Refusal::FaultyKernel));
    the_suspicion_survives_a_restart_and_ends_with_the_operator(&desk);
}

fn the_suspicion_survives_a_restart_and_ends_with_the_operator(before: &Desk) {
    let mut snapshot = Snapshot::default();
    before.commits.iter().for_each(|commit| snapshot.apply(commit));
    let restore = |now: u64| {
        let market = Market::restore(config(), [2; 32], ticket_key(), snapshot.clone(), Millis(now));
        let mut desk = Desk::over(market);
        desk.now = now;
        desk.peer(10, 1);
        let client = desk.client(1, 1, 10_000);
        desk.heard();
        desk.client_says(client, submit(0, 1));
        assert_eq!(refusal(&mut desk), Some(Refusal::FaultyKernel));
        (desk, client)
    };
    let commands: [fn() -> Admin; 2] = [
        || Admin::ClearKernel { module: module(1) },
        || Admin::RegisterKernel {
            module: module(1),
            manifest: Box::new(manifest("")),
            rate: usd(crate::fixture::RATE),
        },
    ];
    for command in commands {
        let (mut desk, client) = restore(before.now);
        desk.admin(command()).unwrap();
        desk.admin(command()).unwrap();
        desk.client_says(client, submit(1, 1));
        assert_eq!((refusal(&mut desk), desk.jobs().len()), (None, 1));
        let mut after = snapshot.clone();
        desk.commits.iter().for_each(|commit| after.apply(commit));
        assert!(after.suspicions.is_empty());
        assert!(desk.admin(Admin::ClearKernel { module: module(5) }).unwrap_err().contains("not registered"));
    }
}

/// Makes `liars` of `peers` established peers dissent once each, without a referee.
fn dissenters(peers: u8, liars: usize) -> (Desk, Vec<ConnId>) {
    let (mut desk, client) = desk(peers);
    let mut number = establish(&mut desk, client, 0);
    let mut wrong = Vec::new();
    while wrong.len() < liars {
        wrong.push(outvoted(&mut desk, client, number));
        number += 1;
        desk.wait(1_000);
    }
    desk.wait(5_000);
    (desk, wrong)
}

#[test]
fn two_of_three_owners_do_not_all_lie() {
    let (desk, wrong) = dissenters(12, 8);
    let suspicion = *desk.market.suspicion(module(1)).unwrap();
    assert_eq!(suspicion.cause, Cause::Owners { dissenting: 8, of: 12 });
    for conn in wrong {
        let peer = peer_of(&desk, conn);
        assert!(!peer.suspended && peer.record.outvoted == 0 && withheld(&desk, conn) > 0, "{peer:?}");
    }
    let stats = desk.market.stats();
    assert_eq!((stats.penalties_lifted, stats.kernels_suspected), (8, 1));
    assert_eq!(stats.restored_nano_usd, stats.forfeited_nano_usd);
}

#[test]
fn fewer_are_liars() {
    for (peers, liars) in [(12, 7), (13, 8)] {
        let (desk, wrong) = dissenters(peers, liars);
        assert_eq!(desk.market.suspicion(module(1)), None);
        assert!(wrong.into_iter().all(|conn| peer_of(&desk, conn).suspended && withheld(&desk, conn) == 0));
    }
}

#[test]
fn as_many_answers_as_voters_speak_against_the_kernel_and_against_nobody() {
    let (mut desk, client) = desk(8);
    let mut number = establish(&mut desk, client, 0);
    while desk.market.suspicion(module(1)).is_none() {
        assert!(number < 100, "found out in a few tasks");
        desk.client_says(client, submit(number, 2));
        number += 1;
        loop {
            let jobs = desk.jobs();
            if jobs.is_empty() {
                break;
            }
            for (conn, job) in jobs {
                desk.answer(conn, &job, &own(u8::try_from(conn.0).unwrap(), &job));
            }
        }
        desk.wait(1_000);
    }
    assert_eq!(desk.market.suspicion(module(1)).unwrap().cause, Cause::Owners { dissenting: 8, of: 8 });
    assert_eq!((desk.market.stats().votes_outvoted, desk.market.stats().forfeited_nano_usd), (0, 0));
}

#[test]
fn newcomers_and_broken_results_say_nothing_of_a_kernel() {
    // Nobody is established.
    let (mut desk, client) = desk(12);
    let mut wrong = std::collections::BTreeSet::new();
    for number in 0..9 {
        wrong.insert(outvoted(&mut desk, client, number));
        desk.wait(1_000);
    }
    assert!(wrong.len() >= 8);
    assert_eq!(desk.market.suspicion(module(1)), None);

    // More units than a task may charge are no kernel's doing.
    let (mut desk, client) = self::desk(9);
    let first = establish(&mut desk, client, 0);
    for number in first..first + 8 {
        desk.client_says(client, submit(number, 1));
        let (conn, job) = desk.jobs().remove(0);
        desk.answer(conn, &job, &crate::fixture::Execution { units: 101, ..job.truth() });
        for (conn, job) in desk.jobs() {
            desk.answer(conn, &job, &job.truth());
        }
        desk.wait(1_000);
    }
    assert_eq!((desk.market.stats().votes_outvoted, desk.market.suspicion(module(1))), (8, None));
}
