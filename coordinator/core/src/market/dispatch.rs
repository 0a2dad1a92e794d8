//! Who runs what: choosing peers for new tasks, another peer where one failed or voices differ, and work for a peer
//! that has a slot again.

use p2c2r_protocol::message::{Refusal, ServerToPeer};
use p2c2r_signing::{AccountId, SessionId, Ticket};

use super::{Market, Refused};
use crate::io::Output;
use crate::peers::{ClassKey, Wanted};
use crate::task::{Attempt, AttemptState, Needs, Phase, Place};

/// Classes of a path looked at for one task, as votes only compare inside one: so many of those with the most owners, and if they
/// are busy of those with the most free ones.
const CLASSES_TRIED: usize = 4;

/// Whether a task can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// In this class, now.
    Now(ClassKey),
    /// There are peers enough, but they are busy or others wait for them.
    Later,
}

/// Why an attempt is given out. Its peer cannot tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// To execute the task, or to check it.
    Ordinary,
    /// Because others are slow.
    Hedge,
    /// To decide.
    Referee,
}

impl Market {
    /// Where a new task of these needs goes.
    pub(super) fn choose(&self, needs: Needs, replicas: u8, client: AccountId) -> Result<Choice, Refused> {
        if let Some(class) = self.free_class(needs, replicas, client) {
            let first = !self.queue.has((needs, replicas));
            return Ok(if first { Choice::Now(class) } else { Choice::Later });
        }
        let pool = &self.peers.pool;
        let largest = needs.paths().iter().flat_map(|&path| pool.ranked(path).take(CLASSES_TRIED));
        let others = largest.map(|(class, owners)| owners - usize::from(pool.has_owner(&class, client)));
        let (most, wanted) = (others.max().unwrap_or_default(), usize::from(replicas));
        if most < wanted {
            let message = format!("{replicas} replicas need as many owners with peers of one class, there are {most}");
            return Err((Refusal::NoPeers, message));
        }
        Ok(Choice::Later)
    }

    /// Gives a queued task its first attempts.
    pub(super) fn start(&mut self, key: usize, class: ClassKey) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        task.place = Place::Class(class);
        for _ in 0..task.replicas {
            self.issue(key, class, false);
        }
        // Free owners were counted before, so this finds nothing to do but a check that was decided on.
        self.complete(key);
    }

    /// Gives a task one attempt at a free peer of an owner that has none of it; false if there is none. A random one if the
    /// attempts are to be compared, else as [`Peers::place`](crate::peers::Peers::place) says.
    pub(super) fn issue(&mut self, key: usize, class: ClassKey, hedge: bool) -> bool {
        let Some(task) = self.tasks.get(key) else { return false };
        let (excluded, networks) = (task.excluded(), task.networks());
        let work = self.works.find(task.module, class.path, task.max_units);
        let picked = if task.compared() {
            self.peers.pick(&class, &excluded, &networks, &mut self.dice)
        } else {
            let wanted = Wanted {
                class: &class,
                excluded: &excluded,
                networks: &networks,
                module: &task.module,
                blobs: &task.blobs,
                work,
                left_ms: self.now.until(task.deadline),
            };
            self.peers.place(&wanted, &self.works, &self.config.trust, &mut self.dice)
        };
        let Some(id) = picked else { return false };
        self.decide_check(key, id, class, work);
        self.give(key, id, class, if hedge { Role::Hedge } else { Role::Ordinary })
    }

    /// Gives a task's next attempt to a peer.
    pub(super) fn give(&mut self, key: usize, id: usize, class: ClassKey, role: Role) -> bool {
        let (referee, hedge) = (role == Role::Referee, role == Role::Hedge);
        let Some(task) = self.tasks.get_mut(key) else { return false };
        let Some(card) = self.peers.card(id) else { return false };
        let (peer, owner, network) = (card.key, card.owner, card.network);
        let Some(conn) = self.peers.get(id).and_then(|peer| Some(peer.link.as_ref()?.conn)) else { return false };
        let work = self.works.ensure(task.module, class.path, task.max_units, &self.config.limits);
        let forecasts = work.map(|work| [self.peers.forecast(id, work), self.works.forecast(work)]);
        let slow_after = forecasts.into_iter().flatten().flatten().filter_map(|f| f.slow_after(task.patience_ms)).min();
        let slow_from = slow_after.map(|ms| self.now.plus(ms));
        let cold = self.peers.given(id, &self.works, (&task.module, work), &task.blobs, self.now, &self.config);
        let nonce = self.dice.nonce();
        // Every attempt has the same time, whatever is left to its client: a peer could tell replacements and hedges by it.
        let until = self.now.plus(task.patience_ms);
        let ticket = Ticket {
            session: task.session,
            task: task.id,
            peer,
            nonce,
            module: task.module,
            class: class.class,
            input: task.digest,
            replicas: task.replicas,
            checks: task.checks,
            number: task.number,
            rate: task.rate.nano_usd(),
            max_units: task.max_units,
            issued_ms: self.now.0,
        };
        let message = ServerToPeer::Assign {
            ticket: ticket.seal(&self.key),
            task: task.id,
            nonce,
            module: task.module,
            class: class.class,
            blobs: task.blobs.clone(),
            seed: task.seed,
            max_units: task.max_units,
            deadline_ms: u32::try_from(task.patience_ms).unwrap_or(u32::MAX),
        };
        self.stats.attempts += 1;
        if !hedge {
            self.hedges.earn(self.config.dispatch.hedge_percent);
        }
        if task.attempts.len() >= task.planned() && !hedge {
            self.stats.reissues += 1;
        }
        task.attempts.push(Attempt {
            nonce,
            peer,
            owner,
            network,
            referee,
            given: self.now,
            work,
            hedge,
            slow_from,
            cold,
            until,
            state: AttemptState::Running(id),
        });
        self.out.push_back(Output::ToPeer { conn, message, payload: task.input.clone() });
        self.peers.start(id, key, self.now);
        self.stats.running += 1;
        true
    }

    /// Makes sure that a task has attempts enough to reach its quorum, or waits for a peer, or is given up.
    pub(super) fn complete(&mut self, key: usize) {
        let Some(task) = self.tasks.get(key) else { return };
        let Place::Class(class) = task.place else { return };
        if self.referee_failed(key) {
            return;
        }
        if self.is_referees_own(key) {
            if self.tasks.get(key).is_some_and(|task| task.running() == 0) {
                self.give_up(key, Refusal::NoPeers);
            }
            return;
        }
        let Some(task) = self.tasks.get(key) else { return };
        // What has no time left is about to be given up.
        if task.phase != Phase::Undecided || task.ends() <= self.now {
            return;
        }
        let most = task.planned() + usize::from(self.config.extra_attempts);
        let missing = usize::from(task.tally.missing()).saturating_sub(task.voices());
        let may_issue = if self.draining { 0 } else { most.saturating_sub(task.attempts.len()) };
        let issued = (0..missing.min(may_issue)).take_while(|_| self.issue(key, class, false)).count();
        let Some(task) = self.tasks.get(key) else { return };
        let short = issued < missing;
        // Somebody else might still come: a peer of an owner that was not asked, or a result thought lost.
        let other = short && may_issue > issued && self.peers.pool.has_other_owner(&class, &task.excluded());
        if short && !other && task.tally.disputed() && self.ask_referee(key) {
            return;
        }
        let Some(task) = self.tasks.get(key) else { return };
        if short && task.running() == 0 && !other && !task.may_come_back() {
            self.give_up(key, Refusal::NoPeers);
            return;
        }
        self.wait(key, short && may_issue > issued);
        if issued > 0 {
            self.time_task(key);
        }
    }

    /// Puts a task into the list of those that wait for another peer, or takes it out.
    pub(super) fn wait(&mut self, key: usize, waiting: bool) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let Place::Class(class) = task.place else { return };
        if std::mem::replace(&mut task.waiting, waiting) == waiting {
            return;
        }
        if waiting {
            self.reissues.insert(class, task.verify_by, key);
        } else {
            self.reissues.remove(class, task.verify_by, key);
        }
    }

    /// A peer has a free slot: first tasks that wait for another attempt, then new ones.
    pub(super) fn work_for(&mut self, peer: usize) {
        if self.draining || (self.reissues.is_empty() && self.queue.is_empty()) {
            return;
        }
        if !self.reissues.is_empty() {
            let classes = self.peers.get(peer).map(|peer| peer.offers().to_vec()).unwrap_or_default();
            for class in classes {
                for task in self.reissues.next(class) {
                    self.complete(task);
                }
            }
        }
        for line in self.queue.lines() {
            while let Some(task) = self.queue.front(line) {
                if self.tasks.get(task).is_some_and(|t| t.ends() <= self.now) {
                    self.refuse_late(task);
                    continue;
                }
                let Some(client) = self.tasks.get(task).map(|t| t.client) else { break };
                let Some(class) = self.free_class(line.0, line.1, client) else { break };
                self.queue.pop(line);
                self.start(task, class);
            }
        }
    }

    /// The best class with enough free owners.
    fn free_class(&self, needs: Needs, replicas: u8, client: AccountId) -> Option<ClassKey> {
        let pool = &self.peers.pool;
        needs.paths().iter().find_map(|&path| {
            let largest = pool.ranked(path).map(|(class, _)| class).take(CLASSES_TRIED);
            let mut tried = largest.chain(pool.freest(path).take(CLASSES_TRIED));
            tried.find(|class| pool.has_free_owners(class, client, usize::from(replicas)))
        })
    }

    /// Takes a task out of everything but its session's history.
    pub(super) fn forget(&mut self, key: usize) {
        self.wait(key, false);
        let Some(task) = self.tasks.remove(key) else { return };
        if let Some(at) = task.timer {
            self.timers.remove(&(at, super::timer::Timer::Task(key)));
        }
        let session: SessionId = task.session;
        if task.phase == Phase::Undecided
            && let Some(session) = self.sessions.get_mut(session)
        {
            session.unreserve(task.reserve);
        }
        self.end_if_over(session);
    }
}
