//! Dispatches in slices: no submission keeps the device for longer than an operating system's watchdog bears, and between
//! two of them somebody looks whether to go on. Nothing here has a clock or a device.

use std::time::Duration;

use super::limits::{SLICE, SLICE_FIRST, SLICE_GROWTH};

/// A box of workgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    /// Workgroups before it along x, y and z.
    pub(super) offset: [u32; 3],
    /// Its own.
    pub(super) groups: [u32; 3],
}

/// What is left of a dispatch, in the order of x, then y, then z.
#[derive(Debug)]
pub(super) struct Grid {
    total: [u32; 3],
    next: [u32; 3],
}

/// How many workgroups of one shader the device does in [`SLICE`], as far as is known.
#[derive(Debug)]
pub(super) struct Pace {
    workgroups: u64,
    /// A test wants slices of this size.
    #[cfg(test)]
    fixed: Option<u64>,
    /// What it was told, for a test.
    #[cfg(test)]
    pub(super) learned: Vec<(u64, Duration, bool)>,
}

impl Slice {
    pub(super) fn workgroups(&self) -> u64 {
        self.groups.iter().fold(1, |n, along| n * u64::from(*along))
    }

    /// For the uniform buffer of a sliced shader.
    pub(super) fn words(&self, total: [u32; 3]) -> [u32; 8] {
        let ([x, y, z], [all_x, all_y, all_z]) = (self.offset, total);
        [x, y, z, 0, all_x, all_y, all_z, 0]
    }
}

impl Grid {
    /// No side is 0.
    pub(super) const fn new(total: [u32; 3]) -> Self {
        Self { total, next: [0; 3] }
    }

    /// The next slice: whole layers if it may have as many workgroups, else whole rows, else part of a row.
    pub(super) fn cut(&mut self, most: u64) -> Option<Slice> {
        let ([nx, ny, nz], [x, y, z]) = (self.total, self.next);
        if z >= nz {
            return None;
        }
        let fits = |size: u64, left: u32| u32::try_from(most / size).unwrap_or(u32::MAX).clamp(1, left);
        let (row, layer) = (u64::from(nx), u64::from(nx) * u64::from(ny));
        let groups = if x > 0 || most < row {
            [fits(1, nx - x), 1, 1]
        } else if y > 0 || most < layer {
            [nx, fits(row, ny - y), 1]
        } else {
            [nx, ny, fits(layer, nz - z)]
        };
        self.next = match groups {
            [along, ..] if x + along < nx => [x + along, y, z],
            [_, along, _] if y + along < ny => [0, y + along, z],
            [_, _, along] => [0, 0, z + along],
        };
        Some(Slice { offset: [x, y, z], groups })
    }

    pub(super) const fn is_done(&self) -> bool {
        self.next[2] >= self.total[2]
    }
}

impl Pace {
    pub(super) const fn unknown() -> Self {
        Self {
            workgroups: SLICE_FIRST,
            #[cfg(test)]
            fixed: None,
            #[cfg(test)]
            learned: Vec::new(),
        }
    }

    #[cfg(test)]
    pub(super) fn fix(&mut self, workgroups: u64) {
        self.fixed = Some(workgroups);
    }

    /// Workgroups of the next slice, at least 1.
    pub(super) fn workgroups(&self) -> u64 {
        #[cfg(test)]
        if let Some(fixed) = self.fixed {
            return fixed;
        }
        self.workgroups
    }

    /// Takes note that `workgroups` were done after `took`, or sooner if nobody `waited` for them.
    pub(super) fn learn(&mut self, workgroups: u64, took: Duration, waited: bool) {
        #[cfg(test)]
        self.learned.push((workgroups, took, waited));
        let fit = u128::from(workgroups) * SLICE.as_nanos() / took.as_nanos().max(1);
        let fit = u64::try_from(fit).unwrap_or(u64::MAX).max(1);
        if took <= SLICE {
            // A small dispatch may take long for its size: that is no reason to make slices smaller.
            self.workgroups = self.workgroups.max(fit.min(workgroups.saturating_mul(SLICE_GROWTH)));
        } else if waited {
            self.workgroups = fit;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts a grid into slices of at most `most`, and checks that they are all of it, in order and once.
    fn check(total: [u32; 3], most: u64) {
        let mut grid = Grid::new(total);
        let mut seen = Vec::new();
        while let Some(slice) = grid.cut(most) {
            assert!((1..=most.max(1)).contains(&slice.workgroups()), "{slice:?} of {total:?}, at most {most}");
            let [x, y, z] = slice.offset;
            for k in z..z + slice.groups[2] {
                for j in y..y + slice.groups[1] {
                    seen.extend((x..x + slice.groups[0]).map(|i| [i, j, k]));
                }
            }
        }
        assert!(grid.is_done());
        seen.sort_unstable();
        let [nx, ny, nz] = total;
        let all = (0..nx).flat_map(|i| (0..ny).flat_map(move |j| (0..nz).map(move |k| [i, j, k])));
        assert!(seen.into_iter().eq(all), "{total:?} by {most}");
    }

    #[test]
    fn slices_are_the_whole_and_nothing_twice() {
        for total in [[1, 1, 1], [10, 1, 1], [1, 10, 1], [1, 1, 10], [5, 4, 3], [3, 7, 2]] {
            for most in [1, 2, 3, 7, 12, 20, 59, 60, 1000, u64::MAX] {
                check(total, most);
            }
        }
    }

    #[test]
    fn the_largest_grid_is_one_slice_if_it_may_be() {
        let total = [65_535; 3];
        let mut grid = Grid::new(total);
        assert_eq!(grid.cut(u64::MAX), Some(Slice { offset: [0; 3], groups: total }));
        assert_eq!(grid.cut(u64::MAX), None);
    }

    #[test]
    fn the_pace_follows_the_device_in_bounds() {
        let mut pace = Pace::unknown();
        assert_eq!(pace.workgroups(), SLICE_FIRST);
        // Quick: it grows, but not faster than it may.
        pace.learn(SLICE_FIRST, Duration::from_nanos(1), true);
        assert_eq!(pace.workgroups(), SLICE_FIRST * SLICE_GROWTH);
        // A small dispatch that took its time says nothing about large ones.
        pace.learn(1, SLICE / 2, true);
        assert_eq!(pace.workgroups(), SLICE_FIRST * SLICE_GROWTH);
        // Nor does one that nobody was waiting for.
        pace.learn(100, SLICE * 10, false);
        assert_eq!(pace.workgroups(), SLICE_FIRST * SLICE_GROWTH);
        // One that took too long does.
        pace.learn(100, SLICE * 10, true);
        assert_eq!(pace.workgroups(), 10);
        pace.learn(1, SLICE * 100, true);
        assert_eq!(pace.workgroups(), 1);
        pace.learn(u64::MAX, Duration::ZERO, true);
        assert_eq!(pace.workgroups(), u64::MAX);
    }
}
