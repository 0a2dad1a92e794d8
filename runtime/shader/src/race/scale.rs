//! Factors of indices: numbers, and widths of grids that nobody knows before a dispatch.

use crate::limits::WORKGROUPS_PER_DIMENSION;

/// A factor that is the same in a whole dispatch, and not known before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Width {
    /// `num_workgroups` along an axis.
    Groups(u8),
    /// A value computed from what the shader cannot write.
    Value { number: u32, most: u32 },
}

/// `number` times at most two widths, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scale {
    number: u64,
    widths: [Option<Width>; 2],
}

/// Sides of the workgroup.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sides(pub(super) [u32; 3]);

impl Sides {
    pub(super) fn along(self, axis: usize) -> u64 {
        u64::from(self.0[axis]).max(1)
    }

    pub(super) fn invocations(self) -> u64 {
        self.0.iter().map(|side| u64::from(*side)).product::<u64>().max(1)
    }
}

impl From<Width> for Scale {
    fn from(width: Width) -> Self {
        Self { number: 1, widths: [Some(width), None] }
    }
}

impl Width {
    const fn most(self) -> u64 {
        match self {
            Self::Groups(_) => WORKGROUPS_PER_DIMENSION as u64,
            Self::Value { most, .. } => most as u64,
        }
    }
}

impl Scale {
    pub(super) const NONE: Self = Self::number(0);

    pub(super) const fn number(number: u64) -> Self {
        Self { number, widths: [None; 2] }
    }

    pub(super) const fn is_none(&self) -> bool {
        self.number == 0
    }

    /// Itself, if it has no widths.
    pub(super) fn plain(&self) -> Option<u64> {
        (self.widths == [None; 2]).then_some(self.number)
    }

    pub(super) const fn factor(&self) -> u64 {
        self.number
    }

    /// What sorts those with fewer widths first.
    pub(super) fn order(&self) -> (usize, u64) {
        (self.widths.iter().flatten().count(), self.number)
    }

    pub(super) fn same_widths(&self, other: &Self) -> bool {
        self.widths == other.widths
    }

    /// The largest it can be.
    pub(super) fn most(&self) -> u64 {
        self.widths.iter().flatten().fold(self.number, |most, width| most.saturating_mul(width.most()))
    }

    /// The number, if its widths are workgroups along axes that differ, from `axis` too: multiplied, and by what is along
    /// `axis`, they are no more than the workgroups of the dispatch.
    pub(super) fn of_groups(&self, axis: Option<usize>) -> Option<u64> {
        let along = |width: &Option<Width>| match width {
            Some(Width::Groups(along)) => Some(usize::from(*along)),
            _ => None,
        };
        let groups = match &self.widths {
            [None, None] => true,
            [one, None] => along(one).is_some() && along(one) != axis,
            [one, two] => {
                let (one, two) = (along(one), along(two));
                one.is_some() && two.is_some() && one != two && one != axis && two != axis
            }
        };
        groups.then_some(self.number)
    }

    /// Times one more width; `None` if that is too many.
    pub(super) fn widened(self, by: Width) -> Option<Self> {
        let mut widths = match self.widths {
            [None, None] => [Some(by), None],
            [Some(width), None] => [Some(width), Some(by)],
            _ => return None,
        };
        if widths[1].is_some() {
            widths.sort();
        }
        Some(Self { widths, ..self })
    }

    pub(super) fn times(self, other: Self) -> Option<Self> {
        let number = self.number.saturating_mul(other.number);
        if number == 0 {
            return Some(Self::NONE);
        }
        other.widths.into_iter().flatten().try_fold(Self { number, ..self }, Self::widened)
    }

    pub(super) fn plus(self, other: Self) -> Option<Self> {
        match (self.is_none(), other.is_none()) {
            (true, _) => Some(other),
            (_, true) => Some(self),
            _ if self.widths == other.widths => Some(Self { number: self.number.saturating_add(other.number), ..self }),
            _ => None,
        }
    }
}
