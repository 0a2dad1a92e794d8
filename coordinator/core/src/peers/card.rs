//! What placement reads of a peer it looks at, in one dense array and apart from everything else: of many thousand peers hardly any
//! is in the cache, so what a look costs is the lines of memory it touches, and how many pages they lie scattered on.
//!
//! **Invariant:** a card says what its peer's link, standing, history and trust say; [`Peers`](super::Peers) brings it in line with
//! whatever changes one of them.

use std::net::{IpAddr, Ipv4Addr};

use p2c2r_signing::{AccountId, PublicKey};

use crate::io::Network;
use crate::predict::{Forecast, WorkId};

/// Works a card has room for. A peer of more kinds of work than that is slower to look at, and no worse off.
const SUITS: usize = 16;

/// One peer's. Four lines of the cache; a look reads the first and one of the others.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub(crate) struct Card {
    pub(crate) key: PublicKey,
    pub(crate) owner: AccountId,
    pub(crate) network: Network,
    /// Attempts it holds at once, and those it does.
    pub(crate) slots: u16,
    pub(crate) running: u16,
    /// Whether its last attempt ended without an outcome.
    pub(crate) lost_the_last: bool,
    /// Each in the place that its work's number says. Where two share a place, the one that was given last has it.
    suits: [Option<Suit>; SUITS],
}

/// How the peer does a work that it was given lately. 12 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Suit {
    pub(crate) work: WorkId,
    /// By its own past; `None` while there is too little of it.
    pub(crate) forecast: Option<Forecast>,
    /// The chance with which its next task of the kernel is checked.
    pub(crate) audit_ppm: u32,
}

impl Card {
    pub(crate) fn new(key: PublicKey, owner: AccountId) -> Self {
        let network = Network::of(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Self { key, owner, network, slots: 0, running: 0, lost_the_last: false, suits: [None; SUITS] }
    }

    /// How it does a work; `None` if the card does not say.
    pub(crate) fn suit(&self, work: WorkId) -> Option<&Suit> {
        self.suits.get(work.number() % SUITS)?.as_ref().filter(|suit| suit.work == work)
    }

    /// What is known of a work it is given.
    pub(crate) fn put(&mut self, suit: Suit) {
        if let Some(place) = self.suits.get_mut(suit.work.number() % SUITS) {
            *place = Some(suit);
        }
    }

    /// What is known of a work has changed.
    pub(crate) fn update(&mut self, suit: Suit) {
        if self.suit(suit.work).is_some() {
            self.put(suit);
        }
    }

    /// A work is not remembered any more.
    pub(crate) fn forget(&mut self, work: WorkId) {
        if self.suit(work).is_some()
            && let Some(place) = self.suits.get_mut(work.number() % SUITS)
        {
            *place = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use p2c2r_protocol::message::Path;
    use p2c2r_signing::{ModuleId, SecretKey};

    use super::*;
    use crate::limits::Limits;
    use crate::predict::Works;

    #[test]
    fn a_card_is_four_lines_of_the_cache() {
        assert!(std::mem::offset_of!(Card, suits) <= 64);
        assert_eq!(size_of::<Card>(), 256);
    }

    #[test]
    fn the_work_given_last_has_the_place() {
        let mut works = Works::default();
        let suits: Vec<_> = (0..=SUITS)
            .map(|size| works.ensure(ModuleId::from_bytes([1; 32]), Path::Cpu, 1 << size, &Limits::default()).unwrap())
            .map(|work| Suit { work, forecast: None, audit_ppm: 5 })
            .collect();
        let mut card = Card::new(SecretKey::from_seed(&[1; 32]).public(), AccountId::from_bytes([1; 16]));
        suits[..SUITS].iter().for_each(|&suit| card.put(suit));
        assert!(suits[..SUITS].iter().all(|suit| card.suit(suit.work) == Some(suit)));
        let (first, last) = (suits[0], suits[SUITS]);
        assert_eq!(card.suit(last.work), None, "another has its place");
        card.update(last);
        card.forget(last.work);
        assert_eq!(card.suit(first.work), Some(&first));
        card.put(last);
        assert_eq!((card.suit(first.work), card.suit(last.work)), (None, Some(&last)));
        card.update(Suit { audit_ppm: 6, ..last });
        assert_eq!(card.suit(last.work).map(|suit| suit.audit_ppm), Some(6));
        card.forget(last.work);
        assert_eq!(card.suit(last.work), None);
    }
}
