//! A set of numbers kept as ranges: clients count up, so a session's finished tasks are one range, not a million ids.

use std::collections::BTreeMap;

/// A set of `u64`, stored as disjoint, non-adjacent, inclusive ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbers {
    /// First to last.
    ranges: BTreeMap<u64, u64>,
}

impl Numbers {
    /// Adds a number; false if it was there.
    pub fn insert(&mut self, number: u64) -> bool {
        if self.contains(number) {
            return false;
        }
        let before = number.checked_sub(1).and_then(|n| self.range_of(n));
        let after = number.checked_add(1).and_then(|n| self.ranges.remove_entry(&n));
        let first = before.map_or(number, |(first, _)| first);
        let last = after.map_or(number, |(_, last)| last);
        self.ranges.insert(first, last);
        true
    }

    /// Whether a number is in the set.
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        self.range_of(number).is_some()
    }

    /// How many ranges it takes: what the set costs in memory.
    #[must_use]
    pub fn range_count(&self) -> usize {
        self.ranges.len()
    }

    /// Adds the least numbers that are missing between others; nothing happens if none are.
    pub fn close_first_gap(&mut self) {
        if self.range_count() > 1
            && let (Some((first, _)), Some((_, last))) = (self.ranges.pop_first(), self.ranges.pop_first())
        {
            self.ranges.insert(first, last);
        }
    }

    fn range_of(&self, number: u64) -> Option<(u64, u64)> {
        let (&first, &last) = self.ranges.range(..=number).next_back()?;
        (number <= last).then_some((first, last))
    }
}

impl FromIterator<u64> for Numbers {
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Self {
        let mut set = Self::default();
        for number in numbers {
            set.insert(number);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counting_up_costs_one_range() {
        let set: Numbers = (0..10_000).collect();
        assert_eq!(set.range_count(), 1);
        assert!(!set.contains(10_000));
    }

    #[test]
    fn the_ends_of_the_range_of_u64_are_numbers_too() {
        let mut set = Numbers::default();
        assert!(set.insert(u64::MAX) && set.insert(0) && set.insert(u64::MAX - 1));
        assert!(!set.insert(u64::MAX) && !set.insert(0));
        assert_eq!(set.range_count(), 2);
    }

    #[test]
    fn the_first_gap_is_closed() {
        let mut set: Numbers = [1, 2, 5, 9].into_iter().collect();
        set.close_first_gap();
        assert_eq!((0..11).filter(|n| set.contains(*n)).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 9]);
        (0..3).for_each(|_| set.close_first_gap());
        assert_eq!((0..11).filter(|n| set.contains(*n)).collect::<Vec<_>>(), (1..10).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn behaves_as_a_set(numbers in prop::collection::vec(0u64..64, 0..200)) {
            let (mut set, mut model) = (Numbers::default(), BTreeSet::new());
            for &n in &numbers {
                prop_assert_eq!(set.insert(n), model.insert(n));
            }
            for n in 0..70 {
                prop_assert_eq!(set.contains(n), model.contains(&n));
            }
            let runs = model.iter().filter(|&&n| n == 0 || !model.contains(&(n - 1))).count();
            prop_assert_eq!(set.range_count(), runs);
        }
    }
}
