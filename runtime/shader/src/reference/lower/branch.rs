//! Branches and loops, as sets of lanes: those that go another way are kept until the ways meet.

use naga::{Block, Expression, Handle, Statement, SwitchCase, SwitchValue};

use super::super::op::Op;
use super::{Around, Frame, Lower};
use crate::refusal::Problem;

impl<'a> Lower<'a> {
    pub(super) fn branch(
        &mut self,
        frame: &mut Frame<'a>,
        condition: Handle<Expression>,
        accept: &'a Block,
        reject: &'a Block,
    ) -> Result<(), Problem> {
        let condition = self.word(frame, condition)?;
        let masks = self.masks;
        let other = self.take_mask();
        let split = self.ops.len();
        self.push(Op::Split { condition, other, target: 0 })?;
        self.block(frame, accept)?;
        self.here(split);
        if !reject.is_empty() {
            let swap = self.ops.len();
            self.push(Op::Swap { kept: other, target: 0 })?;
            self.block(frame, reject)?;
            self.here(swap);
        }
        self.push(Op::Join { kept: other })?;
        self.masks = masks;
        Ok(())
    }

    pub(super) fn switch(
        &mut self,
        frame: &mut Frame<'a>,
        selector: Handle<Expression>,
        cases: &'a [SwitchCase],
    ) -> Result<(), Problem> {
        let selector = self.word(frame, selector)?;
        let masks = self.masks;
        let (all, rest, broke) = (self.take_mask(), self.take_mask(), self.take_mask());
        let number = |case: &SwitchCase| match case.value {
            SwitchValue::I32(value) => Some(value.cast_unsigned()),
            SwitchValue::U32(value) => Some(value),
            SwitchValue::Default => None,
        };
        self.push(Op::Keep { kept: rest })?;
        for value in cases.iter().filter_map(number) {
            self.push(Op::Unmatch { selector, value, among: rest })?;
        }
        self.push(Op::Clear { kept: broke })?;
        self.push(Op::Clear { kept: all })?;
        self.push(Op::Leave { kept: all })?;
        frame.around.push(Around { broke, continued: None });
        for case in cases {
            self.push(match number(case) {
                Some(value) => Op::Match { selector, value, among: all },
                None => Op::Join { kept: rest },
            })?;
            let skip = self.ops.len();
            self.push(Op::Skip { target: 0 })?;
            self.block(frame, &case.body)?;
            self.here(skip);
            if !case.fall_through {
                self.push(Op::Leave { kept: broke })?;
            }
        }
        frame.around.pop();
        self.push(Op::Join { kept: broke })?;
        self.masks = masks;
        Ok(())
    }

    pub(super) fn repeat(
        &mut self,
        frame: &mut Frame<'a>,
        body: &'a Block,
        continuing: &'a Block,
        break_if: Option<Handle<Expression>>,
    ) -> Result<(), Problem> {
        let (top, masks) = (self.top, self.masks);
        let (broke, continued) = (self.take_mask(), self.take_mask());
        self.push(Op::Clear { kept: broke })?;
        let (head, before) = (self.ops.len() as u32, self.work);
        self.push(Op::Clear { kept: continued })?;
        frame.around.push(Around { broke, continued: Some(continued) });
        // What the body evaluates may be used behind it.
        self.statements(frame, body)?;
        self.push(Op::Join { kept: continued })?;
        self.statements(frame, continuing)?;
        frame.around.pop();
        if let Some(condition) = break_if {
            let condition = self.word(frame, condition)?;
            self.push(Op::LeaveIf { condition, kept: broke })?;
        }
        let work = self.work - before;
        self.push(Op::Again { target: head, work })?;
        self.push(Op::Join { kept: broke })?;
        (self.top, self.masks) = (top, masks);
        Ok(())
    }

    pub(super) fn leave(&mut self, frame: &mut Frame<'a>, statement: &Statement) -> Result<(), Problem> {
        let nowhere = "this leaves nothing";
        let kept = match statement {
            Statement::Break => frame.around.last().map(|around| around.broke).ok_or_else(|| self.refuse(nowhere))?,
            Statement::Continue => {
                let inner = frame.around.iter().rev().find_map(|around| around.continued);
                inner.ok_or_else(|| self.refuse(nowhere))?
            }
            Statement::Return { value } => {
                if let Some(value) = value {
                    let value = self.value(frame, *value)?;
                    let result = frame.result.first().copied().unwrap_or(0);
                    self.assign(result, &value)?;
                }
                frame.returned
            }
            _ => return Ok(()),
        };
        self.push(Op::Leave { kept })
    }
}
