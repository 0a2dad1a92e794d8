//! What a peer's past says about giving it work. Counters are durable; suspension and cool-down are not.

use p2c2r_protocol::Credits;
use p2c2r_protocol::message::Standing;

use crate::config::MarketConfig;
use crate::io::Millis;
use crate::record::PeerRecord;

/// A suspension or a cool-down is at most 2^this times the first one.
const DOUBLINGS: u64 = 7;

/// Standing of one peer key.
#[derive(Debug, Clone)]
pub(crate) struct PeerStanding {
    pub(crate) record: PeerRecord,
    /// The last 64 votes, newest lowest; a set bit was outvoted.
    recent: u64,
    faults_in_row: u32,
    /// Why and until when it gets no work.
    suspended_until: Millis,
    cooling_until: Millis,
}

impl PeerStanding {
    /// As a store kept it. Wrong votes of the past leave less room for new ones: one more and it is suspended again,
    /// if it ever was.
    pub(crate) fn new(record: PeerRecord, config: &MarketConfig) -> Self {
        let wrong = record.outvoted.min(u64::from(config.suspend_outvoted.clamp(1, 64)) - 1);
        Self {
            record,
            recent: (1 << wrong) - 1,
            faults_in_row: 0,
            suspended_until: Millis(0),
            cooling_until: Millis(0),
        }
    }

    /// A settled vote.
    pub(crate) fn settled(&mut self, standing: Standing, earned: Credits, now: Millis, config: &MarketConfig) {
        self.record.earned = self.record.earned.checked_add(earned).unwrap_or(self.record.earned);
        match standing {
            Standing::Agreed => {
                self.record.agreed += 1;
                self.recent <<= 1;
            }
            Standing::Outvoted => {
                self.record.outvoted += 1;
                self.recent = self.recent << 1 | 1;
                let wrong = self.recent.count_ones();
                if wrong >= config.suspend_outvoted && now >= self.suspended_until {
                    let before = (self.record.outvoted / u64::from(config.suspend_outvoted.max(1))).saturating_sub(1);
                    self.suspended_until = now.plus(config.suspend_ms << before.min(DOUBLINGS));
                }
            }
            Standing::Void => {}
        }
    }

    /// One wrong vote is forgiven. A suspension ends if those left would not have brought it.
    pub(crate) fn pardon(&mut self, config: &MarketConfig) {
        self.record.outvoted = self.record.outvoted.saturating_sub(1);
        // The newest set bit: which one it was does not matter to a count.
        self.recent &= self.recent.wrapping_sub(1);
        if self.recent.count_ones() < config.suspend_outvoted {
            self.suspended_until = Millis(0);
        }
    }

    /// An attempt ended without an outcome.
    pub(crate) fn fault(&mut self, now: Millis, config: &MarketConfig) {
        self.record.faults += 1;
        self.faults_in_row = self.faults_in_row.saturating_add(1);
        if let Some(further) = self.faults_in_row.checked_sub(config.cooldown_faults) {
            self.cooling_until = now.plus(config.cooldown_ms << u64::from(further).min(DOUBLINGS));
        }
    }

    /// A vote was wrong as it looks now: no work before its settlement has said so.
    pub(crate) fn doubted(&mut self, until: Millis) {
        self.cooling_until = self.cooling_until.max(until);
    }

    /// Whether its last attempt ended without an outcome.
    pub(crate) fn lost_the_last(&self) -> bool {
        self.faults_in_row > 0
    }

    /// An attempt ended in an outcome.
    pub(crate) fn answered(&mut self) {
        self.faults_in_row = 0;
    }

    pub(crate) fn suspended(&self, now: Millis) -> bool {
        now < self.suspended_until
    }

    /// When it may get work again; `None` if it may now.
    pub(crate) fn resumes(&self, now: Millis) -> Option<Millis> {
        Some(self.suspended_until.max(self.cooling_until)).filter(|&until| now < until)
    }

    /// Whether there is anything to remember.
    pub(crate) fn is_blank(&self) -> bool {
        let PeerRecord { agreed, outvoted, faults, .. } = self.record;
        agreed == 0 && outvoted == 0 && faults == 0
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_signing::{AccountId, SecretKey};

    use super::*;

    fn standing(outvoted: u64, config: &MarketConfig) -> PeerStanding {
        let record = PeerRecord {
            key: SecretKey::from_seed(&[1; 32]).public(),
            account: AccountId::from_bytes([1; 16]),
            agreed: 0,
            outvoted,
            faults: 0,
            earned: Credits::ZERO,
        };
        PeerStanding::new(record, config)
    }

    fn vote(peer: &mut PeerStanding, standing: Standing, now: u64, config: &MarketConfig) {
        peer.settled(standing, Credits::ZERO, Millis(now), config);
    }

    #[test]
    fn wrong_votes_among_the_last_64_suspend_for_a_time() {
        let config = MarketConfig { suspend_outvoted: 3, suspend_ms: 100, ..MarketConfig::default() };
        let mut peer = standing(0, &config);
        for _ in 0..2 {
            vote(&mut peer, Standing::Outvoted, 10, &config);
        }
        for _ in 0..64 {
            vote(&mut peer, Standing::Agreed, 10, &config);
        }
        vote(&mut peer, Standing::Outvoted, 10, &config);
        assert!(!peer.suspended(Millis(10)), "old wrong votes are forgotten");
        for _ in 0..2 {
            vote(&mut peer, Standing::Outvoted, 10, &config);
        }
        assert!(peer.suspended(Millis(109)) && !peer.suspended(Millis(110)));
        vote(&mut peer, Standing::Agreed, 120, &config);
        assert!(!peer.suspended(Millis(120)));
        vote(&mut peer, Standing::Outvoted, 120, &config);
        assert!(peer.suspended(Millis(219)), "one more is enough after a suspension");
    }

    #[test]
    fn a_pardon_undoes_one_wrong_vote() {
        let config = MarketConfig { suspend_ms: 100, ..MarketConfig::default() };
        let mut peer = standing(0, &config);
        vote(&mut peer, Standing::Outvoted, 10, &config);
        vote(&mut peer, Standing::Agreed, 10, &config);
        vote(&mut peer, Standing::Outvoted, 10, &config);
        peer.pardon(&config);
        assert!(peer.suspended(Millis(10)), "the other one stands");
        peer.pardon(&config);
        assert!(!peer.suspended(Millis(10)) && peer.record.outvoted == 0);
        vote(&mut peer, Standing::Outvoted, 20, &config);
        assert!(peer.suspended(Millis(119)) && !peer.suspended(Millis(120)), "as a first one");
    }

    #[test]
    fn a_restart_does_not_wash_a_liar() {
        let config = MarketConfig { suspend_outvoted: 3, ..MarketConfig::default() };
        let mut peer = standing(50, &config);
        assert_eq!(peer.resumes(Millis(1)), None);
        vote(&mut peer, Standing::Outvoted, 1, &config);
        assert!(peer.suspended(Millis(1)));
    }

    #[test]
    fn faults_in_a_row_cool_a_peer_down_without_a_suspension() {
        let config = MarketConfig { cooldown_faults: 2, cooldown_ms: 50, ..MarketConfig::default() };
        let mut peer = standing(0, &config);
        peer.fault(Millis(1), &config);
        peer.answered();
        peer.fault(Millis(1), &config);
        assert_eq!(peer.resumes(Millis(1)), None);
        peer.fault(Millis(1), &config);
        assert_eq!(peer.resumes(Millis(1)), Some(Millis(51)));
        assert!(!peer.suspended(Millis(1)));
        for cooldown in [100, 200, 400, 800, 1_600, 3_200, 6_400, 6_400] {
            peer.fault(Millis(10_000), &config);
            assert_eq!(peer.resumes(Millis(10_000)), Some(Millis(10_000 + cooldown)), "it goes on failing");
        }
        peer.answered();
        peer.fault(Millis(20_000), &config);
        assert_eq!(peer.resumes(Millis(20_000)), None, "one outcome makes up for it");
    }
}
