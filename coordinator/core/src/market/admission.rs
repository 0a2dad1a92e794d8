//! Tasks that cannot make it are refused at once, so that the game runs them itself while there is time.
//!
//! The prediction is on the task's side. With a free peer it is the median of the fastest of a few free ones, each by its
//! *own* past, and a peer without one speaks for admission: what one slow peer did to the work's figures cannot refuse a
//! task that another could run. With none free it is what the faster quarter of executions takes, after the least that
//! has to be served before. Without a prediction the task is taken.
//!
//! One in [`PROBE_ONE_IN`] that would be refused is taken all the same: with nothing running, nothing would ever be learnt
//! of better times.

use p2c2r_protocol::message::{Path, Refusal};
use p2c2r_signing::{AccountId, ModuleId, SessionId};

use super::dispatch::Choice;
use super::{Market, Refused};
use crate::peers::ClassKey;
use crate::queue::Waiter;
use crate::task::Needs;

/// Free peers looked at before a task is refused.
const LOOKED_AT: usize = 8;

/// A refused task of so many is tried after all.
const PROBE_ONE_IN: usize = 32;

/// What admission looks at of a task.
pub(super) struct Asked {
    pub(super) client: AccountId,
    pub(super) session: SessionId,
    pub(super) module: ModuleId,
    pub(super) needs: Needs,
    pub(super) replicas: u8,
    pub(super) priority: u8,
    pub(super) max_units: u64,
    pub(super) deadline_ms: u32,
}

/// When a task would be done, in milliseconds from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Finish {
    waits: u64,
    runs: u64,
}

impl Market {
    /// Why a task that is otherwise right is not taken: it would be late.
    pub(super) fn late_by_prediction(&mut self, choice: Choice, asked: &Asked) -> Option<Refused> {
        let finish = match choice {
            Choice::Now(class) => self.finish_now(class, asked),
            Choice::Later => self.finish_later(asked),
        }?;
        let (all, deadline) = (finish.waits.saturating_add(finish.runs), u64::from(asked.deadline_ms));
        if all <= deadline || self.dice.below(PROBE_ONE_IN) == 0 {
            return None;
        }
        self.stats.tasks_refused_late += 1;
        let Finish { waits, runs } = finish;
        let message =
            format!("predicted to take {all} ms ({waits} waiting, {runs} running), its deadline is {deadline} ms");
        Some((Refusal::Deadline, message))
    }

    /// With a peer free. `None` if it is unknown or in time.
    fn finish_now(&mut self, class: ClassKey, asked: &Asked) -> Option<Finish> {
        let work = self.works.find(asked.module, class.path, asked.max_units)?;
        // The usual case, without a look at any peer.
        if self.works.forecast(work)?.perhaps_within(u64::from(asked.deadline_ms)) {
            return None;
        }
        let peers = self.peers.pool.some_free(&class, asked.client, LOOKED_AT, &mut self.dice);
        let mut fastest = u64::MAX;
        for peer in peers {
            fastest = fastest.min(self.peers.forecast(peer, work)?.p50());
        }
        Some(Finish { waits: 0, runs: fastest })
    }

    /// With all busy: served are at least the tasks of the own session before this one, and one of each other session.
    fn finish_later(&self, asked: &Asked) -> Option<Finish> {
        let line = (asked.needs, asked.replicas);
        let new = Waiter::new(asked.priority, self.now.plus(u64::from(asked.deadline_ms)), usize::MAX);
        let before = self.queue.least_before(line, asked.session, new) * usize::from(asked.replicas);
        let pool = &self.peers.pool;
        // All classes of a path serve the line.
        let finish = |path: Path| {
            let runs = self.works.fast(self.works.find(asked.module, path, asked.max_units)?)?;
            let waits = (before as u64).saturating_mul(runs) / pool.slots(path).max(1) as u64;
            Some(Finish { waits, runs })
        };
        let paths = asked.needs.paths().iter().filter(|path| pool.slots(**path) > 0);
        // Where one path tells nothing, the task may be in time there.
        let finishes: Option<Vec<Finish>> = paths.map(|&path| finish(path)).collect();
        finishes?.into_iter().min_by_key(|f| f.waits.saturating_add(f.runs))
    }
}
