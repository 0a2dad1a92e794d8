//! The embedded store: the common suite, and what only a file can suffer.

use std::path::Path;

use p2c2r_coordinator::store::{Damage, SqliteOptions, SqliteStore, Store, StoreError};
use p2c2r_core::record::{Commit, Record, TrustRecord};
use p2c2r_core::trust::{Known, Posterior};
use p2c2r_core::{CommitId, Millis};
use p2c2r_signing::{ModuleId, SecretKey, SessionId};
use tempfile::TempDir;

use crate::conformance;
use crate::money::{Source, account, settlement};

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, &SqliteOptions::default()).expect("opens")
}

#[test]
fn conforms() {
    let folder = TempDir::new().expect("a folder");
    let mut number = 0;
    let fresh = || {
        number += 1;
        open(&folder.path().join(format!("{number}.sqlite")))
    };
    conformance::suite(fresh, |store| {
        let path = store.path().to_owned();
        drop(store);
        open(&path)
    });
}

#[test]
fn a_newer_schema_is_refused_with_both_versions() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("s.sqlite");
    drop(open(&path));
    rusqlite::Connection::open(&path).and_then(|c| c.pragma_update(None, "user_version", 7)).expect("changed");
    for result in [SqliteStore::open(&path, &SqliteOptions::default()), SqliteStore::open_read_only(&path)] {
        let error = result.expect_err("refused");
        assert!(matches!(error, StoreError::NewerSchema { found: 7, known: 3, .. }), "{error}");
    }
}

/// A store with two deposits and a session, then `change` behind its back.
fn damaged(change: &str) -> Damage {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("s.sqlite");
    let mut source = Source::new();
    let mut commits = source.deposit(account(1), 5_000, "a");
    commits.extend(source.deposit(account(2), 300, "b"));
    commits.extend(source.open_session(account(1), 1, 1_000));
    let id = CommitId(commits.last().expect("some").id.0 + 1);
    commits.push(Commit { id, records: vec![settlement(1, SessionId::from_bytes([1; 16]), 0, 3)] });
    let mut store = open(&path);
    store.apply(&commits).expect("applies");
    drop(store);
    let raw = rusqlite::Connection::open(&path).expect("opens");
    let triggers = ["journal_keeps_its_lines", "journal_loses_no_line", "settlements_keep_their_lines"];
    triggers.iter().for_each(|name| raw.execute_batch(&format!("DROP TRIGGER {name}")).expect("dropped"));
    raw.execute_batch(change).expect("changed");
    drop(raw);
    match open(&path).load().expect_err("damage is found") {
        StoreError::Damaged(damage) => damage,
        other => panic!("expected damage, got {other}"),
    }
}

#[test]
fn damage_is_found_and_named() {
    assert_eq!(damaged("UPDATE journal SET amount = 301 WHERE line = 2"), Damage::Chain { line: 2 });
    assert_eq!(damaged("DELETE FROM journal WHERE line = 2"), Damage::MissingLine { line: 2 });
    assert_eq!(damaged("UPDATE journal SET at_ms = at_ms + 1 WHERE line = 1"), Damage::Chain { line: 1 });
    let balance = damaged("UPDATE ledger_accounts SET balance = balance + 1 WHERE name LIKE 'available:0202%'");
    assert_eq!(
        balance.to_string(),
        format!("balance of available:{} is 301 nano-USD, the journal says 300", account(2))
    );
    let cut = damaged("DELETE FROM journal WHERE line = 3");
    assert!(matches!(cut, Damage::Balance { .. }), "the end is missing, so balances are not what it says: {cut}");
    let root = damaged("UPDATE settlements SET root = zeroblob(32)");
    assert!(matches!(root, Damage::Root { batch: 1, .. }), "{root}");
    let last = "(SELECT substr(detail, 1, length(detail) - 1) || x'7f' FROM settlements)";
    let execution = damaged(&format!("UPDATE settlements SET detail = CAST({last} AS BLOB)"));
    assert!(matches!(execution, Damage::Root { batch: 1, .. }), "{execution}");
}

#[test]
fn the_journal_cannot_be_changed_by_a_slip() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("s.sqlite");
    let mut store = open(&path);
    store.apply(&Source::new().deposit(account(1), 5_000, "a")).expect("applies");
    let raw = rusqlite::Connection::open(&path).expect("opens");
    for slip in ["UPDATE journal SET amount = 1", "DELETE FROM journal"] {
        let error = raw.execute_batch(slip).expect_err("refused").to_string();
        assert!(error.contains("append-only"), "{error}");
    }
}

#[test]
fn a_full_store_fails_temporarily_and_loses_nothing() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("s.sqlite");
    let max_bytes = Some(200 << 10);
    let mut store = SqliteStore::open(&path, &SqliteOptions { max_bytes }).expect("opens");
    let commit =
        |id| Commit { id: CommitId(id), records: vec![settlement(id, SessionId::from_bytes([1; 16]), id * 100, 100)] };
    let (mut applied, mut failure) = (0, None);
    for id in 1..100 {
        match store.apply(&[commit(id)]) {
            Ok(()) => applied = id,
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    let failure = failure.expect("200 KiB do not hold 100 batches of 17 KiB");
    assert!(failure.is_temporary(), "{failure}");
    assert!(failure.to_string().contains("full"), "{failure}");
    assert_eq!(store.load().expect("loads").last_commit, Some(CommitId(applied)));
    drop(store);
    let mut larger = open(&path);
    larger.apply(&[commit(applied), commit(applied + 1)]).expect("there is room again");
    assert_eq!(larger.load().expect("loads").last_commit, Some(CommitId(applied + 1)));
}

#[test]
fn an_auditor_reads_beside_the_writer_and_writes_nothing() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("s.sqlite");
    let mut source = Source::new();
    let mut writer = open(&path);
    let mut reader = SqliteStore::open_read_only(&path).expect("opens");
    for round in 1..4 {
        writer.apply(&source.deposit(account(1), 10, &format!("{round}"))).expect("applies");
        assert_eq!(reader.audit().expect("audits").journal_lines, round);
    }
    let next = writer.load().expect("loads").last_commit.map_or(1, |last| last.0 + 1);
    let commit = Commit { id: CommitId(next), records: vec![Record::Account { account: account(7) }] };
    reader.apply(&[commit]).expect_err("read-only");
    let missing = folder.path().join("none.sqlite");
    assert!(SqliteStore::open_read_only(&missing).is_err());
    assert!(!missing.exists());
}

/// A store of the version before trust was durable.
#[test]
fn an_older_store_is_brought_up_to_date_and_knows_no_trust() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("s.sqlite");
    let raw = rusqlite::Connection::open(&path).expect("opens");
    for step in
        [include_str!("../../migrations/0001_initial.sql"), include_str!("../../migrations/0002_suspicions.sql")]
    {
        raw.execute_batch(step).expect("made");
    }
    let key = SecretKey::from_seed(&[1; 32]).public();
    raw.pragma_update(None, "user_version", 2).expect("marked");
    raw.execute("INSERT INTO peers VALUES (?1, zeroblob(16), 5, 1, 0, 9)", [key.as_bytes()]).expect("inserted");
    drop(raw);

    let error = SqliteStore::open_read_only(&path).expect_err("it may not be changed");
    assert!(matches!(error, StoreError::OlderSchema { found: 2, known: 3, .. }), "{error}");
    let mut store = open(&path);
    let snapshot = store.load().expect("loads");
    assert_eq!((snapshot.peers.len(), snapshot.peers[0].outvoted, snapshot.trust.len()), (1, 1, 0));
    let known = Known { posterior: Posterior::from_parts([256, 0, 19]), compared: Millis(5) };
    let trust = TrustRecord { peer: key, module: ModuleId::from_bytes([1; 32]), known: Some(known) };
    let commit = Commit { id: CommitId(1), records: vec![Record::Trust(trust)] };
    store.apply(&[commit]).expect("applies");
    assert_eq!(SqliteStore::open_read_only(&path).expect("opens").load().expect("loads").trust, [trust]);
}
