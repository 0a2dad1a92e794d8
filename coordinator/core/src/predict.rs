//! How long executions take, learnt from the market's own clock: from the moment an attempt was assigned to the moment its
//! result came in, the way there and back included. A peer can be slow, it cannot claim to be fast.
//!
//! What is counted: results with an output, and attempts called off before there was one, at a deadline or because another was
//! faster, as longer than they ran ([`crate::sketch`]). What is not: faults, refusals and every other end before the work was
//! done, and a peer's first execution of a kernel, which has fetching and compiling in it.

use std::collections::BTreeMap;

use p2c2r_protocol::message::Path;
use p2c2r_signing::{BlobId, ModuleId};

use crate::io::Millis;
use crate::limits::Limits;
use crate::peers::Suit;
use crate::sketch::{Bucket, Quantile, Sketch, Took};

/// Samples of all peers before a prediction is made of them: under 16 the 90th percentile is just the largest.
pub(crate) const SAMPLES_OF_ALL: u32 = 16;
/// Samples of one peer before it is predicted by its own.
pub(crate) const SAMPLES_OF_PEER: u32 = 16;

/// Executions that should take about as long: of one kernel on one path, with a bound on their units inside one
/// doubling (the *size class*). Numbered, to be small in every peer's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WorkId(u16);

impl WorkId {
    pub(crate) fn number(self) -> usize {
        self.0.into()
    }
}

/// How long an execution will take. Quantiles as a sketch tells them, in four bytes, as there are some in every peer's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forecast {
    p50: Bucket,
    p90: Bucket,
    p99: Bucket,
    /// Whether of the last, and of those before that are the same, is only known that they are as much or more: so many of the
    /// executions were called off.
    open: bool,
}

impl Forecast {
    fn of(sketch: &Sketch, least: u32) -> Option<Self> {
        if sketch.samples() < least {
            return None;
        }
        let last = sketch.quantile(99)?;
        Some(Self {
            p50: sketch.quantile(50)?.bucket(),
            p90: sketch.quantile(90)?.bucket(),
            p99: last.bucket(),
            open: matches!(last, Quantile::Past(_)),
        })
    }

    /// In half of all cases not longer; milliseconds. If it is only known to be longer than all seen, just longer than that.
    pub(crate) fn p50(&self) -> u64 {
        self.p50.ms()
    }

    /// In nine of ten; the same way.
    pub(crate) fn p90(&self) -> u64 {
        self.p90.ms()
    }

    /// Whether nine of ten are known to take no longer than this.
    pub(crate) fn surely_within(&self, ms: u64) -> bool {
        self.knows(self.p90) && self.p90() <= ms
    }

    /// Whether half of them take no longer, as far as is known.
    pub(crate) fn perhaps_within(&self, ms: u64) -> bool {
        self.p50() <= ms
    }

    /// Milliseconds after which an execution is slow, for a client that waits `patience_ms`. Past the 90th percentile, if
    /// then it may well take half as long again or end too late; but not so late that half of all others would not make it
    /// after it, unless half are not done by then. Else it is about to end, and only past the 99th something is wrong. A
    /// sixteenth more, which is what a sketch may be off. A percentile nobody knows is a long tail; if that is the 90th, it is
    /// slow at its last chance, and `None` if there is none.
    pub(crate) fn slow_after(&self, patience_ms: u64) -> Option<u64> {
        let (p50, p90, p99) = (self.p50(), self.p90(), self.p99.ms());
        let past = |ms: u64| ms + ms / 16 + 1;
        let long_tail = self.open || p99 * 2 > p90 * 3 || p99 > patience_ms;
        let last_chance = patience_ms.saturating_sub(p50);
        let last_chance = (self.knows(self.p50) && last_chance >= p50).then_some(last_chance);
        let slow = if long_tail { self.knows(self.p90).then(|| past(p90)) } else { return Some(past(p99)) };
        slow.into_iter().chain(last_chance).min()
    }

    fn knows(&self, percentile: Bucket) -> bool {
        !self.open || percentile < self.p99
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
        let id = WorkId(u16::try_from(self.all.len()).ok()?);
        let kernel = self.first_of(&module).unwrap_or(id);
        self.all.push(Work { kernel, durations: Sketch::default(), forecast: None });
        self.ids.insert(key, id);
        Some(id)
    }

    /// The work of a task, if any like it was seen.
    pub(crate) fn find(&self, module: ModuleId, path: Path, max_units: u64) -> Option<WorkId> {
        self.ids.get(&(module, path, max_units.checked_ilog2().unwrap_or(0))).copied()
    }

    /// An execution took this long.
    pub(crate) fn learn(&mut self, work: WorkId, took: Took) {
        if let Some(work) = self.all.get_mut(work.number()) {
            work.durations.add(took);
            work.forecast = Forecast::of(&work.durations, SAMPLES_OF_ALL);
        }
    }

    pub(crate) fn forecast(&self, work: WorkId) -> Option<Forecast> {
        self.all.get(work.number())?.forecast
    }

    /// What the faster quarter of executions takes at most; milliseconds.
    pub(crate) fn fast(&self, work: WorkId) -> Option<u64> {
        let durations = &self.all.get(work.number())?.durations;
        (durations.samples() >= SAMPLES_OF_ALL).then(|| durations.quantile(25)).flatten().map(|fast| fast.bucket().ms())
    }

    /// The first work of a kernel, if any of it was seen.
    pub(crate) fn first_of(&self, module: &ModuleId) -> Option<WorkId> {
        let (_, &relative) = self.ids.range((*module, Path::Cpu, 0)..).next().filter(|((of, ..), _)| of == module)?;
        Some(self.kernel(relative))
    }

    fn kernel(&self, work: WorkId) -> WorkId {
        self.all.get(work.number()).map_or(work, |found| found.kernel)
    }
}

/// What one peer did lately: durations by work, and which blobs it was given. Not durable.
#[derive(Debug, Default)]
pub(crate) struct History {
    works: Vec<Done>,
    /// Durations of [`Self::works`], in their order.
    durations: Vec<Sketch>,
    /// The first bytes of blobs' names, oldest first. Two blobs with the same ones only misguide placement.
    blobs: Vec<u64>,
}

/// A work, and what its durations and the trust in the peer sum up to; those themselves are elsewhere.
#[derive(Debug)]
struct Done {
    work: WorkId,
    kernel: WorkId,
    /// When it was given the first such, or brought or lost one last.
    heard: Millis,
    /// The chance with which its next task of the kernel is checked.
    audit_ppm: u32,
    /// Of its durations.
    forecast: Option<Forecast>,
}

/// What it means for a history that its peer is given an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Given {
    /// Whether it never had one of the kernel, as far as is remembered: then it has to fetch and compile it first.
    pub(crate) cold: bool,
    /// What there is no room for any more.
    pub(crate) forgotten: Option<WorkId>,
}

impl History {
    /// The peer is given an attempt. `audit_ppm` is asked if the work is new to it.
    pub(crate) fn given(
        &mut self,
        works: &Works,
        work: Option<WorkId>,
        blobs: &[BlobId],
        now: Millis,
        limits: &Limits,
        audit_ppm: impl FnOnce() -> u32,
    ) -> Given {
        for blob in blobs.iter().map(short) {
            self.blobs.retain(|known| *known != blob);
            self.blobs.push(blob);
        }
        self.blobs.drain(..self.blobs.len().saturating_sub(limits.blobs_per_peer));
        let mut given = Given { cold: true, forgotten: None };
        let Some(work) = work else { return given };
        given.cold = !self.has_kernel(works, work);
        if self.done(work).is_some() {
            return given;
        }
        if self.works.len() >= limits.works_per_peer.max(1)
            && let Some(oldest) = (0..self.works.len()).min_by_key(|&at| self.works[at].heard)
        {
            given.forgotten = Some(self.works.swap_remove(oldest).work);
            self.durations.swap_remove(oldest);
        }
        let kernel = works.kernel(work);
        self.works.push(Done { work, kernel, heard: now, audit_ppm: audit_ppm(), forecast: None });
        self.durations.push(Sketch::default());
        given
    }

    /// The peer took this long.
    pub(crate) fn learn(&mut self, work: WorkId, took: Took, now: Millis) {
        let known = self.works.iter_mut().zip(&mut self.durations).find(|(done, _)| done.work == work);
        if let Some((done, durations)) = known {
            durations.add(took);
            done.heard = now;
            done.forecast = Forecast::of(durations, SAMPLES_OF_PEER);
        }
    }

    /// The peer's next task of a kernel, by the kernel's first work, is checked with this chance from now on.
    pub(crate) fn rate(&mut self, kernel: WorkId, audit_ppm: u32) {
        self.works.iter_mut().filter(|done| done.kernel == kernel).for_each(|done| done.audit_ppm = audit_ppm);
    }

    /// How it does a work that it was given lately.
    pub(crate) fn suit(&self, work: WorkId) -> Option<Suit> {
        self.done(work).map(Done::suit)
    }

    /// How it does all works of a kernel, by the kernel's first one.
    pub(crate) fn suits(&self, kernel: WorkId) -> impl Iterator<Item = Suit> + '_ {
        self.works.iter().filter(move |done| done.kernel == kernel).map(Done::suit)
    }

    /// By the peer's own past; `None` while there is too little of it.
    pub(crate) fn forecast(&self, work: WorkId) -> Option<Forecast> {
        self.done(work)?.forecast
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

    fn done(&self, work: WorkId) -> Option<&Done> {
        self.works.iter().find(|done| done.work == work)
    }
}

impl Done {
    fn suit(&self) -> Suit {
        Suit { work: self.work, forecast: self.forecast, audit_ppm: self.audit_ppm }
    }
}

fn short(blob: &BlobId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *blob.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Durations that are the middles of their buckets.
    fn forecast(p50: u64, p90: u64, p99: u64) -> Forecast {
        let [p50, p90, p99] = [p50, p90, p99].map(|ms| {
            assert_eq!(Bucket::of(ms).ms(), ms);
            Bucket::of(ms)
        });
        Forecast { p50, p90, p99, open: false }
    }

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
            works.learn(only, Took::Exactly(10));
        }
        assert_eq!((works.forecast(only), works.fast(only)), (None, None));
        works.learn(only, Took::Exactly(10));
        assert_eq!((works.forecast(only), works.fast(only)), (Some(forecast(10, 10, 10)), Some(10)));
    }

    #[test]
    fn a_short_tail_is_waited_for_if_there_is_time() {
        let slow = |p90, p99, patience| forecast(20, p90, p99).slow_after(patience).unwrap();
        assert_eq!(slow(33, 49, 100), 49 + 3 + 1, "it is about to end");
        assert_eq!(slow(33, 53, 100), 33 + 2 + 1, "it may take long");
        assert_eq!(slow(67, 107, 100), 67 + 4 + 1, "it may be late");
        assert_eq!(slow(83, 107, 100), 100 - 20, "another one needs the rest");
        assert_eq!(slow(37, 61, 39), 37 + 2 + 1, "there is no time for two");
    }

    #[test]
    fn what_nobody_knows_is_a_long_tail() {
        // So many of a hundred took 20 and 33 ms; the others were called off after 100.
        let after = |at_20: u32, at_33: u32| {
            let mut sketch = Sketch::default();
            (0..at_20).for_each(|_| sketch.add(Took::Exactly(20)));
            (0..at_33).for_each(|_| sketch.add(Took::Exactly(33)));
            (at_20 + at_33..100).for_each(|_| sketch.add(Took::AtLeast(100)));
            Forecast::of(&sketch, SAMPLES_OF_ALL).unwrap()
        };
        let check = |forecast: Forecast, within: [bool; 4], slow_after| {
            let sure = [100, 10_000].map(|ms| forecast.surely_within(ms));
            let perhaps = [100, 10_000].map(|ms| forecast.perhaps_within(ms));
            assert_eq!(
                ([sure, perhaps].concat(), forecast.slow_after(100)),
                (within.to_vec(), slow_after),
                "{forecast:?}"
            );
        };
        check(after(60, 40), [true; 4], Some(33 + 2 + 1));
        check(after(60, 37), [true; 4], Some(33 + 2 + 1));
        check(after(60, 20), [false, false, true, true], Some(100 - 20));
        check(after(30, 10), [false, false, false, true], None);
        assert_eq!(after(60, 40).slow_after(10_000), Some(33 + 2 + 1));
    }

    fn given(history: &mut History, works: &Works, work: WorkId, blobs: &[BlobId], at: u64, limits: &Limits) -> bool {
        history.given(works, Some(work), blobs, Millis(at), limits, || 7).cold
    }

    #[test]
    fn whoever_had_a_kernel_in_any_size_has_it() {
        let (mut works, limits, mut history) = (Works::default(), Limits::default(), History::default());
        let others = [(5, 3), (7, 3), (9, 1)].map(|(n, units)| work(&mut works, n, Path::Gpu, units));
        let sizes = [(Path::Gpu, 8), (Path::Cpu, 1 << 40), (Path::Cpu, 1), (Path::Gpu, 1)]
            .map(|(path, units)| work(&mut works, 7, path, units));
        assert!(given(&mut history, &works, sizes[0], &[], 1, &limits), "the first time it fetches");
        for size in sizes {
            assert!(!given(&mut history, &works, size, &[], 2, &limits), "{size:?}");
        }
        assert!(history.has_kernel(&works, others[1]));
        assert!(!history.has_kernel(&works, others[0]) && !history.has_kernel(&works, others[2]));
    }

    #[test]
    fn a_rate_is_the_kernels_in_any_size() {
        let (mut works, limits, mut history) = (Works::default(), Limits::default(), History::default());
        let ids = [(1, 1), (1, 8), (2, 1)].map(|(n, units)| work(&mut works, n, Path::Cpu, units));
        for id in ids {
            assert_eq!(given(&mut history, &works, id, &[], 1, &limits), id != ids[1]);
        }
        history.rate(works.first_of(&module(1)).unwrap(), 9);
        assert_eq!(ids.map(|id| history.suit(id).unwrap().audit_ppm), [9, 9, 7]);
        assert_eq!((works.first_of(&module(3)), History::default().suit(ids[0])), (None, None));
    }

    #[test]
    fn the_first_work_of_a_kernel_is_found_whatever_path_it_took() {
        for path in [Path::Cpu, Path::Gpu, Path::Exact] {
            let mut works = Works::default();
            let [_, first, _, second] =
                [(1, 1), (2, 8), (3, 1), (2, 1)].map(|(n, units)| work(&mut works, n, path, units));
            assert_eq!(works.first_of(&module(2)), Some(first), "{path:?}");
            assert_eq!(works.kernel(second), first, "{path:?}");
        }
    }

    #[test]
    fn a_history_is_bounded_and_forgets_the_oldest() {
        let limits = Limits { works_per_peer: 2, blobs_per_peer: 2, ..Limits::default() };
        let (mut works, mut history) = (Works::default(), History::default());
        let ids = [1, 2, 3].map(|n| work(&mut works, n, Path::Cpu, 1));
        let blobs = [1, 2, 3].map(|n| BlobId::from_bytes([n; 32]));
        for (at, (id, blob)) in (0..).zip(ids.into_iter().zip(blobs)) {
            given(&mut history, &works, id, &[blob], at, &limits);
        }
        assert_eq!(ids.map(|id| history.has_kernel(&works, id)), [false, true, true]);
        assert_eq!((history.missing_blobs(&blobs), history.missing_blobs(&blobs[1..])), (1, 0));
        history.learn(ids[0], Took::Exactly(5), Millis(4));
        (0..SAMPLES_OF_PEER).for_each(|_| history.learn(ids[1], Took::Exactly(5), Millis(4)));
        assert_eq!(history.forecast(ids[0]), None, "what is forgotten stays forgotten");
        assert_eq!(history.forecast(ids[1]), Some(forecast(5, 5, 5)));
    }
}
