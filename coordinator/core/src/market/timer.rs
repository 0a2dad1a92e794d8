//! Time passing.

use p2c2r_signing::SessionId;

use super::{Market, hedge};
use crate::io::Millis;
use crate::task::Phase;

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A task's deadline or an attempt's.
    Task(usize),
    /// A session may be over.
    Session(SessionId),
    /// A peer may work again.
    Peer(usize),
    /// A golden task is due.
    Golden(u64),
}

impl Market {
    pub(super) fn fire_timers(&mut self) {
        while let Some(&(at, timer)) = self.timers.first().filter(|&&(at, _)| at <= self.now) {
            self.timers.remove(&(at, timer));
            match timer {
                Timer::Task(task) => self.task_due(task),
                Timer::Session(session) => self.end_if_over(session),
                Timer::Peer(peer) => self.peer_resumes(peer),
                Timer::Golden(order) => self.golden_due(order),
            }
        }
        if self.settle_at.is_some_and(|at| at <= self.now) {
            self.settle_due();
        }
    }

    /// Sets the timer of a task to the next thing that can happen to it by time alone.
    pub(super) fn time_task(&mut self, key: usize) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let next = match task.phase {
            Phase::Undecided => {
                let attempts = task.attempts.iter().filter(|a| a.is_running()).map(|a| a.until);
                attempts.chain([task.ends()]).chain(hedge::due(task)).chain(task.rule_from).min()
            }
            Phase::Confirmed(..) | Phase::Unverified => task.settle_from,
        };
        let before = std::mem::replace(&mut task.timer, next);
        if before != next {
            if let Some(at) = before {
                self.timers.remove(&(at, Timer::Task(key)));
            }
            if let Some(at) = next {
                self.timers.insert((at, Timer::Task(key)));
            }
        }
    }

    /// Wakes a peer up again when its suspension or cool-down ends.
    pub(super) fn time_peer(&mut self, peer: usize, resumes: Option<Millis>) {
        if let Some(at) = resumes {
            self.timers.insert((at, Timer::Peer(peer)));
        }
    }

    fn peer_resumes(&mut self, peer: usize) {
        if self.peers.refresh(peer, self.now) {
            self.work_for(peer);
        }
    }
}
