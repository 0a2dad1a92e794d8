//! Tasks that wait for free peers. Sessions take turns; inside a session the highest priority goes first, then the
//! earliest deadline.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use p2c2r_signing::SessionId;

use crate::io::Millis;
use crate::peers::ClassKey;
use crate::task::Needs;

/// Attempts at one reissue list for one free slot: those in front may exclude the owner whose slot it is.
const REISSUES_TRIED: usize = 8;

/// Tasks of one session that are counted to tell a new one how long it will wait: one bound on the work of a submit.
const COUNTED_BEFORE: usize = 1_024;

/// Tasks that need the same and so wait for the same.
pub(crate) type Line = (Needs, u8);

/// Where a task stands in its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Waiter {
    priority: Reverse<u8>,
    deadline: Millis,
    task: usize,
}

impl Waiter {
    pub(crate) fn new(priority: u8, deadline: Millis, task: usize) -> Self {
        Self { priority: Reverse(priority), deadline, task }
    }
}

/// New tasks that nobody has started.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    lines: BTreeMap<Line, Turns>,
    len: usize,
}

#[derive(Debug, Default)]
struct Turns {
    /// Each session with a task in the line, once; the front has its turn.
    order: VecDeque<SessionId>,
    waiting: BTreeMap<SessionId, BTreeSet<Waiter>>,
}

impl Queue {
    pub(crate) fn push(&mut self, line: Line, session: SessionId, waiter: Waiter) {
        let turns = self.lines.entry(line).or_default();
        let waiting = turns.waiting.entry(session).or_default();
        if waiting.is_empty() {
            turns.order.push_back(session);
        }
        if waiting.insert(waiter) {
            self.len += 1;
        }
    }

    /// The task whose turn it is.
    pub(crate) fn front(&self, line: Line) -> Option<usize> {
        let turns = self.lines.get(&line)?;
        turns.waiting.get(turns.order.front()?)?.first().map(|waiter| waiter.task)
    }

    /// Takes out what [`Self::front`] showed; the next session has its turn.
    pub(crate) fn pop(&mut self, line: Line) {
        let Some(turns) = self.lines.get_mut(&line) else { return };
        let Some(session) = turns.order.pop_front() else { return };
        if let Some(waiting) = turns.waiting.get_mut(&session) {
            waiting.pop_first();
            self.len -= 1;
            if waiting.is_empty() {
                turns.waiting.remove(&session);
            } else {
                turns.order.push_back(session);
            }
        }
        if turns.order.is_empty() {
            self.lines.remove(&line);
        }
    }

    /// Takes a task out of the middle.
    pub(crate) fn remove(&mut self, line: Line, session: SessionId, waiter: &Waiter) {
        let Some(turns) = self.lines.get_mut(&line) else { return };
        let Some(waiting) = turns.waiting.get_mut(&session) else { return };
        if waiting.remove(waiter) {
            self.len -= 1;
        }
        if waiting.is_empty() {
            turns.waiting.remove(&session);
            turns.order.retain(|s| *s != session);
        }
        if turns.order.is_empty() {
            self.lines.remove(&line);
        }
    }

    /// Lines with somebody in them: at most four kinds of needs times five numbers of replicas.
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.lines.keys().copied().collect()
    }

    pub(crate) fn has(&self, line: Line) -> bool {
        self.lines.contains_key(&line)
    }

    /// The fewest tasks that are served before a new one of the session: its own that come first (the bound aside, up to
    /// which they are counted), and one of each other session that has any.
    pub(crate) fn least_before(&self, line: Line, session: SessionId, new: Waiter) -> usize {
        let Some(turns) = self.lines.get(&line) else { return 0 };
        let own = turns.waiting.get(&session);
        let before = own.map_or(0, |waiting| waiting.range(..new).take(COUNTED_BEFORE).count());
        before + turns.order.len() - usize::from(own.is_some())
    }

    /// Every task in it.
    pub(crate) fn tasks(&self) -> Vec<usize> {
        let waiting = self.lines.values().flat_map(|turns| turns.waiting.values());
        waiting.flatten().map(|waiter| waiter.task).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Running tasks that need one more peer of their class, the most urgent first.
#[derive(Debug, Default)]
pub(crate) struct Reissues {
    waiting: BTreeMap<ClassKey, BTreeSet<(Millis, usize)>>,
    /// After whom the last look ended, so that those in front that cannot be served hide nobody.
    cursor: BTreeMap<ClassKey, (Millis, usize)>,
}

impl Reissues {
    pub(crate) fn insert(&mut self, class: ClassKey, until: Millis, task: usize) {
        self.waiting.entry(class).or_default().insert((until, task));
    }

    pub(crate) fn remove(&mut self, class: ClassKey, until: Millis, task: usize) {
        let Some(waiting) = self.waiting.get_mut(&class) else { return };
        waiting.remove(&(until, task));
        if waiting.is_empty() {
            self.waiting.remove(&class);
            self.cursor.remove(&class);
        }
    }

    /// A few tasks to try for a free slot in the class.
    pub(crate) fn next(&mut self, class: ClassKey) -> Vec<usize> {
        let Some(waiting) = self.waiting.get(&class) else { return Vec::new() };
        let from = self.cursor.get(&class).copied().unwrap_or((Millis(0), 0));
        let after = waiting.range((std::ops::Bound::Excluded(from), std::ops::Bound::Unbounded));
        let entries: Vec<_> = after.chain(waiting.range(..=from)).take(REISSUES_TRIED).copied().collect();
        if let Some(last) = entries.last() {
            self.cursor.insert(class, *last);
        }
        entries.into_iter().map(|(_, task)| task).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_protocol::message::Path;
    use p2c2r_signing::ClassId;

    use super::*;

    const LINE: Line = (Needs::Cpu, 2);

    fn session(n: u8) -> SessionId {
        SessionId::from_bytes([n; 16])
    }

    fn drain(queue: &mut Queue) -> Vec<usize> {
        std::iter::from_fn(|| {
            let task = queue.front(LINE)?;
            queue.pop(LINE);
            Some(task)
        })
        .collect()
    }

    #[test]
    fn sessions_take_turns_and_priority_counts_inside_one() {
        let mut queue = Queue::default();
        for (task, owner, priority, deadline) in
            [(0, 1, 0, 5), (1, 1, 9, 7), (2, 1, 9, 6), (3, 2, 0, 1), (4, 3, 255, 1), (5, 3, 255, 9)]
        {
            queue.push(LINE, session(owner), Waiter::new(priority, Millis(deadline), task));
        }
        assert_eq!(queue.len(), 6);
        assert_eq!(drain(&mut queue), [2, 3, 4, 1, 5, 0]);
        assert!(queue.is_empty() && queue.lines().is_empty());
    }

    #[test]
    fn a_task_leaves_from_the_middle() {
        let mut queue = Queue::default();
        let waiters: Vec<_> = (0..3).map(|task| Waiter::new(0, Millis(1), task)).collect();
        for waiter in &waiters {
            queue.push(LINE, session(1), *waiter);
        }
        queue.remove(LINE, session(1), &waiters[1]);
        queue.remove(LINE, session(1), &waiters[1]);
        queue.remove(LINE, session(2), &waiters[0]);
        assert_eq!((queue.len(), queue.tasks()), (2, vec![0, 2]));
        assert_eq!(drain(&mut queue), [0, 2]);
    }

    #[test]
    fn who_is_before_a_new_task_is_not_overstated() {
        let mut queue = Queue::default();
        for task in 0..6 {
            queue.push(LINE, session(1), Waiter::new(5, Millis(10), task));
        }
        queue.push(LINE, session(2), Waiter::new(0, Millis(10), 6));
        let before = |s, priority| queue.least_before(LINE, session(s), Waiter::new(priority, Millis(10), usize::MAX));
        assert_eq!([before(1, 5), before(1, 9), before(2, 5), before(3, 5)], [7, 1, 1, 2]);
        assert_eq!(queue.least_before((Needs::Gpu, 2), session(1), Waiter::new(5, Millis(10), 9)), 0);
        let mut drained = drain(&mut queue);
        drained.truncate(2);
        assert_eq!(drained, [0, 6], "as it comes to pass");
    }

    #[test]
    fn every_reissue_gets_its_look() {
        let class = ClassKey { path: Path::Cpu, class: ClassId::from_bytes([1; 32]) };
        let mut reissues = Reissues::default();
        for task in 0..20 {
            reissues.insert(class, Millis(1), task);
        }
        let seen: BTreeSet<usize> = (0..3).flat_map(|_| reissues.next(class)).collect();
        assert_eq!(seen.len(), 20);
        for task in 0..20 {
            reissues.remove(class, Millis(1), task);
        }
        assert!(reissues.is_empty() && reissues.next(class).is_empty());
    }
}
