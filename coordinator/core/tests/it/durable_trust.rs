//! How far peers are trusted, over a restart and over time.

use p2c2r_core::record::{Record, TrustRecord};
use p2c2r_core::trust::TRUST_KEPT_MS;
use p2c2r_core::{Commit, ConnId, Market, MarketConfig, Millis, Snapshot, TrustConfig};
use p2c2r_protocol::message::ClientToServer;
use p2c2r_signing::PublicKey;

use crate::fixture::{Desk, execution, key, manifest, module, submit, ticket_key};

/// Three peers and a client.
fn desk(config: MarketConfig) -> (Desk, ConnId) {
    let mut desk = Desk::new(config);
    for n in 2..=4 {
        desk.peer(n, 1);
    }
    let client = desk.client(1, 0, 500_000);
    (desk, client)
}

/// Golden tasks would only add to what is counted here.
fn config() -> MarketConfig {
    MarketConfig { trust: TrustConfig { golden_ppm: 0, ..TrustConfig::default() }, ..MarketConfig::default() }
}

/// The market of the same store after all its commits but the last `lost`, with the same peers and client.
fn restarted(desk: &Desk, lost: usize, config: MarketConfig) -> (Desk, ConnId) {
    let mut snapshot = Snapshot::default();
    let kept: &[Commit] = &desk.commits[..desk.commits.len() - lost];
    kept.iter().for_each(|commit| snapshot.apply(commit));
    let mut after = Desk::over(Market::restore(config, [2; 32], ticket_key(), snapshot, Millis(desk.now)));
    after.now = desk.now;
    after.commits = kept.to_vec();
    for n in 2..=4 {
        after.peer(n, 1);
    }
    let client = after.client(1, 1, 100_000);
    (after, client)
}

/// Tasks for `replicas` peers, each answered by `liar` with a lie and by all others right, then settled. The liar has work until it is
/// outvoted once.
fn run(desk: &mut Desk, client: ConnId, tasks: std::ops::Range<u64>, replicas: u8, liar: Option<ConnId>) {
    for number in tasks {
        desk.client_says(client, submit(number, replicas));
        answer(desk, liar);
    }
    desk.wait(2_000);
}

fn answer(desk: &mut Desk, liar: Option<ConnId>) {
    loop {
        let jobs = desk.jobs();
        if jobs.is_empty() {
            return;
        }
        for (conn, job) in &jobs {
            let lie = execution(&[1], 100);
            desk.answer(*conn, job, &if liar == Some(*conn) { lie } else { job.truth() });
        }
    }
}

/// Kernels each of the three peers is past its probation with.
fn trusted(desk: &Desk) -> [usize; 3] {
    let of = |key: PublicKey| desk.market.peers().find(|p| p.record.key == key).map_or(0, |p| p.kernels_trusted);
    [2, 3, 4].map(|n| of(key(n)))
}

/// What the last commit with a settlement says of a peer and a kernel.
fn last_word(desk: &Desk, peer: u8, kernel: u8) -> Option<TrustRecord> {
    let settles = |commit: &&Commit| commit.records.iter().any(|r| matches!(r, Record::Settlement(_)));
    let last = desk.commits.iter().rfind(settles)?;
    last.records.iter().find_map(|record| match record {
        Record::Trust(trust) if (trust.peer, trust.module) == (key(peer), module(kernel)) => Some(*trust),
        _ => None,
    })
}

#[test]
fn who_was_trusted_before_a_restart_is_trusted_after_it() {
    let (mut before, client) = desk(config());
    run(&mut before, client, 0..200, 3, None);
    assert_eq!(trusted(&before), [1, 1, 1]);
    let executions = |(mut desk, client): (Desk, ConnId)| {
        run(&mut desk, client, 300..400, 1, None);
        desk.market.stats().attempts
    };
    let after = restarted(&before, 0, config());
    assert_eq!(trusted(&after.0), [1, 1, 1]);
    let after = executions(after);
    // The floor is 3 %. A newcomer is always checked until 20 votes of it were compared, and ever less from then on.
    assert!((100..115).contains(&after), "{after} executions of 100 tasks");
    let newcomers = executions(desk(config()));
    assert!(newcomers > 150, "{newcomers} executions of 100 tasks");
}

#[test]
fn a_lie_is_known_with_its_settlement_and_never_without() {
    let (mut desk, client) = desk(config());
    run(&mut desk, client, 0..60, 3, None);
    let before = last_word(&desk, 2, 1).and_then(|trust| trust.known).unwrap().posterior;
    run(&mut desk, client, 60..70, 2, Some(ConnId(102)));
    let after = last_word(&desk, 2, 1).and_then(|trust| trust.known).unwrap().posterior;
    assert!(after.lie_ppm() > 300_000 && after.lie_ppm() > before.lie_ppm());
    assert_eq!(trusted(&desk), [0, 1, 1]);
    let outvoted = |desk: &Desk| desk.market.peers().map(|p| p.record.outvoted).sum::<u64>();

    let (with, _) = restarted(&desk, 0, config());
    assert_eq!((trusted(&with), outvoted(&with)), ([0, 1, 1], 1));
    // The batch with the lie is lost: so is what it says of the vote. Nothing else was committed after it.
    let (without, _) = restarted(&desk, 1, config());
    assert_eq!((trusted(&without), outvoted(&without)), ([1, 1, 1], 0));
}

#[test]
fn replaying_all_commits_gives_what_the_market_knows() {
    let (mut desk, client) = desk(config());
    run(&mut desk, client, 0..30, 2, None);
    run(&mut desk, client, 30..40, 2, Some(ConnId(103)));
    run(&mut desk, client, 40..50, 2, None);
    let mut snapshot = Snapshot::default();
    desk.commits.iter().for_each(|commit| snapshot.apply(commit));
    assert_eq!(snapshot.trust.len(), 3);
    let (after, _) = restarted(&desk, 0, config());
    assert_eq!(trusted(&after), trusted(&desk));
    assert!(snapshot.trust.is_sorted_by_key(|trust| (trust.peer, trust.module)));
}

#[test]
fn who_is_away_for_a_season_is_a_newcomer_but_a_liar_stays_one() {
    let (mut desk, client) = desk(config());
    run(&mut desk, client, 0..60, 3, None);
    run(&mut desk, client, 60..70, 2, Some(ConnId(102)));
    let (mut desk, client) = restarted(&desk, 0, config());
    assert_eq!(trusted(&desk), [0, 1, 1]);
    desk.kernel(2, manifest(""));
    desk.wait(TRUST_KEPT_MS + 1);
    // Any batch will do; what it is about is no vote compared with another.
    let ClientToServer::Submit { blobs, seed, deadline_ms, priority, mode, max_units, .. } = submit(0, 1) else {
        unreachable!("submit gives a submit")
    };
    let conn = desk.client(1, 2, 100_000);
    assert_eq!(conn, client);
    let (number, module, replicas) = (100, module(2), 2);
    let task = ClientToServer::Submit { number, module, blobs, seed, deadline_ms, priority, mode, replicas, max_units };
    desk.client_says(conn, task);
    answer(&mut desk, None);
    desk.wait(2_000);
    let known = |peer| last_word(&desk, peer, 1).map(|trust| trust.known.is_some());
    assert_eq!([2, 3, 4].map(known), [None, Some(false), Some(false)]);
    assert_eq!(trusted(&desk), [0, 0, 0]);
    let mut snapshot = Snapshot::default();
    desk.commits.iter().for_each(|commit| snapshot.apply(commit));
    let left: Vec<_> = snapshot.trust.iter().filter(|t| t.module == crate::fixture::module(1)).collect();
    assert!(matches!(left[..], [TrustRecord { peer, .. }] if *peer == key(2)), "{left:?}");
}

#[test]
fn a_lie_that_cannot_be_remembered_takes_what_the_store_knew() {
    let (mut desk, client) = desk(config());
    run(&mut desk, client, 0..60, 3, None);
    assert_eq!(trusted(&desk), [1, 1, 1]);
    // This operator remembers nobody, and so forgets what a lie makes untrue.
    let forgetful = TrustConfig { kernels_per_peer: 0, ..config().trust };
    let (mut desk, client) = restarted(&desk, 0, MarketConfig { trust: forgetful, ..config() });
    assert_eq!(trusted(&desk), [0, 0, 0]);
    run(&mut desk, client, 100..110, 2, Some(ConnId(102)));
    assert_eq!(last_word(&desk, 2, 1).map(|trust| trust.known), Some(None));
    let (after, _) = restarted(&desk, 0, config());
    assert_eq!(trusted(&after), [0, 1, 1]);
}
