//! Where a pointer leads, and what is done there.

use naga::{AtomicFunction, Expression, Handle, ScalarKind, TypeInner};

use super::super::arithmetic::Binary;
use super::super::op::{Memory, Op, Reg};
use super::registers::runs;
use super::{Frame, Known, Lower};
use crate::limits::TRAP_GOING;
use crate::refusal::Problem;

/// A variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// Of the invocation: `room` registers from `base`.
    Registers { base: Reg, room: u32 },
    /// Of the workgroup or the dispatch: from word `base`.
    Memory { memory: Memory, base: u32 },
    /// The word that is set when a budget is used up. Whoever sets it ends the dispatch, so nobody finds it set.
    Trap,
}

/// A variable or a part of one, `offset` words from its start and `index` (a register) more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    at: At,
    offset: u32,
    index: Option<Reg>,
    /// What is there, or a pointer to a part of a vector.
    inner: &'a TypeInner,
}

impl<'a> Place<'a> {
    /// The whole of a variable.
    pub(super) const fn whole(at: At, inner: &'a TypeInner) -> Self {
        Self { at, offset: 0, index: None, inner }
    }

    const fn in_buffer(&self) -> bool {
        matches!(self.at, At::Memory { memory: Memory::Buffer(_), .. })
    }
}

impl<'a> Lower<'a> {
    /// The part of what is at `base` that an index leads to; `handle` is the pointer to it.
    pub(super) fn part(
        &mut self,
        frame: &mut Frame<'a>,
        handle: Handle<Expression>,
        base: Handle<Expression>,
        constant: Option<u32>,
        index: Option<Handle<Expression>>,
    ) -> Result<Place<'a>, Problem> {
        let mut place = self.place(frame, base)?;
        let part = self.layouts.part(place.inner, constant, place.in_buffer()).ok_or_else(|| self.too_large())?;
        place.offset = place.offset.checked_add(part.offset).ok_or_else(|| self.too_large())?;
        if let Some(index) = index {
            let index = self.word(frame, index)?;
            let scaled = self.scaled(index, part.stride)?;
            place.index = Some(match place.index {
                None => scaled,
                Some(before) => self.binary_op(Binary::Add, before, scaled)?,
            });
        }
        let types = &self.module.types;
        place.inner = match frame.info[handle].ty.inner_with(types) {
            TypeInner::Pointer { base, .. } => &types[*base].inner,
            inner => inner,
        };
        Ok(place)
    }

    /// The words of what is at `place`, as runs (offset, length).
    fn extent(&self, place: &Place<'a>) -> Result<Vec<(u32, u32)>, Problem> {
        let extent = match place.inner {
            inner @ (TypeInner::Array { .. } | TypeInner::Struct { .. }) if place.in_buffer() => {
                self.layouts.runs(inner)
            }
            inner => self.layouts.words(inner).map(|words| vec![(0, words)]),
        };
        extent.ok_or_else(|| self.too_large())
    }

    pub(super) fn place(&mut self, frame: &mut Frame<'a>, pointer: Handle<Expression>) -> Result<Place<'a>, Problem> {
        match self.known(frame, pointer)? {
            Known::Place(place) => Ok(place),
            Known::Value(_) => Err(self.refuse("this is no pointer")),
        }
    }

    pub(super) fn load(&mut self, place: &Place<'a>) -> Result<Vec<Reg>, Problem> {
        let runs = self.extent(place)?;
        let words = runs.iter().map(|(_, words)| words).sum();
        let to = self.take(words)?;
        let mut next = to;
        for (start, words) in runs {
            let offset = place.offset + start;
            let going = self.constant(TRAP_GOING)?;
            self.push(match (place.at, place.index) {
                (At::Trap, _) => Op::Fill { to: next, from: going, words },
                (At::Memory { memory, base }, at) => Op::Load { memory, to: next, base: base + offset, at, words },
                (At::Registers { base, .. }, None) => Op::Copy { to: next, from: base + offset, words },
                (At::Registers { base, room }, Some(at)) => {
                    Op::Gather { to: next, from: base + offset, room: room.saturating_sub(offset), at, words }
                }
            })?;
            next += words;
        }
        Ok((to..to + words).collect())
    }

    pub(super) fn store(&mut self, place: &Place<'a>, value: &[Reg]) -> Result<(), Problem> {
        if place.at == At::Trap {
            return self.push(Op::Trap);
        }
        let mut value = value;
        for (start, words) in self.extent(place)? {
            let (part, rest) =
                value.split_at_checked(words as usize).ok_or_else(|| self.refuse("this is too short"))?;
            value = rest;
            for (skipped, from, words) in runs(part) {
                let offset = place.offset + start + skipped;
                self.push(match (place.at, place.index) {
                    (At::Trap, _) => Op::Trap,
                    (At::Memory { memory, base }, at) => Op::Store { memory, base: base + offset, at, from, words },
                    (At::Registers { base, .. }, None) => Op::Assign { to: base + offset, from, words },
                    (At::Registers { base, room }, Some(at)) => {
                        Op::Scatter { to: base + offset, room: room.saturating_sub(offset), at, from, words }
                    }
                })?;
            }
        }
        Ok(())
    }

    /// To registers in a row, for active lanes.
    pub(super) fn assign(&mut self, to: Reg, value: &[Reg]) -> Result<(), Problem> {
        for (offset, from, words) in runs(value) {
            self.push(Op::Assign { to: to + offset, from, words })?;
        }
        Ok(())
    }

    pub(super) fn atomic(
        &self,
        frame: &Frame<'a>,
        fun: AtomicFunction,
        value: Handle<Expression>,
    ) -> Result<Binary, Problem> {
        let signed = frame.info[value].ty.inner_with(&self.module.types).scalar_kind() == Some(ScalarKind::Sint);
        Ok(match fun {
            AtomicFunction::Add => Binary::Add,
            AtomicFunction::Subtract => Binary::Subtract,
            AtomicFunction::And => Binary::And,
            AtomicFunction::ExclusiveOr => Binary::Xor,
            AtomicFunction::InclusiveOr => Binary::Or,
            AtomicFunction::Min if signed => Binary::MinSigned,
            AtomicFunction::Min => Binary::Min,
            AtomicFunction::Max if signed => Binary::MaxSigned,
            AtomicFunction::Max => Binary::Max,
            AtomicFunction::Exchange { .. } => return Err(self.refuse("exchanges depend on who comes first")),
        })
    }

    pub(super) fn atomic_at(&mut self, place: &Place<'a>, f: Binary, value: &[Reg]) -> Result<(), Problem> {
        match (place.at, value) {
            (At::Memory { memory, base }, &[a]) => {
                self.push(Op::Atomic { f, memory, base: base + place.offset, at: place.index, a })
            }
            _ => Err(self.refuse("this is no place for an atomic operation")),
        }
    }

    /// Elements of the array without an end that `pointer` leads to.
    pub(super) fn length(&mut self, frame: &mut Frame<'a>, pointer: Handle<Expression>) -> Result<Reg, Problem> {
        let place = self.place(frame, pointer)?;
        match (place.at, place.inner) {
            (At::Memory { memory, base }, TypeInner::Array { stride, .. }) if *stride >= 4 => {
                let to = self.take(1)?;
                self.push(Op::Length { memory, to, base: base + place.offset, stride: stride / 4 })?;
                Ok(to)
            }
            _ => Err(self.refuse("this has no length")),
        }
    }
}
