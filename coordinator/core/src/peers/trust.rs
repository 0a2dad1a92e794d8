//! How far the peers are trusted, per kernel: what is known, what of it the store has to hear of, and when it is forgotten.
//! The rules themselves are in [`crate::trust`].
//!
//! **Invariant:** what changed since the last batch is in the next one, with the settlement that says why. So the store never
//! knows of a lie and not of the trust it cost. Not durable in between is only what a lost batch loses as well.

use std::collections::BTreeMap;
use std::ops::Bound;

use p2c2r_signing::{ModuleId, PublicKey};

use super::card::Card;
use super::{Peer, Peers};
use crate::config::MarketConfig;
use crate::io::Millis;
use crate::predict::{WorkId, Works};
use crate::record::TrustRecord;
use crate::trust::{Known, ONE_PPM, Posterior, TrustConfig};

impl Peer {
    /// Kernels it is past its probation with.
    pub(crate) fn kernels_trusted(&self, config: &TrustConfig) -> usize {
        self.trust.values().filter(|known| known.posterior.audit_ppm(config) < ONE_PPM).count()
    }

    fn posterior(&self, module: &ModuleId, config: &TrustConfig) -> Posterior {
        posterior(&self.trust, module, config)
    }
}

/// What is known of a peer and a kernel has changed.
fn rate(peer: &mut Peer, card: &mut Card, module: &ModuleId, works: &Works, config: &TrustConfig) {
    let Some(kernel) = works.first_of(module) else { return };
    peer.history.rate(kernel, peer.posterior(module, config).audit_ppm(config));
    peer.history.suits(kernel).for_each(|suit| card.update(suit));
}

/// How far a peer is trusted with a kernel of which this is known.
pub(super) fn posterior(known: &BTreeMap<ModuleId, Known>, module: &ModuleId, config: &TrustConfig) -> Posterior {
    known.get(module).map_or(Posterior::new(config), |known| known.posterior)
}

impl Peers {
    /// What the store kept, as far as it fits: the rest are newcomers.
    pub(super) fn restore_trust(&mut self, trust: &[TrustRecord], config: &TrustConfig) {
        for TrustRecord { peer, module, known } in trust {
            let Some(peer) = self.by_key.get(peer).and_then(|&id| self.slab.get_mut(id)) else { continue };
            if let Some(known) = known
                && peer.trust.len() < config.kernels_per_peer
            {
                peer.trust.insert(*module, *known);
            }
        }
    }

    /// The chance with which the peer's next task of a kernel, of this work, is checked.
    pub(crate) fn audit_ppm(&self, id: usize, module: &ModuleId, work: Option<WorkId>, config: &TrustConfig) -> u32 {
        let by_trust = || self.slab.get(id).map_or(ONE_PPM, |peer| peer.posterior(module, config).audit_ppm(config));
        let by_card = work.and_then(|work| self.card(id)?.suit(work)).map(|suit| suit.audit_ppm);
        debug_assert!(by_card.is_none_or(|rate| rate == by_trust()), "{by_card:?}, should be {}", by_trust());
        by_card.unwrap_or_else(by_trust)
    }

    /// How far the peer is trusted with a kernel.
    pub(crate) fn posterior(&self, id: usize, module: &ModuleId, config: &TrustConfig) -> Posterior {
        self.slab.get(id).map_or(Posterior::new(config), |peer| peer.posterior(module, config))
    }

    /// A vote of the peer was compared with others.
    pub(crate) fn compared(
        &mut self,
        id: usize,
        module: ModuleId,
        right: bool,
        works: &Works,
        now: Millis,
        config: &TrustConfig,
    ) {
        let (Some(peer), Some(card)) = (self.slab.get_mut(id), self.cards.get_mut(id)) else { return };
        let room = peer.trust.len() < config.kernels_per_peer || peer.trust.contains_key(&module);
        if room {
            let newcomer = Known { posterior: Posterior::new(config), compared: now };
            let known = peer.trust.entry(module).or_insert(newcomer);
            known.compared = now;
            if right {
                known.posterior.agreed();
            } else {
                known.posterior.lied(config);
            }
            rate(peer, card, &module, works, config);
        }
        // A lie of which nothing can be remembered here must not leave better things in the store.
        if room || !right {
            self.untold.insert((peer.standing.record.key, module));
        }
    }

    /// A wrong vote was none, for it was the kernel's fault: the peer stands as before it.
    pub(crate) fn pardon(
        &mut self,
        id: usize,
        module: ModuleId,
        before: Posterior,
        works: &Works,
        now: Millis,
        config: &MarketConfig,
    ) {
        let (Some(peer), Some(card)) = (self.slab.get_mut(id), self.cards.get_mut(id)) else { return };
        if let Some(known) = peer.trust.get_mut(&module) {
            known.posterior = before;
            rate(peer, card, &module, works, &config.trust);
            self.untold.insert((peer.standing.record.key, module));
        }
        peer.standing.pardon(config);
        self.dirty.insert(id);
        if let Some(totals) = self.totals.get_mut(&peer.standing.record.account) {
            totals.outvoted = totals.outvoted.saturating_sub(1);
        }
        self.refresh(id, now);
    }

    /// What is known now where that changed since the last call, and what is forgotten of the next few peers: at most one record for each
    /// vote settled or pardoned, and for each kernel of the [`peers_swept`](crate::limits::Limits::peers_swept).
    pub(crate) fn trust_changed(&mut self, works: &Works, now: Millis, config: &MarketConfig) -> Vec<TrustRecord> {
        self.sweep(works, now, config);
        let untold = std::mem::take(&mut self.untold);
        let record = |(key, module): (PublicKey, ModuleId)| {
            let peer = self.by_key.get(&key).and_then(|&id| self.slab.get(id));
            TrustRecord { peer: key, module, known: peer.and_then(|peer| peer.trust.get(&module)).copied() }
        };
        untold.into_iter().map(record).collect()
    }

    fn sweep(&mut self, works: &Works, now: Millis, config: &MarketConfig) {
        let from = self.swept.map_or(Bound::Unbounded, Bound::Excluded);
        let most = config.limits.peers_swept;
        let next: Vec<_> =
            self.by_key.range((from, Bound::Unbounded)).take(most).map(|(&key, &id)| (key, id)).collect();
        // After the last one from the start again.
        self.swept = next.last().filter(|_| next.len() == most).map(|&(key, _)| key);
        for (key, id) in next {
            let (Some(peer), Some(card)) = (self.slab.get_mut(id), self.cards.get_mut(id)) else { continue };
            let stale: Vec<_> = peer.trust.extract_if(.., |_, known| known.is_stale(now)).collect();
            for (module, _) in stale {
                rate(peer, card, &module, works, &config.trust);
                self.untold.insert((key, module));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_signing::{AccountId, SecretKey};

    use super::*;
    use crate::limits::Limits;
    use crate::record::Snapshot;
    use crate::trust::TRUST_KEPT_MS;

    #[test]
    fn as_many_peers_are_swept_as_the_limit_says_and_all_in_turn() {
        let limits = Limits { peers_swept: 2, ..Limits::default() };
        let config = MarketConfig { limits, ..MarketConfig::default() };
        let (mut peers, works) = (Peers::restore(&Snapshot::default(), &config), Works::default());
        let module = ModuleId::from_bytes([1; 32]);
        for n in 0..5 {
            let id = peers.ensure(SecretKey::from_seed(&[n; 32]).public(), AccountId::from_bytes([n; 16]), &config);
            peers.compared(id, module, true, &works, Millis(1), &config.trust);
        }
        let mut forgotten = |now| {
            let changed = peers.trust_changed(&works, Millis(now), &config);
            changed.iter().filter(|record| record.known.is_none()).count()
        };
        assert_eq!([1, 2, 3].map(&mut forgotten), [0; 3], "all of it is fresh");
        assert_eq!([4, 5, 6, 7].map(|at| forgotten(at + TRUST_KEPT_MS)), [2, 2, 1, 0]);
    }
}
