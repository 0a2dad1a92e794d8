//! Peers coming, offering, failing and going, and what that means for the attempts they run.

use std::collections::BTreeSet;

use p2c2r_protocol::limits::{CLASSES_PER_PEER, SLOTS_PER_PEER};
use p2c2r_protocol::message::{OfferedClass, Refusal, ServerToPeer};
use p2c2r_signing::{AccountId, PublicKey, Ticket};

use super::{Conn, Market, hedge};
use crate::io::{ConnId, Millis, Network};
use crate::peers::ClassKey;
use crate::task::{Attempt, AttemptState, Phase};

impl Market {
    pub(super) fn peer_connected(&mut self, conn: ConnId, account: AccountId, key: PublicKey, network: Network) {
        if !self.has_room(conn) {
            return;
        }
        if self.ledger.available(account).is_none() {
            self.close(conn, Refusal::Forbidden, format!("account {account} is not open"));
            return;
        }
        let before = self.peers.find(&key).and_then(|id| self.peers.get(id)?.link.as_ref().map(|link| link.conn));
        if let Some(before) = before {
            self.close(before, Refusal::Protocol, "its key connected again".to_owned());
        }
        let limit = self.config.limits.peers_known;
        if self.peers.find(&key).is_none() && self.peers.known() >= limit {
            self.close(conn, Refusal::Unavailable, format!("{limit} peers are known, which is all there may be"));
            return;
        }
        let id = self.peers.ensure(key, account, &self.config);
        self.peers.link(id, conn, account, network);
        self.conns.insert(conn, Conn::Peer(id));
        let repeat = self.peers.get_mut(id).map(|peer| peer.unacked.repeat(&self.config.limits)).unwrap_or_default();
        for message in repeat {
            self.tell_peer(conn, message);
        }
        if self.draining {
            self.tell_peer(conn, ServerToPeer::Draining);
        }
    }

    pub(super) fn offer(&mut self, conn: ConnId, peer: usize, slots: u16, classes: &[OfferedClass]) {
        if slots > SLOTS_PER_PEER || classes.len() > CLASSES_PER_PEER {
            let (most_slots, most_classes) = (SLOTS_PER_PEER, CLASSES_PER_PEER);
            let message =
                format!("{slots} slots and {} classes; at most {most_slots} and {most_classes}", classes.len());
            self.close(conn, Refusal::Limit, message);
            return;
        }
        let offers: BTreeSet<_> = classes.iter().map(|o| ClassKey { path: o.path, class: o.class }).collect();
        let new = offers.iter().filter(|class| !self.peers.pool.contains(class)).count();
        let (known, limit) = (self.peers.pool.class_count(), self.config.limits.classes);
        if new > 0 && known + new > limit {
            let message = format!("{new} new classes on top of {known}, at most {limit} fit");
            self.close(conn, Refusal::Limit, message);
            return;
        }
        self.peers.offer(peer, usize::from(slots), offers.into_iter().collect(), self.now);
        self.work_for(peer);
    }

    /// A peer's connection is over: whatever it ran is missing, and may come back with it.
    pub(super) fn peer_gone(&mut self, peer: usize) {
        let running = self.peers.unlink(peer);
        for task in running {
            self.lose(task, peer, AttemptState::Missing);
        }
    }

    pub(super) fn peer_fault(&mut self, conn: ConnId, peer: usize, ticket: &[u8]) {
        let Some(ticket) = self.open_ticket(conn, peer, ticket) else { return };
        let Some(key) = self.tasks.find(&ticket.task) else { return };
        let attempt = self.tasks.get(key).and_then(|t| t.attempts.iter().find(|a| a.nonce == ticket.nonce));
        if attempt.is_some_and(|a| a.state == AttemptState::Running(peer)) {
            self.lose(key, peer, AttemptState::Faulted);
            self.work_for(peer);
        }
    }

    /// The ticket of a message, if it is this peer's; else the connection is closed.
    pub(super) fn open_ticket(&mut self, conn: ConnId, peer: usize, ticket: &[u8]) -> Option<Ticket> {
        let key = self.peers.get(peer)?.standing.record.key;
        let why = match Ticket::open(ticket, &self.key) {
            Ok(ticket) if ticket.peer == key => return Some(ticket),
            Ok(ticket) => format!("a ticket of peer {}", ticket.peer),
            Err(error) => error.to_string(),
        };
        self.close(conn, Refusal::Protocol, why);
        None
    }

    /// Time alone moved a task on.
    pub(super) fn task_due(&mut self, key: usize) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        task.timer = None;
        if task.phase != Phase::Undecided {
            self.settle_hedged(key, true);
            return;
        }
        if task.ends() <= self.now {
            if task.is_queued() {
                self.refuse_late(key);
            } else {
                self.blame_late(key);
                self.give_up(key, Refusal::Deadline);
            }
            return;
        }
        if task.rule_from.is_some_and(|at| at <= self.now) {
            task.rule_from = None;
            if self.rule(key) {
                return;
            }
        }
        let Some(task) = self.tasks.get(key) else { return };
        for peer in late(task.attempts.iter().map(|a| (a.state, a.until)), self.now) {
            self.learn_at_least(key, peer);
            self.lose(key, peer, AttemptState::Missing);
            self.work_for(peer);
        }
        if self.tasks.get(key).and_then(hedge::due).is_some_and(|at| at <= self.now) {
            self.hedge(key);
        }
        self.time_task(key);
    }

    /// A task ends at its deadline: whose attempt is late by then, with as much time as such work usually takes, lost it.
    /// Without a forecast, with less time than that, or with a kernel to fetch first, nobody is to blame: clients may ask for
    /// the impossible. The attempts themselves end with the task.
    fn blame_late(&mut self, key: usize) {
        let Some(task) = self.tasks.get(key) else { return };
        let fair = |a: &&Attempt| {
            let usual = a.work.and_then(|work| self.works.forecast(work));
            !a.cold && usual.is_some_and(|usual| usual.surely_within(task.patience_ms))
        };
        let attempts = task.attempts.iter().filter(fair).map(|a| (a.state, a.until));
        for peer in late(attempts, self.now) {
            self.stats.faults += 1;
            let resumes = self.peers.fault(peer, self.now, &self.config);
            self.time_peer(peer, resumes);
        }
    }

    /// An attempt that `peer` was running brought no outcome. Counts against its availability.
    fn lose(&mut self, key: usize, peer: usize, state: AttemptState) {
        self.stop(key, peer, state);
        self.stats.faults += 1;
        let resumes = self.peers.fault(peer, self.now, &self.config);
        self.time_peer(peer, resumes);
        self.complete(key);
        self.time_task(key);
    }

    /// Ends the attempt of a task that `peer` is running.
    pub(super) fn stop(&mut self, key: usize, peer: usize, state: AttemptState) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let running = task.attempts.iter_mut().find(|a| a.state == AttemptState::Running(peer));
        if let Some(attempt) = running {
            attempt.state = state;
            self.stats.running = self.stats.running.saturating_sub(1);
            self.peers.finish(peer, key, self.now);
        }
    }
}

/// The peers whose attempts are past their limit.
fn late(attempts: impl Iterator<Item = (AttemptState, Millis)>, now: Millis) -> Vec<usize> {
    attempts
        .filter_map(|(state, until)| match state {
            AttemptState::Running(peer) if until <= now => Some(peer),
            _ => None,
        })
        .collect()
}
