//! A task comes in, or is given up by its client.

use bytes::Bytes;
use p2c2r_protocol::Credits;
use p2c2r_protocol::limits::{BLOBS_PER_TASK, DEADLINE_MS, REPLICAS};
use p2c2r_protocol::message::{Mode, Refusal, ServerToClient};
use p2c2r_signing::{AccountId, BlobId, ModuleId, SessionId, input_digest};

use super::admission::Asked;
use super::dispatch::Choice;
use super::{Market, Refused};
use crate::identity::task_id;
use crate::io::ConnId;
use crate::queue::Waiter;
use crate::quorum::Tally;
use crate::session::SessionState;
use crate::task::{Needs, Phase, Place, Task};

/// A task as a client submits it.
pub(super) struct Submission {
    pub(super) number: u64,
    pub(super) module: ModuleId,
    pub(super) blobs: Vec<BlobId>,
    pub(super) seed: u64,
    pub(super) deadline_ms: u32,
    pub(super) priority: u8,
    pub(super) mode: Mode,
    pub(super) replicas: u8,
    pub(super) max_units: u64,
    pub(super) input: Bytes,
}

/// What the checks found out.
struct Accepted {
    session: SessionId,
    client: AccountId,
    needs: Needs,
    output_bytes: u64,
    rate: Credits,
    reserve: Credits,
    choice: Choice,
}

impl Market {
    pub(super) fn submit(&mut self, conn: ConnId, session: Option<SessionId>, submission: Submission) {
        let number = submission.number;
        match self.check(session, &submission) {
            Ok(Some(accepted)) => match self.late_by_prediction(accepted.choice, &asked(&accepted, &submission)) {
                None => self.accept(accepted, submission),
                Some(refused) => self.refuse_now(conn, number, refused),
            },
            Ok(None) => {}
            Err(refused) => self.refuse_now(conn, number, refused),
        }
    }

    fn refuse_now(&mut self, conn: ConnId, number: u64, (code, message): Refused) {
        self.stats.tasks_refused += 1;
        self.tell_client(conn, ServerToClient::TaskRefused { number, code, message });
    }

    /// Everything a task must be. `None` is a resend of one that is here already.
    fn check(&self, session: Option<SessionId>, task: &Submission) -> Result<Option<Accepted>, Refused> {
        let limits = &self.config.limits;
        let session = session.and_then(|id| self.sessions.get(id));
        let session = session.filter(|s| s.state == SessionState::Open);
        let session = session.ok_or_else(|| refuse(Refusal::NoSession, "no session is open on this connection"))?;
        if session.tasks.contains_key(&task.number) {
            return Ok(None);
        }
        if session.finished.contains(task.number) {
            return Err(refuse(Refusal::Protocol, format!("task number {} was used before", task.number)));
        }
        if let Some(refused) = self.closed_for_new() {
            return Err(refused);
        }
        if self.now < session.recovering_until {
            let left = self.now.until(session.recovering_until);
            let message = format!("results from before a restart have {left} ms more to come in for this session");
            return Err(refuse(Refusal::Unavailable, message));
        }
        let kernel = self.kernels.get(&task.module);
        let kernel = kernel
            .ok_or_else(|| refuse(Refusal::UnknownKernel, format!("kernel {} is not registered", task.module)))?;
        if let Some(suspicion) = self.suspects.get(&task.module) {
            return Err(refuse(Refusal::FaultyKernel, super::diagnosis::reason(suspicion)));
        }
        check_at_most("blobs", task.blobs.len(), BLOBS_PER_TASK)?;
        if let Some(missing) = task.blobs.iter().find(|blob| !self.blobs.contains(blob)) {
            return Err(refuse(Refusal::UnknownBlob, format!("blob {missing} is not stored")));
        }
        if !(1..=REPLICAS).contains(&task.replicas) {
            return Err(refuse(Refusal::Limit, format!("{} replicas; there must be 1 to {REPLICAS}", task.replicas)));
        }
        if !(1..=DEADLINE_MS).contains(&task.deadline_ms) {
            let message = format!("a deadline of {} ms; it must be 1 to {DEADLINE_MS}", task.deadline_ms);
            return Err(refuse(Refusal::Deadline, message));
        }
        let manifest = &kernel.manifest.limits;
        if !(1..=manifest.units).contains(&task.max_units) {
            let message =
                format!("{} units; kernel {} allows 1 to {}", task.max_units, kernel.manifest.name, manifest.units);
            return Err(refuse(Refusal::Limit, message));
        }
        if task.input.len() as u64 > manifest.input_bytes {
            let message = format!(
                "an input of {} bytes; kernel {} takes at most {}",
                task.input.len(),
                kernel.manifest.name,
                manifest.input_bytes
            );
            return Err(refuse(Refusal::Limit, message));
        }
        let reserve = price(kernel.rate, task.max_units, task.replicas).ok_or_else(|| {
            let (rate, units, replicas) = (kernel.rate, task.max_units, task.replicas);
            refuse(Refusal::Funds, format!("{rate} x {units} units x {replicas} is more money than there can be"))
        })?;
        let left = self.ledger.held(session.id).checked_sub(session.reserved).unwrap_or(Credits::ZERO);
        if reserve > left {
            let message = format!("the task may cost {reserve}, the session has {left} left of {}", session.budget);
            return Err(refuse(Refusal::Funds, message));
        }
        check_below("tasks in flight in this session", session.tasks.len(), limits.tasks_per_session)?;
        let full = |what: &str, count: usize, limit: usize| {
            refuse(Refusal::Unavailable, format!("the coordinator has {count} {what}, at most {limit} fit"))
        };
        if self.tasks.len() >= limits.tasks {
            return Err(full("tasks in flight", self.tasks.len(), limits.tasks));
        }
        let input_bytes = self.tasks.input_bytes.saturating_add(task.input.len());
        if input_bytes > limits.input_bytes {
            return Err(full("bytes of inputs with this one", input_bytes, limits.input_bytes));
        }
        let needs = Needs::of(&kernel.manifest);
        let choice = self.choose(needs, task.replicas, session.account)?;
        if choice == Choice::Later && self.queue.len() >= limits.pending {
            return Err(full("tasks waiting", self.queue.len(), limits.pending));
        }
        let (output_bytes, rate) = (manifest.output_bytes, kernel.rate);
        Ok(Some(Accepted { session: session.id, client: session.account, needs, output_bytes, rate, reserve, choice }))
    }

    fn accept(&mut self, accepted: Accepted, submission: Submission) {
        let Accepted { session, client, needs, output_bytes, rate, reserve, choice } = accepted;
        let Submission { number, module, blobs, seed, deadline_ms, priority, mode, replicas, max_units, input } =
            submission;
        let deadline = self.now.plus(u64::from(deadline_ms));
        let verify_by = match mode {
            Mode::Provisional => deadline.plus(self.config.verify_window_ms),
            Mode::Confirmed => deadline,
        };
        let key = self.tasks.insert(Task {
            id: task_id(session, number),
            session,
            client,
            number,
            module,
            needs,
            digest: input_digest(&input, &blobs, seed),
            input,
            blobs,
            seed,
            priority,
            mode,
            replicas,
            checks: 0,
            max_units,
            output_bytes,
            rate,
            reserve,
            deadline,
            patience_ms: u64::from(deadline_ms),
            verify_by,
            timer: None,
            place: Place::Queued,
            attempts: Vec::new(),
            tally: Tally::new(replicas),
            phase: Phase::Undecided,
            delivered: None,
            kept: None,
            ruling: None,
            rule_from: None,
            hedged: false,
            settle_from: None,
            waiting: false,
            rerun: None,
        });
        if let Some(session) = self.sessions.get_mut(session) {
            session.reserve(reserve);
            session.tasks.insert(number, key);
        }
        self.stats.tasks_submitted += 1;
        match choice {
            Choice::Now(class) => self.start(key, class),
            Choice::Later => self.queue.push((needs, replicas), session, Waiter::new(priority, deadline, key)),
        }
        self.time_task(key);
    }

    /// The client gives up on a task. One with an answer or a vote is verified and charged all the same: that work is
    /// done. Otherwise nothing is charged.
    pub(super) fn cancel(&mut self, session: Option<SessionId>, number: u64) {
        let session = session.and_then(|id| self.sessions.get(id));
        let Some(&key) = session.and_then(|s| s.tasks.get(&number)) else { return };
        let Some(task) = self.tasks.get(key) else { return };
        if task.phase != Phase::Undecided || task.has_votes() {
            return;
        }
        if task.is_queued() {
            self.refuse_queued(key, Refusal::Other, "cancelled by the client");
        } else {
            self.give_up(key, Refusal::Other);
        }
    }

    /// Ends a task that waited for a peer until its deadline.
    pub(super) fn refuse_late(&mut self, key: usize) {
        self.refuse_queued(key, Refusal::Deadline, "no peer was free before its deadline");
    }

    /// Ends a task that no peer was given.
    pub(super) fn refuse_queued(&mut self, key: usize, code: Refusal, why: &str) {
        let Some(task) = self.tasks.get(key) else { return };
        let (session, number) = (task.session, task.number);
        let waiter = Waiter::new(task.priority, task.deadline, key);
        self.queue.remove((task.needs, task.replicas), session, &waiter);
        self.stats.tasks_refused += 1;
        self.tell_session(session, ServerToClient::TaskRefused { number, code, message: why.to_owned() }, Bytes::new());
        if let Some(session) = self.sessions.get_mut(session) {
            // Nobody has a ticket for it: the number may be used again.
            session.tasks.remove(&number);
        }
        self.forget(key);
    }
}

/// `rate * units * replicas`, unless it overflows.
pub(super) fn price(rate: Credits, units: u64, replicas: u8) -> Option<Credits> {
    Credits::checked_price(Credits::checked_price(rate, units)?, u64::from(replicas))
}

fn asked(accepted: &Accepted, submission: &Submission) -> Asked {
    Asked {
        client: accepted.client,
        session: accepted.session,
        module: submission.module,
        needs: accepted.needs,
        replicas: submission.replicas,
        priority: submission.priority,
        max_units: submission.max_units,
        deadline_ms: submission.deadline_ms,
    }
}

fn refuse(code: Refusal, message: impl Into<String>) -> Refused {
    (code, message.into())
}

fn check_at_most(what: &str, count: usize, limit: usize) -> Result<(), Refused> {
    if count > limit {
        return Err(refuse(Refusal::Limit, format!("{count} {what}, at most {limit}")));
    }
    Ok(())
}

fn check_below(what: &str, count: usize, limit: usize) -> Result<(), Refused> {
    if count >= limit {
        return Err(refuse(Refusal::Limit, format!("{count} {what}, at most {limit}")));
    }
    Ok(())
}
