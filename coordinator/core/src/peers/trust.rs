//! How far the peers are trusted, per kernel: what is known, what of it the store has to hear of, and when it is forgotten.
//! The rules themselves are in [`crate::trust`].
//!
//! **Invariant:** what changed since the last batch is in the next one, with the settlement that says why. So the store never
//! knows of a lie and not of the trust it cost. Not durable in between is only what a lost batch loses as well.

use std::ops::Bound;

use p2c2r_signing::{ModuleId, PublicKey};

use super::{Peer, Peers};
use crate::config::MarketConfig;
use crate::io::Millis;
use crate::record::TrustRecord;
use crate::trust::{Known, ONE_PPM, Posterior, TrustConfig};

/// Peers looked at with every batch for what may be forgotten: a batch a second sees a million of them in four and a half hours.
const SWEPT: usize = 64;

impl Peer {
    pub(super) fn audit_ppm(&self, module: &ModuleId, config: &TrustConfig) -> u32 {
        self.posterior(module, config).audit_ppm(config)
    }

    /// Kernels it is past its probation with.
    pub(crate) fn kernels_trusted(&self, config: &TrustConfig) -> usize {
        self.trust.values().filter(|known| known.posterior.audit_ppm(config) < ONE_PPM).count()
    }

    fn posterior(&self, module: &ModuleId, config: &TrustConfig) -> Posterior {
        self.trust.get(module).map_or(Posterior::new(config), |known| known.posterior)
    }
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

    /// The chance with which the peer's next task of a kernel is checked.
    pub(crate) fn audit_ppm(&self, id: usize, module: &ModuleId, config: &TrustConfig) -> u32 {
        self.slab.get(id).map_or(ONE_PPM, |peer| peer.audit_ppm(module, config))
    }

    /// How far the peer is trusted with a kernel.
    pub(crate) fn posterior(&self, id: usize, module: &ModuleId, config: &TrustConfig) -> Posterior {
        self.slab.get(id).map_or(Posterior::new(config), |peer| peer.posterior(module, config))
    }

    /// A vote of the peer was compared with others.
    pub(crate) fn compared(&mut self, id: usize, module: ModuleId, right: bool, now: Millis, config: &TrustConfig) {
        let Some(peer) = self.slab.get_mut(id) else { return };
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
        now: Millis,
        config: &MarketConfig,
    ) {
        let Some(peer) = self.slab.get_mut(id) else { return };
        if let Some(known) = peer.trust.get_mut(&module) {
            known.posterior = before;
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
    /// vote settled or pardoned, and for each kernel of [`SWEPT`] peers.
    pub(crate) fn trust_changed(&mut self, now: Millis) -> Vec<TrustRecord> {
        self.sweep(now);
        let untold = std::mem::take(&mut self.untold);
        let record = |(key, module): (PublicKey, ModuleId)| {
            let peer = self.by_key.get(&key).and_then(|&id| self.slab.get(id));
            TrustRecord { peer: key, module, known: peer.and_then(|peer| peer.trust.get(&module)).copied() }
        };
        untold.into_iter().map(record).collect()
    }

    fn sweep(&mut self, now: Millis) {
        let from = self.swept.map_or(Bound::Unbounded, Bound::Excluded);
        let next: Vec<_> =
            self.by_key.range((from, Bound::Unbounded)).take(SWEPT).map(|(&key, &id)| (key, id)).collect();
        // After the last one from the start again.
        self.swept = next.last().filter(|_| next.len() == SWEPT).map(|&(key, _)| key);
        for (key, id) in next {
            let Some(peer) = self.slab.get_mut(id) else { continue };
            let stale = peer.trust.extract_if(.., |_, known| known.is_stale(now));
            self.untold.extend(stale.map(|(module, _)| (key, module)));
        }
    }
}
