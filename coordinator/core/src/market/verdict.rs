//! The end of a task's running: a quorum, or no hope of one.

use bytes::Bytes;
use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{Refusal, ServerToClient, ServerToPeer, Verdict};
use p2c2r_signing::{SessionId, Vote};

use super::Market;
use super::submit::price;
use crate::task::{Answer, AttemptState, Phase, Place, Task};
use crate::trust::Basis;

impl Market {
    /// `vote` is right as far as `basis` goes; `answer` is one that cast it, with its output unless that was delivered.
    pub(super) fn confirm(&mut self, key: usize, vote: Vote, answer: Answer, basis: Basis) {
        if self.tasks.get(key).is_some_and(|task| task.rerun.is_some()) {
            self.rerun_decided(key, vote, answer, basis);
            return;
        }
        if !self.reserve_recovered(key, answer.units) {
            self.give_up(key, Refusal::Funds);
            return;
        }
        match basis {
            Basis::HeldWindow => self.archive_work(key, &answer),
            Basis::Quorum | Basis::Referee => self.remember_golden(key, &answer),
        }
        let Some(task) = self.tasks.get_mut(key) else { return };
        // Units of a vote are at most the units reserved for.
        let cost = price(task.rate, answer.units, task.replicas).unwrap_or(task.reserve).min(task.reserve);
        task.phase = Phase::Confirmed(vote, cost, basis);
        let Task { id, session, number, reserve, delivered, .. } = *task;
        let Answer { outcome, units, output, .. } = answer;
        if let (Some(session), Some(rest)) = (self.sessions.get_mut(session), reserve.checked_sub(cost)) {
            session.unreserve(rest);
        }
        self.stats.tasks_confirmed += 1;
        self.stats.tasks_on_held_window += u64::from(basis == Basis::HeldWindow);
        self.stats.tasks_on_referee += u64::from(basis == Basis::Referee);
        let (verdict, payload) = match delivered {
            Some(before) if before != vote => {
                self.stats.tasks_revoked += 1;
                (Verdict::Revoked { cost, outcome, units, basis }, output)
            }
            Some(_) => (Verdict::Confirmed { cost, basis }, Bytes::new()),
            None => {
                let message = ServerToClient::TaskResult { number, task: id, outcome, units, confirmed: true };
                self.tell_session(session, message, output);
                (Verdict::Confirmed { cost, basis }, Bytes::new())
            }
        };
        self.tell_verdict(session, number, verdict, payload);
        self.doubt(key, vote, basis);
        self.decided(key);
    }

    fn tell_verdict(&mut self, session: SessionId, number: u64, verdict: Verdict, payload: Bytes) {
        if let Some(session) = self.sessions.get_mut(session) {
            let limits = &self.config.limits;
            session.verdicts.push((number, verdict), payload.clone(), limits.verdicts, limits.verdict_bytes);
        }
        self.tell_session(session, ServerToClient::TaskVerdict { number, verdict }, payload);
    }

    /// A client that lost its connection asks what became of a task. While it runs its verdict is yet to come, and one that is
    /// not known any more is not made up.
    pub(super) fn query_verdict(&mut self, session: Option<SessionId>, number: u64) {
        let Some((id, session)) = session.and_then(|id| Some((id, self.sessions.get(id)?))) else { return };
        if let Some(&((_, verdict), ref payload)) = session.verdicts.newest(|(told, _)| *told == number) {
            let payload = payload.clone();
            self.tell_session(id, ServerToClient::TaskVerdict { number, verdict }, payload);
        }
    }

    /// Whoever voted otherwise gets nothing more to spoil until its standing is settled.
    fn doubt(&mut self, key: usize, right: Vote, basis: Basis) {
        let Some(task) = self.tasks.get(key).filter(|_| basis != Basis::HeldWindow) else { return };
        let wrong = |state: &AttemptState| matches!(state, AttemptState::Voted { vote, .. } if *vote != Some(right));
        let peers: Vec<_> = task.attempts.iter().filter(|a| wrong(&a.state)).map(|a| a.peer).collect();
        let until = self.now.plus(2 * self.config.settle_every_ms);
        for key in peers {
            let Some(id) = self.peers.find(&key) else { continue };
            let resumes = self.peers.doubted(id, self.now, until);
            self.time_peer(id, resumes);
        }
    }

    /// A task rebuilt after a restart reserved nothing: only its cost is known to fit, because before the restart the
    /// costs of all tasks together did, and nothing new was drawn from the session since. False if it does not fit
    /// because it comes after that time.
    fn reserve_recovered(&mut self, key: usize, units: u64) -> bool {
        let Some(task) = self.tasks.get_mut(key) else { return false };
        let (Place::Recovered(_), Some(cost)) = (task.place, price(task.rate, units, task.replicas)) else {
            return true;
        };
        let Some(session) = self.sessions.get_mut(task.session) else { return false };
        let left = self.ledger.held(session.id).checked_sub(session.reserved).unwrap_or(Credits::ZERO);
        if cost > left {
            return false;
        }
        session.reserve(cost);
        task.reserve = cost;
        true
    }

    /// There will be no quorum. Nothing is charged; votes that came are void.
    pub(super) fn give_up(&mut self, key: usize, code: Refusal) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        if task.phase != Phase::Undecided {
            return;
        }
        let at_fault = self.suspects.contains_key(&task.module);
        if !at_fault && (self.rule(key) || self.waive_check(key)) {
            return;
        }
        if self.tasks.get(key).is_some_and(|task| task.rerun.is_some()) {
            self.rerun_failed(key);
            return;
        }
        let Some(task) = self.tasks.get_mut(key) else { return };
        let Task { session, number, reserve, .. } = *task;
        let voted = task.has_votes();
        if voted {
            task.phase = Phase::Unverified;
        }
        self.stats.tasks_unverified += 1;
        self.tell_verdict(session, number, Verdict::Unverified { code }, Bytes::new());
        if voted {
            if let Some(session) = self.sessions.get_mut(session) {
                session.unreserve(reserve);
            }
            self.decided(key);
        } else {
            self.cancel_running(key);
            if let Some(session) = self.sessions.get_mut(session) {
                session.tasks.remove(&number);
                session.finish(number, self.now, self.config.limits.number_gaps);
            }
            self.forget(key);
        }
    }

    /// Nothing more is issued; the task waits for its batch.
    pub(super) fn decided(&mut self, key: usize) {
        let kept_until = self.awaits_loser(key).then(|| self.now.plus(self.config.settle_every_ms));
        self.cancel_running(key);
        self.wait(key, false);
        if let Some(task) = self.tasks.get_mut(key) {
            task.settle_from = kept_until;
        }
        self.time_task(key);
        self.tasks.drop_bytes(key);
        if kept_until.is_none() {
            self.decided.push_back(key);
            self.settle_soon();
        }
    }

    /// Nobody waits for the attempts that still run, nor for those given up as late that may still be at it. A result that crosses
    /// the word on its way counts all the same until the batch is cut.
    pub(super) fn cancel_running(&mut self, key: usize) {
        let Some(task) = self.tasks.get(key) else { return };
        let out = |state| matches!(state, AttemptState::Running(_) | AttemptState::Missing);
        let out: Vec<_> =
            task.attempts.iter().filter(|a| out(a.state)).map(|a| (a.peer, a.nonce, a.is_running())).collect();
        for (peer, nonce, runs) in out {
            let Some(peer) = self.peers.find(&peer) else { continue };
            if runs {
                self.learn_at_least(key, peer);
                self.stop(key, peer, AttemptState::Missing);
            }
            if let Some(conn) = self.peers.get(peer).and_then(|p| p.link.as_ref()).map(|link| link.conn) {
                self.tell_peer(conn, ServerToPeer::Cancel { nonce });
            }
            if runs {
                self.work_for(peer);
            }
        }
    }
}

/// What a decided task costs its client.
pub(super) fn cost_of(phase: Phase) -> Option<Credits> {
    match phase {
        Phase::Confirmed(_, cost, _) => Some(cost),
        Phase::Unverified | Phase::Undecided => None,
    }
}
