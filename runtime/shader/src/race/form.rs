//! Indices as sums: what is known of a `u32` (or an `i32` that is not negative) without running anything.

use naga::{Handle, LocalVariable};

use crate::limits::{INVOCATIONS_PER_WORKGROUP, WORKGROUPS_PER_DIMENSION};

/// `group * workgroup_id.x + lane * local_invocation_index + symbol + something in low..=high`, never past `u32::MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) group: u64,
    pub(super) lane: u64,
    pub(super) symbol: Option<Symbol>,
    pub(super) low: u64,
    pub(super) high: u64,
}

/// What a local variable held between two assignments, where that is the same for all invocations of a workgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) local: Handle<LocalVariable>,
    pub(super) version: u32,
    pub(super) most: u64,
}

/// What a branch says about the invocations in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fact {
    /// `local_invocation_index` is below it.
    Below(Form),
    /// `local_invocation_index` is this.
    Lane(u64),
    /// `global_invocation_id.x` is this.
    Only(u64),
}

impl Form {
    pub(super) const UNKNOWN: Self = Self::range(0, u32::MAX as u64);

    pub(super) const fn range(low: u64, high: u64) -> Self {
        Self { group: 0, lane: 0, symbol: None, low, high }
    }

    pub(super) const fn exactly(value: u64) -> Self {
        Self::range(value, value)
    }

    pub(super) const fn lane() -> Self {
        Self { lane: 1, ..Self::exactly(0) }
    }

    pub(super) const fn group() -> Self {
        Self { group: 1, ..Self::exactly(0) }
    }

    /// `global_invocation_id.x` of workgroups of `size`.
    pub(super) const fn global(size: u64) -> Self {
        Self { group: size, lane: 1, ..Self::exactly(0) }
    }

    /// The largest value it can have.
    pub(super) fn most(&self) -> u64 {
        let parts = [
            self.group.saturating_mul(u64::from(WORKGROUPS_PER_DIMENSION) - 1),
            self.lane.saturating_mul(u64::from(INVOCATIONS_PER_WORKGROUP) - 1),
            self.symbol.map_or(0, |symbol| symbol.most),
            self.high,
        ];
        parts.into_iter().fold(0, u64::saturating_add)
    }

    pub(super) const fn constant(&self) -> Option<u64> {
        let plain = self.group == 0 && self.lane == 0 && self.symbol.is_none() && self.low == self.high;
        if plain { Some(self.low) } else { None }
    }

    /// Itself if it cannot wrap, `most` being what its type holds.
    pub(super) fn within(self, most: u64) -> Self {
        if self.most() <= most { self } else { Self::UNKNOWN }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        let symbol = match (self.symbol, other.symbol) {
            (Some(_), Some(_)) => return Self::UNKNOWN,
            (one, two) => one.or(two),
        };
        Self {
            group: self.group.saturating_add(other.group),
            lane: self.lane.saturating_add(other.lane),
            symbol,
            low: self.low.saturating_add(other.low),
            high: self.high.saturating_add(other.high),
        }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        match other.constant() {
            Some(less) if less <= self.low => Self { low: self.low - less, high: self.high - less, ..self },
            _ => Self::UNKNOWN,
        }
    }

    pub(super) fn times(self, factor: u64) -> Self {
        if self.symbol.is_some() && factor != 1 {
            return Self::UNKNOWN;
        }
        Self {
            group: self.group.saturating_mul(factor),
            lane: self.lane.saturating_mul(factor),
            symbol: self.symbol,
            low: self.low.saturating_mul(factor),
            high: self.high.saturating_mul(factor),
        }
    }
}

/// An index with what is known of the invocations that use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Use {
    /// `None` for a whole array or struct.
    pub(super) index: Option<Form>,
    pub(super) facts: Vec<Fact>,
}

impl Use {
    fn only(&self) -> Option<u64> {
        self.facts.iter().find_map(|fact| if let Fact::Only(it) = fact { Some(*it) } else { None })
    }

    fn one_lane(&self) -> Option<u64> {
        self.facts.iter().find_map(|fact| if let Fact::Lane(lane) = fact { Some(*lane) } else { None })
    }

    fn below(&self) -> impl Iterator<Item = &Form> {
        self.facts.iter().filter_map(|fact| if let Fact::Below(bound) = fact { Some(bound) } else { None })
    }

    /// The highest lane that can be here.
    fn last_lane(&self) -> u64 {
        let bounds = self.below().filter_map(Form::constant).map(|bound| bound.saturating_sub(1));
        bounds.chain(self.one_lane()).fold(u64::from(INVOCATIONS_PER_WORKGROUP) - 1, u64::min)
    }

    /// Whether different invocations of a dispatch along x never meet at one place, one using `self`, the other `other`.
    pub(super) fn apart_in_line(&self, other: &Self, invocations: u64) -> bool {
        if self.only().is_some() && self.only() == other.only() {
            return true;
        }
        let (Some(a), Some(b)) = (self.index, other.index) else { return false };
        if a.symbol.is_some() || b.symbol.is_some() || a.group != b.group || a.lane != b.lane {
            return false;
        }
        let spread = a.high.max(b.high) - a.low.min(b.low);
        let lanes = if self.one_lane().is_some() && self.one_lane() == other.one_lane() { 1 } else { invocations };
        // Mixed radix: lanes do not reach each other, and a group's lanes do not reach the next group's.
        let lanes_apart = lanes == 1 || a.lane > spread;
        lanes_apart && a.group > a.lane.saturating_mul(lanes - 1).saturating_add(spread)
    }

    /// Whether different invocations of a workgroup never meet at one place between two barriers.
    pub(super) fn apart_in_group(&self, other: &Self) -> bool {
        let same = |one: Option<u64>, two: Option<u64>| one.is_some() && one == two;
        if same(self.one_lane(), other.one_lane()) || same(self.only(), other.only()) {
            return true;
        }
        let (Some(a), Some(b)) = (self.index, other.index) else { return false };
        if a.group != b.group {
            return false;
        }
        if a.symbol == b.symbol {
            let spread = a.high.max(b.high) - a.low.min(b.low);
            let ends = |index: Form, by: &Self| index.high + index.lane * by.last_lane();
            if (a.lane == b.lane && a.lane > spread) || ends(a, self) < b.low || ends(b, other) < a.low {
                return true;
            }
        }
        self.stays_below(&b) || other.stays_below(&a)
    }

    /// The tree reduction: below `s` here, `s` and up there.
    fn stays_below(&self, there: &Form) -> bool {
        self.index == Some(Form { group: there.group, ..Form::lane() })
            && there.symbol.is_some()
            && self.below().any(|bound| *bound == Form { symbol: there.symbol, ..Form::exactly(0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(index: Form, facts: &[Fact]) -> Use {
        Use { index: Some(index), facts: facts.to_vec() }
    }

    #[test]
    fn own_indices_are_apart() {
        let own = Form::global(64);
        let check = |a: Form, b: Form| used(a, &[]).apart_in_line(&used(b, &[]), 64);
        assert!(check(own, own));
        assert!(check(own.times(4).plus(Form::exactly(3)), own.times(4)));
        assert!(check(own.times(4).plus(Form::range(0, 3)), own.times(4).plus(Form::range(0, 3))));
        assert!(!check(own.times(4).plus(Form::exactly(4)), own.times(4)));
        assert!(!check(own, own.plus(Form::exactly(1))));
        assert!(!check(own, own.times(2)));
        assert!(!check(Form::lane(), Form::lane()));
        assert!(!check(Form::group(), Form::group()));
        let first = used(Form::group(), &[Fact::Lane(0)]);
        assert!(first.apart_in_line(&first, 64));
        assert!(!first.apart_in_line(&used(Form::group(), &[Fact::Lane(1)]), 64));
    }

    #[test]
    fn what_could_wrap_is_unknown() {
        let most = u64::from(u32::MAX);
        assert_eq!(Form::global(256).times(256).within(most), Form::global(256).times(256));
        assert_eq!(Form::global(256).times(257).within(most), Form::UNKNOWN);
    }
}
