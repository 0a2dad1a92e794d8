//! In which order invocations and workgroups run. WGSL promises none, and an exact shader must not tell.

use super::packet::LANES;

/// In which order a dispatch runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// From the first invocation to the last, as many side by side as is quickest.
    #[default]
    Natural,
    /// As a seed says: workgroups in another order, and so are the invocations of each.
    Shuffled {
        /// Where the order comes from.
        seed: u64,
        /// How many invocations go side by side, 1 to 32. With 1 each runs to its next barrier, or its end, before another starts.
        together: u32,
    },
}

impl Order {
    /// Invocations that go side by side.
    pub(super) fn together(self) -> usize {
        match self {
            Self::Natural => LANES,
            Self::Shuffled { together, .. } => (together as usize).clamp(1, LANES),
        }
    }

    /// A way through `count` workgroups that comes to each once.
    pub(super) fn groups(self, count: u64) -> impl Iterator<Item = u64> {
        let (start, step) = match self {
            Self::Natural => (0, 1),
            Self::Shuffled { seed, .. } => {
                let mut random = Random(seed);
                let count = count.max(1);
                let mut step = random.next() % count;
                // 1 at the latest.
                while divisor(step, count) != 1 {
                    step = (step + 1) % count;
                }
                (random.next() % count, step)
            }
        };
        let mut at = start;
        (0..count).map(move |_| {
            let this = at;
            at = (at + step) % count;
            this
        })
    }

    /// The invocations of workgroup `group` in the order they start.
    pub(super) fn invocations(self, group: u64, count: u32, into: &mut Vec<u32>) {
        into.clear();
        into.extend(0..count);
        if let Self::Shuffled { seed, .. } = self {
            let mut random = Random(seed ^ group.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            for last in (1..into.len()).rev() {
                into.swap(last, (random.next() % (last as u64 + 1)) as usize);
            }
        }
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

const fn divisor(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_comes_to_everything_once() {
        for seed in 0..20 {
            let order = Order::Shuffled { seed, together: 3 };
            for count in [0, 1, 2, 3, 12, 64, 255] {
                let mut groups: Vec<_> = order.groups(count).collect();
                groups.sort_unstable();
                assert_eq!(groups, (0..count).collect::<Vec<_>>());
                let mut lanes = Vec::new();
                order.invocations(seed, count as u32, &mut lanes);
                lanes.sort_unstable();
                assert_eq!(lanes, (0..count as u32).collect::<Vec<_>>());
            }
        }
        let orders: Vec<Vec<_>> =
            (0..4).map(|seed| Order::Shuffled { seed, together: 1 }.groups(100).collect()).collect();
        assert!(orders.iter().enumerate().all(|(i, one)| orders[..i].iter().all(|other| one != other)));
    }
}
