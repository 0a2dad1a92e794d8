//! Which of the free peers gets an attempt that nobody checks, where any would do.
//!
//! A few are drawn at random, and the best of them is taken: first one in another network than the task's other
//! attempts; then one that should be in time; then one that is past its probation with the kernel and brought a result last
//! time; then the quicker one; then one that has the kernel and the blobs; then one with fewer attempts running. Prices are
//! the operator's, not the peers', and so play no part.
//!
//! # What is left to chance
//! Trust rests on a peer being unable to choose what it is given, or with whom. So:
//!
//! - Attempts whose votes are compared with others (replicas, audits, replacements in a dispute) are not placed at all: they
//!   go to a random owner ([`Pool::pick`]), whatever is known of it. Who executes first cannot have a say in who checks.
//! - One attempt in [`UNIFORM_ONE_IN`] is not placed either, so that a newcomer finds work and earns trust, and the market
//!   hears of everybody's speed. But of those that would go to a peer that by its own past hardly makes it, which most likely would
//!   work for nothing, only one in [`HOPELESS_ONE_IN`] does: enough to hear when it has become quick.
//! - Of the rest, a peer that is better than all others is given [`DRAWN`] times its even share, and no peer more.
//!   Who needs half the time there is, is as good as who needs a tenth, so seeming fast wins nothing where the usual peer is fast
//!   enough.
//!
//! Two attempts of a task both go to a ring that holds the share `f` of owners with at most `DRAWN * f * f` instead of `f * f`.

use p2c2r_signing::{AccountId, BlobId, ModuleId};

use super::Peers;
use crate::dice::Dice;
use crate::io::Network;
use crate::peers::ClassKey;
use crate::predict::{Forecast, WorkId, Works};
use crate::trust::{ONE_PPM, TrustConfig};

/// Peers drawn for one place. Two already make the worst tenth run one attempt in a hundred; with three it is one in a
/// thousand, and the bound on a ring is still of the order of the even one.
const DRAWN: usize = 3;

/// One attempt of so many goes to any free peer.
const UNIFORM_ONE_IN: usize = 8;

/// Of those, one of so many that would go to a peer that hardly makes it. 4: it is tried with a thirty-second of an even share, as
/// admission tries tasks.
const HOPELESS_ONE_IN: usize = 4;

/// An attempt to be placed.
pub(crate) struct Wanted<'a> {
    pub(crate) class: &'a ClassKey,
    pub(crate) excluded: &'a [AccountId],
    pub(crate) networks: &'a [Network],
    pub(crate) module: &'a ModuleId,
    pub(crate) blobs: &'a [BlobId],
    pub(crate) work: Option<WorkId>,
    /// Milliseconds in which its client wants the answer.
    pub(crate) left_ms: u64,
}

/// How well a peer suits, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    same_network: bool,
    timing: Timing,
    doubtful: bool,
    /// Of the time there is, what nine of ten take, or half of them if nine do not make it; at least [`EASILY`].
    sixteenths: u64,
    /// Kernel and blobs it has to fetch.
    lacks: usize,
    /// Of its slots in use, in eighths.
    load: usize,
}

/// How sure it is to be in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timing {
    /// Nine of ten in time.
    Surely,
    /// Half of them in time.
    Perhaps,
    Hardly,
}

/// Sixteenths of the time there is that nobody has to be faster than: another one could still do it after it.
const EASILY: u64 = 8;

impl Peers {
    /// A free peer of an owner that is not excluded for an attempt nobody checks yet.
    pub(crate) fn place(
        &self,
        wanted: &Wanted<'_>,
        works: &Works,
        trust: &TrustConfig,
        dice: &mut Dice,
    ) -> Option<usize> {
        let mut many = if dice.below(UNIFORM_ONE_IN) == 0 { 1 } else { DRAWN };
        let mut best: Option<(Fit, usize)> = None;
        let mut drawn = 0;
        while drawn < many {
            drawn += 1;
            let id = self.pick(wanted.class, wanted.excluded, wanted.networks, dice)?;
            let Some(fit) = self.fit(id, wanted, works, trust) else { continue };
            let hopeless =
                || fit.timing == Timing::Hardly && wanted.work.is_some_and(|w| self.forecast(id, w).is_some());
            if many == 1 && hopeless() && dice.below(HOPELESS_ONE_IN) > 0 {
                many = DRAWN;
            }
            // None drawn after it could be better: in a large network each look waits for memory.
            if fit == Fit::BEST {
                return Some(id);
            }
            // The first drawn of equals.
            if best.is_none_or(|(least, _)| fit < least) {
                best = Some((fit, id));
            }
        }
        best.map(|(_, id)| id)
    }

    /// How well a peer suits. What its card does not say it takes from where that comes from.
    fn fit(&self, id: usize, wanted: &Wanted<'_>, works: &Works, trust: &TrustConfig) -> Option<Fit> {
        let card = self.card(id)?;
        let suit = wanted.work.and_then(|work| card.suit(work));
        let history = || self.get(id).map(|peer| &peer.history);
        let has_kernel = suit.is_some()
            || wanted.work.is_some_and(|work| history().is_some_and(|history| history.has_kernel(works, work)));
        let on_probation = self.audit_ppm(id, wanted.module, wanted.work, trust) >= ONE_PPM;
        let missing_blobs = match wanted.blobs {
            [] => 0,
            blobs => history()?.missing_blobs(blobs),
        };
        let (timing, sixteenths) = timing(wanted.work.and_then(|work| self.forecast(id, work)), wanted, works);
        Some(Fit {
            same_network: wanted.networks.contains(&card.network),
            timing,
            doubtful: on_probation || card.lost_the_last,
            sixteenths,
            lacks: usize::from(!has_kernel) + missing_blobs,
            load: usize::from(card.running) * 8 / usize::from(card.slots).max(1),
        })
    }
}

impl Fit {
    const BEST: Self =
        Self { same_network: false, timing: Timing::Surely, doubtful: false, sixteenths: EASILY, lacks: 0, load: 0 };
}

/// Who is not known takes as long as others do; if nothing is known at all, everybody is in time.
fn timing(own: Option<Forecast>, wanted: &Wanted<'_>, works: &Works) -> (Timing, u64) {
    let forecast = own.or_else(|| wanted.work.and_then(|work| works.forecast(work)));
    let Some(usual) = forecast else { return (Timing::Surely, EASILY) };
    let (timing, takes) = match wanted.left_ms {
        left if usual.surely_within(left) => (Timing::Surely, usual.p90()),
        left if usual.perhaps_within(left) => (Timing::Perhaps, usual.p50()),
        _ => (Timing::Hardly, usual.p50()),
    };
    (timing, (takes * 16).div_ceil(wanted.left_ms.max(1)).max(EASILY))
}

#[cfg(test)]
mod tests {
    use p2c2r_protocol::message::Path;
    use p2c2r_signing::{ClassId, SecretKey};

    use super::*;
    use crate::config::MarketConfig;
    use crate::io::{ConnId, Millis};
    use crate::limits::Limits;
    use crate::record::Snapshot;
    use crate::sketch::Took;

    const CLASS: ClassKey = ClassKey { path: Path::Cpu, class: ClassId::from_bytes([1; 32]) };
    const MODULE: ModuleId = ModuleId::from_bytes([1; 32]);
    const BLOB: BlobId = BlobId::from_bytes([3; 32]);
    const PEERS: u8 = 10;
    /// The one that is different.
    const ODD: usize = 4;

    struct Field {
        peers: Peers,
        works: Works,
        work: WorkId,
        dice: Dice,
        trust: TrustConfig,
    }

    fn network(n: u8) -> Network {
        Network::of(std::net::Ipv4Addr::new(10, 0, n, 1).into())
    }

    /// Peers with four slots that took 20 ms for the work so far, have the blob, and are past probation.
    fn field() -> Field {
        let config = MarketConfig::default();
        let mut peers = Peers::restore(&Snapshot::default(), &config);
        let mut works = Works::default();
        let work = works.ensure(MODULE, Path::Cpu, 1, &Limits::default()).unwrap();
        (0..40).for_each(|_| works.learn(work, Took::Exactly(20)));
        for n in 0..PEERS {
            let owner = AccountId::from_bytes([n; 16]);
            let id = peers.ensure(SecretKey::from_seed(&[n; 32]).public(), owner, &config);
            assert_eq!(id, usize::from(n));
            peers.link(id, ConnId(u64::from(n)), owner, network(n));
            peers.offer(id, 4, vec![CLASS], Millis(0));
            (0..200).for_each(|_| peers.compared(id, MODULE, true, &works, Millis(0), &config.trust));
            done(&mut peers, &works, id, Some(work), &[BLOB], 20);
        }
        Field { peers, works, work, dice: Dice::new([5; 32]), trust: config.trust }
    }

    fn done(peers: &mut Peers, works: &Works, id: usize, work: Option<WorkId>, blobs: &[BlobId], ms: u64) {
        peers.given(id, works, (&MODULE, work), blobs, Millis(1), &MarketConfig::default());
        (0..40).for_each(|_| peers.learn(id, work.unwrap(), Took::Exactly(ms), Millis(1)));
    }

    impl Field {
        /// How often each peer is chosen in 8,000 tries.
        fn chosen(&mut self, excluded: &[AccountId], networks: &[Network]) -> [usize; PEERS as usize] {
            let mut chosen = [0; PEERS as usize];
            for _ in 0..8_000 {
                let (class, module, work, left_ms) = (&CLASS, &MODULE, Some(self.work), 100);
                let wanted = Wanted { class, excluded, networks, module, blobs: &[BLOB], work, left_ms };
                chosen[self.peers.place(&wanted, &self.works, &self.trust, &mut self.dice).unwrap()] += 1;
            }
            chosen
        }

        /// The odd peer gets what is placed evenly, and what only it was drawn for: 1/80 and 7/8 * 1/1000, or 107.
        #[track_caller]
        fn shunned(&mut self) {
            let chosen = self.chosen(&[], &[]);
            assert!((60..160).contains(&chosen[ODD]), "{chosen:?}");
            let others = chosen.iter().enumerate().filter(|(id, _)| *id != ODD);
            others.for_each(|(_, &n)| assert!((750..1_030).contains(&n), "{chosen:?}"));
        }
    }

    #[test]
    fn equals_are_chosen_alike_however_fast_they_are() {
        let mut field = field();
        let check = |chosen: [usize; PEERS as usize]| {
            chosen.iter().for_each(|n| assert!((700..900).contains(n), "{chosen:?}"));
        };
        check(field.chosen(&[], &[]));
        let Field { peers, works, work, .. } = &mut field;
        done(peers, works, ODD, Some(*work), &[BLOB], 1);
        check(field.chosen(&[], &[]));
    }

    #[test]
    fn slow_doubtful_and_failing_peers_get_the_even_share_of_an_eighth() {
        let mut slow = field();
        let Field { peers, works, work, .. } = &mut slow;
        (0..10).for_each(|_| done(peers, works, ODD, Some(*work), &[BLOB], 70));
        slow.shunned();

        let mut hopeless = field();
        let Field { peers, works, work, .. } = &mut hopeless;
        (0..10).for_each(|_| done(peers, works, ODD, Some(*work), &[BLOB], 200));
        // A quarter of 1/80, and 7/8 * 1/1000 and little more.
        let chosen = hopeless.chosen(&[], &[]);
        assert!((15..60).contains(&chosen[ODD]), "{chosen:?}");

        let mut liar = field();
        liar.peers.compared(ODD, MODULE, false, &liar.works, Millis(0), &liar.trust);
        liar.shunned();

        let mut failing = field();
        failing.peers.fault(ODD, Millis(0), &MarketConfig::default());
        failing.shunned();
    }

    #[test]
    fn who_lacks_kernel_or_blob_or_is_loaded_comes_last() {
        let mut blank = field();
        let Field { peers, works, .. } = &mut blank;
        let (other, config) = (ModuleId::from_bytes([9; 32]), MarketConfig::default());
        for size in 0..config.limits.works_per_peer {
            let work = works.ensure(other, Path::Cpu, 1 << size, &config.limits);
            peers.given(ODD, works, (&other, work), &[BLOB], Millis(2), &config);
        }
        blank.shunned();

        let mut loaded = field();
        loaded.peers.start(ODD, 77, Millis(0));
        loaded.shunned();

        let mut blob = field();
        for n in 0..40 {
            let other = BlobId::from_bytes([100 + n; 32]);
            let Field { peers, works, work, .. } = &mut blob;
            peers.given(ODD, works, (&MODULE, Some(*work)), &[other], Millis(2), &MarketConfig::default());
        }
        blob.shunned();
    }

    #[test]
    fn nobody_gets_more_than_three_times_its_even_share() {
        let mut field = field();
        for id in (0..usize::from(PEERS)).filter(|id| *id != ODD) {
            field.peers.fault(id, Millis(0), &MarketConfig::default());
        }
        let chosen = field.chosen(&[], &[]);
        // 1/80 of all, and 7/8 of 1 - (9/10)^3.
        assert!((1_850..2_150).contains(&chosen[ODD]), "{chosen:?}");
        assert!(chosen[ODD] <= DRAWN * 8_000 / usize::from(PEERS));
    }

    #[test]
    fn owners_and_networks_stay_apart_whoever_is_better() {
        let mut field = field();
        // Everything speaks for two, but they are the task's owner and in the task's network.
        for id in 2..usize::from(PEERS) {
            field.peers.fault(id, Millis(0), &MarketConfig::default());
        }
        let chosen = field.chosen(&[AccountId::from_bytes([0; 16])], &[network(1)]);
        assert_eq!((chosen[0], chosen[1]), (0, 0), "{chosen:?}");
    }
}
