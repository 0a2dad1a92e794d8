//! How long peers take.

use crate::dice::Dice;

/// How the peers of a run differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Speeds {
    /// 15 to 60 ms for every execution, whoever does it.
    Even,
    /// Machines and moments differ: there and back in 12 ms, and 28 ms of work in the median, log-normal with sigma 0.45; a
    /// peer's own pace log-normal with sigma 0.3, one peer in ten three times as slow; of all executions 3 % take four
    /// times as long, and 1 % never end.
    Mixed,
}

/// There and back, milliseconds.
const WIRE_MS: u64 = 12;
/// Work of [`crate::world::UNITS`] in milliseconds: the middles of sixteenths of the distribution. Integers, so that a run is the same everywhere.
const WORK_MS: [u64; 16] = [12, 15, 18, 20, 22, 23, 25, 27, 29, 31, 34, 36, 40, 44, 51, 65];
/// A peer's pace in percent of the usual time, the same way.
const PACE_PERCENT: [u64; 16] = [57, 67, 74, 79, 84, 89, 93, 98, 102, 107, 113, 119, 126, 135, 149, 175];

impl Speeds {
    /// A peer's pace: percent of the usual time it takes.
    pub(crate) fn pace(self, dice: &mut Dice) -> u64 {
        match self {
            Self::Even => 100,
            Self::Mixed => one_of(&PACE_PERCENT, dice) * if dice.chance(100_000) { 3 } else { 1 },
        }
    }

    /// Milliseconds an execution takes that is `work` times the usual one; `None` if it never ends.
    pub(crate) fn takes(self, pace: u64, work: (u64, u64), dice: &mut Dice) -> Option<u64> {
        let (times, parts) = work;
        match self {
            Self::Even => Some(dice.between(15, 60) * times / parts),
            Self::Mixed => {
                let straggles = if dice.chance(30_000) { 4 } else { 1 };
                let work_ms = one_of(&WORK_MS, dice) * pace * straggles * times / (100 * parts);
                (!dice.chance(10_000)).then_some(WIRE_MS + work_ms)
            }
        }
    }
}

fn one_of(of: &[u64; 16], dice: &mut Dice) -> u64 {
    of.get(usize::try_from(dice.below(16)).unwrap_or(0)).copied().unwrap_or(0)
}
