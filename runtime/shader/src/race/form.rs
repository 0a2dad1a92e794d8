//! Indices as sums: what is known of a `u32` (or an `i32` that is not negative) without running anything.

use naga::{Handle, LocalVariable};

use super::scale::{Scale, Sides, Width};
use crate::limits::{GRID_INVOCATIONS, WORKGROUPS_PER_DIMENSION};

/// Places of [`Form::terms`]: `workgroup_id`, by axis;
pub(super) const GROUP: usize = 0;
/// `local_invocation_id`, by axis;
pub(super) const LOCAL: usize = 3;
/// how often a loop that strides has gone round, or a number that a local variable holds;
pub(super) const TURN: usize = 6;
/// and 1.
pub(super) const ONE: usize = 7;

/// A scale of each of the terms, a symbol, and something in `low..=high`, all added up: it never wraps, and is at most `most`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) terms: [Scale; 8],
    pub(super) symbol: Option<Symbol>,
    /// Whose turns they are.
    pub(super) stride: Option<Symbol>,
    /// The most that they come to.
    pub(super) turned: u64,
    pub(super) low: u64,
    pub(super) high: u64,
    pub(super) most: u64,
}

/// What a local variable held between two assignments. As [`Form::symbol`] it is the same for all invocations of a workgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) local: Handle<LocalVariable>,
    pub(super) version: u32,
    pub(super) most: u64,
}

/// What a branch says about the invocations in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fact {
    /// The first is below the second.
    Below(Form, Form),
    /// It is this constant.
    Is(Form, Form),
}

impl Form {
    pub(super) const UNKNOWN: Self = Self::range(0, u32::MAX as u64);

    pub(super) const fn range(low: u64, high: u64) -> Self {
        Self { terms: [Scale::NONE; 8], symbol: None, stride: None, turned: 0, low, high, most: high }
    }

    pub(super) const fn exactly(value: u64) -> Self {
        Self::range(value, value)
    }

    fn term(place: usize, scale: Scale, most: u64) -> Self {
        let mut form = Self::exactly(0);
        form.terms[place] = scale;
        Self { most, ..form }
    }

    /// `workgroup_id` along `axis`.
    pub(super) fn group(axis: usize) -> Self {
        Self::term(GROUP + axis, Scale::number(1), u64::from(WORKGROUPS_PER_DIMENSION) - 1)
    }

    /// `local_invocation_id` along `axis`; zero has no term.
    pub(super) fn local(axis: usize, sides: Sides) -> Self {
        match sides.along(axis) {
            1 => Self::exactly(0),
            side => Self::term(LOCAL + axis, Scale::number(1), side - 1),
        }
    }

    /// `global_invocation_id` along `axis`.
    pub(super) fn global(axis: usize, sides: Sides) -> Self {
        Self::group(axis).times(Scale::number(sides.along(axis)), sides).plus(Self::local(axis, sides))
    }

    /// `local_invocation_index`.
    pub(super) fn lane(sides: Sides) -> Self {
        let row = Self::local(0, sides);
        let plane = row.plus(Self::local(1, sides).times(Scale::number(sides.along(0)), sides));
        plane.plus(Self::local(2, sides).times(Scale::number(sides.along(0) * sides.along(1)), sides))
    }

    /// A value that is the same in the whole dispatch.
    pub(super) fn width(width: Width) -> Self {
        let scale = Scale::from(width);
        Self::term(ONE, scale, scale.most())
    }

    /// `symbol` alone.
    pub(super) const fn symbol(symbol: Symbol) -> Self {
        let most = symbol.most;
        Self { symbol: Some(symbol), most, ..Self::exactly(0) }
    }

    /// A number of which nothing more is known than which it is.
    pub(super) fn turns(symbol: Symbol) -> Self {
        Self { stride: Some(symbol), turned: symbol.most, ..Self::term(TURN, Scale::number(1), symbol.most) }
    }

    pub(super) fn constant(&self) -> Option<u64> {
        (self.is_value() && self.symbol.is_none() && self.terms == [Scale::NONE; 8]).then_some(self.low)
    }

    /// Itself as a factor, if it is the same in the whole dispatch.
    pub(super) fn scale(&self) -> Option<Scale> {
        if let Some(number) = self.constant() {
            return Some(Scale::number(number));
        }
        self.is(&Self::term(ONE, self.terms[ONE], 0)).then_some(self.terms[ONE])
    }

    /// Whether two of the same shape are the same number: nothing in them is only bounded.
    fn is_value(&self) -> bool {
        self.low == self.high
    }

    /// Whether both are the same number in one invocation, whatever else is known of either.
    pub(super) fn is(&self, other: &Self) -> bool {
        // Not by copies: it is asked for every fact and pair.
        let sums = self.terms == other.terms && (self.low, self.high) == (other.low, other.high);
        sums && self.is_value() && (self.symbol, self.stride) == (other.symbol, other.stride)
    }

    /// With what `facts` say of how large it can be.
    pub(super) fn given(mut self, facts: &[Fact]) -> Self {
        for fact in facts {
            let Fact::Below(below, bound) = fact else { continue };
            if self.is(below) {
                self.most = self.most.min(bound.most.saturating_sub(1));
                self.turned = self.turned.min(self.most);
            }
        }
        self
    }

    pub(super) fn at_most(self, most: u64) -> Self {
        Self { most: self.most.min(most), ..self }
    }

    /// Itself if it cannot wrap, `most` being what its type holds.
    pub(super) fn within(self, most: u64, sides: Sides) -> Self {
        let bounded = Self { most: self.most.min(self.most_of_terms(sides)), ..self };
        if bounded.most <= most { bounded } else { Self::UNKNOWN }
    }

    /// What the terms can come to. A dispatch along more than one axis has at most [`GRID_INVOCATIONS`], and one along x less.
    fn most_of_terms(&self, sides: Sides) -> u64 {
        let groups = u64::from(GRID_INVOCATIONS) / sides.invocations();
        let terms = self.terms.iter().enumerate().map(|(place, scale)| {
            if scale.is_none() {
                return 0;
            }
            if place == TURN {
                return self.turned;
            }
            let most = match place {
                ONE => 1,
                LOCAL.. => sides.along(place - LOCAL) - 1,
                _ => u64::from(WORKGROUPS_PER_DIMENSION) - 1,
            };
            let plain = scale.most().saturating_mul(most);
            let grid = match place {
                LOCAL.. => scale.of_groups(None).map(|number| number.saturating_mul(most)),
                axis => scale.of_groups(Some(axis)),
            };
            plain.min(grid.map_or(u64::MAX, |number| number.saturating_mul(groups)))
        });
        let rest = self.symbol.map_or(0, |symbol| symbol.most).saturating_add(self.high);
        terms.fold(rest, u64::saturating_add)
    }

    /// Less exact: turns as something that is only bounded.
    pub(super) fn without_turns(mut self) -> Self {
        self.terms[TURN] = Scale::NONE;
        Self { stride: None, turned: 0, high: self.high.saturating_add(self.turned), ..self }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        let symbol = match (self.symbol, other.symbol) {
            (Some(_), Some(_)) => return Self::UNKNOWN,
            (one, two) => one.or(two),
        };
        let stride = match (self.stride, other.stride) {
            (Some(one), Some(two)) if one != two => {
                return self.plus(other.without_turns());
            }
            (one, two) => one.or(two),
        };
        let mut terms = self.terms;
        for (term, other) in terms.iter_mut().zip(other.terms) {
            let Some(sum) = term.plus(other) else { return Self::UNKNOWN };
            *term = sum;
        }
        Self {
            terms,
            symbol,
            stride,
            turned: self.turned.saturating_add(other.turned),
            low: self.low.saturating_add(other.low),
            high: self.high.saturating_add(other.high),
            most: self.most.saturating_add(other.most),
        }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        match other.constant() {
            Some(less) if less <= self.low => {
                Self { low: self.low - less, high: self.high - less, most: self.most.saturating_sub(less), ..self }
            }
            _ => Self::UNKNOWN,
        }
    }

    pub(super) fn times(self, factor: Scale, sides: Sides) -> Self {
        let number = factor.plain();
        if self.symbol.is_some() && number != Some(1) {
            return Self::UNKNOWN;
        }
        let mut form = self;
        match number {
            Some(number) => {
                form.low = self.low.saturating_mul(number);
                form.high = self.high.saturating_mul(number);
            }
            // A constant becomes a multiple of what is not known; a range cannot.
            None if self.is_value() => {
                let Some(ones) = form.terms[ONE].plus(Scale::number(self.low)) else { return Self::UNKNOWN };
                form.terms[ONE] = ones;
                (form.low, form.high) = (0, 0);
            }
            None => return Self::UNKNOWN,
        }
        for term in &mut form.terms {
            let Some(product) = term.times(factor) else { return Self::UNKNOWN };
            *term = product;
        }
        form.turned = self.turned.saturating_mul(factor.most());
        form.most = self.most.saturating_mul(factor.most());
        form.most = form.most.min(form.most_of_terms(sides));
        form
    }
}
