//! One large task, a frame, cut into parts that run on as many peers, and joined when the last part is there.

use crate::report::percent;
use crate::world::{Settings, UNITS, World};

/// A frame is this many times the usual task: 560 ms of work for the median peer.
const FRAME: u64 = 20;
/// Time enough for any part.
const DEADLINE_MS: u32 = 10_000;
/// Milliseconds between two frames.
const PAUSE_MS: u64 = 200;

/// What cutting a frame came to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Split {
    /// Parts of a frame.
    pub parts: u64,
    /// Whether slow parts were hedged.
    pub hedging: bool,
    /// Milliseconds from submit to the last part's answer, in the median of all frames.
    pub p50_ms: u64,
    /// The same in nine of ten frames.
    pub p90_ms: u64,
    /// Frames with a part nobody answered, of a million.
    pub incomplete_ppm: u64,
    /// Hedges for a thousand parts.
    pub hedges_per_1000: u64,
}

impl Split {
    /// Lets a network of `settings` run `frames` frames, one after the other, each in `parts`; what it learnt in the first
    /// half counts.
    #[must_use]
    pub fn run(settings: &Settings, parts: u64, frames: u64) -> Self {
        let mut world = World::founded(settings);
        let (mut times, mut incomplete) = (Vec::new(), 0);
        for frame in 0..frames {
            let started = world.now;
            world.answered_at = Some(Vec::new());
            for _ in 0..parts {
                world.submit((UNITS * FRAME).div_ceil(parts), DEADLINE_MS);
            }
            let all = |world: &World| world.answered_at.as_ref().is_some_and(|at| at.len() as u64 >= parts);
            while !all(&world) && world.now < started + u64::from(DEADLINE_MS) {
                world.pass(1);
            }
            if frame * 2 >= frames {
                let last = world.answered_at.iter().flatten().max().copied();
                match last.filter(|_| all(&world)) {
                    Some(last) => times.push(last - started),
                    None => incomplete += 1,
                }
            }
            world.pass(PAUSE_MS);
        }
        times.sort_unstable();
        let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).copied();
        let stats = world.market.stats();
        Self {
            parts,
            hedging: settings.hedging,
            p50_ms: at(50).unwrap_or(0),
            p90_ms: at(90).unwrap_or(0),
            incomplete_ppm: (incomplete * 1_000_000u64).checked_div(times.len() as u64 + incomplete).unwrap_or(0),
            hedges_per_1000: (stats.hedges * 1_000).checked_div(stats.tasks_submitted).unwrap_or(0),
        }
    }

    /// The table's head.
    #[must_use]
    pub fn head() -> String {
        format!(
            "{:>6}{:>9}{:>9}{:>9}{:>14}{:>10}{:>12}",
            "parts", "hedging", "p50 ms", "p90 ms", "incomplete %", "speed-up", "hedges/1k"
        )
    }

    /// Its line of the table; `whole` is the frame in one part without hedging.
    #[must_use]
    pub fn line(&self, whole: &Self) -> String {
        let times = (whole.p50_ms * 100).checked_div(self.p50_ms).unwrap_or(0);
        format!(
            "{:>6}{:>9}{:>9}{:>9}{:>14}{:>10}{:>12}",
            self.parts,
            if self.hedging { "yes" } else { "no" },
            self.p50_ms,
            self.p90_ms,
            percent(Some(self.incomplete_ppm)),
            format!("{}.{:02}", times / 100, times % 100),
            self.hedges_per_1000
        )
    }
}
