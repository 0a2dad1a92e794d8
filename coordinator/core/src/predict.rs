//! How long executions take, learnt from the market's own clock: from the moment an attempt was assigned to the moment its
//! result came in, the way there and back included. A peer can be slow, it cannot claim to be fast.
//!
//! What is counted: results with an output. What is not: faults, refusals and every other end before the work was done,
//! and a peer's first execution of a kernel, which has fetching and compiling in it. An attempt that was called off
//! after it had run for longer than is usual counts for as long as it ran: leaving it out would cut off the tail, and
//! each prediction would be rosier than the one before.

use std::collections::BTreeMap;

use p2c2r_protocol::message::Path;
use p2c2r_signing::{BlobId, ModuleId};

use crate::io::Millis;
use crate::limits::Limits;
use crate::sketch::Sketch;

/// Samples of all peers before a prediction is made of them: under 16 the 90th percentile is just the largest.
pub(crate) const SAMPLES_OF_ALL: u32 = 16;
/// Samples of one peer before it is predicted by its own.
pub(crate) const SAMPLES_OF_PEER: u32 = 16;

/// Executions that should take about as long: of one kernel on one path, with a bound on their units inside one
/// doubling (the *size class*). Numbered, to be small in every peer's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WorkId(u32);

/// How long an execution will take, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forecast {
    p50: u32,
    p90: u32,
    p99: u32,
}

impl Forecast {
    fn of(sketch: &Sketch, least: u32) -> Option<Self> {
        if sketch.samples() < least {
            return None;
        }
        let quantile = |percent| u32::try_from(sketch.quantile(percent)?).ok();
        Some(Self { p50: quantile(50)?, p90: quantile(90)?, p99: quantile(99)? })
    }

    /// In half of all cases not longer.
    pub(crate) fn p50(&self) -> u64 {
        self.p50.into()
    }

    /// In nine of ten.
    pub(crate) fn p90(&self) -> u64 {
        self.p90.into()
    }

    /// In 99 of a hundred.
    fn p99(&self) -> u64 {
        self.p99.into()
    }

    /// Milliseconds after which an execution is slow, for a client that waits `patience_ms`. Past the 90th percentile, if
    /// then it may well take half as long again or end too late; but not so late that half of all others would not make it
    /// after it, unless half are not done by then. Else it is about to end, and only past the 99th something is wrong. A
    /// sixteenth more, which is what a sketch may be off.
    pub(crate) fn slow_after(&self, patience_ms: u64) -> u64 {
        let (p50, p90, p99) = (self.p50(), self.p90(), self.p99());
        let past = |ms: u64| ms + ms / 16 + 1;
        let long_tail = p99 * 2 > p90 * 3 || p99 > patience_ms;
        let last_chance = patience_ms.saturating_sub(p50);
        match (long_tail, last_chance >= p50) {
            (false, _) => past(p99),
            (true, true) => past(p90).min(last_chance),
            (true, false) => past(p90),
        }
    }
}

/// What is known of every kind of work, whoever did it.
#[derive(Debug, Default)]
pub(crate) struct Works {
    ids: BTreeMap<(ModuleId, Path, u32), WorkId>,
    all: Vec<Work>,
}

#[derive(Debug)]
struct Work {
    /// The first work of the same kernel: who did that has the kernel.
    kernel: WorkId,
    durations: Sketch,
    /// Of `durations`: read several times for each attempt.
    forecast: Option<Forecast>,
}

impl Works {
    /// The work of a task; `None` past the bound, where nothing is predicted.
    pub(crate) fn ensure(&mut self, module: ModuleId, path: Path, max_units: u64, limits: &Limits) -> Option<WorkId> {
        let key = (module, path, max_units.checked_ilog2().unwrap_or(0));
        if let Some(&id) = self.ids.get(&key) {
            return Some(id);
        }
        if self.all.len() >= limits.works {
            return None;
        }
        let id = WorkId(u32::try_from(self.all.len()).ok()?);
        let relative = self.ids.range((module, Path::Cpu, 0)..=(module, Path::Gpu, u32::MAX)).next();
        let kernel = relative.map_or(id, |(_, &other)| self.kernel(other));
        self.all.push(Work { kernel, durations: Sketch::default(), forecast: None });
        self.ids.insert(key, id);
        Some(id)
    }

    /// The work of a task, if any like it was seen.
    pub(crate) fn find(&self, module: ModuleId, path: Path, max_units: u64) -> Option<WorkId> {
        self.ids.get(&(module, path, max_units.checked_ilog2().unwrap_or(0))).copied()
    }

    /// An execution took this long.
    pub(crate) fn learn(&mut self, work: WorkId, ms: u64) {
        if let Some(work) = self.all.get_mut(work.0 as usize) {
            work.durations.add(ms);
            work.forecast = Forecast::of(&work.durations, SAMPLES_OF_ALL);
        }
    }

    pub(crate) fn forecast(&self, work: WorkId) -> Option<Forecast> {
        self.all.get(work.0 as usize)?.forecast
    }

    /// What the faster quarter of executions takes at most; milliseconds.
    pub(crate) fn fast(&self, work: WorkId) -> Option<u64> {
        let durations = &self.all.get(work.0 as usize)?.durations;
        (durations.samples() >= SAMPLES_OF_ALL).then(|| durations.quantile(25)).flatten()
    }

    fn kernel(&self, work: WorkId) -> WorkId {
        self.all.get(work.0 as usize).map_or(work, |found| found.kernel)
    }
}

/// What one peer did lately: durations by work, and which blobs it was given. Not durable.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct History {
    works: Vec<Done>,
    /// Durations of [`Self::works`], in their order.
    durations: Vec<Sketch>,
    /// The first bytes of blobs' names, oldest first. Two blobs with the same ones only misguide placement.
    blobs: Vec<u64>,
}

/// What is read of every peer that is looked at. Small, and apart from what is only written: with many peers each further line
/// of memory is a miss of the cache.
#[derive(Debug)]
struct Done {
    work: WorkId,
    kernel: WorkId,
    /// When it was last given such work.
    given: Millis,
    /// Of its durations.
    forecast: Option<Forecast>,
}

impl History {
    /// The peer is given an attempt. True if it never had one of this kernel, as far as is remembered: then it has
    /// to fetch and compile it first.
    pub(crate) fn given(
        &mut self,
        works: &Works,
        work: Option<WorkId>,
        blobs: &[BlobId],
        now: Millis,
        limits: &Limits,
    ) -> bool {
        for blob in blobs.iter().map(short) {
            self.blobs.retain(|known| *known != blob);
            self.blobs.push(blob);
        }
        self.blobs.drain(..self.blobs.len().saturating_sub(limits.blobs_per_peer));
        let Some(work) = work else { return true };
        let cold = !self.has_kernel(works, work);
        match self.works.iter_mut().find(|done| done.work == work) {
            Some(done) => done.given = now,
            None => {
                if self.works.len() >= limits.works_per_peer.max(1)
                    && let Some(oldest) = (0..self.works.len()).min_by_key(|&at| self.works[at].given)
                {
                    self.works.swap_remove(oldest);
                    self.durations.swap_remove(oldest);
                }
                let kernel = works.kernel(work);
                self.works.push(Done { work, kernel, given: now, forecast: None });
                self.durations.push(Sketch::default());
            }
        }
        cold
    }

    /// The peer took this long, or at least this long.
    pub(crate) fn learn(&mut self, work: WorkId, ms: u64) {
        let known = self.works.iter_mut().zip(&mut self.durations).find(|(done, _)| done.work == work);
        if let Some((done, durations)) = known {
            durations.add(ms);
            done.forecast = Forecast::of(durations, SAMPLES_OF_PEER);
        }
    }

    /// By the peer's own past; `None` while there is too little of it.
    pub(crate) fn forecast(&self, work: WorkId) -> Option<Forecast> {
        self.works.iter().find(|done| done.work == work)?.forecast
    }

    /// Whether it was given something of the kernel before.
    pub(crate) fn has_kernel(&self, works: &Works, work: WorkId) -> bool {
        let kernel = works.kernel(work);
        self.works.iter().any(|done| done.kernel == kernel)
    }

    /// How many of these blobs it was not given lately.
    pub(crate) fn missing_blobs(&self, blobs: &[BlobId]) -> usize {
        blobs.iter().map(short).filter(|blob| !self.blobs.contains(blob)).count()
    }
}

fn short(blob: &BlobId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *blob.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn module(n: u8) -> ModuleId {
        ModuleId::from_bytes([n; 32])
    }

    fn work(works: &mut Works, n: u8, path: Path, units: u64) -> WorkId {
        works.ensure(module(n), path, units, &Limits::default()).unwrap()
    }

    #[test]
    fn units_within_a_doubling_are_the_same_work() {
        let mut works = Works::default();
        let first = work(&mut works, 1, Path::Cpu, 64);
        assert_eq!(work(&mut works, 1, Path::Cpu, 127), first);
        for other in [(1, Path::Cpu, 128), (1, Path::Gpu, 64), (2, Path::Cpu, 64), (1, Path::Cpu, 0)] {
            assert_ne!(work(&mut works, other.0, other.1, other.2), first, "{other:?}");
        }
        assert_eq!(works.find(module(1), Path::Cpu, 100), Some(first));
        assert_eq!(works.find(module(3), Path::Cpu, 100), None);
    }

    #[test]
    fn nothing_is_predicted_past_the_bound_or_from_too_little() {
        let limits = Limits { works: 1, ..Limits::default() };
        let mut works = Works::default();
        let only = works.ensure(module(1), Path::Cpu, 1, &limits).unwrap();
        assert_eq!(works.ensure(module(2), Path::Cpu, 1, &limits), None);
        for _ in 1..SAMPLES_OF_ALL {
            works.learn(only, 10);
        }
        assert_eq!((works.forecast(only), works.fast(only)), (None, None));
        works.learn(only, 10);
        assert_eq!((works.forecast(only), works.fast(only)), (Some(Forecast { p50: 10, p90: 10, p99: 10 }), Some(10)));
    }

    #[test]
    fn a_short_tail_is_waited_for_if_there_is_time() {
        let slow = |p90, p99, patience| Forecast { p50: 20, p90, p99 }.slow_after(patience);
        assert_eq!(slow(32, 48, 100), 48 + 3 + 1, "it is about to end");
        assert_eq!(slow(32, 49, 100), 32 + 2 + 1, "it may take long");
        assert_eq!(slow(70, 101, 100), 70 + 4 + 1, "it may be late");
        assert_eq!(slow(80, 101, 100), 100 - 20, "another one needs the rest");
        assert_eq!(slow(38, 60, 39), 38 + 2 + 1, "there is no time for two");
    }

    #[test]
    fn whoever_had_a_kernel_in_any_size_has_it() {
        let (mut works, limits, mut history) = (Works::default(), Limits::default(), History::default());
        let others = [(5, 3), (7, 3), (9, 1)].map(|(n, units)| work(&mut works, n, Path::Gpu, units));
        let sizes = [(Path::Gpu, 8), (Path::Cpu, 1 << 40), (Path::Cpu, 1), (Path::Gpu, 1)]
            .map(|(path, units)| work(&mut works, 7, path, units));
        assert!(history.given(&works, Some(sizes[0]), &[], Millis(1), &limits), "the first time it fetches");
        for size in sizes {
            assert!(!history.given(&works, Some(size), &[], Millis(2), &limits), "{size:?}");
        }
        assert!(history.has_kernel(&works, others[1]));
        assert!(!history.has_kernel(&works, others[0]) && !history.has_kernel(&works, others[2]));
    }

    #[test]
    fn a_history_is_bounded_and_forgets_the_oldest() {
        let limits = Limits { works_per_peer: 2, blobs_per_peer: 2, ..Limits::default() };
        let (mut works, mut history) = (Works::default(), History::default());
        let ids = [1, 2, 3].map(|n| work(&mut works, n, Path::Cpu, 1));
        let blobs = [1, 2, 3].map(|n| BlobId::from_bytes([n; 32]));
        for (at, (id, blob)) in (0..).zip(ids.into_iter().zip(blobs)) {
            history.given(&works, Some(id), &[blob], Millis(at), &limits);
        }
        assert_eq!(ids.map(|id| history.has_kernel(&works, id)), [false, true, true]);
        assert_eq!((history.missing_blobs(&blobs), history.missing_blobs(&blobs[1..])), (1, 0));
        history.learn(ids[0], 5);
        (0..SAMPLES_OF_PEER).for_each(|_| history.learn(ids[1], 5));
        assert_eq!(history.forecast(ids[0]), None, "what is forgotten stays forgotten");
        assert_eq!(history.forecast(ids[1]), Some(Forecast { p50: 5, p90: 5, p99: 5 }));
    }
}
