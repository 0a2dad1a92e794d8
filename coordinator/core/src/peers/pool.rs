//! Who could run an attempt now: per result class, the owners with a peer that has a free slot.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use p2c2r_protocol::limits::REPLICAS;
use p2c2r_protocol::message::Path;
use p2c2r_signing::{AccountId, ClassId};
use slab::Slab;

use super::bag::Bag;
use crate::dice::Dice;

/// Tries at a random peer that suits, before making do with another one or walking on from the last owner: with at most
/// a handful excluded, a walk is only needed where owners are as few. Where half of all peers are in the wrong network, 8
/// tries miss in one of 256.
const TRIES: usize = 8;

/// Free owners of a class that are counted to rank it: as many as a task can want, and its client.
const FREE_COUNTED: usize = REPLICAS as usize + 1;

/// A class as a path offers it. The path is part of the key, so that a class offered under the wrong path is a class
/// of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClassKey {
    pub(crate) path: Path,
    pub(crate) class: ClassId,
}

/// What a peer is to the classes it offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Offline, paused, suspended or cooling down.
    Absent,
    /// Would work, but has no free slot.
    Busy,
    /// Has a free slot.
    Free,
}

/// A peer as the pool knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) owner: AccountId,
    pub(crate) peer: usize,
    /// Attempts it holds at once; the same from its coming to its going.
    pub(crate) slots: usize,
}

/// All classes with a peer online.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    classes: BTreeMap<ClassKey, Class>,
    /// Classes by path, most owners first.
    ranking: Ranking,
    /// Classes with a free owner by path, most of them first; of more than [`FREE_COUNTED`] all are alike.
    ranking_free: Ranking,
    /// Attempts all peers of a path hold at once that are not absent, busy ones too.
    slots: BTreeMap<Path, usize>,
}

type Ranking = BTreeSet<(Path, Reverse<usize>, ClassId)>;

/// A pick walks no tree, and of most owners it reads one entry of [`Class::free`]: with many peers, every step of a tree and every
/// further place in memory is a miss of the cache. Whose a peer is, it reads where placement looks anyway.
#[derive(Debug, Default)]
struct Class {
    by_account: BTreeMap<AccountId, usize>,
    owners: Slab<Owner>,
    /// Of each owner with a free peer, in no order.
    free: Vec<Free>,
    /// Who those are, in the same order: their places in `owners`.
    free_owners: Vec<usize>,
}

/// What a pick needs of an owner, in 8 bytes: so of tens of thousands all may stay in the cache. There are fewer than 2^32 of both.
#[derive(Debug, Clone, Copy)]
enum Free {
    /// Its only free peer.
    Peer(u32),
    /// The owner, in [`Class::owners`], who has several.
    Owner(u32),
}

#[derive(Debug)]
struct Owner {
    account: AccountId,
    /// Peers not absent.
    present: usize,
    free: Bag<usize>,
    /// Where it is in [`Class::free`], if it is.
    free_at: Option<usize>,
}

impl Pool {
    /// Moves a peer from one readiness to another in one class.
    pub(crate) fn shift(&mut self, key: ClassKey, member: Member, from: Readiness, to: Readiness) {
        let Member { owner, peer, slots } = member;
        if from == to {
            return;
        }
        let class = self.classes.entry(key).or_default();
        let (owners_before, free_before) = (class.owners.len(), class.free_counted());
        let at = class.ensure(owner);
        let Some(entry) = class.owners.get_mut(at) else { return };
        match (from, to) {
            (Readiness::Absent, _) => {
                entry.present += 1;
                *self.slots.entry(key.path).or_default() += slots;
            }
            (_, Readiness::Absent) => {
                entry.present = entry.present.saturating_sub(1);
                let all = self.slots.entry(key.path).or_default();
                *all = all.saturating_sub(slots);
            }
            (Readiness::Busy | Readiness::Free, Readiness::Busy | Readiness::Free) => {}
        }
        if to == Readiness::Free {
            entry.free.insert(peer);
        } else {
            entry.free.remove(&peer);
        }
        class.update(at);
        let (owners, free) = (class.owners.len(), class.free_counted());
        rank(&mut self.ranking, key, owners_before, owners);
        rank(&mut self.ranking_free, key, free_before, free);
        if owners == 0 {
            self.classes.remove(&key);
        }
    }

    /// Classes with a peer.
    pub(crate) fn class_count(&self) -> usize {
        self.classes.len()
    }

    pub(crate) fn contains(&self, key: &ClassKey) -> bool {
        self.classes.contains_key(key)
    }

    /// The classes of a path, those with the most owners first, with their numbers of owners.
    pub(crate) fn ranked(&self, path: Path) -> impl Iterator<Item = (ClassKey, usize)> + '_ {
        of_path(&self.ranking, path)
    }

    /// The classes of a path with a free owner, those with the most first, as far as that matters to a task.
    pub(crate) fn freest(&self, path: Path) -> impl Iterator<Item = ClassKey> + '_ {
        of_path(&self.ranking_free, path).map(|(class, _)| class)
    }

    /// Whether so many owners have a free peer in a class, not counting `client`. Which owners those are is only looked up where it
    /// matters.
    pub(crate) fn has_free_owners(&self, key: &ClassKey, client: AccountId, wanted: usize) -> bool {
        self.classes.get(key).is_some_and(|class| {
            let own = || class.by_account.get(&client).and_then(|&at| class.owners.get(at));
            class.free.len() > wanted || class.free.len() == wanted && own().is_none_or(|own| own.free_at.is_none())
        })
    }

    /// Attempts all peers of a path hold at once, whatever their classes.
    pub(crate) fn slots(&self, path: Path) -> usize {
        self.slots.get(&path).copied().unwrap_or_default()
    }

    /// A free peer each of up to `most` free owners other than `client`: all there are, or a random stretch of them.
    pub(crate) fn some_free(&self, key: &ClassKey, client: AccountId, most: usize, dice: &mut Dice) -> Vec<usize> {
        let Some(class) = self.classes.get(key) else { return Vec::new() };
        let from = dice.below(class.free.len());
        let owners = (from..from + class.free.len()).filter(|&at| class.free_account(at) != Some(client)).take(most);
        owners.filter_map(|at| class.free_peer(class.free(at)?, dice)).collect()
    }

    /// Whether an owner has peers of a class, busy or not.
    pub(crate) fn has_owner(&self, key: &ClassKey, owner: AccountId) -> bool {
        self.classes.get(key).is_some_and(|class| class.by_account.contains_key(&owner))
    }

    /// Whether an owner outside `excluded` (each listed once) offers the class at all, busy or not.
    pub(crate) fn has_other_owner(&self, key: &ClassKey, excluded: &[AccountId]) -> bool {
        self.classes.get(key).is_some_and(|class| {
            let known = excluded.iter().filter(|owner| class.by_account.contains_key(owner)).count();
            class.owners.len() > known
        })
    }

    /// A random free peer of a random owner outside `excluded` (each listed once); `owner_of` tells whose a peer is. Every free
    /// owner is as likely as any other, however many peers it has. A peer that `suits` is preferred to one that does not; the
    /// latter is taken if none was met in [`TRIES`].
    pub(crate) fn pick(
        &self,
        key: &ClassKey,
        excluded: &[AccountId],
        owner_of: impl Fn(usize) -> Option<AccountId>,
        suits: impl Fn(usize) -> bool,
        dice: &mut Dice,
    ) -> Option<usize> {
        let class = self.classes.get(key)?;
        if class.free.is_empty() {
            return None;
        }
        let other = |at: usize| {
            let free = class.free(at)?;
            let account = match free {
                Free::Peer(peer) => owner_of(usize::try_from(peer).ok()?)?,
                Free::Owner(_) => class.free_account(at)?,
            };
            (!excluded.contains(&account)).then_some(free)
        };
        let mut at = 0;
        let mut second_best = None;
        for _ in 0..TRIES {
            at = dice.below(class.free.len());
            let Some(peer) = other(at).and_then(|free| class.free_peer(free, dice)) else { continue };
            if suits(peer) {
                return Some(peer);
            }
            second_best = second_best.or(Some(peer));
        }
        second_best.or_else(|| {
            let mut steps = 1..=class.free.len().min(excluded.len() + 1);
            class.free_peer(steps.find_map(|step| other(at + step))?, dice)
        })
    }
}

fn rank(ranking: &mut Ranking, ClassKey { path, class }: ClassKey, before: usize, now: usize) {
    if before != now {
        ranking.remove(&(path, Reverse(before), class));
        if now > 0 {
            ranking.insert((path, Reverse(now), class));
        }
    }
}

fn of_path(ranking: &Ranking, path: Path) -> impl Iterator<Item = (ClassKey, usize)> + '_ {
    let from = (path, Reverse(usize::MAX), ClassId::from_bytes([0; 32]));
    let of_path = ranking.range(from..).take_while(move |(p, ..)| *p == path);
    of_path.map(move |&(_, Reverse(count), class)| (ClassKey { path, class }, count))
}

impl Class {
    /// Owners with a free peer, as far as they are counted.
    fn free_counted(&self) -> usize {
        self.free.len().min(FREE_COUNTED)
    }

    fn ensure(&mut self, account: AccountId) -> usize {
        *self
            .by_account
            .entry(account)
            .or_insert_with(|| self.owners.insert(Owner { account, present: 0, free: Bag::default(), free_at: None }))
    }

    /// Puts an owner where its peers say: among the free, or not, or nowhere.
    fn update(&mut self, at: usize) {
        let Some(owner) = self.owners.get_mut(at) else { return };
        let number = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
        let now = owner.free.pick(0).map(|peer| match owner.free.len() {
            1 => Free::Peer(number(peer)),
            _ => Free::Owner(number(at)),
        });
        match (owner.free_at, now) {
            (None, Some(now)) => {
                owner.free_at = Some(self.free.len());
                self.free.push(now);
                self.free_owners.push(at);
            }
            (Some(was), Some(now)) => {
                if let Some(entry) = self.free.get_mut(was) {
                    *entry = now;
                }
            }
            (Some(was), None) => {
                owner.free_at = None;
                self.free.swap_remove(was);
                self.free_owners.swap_remove(was);
                if let Some(moved) = self.free_owners.get(was).and_then(|&moved| self.owners.get_mut(moved)) {
                    moved.free_at = Some(was);
                }
            }
            (None, None) => {}
        }
        if let Some(Owner { account, present: 0, .. }) = self.owners.get(at) {
            self.by_account.remove(account);
            self.owners.remove(at);
        }
    }

    /// What is free at a position; positions wrap around.
    fn free(&self, at: usize) -> Option<Free> {
        self.free.get(at % self.free.len().max(1)).copied()
    }

    /// Whose that is.
    fn free_account(&self, at: usize) -> Option<AccountId> {
        let owner = self.free_owners.get(at % self.free_owners.len().max(1))?;
        self.owners.get(*owner).map(|owner| owner.account)
    }

    fn free_peer(&self, free: Free, dice: &mut Dice) -> Option<usize> {
        match free {
            Free::Peer(peer) => usize::try_from(peer).ok(),
            Free::Owner(owner) => {
                let free = &self.owners.get(usize::try_from(owner).ok()?)?.free;
                free.pick(dice.below(free.len()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: ClassKey = ClassKey { path: Path::Cpu, class: ClassId::from_bytes([1; 32]) };

    fn owner(n: u8) -> AccountId {
        AccountId::from_bytes([n; 16])
    }

    /// Of [`pool`]'s peers.
    fn owner_of(peer: usize) -> Option<AccountId> {
        Some(owner(u8::try_from(peer / 10).unwrap()))
    }

    fn member(o: u8, peer: usize) -> Member {
        Member { owner: owner(o), peer, slots: 3 }
    }

    /// Owners 1..=n; owner o has peers 10 * o and 10 * o + 1, all free.
    fn pool(owners: u8) -> Pool {
        let mut pool = Pool::default();
        for o in 1..=owners {
            for p in 0..2 {
                pool.shift(KEY, member(o, 10 * usize::from(o) + p), Readiness::Absent, Readiness::Free);
            }
        }
        pool
    }

    #[test]
    fn picks_reach_every_peer_and_no_excluded_owner() {
        let (pool, mut dice) = (pool(4), Dice::new([7; 32]));
        let picks: BTreeSet<usize> =
            (0..400).filter_map(|_| pool.pick(&KEY, &[owner(2), owner(3)], owner_of, |_| true, &mut dice)).collect();
        assert_eq!(picks.into_iter().collect::<Vec<_>>(), [10, 11, 40, 41]);
        let all: Vec<_> = (1..=4).map(owner).collect();
        assert_eq!(pool.pick(&KEY, &all, owner_of, |_| true, &mut dice), None);
        assert!(!pool.has_other_owner(&KEY, &all) && pool.has_other_owner(&KEY, &all[1..]));
    }

    #[test]
    fn another_network_is_preferred_and_not_required() {
        let (pool, mut dice) = (pool(40), Dice::new([7; 32]));
        let elsewhere =
            (0..400).filter(|_| pool.pick(&KEY, &[], owner_of, |peer| peer >= 200, &mut dice) >= Some(200)).count();
        assert!(elsewhere > 380, "{elsewhere} of 400");
        assert!(pool.pick(&KEY, &[], owner_of, |_| false, &mut dice).is_some());
    }

    #[test]
    fn one_free_owner_among_many_is_found() {
        let mut pool = pool(9);
        for o in 1..=8 {
            pool.shift(KEY, member(o, usize::from(10 * o)), Readiness::Free, Readiness::Busy);
        }
        let excluded: Vec<_> = (1..=8).map(owner).collect();
        for seed in 0..50 {
            assert!(pool.pick(&KEY, &excluded, owner_of, |_| true, &mut Dice::new([seed; 32])).is_some());
        }
    }

    #[test]
    fn a_look_at_some_free_owners_shows_each_once() {
        let pool = pool(4);
        for seed in 0..20 {
            let of = |peer: usize| u8::try_from(peer / 10).unwrap();
            let seen = |client, most| {
                let peers = pool.some_free(&KEY, owner(client), most, &mut Dice::new([seed; 32]));
                peers.into_iter().map(of).collect::<BTreeSet<u8>>()
            };
            assert_eq!(seen(9, 8), BTreeSet::from([1, 2, 3, 4]));
            assert_eq!(seen(2, 8), BTreeSet::from([1, 3, 4]));
            assert_eq!(seen(2, 2).len(), 2);
        }
    }

    #[test]
    fn classes_come_and_go_with_their_peers() {
        let mut pool = pool(2);
        let other = ClassKey { class: ClassId::from_bytes([2; 32]), ..KEY };
        pool.shift(other, member(1, 10), Readiness::Absent, Readiness::Busy);
        assert_eq!(pool.ranked(Path::Cpu).collect::<Vec<_>>(), [(KEY, 2), (other, 1)]);
        let free = |key, client, wanted| pool.has_free_owners(key, owner(client), wanted);
        assert!(free(&KEY, 9, 2) && !free(&KEY, 9, 3) && !free(&other, 9, 1) && free(&other, 9, 0));
        assert!(free(&KEY, 1, 1) && !free(&KEY, 1, 2), "a client is no peer of its own");
        assert_eq!(pool.ranked(Path::Gpu).count(), 0);
        assert_eq!(pool.slots(Path::Cpu), 15, "busy ones too, and of every class");
        assert_eq!(pool.freest(Path::Cpu).collect::<Vec<_>>(), [KEY]);
        pool.shift(other, member(1, 10), Readiness::Busy, Readiness::Free);
        for (o, p) in [(1, 10), (1, 11), (2, 20), (2, 21)] {
            pool.shift(KEY, member(o, p), Readiness::Free, Readiness::Busy);
        }
        assert_eq!(pool.freest(Path::Cpu).collect::<Vec<_>>(), [other], "however few owners it has");
        pool.shift(other, member(1, 10), Readiness::Free, Readiness::Absent);
        for (o, p) in [(1, 10), (1, 11), (2, 20), (2, 21)] {
            pool.shift(KEY, member(o, p), Readiness::Busy, Readiness::Absent);
        }
        assert_eq!((pool.slots(Path::Cpu), pool.freest(Path::Cpu).count()), (0, 0));
        assert_eq!((pool.class_count(), pool.ranked(Path::Cpu).count()), (0, 0));
    }
}
