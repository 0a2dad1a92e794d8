//! Registers, constants and sets of lanes, handed out and filled.

use naga::{Literal, TypeInner};

use super::super::arithmetic;
use super::super::op::{CONSTANTS, Mask, Op, Reg};
use super::Lower;
use crate::limits::REFERENCE_REGISTERS;
use crate::refusal::Problem;

impl Lower<'_> {
    pub(super) fn literal(&mut self, literal: Literal) -> Result<Reg, Problem> {
        match literal {
            Literal::U32(word) => self.constant(word),
            Literal::I32(word) => self.constant(word.cast_unsigned()),
            Literal::Bool(is) => self.constant(arithmetic::bool(is)),
            _ => Err(self.refuse("this is no 32-bit integer")),
        }
    }

    pub(super) fn constant(&mut self, word: u32) -> Result<Reg, Problem> {
        let next = CONSTANTS + self.constants.len() as u32;
        let register = *self.constants.entry(word).or_insert(next);
        if self.high + self.constants.len() as u32 > REFERENCE_REGISTERS { Err(self.too_large()) } else { Ok(register) }
    }

    pub(super) fn zeros(&mut self, inner: &TypeInner) -> Result<Vec<Reg>, Problem> {
        let words = self.words(inner)?;
        Ok(vec![self.constant(0)?; words as usize])
    }

    pub(super) fn fill(&mut self, to: Reg, words: u32) -> Result<(), Problem> {
        let from = self.constant(0)?;
        self.push(Op::Fill { to, from, words })
    }

    pub(super) fn copy(&mut self, to: Reg, from: &[Reg]) -> Result<(), Problem> {
        for (offset, from, words) in runs(from) {
            self.push(Op::Copy { to: to + offset, from, words })?;
        }
        Ok(())
    }

    pub(super) fn words(&self, inner: &TypeInner) -> Result<u32, Problem> {
        self.layouts.words(inner).ok_or_else(|| self.too_large())
    }

    /// Registers that nobody has.
    pub(super) fn take(&mut self, words: u32) -> Result<Reg, Problem> {
        let first = self.top;
        self.top = first.saturating_add(words);
        self.high = self.high.max(self.top);
        if self.high.saturating_add(self.constants.len() as u32) > REFERENCE_REGISTERS {
            return Err(self.too_large());
        }
        Ok(first)
    }

    pub(super) fn take_mask(&mut self) -> Mask {
        let mask = self.masks;
        self.masks += 1;
        self.most_masks = self.most_masks.max(self.masks);
        mask
    }
}

/// Registers in a row as (place in `registers`, first, how many).
pub(super) fn runs(registers: &[Reg]) -> Vec<(u32, Reg, u32)> {
    let mut runs: Vec<(u32, Reg, u32)> = Vec::new();
    for (offset, register) in registers.iter().enumerate() {
        match runs.last_mut() {
            Some((_, first, words)) if *first + *words == *register => *words += 1,
            _ => runs.push((offset as u32, *register, 1)),
        }
    }
    runs
}
