//! Quantiles of durations in a few hundred bytes: a histogram of logarithmic buckets whose counts fade.
//!
//! **Buckets.** Every millisecond up to 16 has its own; above, every doubling has eight of equal width, as in an HDR
//! histogram. A bucket answers with its middle, so a quantile is off by at most [`RELATIVE_ERROR`] of what the exact one
//! over the same samples is, and by nothing under 16 ms. Only buckets with something in them take memory.
//!
//! **Called off.** Of what was called off before it was done only a lower bound is known. Left out it would cut off the tail;
//! taken for done it would pass for an end. So such samples are counted apart, and quantiles are the product-limit estimate's
//! (E. L. Kaplan, P. Meier: Nonparametric estimation from incomplete observations, J. Am. Stat. Assoc. 53, 1958), in the form of
//! B. Efron (The two sample problem with censored data, 5th Berkeley Symposium, 1967): what a sample that was called off stands
//! for goes in equal parts to all that lasted longer. Where none did, no more is known than that it is longer than that.
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

/// One part of a sample in the fixed point of [`Sketch::quantile`]: over 144 buckets the rounding stays under 2^-24 of all.
const SHARE: u64 = 1 << 32;

/// Buckets a doubling is cut into, as a power of two.
const SUB_BITS: u32 = 3;

/// Values are cut off here: 2^20 ms, past any deadline the wire allows.
const MOST: u64 = (1 << 20) - 1;

/// Durations that are told apart from no other in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bucket(u8);

/// How long something took, as far as is known; milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Took {
    /// So long.
    Exactly(u64),
    /// It was called off then.
    AtLeast(u64),
}

/// A quantile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantile {
    /// It is in this bucket.
    In(Bucket),
    /// It is past this one, in which the longest sample was called off.
    Past(Bucket),
}

/// Recent durations of something. At most 144 buckets of 6 bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sketch {
    /// By bucket.
    counts: Vec<Count>,
    weight: u32,
}

/// The weight of what is in one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count {
    bucket: Bucket,
    done: u16,
    called_off: u16,
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

impl Quantile {
    /// The bucket it is in, or the next after the one it is past.
    pub(crate) fn bucket(self) -> Bucket {
        match self {
            Self::In(bucket) => bucket,
            Self::Past(Bucket(longest)) => Bucket(longest.saturating_add(1)),
        }
    }

    /// The bucket it is in, or the one it is past.
    fn reached(self) -> Bucket {
        let (Self::In(bucket) | Self::Past(bucket)) = self;
        bucket
    }
}

impl Sketch {
    /// Takes in a duration. What was called off before a quarter of all is done tells next to nothing and is not taken in: who
    /// starts tasks and calls them off at once could make all that is known fade.
    pub(crate) fn add(&mut self, took: Took) {
        let (Took::Exactly(ms) | Took::AtLeast(ms)) = took;
        let bucket = Bucket::of(ms);
        let (done, called_off) = match took {
            Took::Exactly(_) => (WEIGHT, 0),
            Took::AtLeast(_) if self.quantile(25).is_some_and(|fast| fast.reached() > bucket) => return,
            Took::AtLeast(_) => (0, WEIGHT),
        };
        match self.counts.binary_search_by_key(&bucket, |count| count.bucket) {
            // At most a window of samples in it: 2^12.
            Ok(at) => {
                self.counts[at].done += done;
                self.counts[at].called_off += called_off;
            }
            Err(at) => self.counts.insert(at, Count { bucket, done, called_off }),
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

    /// The least duration that at least `percent` do not exceed, within the relative error; `None` without samples.
    pub(crate) fn quantile(&self, percent: u32) -> Option<Quantile> {
        let longest = self.counts.last()?.bucket;
        let wanted = (u64::from(self.weight) * SHARE * u64::from(percent.min(100))).div_ceil(100).max(1);
        // Of all weight, what a part of a sample stands for, is done by now, and lasts longer. A share times the weight it is for
        // is at most all there is, 2^44. Rounded up, so that all of them together are not less than all there is.
        let (mut share, mut done, mut left) = (SHARE, 0, u64::from(self.weight));
        for count in &self.counts {
            let (ended, called_off) = (u64::from(count.done), u64::from(count.called_off));
            done += share * ended;
            if done >= wanted {
                return Some(Quantile::In(count.bucket));
            }
            left = left.saturating_sub(ended + called_off);
            share += if left > 0 { (share * called_off).div_ceil(left) } else { 0 };
        }
        Some(Quantile::Past(longest))
    }

    fn halve(&mut self) {
        for count in &mut self.counts {
            count.done /= 2;
            count.called_off /= 2;
        }
        self.counts.retain(|count| count.weight() > 0);
        self.weight = self.counts.iter().map(Count::weight).sum();
    }
}

impl Count {
    fn weight(&self) -> u32 {
        u32::from(self.done) + u32::from(self.called_off)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(samples: &[u64]) -> Sketch {
        let mut sketch = Sketch::default();
        samples.iter().for_each(|&ms| sketch.add(Took::Exactly(ms)));
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

    /// The product-limit estimate from its definition: the least duration past which the product of `1 - done / at risk` is not
    /// over `1 - share`; `None` if it stays over that.
    fn product_limit(samples: &[(Bucket, bool)], share: f64) -> Option<Bucket> {
        let mut times: Vec<Bucket> = samples.iter().map(|&(at, _)| at).collect();
        times.sort_unstable();
        times.dedup();
        let mut survive = 1.0;
        times.into_iter().find(|&time| {
            let at_risk = samples.iter().filter(|&&(at, _)| at >= time).count() as f64;
            let done = samples.iter().filter(|&&(at, done)| at == time && done).count() as f64;
            survive *= 1.0 - done / at_risk;
            survive <= 1.0 - share
        })
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
        assert!(Quantile::Past(Bucket(143)).bucket().ms() > MOST, "past all there is");
    }

    #[test]
    fn nothing_is_known_of_nothing() {
        assert_eq!((Sketch::default().quantile(50), Sketch::default().samples()), (None, 0));
    }

    #[test]
    fn what_was_called_off_is_longer_than_that_and_no_more() {
        let mut sketch = of(&[20; 40]);
        (0..60).for_each(|_| sketch.add(Took::AtLeast(100)));
        let (done, longer) = (Quantile::In(Bucket::of(20)), Quantile::Past(Bucket::of(100)));
        assert_eq!([40, 41, 99].map(|percent| sketch.quantile(percent)), [Some(done), Some(longer), Some(longer)]);
        // One that lasted longer, and it stands for all of those.
        sketch.add(Took::Exactly(300));
        assert_eq!(
            [39, 41, 99].map(|percent| sketch.quantile(percent).unwrap().bucket()),
            [20, 300, 300].map(Bucket::of)
        );
    }

    #[test]
    fn what_is_called_off_at_once_tells_nothing() {
        let mut sketch = of(&[20, 30, 40, 50]);
        let before = sketch.clone();
        (0..10_000).for_each(|_| sketch.add(Took::AtLeast(5)));
        assert_eq!(sketch, before);
        sketch.add(Took::AtLeast(21));
        assert_ne!(sketch, before);
    }

    #[test]
    fn the_past_fades() {
        for past in [Took::Exactly(1_000), Took::AtLeast(1_000)] {
            let mut sketch = Sketch::default();
            (0..10_000).for_each(|_| sketch.add(past));
            let mut needed = 0;
            while sketch.quantile(90) != Some(Quantile::In(Bucket::of(20))) {
                sketch.add(Took::Exactly(20));
                needed += 1;
            }
            assert!(needed <= 2 * WINDOW, "{needed} samples until the new speed is all there is");
            (0..10 * WINDOW).for_each(|_| sketch.add(Took::Exactly(20)));
            assert_eq!(sketch.counts.len(), 1, "what nobody hits any more takes no memory");
        }
    }

    proptest! {
        /// Without fading: any quantile of any samples.
        #[test]
        fn quantiles_are_near_the_exact_ones(
            samples in prop::collection::vec(prop_oneof![0u64..200, 0u64..700_000], 1..WINDOW as usize),
            percent in 0u32..=100,
        ) {
            let weighted: Vec<_> = samples.iter().map(|&ms| (ms, 1)).collect();
            let Some(Quantile::In(bucket)) = of(&samples).quantile(percent) else { panic!("all of it is known") };
            near(bucket.ms(), exact(&weighted, percent));
        }

        /// Without fading: any quantile where any part was called off. The model reckons in floating point, so where it is at a
        /// step either side will do.
        #[test]
        fn quantiles_are_the_product_limit_estimates(
            samples in prop::collection::vec((0u64..400, prop::bool::weighted(0.6)), 1..WINDOW as usize),
            percent in 1u32..=100,
        ) {
            let mut sketch = Sketch::default();
            let mut model = Vec::new();
            for (ms, done) in samples {
                let before = sketch.samples();
                sketch.add(if done { Took::Exactly(ms) } else { Took::AtLeast(ms) });
                if sketch.samples() > before {
                    model.push((Bucket::of(ms), done));
                }
            }
            prop_assume!(!model.is_empty());
            let share = f64::from(percent) / 100.0;
            let either = [share - 1e-6, share + 1e-6].map(|share| product_limit(&model, share.min(1.0)));
            let got = match sketch.quantile(percent).unwrap() {
                Quantile::In(bucket) => Some(bucket),
                Quantile::Past(longest) => {
                    prop_assert_eq!(model.iter().max().unwrap().0, longest);
                    None
                }
            };
            prop_assert!(either.contains(&got), "{:?}, should be {:?}", got, either);
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
                sketch.add(Took::Exactly(ms));
                // Fixed point, so that the model itself loses next to nothing.
                model.push((ms, 1 << 20));
                if sketch.weight <= before {
                    model.iter_mut().for_each(|(_, weight)| *weight /= 2);
                }
            }
            let got = sketch.quantile(percent).unwrap().bucket().ms();
            let (low, high) = (exact(&model, percent - 5), exact(&model, (percent + 5).min(100)));
            let (up, down) = RELATIVE_ERROR;
            prop_assert!(got * down + low * up >= low * down, "{got} under {low}");
            prop_assert!(got * down <= high * down + high * up, "{got} over {high}");
        }

        /// Nothing a peer does makes a sketch grow, and its weight is what its buckets hold.
        #[test]
        fn memory_is_bounded(samples in prop::collection::vec((any::<u64>(), any::<bool>()), 0..3_000)) {
            let mut sketch = Sketch::default();
            for (ms, done) in samples {
                sketch.add(if done { Took::Exactly(ms) } else { Took::AtLeast(ms) });
            }
            prop_assert!(sketch.counts.len() <= 144 && sketch.samples() < WINDOW);
            prop_assert_eq!(sketch.weight, sketch.counts.iter().map(Count::weight).sum::<u32>());
            prop_assert!(sketch.quantile(100).is_none_or(|most| most.reached() <= sketch.counts.last().unwrap().bucket));
        }
    }
}
