//! The peers: who is online, what it offers, what it runs, and how it stands.

mod bag;
mod placement;
mod pool;
mod standing;
mod trust;
mod unacked;

use std::collections::{BTreeMap, BTreeSet};

use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{SettledAttempt, Standing};
use p2c2r_signing::{AccountId, ModuleId, PublicKey};
use slab::Slab;

pub(crate) use placement::Wanted;
use pool::Member;
pub(crate) use pool::{ClassKey, Pool, Readiness};
pub(crate) use standing::PeerStanding;
pub(crate) use unacked::Unacked;

use crate::config::MarketConfig;
use crate::dice::Dice;
use crate::io::{ConnId, Millis, Network};
use crate::predict::History;
use crate::record::{PeerRecord, SettlementRecord, Snapshot};
use crate::trust::Known;

/// All peers known, online or not.
pub(crate) struct Peers {
    slab: Slab<Peer>,
    by_key: BTreeMap<PublicKey, usize>,
    /// Who does ordinary work.
    pub(crate) pool: Pool,
    /// The operator's own peers, for disputes.
    referees: Pool,
    referee_accounts: BTreeSet<AccountId>,
    totals: BTreeMap<AccountId, OwnerTotals>,
    /// Standing changed since it was last made durable.
    dirty: BTreeSet<usize>,
    /// Trust changed since it was last made durable.
    untold: BTreeSet<(PublicKey, ModuleId)>,
    /// The last peer looked at for trust that may be forgotten.
    swept: Option<PublicKey>,
}

/// One peer key. What placement reads comes first and is together, in three lines of the cache: of a hundred thousand peers none is in it.
#[repr(C, align(64))]
pub(crate) struct Peer {
    pub(crate) link: Option<Link>,
    /// How far it is trusted, per kernel.
    trust: BTreeMap<ModuleId, Known>,
    /// What it did lately. Not durable.
    pub(crate) history: History,
    pub(crate) standing: PeerStanding,
    readiness: Readiness,
    pub(crate) unacked: Unacked,
}

/// A peer's connection.
pub(crate) struct Link {
    pub(crate) conn: ConnId,
    pub(crate) network: Network,
    /// Attempts it will hold at once.
    slots: usize,
    pub(crate) offers: Vec<ClassKey>,
    /// Keys of the tasks it runs an attempt of.
    pub(crate) running: BTreeSet<usize>,
}

/// What all peers of an account did together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct OwnerTotals {
    pub(crate) earned: u64,
    pub(crate) agreed: u64,
    pub(crate) outvoted: u64,
}

impl Peers {
    pub(crate) fn restore(snapshot: &Snapshot, config: &MarketConfig) -> Self {
        let mut peers = Self {
            slab: Slab::new(),
            by_key: BTreeMap::new(),
            pool: Pool::default(),
            referees: Pool::default(),
            referee_accounts: config.referees.clone(),
            totals: BTreeMap::new(),
            dirty: BTreeSet::new(),
            untold: BTreeSet::new(),
            swept: None,
        };
        for record in &snapshot.peers {
            let totals = peers.totals.entry(record.account).or_default();
            totals.earned = totals.earned.saturating_add(record.earned.nano_usd());
            totals.agreed += record.agreed;
            totals.outvoted += record.outvoted;
            peers.insert(record.clone(), config);
        }
        peers.restore_trust(&snapshot.trust, &config.trust);
        for settlement in &snapshot.recent {
            peers.remember(settlement, config);
        }
        peers
    }

    /// What a settlement from before a restart told each peer, to be told again.
    fn remember(&mut self, settlement: &SettlementRecord, config: &MarketConfig) {
        let mut entries: BTreeMap<PublicKey, Vec<SettledAttempt>> = BTreeMap::new();
        for e in &settlement.executions_detail {
            let entry = SettledAttempt { nonce: e.nonce, standing: e.standing, earned: e.earned };
            entries.entry(e.peer).or_default().push(entry);
        }
        for (key, entries) in entries {
            if let Some(peer) = self.by_key.get(&key).and_then(|&id| self.slab.get_mut(id)) {
                peer.unacked.push(settlement.batch, settlement.root, entries, &config.limits);
            }
        }
    }

    /// The peer of a key, made known if it is not.
    pub(crate) fn ensure(&mut self, key: PublicKey, account: AccountId, config: &MarketConfig) -> usize {
        match self.by_key.get(&key) {
            Some(&id) => id,
            None => {
                let record = PeerRecord { key, account, agreed: 0, outvoted: 0, faults: 0, earned: Credits::ZERO };
                self.insert(record, config)
            }
        }
    }

    fn insert(&mut self, record: PeerRecord, config: &MarketConfig) -> usize {
        let key = record.key;
        let id = self.slab.insert(Peer {
            standing: PeerStanding::new(record, config),
            unacked: Unacked::default(),
            trust: BTreeMap::new(),
            history: History::default(),
            link: None,
            readiness: Readiness::Absent,
        });
        self.by_key.insert(key, id);
        id
    }

    pub(crate) fn known(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn find(&self, key: &PublicKey) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    pub(crate) fn get(&self, id: usize) -> Option<&Peer> {
        self.slab.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: usize) -> Option<&mut Peer> {
        self.slab.get_mut(id)
    }

    /// In order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Peer> + '_ {
        self.by_key.values().filter_map(|&id| self.slab.get(id))
    }

    /// A connection of the peer; it offers nothing yet.
    pub(crate) fn link(&mut self, id: usize, conn: ConnId, account: AccountId, network: Network) {
        let Some(peer) = self.slab.get_mut(id) else { return };
        peer.standing.record.account = account;
        peer.link = Some(Link { conn, network, slots: 0, offers: Vec::new(), running: BTreeSet::new() });
    }

    /// Ends the peer's connection; gives the keys of the tasks it was running.
    pub(crate) fn unlink(&mut self, id: usize) -> BTreeSet<usize> {
        self.shift(id, Readiness::Absent);
        let Some(peer) = self.slab.get_mut(id) else { return BTreeSet::new() };
        let running = peer.link.take().map(|link| link.running).unwrap_or_default();
        if running.is_empty() && peer.standing.is_blank() && peer.unacked.is_empty() && peer.trust.is_empty() {
            let key = peer.standing.record.key;
            self.slab.remove(id);
            self.by_key.remove(&key);
            self.dirty.remove(&id);
        }
        running
    }

    /// What the peer offers from now on.
    pub(crate) fn offer(&mut self, id: usize, slots: usize, offers: Vec<ClassKey>, now: Millis) {
        self.shift(id, Readiness::Absent);
        if let Some(link) = self.slab.get_mut(id).and_then(|peer| peer.link.as_mut()) {
            link.slots = slots;
            link.offers = offers;
        }
        self.refresh(id, now);
    }

    /// An attempt of a task goes to the peer.
    pub(crate) fn start(&mut self, id: usize, task: usize, now: Millis) {
        if let Some(link) = self.slab.get_mut(id).and_then(|peer| peer.link.as_mut()) {
            link.running.insert(task);
        }
        self.refresh(id, now);
    }

    /// The peer no longer runs its attempt of a task.
    pub(crate) fn finish(&mut self, id: usize, task: usize, now: Millis) {
        if let Some(link) = self.slab.get_mut(id).and_then(|peer| peer.link.as_mut()) {
            link.running.remove(&task);
        }
        self.refresh(id, now);
    }

    /// An attempt ended without an outcome. Gives the time until which the peer gets no work, if there is one.
    pub(crate) fn fault(&mut self, id: usize, now: Millis, config: &MarketConfig) -> Option<Millis> {
        let peer = self.slab.get_mut(id)?;
        peer.standing.fault(now, config);
        self.dirty.insert(id);
        let resumes = peer.standing.resumes(now);
        self.refresh(id, now);
        resumes
    }

    /// A vote of the peer is outvoted and not settled yet. Gives the time until which the peer gets no work.
    pub(crate) fn doubted(&mut self, id: usize, now: Millis, until: Millis) -> Option<Millis> {
        let peer = self.slab.get_mut(id)?;
        peer.standing.doubted(until);
        let resumes = peer.standing.resumes(now);
        self.refresh(id, now);
        resumes
    }

    /// A vote is settled. Gives the time until which the peer gets no work, if there is one.
    pub(crate) fn settled(
        &mut self,
        id: usize,
        standing: Standing,
        earned: Credits,
        now: Millis,
        config: &MarketConfig,
    ) -> Option<Millis> {
        let peer = self.slab.get_mut(id)?;
        peer.standing.settled(standing, earned, now, config);
        self.dirty.insert(id);
        let totals = self.totals.entry(peer.standing.record.account).or_default();
        totals.earned = totals.earned.saturating_add(earned.nano_usd());
        match standing {
            Standing::Agreed => totals.agreed += 1,
            Standing::Outvoted => totals.outvoted += 1,
            Standing::Void => {}
        }
        let resumes = peer.standing.resumes(now);
        self.refresh(id, now);
        resumes
    }

    /// A random free peer of an owner that is not excluded, in a network nobody of `networks` is in if one is found.
    pub(crate) fn pick(
        &self,
        class: &ClassKey,
        excluded: &[AccountId],
        networks: &[Network],
        dice: &mut Dice,
    ) -> Option<usize> {
        let link = |id: usize| self.slab.get(id).and_then(|peer| peer.link.as_ref());
        let elsewhere =
            |id: usize| networks.is_empty() || link(id).is_some_and(|link| !networks.contains(&link.network));
        self.pool.pick(class, excluded, elsewhere, dice)
    }

    /// Whether the peer is who it was, offers the class and has a free slot.
    pub(crate) fn is_free(&self, id: usize, key: &PublicKey, class: &ClassKey) -> bool {
        self.slab.get(id).is_some_and(|peer| {
            peer.standing.record.key == *key
                && peer.readiness == Readiness::Free
                && peer.link.as_ref().is_some_and(|link| link.offers.contains(class))
        })
    }

    /// A random free referee of an owner that is not excluded.
    pub(crate) fn pick_referee(&self, class: &ClassKey, excluded: &[AccountId], dice: &mut Dice) -> Option<usize> {
        self.referees.pick(class, excluded, |_| true, dice)
    }

    /// Whether the account's peers are the operator's.
    pub(crate) fn is_referee(&self, account: &AccountId) -> bool {
        self.referee_accounts.contains(account)
    }

    /// Records of the peers whose standing changed since the last call.
    pub(crate) fn changed(&mut self) -> Vec<PeerRecord> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty.into_iter().filter_map(|id| self.slab.get(id)).map(|peer| peer.standing.record.clone()).collect()
    }

    pub(crate) fn totals(&self, account: AccountId) -> OwnerTotals {
        self.totals.get(&account).copied().unwrap_or_default()
    }

    /// Puts the peer where its slots and standing say. True if it has a free slot.
    pub(crate) fn refresh(&mut self, id: usize, now: Millis) -> bool {
        let Some(peer) = self.slab.get(id) else { return false };
        let to =
            match &peer.link {
                Some(link) if link.slots > 0 && peer.standing.resumes(now).is_none() => {
                    if link.running.len() < link.slots { Readiness::Free } else { Readiness::Busy }
                }
                _ => Readiness::Absent,
            };
        self.shift(id, to);
        to == Readiness::Free
    }

    fn shift(&mut self, id: usize, to: Readiness) {
        let Some(peer) = self.slab.get_mut(id) else { return };
        let from = std::mem::replace(&mut peer.readiness, to);
        if from == to {
            return;
        }
        let owner = peer.standing.record.account;
        let pool = if self.referee_accounts.contains(&owner) { &mut self.referees } else { &mut self.pool };
        let Some(link) = &peer.link else { return };
        let member = Member { owner, peer: id, slots: link.slots };
        for &class in &link.offers {
            pool.shift(class, member, from, to);
        }
    }
}
