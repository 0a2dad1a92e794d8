//! Quantiles of durations in a few hundred bytes: a histogram of logarithmic buckets whose counts fade.
//!
//! **Buckets.** Every millisecond up to 16 has its own; above, every doubling has eight of equal width, as in an HDR
//! histogram. A bucket answers with its middle, so a quantile is off by at most [`RELATIVE_ERROR`] of what the exact one
//! over the same samples is, and by nothing under 16 ms. Only buckets with something in them take memory.
//!
//! **Fading.** When the samples of a [`WINDOW`] are in, every count is halved: the last half to whole window has most of
//! the say, and a bucket nobody hits is gone after five halvings. Everything is integer arithmetic: the same samples
//! give the same sketch.

/// How far a quantile may be from the exact one, as a quotient: a sixteenth.
#[cfg(test)]
const RELATIVE_ERROR: (u64, u64) = (1, 16);

/// Samples after which the counts are halved. 256: enough that the 90th percentile rests on a dozen samples above it,
/// few enough that a kernel of a game with 60 tasks a second is learnt anew in seconds.
pub(crate) const WINDOW: u32 = 256;

/// What a new sample weighs: 2^4, so that it fades in five steps and not at once.
const WEIGHT: u16 = 16;

/// Buckets a doubling is cut into, as a power of two.
const SUB_BITS: u32 = 3;

/// Values are cut off here: 2^20 ms, past any deadline the wire allows.
const MOST: u64 = (1 << 20) - 1;

/// Durations that are told apart from no other in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bucket(u8);

/// Recent durations of something, in milliseconds. At most 144 buckets of 4 bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sketch {
    /// Bucket and weight, by bucket.
    counts: Vec<(Bucket, u16)>,
    weight: u32,
}

impl Bucket {
    pub(crate) fn of(ms: u64) -> Self {
        let ms = ms.min(MOST);
        let exponent = ms.checked_ilog2().unwrap_or(0).saturating_sub(SUB_BITS);
        // 16 and above: the leading four bits, eight buckets a doubling. Below, exponent 0 or 1 ms wide: the value itself.
        let bucket = (u64::from(exponent) << SUB_BITS) + (ms >> exponent);
        Self(u8::try_from(bucket).unwrap_or(u8::MAX))
    }

    /// The duration in its middle.
    pub(crate) fn ms(self) -> u64 {
        let bucket = u64::from(self.0);
        let exponent = (bucket >> SUB_BITS).saturating_sub(1);
        let low = (bucket - (exponent << SUB_BITS)) << exponent;
        low + ((1 << exponent) - 1) / 2
    }
}

impl Sketch {
    /// Takes in a duration.
    pub(crate) fn add(&mut self, ms: u64) {
        let bucket = Bucket::of(ms);
        match self.counts.binary_search_by_key(&bucket, |&(b, _)| b) {
            // At most a window of samples in it: 2^12.
            Ok(at) => self.counts[at].1 += WEIGHT,
            Err(at) => self.counts.insert(at, (bucket, WEIGHT)),
        }
        self.weight += u32::from(WEIGHT);
        if self.weight >= WINDOW * u32::from(WEIGHT) {
            self.halve();
        }
    }

    /// Samples it rests on, faded ones in parts.
    pub(crate) fn samples(&self) -> u32 {
        self.weight / u32::from(WEIGHT)
    }

    /// The least duration that at least `percent` of the samples do not exceed, within the relative error; `None` without samples.
    pub(crate) fn quantile(&self, percent: u32) -> Option<Bucket> {
        let wanted = (u64::from(self.weight) * u64::from(percent.min(100))).div_ceil(100).max(1);
        let mut seen = 0;
        let at = self.counts.iter().find(|&&(_, weight)| {
            seen += u64::from(weight);
            seen >= wanted
        });
        at.map(|&(bucket, _)| bucket)
    }

    fn halve(&mut self) {
        self.counts.iter_mut().for_each(|(_, weight)| *weight /= 2);
        self.counts.retain(|&(_, weight)| weight > 0);
        self.weight = self.counts.iter().map(|&(_, weight)| u32::from(weight)).sum();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(samples: &[u64]) -> Sketch {
        let mut sketch = Sketch::default();
        samples.iter().for_each(|&ms| sketch.add(ms));
        sketch
    }

    /// The exact quantile of weighted samples, by the same definition.
    fn exact(samples: &[(u64, u32)], percent: u32) -> u64 {
        let mut sorted = samples.to_vec();
        sorted.sort_unstable();
        let all: u64 = sorted.iter().map(|&(_, weight)| u64::from(weight)).sum();
        let wanted = (all * u64::from(percent)).div_ceil(100).max(1);
        let mut seen = 0;
        for (ms, weight) in sorted {
            seen += u64::from(weight);
            if seen >= wanted {
                return ms;
            }
        }
        unreachable!("percent is at most 100")
    }

    #[track_caller]
    fn near(got: u64, want: u64) {
        let (up, down) = RELATIVE_ERROR;
        assert!(got.abs_diff(want) * down <= want * up, "{got}, exact {want}");
    }

    #[test]
    fn every_value_is_near_the_middle_of_its_bucket() {
        for ms in (0..100_000).chain([600_000, MOST]) {
            near(Bucket::of(ms).ms(), ms);
        }
        for ms in 0..16 {
            assert_eq!(Bucket::of(ms).ms(), ms);
        }
        assert_eq!((Bucket::of(MOST), Bucket::of(u64::MAX)), (Bucket(143), Bucket(143)));
        assert!((0..MOST).step_by(7).map(Bucket::of).is_sorted());
    }

    #[test]
    fn nothing_is_known_of_nothing() {
        assert_eq!((Sketch::default().quantile(50), Sketch::default().samples()), (None, 0));
    }

    #[test]
    fn the_past_fades() {
        let mut sketch = of(&[1_000; 10_000]);
        let mut needed = 0;
        while sketch.quantile(90) != Some(Bucket::of(20)) {
            sketch.add(20);
            needed += 1;
        }
        assert!(needed <= 2 * WINDOW, "{needed} samples until the new speed is all there is");
        (0..10 * WINDOW).for_each(|_| sketch.add(20));
        assert_eq!(sketch.counts.len(), 1, "what nobody hits any more takes no memory");
    }

    proptest! {
        /// Without fading: any quantile of any samples.
        #[test]
        fn quantiles_are_near_the_exact_ones(
            samples in prop::collection::vec(prop_oneof![0u64..200, 0u64..700_000], 1..WINDOW as usize),
            percent in 0u32..=100,
        ) {
            let weighted: Vec<_> = samples.iter().map(|&ms| (ms, 1)).collect();
            near(of(&samples).quantile(percent).unwrap().ms(), exact(&weighted, percent));
        }

        /// With fading: as the exact quantile of samples whose weights were halved at the same moments. A bucket loses
        /// less than one part in halving, so weights are compared by the quantiles a little to both sides.
        #[test]
        fn faded_quantiles_are_near_the_exact_faded_ones(
            samples in prop::collection::vec(0u64..2_000, 1..2_000),
            percent in 5u32..=95,
        ) {
            let mut model: Vec<(u64, u32)> = Vec::new();
            let mut sketch = Sketch::default();
            for &ms in &samples {
                let before = sketch.weight;
                sketch.add(ms);
                // Fixed point, so that the model itself loses next to nothing.
                model.push((ms, 1 << 20));
                if sketch.weight <= before {
                    model.iter_mut().for_each(|(_, weight)| *weight /= 2);
                }
            }
            let got = sketch.quantile(percent).unwrap().ms();
            let (low, high) = (exact(&model, percent - 5), exact(&model, (percent + 5).min(100)));
            let (up, down) = RELATIVE_ERROR;
            prop_assert!(got * down + low * up >= low * down, "{got} under {low}");
            prop_assert!(got * down <= high * down + high * up, "{got} over {high}");
        }

        /// Nothing a peer does makes a sketch grow, and its weight is what its buckets hold.
        #[test]
        fn memory_is_bounded(samples in prop::collection::vec(any::<u64>(), 0..3_000)) {
            let sketch = of(&samples);
            prop_assert!(sketch.counts.len() <= 144 && sketch.samples() < WINDOW);
            prop_assert_eq!(sketch.weight, sketch.counts.iter().map(|&(_, w)| u32::from(w)).sum::<u32>());
        }
    }
}
