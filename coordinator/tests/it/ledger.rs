//! The ledger thread over stores that fail.

use std::sync::mpsc;

use p2c2r_coordinator::ledger::Ledger;
use p2c2r_coordinator::store::{Audit, Publisher, Store, StoreError};
use p2c2r_core::CommitId;
use p2c2r_core::record::{Commit, SettlementRecord, Snapshot};

/// Answers each `apply` with what the test says, after showing it the commits.
struct Scripted {
    seen: mpsc::Sender<Vec<u64>>,
    answers: mpsc::Receiver<Result<(), StoreError>>,
}

impl Store for Scripted {
    fn apply(&mut self, commits: &[Commit]) -> Result<(), StoreError> {
        self.seen.send(commits.iter().map(|commit| commit.id.0).collect()).expect("the test watches");
        self.answers.recv().expect("the test answers")
    }

    fn load(&mut self) -> Result<Snapshot, StoreError> {
        Ok(Snapshot::default())
    }

    fn trust(&mut self, _publisher: &Publisher) -> Result<(), StoreError> {
        Ok(())
    }

    fn publishers(&mut self) -> Result<Vec<Publisher>, StoreError> {
        Ok(Vec::new())
    }

    fn audit(&mut self) -> Result<Audit, StoreError> {
        unreachable!("the ledger thread does not audit")
    }

    fn settlements(&mut self, _after: u64, _executions: usize) -> Result<Vec<SettlementRecord>, StoreError> {
        Ok(Vec::new())
    }
}

fn full() -> StoreError {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
    StoreError::Database(rusqlite::Error::SqliteFailure(code, Some("database or disk is full".to_owned())))
}

fn commit(id: u64) -> Commit {
    Commit { id: CommitId(id), records: Vec::new() }
}

#[tokio::test]
async fn commits_that_wait_share_a_transaction_and_a_full_disk_loses_none() {
    let (see, seen) = mpsc::channel();
    let (answer, answers) = mpsc::channel();
    let (ledger, mut progress, thread) = Ledger::start(Scripted { seen: see, answers }, Some(4)).expect("starts");
    assert_eq!(progress.borrow().durable, Some(4));
    assert!(ledger.commit(commit(5)).await);
    assert_eq!(seen.recv().expect("applied"), [5]);
    // Two more arrive while the first is being written.
    assert!(ledger.commit(commit(6)).await && ledger.commit(commit(7)).await);
    answer.send(Ok(())).expect("takes the answer");
    progress.wait_for(|p| p.durable == Some(5)).await.expect("alive");
    assert_eq!(seen.recv().expect("applied"), [6, 7]);

    answer.send(Err(full())).expect("takes the answer");
    let failing = progress.wait_for(|p| p.failure.is_some()).await.expect("alive").clone();
    assert_eq!(failing.durable, Some(5), "nothing is durable that is not");
    assert!(failing.failure.expect("failing").contains("full"));
    assert_eq!(seen.recv().expect("tried again"), [6, 7]);
    answer.send(Err(full())).expect("takes the answer");
    assert_eq!(seen.recv().expect("tried again"), [6, 7]);
    answer.send(Ok(())).expect("takes the answer");
    let working = progress.wait_for(|p| p.failure.is_none()).await.expect("alive").clone();
    assert_eq!(working.durable, Some(7));
    drop(ledger);
    thread.join().expect("ends when nobody is left");
}

#[tokio::test]
async fn a_store_that_refuses_for_good_ends_the_thread_with_its_words() {
    let (see, seen) = mpsc::channel();
    let (answer, answers) = mpsc::channel();
    let (ledger, mut progress, thread) = Ledger::start(Scripted { seen: see, answers }, None).expect("starts");
    assert!(ledger.commit(commit(9)).await);
    assert_eq!(seen.recv().expect("applied"), [9]);
    answer.send(Err(StoreError::OutOfOrder { last: 3, got: 9 })).expect("takes the answer");
    thread.join().expect("ends");
    let last = progress.wait_for(|p| p.failure.is_some()).await.expect("said so before it ended").clone();
    assert_eq!(last.failure.as_deref(), Some("commit 9 does not follow commit 3"));
    assert!(!ledger.commit(commit(10)).await);
}
