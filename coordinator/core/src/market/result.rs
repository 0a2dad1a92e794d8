//! A peer's result: check ticket and seal, count the vote, answer for what is over already.

use bytes::Bytes;
use p2c2r_protocol::Credits;
use p2c2r_protocol::limits::REPLICAS;
use p2c2r_protocol::message::{Mode, Refusal, ServerToClient, ServerToPeer, SettledAttempt, Standing};
use p2c2r_signing::{Outcome, Ticket, Vote};

use super::Market;
use crate::identity::task_id;
use crate::io::ConnId;
use crate::quorum::Tally;
use crate::session::SessionState;
use crate::task::{Answer, Attempt, AttemptState, Needs, Phase, Place, Task};
use crate::trust::Basis;

impl Market {
    pub(super) fn result(&mut self, conn: ConnId, peer: usize, ticket: &[u8], answer: Answer) {
        let Some(ticket) = self.open_ticket(conn, peer, ticket) else { return };
        let Some((key, attempt)) = self.attempt_of(peer, &ticket) else {
            self.stats.results_late += 1;
            self.answer_late(conn, peer, &ticket);
            return;
        };
        let Some(task) = self.tasks.get_mut(key) else { return };
        let Attempt { state, referee, hedge, .. } = task.attempts[attempt];
        if let AttemptState::Voted { .. } = state {
            // Sent again; the batch it is in will answer it.
            self.stats.results_late += 1;
            return;
        }
        let vote = answer.claim().vote(task.id, task.module, ticket.class, task.digest);
        let sealed = vote.seal(&ticket.peer, &ticket.nonce) == answer.seal;
        let within = answer.units <= task.max_units && answer.output.len() as u64 <= task.output_bytes;
        let counts = (sealed && within).then_some(vote);
        let voted = AttemptState::Voted { vote: counts, units: answer.units, seal: answer.seal };
        self.stats.votes += 1;
        let done = sealed && within && answer.outcome == Outcome::Output;
        match state {
            AttemptState::Running(peer) if done => {
                self.learn(key, peer);
                self.stop(key, peer, voted);
            }
            AttemptState::Running(peer) => self.stop(key, peer, voted),
            _ => task.attempts[attempt].state = voted,
        }
        self.peers.answered(peer);
        match counts {
            Some(vote) if referee => self.confirm_by_referee(key, vote, answer),
            Some(vote) => {
                let before = self.has_answer(key);
                if self.tasks.get(key).is_some_and(|task| task.is_echo(attempt)) {
                    self.complete(key);
                } else {
                    self.count(key, vote, answer);
                }
                self.stats.hedges_won += u64::from(hedge && !before && self.has_answer(key));
            }
            None => self.complete(key),
        }
        self.settle_hedged(key, false);
        if sealed {
            self.work_for(peer);
        } else {
            let why = "the seal does not fit result, ticket and key".to_owned();
            self.close(conn, Refusal::Protocol, why);
        }
    }

    /// Whether the client has an answer.
    fn has_answer(&self, key: usize) -> bool {
        self.tasks.get(key).is_none_or(|task| task.delivered.is_some() || matches!(task.phase, Phase::Confirmed(..)))
    }

    /// Counts a vote of a task that may be decided already: then the settlement sees whether it agrees.
    fn count(&mut self, key: usize, vote: Vote, answer: Answer) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        if task.phase != Phase::Undecided {
            return;
        }
        if task.tally.cast(vote) {
            let basis = if task.compared() { Basis::Quorum } else { Basis::HeldWindow };
            let referable = task.tally.disputed() || task.rule_from.is_some();
            if !(referable && self.refer(key, vote, &answer)) {
                self.confirm(key, vote, answer, basis);
            }
            return;
        }
        if task.checks > 0 && task.kept.is_none() {
            let output = if task.mode == Mode::Confirmed { answer.output.clone() } else { Bytes::new() };
            self.tasks.keep(key, Answer { output, ..answer.clone() });
        }
        let Some(task) = self.tasks.get_mut(key) else { return };
        if task.mode == Mode::Provisional && task.delivered.is_none() && self.now < task.deadline {
            task.delivered = Some(vote);
            let Task { session, number, id, .. } = *task;
            let Answer { outcome, units, output, .. } = answer;
            let message = ServerToClient::TaskResult { number, task: id, outcome, units, confirmed: false };
            self.tell_session(session, message, output);
        }
        self.complete(key);
    }

    /// The task and attempt of a ticket. A task from before a restart is rebuilt, an attempt from before it taken on.
    fn attempt_of(&mut self, peer: usize, ticket: &Ticket) -> Option<(usize, usize)> {
        let key = match self.tasks.find(&ticket.task) {
            Some(key) => key,
            None => self.recover(ticket)?,
        };
        let task = self.tasks.get_mut(key)?;
        if let Some(at) = task.attempts.iter().position(|a| a.nonce == ticket.nonce) {
            return Some((key, at));
        }
        let found = self.peers.get(peer)?;
        let (owner, network) = (found.standing.record.account, found.link.as_ref()?.network);
        // A referee gets no ordinary work: what it ran it was to decide, on top of all other attempts.
        let referee = self.peers.is_referee(&owner);
        let most = task.planned() + usize::from(self.config.extra_attempts);
        let fits = task.place == Place::Recovered(ticket.class)
            && task.module == ticket.module
            && task.digest == ticket.input
            && (referee || task.attempts.iter().filter(|a| !a.referee).count() < most)
            && task.attempts.iter().all(|a| a.owner != owner);
        fits.then(|| {
            let (nonce, peer, until) = (ticket.nonce, ticket.peer, task.deadline);
            task.attempts.push(Attempt {
                nonce,
                peer,
                owner,
                network,
                referee,
                given: self.now,
                work: None,
                hedge: false,
                slow_from: None,
                cold: true,
                until,
                state: AttemptState::Missing,
            });
            (key, task.attempts.len() - 1)
        })
    }

    /// Rebuilds a task from the ticket of an attempt that was given out before a restart. Only a session from before
    /// it can have such tasks, and only under numbers that are not over.
    fn recover(&mut self, ticket: &Ticket) -> Option<usize> {
        let session = self.sessions.get(ticket.session)?;
        let kernel = self.kernels.get(&ticket.module)?;
        let rate = Credits::from_nano_usd(ticket.rate);
        let recoverable = session.restored_at.is_some_and(|at| ticket.issued_ms <= at.0)
            && session.state != SessionState::Opening
            && !session.finished.contains(ticket.number)
            && !session.tasks.contains_key(&ticket.number)
            && ticket.task == task_id(ticket.session, ticket.number)
            && (1..=REPLICAS).contains(&ticket.replicas)
            && ticket.checks <= 1
            && !self.suspects.contains_key(&ticket.module)
            && self.tasks.len() < self.config.limits.tasks;
        if !recoverable {
            return None;
        }
        // Without votes that were held against each other nobody asked the referee.
        let refereed = ticket.replicas + ticket.checks > 1 && !self.config.referees.is_empty();
        let rule_from = Some(session.recovering_until).filter(|at| refereed && *at > self.now);
        let deadline = self.now.plus(self.config.hold_grace_ms.max(1));
        let needs = Needs::of(&kernel.manifest);
        let key = self.tasks.insert(Task {
            id: ticket.task,
            session: ticket.session,
            client: session.account,
            number: ticket.number,
            module: ticket.module,
            needs,
            digest: ticket.input,
            input: Bytes::new(),
            blobs: Vec::new(),
            seed: 0,
            priority: 0,
            mode: Mode::Provisional,
            replicas: ticket.replicas,
            checks: ticket.checks,
            max_units: ticket.max_units,
            output_bytes: kernel.manifest.limits.output_bytes,
            rate,
            reserve: Credits::ZERO,
            deadline,
            patience_ms: self.config.hold_grace_ms.max(1),
            verify_by: deadline,
            timer: None,
            place: Place::Recovered(ticket.class),
            attempts: Vec::new(),
            tally: Tally::new(ticket.replicas + ticket.checks),
            phase: Phase::Undecided,
            delivered: None,
            kept: None,
            ruling: None,
            rule_from,
            hedged: false,
            settle_from: None,
            waiting: false,
            rerun: None,
        });
        if let Some(session) = self.sessions.get_mut(ticket.session) {
            session.tasks.insert(ticket.number, key);
        }
        self.stats.tasks_recovered += 1;
        self.time_task(key);
        Some(key)
    }

    /// Answers a result for something that is over, so that its peer forgets it. The answer is of no batch, and names one that
    /// is durable: the acknowledgement of one that is yet to come would be taken for that of what the peer earned in it.
    fn answer_late(&mut self, conn: ConnId, peer: usize, ticket: &Ticket) {
        if self.commits.settles(&ticket.peer, &ticket.nonce) {
            return;
        }
        let known = self.peers.get(peer).and_then(|peer| peer.unacked.find(&ticket.nonce));
        let (batch, root) = self.last_durable;
        let message = known.unwrap_or_else(|| ServerToPeer::Settled {
            batch,
            root,
            entries: vec![SettledAttempt { nonce: ticket.nonce, standing: Standing::Void, earned: Credits::ZERO }],
        });
        self.tell_peer(conn, message);
    }
}
