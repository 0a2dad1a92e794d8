//! Without a network: the same kernels in the same sandbox.

use std::time::Duration;

use p2c2r_client::{Client, ClientConfig, Event, Failure, LocalPolicy, MapError, Provenance, SubmitError, Task};
use p2c2r_signing::{BlobId, Outcome, SecretKey, TrustedKeys, VerifyError};

use crate::{echo, next, signed_echo};

#[test]
fn offline_a_kernel_runs_here() {
    let client = Client::start(ClientConfig::offline()).unwrap();
    let kernel = echo(&client);
    let handle = client.submit(Task::new(&kernel, &b"hello"[..]).max_units(1)).unwrap();
    let Event::Result(result) = next(&client) else { panic!("no result") };
    assert_eq!((result.handle, result.provenance), (handle, Provenance::Local));
    assert_eq!((result.outcome, &result.output[..], result.units), (Outcome::Output, &b"hello"[..], 1));
    let stats = client.stats();
    assert_eq!((stats.submitted, stats.local, stats.remote, stats.live), (1, 1, 0, 0));
}

#[test]
fn what_was_compiled_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("kernels");
    for _ in 0..2 {
        let client = Client::start(ClientConfig::offline().cache(&cache)).unwrap();
        client.submit(Task::new(&echo(&client), &b"again"[..]).max_units(1)).unwrap();
        let Event::Result(result) = next(&client) else { panic!("no result") };
        assert_eq!(&result.output[..], b"again");
    }
    let engines: Vec<_> = std::fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(engines.len(), 1);
    assert!(std::fs::read_dir(&engines[0]).unwrap().count() >= 1, "nothing was kept");
}

#[test]
fn a_split_task_joins_in_order() {
    let client = Client::start(ClientConfig::offline().local(LocalPolicy::Threads { threads: 2, gpu: false })).unwrap();
    let kernel = echo(&client);
    let mut map = client.map(&Task::new(&kernel, &b"Haabbccdd"[..]), 3).unwrap();
    while !map.is_settled() {
        assert!(map.take(&next(&client)));
    }
    // Every part repeats the header in its output, because echo repeats its input.
    assert_eq!(map.output().unwrap(), &b"HaaHbbHccdd"[..]);
    let error = client.map(&Task::new(&kernel, &b"Habc"[..]), 3).unwrap_err();
    assert_eq!(error, MapError::Shape { got: 4, header: 1, item: 2 });
}

#[test]
fn without_local_runs_a_task_fails_at_its_deadline() {
    let client = Client::start(ClientConfig::offline().local(LocalPolicy::Off)).unwrap();
    let kernel = echo(&client);
    let handle = client.submit(Task::new(&kernel, &b"x"[..]).deadline(Duration::from_millis(5))).unwrap();
    assert_eq!(next(&client), Event::Failed { handle, reason: Failure::Deadline });
}

#[test]
fn what_is_out_of_bounds_is_refused_by_name() {
    let client = Client::start(ClientConfig::offline()).unwrap();
    let kernel = echo(&client);
    let task = || Task::new(&kernel, &b"x"[..]);
    let too_large = client.submit(Task::new(&kernel, vec![0; 4097])).unwrap_err();
    assert_eq!(too_large, SubmitError::InputTooLarge { kernel: "echo".to_owned(), got: 4097, max: 4096 });
    let blob = BlobId::of(b"never added");
    assert_eq!(client.submit(task().blob(blob)).unwrap_err(), SubmitError::UnknownBlob { blob });
    for (task, message) in [
        (task().replicas(0), "replicas must be 1 to 5, got 0"),
        (task().replicas(6), "replicas must be 1 to 5, got 6"),
        (task().max_units(0), "max_units must be 1 to 10, got 0"),
        (task().max_units(11), "max_units must be 1 to 10, got 11"),
        (task().deadline(Duration::ZERO), "deadline in milliseconds must be 1 to 600000, got 0"),
    ] {
        assert_eq!(client.submit(task).unwrap_err().to_string(), message);
    }
    assert_eq!(client.stats().submitted, 0);
}

#[test]
fn a_kernel_of_a_stranger_is_refused() {
    let client = Client::start(ClientConfig::offline()).unwrap();
    let (wasm, _) = signed_echo();
    let stranger = TrustedKeys::new([SecretKey::generate().public()]).unwrap();
    let refused: VerifyError = client.add_kernel(wasm, &stranger).unwrap_err();
    assert!(refused.to_string().contains("trust"), "{refused}");
}

#[test]
fn shutdown_gives_every_task_its_event() {
    let client = Client::start(ClientConfig::offline().local(LocalPolicy::Off)).unwrap();
    let kernel = echo(&client);
    let patient = || Task::new(&kernel, &b"x"[..]).deadline(Duration::from_secs(600));
    let handles: Vec<_> = (0..10).map(|_| client.submit(patient()).unwrap()).collect();
    let cancelled = |handle| Event::Failed { handle, reason: Failure::Cancelled };
    let expected: Vec<_> = handles.into_iter().map(cancelled).collect();
    assert_eq!(client.shutdown(Duration::ZERO), expected);
}
