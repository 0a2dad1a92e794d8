//! How far a peer is trusted with one kernel, and what that costs: pure rules over counts, no money and no clock.
//!
//! A task with one replica is checked by a second execution with probability *p*, the *audit rate*. Every vote that was
//! compared with another owner's, whoever asked for the comparison, moves the peer's **decayed Beta posterior** for that
//! kernel: from the prior Beta(1, 1), a right vote adds 1 to the one side, a lie 1 to the other, after what was there
//! shrank by [`DECAY`]; with a lie, all that was right before counts for nothing any more. `E`, the mean of the posterior, is the chance that the next vote is a lie for all that is known.
//!
//! The rate is what keeps unchecked lies rare *if E were true*: `(1 - p) * E <= unchecked_ppm`, so
//! `p = 1 - unchecked / E`, never below the floor. With 0.7 % and 3 % the floor is reached at `E <= 0.72 %`, after 137 clean
//! comparisons without the decay and 196 with it: 871 tasks ([`TrustConfig::tasks_to_floor`]). A peer that waits for the floor and
//! lies from then on is not found by its posterior but by the floor: after `1 / floor` lies in the mean. That this does not pay is
//! the business of the pay held back, see [`TrustConfig::held_tasks`].
//!
//! Posteriors are durable: a commit that settles votes says what is known of their peers since
//! ([`TrustRecord`](crate::record::TrustRecord)), and [`TRUST_KEPT_MS`] when that is forgotten.

pub use p2c2r_protocol::message::Basis;

use crate::io::Millis;

/// What an operator decides about trust. Shares are in parts per million.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustConfig {
    /// Compared votes before a peer runs anything of a kernel unchecked, and again after each lie. 20: a peer that lies
    /// in a share `f` of its tasks comes through with `(1 - f)^20`, which for one lie in five is 1 %.
    pub probation: u32,
    /// The audit rate never falls below this; 0 and no probation switch audits off. 3 %: the executions of a trusted
    /// network are 1.03 a task, and a cheat lives for 33 lies in the mean.
    pub floor_ppm: u32,
    /// Lies left unchecked that are accepted in the mean, as a share of a peer's tasks. 0.7 %: it decides how many comparisons
    /// lie before the floor, and so whether a machine that is wrong once in a hundred gets there. With 1 % they are 119, which
    /// it survives with a chance of `0.99^119 = 30 %` and then earns a fifth of what an honest peer does; with 0.7 % they are 196, or
    /// 14 %. Smaller, and honest peers need thousands of tasks to come to the floor (0.5 %: 1,862).
    pub unchecked_ppm: u32,
    /// Executions of an owner whose pay is held back, and lost with a lie: `2 / floor`, as [`Self::held_for`] says. A lie
    /// saves at most one task's pay and costs `p * held` of it in the mean, which is 2 of them: honesty is the better
    /// trade at any cost of the work. (With `1 / p` it still paid in simulation, 0.20 to 0.27 of a task's pay; with
    /// `2 / p` it is 0.07 to 0.10.) The floor's window is used for every rate, so that new identities are held longest
    /// relative to what they earned. It is kept per owner: who answers for several peers is found by an audit of any.
    pub held_tasks: u32,
    /// Kernels of which a peer's posterior is remembered; under 50 bytes each. For others it stays on probation.
    pub kernels_per_peer: usize,
    /// The chance that a task brings a golden one with it: work confirmed before, given to a random peer that never saw it. 0
    /// switches golden tasks off, also those for peers nobody else can check. 0.2 %: they cost a fifteenth of what the audits at
    /// the floor do; what they find that audits do not is a quorum that was bought, and one look at each in a while is enough for
    /// an operator to hear of it.
    pub golden_ppm: u32,
    /// Established owners that must dissent on a kernel, besides being two of three, before it is held to be at fault itself
    /// ([`crate::diagnosis`]). 8: fewer, and a ring with a fifth of the owners feigns it right after a restart with more than
    /// one chance in a thousand. A network with fewer owners needs a referee to tell.
    pub fault_owners: u32,
}

impl TrustConfig {
    /// Nothing beyond what clients ask for: no audits, pay at once.
    pub const OFF: Self = Self {
        probation: 0,
        floor_ppm: 0,
        unchecked_ppm: ONE_PPM,
        held_tasks: 0,
        kernels_per_peer: 0,
        golden_ppm: 0,
        fault_owners: 8,
    };

    /// The default with another floor and its window; 0 is [`Self::OFF`].
    #[must_use]
    pub fn with_floor(floor_ppm: u32) -> Self {
        if floor_ppm == 0 {
            return Self::OFF;
        }
        Self { floor_ppm, held_tasks: Self::held_for(floor_ppm), ..Self::default() }
    }

    /// Tasks of its own after which a peer that is always right is at the floor in the mean, were it only compared when its own are
    /// audited; checks of others' tasks come on top.
    #[must_use]
    pub fn tasks_to_floor(&self) -> u64 {
        // Ends where the decay takes what a vote adds.
        let clean = std::iter::successors(Some(Posterior::new(self)), |before| {
            let mut after = *before;
            after.agreed();
            (after != *before).then_some(after)
        });
        let rates = clean.map(|posterior| posterior.audit_ppm(self)).take_while(|&rate| rate > self.floor_ppm);
        let ppm = u64::from(ONE_PPM);
        rates.map(|rate| ppm * ppm / u64::from(rate)).sum::<u64>() / ppm
    }

    /// `2 / floor`, rounded up.
    #[must_use]
    pub const fn held_for(floor_ppm: u32) -> u32 {
        if floor_ppm == 0 { 0 } else { (2 * ONE_PPM).div_ceil(floor_ppm) }
    }
}

impl Default for TrustConfig {
    fn default() -> Self {
        let floor_ppm = 30_000;
        Self {
            probation: 20,
            floor_ppm,
            unchecked_ppm: 7_000,
            held_tasks: Self::held_for(floor_ppm),
            kernels_per_peer: 256,
            golden_ppm: 2_000,
            fault_owners: 8,
        }
    }
}

/// Certainty.
pub const ONE_PPM: u32 = 1_000_000;

/// Old votes weigh `1 - 1 / DECAY` of what they did at each new one: the posterior remembers about this many, so that a
/// sleeper's good past is soon worth nothing, and `E` of a spotless peer stays at 0.4 %.
pub const DECAY: u32 = 256;

/// Weight of one vote: fixed point, so that the decay is exact integer arithmetic. At most `DECAY` votes of it: 2^16.
const VOTE: u32 = 256;

/// Milliseconds after which what is known of a peer and a kernel is forgotten if no vote was compared since: 90 days. Who has that
/// kernel again then is a newcomer to it, at the price of [`TrustConfig::probation`] checks; a key that was sold or stolen meanwhile
/// brings no trust with it, and the store does not grow with peers and kernels of the past.
pub const TRUST_KEPT_MS: u64 = 90 * 24 * 3_600_000;

/// What is known of one peer and one kernel, and since when. Durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// How far it is trusted.
    pub posterior: Posterior,
    /// When a vote of it was compared last.
    pub compared: Millis,
}

impl Known {
    /// Whether it may be forgotten. Never while it shows a lie: waiting would wash a liar.
    #[must_use]
    pub const fn is_stale(&self, now: Millis) -> bool {
        self.compared.until(now) > TRUST_KEPT_MS && self.posterior.wrong == 0
    }
}

/// What is known of one peer and one kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posterior {
    right: u32,
    wrong: u32,
    /// Compared votes until it runs anything unchecked.
    probation: u32,
}

impl Posterior {
    /// A newcomer.
    #[must_use]
    pub const fn new(config: &TrustConfig) -> Self {
        Self { right: 0, wrong: 0, probation: config.probation }
    }

    /// As a store keeps it: the weights of right votes and of lies, and the compared votes left of the probation.
    #[must_use]
    pub const fn to_parts(self) -> [u32; 3] {
        [self.right, self.wrong, self.probation]
    }

    /// From [`Self::to_parts`]. Weights past what votes can add up to are cut off, so that nothing a store says overflows.
    #[must_use]
    pub fn from_parts([right, wrong, probation]: [u32; 3]) -> Self {
        Self { right: right.min(DECAY * VOTE), wrong: wrong.min(DECAY * VOTE), probation }
    }

    /// A vote agreed with the verdict of a comparison.
    pub fn agreed(&mut self) {
        self.decay();
        self.right += VOTE;
        self.probation = self.probation.saturating_sub(1);
    }

    /// A vote was a lie. Being right was its preparation, for all that can be known.
    pub fn lied(&mut self, config: &TrustConfig) {
        self.decay();
        self.right = 0;
        self.wrong += VOTE;
        self.probation = config.probation;
    }

    /// The chance that the next vote is a lie.
    #[must_use]
    pub fn lie_ppm(&self) -> u32 {
        let wrong = u64::from(self.wrong + VOTE);
        let all = u64::from(self.right) + u64::from(self.wrong) + 2 * u64::from(VOTE);
        u32::try_from(wrong * u64::from(ONE_PPM) / all).unwrap_or(ONE_PPM)
    }

    /// The chance with which its next task is checked.
    #[must_use]
    pub fn audit_ppm(&self, config: &TrustConfig) -> u32 {
        if self.probation > 0 {
            return ONE_PPM;
        }
        let unchecked = u64::from(config.unchecked_ppm) * u64::from(ONE_PPM) / u64::from(self.lie_ppm().max(1));
        let wanted = u64::from(ONE_PPM).saturating_sub(unchecked);
        u32::try_from(wanted).unwrap_or(ONE_PPM).max(config.floor_ppm).min(ONE_PPM)
    }

    fn decay(&mut self) {
        self.right -= self.right.div_ceil(DECAY);
        self.wrong -= self.wrong.div_ceil(DECAY);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(right: u32, config: &TrustConfig) -> Posterior {
        let mut posterior = Posterior::new(config);
        (0..right).for_each(|_| posterior.agreed());
        posterior
    }

    #[test]
    fn the_rate_falls_from_always_to_the_floor() {
        let config = TrustConfig::default();
        let rate = |right| after(right, &config).audit_ppm(&config);
        assert_eq!((rate(0), rate(19)), (ONE_PPM, ONE_PPM), "probation");
        let rates: Vec<u32> = (20..300).map(rate).collect();
        assert!(rates.is_sorted_by(|a, b| a >= b), "{rates:?}");
        assert!((840_000..860_000).contains(&rates[0]), "{}", rates[0]);
        let at_floor = 20 + rates.iter().position(|&r| r == config.floor_ppm).unwrap();
        // 137 by the formula without decay.
        assert_eq!(at_floor, 196);
        assert_eq!((config.tasks_to_floor(), config.held_tasks), (871, 67));
    }

    #[test]
    fn a_lie_is_remembered_longer_than_probation() {
        let config = TrustConfig::default();
        let mut peer = after(1_000, &config);
        assert_eq!(peer.audit_ppm(&config), config.floor_ppm);
        peer.lied(&config);
        assert_eq!(peer.audit_ppm(&config), ONE_PPM);
        (0..config.probation).for_each(|_| peer.agreed());
        assert!(peer.audit_ppm(&config) > config.floor_ppm);
    }

    #[test]
    fn off_never_audits() {
        let mut peer = Posterior::new(&TrustConfig::OFF);
        assert_eq!(peer.audit_ppm(&TrustConfig::OFF), 0);
        peer.lied(&TrustConfig::OFF);
        assert_eq!(peer.audit_ppm(&TrustConfig::OFF), 0);
    }

    #[test]
    fn what_was_not_compared_for_long_is_forgotten_unless_it_shows_a_lie() {
        let config = TrustConfig::default();
        let stale =
            |posterior, days: u64| Known { posterior, compared: Millis(5) }.is_stale(Millis(5 + days * 24 * 3_600_000));
        let honest = after(100, &config);
        let mut liar = honest;
        liar.lied(&config);
        assert_eq!((stale(honest, 90), stale(honest, 91), stale(liar, 9_000)), (false, true, false));
        let mut reformed = liar;
        (0..DECAY).for_each(|_| reformed.agreed());
        assert!(stale(reformed, 91), "a lie fades with the votes after it");
    }

    #[test]
    fn a_store_cannot_make_weights_overflow() {
        let config = TrustConfig::default();
        let mut peer = Posterior::from_parts([u32::MAX; 3]);
        assert_eq!(peer.audit_ppm(&config), ONE_PPM);
        peer.agreed();
        peer.lied(&config);
        assert!(peer.lie_ppm() <= ONE_PPM);
        let honest = after(30, &config);
        assert_eq!(Posterior::from_parts(honest.to_parts()), honest);
    }

    proptest! {
        /// No history overflows, none gives a rate outside its bounds, and a lie never lowers the rate.
        #[test]
        fn rates_stay_in_bounds(votes in prop::collection::vec(prop::bool::weighted(0.8), 0..2_000)) {
            let config = TrustConfig::default();
            let mut peer = Posterior::new(&config);
            for right in votes {
                let before = peer.audit_ppm(&config);
                if right { peer.agreed() } else { peer.lied(&config) }
                let rate = peer.audit_ppm(&config);
                prop_assert!((config.floor_ppm..=ONE_PPM).contains(&rate));
                prop_assert!(right || rate >= before);
            }
        }
    }
}
