//! Counting votes. What counts is how many attempts cast the same vote, not in which order they came.

use p2c2r_signing::Vote;

/// The votes of one task. At most one per attempt, so at most a handful.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    needed: u8,
    /// Sorted by vote, so that equal counts are equal tallies.
    counts: Vec<(Vote, u8)>,
}

impl Tally {
    /// No votes yet; `needed` equal ones make a quorum.
    #[must_use]
    pub fn new(needed: u8) -> Self {
        Self { needed, counts: Vec::new() }
    }

    /// Asks for `more` equal votes than before.
    pub fn raise(&mut self, more: u8) {
        self.needed = self.needed.saturating_add(more);
    }

    /// Makes do with `fewer` equal votes than before; the vote that has enough now, if none speaks against it.
    pub fn waive(&mut self, fewer: u8) -> Option<Vote> {
        self.needed = self.needed.saturating_sub(fewer);
        match self.counts[..] {
            [(vote, count)] if count >= self.needed => Some(vote),
            _ => None,
        }
    }

    /// Counts a vote; true if it has a quorum now.
    pub fn cast(&mut self, vote: Vote) -> bool {
        let count = match self.counts.binary_search_by_key(&vote, |&(v, _)| v) {
            Ok(at) => {
                let count = &mut self.counts[at].1;
                *count = count.saturating_add(1);
                *count
            }
            Err(at) => {
                self.counts.insert(at, (vote, 1));
                1
            }
        };
        count >= self.needed
    }

    /// Votes still missing for a quorum if all that come agree with the most common one so far.
    #[must_use]
    pub fn missing(&self) -> u8 {
        let best = self.counts.iter().map(|&(_, count)| count).max().unwrap_or(0);
        self.needed.saturating_sub(best)
    }

    /// Whether two attempts cast different votes.
    #[must_use]
    pub fn disputed(&self) -> bool {
        self.counts.len() > 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vote(n: u8) -> Vote {
        Vote::from_bytes([n; 32])
    }

    fn winner(needed: u8, votes: &[u8]) -> (Option<u8>, Tally) {
        let mut tally = Tally::new(needed);
        let mut winner = None;
        for &v in votes {
            if tally.cast(vote(v)) {
                winner = winner.or(Some(v));
            }
        }
        (winner, tally)
    }

    #[test]
    fn a_liar_delays_and_does_not_win() {
        assert_eq!(winner(2, &[9, 1, 1]).0, Some(1));
        assert_eq!(winner(2, &[1, 9]).0, None);
        assert_eq!(winner(2, &[1, 9]).1.missing(), 1);
        assert_eq!(winner(1, &[9]).0, Some(9));
        assert_eq!(Tally::new(3).missing(), 3);
    }

    #[test]
    fn a_check_may_be_waived_if_nobody_disagrees() {
        let mut tally = Tally::new(1);
        tally.raise(1);
        assert_eq!(tally.clone().waive(1), None, "without a vote there is nothing to make do with");
        assert!(!tally.cast(vote(1)));
        assert_eq!(tally.clone().waive(1), Some(vote(1)));
        assert!(!tally.cast(vote(2)));
        assert_eq!(tally.waive(1), None);
    }

    proptest! {
        /// Any order of the same votes gives the same tally, and the same winner if only one vote has enough.
        #[test]
        fn order_does_not_matter(
            needed in 1u8..=5,
            (votes, shuffled) in prop::collection::vec(0u8..4, 0..9)
                .prop_flat_map(|v| (Just(v.clone()), Just(v).prop_shuffle())),
        ) {
            let (first, tally) = winner(needed, &votes);
            let (second, shuffled_tally) = winner(needed, &shuffled);
            prop_assert_eq!(&tally, &shuffled_tally);
            let enough: Vec<u8> =
                (0..4).filter(|v| votes.iter().filter(|w| *w == v).count() >= usize::from(needed)).collect();
            match enough[..] {
                [] => prop_assert_eq!((first, second), (None, None)),
                [only] => prop_assert_eq!((first, second), (Some(only), Some(only))),
                _ => {
                    prop_assert!(first.is_some_and(|w| enough.contains(&w)));
                    prop_assert!(second.is_some_and(|w| enough.contains(&w)));
                }
            }
            prop_assert_eq!(tally.missing() == 0, !enough.is_empty());
        }
    }
}
