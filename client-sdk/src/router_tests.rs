//! The router's rules, on a clock of our own.

use std::time::{Duration, Instant};

use bytes::Bytes;
use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{Basis, ClientToServer, Refusal, RightAnswer, ServerToClient, Verdict};
use p2c2r_signing::{BlobId, Manifest, Outcome, SecretKey, SessionId, TaskId, TrustedKeys};

use super::{Input, LocalRun, Output, Router, Rules};
use crate::event::{Event, Failure, Network, Provenance};
use crate::limits::{VERDICT_WAIT, WITHDRAWABLE};
use crate::task::{Kernel, Task};

const DEADLINE: Duration = Duration::from_millis(100);

/// A router, its clock, and everything it did since last asked.
struct Bench {
    router: Router,
    now: Instant,
    kernel: Kernel,
}

impl Bench {
    fn new(local: bool) -> Self {
        let rules = Rules { session: 7, budget: Credits::from_nano_usd(1000), local, enabled: true };
        Self { router: Router::new(rules), now: Instant::now(), kernel: kernel() }
    }

    fn online(local: bool) -> Self {
        let mut bench = Self::new(local);
        let done = bench.give(Input::Connected);
        assert_eq!(done, ["open 7"]);
        assert_eq!(bench.opened(), ["event ready"]);
        bench
    }

    fn opened(&mut self) -> Vec<String> {
        let budget = Credits::from_nano_usd(1000);
        self.server(ServerToClient::SessionOpened { session: SessionId::from_bytes([1; 16]), budget })
    }

    fn submit(&mut self, number: u64) -> Vec<String> {
        let task = Task::new(&self.kernel, &b"in"[..]).deadline(DEADLINE);
        self.give(Input::Submit { number, task: Box::new(task) })
    }

    fn result(&mut self, number: u64, output: &'static [u8], confirmed: bool) -> Vec<String> {
        let task = TaskId::from_bytes([2; 16]);
        let message = ServerToClient::TaskResult { number, task, outcome: Outcome::Output, units: 1, confirmed };
        self.give(Input::Server { message, payload: Bytes::from_static(output) })
    }

    fn verdict(&mut self, number: u64, verdict: Verdict, output: &'static [u8]) -> Vec<String> {
        let message = ServerToClient::TaskVerdict { number, verdict };
        self.give(Input::Server { message, payload: Bytes::from_static(output) })
    }

    fn local(&mut self, number: u64, result: Result<&'static [u8], &str>) -> Vec<String> {
        let took = Duration::from_millis(30);
        let run = |output| LocalRun { outcome: Outcome::Output, output: Bytes::from_static(output), units: 1, took };
        self.give(Input::LocalDone { number, result: result.map(run).map_err(str::to_owned) })
    }

    fn server(&mut self, message: ServerToClient) -> Vec<String> {
        self.give(Input::Server { message, payload: Bytes::new() })
    }

    fn after(&mut self, time: Duration) -> Vec<String> {
        self.now += time;
        self.give(Input::Tick)
    }

    fn give(&mut self, input: Input) -> Vec<String> {
        self.router.handle(self.now, input);
        let mut done = Vec::new();
        while let Some(output) = self.router.poll_output() {
            done.push(name(&output));
        }
        done
    }
}

fn name(output: &Output) -> String {
    match output {
        Output::Send { message: ClientToServer::OpenSession { number, .. }, .. } => format!("open {number}"),
        Output::Send { message: ClientToServer::Submit { number, deadline_ms, .. }, .. } => {
            format!("submit {number} {deadline_ms}")
        }
        Output::Send { message: ClientToServer::Cancel { number }, .. } => format!("cancel {number}"),
        Output::Send { message: ClientToServer::QueryVerdict { number }, .. } => format!("verdict {number}?"),
        Output::Send { message, .. } => format!("send {message:?}"),
        Output::Upload(_) => "upload".to_owned(),
        Output::RunLocal { number, .. } => format!("run {number}"),
        Output::StopLocal { number } => format!("stop {number}"),
        Output::Refunded(refund) => format!("refunded {}", refund.nano_usd()),
        Output::Charged(cost) => format!("charged {}", cost.nano_usd()),
        Output::Event(event) => format!("event {}", event_name(event)),
        Output::LastEvent(event) => format!("last event {}", event_name(event)),
    }
}

fn event_name(event: &Event) -> String {
    match event {
        Event::Result(result) => {
            let text = String::from_utf8_lossy(&result.output).into_owned();
            match result.provenance {
                Provenance::Local => format!("local {text}"),
                Provenance::RemoteProvisional => format!("provisional {text}"),
                Provenance::RemoteConfirmed => format!("agreed {text}"),
            }
        }
        Event::Confirmed { basis: Basis::Quorum, .. } => "confirmed".to_owned(),
        Event::Confirmed { basis, .. } => format!("confirmed by {basis:?}"),
        Event::Withdrawn { right: None, .. } => "withdrawn".to_owned(),
        Event::Withdrawn { right: Some(right), .. } => {
            format!("withdrawn for {}", String::from_utf8_lossy(&right.output))
        }
        Event::Revoked { output, .. } => format!("revoked {}", String::from_utf8_lossy(output)),
        Event::Unverified { .. } => "unverified".to_owned(),
        Event::Failed { reason: Failure::Cancelled, .. } => "cancelled".to_owned(),
        Event::Failed { reason: Failure::Deadline, .. } => "deadline".to_owned(),
        Event::Failed { reason: Failure::Refused { code, .. }, .. } => format!("refused {code:?}"),
        Event::Failed { reason: Failure::Local(why), .. } => format!("failed {why}"),
        Event::Network(Network::Ready { .. }) => "ready".to_owned(),
        Event::Network(Network::Offline { .. }) => "offline".to_owned(),
        Event::Network(Network::NoBudget { .. }) => "no budget".to_owned(),
        Event::Network(Network::Draining) => "draining".to_owned(),
    }
}

fn kernel() -> Kernel {
    let manifest: Manifest =
        serde_json::from_str(r#"{"name":"k","version":"1.0.0","abi":1,"publisher":"p","unit":"u"}"#).expect("valid");
    let key = SecretKey::from_seed(&[1; 32]);
    let wasm = p2c2r_signing::attach(b"\0asm\x01\0\0\0", &manifest, &[]).expect("attaches");
    let wasm = p2c2r_signing::sign_module(&wasm, &key).expect("signs");
    let trusted = TrustedKeys::new([key.public()]).expect("one key");
    Kernel { module: p2c2r_signing::verify_module(wasm, &trusted).expect("verifies") }
}

fn cost() -> Credits {
    Credits::from_nano_usd(20)
}

const CHARGED: &str = "charged 20";

#[test]
fn a_provisional_answer_is_confirmed() {
    let mut b = Bench::online(true);
    assert_eq!(b.submit(1), ["submit 1 100"]);
    assert_eq!(b.result(1, b"x", false), ["event provisional x"]);
    assert_eq!(
        b.verdict(1, Verdict::Confirmed { cost: cost(), basis: Basis::Quorum }, b""),
        [CHARGED, "last event confirmed"]
    );
    assert_eq!(b.router.live(), 0);
}

#[test]
fn a_revoked_answer_brings_the_right_bytes() {
    let mut b = Bench::online(true);
    b.submit(1);
    b.result(1, b"wrong", false);
    let verdict = Verdict::Revoked { cost: cost(), outcome: Outcome::Output, units: 1, basis: Basis::Referee };
    assert_eq!(b.verdict(1, verdict, b"right"), [CHARGED, "last event revoked right"]);
}

/// Confirms task `number` on one peer's word.
fn on_window(b: &mut Bench, number: u64) {
    b.submit(number);
    b.result(number, b"x", false);
    let verdict = Verdict::Confirmed { cost: cost(), basis: Basis::HeldWindow };
    assert_eq!(b.verdict(number, verdict, b""), [CHARGED, "last event confirmed by HeldWindow"]);
}

#[test]
fn what_rests_on_one_peer_may_be_withdrawn_once() {
    let mut b = Bench::online(true);
    on_window(&mut b, 1);
    on_window(&mut b, 2);
    let paid_back = |number| ServerToClient::TaskWithdrawn { number, refund: cost(), right: None };
    assert_eq!(b.server(paid_back(1)), ["refunded 20", "event withdrawn"]);
    assert!(b.server(paid_back(1)).is_empty());
    let right = Some(RightAnswer { outcome: Outcome::Output, units: 1 });
    let message = ServerToClient::TaskWithdrawn { number: 2, refund: Credits::ZERO, right };
    let done = b.give(Input::Server { message, payload: Bytes::from_static(b"right") });
    assert_eq!(done, ["refunded 0", "event withdrawn for right"]);
}

#[test]
fn nothing_else_is_withdrawn_whatever_the_server_says() {
    let mut b = Bench::online(true);
    let withdrawn = |number| ServerToClient::TaskWithdrawn { number, refund: cost(), right: None };
    assert!(b.server(withdrawn(99)).is_empty());
    b.submit(1);
    b.result(1, b"x", false);
    assert!(b.server(withdrawn(1)).is_empty(), "it has no verdict");
    b.verdict(1, Verdict::Confirmed { cost: cost(), basis: Basis::Quorum }, b"");
    assert!(b.server(withdrawn(1)).is_empty(), "others vouch for it");
}

#[test]
fn the_oldest_answers_are_past_withdrawing() {
    let mut b = Bench::online(true);
    (0..=WITHDRAWABLE as u64).for_each(|number| b.router.note_basis(number, Basis::HeldWindow));
    assert_eq!(b.router.withdrawable.len(), WITHDRAWABLE);
    let withdrawn = |number| ServerToClient::TaskWithdrawn { number, refund: cost(), right: None };
    assert!(b.server(withdrawn(0)).is_empty());
    assert_eq!(b.server(withdrawn(1)).len(), 2);
}

#[test]
fn offline_a_task_runs_here() {
    let mut b = Bench::new(true);
    assert_eq!(b.submit(1), ["run 1"]);
    assert_eq!(b.local(1, Ok(b"x")), ["last event local x"]);
}

#[test]
fn offline_without_local_runs_a_task_fails_at_its_deadline() {
    let mut b = Bench::new(false);
    assert!(b.submit(1).is_empty());
    assert!(b.after(DEADLINE - Duration::from_millis(1)).is_empty());
    assert_eq!(b.after(Duration::from_millis(1)), ["last event deadline"]);
}

#[test]
fn a_task_submitted_before_the_session_goes_out_with_it() {
    let mut b = Bench::new(false);
    b.submit(1);
    b.give(Input::Connected);
    b.now += Duration::from_millis(40);
    assert_eq!(b.opened(), ["event ready", "submit 1 60"]);
}

#[test]
fn a_late_network_is_hedged_by_the_usual_run_time() {
    let mut b = Bench::online(true);
    b.submit(1);
    // No run of this kernel is known yet: half of the deadline.
    assert_eq!(b.after(DEADLINE / 2), ["run 1"]);
    assert_eq!(b.local(1, Ok(b"x")), ["cancel 1", "last event local x"]);
    b.submit(2);
    // A run took 30 ms: start when 30 ms are left.
    assert!(b.after(Duration::from_millis(69)).is_empty());
    assert_eq!(b.after(Duration::from_millis(1)), ["run 2"]);
    assert_eq!(b.result(2, b"y", false), ["event provisional y", "stop 2"]);
    assert!(b.local(2, Err("cancelled")).is_empty());
    assert_eq!(
        b.verdict(2, Verdict::Confirmed { cost: cost(), basis: Basis::Quorum }, b""),
        [CHARGED, "last event confirmed"]
    );
}

#[test]
fn what_the_network_still_charges_after_a_local_answer_is_counted() {
    let mut b = Bench::online(true);
    b.submit(1);
    b.after(DEADLINE / 2);
    b.local(1, Ok(b"x"));
    assert!(b.result(1, b"x", false).is_empty());
    assert_eq!(b.verdict(1, Verdict::Confirmed { cost: cost(), basis: Basis::Quorum }, b""), [CHARGED]);
}

#[test]
fn a_refused_task_runs_here_or_fails_with_the_reason() {
    let refused = |number| ServerToClient::TaskRefused { number, code: Refusal::NoPeers, message: String::new() };
    let mut b = Bench::online(true);
    b.submit(1);
    assert_eq!(b.server(refused(1)), ["run 1"]);
    assert_eq!(b.local(1, Err("broken")), ["last event failed broken"]);
    let mut b = Bench::online(false);
    b.submit(1);
    assert_eq!(b.server(refused(1)), ["last event refused NoPeers"]);
}

#[test]
fn a_lost_connection_moves_tasks_here_and_back() {
    let mut b = Bench::online(true);
    b.submit(1);
    let lost = Input::Disconnected { reason: "gone".to_owned() };
    assert_eq!(b.give(lost), ["run 1", "event offline"]);
    b.give(Input::Connected);
    assert_eq!(b.opened(), ["event ready", "submit 1 100"]);
    assert_eq!(b.result(1, b"x", true), ["event agreed x", "stop 1"]);
}

#[test]
fn a_verdict_lost_with_a_connection_is_asked_for() {
    let mut b = Bench::online(true);
    b.submit(1);
    b.submit(2);
    b.result(1, b"x", false);
    b.result(2, b"y", false);
    let verdict = Verdict::Confirmed { cost: cost(), basis: Basis::Quorum };
    b.verdict(2, verdict, b"");
    assert_eq!(b.give(Input::Disconnected { reason: "gone".to_owned() }), ["event offline"]);
    b.give(Input::Connected);
    assert_eq!(b.opened(), ["event ready", "verdict 1?"]);
    assert_eq!(b.verdict(1, verdict, b""), [CHARGED, "last event confirmed"]);
}

#[test]
fn without_budget_tasks_run_here() {
    let mut b = Bench::new(true);
    b.give(Input::Connected);
    let refused = ServerToClient::SessionRefused { code: Refusal::Funds, message: String::new() };
    assert_eq!(b.server(refused), ["event no budget"]);
    assert_eq!(b.submit(1), ["run 1"]);
}

#[test]
fn switched_off_tasks_run_here_and_on_again_at_the_network() {
    let mut b = Bench::online(true);
    assert_eq!(b.give(Input::SetEnabled(false)), ["event offline"]);
    assert_eq!(b.submit(1), ["run 1"]);
    b.local(1, Ok(b"x"));
    b.give(Input::SetEnabled(true));
    assert_eq!(b.submit(2), ["submit 2 100"]);
}

#[test]
fn a_task_waits_for_its_blob_and_is_hedged_meanwhile() {
    let blob = BlobId::of(b"scene");
    let mut b = Bench::online(true);
    assert_eq!(b.give(Input::BlobAdded(blob)), ["upload"]);
    let task = Task::new(&b.kernel, &b"in"[..]).deadline(DEADLINE).blob(blob);
    assert!(b.give(Input::Submit { number: 1, task: Box::new(task.clone()) }).is_empty());
    assert_eq!(b.server(ServerToClient::BlobStored { blob }), ["submit 1 100"]);
    b.give(Input::Disconnected { reason: String::new() });
    b.give(Input::Connected);
    // A new connection may be another coordinator: it is offered the blob again.
    assert_eq!(b.opened(), ["event ready", "upload"]);
}

#[test]
fn a_refused_blob_fails_its_tasks_with_the_reason() {
    let blob = BlobId::of(b"scene");
    let mut b = Bench::online(false);
    b.give(Input::BlobAdded(blob));
    let task = Task::new(&b.kernel, &b"in"[..]).blob(blob);
    b.give(Input::Submit { number: 1, task: Box::new(task) });
    let refused = ServerToClient::BlobRefused { blob, code: Refusal::Limit, message: String::new() };
    assert_eq!(b.server(refused), ["last event refused Limit"]);
}

#[test]
fn cancel_gives_one_event_and_stops_both_sides() {
    let mut b = Bench::online(true);
    b.submit(1);
    b.after(DEADLINE / 2);
    assert_eq!(b.give(Input::Cancel { number: 1 }), ["stop 1", "cancel 1", "last event cancelled"]);
    assert!(b.give(Input::Cancel { number: 1 }).is_empty());
    assert!(b.result(1, b"x", false).is_empty());
    assert!(b.local(1, Ok(b"x")).is_empty());
}

#[test]
fn a_verdict_that_never_comes_ends_the_task() {
    let mut b = Bench::online(true);
    b.submit(1);
    b.result(1, b"x", false);
    assert!(b.after(VERDICT_WAIT).is_empty(), "other executions have time until the deadline");
    assert_eq!(b.after(DEADLINE), ["last event unverified"]);
}

#[test]
fn no_quorum_before_any_answer_is_a_refusal() {
    let mut b = Bench::online(false);
    b.submit(1);
    let verdict = Verdict::Unverified { code: Refusal::NoPeers };
    assert_eq!(b.verdict(1, verdict, b""), ["last event refused NoPeers"]);
}

#[test]
fn the_server_can_say_anything_about_tasks_that_are_not() {
    let mut b = Bench::online(true);
    assert!(b.result(99, b"x", true).is_empty());
    assert!(b.verdict(99, Verdict::Unverified { code: Refusal::Other }, b"").is_empty());
    b.submit(1);
    b.result(1, b"x", false);
    assert!(b.result(1, b"again", false).is_empty());
}

#[test]
fn every_task_is_abandoned_once() {
    let mut b = Bench::online(true);
    b.submit(1);
    b.submit(2);
    b.result(2, b"x", false);
    b.router.abandon();
    let mut events = Vec::new();
    while let Some(output) = b.router.poll_output() {
        events.push(name(&output));
    }
    assert_eq!(events, ["cancel 1", "last event cancelled"]);
}
