//! Whether invocations meet: places as numbers in a mixed radix, whose digits say which invocation it is.

use super::form::{Fact, Form, GROUP, LOCAL, ONE, TURN};
use super::scale::{Scale, Sides, Width};
use crate::limits::WORKGROUPS_PER_DIMENSION;

/// An index with what is known of the invocations that use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Use {
    /// `None` for a whole array or struct.
    pub(super) index: Option<Form>,
    pub(super) facts: Vec<Fact>,
}

/// Whose places are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Among {
    /// Invocations of one workgroup.
    Workgroup,
    /// Those of a dispatch along the first so many axes.
    Axes(usize),
}

/// A part of an index that tells invocations from each other.
#[derive(Debug, Clone)]
struct Digit {
    scale: Scale,
    /// How many values it has.
    count: u64,
    /// The same, as products of a number and a width.
    counts: Vec<Scale>,
}

impl Use {
    fn is(&self, form: Form) -> Option<u64> {
        self.facts.iter().find_map(|fact| match fact {
            Fact::Is(of, value) if of.is(&form) => value.constant(),
            _ => None,
        })
    }

    fn below(&self, form: Form) -> impl Iterator<Item = &Form> {
        self.facts.iter().filter_map(move |fact| match fact {
            Fact::Below(of, bound) if of.is(&form) => Some(bound),
            _ => None,
        })
    }

    /// How many values `form` can have here, `count` being what it has anywhere.
    fn count(&self, form: Form, count: u64) -> u64 {
        self.below(form).map(|bound| bound.most).fold(count, u64::min)
    }

    /// Whether different invocations never meet at one place, one using `self`, the other `other`.
    pub(super) fn apart(&self, other: &Self, among: Among, sides: Sides) -> bool {
        // With nothing to tell there is one invocation that can be at both.
        if self.digits(other, Form::exactly(0), among, sides).is_some() {
            return true;
        }
        let (Some(a), Some(b)) = (self.index, other.index) else { return false };
        if among == Among::Workgroup {
            let parts = self.ends_before(&b, sides) || other.ends_before(&a, sides);
            if parts || self.stays_below(&b, sides) || other.stays_below(&a, sides) {
                return true;
            }
        } else if a.symbol.is_some() {
            return false;
        }
        self.tells(other, [a, b], among, sides)
            || self.tells(other, [a.without_turns(), b.without_turns()], among, sides)
    }

    /// Whether equal indices mean that the invocation at `self` is the one at `other`.
    fn tells(&self, other: &Self, [a, b]: [Form; 2], among: Among, sides: Sides) -> bool {
        let turn = if a.terms[TURN].is_none() { b.terms[TURN] } else { a.terms[TURN] };
        let turning = |form: Form| {
            let mut terms = form.terms;
            if terms[TURN].is_none() {
                terms[TURN] = turn;
            }
            terms
        };
        if turning(a) != turning(b) || a.symbol != b.symbol {
            return false;
        }
        let Some(mut digits) = self.digits(other, a, among, sides) else { return false };
        if !turn.is_none() {
            let step = turn.plain().filter(|step| *step > 0);
            let count = step.map_or(u64::MAX, |step| (a.turned.max(b.turned) / step).saturating_add(1));
            digits.push(Digit { scale: turn, count, counts: Vec::new() });
        }
        are_told(&mut digits, a.high.max(b.high) - a.low.min(b.low))
    }

    /// What must be told of an invocation at `self` to know whether it is the one at `other`; `None` if the index, of which
    /// both have the terms, cannot tell.
    fn digits(&self, other: &Self, index: Form, among: Among, sides: Sides) -> Option<Vec<Digit>> {
        let same = |form| self.is(form).is_some_and(|value| other.is(form) == Some(value));
        let lane = same(Form::lane(sides));
        let mut digits = Vec::new();
        for axis in 0..3 {
            let (global, group, local) = (Form::global(axis, sides), Form::group(axis), Form::local(axis, sides));
            let side = sides.along(axis);
            let known = same(global);
            let groups = matches!(among, Among::Axes(axes) if axis < axes) && !known && !same(group);
            let locals = side > 1 && !known && !lane && !same(local);
            let (by_group, by_local) = (index.terms[GROUP + axis], index.terms[LOCAL + axis]);
            let digit = |form: Form, scale: Scale, count: u64, whole: Option<u64>| {
                let mut counts: Vec<Scale> = self
                    .below(form)
                    .filter_map(Form::scale)
                    .filter(|count| other.below(form).any(|bound| bound.scale() == Some(*count)))
                    .collect();
                counts.extend(whole.and_then(|side| Scale::from(Width::Groups(axis as u8)).times(Scale::number(side))));
                Digit { scale, count: self.count(form, count).max(other.count(form, count)), counts }
            };
            let most = u64::from(WORKGROUPS_PER_DIMENSION);
            if groups && locals && Some(by_group) == by_local.times(Scale::number(side)) {
                digits.push(digit(global, by_local, most * side, Some(side)));
                continue;
            }
            if groups {
                digits.push(digit(group, by_group, most, Some(1)));
            }
            if locals {
                digits.push(digit(local, by_local, side, None));
            }
        }
        digits.iter().all(|digit| !digit.scale.is_none()).then_some(digits)
    }

    /// Whether everybody here is at a lower place than `there`. The rest of both indices is the same for a workgroup.
    fn ends_before(&self, there: &Form, sides: Sides) -> bool {
        let (Some(here), there) = (self.index.map(Form::without_turns), there.without_turns()) else { return false };
        let rest = |form: &Form| (form.symbol, form.terms[ONE], groups(form));
        if rest(&here) != rest(&there) {
            return false;
        }
        let lane = Form::lane(sides);
        let by = here.terms[LOCAL];
        let spread = if !by.is_none() && lane.times(by, sides).terms == locals(&here) {
            let last = self.count(lane, sides.invocations()).saturating_sub(1);
            by.plain().map(|by| by.saturating_mul(self.is(lane).unwrap_or(last)))
        } else {
            (0..3).try_fold(0u64, |sum, axis| {
                let by = here.terms[LOCAL + axis].plain()?;
                Some(sum.saturating_add(by.saturating_mul(sides.along(axis).saturating_sub(1))))
            })
        };
        spread.is_some_and(|spread| here.high.saturating_add(spread) < there.low)
    }

    /// The tree reduction: below `s` here, `s` and up there.
    fn stays_below(&self, there: &Form, sides: Sides) -> bool {
        let Some(here) = self.index else { return false };
        let lane = Form::lane(sides);
        let mut group = here;
        group.terms[LOCAL..TURN].fill(Scale::NONE);
        let own = locals(&here) == lane.terms && group.is(&Form { terms: groups(&here), ..Form::exactly(0) });
        let reached = |bound: &Form| {
            let mut shared = Form { symbol: bound.symbol, ..Form::exactly(bound.high) };
            shared.terms[ONE] = bound.terms[ONE];
            shared.is(bound)
                && (bound.symbol.is_none() || bound.symbol == there.symbol)
                && (bound.terms[ONE].is_none() || bound.terms[ONE] == there.terms[ONE])
                && bound.high <= there.low
        };
        own && groups(&here) == groups(there) && self.below(lane).any(reached)
    }
}

/// The terms of an index that differ within a workgroup.
fn locals(form: &Form) -> [Scale; 8] {
    let mut terms = [Scale::NONE; 8];
    terms[LOCAL..TURN].copy_from_slice(&form.terms[LOCAL..TURN]);
    terms
}

/// Those that differ between workgroups only.
fn groups(form: &Form) -> [Scale; 8] {
    let mut terms = [Scale::NONE; 8];
    terms[GROUP..LOCAL].copy_from_slice(&form.terms[GROUP..LOCAL]);
    terms
}

/// Whether equal places have equal digits, whatever is added of `0..=spread`: each digit's scale must be more than all below
/// it can come to.
fn are_told(digits: &mut [Digit], spread: u64) -> bool {
    digits.sort_by_key(|digit| digit.scale.order());
    // All so far differ by less than this.
    let mut reach = Scale::number(spread.saturating_add(1));
    for at in 0..digits.len() {
        let digit = &digits[at];
        if !digit.scale.same_widths(&reach) || digit.scale.factor() < reach.factor() {
            return false;
        }
        let Some(next) = digits.get(at + 1) else { return true };
        let by_number =
            digit.scale.times(Scale::number(digit.count.saturating_sub(1))).and_then(|most| most.plus(reach));
        let by_width = digit.counts.iter().filter_map(|count| digit.scale.times(*count));
        let Some(more) = by_width.chain(by_number).find(|reach| reach.same_widths(&next.scale)) else { return false };
        reach = more;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDES: Sides = Sides([8, 4, 1]);

    fn used(index: Form, facts: &[Fact]) -> Use {
        Use { index: Some(index), facts: facts.to_vec() }
    }

    fn at(column: u64, row: u64) -> Form {
        let along = |axis, by| Form::global(axis, SIDES).times(Scale::number(by), SIDES);
        along(0, column).plus(along(1, row))
    }

    #[test]
    fn digits_tell_invocations_apart() {
        let check = |a: Form, b: Form, below: u64, axes| {
            let facts = [Fact::Below(Form::global(0, SIDES), Form::exactly(below))];
            used(a, &facts).apart(&used(b, &facts), Among::Axes(axes), SIDES)
        };
        assert!(check(at(1, 10), at(1, 10), 10, 2));
        assert!(!check(at(1, 10), at(1, 10), 11, 2));
        assert!(!check(at(1, 10), at(1, 10), 10, 3));
        assert!(!check(at(1, 0), at(1, 0), 10, 1), "the workgroup has rows");
        assert!(!check(at(1, 10), at(1, 11), 10, 2));
        assert!(!check(at(1, 10), at(1, 10).plus(Form::exactly(1)), 10, 2));
        assert!(check(at(2, 20), at(2, 20).plus(Form::exactly(1)), 10, 2));
        assert!(check(at(2, 20).plus(Form::range(0, 1)), at(2, 20).plus(Form::range(0, 1)), 10, 2));
        assert!(!check(at(2, 19), at(2, 19).plus(Form::exactly(1)), 10, 2));
    }

    #[test]
    fn a_width_counts_only_where_both_are_below_it() {
        let width = |number| Form::width(Width::Value { number, most: 4096 });
        let index = |number| {
            let rows = width(number).scale().map(|by| Form::global(1, SIDES).times(by, SIDES));
            rows.unwrap_or(Form::UNKNOWN).plus(Form::global(0, SIDES))
        };
        let check = |a: u32, b: u32, of: u32| {
            let facts = |number| [Fact::Below(Form::global(0, SIDES), width(number))];
            used(index(of), &facts(a)).apart(&used(index(of), &facts(b)), Among::Axes(2), SIDES)
        };
        assert!(check(0, 0, 0));
        assert!(!check(0, 1, 0) && !check(1, 0, 0) && !check(1, 1, 0));
    }

    #[test]
    fn what_could_wrap_is_unknown() {
        let most = u64::from(u32::MAX);
        let by = |number| at(1, 0).times(Scale::number(number), SIDES);
        assert_eq!(by(8192).within(most, SIDES), by(8192));
        assert_eq!(by(8193).within(most, SIDES), Form::UNKNOWN);
    }
}
