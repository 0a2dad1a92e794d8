//! The peers: who is online, what it offers, what it runs, and how it stands.

mod bag;
mod card;
mod placement;
mod pool;
mod standing;
mod trust;
mod unacked;

use std::collections::{BTreeMap, BTreeSet};

use p2c2r_protocol::Credits;
use p2c2r_protocol::message::{SettledAttempt, Standing};
use p2c2r_signing::{AccountId, BlobId, ModuleId, PublicKey};
use slab::Slab;

use card::Card;
pub(crate) use card::Suit;
pub(crate) use placement::Wanted;
use pool::Member;
pub(crate) use pool::{ClassKey, Pool, Readiness};
pub(crate) use standing::PeerStanding;
pub(crate) use unacked::Unacked;

use crate::config::MarketConfig;
use crate::dice::Dice;
use crate::io::{ConnId, Millis, Network};
use crate::predict::{Forecast, History, WorkId, Works};
use crate::record::{PeerRecord, SettlementRecord, Snapshot};
use crate::sketch::Took;
use crate::trust::Known;

/// All peers known, online or not.
pub(crate) struct Peers {
    slab: Slab<Peer>,
    /// By the same numbers.
    cards: Vec<Card>,
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

/// One peer key.
pub(crate) struct Peer {
    pub(crate) link: Option<Link>,
    readiness: Readiness,
    pub(crate) standing: PeerStanding,
    /// How far it is trusted, per kernel. What follows for its works is in `history`.
    trust: BTreeMap<ModuleId, Known>,
    /// What it did lately. Not durable.
    history: History,
    /// Classes it has slots for; none while it is away.
    offers: Vec<ClassKey>,
    pub(crate) unacked: Unacked,
}

/// A peer's connection.
pub(crate) struct Link {
    pub(crate) conn: ConnId,
    pub(crate) network: Network,
    /// Attempts it will hold at once.
    slots: usize,
    /// Keys of the tasks it runs an attempt of, in no order; at most as many as it has slots.
    running: Vec<usize>,
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
            cards: Vec::new(),
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
        let (key, card) = (record.key, Card::new(record.key, record.account));
        let id = self.slab.insert(Peer {
            link: None,
            readiness: Readiness::Absent,
            standing: PeerStanding::new(record, config),
            history: History::default(),
            trust: BTreeMap::new(),
            offers: Vec::new(),
            unacked: Unacked::default(),
        });
        self.by_key.insert(key, id);
        match self.cards.get_mut(id) {
            Some(place) => *place = card,
            // The slab counts on without a gap.
            None => self.cards.push(card),
        }
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

    /// What placement reads of the peer.
    pub(crate) fn card(&self, id: usize) -> Option<&Card> {
        self.cards.get(id)
    }

    /// In order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Peer> + '_ {
        self.by_key.values().filter_map(|&id| self.slab.get(id))
    }

    /// A connection of the peer; it offers nothing yet.
    pub(crate) fn link(&mut self, id: usize, conn: ConnId, account: AccountId, network: Network) {
        let (Some(peer), Some(card)) = (self.slab.get_mut(id), self.cards.get_mut(id)) else { return };
        (card.owner, card.network) = (account, network);
        peer.standing.record.account = account;
        peer.link = Some(Link { conn, network, slots: 0, running: Vec::new() });
        peer.offers.clear();
    }

    /// Ends the peer's connection; gives the keys of the tasks it was running, in order.
    pub(crate) fn unlink(&mut self, id: usize) -> Vec<usize> {
        self.shift(id, Readiness::Absent);
        let Some(peer) = self.slab.get_mut(id) else { return Vec::new() };
        let mut running = peer.link.take().map(|link| link.running).unwrap_or_default();
        running.sort_unstable();
        peer.offers.clear();
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
        if let Some(peer) = self.slab.get_mut(id)
            && let Some(link) = &mut peer.link
        {
            link.slots = slots;
            peer.offers = offers;
        }
        self.refresh(id, now);
    }

    /// An attempt of a task goes to the peer.
    pub(crate) fn start(&mut self, id: usize, task: usize, now: Millis) {
        let (Some(peer), Some(card)) = (self.slab.get_mut(id), self.cards.get_mut(id)) else { return };
        let Some(link) = &mut peer.link else { return };
        debug_assert!(!link.running.contains(&task), "an owner has one attempt of a task");
        link.running.push(task);
        card.running = card.running.saturating_add(1);
        // With a slot left it stays where it is.
        if card.running >= card.slots {
            self.refresh(id, now);
        }
    }

    /// The peer no longer runs its attempt of a task.
    pub(crate) fn finish(&mut self, id: usize, task: usize, now: Millis) {
        if let Some(link) = self.slab.get_mut(id).and_then(|peer| peer.link.as_mut())
            && let Some(at) = link.running.iter().position(|running| *running == task)
        {
            link.running.swap_remove(at);
        }
        self.refresh(id, now);
    }

    /// The peer is given an attempt of this work. True if it has to fetch and compile the kernel first.
    pub(crate) fn given(
        &mut self,
        id: usize,
        works: &Works,
        (module, work): (&ModuleId, Option<WorkId>),
        blobs: &[BlobId],
        now: Millis,
        config: &MarketConfig,
    ) -> bool {
        // Who did such work lately has nothing new to remember, and is not looked up.
        if blobs.is_empty() && work.is_some_and(|work| self.card(id).is_some_and(|card| card.suit(work).is_some())) {
            return false;
        }
        let (Some(peer), Some(card)) = (self.slab.get_mut(id), self.cards.get_mut(id)) else { return true };
        let Peer { history, trust, .. } = peer;
        let audit_ppm = || trust::posterior(trust, module, &config.trust).audit_ppm(&config.trust);
        let given = history.given(works, work, blobs, now, &config.limits, audit_ppm);
        if let Some(forgotten) = given.forgotten {
            card.forget(forgotten);
        }
        if let Some(suit) = work.and_then(|work| history.suit(work)) {
            card.put(suit);
        }
        given.cold
    }

    /// The peer took this long for a work.
    pub(crate) fn learn(&mut self, id: usize, work: WorkId, took: Took, now: Millis) {
        let (Some(peer), Some(card)) = (self.slab.get_mut(id), self.cards.get_mut(id)) else { return };
        peer.history.learn(work, took, now);
        if let Some(suit) = peer.history.suit(work) {
            card.update(suit);
        }
    }

    /// How long the peer takes for a work by its own past; `None` while there is too little of it.
    pub(crate) fn forecast(&self, id: usize, work: WorkId) -> Option<Forecast> {
        match self.cards.get(id)?.suit(work) {
            Some(suit) => suit.forecast,
            None => self.slab.get(id)?.history.forecast(work),
        }
    }

    /// An attempt of the peer ended in an outcome.
    pub(crate) fn answered(&mut self, id: usize) {
        let (Some(peer), Some(card)) = (self.slab.get_mut(id), self.cards.get_mut(id)) else { return };
        peer.standing.answered();
        card.lost_the_last = false;
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
        let elsewhere =
            |id: usize| networks.is_empty() || self.card(id).is_some_and(|card| !networks.contains(&card.network));
        self.pool.pick(class, excluded, |id| self.owner_of(id), elsewhere, dice)
    }

    /// Whether the peer is who it was, offers the class and has a free slot.
    pub(crate) fn is_free(&self, id: usize, key: &PublicKey, class: &ClassKey) -> bool {
        self.slab.get(id).is_some_and(|peer| {
            peer.standing.record.key == *key && peer.readiness == Readiness::Free && peer.offers.contains(class)
        })
    }

    /// A random free referee of an owner that is not excluded.
    pub(crate) fn pick_referee(&self, class: &ClassKey, excluded: &[AccountId], dice: &mut Dice) -> Option<usize> {
        self.referees.pick(class, excluded, |id| self.owner_of(id), |_| true, dice)
    }

    fn owner_of(&self, id: usize) -> Option<AccountId> {
        self.card(id).map(|card| card.owner)
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
        let (Some(peer), Some(card)) = (self.slab.get(id), self.cards.get_mut(id)) else { return false };
        card.lost_the_last = peer.standing.lost_the_last();
        if let Some(link) = &peer.link {
            let (slots, running) = (u16::try_from(link.slots), u16::try_from(link.running.len()));
            (card.slots, card.running) = (slots.unwrap_or(u16::MAX), running.unwrap_or(u16::MAX));
        }
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
        for &class in &peer.offers {
            pool.shift(class, member, from, to);
        }
    }
}

impl Peer {
    /// Attempts it runs.
    pub(crate) fn running(&self) -> usize {
        self.link.as_ref().map_or(0, |link| link.running.len())
    }

    /// Classes it has slots for.
    pub(crate) fn offers(&self) -> &[ClassKey] {
        &self.offers
    }
}
