//! What every store has to promise, whatever database is behind it.

use p2c2r_coordinator::store::{Publisher, Store, StoreError};
use p2c2r_core::record::{
    Cause, Commit, HoldRecord, LedgerAccount, PeerRecord, Record, Snapshot, SuspicionRecord, TrustRecord,
};
use p2c2r_core::trust::{Known, Posterior};
use p2c2r_core::{CommitId, Millis};
use p2c2r_protocol::Credits;
use p2c2r_signing::{ModuleId, SecretKey, SessionId};

use crate::money::{Source, account, settlement};

/// Runs the suite. `fresh` makes an empty store, `reopen` closes one and opens it again.
pub(crate) fn suite<S: Store>(mut fresh: impl FnMut() -> S, mut reopen: impl FnMut(S) -> S) {
    an_empty_store_is_an_empty_snapshot(fresh());
    what_was_applied_is_there_after_reopening(fresh(), &mut reopen);
    applying_again_changes_nothing(fresh());
    a_batch_is_all_or_nothing(fresh());
    settlements_are_kept_for_holds_and_auditors(fresh(), &mut reopen);
    publishers_and_peers_are_kept(fresh(), &mut reopen);
    suspicions_are_kept_until_cleared(fresh(), &mut reopen);
    trust_is_kept_until_forgotten(fresh(), &mut reopen);
    the_audit_adds_up(fresh());
}

fn sorted(mut snapshot: Snapshot) -> Snapshot {
    snapshot.accounts.sort_unstable();
    snapshot.balances.sort_unstable();
    snapshot.deposits.sort_by(|a, b| a.reference.cmp(&b.reference));
    snapshot.settled.sort_unstable();
    snapshot
}

fn an_empty_store_is_an_empty_snapshot<S: Store>(mut store: S) {
    assert_eq!(store.load().expect("loads"), Snapshot::default());
    store.apply(&[]).expect("nothing to do");
    assert_eq!(store.load().expect("loads"), Snapshot::default());
}

fn what_was_applied_is_there_after_reopening<S: Store>(mut store: S, reopen: &mut impl FnMut(S) -> S) {
    let mut source = Source::new();
    let mut commits = source.deposit(account(1), 5_000, "invoice 1");
    commits.extend(source.deposit(account(2), 700, "invoice 2"));
    commits.extend(source.register(ModuleId::of(b"kernel"), 3));
    commits.extend(source.register(ModuleId::of(b"kernel"), 4));
    commits.extend(source.open_session(account(1), u64::MAX, 1_200));
    store.apply(&commits).expect("applies");
    let before = sorted(store.load().expect("loads"));
    let after = sorted(reopen(store).load().expect("loads"));
    assert_eq!(before, after);
    assert_eq!(after.last_commit, commits.last().map(|commit| commit.id));
    assert_eq!(after.accounts, [account(1), account(2)]);
    assert_eq!(after.journal_lines, 3);
    assert_eq!(after.deposits.iter().map(|d| d.reference.as_str()).collect::<Vec<_>>(), ["invoice 1", "invoice 2"]);
    assert_eq!((after.kernels.len(), after.kernels[0].rate), (1, Credits::from_nano_usd(4)));
    let [hold] = &after.holds[..] else { panic!("one hold, found {:?}", after.holds) };
    assert_eq!(
        (hold.account, hold.number, hold.budget, hold.open),
        (account(1), u64::MAX, Credits::from_nano_usd(1_200), true)
    );
    let balance = |of| after.balances.iter().find(|(account, _)| *account == of).map(|(_, balance)| *balance);
    assert_eq!(balance(LedgerAccount::External), Some(-5_700));
    assert_eq!(balance(LedgerAccount::Available(account(1))), Some(3_800));
    assert_eq!(balance(LedgerAccount::Held(hold.session)), Some(1_200));
}

fn applying_again_changes_nothing<S: Store>(mut store: S) {
    let mut source = Source::new();
    let first = source.deposit(account(1), 5_000, "a");
    let second = source.deposit(account(1), 1, "b");
    store.apply(&first).expect("applies");
    let all: Vec<Commit> = [first, second].concat();
    store.apply(&all).expect("skips what it has");
    let once = store.load().expect("loads");
    store.apply(&all).expect("skips everything");
    assert_eq!(store.load().expect("loads"), once);
}

fn a_batch_is_all_or_nothing<S: Store>(mut store: S) {
    let mut source = Source::new();
    let commits = source.deposit(account(1), 5_000, "a");
    let mut gap = commits.clone();
    gap.push(Commit { id: CommitId(99), records: vec![Record::Account { account: account(9) }] });
    let error = store.apply(&gap).expect_err("99 does not follow");
    assert!(matches!(error, StoreError::OutOfOrder { got: 99, .. }), "{error}");
    assert!(!error.is_temporary());
    assert_eq!(store.load().expect("loads"), Snapshot::default(), "nothing of the batch is there");
    let mut twice = commits.clone();
    let repeated = Commit { id: Source::after(&commits), ..commits.last().expect("some").clone() };
    twice.push(repeated);
    store.apply(&twice).expect_err("the same transfer and reference under another commit");
    assert_eq!(store.load().expect("loads"), Snapshot::default());
    store.apply(&commits).expect("the good part applies");
}

fn settlements_are_kept_for_holds_and_auditors<S: Store>(mut store: S, reopen: &mut impl FnMut(S) -> S) {
    let (old, new) = (SessionId::from_bytes([1; 16]), SessionId::from_bytes([2; 16]));
    let hold = |session, open| {
        let (account, budget) = (account(1), Credits::from_nano_usd(10));
        Record::Hold(HoldRecord { session, account, number: 1, budget, expires: Millis(9), open })
    };
    let steps = [
        vec![hold(old, true)],
        vec![settlement(1, old, 10, 3)],
        vec![hold(new, true)],
        vec![settlement(2, new, 20, 2), hold(old, false)],
        vec![settlement(3, new, u64::MAX - 1, 1)],
    ];
    let commits: Vec<_> = (1..).zip(steps).map(|(id, records)| Commit { id: CommitId(id), records }).collect();
    store.apply(&commits).expect("applies");
    let mut store = reopen(store);
    let snapshot = sorted(store.load().expect("loads"));
    assert_eq!(snapshot.settled, [(new, 20), (new, 21), (new, u64::MAX - 1)], "only those of the open hold");
    assert_eq!((snapshot.last_batch, snapshot.recent.len()), (3, 3));
    let Record::Settlement(third) = settlement(3, new, u64::MAX - 1, 1) else { unreachable!("made as one") };
    assert_eq!(snapshot.recent[2], third, "what went in comes out");

    let batches = |store: &mut S, after, executions| {
        let page = store.settlements(after, executions).expect("reads");
        page.iter().map(|settlement| settlement.batch).collect::<Vec<_>>()
    };
    assert_eq!(batches(&mut store, 0, 1), [1]);
    assert_eq!(batches(&mut store, 0, 4), [1, 2]);
    assert_eq!(batches(&mut store, 2, 100), [3]);
    assert!(batches(&mut store, 3, 100).is_empty());
    assert!(batches(&mut store, 0, 0).is_empty());
}

fn publishers_and_peers_are_kept<S: Store>(mut store: S, reopen: &mut impl FnMut(S) -> S) {
    let key = SecretKey::from_seed(&[1; 32]).public();
    let publisher = |name: &str| Publisher { key, name: name.to_owned(), added_ms: 5 };
    store.trust(&publisher("One")).expect("trusts");
    store.trust(&publisher("Two")).expect("renames");
    let peer = |agreed| PeerRecord {
        key,
        account: account(1),
        agreed,
        outvoted: 2,
        faults: 3,
        earned: Credits::from_nano_usd(agreed * 10),
    };
    let commit = |id, agreed| Commit { id: CommitId(id), records: vec![Record::Peer(peer(agreed))] };
    store.apply(&[commit(1, 1), commit(2, 4)]).expect("applies");
    let mut store = reopen(store);
    assert_eq!(store.publishers().expect("reads"), [publisher("Two")]);
    assert_eq!(store.load().expect("loads").peers, [peer(4)]);
}

fn suspicions_are_kept_until_cleared<S: Store>(mut store: S, reopen: &mut impl FnMut(S) -> S) {
    let suspicion =
        |n: u8, cause, open| SuspicionRecord { module: ModuleId::from_bytes([n; 32]), since: Millis(5), cause, open };
    let owners = Cause::Owners { dissenting: 8, of: 9 };
    let (one, two, again) =
        (suspicion(1, Cause::Referee, true), suspicion(2, owners, true), suspicion(2, Cause::Referee, true));
    let commit = |id, suspicion| Commit { id: CommitId(id), records: vec![Record::Suspicion(suspicion)] };
    store.apply(&[commit(1, one), commit(2, two)]).expect("applies");
    let mut store = reopen(store);
    assert_eq!(store.load().expect("loads").suspicions, [one, two]);
    store.apply(&[commit(3, suspicion(1, Cause::Referee, false)), commit(4, again)]).expect("applies");
    assert_eq!(store.load().expect("loads").suspicions, [again]);
}

fn trust_is_kept_until_forgotten<S: Store>(mut store: S, reopen: &mut impl FnMut(S) -> S) {
    let key = |n: u8| SecretKey::from_seed(&[n; 32]).public();
    let peer = |n: u8| {
        let (agreed, outvoted, faults, earned) = (1, 0, 0, Credits::ZERO);
        Record::Peer(PeerRecord { key: key(n), account: account(n), agreed, outvoted, faults, earned })
    };
    let trust = |n: u8, kernel: u8, parts, at| {
        let known = Known { posterior: Posterior::from_parts(parts), compared: Millis(at) };
        TrustRecord { peer: key(n), module: ModuleId::from_bytes([kernel; 32]), known: Some(known) }
    };
    let forgotten = |of: TrustRecord| Record::Trust(TrustRecord { known: None, ..of });
    let (one, two) = (trust(1, 1, [256, 0, 19], 5), trust(1, 2, [65_536, 65_536, 0], u64::MAX));
    let (three, again) = (trust(2, 1, [0, 256, 20], 6), trust(1, 1, [512, 0, 18], 7));
    let mut commits = (1..).zip([
        vec![peer(1), peer(2), Record::Trust(one), Record::Trust(two), Record::Trust(three)],
        vec![Record::Trust(again), forgotten(three), forgotten(trust(2, 9, [0; 3], 0))],
        vec![forgotten(again), Record::Trust(three)],
    ]);
    let mut expected = Snapshot::default();
    for left in [vec![one, two, three], vec![again, two], vec![two, three]] {
        let (id, records) = commits.next().expect("one for each");
        let commit = Commit { id: CommitId(id), records };
        store.apply(std::slice::from_ref(&commit)).expect("applies");
        expected.apply(&commit);
        store = reopen(store);
        let mut left = left;
        left.sort_by_key(|trust| (trust.peer, trust.module));
        let loaded = store.load().expect("loads").trust;
        assert_eq!((&loaded, &loaded), (&left, &expected.trust), "as the reference fold has it");
    }
}

fn the_audit_adds_up<S: Store>(mut store: S) {
    let empty = store.audit().expect("audits");
    assert_eq!((empty.damage, empty.journal_lines, empty.batches), (None, 0, 0));
    let mut source = Source::new();
    let mut commits = source.deposit(account(1), 5_000, "a");
    store.apply(&commits).expect("applies");
    assert_eq!(store.audit().expect("audits").journal_lines, 1);
    commits.extend(source.open_session(account(1), 1, 2_000));
    let records =
        vec![settlement(1, SessionId::from_bytes([1; 16]), 0, 2), settlement(2, SessionId::from_bytes([1; 16]), 2, 3)];
    commits.push(Commit { id: Source::after(&commits), records });
    store.apply(&commits).expect("applies");
    let audit = store.audit().expect("audits");
    assert_eq!(audit.damage, None);
    assert_eq!(audit.deposited, Credits::from_nano_usd(5_000));
    assert_eq!(audit.held, Credits::from_nano_usd(2_000));
    assert_eq!(audit.available, [(account(1), Credits::from_nano_usd(3_000))]);
    assert_eq!((audit.batches, audit.tasks, audit.executions), (2, 5, 5));
    assert_eq!((audit.charged.nano_usd(), audit.paid.nano_usd(), audit.fee.nano_usd()), (500, 375, 125));
}
