//! Golden tasks: work that several owners, or the referee, confirmed, given to a peer whose owner never saw it. To the peer it is a
//! task like any other, at a moment of its own: not together with the task that brought it about, or with nothing else to do
//! at once a peer could tell the two apart.
//!
//! The confirmed answer counts as one vote ([`super::rerun`]): a peer that differs brings in another owner, so an answer that was
//! confirmed wrongly is *refuted* and punishes nobody. Only where nobody else is there to ask it decides alone.

use std::collections::BTreeMap;

use p2c2r_signing::{AccountId, InputDigest, ModuleId, PublicKey};

use super::Market;
use super::dispatch::Role;
use super::timer::Timer;
use crate::archive::bytes;
use crate::peers::ClassKey;
use crate::task::{Answer, Why, Work};
use crate::trust::ONE_PPM;

/// Milliseconds within which a golden task follows what brought it about, at random: as long as several tasks take.
const WITHIN_MS: usize = 1_000;

/// Times a golden task looks for its peer when that is busy.
const TRIES: u8 = 8;

/// Once a class has all the golden tasks it may have, one in this many newly confirmed ones replaces one of them.
const REPLACED_BY: usize = 8;

/// Golden tasks, and those on their way.
#[derive(Debug, Default)]
pub(super) struct Goldens {
    kept: BTreeMap<(ModuleId, ClassKey), Vec<Golden>>,
    bytes: usize,
    due: BTreeMap<u64, Order>,
    next: u64,
}

#[derive(Debug)]
struct Golden {
    work: Work,
    /// Owners that know the input.
    seen: Vec<AccountId>,
}

/// A golden task to be given out.
#[derive(Debug, Clone, Copy)]
struct Order {
    module: ModuleId,
    class: ClassKey,
    /// To whom; `None` is anybody.
    to: Option<(usize, PublicKey)>,
    tries: u8,
}

impl Goldens {
    /// Bytes kept.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Nothing of a kernel is to be relied on.
    pub(super) fn forget(&mut self, module: ModuleId) {
        let places: Vec<_> = self.kept.keys().filter(|(of, _)| *of == module).copied().collect();
        places.into_iter().for_each(|place| self.drop_where(place, |_| true));
    }

    fn drop_where(&mut self, place: (ModuleId, ClassKey), what: impl Fn(&Golden) -> bool) {
        let Some(kept) = self.kept.get_mut(&place) else { return };
        kept.retain(|golden| {
            let goes = what(golden);
            if goes {
                self.bytes -= bytes(&golden.work);
            }
            !goes
        });
        if kept.is_empty() {
            self.kept.remove(&place);
        }
    }
}

impl Market {
    /// A task is confirmed by several owners or the referee: it may become golden.
    pub(super) fn remember_golden(&mut self, key: usize, answer: &Answer) {
        if self.config.trust.golden_ppm == 0 {
            return;
        }
        let (most, most_bytes) = (self.config.limits.goldens_per_class, self.config.limits.golden_bytes);
        let Some(work) = self.tasks.get(key).and_then(|task| task.work(answer)) else { return };
        let place = (work.module, work.class);
        let full = self.goldens.kept.get(&place).map_or(0, Vec::len) >= most;
        if full {
            if self.dice.below(REPLACED_BY) > 0 {
                return;
            }
            let goes = self.dice.below(most);
            let digest = self.goldens.kept.get(&place).and_then(|kept| Some(kept.get(goes)?.work.digest));
            self.goldens.drop_where(place, |golden| Some(golden.work.digest) == digest);
        }
        let kept = self.goldens.kept.entry(place).or_default();
        let known = kept.iter().any(|golden| golden.work.digest == work.digest);
        if known || kept.len() >= most || self.goldens.bytes + bytes(&work) > most_bytes {
            return;
        }
        let seen = self.tasks.get(key).map(|task| task.attempts.iter().map(|a| a.owner).collect()).unwrap_or_default();
        self.goldens.bytes += bytes(&work);
        kept.push(Golden { work, seen });
    }

    /// A task came in: now and then it brings a golden one for somebody.
    pub(super) fn order_golden(&mut self, module: ModuleId, class: ClassKey) {
        let rate = self.config.trust.golden_ppm as usize;
        if rate > 0 && self.dice.below(ONE_PPM as usize) < rate {
            self.order(Order { module, class, to: None, tries: 0 });
        }
    }

    /// A peer should be checked and nobody else can be asked.
    pub(super) fn order_golden_for(&mut self, module: ModuleId, class: ClassKey, peer: usize) {
        let Some(key) = self.peers.get(peer).map(|peer| peer.standing.record.key) else { return };
        if self.config.trust.golden_ppm > 0 {
            self.order(Order { module, class, to: Some((peer, key)), tries: 0 });
        }
    }

    fn order(&mut self, order: Order) {
        // There is nothing golden: no timer for nothing.
        if self.draining || !self.goldens.kept.contains_key(&(order.module, order.class)) {
            return;
        }
        let at = self.now.plus(1 + self.dice.below(WITHIN_MS) as u64);
        let number = self.goldens.next;
        self.goldens.next += 1;
        self.goldens.due.insert(number, order);
        self.timers.insert((at, Timer::Golden(number)));
    }

    /// A golden task's moment has come.
    pub(super) fn golden_due(&mut self, number: u64) {
        let Some(order) = self.goldens.due.remove(&number) else { return };
        let Order { module, class, to, tries } = order;
        let owner = match to {
            Some((peer, key)) if self.peers.is_free(peer, &key, &class) => {
                self.peers.get(peer).map(|peer| peer.standing.record.account)
            }
            Some(_) if tries < TRIES => return self.order(Order { tries: tries + 1, ..order }),
            Some(_) => return,
            None => None,
        };
        let Some((work, seen)) = self.pick_golden((module, class), owner) else { return };
        let mut excluded = seen.clone();
        excluded.push(work.client);
        excluded.sort_unstable();
        excluded.dedup();
        let peer = match to {
            Some((peer, _)) => Some(peer),
            None => self.peers.pick(&class, &excluded, &[], &mut self.dice),
        };
        let Some(peer) = peer else { return };
        let Some(owner) = self.peers.get(peer).map(|peer| peer.standing.record.account) else { return };
        let digest = work.digest;
        let Some(key) = self.rerun(&work, Why::Golden, seen) else { return };
        self.stats.goldens += 1;
        self.note_seen((module, class), digest, owner);
        self.give(key, peer, class, Role::Ordinary);
        self.time_task(key);
    }

    /// A random golden task that `owner` never saw and did not ask for, with those that did.
    fn pick_golden(&mut self, place: (ModuleId, ClassKey), owner: Option<AccountId>) -> Option<(Work, Vec<AccountId>)> {
        let kept = self.goldens.kept.get(&place)?;
        let from = self.dice.below(kept.len());
        let (before, after) = kept.split_at(from);
        let fits = |golden: &&Golden| owner.is_none_or(|o| !golden.seen.contains(&o) && golden.work.client != o);
        let golden = after.iter().chain(before).find(fits)?;
        Some((golden.work.clone(), golden.seen.clone()))
    }

    fn note_seen(&mut self, place: (ModuleId, ClassKey), digest: InputDigest, owner: AccountId) {
        let kept = self.goldens.kept.get_mut(&place);
        let golden = kept.and_then(|kept| kept.iter_mut().find(|golden| golden.work.digest == digest));
        if let Some(golden) = golden {
            golden.seen.push(owner);
        }
        let most = self.config.limits.golden_owners;
        self.goldens.drop_where(place, |golden| golden.seen.len() >= most);
    }

    /// Others came to another answer than the one that was confirmed before.
    pub(super) fn golden_refuted(&mut self, key: usize) {
        self.stats.goldens_refuted += 1;
        let Some((place, digest)) = self.tasks.get(key).and_then(|task| {
            let crate::task::Place::Class(class) = task.place else { return None };
            Some(((task.module, class), task.digest))
        }) else {
            return;
        };
        self.goldens.drop_where(place, |golden| golden.work.digest == digest);
    }
}
