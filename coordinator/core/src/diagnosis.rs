//! Whether a kernel is at fault rather than the peers that ran it: pure rules over who disagreed with whom, and what was
//! taken from whom for it, so that it can be given back.
//!
//! A kernel (or the driver under it) that gives different results for the same input makes honest peers outvote each other.
//! Two things tell it from lies:
//!
//! * **The referee contradicts itself.** Whenever it decided a dispute it runs the task once more. Two votes of the
//!   operator's own machines for one input are proof, and nobody else can bring it about.
//! * **Too many owners dissent.** Of the *established* owners (those with a window of pay behind them) that were compared
//!   on the kernel in the last [`FAULT_WINDOW_MS`], at least [`TrustConfig::fault_owners`] and two of three were outvoted by
//!   others or had a part in a task that ended with as many answers as voters. An owner counts once, however often it is
//!   wrong. Cheats are outvoted too, so this is what a ring could try to feign: it has to *be* two of three of those compared.
//!   The worst moment is right after a restart, when owners are compared for the first time one after another and the ring's
//!   turn may come first by chance; the test below computes how likely that is: with 5, 10 and 20 % of the established owners at
//!   most 2e-8, 4e-6 and 7e-4. Whoever holds two of three owners wins every quorum anyway.
//!
//! Rarer faults need longer to show: each owner must have met one. Until then those outvoted are treated as liars; what that
//! cost them is remembered in `Penalties` and comes back with the diagnosis.

use std::collections::{BTreeMap, VecDeque};

use p2c2r_signing::{AccountId, ModuleId, PublicKey};

use crate::io::Millis;
use crate::trust::{Posterior, TrustConfig};

/// How long a comparison speaks for or against a kernel: a day, so that the one wrong bit in a year of every honest owner
/// never adds up, and a kernel that is run daily is judged by all its owners.
pub const FAULT_WINDOW_MS: u64 = 24 * 3_600_000;

/// What is known for and against one kernel.
#[derive(Debug, Default)]
pub(crate) struct Doubt {
    owners: BTreeMap<AccountId, Seen>,
}

/// An owner's last comparison on the kernel, and the last in which it dissented.
#[derive(Debug, Clone, Copy)]
struct Seen {
    compared: Millis,
    dissented: Option<Millis>,
}

/// Owners that dissented, of those compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dissent {
    pub(crate) dissenting: u32,
    pub(crate) of: u32,
}

impl Doubt {
    /// An established owner was compared with others. At most `most` owners are kept: newcomers wait until one of them was not
    /// compared for a whole window, so that nobody is pushed out by others.
    pub(crate) fn note(&mut self, owner: AccountId, dissents: bool, now: Millis, most: usize) {
        if self.owners.len() >= most && !self.owners.contains_key(&owner) {
            self.owners.retain(|_, seen| is_recent(seen.compared, now));
            if self.owners.len() >= most {
                return;
            }
        }
        let seen = self.owners.entry(owner).or_insert(Seen { compared: now, dissented: None });
        seen.compared = now;
        if dissents {
            seen.dissented = Some(now);
        }
    }

    /// What speaks for a fault of the kernel, if it is enough.
    pub(crate) fn verdict(&self, now: Millis, config: &TrustConfig) -> Option<Dissent> {
        let recent = self.owners.values().filter(|seen| is_recent(seen.compared, now));
        let (mut dissenting, mut of) = (0, 0);
        for seen in recent {
            of += 1;
            dissenting += u32::from(seen.dissented.is_some_and(|at| is_recent(at, now)));
        }
        is_fault(dissenting, of, config.fault_owners).then_some(Dissent { dissenting, of })
    }
}

/// The rule: enough of them, and two of three.
const fn is_fault(dissenting: u32, of: u32, fault_owners: u32) -> bool {
    dissenting >= fault_owners && dissenting as u64 * 3 >= of as u64 * 2
}

fn is_recent(at: Millis, now: Millis) -> bool {
    at.until(now) < FAULT_WINDOW_MS
}

/// What a wrong vote cost a peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Penalty {
    pub(crate) peer: PublicKey,
    pub(crate) owner: AccountId,
    /// How far it was trusted before.
    pub(crate) before: Posterior,
    /// Withheld pay the owner lost, nano-USD.
    pub(crate) lost: u128,
}

/// Penalties of the last [`FAULT_WINDOW_MS`], oldest first, and what is due to be given back of them.
#[derive(Debug, Default)]
pub(crate) struct Penalties {
    recent: VecDeque<(ModuleId, Millis, Penalty)>,
    due: VecDeque<(AccountId, u128)>,
}

impl Penalties {
    /// Remembers a penalty; the oldest goes past `most`.
    pub(crate) fn push(&mut self, module: ModuleId, penalty: Penalty, now: Millis, most: usize) {
        self.recent.push_back((module, now, penalty));
        while self.recent.len() > most || self.recent.front().is_some_and(|&(_, at, _)| !is_recent(at, now)) {
            self.recent.pop_front();
        }
    }

    /// The penalties for votes on a kernel that turned out to be at fault, newest first. What they took is due.
    pub(crate) fn lift(&mut self, module: ModuleId) -> Vec<Penalty> {
        let (lifted, rest): (VecDeque<_>, VecDeque<_>) = self.recent.drain(..).partition(|&(of, ..)| of == module);
        self.recent = rest;
        self.due.extend(lifted.iter().filter(|(_, _, p)| p.lost > 0).map(|(_, _, p)| (p.owner, p.lost)));
        lifted.into_iter().rev().map(|(_, _, penalty)| penalty).collect()
    }

    /// The next part of what is due that `budget` covers: all of one owner's, or what there is.
    pub(crate) fn pay(&mut self, budget: u128) -> Option<(AccountId, u128)> {
        let (owner, owed) = self.due.front_mut()?;
        let paid = (*owed).min(budget);
        *owed -= paid;
        let payment = (*owner, paid);
        if *owed == 0 {
            self.due.pop_front();
        }
        (paid > 0).then_some(payment)
    }

    /// Whether anything is still to be given back.
    pub(crate) fn owes(&self) -> bool {
        !self.due.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: ModuleId = ModuleId::from_bytes([1; 32]);

    fn owner(n: u32) -> AccountId {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_le_bytes());
        AccountId::from_bytes(bytes)
    }

    fn doubt(dissenting: u32, of: u32) -> Doubt {
        let mut doubt = Doubt::default();
        (0..of).for_each(|n| doubt.note(owner(n), n < dissenting, Millis(1), 1_000));
        doubt
    }

    #[test]
    fn enough_owners_and_two_of_three() {
        let check = |dissenting, of, fault: bool| {
            let found = doubt(dissenting, of).verdict(Millis(2), &TrustConfig::default());
            assert_eq!(found, fault.then_some(Dissent { dissenting, of }));
        };
        check(7, 7, false);
        check(8, 8, true);
        check(8, 12, true);
        check(8, 13, false);
        check(66, 100, false);
        check(67, 100, true);
    }

    #[test]
    fn an_owner_counts_once_and_a_day_long() {
        let config = TrustConfig::default();
        let mut doubt = Doubt::default();
        (0..1_000).for_each(|_| doubt.note(owner(1), true, Millis(1), 1_000));
        assert_eq!(doubt.verdict(Millis(2), &config), None);
        let mut doubt = self::doubt(8, 12);
        assert!(doubt.verdict(Millis(FAULT_WINDOW_MS), &config).is_some());
        (0..12).for_each(|n| doubt.note(owner(n), false, Millis(FAULT_WINDOW_MS), 1_000));
        assert_eq!(doubt.verdict(Millis(FAULT_WINDOW_MS + 1), &config), None, "what was wrong is long ago");
    }

    #[test]
    fn a_full_book_keeps_those_it_has_until_they_are_old() {
        let mut doubt = Doubt::default();
        (0..4).for_each(|n| doubt.note(owner(n), false, Millis(1), 4));
        doubt.note(owner(9), true, Millis(2), 4);
        assert!(!doubt.owners.contains_key(&owner(9)));
        doubt.note(owner(9), true, Millis(FAULT_WINDOW_MS + 1), 4);
        assert_eq!(doubt.owners.len(), 1);
    }

    /// The bound of the module's text: owners come one after another, a share `ring` of them dissents at once and for good.
    /// The chance that the rule is ever met, exactly.
    fn false_alarm(ring: f64) -> f64 {
        let fault_owners = TrustConfig::default().fault_owners;
        let mut chances = vec![1.0];
        let mut alarm = 0.0;
        for of in 1..=2_000u32 {
            let mut next = vec![0.0; chances.len() + 1];
            for (dissenting, chance) in (0u32..).zip(&chances) {
                next[dissenting as usize] += chance * (1.0 - ring);
                if is_fault(dissenting + 1, of, fault_owners) {
                    alarm += chance * ring;
                } else {
                    next[dissenting as usize + 1] += chance * ring;
                }
            }
            chances = next;
        }
        alarm
    }

    #[test]
    fn a_ring_feigns_a_fault_only_by_an_unlikely_order() {
        for (ring, most) in [(0.05, 2e-8), (0.1, 4e-6), (0.2, 7e-4)] {
            let alarm = false_alarm(ring);
            assert!(alarm > most / 4.0 && alarm <= most, "{ring}: {alarm}");
        }
    }

    #[test]
    fn penalties_come_back_as_far_as_there_is_money() {
        let penalty = |n, lost| {
            let peer = p2c2r_signing::SecretKey::from_seed(&[1; 32]).public();
            Penalty { peer, owner: owner(n), before: Posterior::new(&TrustConfig::default()), lost }
        };
        let mut penalties = Penalties::default();
        for (n, lost) in [(1, 10), (2, 0), (3, 5)] {
            penalties.push(MODULE, penalty(n, lost), Millis(1), 10);
        }
        penalties.push(ModuleId::from_bytes([2; 32]), penalty(4, 99), Millis(1), 10);
        let lifted: Vec<_> = penalties.lift(MODULE).iter().map(|p| p.owner).collect();
        assert_eq!(lifted, [owner(3), owner(2), owner(1)]);
        assert_eq!(penalties.pay(4), Some((owner(1), 4)));
        assert_eq!(penalties.pay(0), None);
        assert_eq!((penalties.pay(100), penalties.pay(94)), (Some((owner(1), 6)), Some((owner(3), 5))));
        assert!(!penalties.owes() && penalties.lift(MODULE).is_empty());
        assert_eq!(penalties.recent.len(), 1, "another kernel's stay");
        penalties.push(MODULE, penalty(5, 1), Millis(1 + FAULT_WINDOW_MS), 10);
        assert_eq!(penalties.recent.len(), 1, "old ones do not");
    }
}
