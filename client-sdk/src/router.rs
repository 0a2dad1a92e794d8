//! Decides for every task whether the network or this machine answers it. No clock, no thread, no socket: time comes in
//! with each input, and what is to be done comes out as [`Output`]s, so every rule here is tested without waiting.
//!
//! The rules. With a session open a task goes to the network. Without one (offline, switched off, no budget, refused) it
//! runs here at once, if this machine may. A task at the network is hedged: if no answer is there when only a local
//! run's usual time is left before the deadline, it starts here too, and the first answer wins. Without local runs a
//! task fails at its deadline; with them a late answer is still delivered, because a game can drop it but not invent it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{Basis, ClientToServer, Refusal, RightAnswer, ServerToClient, Verdict};
use p2c2r_signing::{BlobId, ModuleId, Outcome};

use crate::event::{Event, Failure, Network, Provenance, Right, TaskResult};
use crate::limits::{RUN_SAMPLES, VERDICT_WAIT, WITHDRAWABLE};
use crate::stats::Samples;
use crate::task::{Task, TaskHandle};

/// What the router is told.
#[derive(Debug)]
pub(crate) enum Input {
    /// The game submitted a task; the number is new.
    Submit { number: u64, task: Box<Task> },
    /// The game gave up on a task.
    Cancel { number: u64 },
    /// The game switched the network on or off.
    SetEnabled(bool),
    /// The game added a blob.
    BlobAdded(BlobId),
    /// The connection is up, and no session is open on it yet.
    Connected,
    /// The connection is gone, or could not be made.
    Disconnected { reason: String },
    /// The coordinator said something.
    Server { message: ServerToClient, payload: Bytes },
    /// A local run ended.
    LocalDone { number: u64, result: Result<LocalRun, String> },
    /// A timer may have passed.
    Tick,
}

/// A local run that came to an outcome.
#[derive(Debug)]
pub(crate) struct LocalRun {
    pub(crate) outcome: Outcome,
    pub(crate) output: Bytes,
    pub(crate) units: u64,
    pub(crate) took: Duration,
}

/// What the router wants done.
#[derive(Debug)]
pub(crate) enum Output {
    Send {
        message: ClientToServer,
        payload: Bytes,
    },
    Upload(BlobId),
    RunLocal {
        number: u64,
        task: Box<Task>,
    },
    StopLocal {
        number: u64,
    },
    Event(Event),
    /// A task's last event: whoever has seen it sees the task gone.
    LastEvent(Event),
    Charged(Credits),
    Refunded(Credits),
}

/// How the router is set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Number of the session; constant over reconnects.
    pub(crate) session: u64,
    /// What the session may cost.
    pub(crate) budget: Credits,
    /// Whether this machine may run tasks.
    pub(crate) local: bool,
    /// Whether the network is used at the start.
    pub(crate) enabled: bool,
}

#[derive(Debug)]
pub(crate) struct Router {
    rules: Rules,
    link: Link,
    enabled: bool,
    tasks: BTreeMap<u64, Entry>,
    /// When to look at which task again.
    timers: BTreeSet<(Instant, u64)>,
    blobs: BTreeMap<BlobId, Upload>,
    runs: BTreeMap<ModuleId, Samples>,
    /// Numbers of tasks that are over and may be withdrawn: their answers rest on a held window.
    withdrawable: BTreeSet<u64>,
    outputs: VecDeque<Output>,
}

#[derive(Debug, PartialEq, Eq)]
enum Link {
    Down,
    Opening,
    Open,
    /// Connected, but no task may be sent.
    Shut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upload {
    /// Not offered on this connection.
    Missing,
    Offered,
    Stored,
}

#[derive(Debug)]
struct Entry {
    task: Box<Task>,
    submitted: Instant,
    deadline: Instant,
    remote: Remote,
    local: Local,
    delivered: Option<Provenance>,
    refusal: Option<(Refusal, String)>,
    timer: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remote {
    /// Not sent: no session, or a blob is not stored yet.
    Waiting,
    Sent,
    /// Delivered, the verdict is out.
    Answered,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Local {
    Idle,
    Running,
    Over,
}

impl Router {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            link: Link::Down,
            enabled: rules.enabled,
            tasks: BTreeMap::new(),
            timers: BTreeSet::new(),
            blobs: BTreeMap::new(),
            runs: BTreeMap::new(),
            withdrawable: BTreeSet::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input; drain [`Self::poll_output`] afterwards.
    pub(crate) fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Submit { number, task } => self.submit(now, number, task),
            Input::Cancel { number } => self.cancel(number),
            Input::SetEnabled(enabled) => self.set_enabled(now, enabled),
            Input::BlobAdded(blob) => self.offer(blob),
            Input::Connected => self.connected(),
            Input::Disconnected { reason } => self.disconnected(now, reason),
            Input::Server { message, payload } => self.server(now, message, payload),
            Input::LocalDone { number, result } => self.local_done(now, number, result),
            Input::Tick => self.tick(now),
        }
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When the next [`Input::Tick`] is due.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Whether the network should be connected to at all.
    pub(crate) fn wants_network(&self) -> bool {
        self.enabled
    }

    /// Fails everything that has no answer yet; for shutdown.
    pub(crate) fn abandon(&mut self) {
        for number in self.tasks.keys().copied().collect::<Vec<_>>() {
            self.cancel(number);
        }
    }

    /// Tasks that will still give an event.
    #[cfg(test)]
    pub(crate) fn live(&self) -> usize {
        self.tasks.len()
    }

    fn submit(&mut self, now: Instant, number: u64, task: Box<Task>) {
        let deadline = now + task.deadline;
        let entry = Entry {
            task,
            submitted: now,
            deadline,
            remote: Remote::Waiting,
            local: Local::Idle,
            delivered: None,
            refusal: None,
            timer: None,
        };
        self.tasks.insert(number, entry);
        self.place(now, number);
    }

    /// Sends a waiting task if that can be done now; otherwise runs it here if the network is no prospect.
    fn place(&mut self, now: Instant, number: u64) {
        let Some(entry) = self.tasks.get_mut(&number) else { return };
        let open = self.enabled && self.link == Link::Open;
        if open && entry.task.blobs.iter().all(|blob| self.blobs.get(blob) == Some(&Upload::Stored)) {
            let left = entry.deadline.saturating_duration_since(now).as_millis();
            let task = &entry.task;
            let message = ClientToServer::Submit {
                number,
                module: task.kernel.id(),
                blobs: task.blobs.clone(),
                seed: task.seed,
                deadline_ms: u32::try_from(left).unwrap_or(u32::MAX).max(1),
                priority: task.priority,
                mode: task.mode,
                replicas: task.replicas,
                max_units: task.max_units,
            };
            self.outputs.push_back(Output::Send { message, payload: task.input.clone() });
            entry.remote = Remote::Sent;
        } else if !open && self.rules.local {
            self.start_local(number);
        }
        self.arm(now, number);
    }

    /// Sets the task's timer: the hedge while it may still run here, else the deadline.
    fn arm(&mut self, now: Instant, number: u64) {
        let Some(entry) = self.tasks.get(&number) else { return };
        let at = match (entry.delivered, entry.local) {
            (Some(_), _) | (None, Local::Running) => None,
            (None, Local::Idle) if self.rules.local => Some(self.hedge_at(now, entry)),
            (None, _) => Some(entry.deadline),
        };
        self.set_timer(number, at);
    }

    /// The last moment at which a local run usually still makes the deadline. Half of the deadline for a kernel that
    /// never ran here.
    fn hedge_at(&self, now: Instant, entry: &Entry) -> Instant {
        let usual = match self.runs.get(&entry.task.kernel.id()) {
            Some(samples) if !samples.is_empty() => samples.quantile(95),
            _ => entry.task.deadline / 2,
        };
        entry.deadline.checked_sub(usual).unwrap_or(now).max(now)
    }

    fn set_timer(&mut self, number: u64, at: Option<Instant>) {
        let Some(entry) = self.tasks.get_mut(&number) else { return };
        if let Some(old) = entry.timer.take() {
            self.timers.remove(&(old, number));
        }
        if let Some(at) = at {
            entry.timer = Some(at);
            self.timers.insert((at, number));
        }
    }

    fn start_local(&mut self, number: u64) {
        let Some(entry) = self.tasks.get_mut(&number) else { return };
        if entry.local == Local::Idle {
            entry.local = Local::Running;
            self.outputs.push_back(Output::RunLocal { number, task: entry.task.clone() });
        }
    }

    fn stop_local(&mut self, number: u64) {
        let Some(entry) = self.tasks.get_mut(&number) else { return };
        if entry.local == Local::Running {
            entry.local = Local::Over;
            self.outputs.push_back(Output::StopLocal { number });
        }
    }

    fn stop_remote(&mut self, number: u64) {
        let Some(entry) = self.tasks.get_mut(&number) else { return };
        if entry.remote == Remote::Sent && self.link != Link::Down {
            let message = ClientToServer::Cancel { number };
            self.outputs.push_back(Output::Send { message, payload: Bytes::new() });
        }
        entry.remote = Remote::Over;
    }

    fn cancel(&mut self, number: u64) {
        let Some(entry) = self.tasks.get(&number) else { return };
        if entry.delivered.is_none() {
            self.fail(number, Failure::Cancelled);
        }
    }

    fn fail(&mut self, number: u64, reason: Failure) {
        self.stop_local(number);
        self.stop_remote(number);
        self.finish(number, Event::Failed { handle: TaskHandle(number), reason });
    }

    fn finish(&mut self, number: u64, last: Event) {
        self.set_timer(number, None);
        if self.tasks.remove(&number).is_some() {
            self.outputs.push_back(Output::LastEvent(last));
        }
    }

    fn deliver(
        &mut self,
        now: Instant,
        number: u64,
        provenance: Provenance,
        outcome: Outcome,
        output: Bytes,
        units: u64,
    ) {
        let Some(entry) = self.tasks.get_mut(&number) else { return };
        entry.delivered = Some(provenance);
        let latency = now.saturating_duration_since(entry.submitted);
        let handle = TaskHandle(number);
        let event = Event::Result(TaskResult { handle, provenance, outcome, output, units, latency });
        if provenance == Provenance::Local {
            self.stop_remote(number);
            self.finish(number, event);
        } else {
            self.outputs.push_back(Output::Event(event));
            self.stop_local(number);
            let Some(entry) = self.tasks.get_mut(&number) else { return };
            entry.remote = Remote::Answered;
            let last = entry.deadline.max(now);
            self.set_timer(number, Some(last + VERDICT_WAIT));
        }
    }

    /// The network gives no answer to this task: run it here, or fail with what is known.
    fn remote_over(&mut self, now: Instant, number: u64) {
        let Some(entry) = self.tasks.get_mut(&number) else { return };
        entry.remote = Remote::Over;
        match entry.local {
            Local::Running => {}
            Local::Idle if self.rules.local => self.start_local(number),
            Local::Idle | Local::Over => {
                let reason = match entry.refusal.take() {
                    Some((code, message)) => Failure::Refused { code, message },
                    None => Failure::Deadline,
                };
                self.fail(number, reason);
            }
        }
        self.arm(now, number);
    }

    fn set_enabled(&mut self, now: Instant, enabled: bool) {
        self.enabled = enabled;
        if enabled {
            self.place_waiting(now);
        } else {
            let reason = "switched off".to_owned();
            self.give_up_remote(now);
            self.outputs.push_back(Output::Event(Event::Network(Network::Offline { reason })));
        }
    }

    fn offer(&mut self, blob: BlobId) {
        let state = self.blobs.entry(blob).or_insert(Upload::Missing);
        if *state == Upload::Missing && self.link == Link::Open {
            *state = Upload::Offered;
            self.outputs.push_back(Output::Upload(blob));
        }
    }

    fn connected(&mut self) {
        self.link = Link::Opening;
        let message = ClientToServer::OpenSession { number: self.rules.session, budget: self.rules.budget };
        self.outputs.push_back(Output::Send { message, payload: Bytes::new() });
    }

    fn disconnected(&mut self, now: Instant, reason: String) {
        self.link = Link::Down;
        for state in self.blobs.values_mut() {
            *state = Upload::Missing;
        }
        self.give_up_remote(now);
        self.outputs.push_back(Output::Event(Event::Network(Network::Offline { reason })));
    }

    /// Nothing can be sent for now: unanswered tasks wait for the next session and run here meanwhile.
    fn give_up_remote(&mut self, now: Instant) {
        for number in self.tasks.keys().copied().collect::<Vec<_>>() {
            let Some(entry) = self.tasks.get_mut(&number) else { continue };
            if entry.delivered.is_none() && matches!(entry.remote, Remote::Sent | Remote::Waiting) {
                entry.remote = Remote::Waiting;
                self.place(now, number);
            }
        }
    }

    fn place_waiting(&mut self, now: Instant) {
        let waiting = |entry: &Entry| entry.remote == Remote::Waiting && entry.delivered.is_none();
        let numbers: Vec<u64> = self.tasks.iter().filter(|(_, entry)| waiting(entry)).map(|(n, _)| *n).collect();
        for number in numbers {
            self.place(now, number);
        }
    }

    /// A verdict may have been lost with the connection before this one.
    fn ask_for_verdicts(&mut self) {
        let answered = self.tasks.iter().filter(|(_, entry)| entry.remote == Remote::Answered);
        for number in answered.map(|(number, _)| *number) {
            let message = ClientToServer::QueryVerdict { number };
            self.outputs.push_back(Output::Send { message, payload: Bytes::new() });
        }
    }

    fn server(&mut self, now: Instant, message: ServerToClient, payload: Bytes) {
        match message {
            ServerToClient::SessionOpened { budget, .. } => {
                self.link = Link::Open;
                self.outputs.push_back(Output::Event(Event::Network(Network::Ready { budget })));
                for blob in self.blobs.keys().copied().collect::<Vec<_>>() {
                    self.offer(blob);
                }
                self.ask_for_verdicts();
                self.place_waiting(now);
            }
            ServerToClient::SessionRefused { code, message } => {
                self.link = Link::Shut;
                self.give_up_remote(now);
                self.outputs.push_back(Output::Event(Event::Network(Network::NoBudget { code, message })));
            }
            ServerToClient::SessionClosed { .. } => self.link = Link::Shut,
            ServerToClient::Draining => {
                self.link = Link::Shut;
                self.outputs.push_back(Output::Event(Event::Network(Network::Draining)));
            }
            ServerToClient::TaskRefused { number, code, message } => {
                let Some(entry) = self.tasks.get_mut(&number).filter(|entry| entry.delivered.is_none()) else { return };
                entry.refusal = Some((code, message));
                self.remote_over(now, number);
            }
            ServerToClient::TaskResult { number, outcome, units, confirmed, .. } => {
                let fresh = self.tasks.get(&number).is_some_and(|entry| entry.delivered.is_none());
                if fresh {
                    let provenance =
                        if confirmed { Provenance::RemoteConfirmed } else { Provenance::RemoteProvisional };
                    self.deliver(now, number, provenance, outcome, payload, units);
                }
            }
            ServerToClient::TaskVerdict { number, verdict } => self.verdict(now, number, verdict, payload),
            ServerToClient::TaskWithdrawn { number, refund, right } => self.withdrawn(number, refund, right, payload),
            ServerToClient::BlobStored { blob } => {
                if let Some(state) = self.blobs.get_mut(&blob) {
                    *state = Upload::Stored;
                    self.place_waiting(now);
                }
            }
            ServerToClient::BlobRefused { blob, code, message } => {
                tracing::warn!(%blob, ?code, %message, "blob refused");
                let hit = |entry: &Entry| entry.remote == Remote::Waiting && entry.task.blobs.contains(&blob);
                let numbers: Vec<u64> = self.tasks.iter().filter(|(_, entry)| hit(entry)).map(|(n, _)| *n).collect();
                for number in numbers {
                    if let Some(entry) = self.tasks.get_mut(&number) {
                        entry.refusal = Some((code, message.clone()));
                    }
                    self.remote_over(now, number);
                }
            }
            ServerToClient::Kernel(_) | ServerToClient::KernelUnknown { .. } | ServerToClient::Chunk(_) => {}
        }
    }

    fn verdict(&mut self, now: Instant, number: u64, verdict: Verdict, payload: Bytes) {
        if let Verdict::Confirmed { cost, .. } | Verdict::Revoked { cost, .. } = verdict {
            self.outputs.push_back(Output::Charged(cost));
        }
        let Some(entry) = self.tasks.get(&number) else { return };
        let (handle, after) = (TaskHandle(number), now.saturating_duration_since(entry.submitted));
        let last = match (verdict, entry.delivered.is_some()) {
            (Verdict::Confirmed { cost, basis }, true) => {
                self.note_basis(number, basis);
                Event::Confirmed { handle, cost, basis, after }
            }
            (Verdict::Revoked { cost, outcome, units, basis }, true) => {
                Event::Revoked { handle, cost, outcome, output: payload, units, basis, after }
            }
            (Verdict::Revoked { cost, outcome, units, basis }, false) => {
                // The wrong answer never reached us (it was lost with a connection): this is the first one.
                self.deliver(now, number, Provenance::RemoteConfirmed, outcome, payload, units);
                Event::Confirmed { handle, cost, basis, after }
            }
            (Verdict::Unverified { code }, true) => Event::Unverified { handle, code },
            (Verdict::Unverified { code }, false) => {
                if let Some(entry) = self.tasks.get_mut(&number) {
                    entry.refusal = Some((code, "no quorum was reached".to_owned()));
                }
                return self.remote_over(now, number);
            }
            // A verdict on an answer that was lost with a connection: the bytes are gone, the bill is not.
            (Verdict::Confirmed { .. }, false) => return self.remote_over(now, number),
        };
        self.finish(number, last);
    }

    /// Remembers an answer that may yet be withdrawn; the lowest number goes past the bound.
    fn note_basis(&mut self, number: u64, basis: Basis) {
        if basis == Basis::HeldWindow {
            self.withdrawable.insert(number);
            if self.withdrawable.len() > WITHDRAWABLE {
                self.withdrawable.pop_first();
            }
        }
    }

    /// The task is over and forgotten, all but that its answer rested on one peer.
    fn withdrawn(&mut self, number: u64, refund: Credits, right: Option<RightAnswer>, payload: Bytes) {
        if !self.withdrawable.remove(&number) {
            return;
        }
        self.outputs.push_back(Output::Refunded(refund));
        let right = right.map(|RightAnswer { outcome, units }| Right { outcome, output: payload, units });
        self.outputs.push_back(Output::Event(Event::Withdrawn { handle: TaskHandle(number), refund, right }));
    }

    fn local_done(&mut self, now: Instant, number: u64, result: Result<LocalRun, String>) {
        let Some(entry) = self.tasks.get_mut(&number) else { return };
        entry.local = Local::Over;
        match result {
            Ok(run) => {
                let samples = self.runs.entry(entry.task.kernel.id()).or_insert_with(|| Samples::new(RUN_SAMPLES));
                samples.push(run.took);
                if entry.delivered.is_none() {
                    self.deliver(now, number, Provenance::Local, run.outcome, run.output, run.units);
                }
            }
            Err(reason) => {
                let prospect = entry.remote == Remote::Sent || entry.remote == Remote::Waiting && self.enabled;
                if entry.delivered.is_none() && (!prospect || now >= entry.deadline) {
                    self.fail(number, Failure::Local(reason));
                } else {
                    tracing::warn!(%reason, "local run failed");
                    self.arm(now, number);
                }
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        while let Some(&(at, number)) = self.timers.first() {
            if at > now {
                return;
            }
            self.timers.remove(&(at, number));
            let Some(entry) = self.tasks.get_mut(&number) else { continue };
            entry.timer = None;
            match (entry.delivered, entry.local) {
                (Some(_), _) => {
                    let code = Refusal::Unavailable;
                    let handle = TaskHandle(number);
                    self.finish(number, Event::Unverified { handle, code });
                }
                (None, Local::Idle) if self.rules.local => self.start_local(number),
                (None, Local::Running) => {}
                (None, _) => {
                    let reason = match entry.refusal.take() {
                        Some((code, message)) => Failure::Refused { code, message },
                        None => Failure::Deadline,
                    };
                    self.fail(number, reason);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;
