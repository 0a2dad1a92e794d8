//! What a [`super::Reference`] is made of: operations on registers of a packet, one word wide for each lane.

use super::arithmetic::{Binary, Unary};

/// A register: one word for each lane of a packet.
pub(super) type Reg = u32;

/// A set of lanes that a packet keeps while others are at work.
pub(super) type Mask = u32;

/// An operation.
pub(super) type Target = u32;

/// Registers from here on are constants, until [`Op::place_constants`] says where they are.
pub(super) const CONSTANTS: Reg = 1 << 31;

/// Memory that invocations share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    Workgroup,
    /// The buffer of this place in the list of bindings.
    Buffer(u16),
}

/// Arithmetic is done for all lanes, active or not: it cannot fail, and nobody looks. What is stored is stored for active
/// lanes only. `words` registers in a row hold a value of several words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Unary {
        f: Unary,
        to: Reg,
        a: Reg,
    },
    Binary {
        f: Binary,
        to: Reg,
        a: Reg,
        b: Reg,
    },
    Select {
        to: Reg,
        condition: Reg,
        accept: Reg,
        reject: Reg,
    },
    ExtractBits {
        signed: bool,
        to: Reg,
        a: Reg,
        offset: Reg,
        count: Reg,
    },
    InsertBits {
        to: Reg,
        a: Reg,
        bits: Reg,
        offset: Reg,
        count: Reg,
    },

    Copy {
        to: Reg,
        from: Reg,
        words: u32,
    },
    Fill {
        to: Reg,
        from: Reg,
        words: u32,
    },
    /// A copy for active lanes.
    Assign {
        to: Reg,
        from: Reg,
        words: u32,
    },
    /// From `from + at`, with `at + words <= room` or else zero.
    Gather {
        to: Reg,
        from: Reg,
        room: u32,
        at: Reg,
        words: u32,
    },
    /// To `to + at` for active lanes, with `at + words <= room` or else nowhere.
    Scatter {
        to: Reg,
        room: u32,
        at: Reg,
        from: Reg,
        words: u32,
    },

    /// From word `base + at`; zero where there is none.
    Load {
        memory: Memory,
        to: Reg,
        base: u32,
        at: Option<Reg>,
        words: u32,
    },
    /// To word `base + at`, if there is one.
    Store {
        memory: Memory,
        base: u32,
        at: Option<Reg>,
        from: Reg,
        words: u32,
    },
    /// One after the other, from the first lane to the last.
    Atomic {
        f: Binary,
        memory: Memory,
        base: u32,
        at: Option<Reg>,
        a: Reg,
    },
    /// Elements of `stride` words behind word `base`.
    Length {
        memory: Memory,
        to: Reg,
        base: u32,
        stride: u32,
    },

    /// Lanes without `condition` are kept in `other`; to `target` if no lane is left.
    Split {
        condition: Reg,
        other: Mask,
        target: Target,
    },
    /// Active lanes and those of `kept` change places; to `target` if no lane is left.
    Swap {
        kept: Mask,
        target: Target,
    },
    /// Those of `kept` are active too.
    Join {
        kept: Mask,
    },
    Clear {
        kept: Mask,
    },
    /// `kept` becomes the active lanes, which stay active.
    Keep {
        kept: Mask,
    },
    /// All active lanes go to `kept`.
    Leave {
        kept: Mask,
    },
    /// Those with `condition` go.
    LeaveIf {
        condition: Reg,
        kept: Mask,
    },
    /// Those of `among` whose `selector` is `value` become active too.
    Match {
        selector: Reg,
        value: u32,
        among: Mask,
    },
    /// They leave `among`.
    Unmatch {
        selector: Reg,
        value: u32,
        among: Mask,
    },
    /// To `target` if no lane is active.
    Skip {
        target: Target,
    },
    /// To `target` if a lane is active, `work` after the last time.
    Again {
        target: Target,
        work: u32,
    },

    Barrier,
    /// An invocation ran out of its budget.
    Trap,
    End,
}

impl Op {
    /// Words looked at or written for each lane.
    pub(super) fn work(&self) -> u32 {
        match self {
            Self::Copy { words, .. }
            | Self::Fill { words, .. }
            | Self::Assign { words, .. }
            | Self::Gather { words, .. }
            | Self::Scatter { words, .. }
            | Self::Load { words, .. }
            | Self::Store { words, .. } => (*words).max(1),
            _ => 1,
        }
    }

    pub(super) fn set_target(&mut self, to: Target) {
        if let Self::Split { target, .. } | Self::Swap { target, .. } | Self::Skip { target } = self {
            *target = to;
        }
    }

    /// Constants are at `first` and up.
    pub(super) fn place_constants(&mut self, first: Reg) {
        let place = |register: &mut Reg| {
            if *register >= CONSTANTS {
                *register = *register - CONSTANTS + first;
            }
        };
        match self {
            Self::Unary { a, .. } | Self::Atomic { a, at: None, .. } => place(a),
            Self::Binary { a, b, .. } => [a, b].into_iter().for_each(place),
            Self::Select { condition, accept, reject, .. } => [condition, accept, reject].into_iter().for_each(place),
            Self::ExtractBits { a, offset, count, .. } => [a, offset, count].into_iter().for_each(place),
            Self::InsertBits { a, bits, offset, count, .. } => [a, bits, offset, count].into_iter().for_each(place),
            Self::Copy { from, .. }
            | Self::Fill { from, .. }
            | Self::Assign { from, .. }
            | Self::Store { from, at: None, .. } => place(from),
            Self::Gather { from, at, .. } | Self::Scatter { from, at, .. } | Self::Store { from, at: Some(at), .. } => {
                [from, at].into_iter().for_each(place);
            }
            Self::Load { at: Some(at), .. } => place(at),
            Self::Atomic { a, at: Some(at), .. } => [a, at].into_iter().for_each(place),
            Self::Split { condition, .. } | Self::LeaveIf { condition, .. } => place(condition),
            Self::Match { selector, .. } | Self::Unmatch { selector, .. } => place(selector),
            Self::Load { at: None, .. }
            | Self::Length { .. }
            | Self::Swap { .. }
            | Self::Join { .. }
            | Self::Clear { .. }
            | Self::Keep { .. }
            | Self::Leave { .. }
            | Self::Skip { .. }
            | Self::Again { .. }
            | Self::Barrier
            | Self::Trap
            | Self::End => {}
        }
    }
}
