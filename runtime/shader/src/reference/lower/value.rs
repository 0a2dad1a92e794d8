//! Expressions: each becomes registers, one for each word, or a place.

use naga::{BinaryOperator, Expression, Handle, MathFunction as M, RelationalFunction, ScalarKind, UnaryOperator};

use super::super::arithmetic::{Binary, Unary};
use super::super::op::{Op, Reg};
use super::place::{At, Place};
use super::{Frame, Known, Lower};
use crate::refusal::Problem;

impl<'a> Lower<'a> {
    /// What an expression is; constants and variables are found when they are first needed.
    pub(super) fn known(&mut self, frame: &mut Frame<'a>, handle: Handle<Expression>) -> Result<Known<'a>, Problem> {
        if frame.known[handle.index()].is_none() {
            let expression = &frame.function.expressions[handle];
            if !expression.needs_pre_emit() {
                return Err(self.refuse("an expression is used before it is evaluated"));
            }
            self.evaluate(frame, handle)?;
        }
        match &frame.known[handle.index()] {
            Some(Known::Value(words)) => {
                self.spend(words.len() as u32)?;
                Ok(Known::Value(words.clone()))
            }
            Some(place) => Ok(place.clone()),
            None => Err(self.refuse("an expression has no value")),
        }
    }

    pub(super) fn value(&mut self, frame: &mut Frame<'a>, handle: Handle<Expression>) -> Result<Vec<Reg>, Problem> {
        match self.known(frame, handle)? {
            Known::Value(words) => Ok(words),
            Known::Place(_) => Err(self.refuse("this is no value")),
        }
    }

    /// A value of one word.
    pub(super) fn word(&mut self, frame: &mut Frame<'a>, handle: Handle<Expression>) -> Result<Reg, Problem> {
        match self.value(frame, handle)?.as_slice() {
            &[word] => Ok(word),
            _ => Err(self.refuse("this is no single number")),
        }
    }

    pub(super) fn evaluate(&mut self, frame: &mut Frame<'a>, handle: Handle<Expression>) -> Result<(), Problem> {
        let known = self.expression(frame, handle)?;
        if let Known::Value(words) = &known {
            self.spend(words.len() as u32)?;
        }
        frame.known[handle.index()] = Some(known);
        Ok(())
    }

    fn expression(&mut self, frame: &mut Frame<'a>, handle: Handle<Expression>) -> Result<Known<'a>, Problem> {
        let (function, module) = (frame.function, self.module);
        let words = match &function.expressions[handle] {
            Expression::Literal(literal) => vec![self.literal(*literal)?],
            Expression::Constant(constant) => {
                let value = self.values[module.constants[*constant].init.index()].clone();
                value.ok_or_else(|| self.refuse("this constant is not made of integers, or too large"))?
            }
            Expression::ZeroValue(ty) => self.zeros(&module.types[*ty].inner)?,
            Expression::Compose { components, .. } => {
                let mut words = Vec::new();
                for part in components {
                    words.extend(self.value(frame, *part)?);
                }
                words
            }
            Expression::Splat { size, value } => vec![self.word(frame, *value)?; *size as usize],
            Expression::Swizzle { size, vector, pattern } => {
                let vector = self.value(frame, *vector)?;
                let parts = pattern[..*size as usize].iter().map(|part| vector.get(*part as usize).copied());
                parts.collect::<Option<_>>().ok_or_else(|| self.refuse("a vector has no such component"))?
            }
            Expression::FunctionArgument(index) => {
                let argument = frame.arguments.get(*index as usize).cloned();
                return argument.ok_or_else(|| self.refuse("there is no such argument"));
            }
            Expression::GlobalVariable(global) => {
                let at = self.globals[global.index()].ok_or_else(|| self.refuse("this variable has no place"))?;
                return Ok(Known::Place(Place::whole(at, &module.types[module.global_variables[*global].ty].inner)));
            }
            Expression::LocalVariable(local) => {
                let inner = &module.types[function.local_variables[*local].ty].inner;
                let base = frame.locals.get(local.index()).copied();
                let base = base.ok_or_else(|| self.refuse("this variable has no place"))?;
                let at = At::Registers { base, room: self.words(inner)? };
                return Ok(Known::Place(Place::whole(at, inner)));
            }
            Expression::Access { base, index } => match self.known(frame, *base)? {
                Known::Place(_) => return Ok(Known::Place(self.part(frame, handle, *base, None, Some(*index))?)),
                Known::Value(value) => self.element(frame, *base, &value, *index)?,
            },
            Expression::AccessIndex { base, index } => match self.known(frame, *base)? {
                Known::Place(_) => return Ok(Known::Place(self.part(frame, handle, *base, Some(*index), None)?)),
                Known::Value(value) => {
                    let outer = frame.info[*base].ty.inner_with(&module.types);
                    let part = self.layouts.part(outer, Some(*index), false).ok_or_else(|| self.too_large())?;
                    let words = self.words(frame.info[handle].ty.inner_with(&module.types))?;
                    let from = part.offset as usize;
                    let part =
                        value.get(from..from + words as usize).ok_or_else(|| self.refuse("there is no such part"))?;
                    part.to_vec()
                }
            },
            Expression::Load { pointer } => {
                let place = self.place(frame, *pointer)?;
                self.load(&place)?
            }
            Expression::ArrayLength(pointer) => vec![self.length(frame, *pointer)?],
            Expression::Unary { op, expr } => {
                let f = match op {
                    UnaryOperator::Negate => Unary::Negate,
                    UnaryOperator::LogicalNot | UnaryOperator::BitwiseNot => Unary::Not,
                };
                let a = self.value(frame, *expr)?;
                self.each(f, &a)?
            }
            Expression::Binary { op, left, right } => {
                let signed = self.is_signed(frame, *left);
                let (a, b) = (self.value(frame, *left)?, self.value(frame, *right)?);
                self.operator(*op, signed, &a, &b)?
            }
            Expression::Select { condition, accept, reject } => {
                let condition = self.value(frame, *condition)?;
                let (accept, reject) = (self.value(frame, *accept)?, self.value(frame, *reject)?);
                let lanes = accept.iter().zip(&reject).enumerate();
                let mut words = Vec::with_capacity(accept.len());
                for (index, (&accept, &reject)) in lanes {
                    let condition = condition.get(index).or(condition.first()).copied();
                    let condition = condition.ok_or_else(|| self.refuse("select without a condition"))?;
                    let to = self.take(1)?;
                    self.push(Op::Select { to, condition, accept, reject })?;
                    words.push(to);
                }
                words
            }
            Expression::Relational { fun, argument } => {
                let f = match fun {
                    RelationalFunction::All => Binary::And,
                    RelationalFunction::Any => Binary::Or,
                    _ => return Err(self.refuse("this function is not one of integers")),
                };
                let argument = self.value(frame, *argument)?;
                vec![self.fold(f, &argument)?]
            }
            Expression::As { expr, kind, .. } => {
                let from = frame.info[*expr].ty.inner_with(&module.types).scalar_kind();
                let value = self.value(frame, *expr)?;
                match (from, kind) {
                    (Some(ScalarKind::Bool), ScalarKind::Uint | ScalarKind::Sint) => {
                        self.each(Unary::FromBool, &value)?
                    }
                    (Some(ScalarKind::Uint | ScalarKind::Sint), ScalarKind::Bool) => {
                        self.each(Unary::ToBool, &value)?
                    }
                    (
                        Some(ScalarKind::Bool | ScalarKind::Uint | ScalarKind::Sint),
                        ScalarKind::Bool | ScalarKind::Uint | ScalarKind::Sint,
                    ) => value,
                    _ => return Err(self.refuse("this conversion is not one of integers")),
                }
            }
            Expression::Math { fun, arg, arg1, arg2, arg3 } => {
                let signed = self.is_signed(frame, *arg);
                let mut arguments = vec![self.value(frame, *arg)?];
                for argument in [arg1, arg2, arg3].into_iter().flatten() {
                    arguments.push(self.value(frame, *argument)?);
                }
                self.math(*fun, signed, &arguments)?
            }
            _ => return Err(self.refuse("the result of this expression depends on the adapter")),
        };
        Ok(Known::Value(words))
    }

    /// An element of a value by an index that is not a constant.
    fn element(
        &mut self,
        frame: &mut Frame<'a>,
        base: Handle<Expression>,
        value: &[Reg],
        index: Handle<Expression>,
    ) -> Result<Vec<Reg>, Problem> {
        let outer = frame.info[base].ty.inner_with(&self.module.types);
        let words = self.layouts.part(outer, None, false).ok_or_else(|| self.too_large())?.stride;
        let index = self.word(frame, index)?;
        let at = self.scaled(index, words)?;
        // In a row.
        let room = value.len() as u32;
        let from = self.take(room)?;
        self.copy(from, value)?;
        let to = self.take(words)?;
        self.push(Op::Gather { to, from, room, at, words })?;
        Ok((to..to + words).collect())
    }

    pub(super) fn scaled(&mut self, index: Reg, stride: u32) -> Result<Reg, Problem> {
        match stride {
            1 => Ok(index),
            stride if stride.is_power_of_two() => {
                let by = self.constant(stride.trailing_zeros())?;
                self.binary_op(Binary::ShiftLeft, index, by)
            }
            stride => {
                let by = self.constant(stride)?;
                self.binary_op(Binary::Multiply, index, by)
            }
        }
    }

    pub(super) fn binary_op(&mut self, f: Binary, a: Reg, b: Reg) -> Result<Reg, Problem> {
        let to = self.take(1)?;
        self.push(Op::Binary { f, to, a, b })?;
        Ok(to)
    }

    fn is_signed(&self, frame: &Frame<'a>, handle: Handle<Expression>) -> bool {
        frame.info[handle].ty.inner_with(&self.module.types).scalar_kind() == Some(ScalarKind::Sint)
    }

    fn each(&mut self, f: Unary, value: &[Reg]) -> Result<Vec<Reg>, Problem> {
        let mut words = Vec::with_capacity(value.len());
        for &a in value {
            let to = self.take(1)?;
            self.push(Op::Unary { f, to, a })?;
            words.push(to);
        }
        Ok(words)
    }

    /// Word by word; one that is alone goes with each of the other's.
    fn pairs(&mut self, f: Binary, left: &[Reg], right: &[Reg]) -> Result<Vec<Reg>, Problem> {
        let words = left.len().max(right.len());
        let at =
            |side: &[Reg], index: usize| if side.len() == 1 { side.first().copied() } else { side.get(index).copied() };
        let mut result = Vec::with_capacity(words);
        for index in 0..words {
            let (Some(a), Some(b)) = (at(left, index), at(right, index)) else {
                return Err(self.refuse("these are not of one size"));
            };
            result.push(self.binary_op(f, a, b)?);
        }
        Ok(result)
    }

    fn fold(&mut self, f: Binary, words: &[Reg]) -> Result<Reg, Problem> {
        let Some((&first, rest)) = words.split_first() else { return Err(self.refuse("nothing to look at")) };
        let mut all = first;
        for &word in rest {
            all = self.binary_op(f, all, word)?;
        }
        Ok(all)
    }

    fn operator(&mut self, op: BinaryOperator, signed: bool, a: &[Reg], b: &[Reg]) -> Result<Vec<Reg>, Problem> {
        use BinaryOperator as O;
        let by_sign = |of_signed, of_unsigned| if signed { of_signed } else { of_unsigned };
        let (f, a, b) = match op {
            O::Add => (Binary::Add, a, b),
            O::Subtract => (Binary::Subtract, a, b),
            O::Multiply => (Binary::Multiply, a, b),
            O::Divide => (by_sign(Binary::DivideSigned, Binary::Divide), a, b),
            O::Modulo => (by_sign(Binary::RemainderSigned, Binary::Remainder), a, b),
            O::Equal => (Binary::Equal, a, b),
            O::NotEqual => (Binary::NotEqual, a, b),
            O::Less => (by_sign(Binary::LessSigned, Binary::Less), a, b),
            O::LessEqual => (by_sign(Binary::LessEqualSigned, Binary::LessEqual), a, b),
            O::Greater => (by_sign(Binary::LessSigned, Binary::Less), b, a),
            O::GreaterEqual => (by_sign(Binary::LessEqualSigned, Binary::LessEqual), b, a),
            O::And | O::LogicalAnd => (Binary::And, a, b),
            O::InclusiveOr | O::LogicalOr => (Binary::Or, a, b),
            O::ExclusiveOr => (Binary::Xor, a, b),
            O::ShiftLeft => (Binary::ShiftLeft, a, b),
            O::ShiftRight => (by_sign(Binary::ShiftRightSigned, Binary::ShiftRight), a, b),
        };
        self.pairs(f, a, b)
    }

    fn math(&mut self, fun: M, signed: bool, arguments: &[Vec<Reg>]) -> Result<Vec<Reg>, Problem> {
        let missing = "a built-in function lacks an argument";
        let argument = |index: usize| arguments.get(index).map_or(&[][..], Vec::as_slice);
        let (a, b, c) = (argument(0), argument(1), argument(2));
        let (min, max) = if signed { (Binary::MinSigned, Binary::MaxSigned) } else { (Binary::Min, Binary::Max) };
        match fun {
            M::Abs if !signed => Ok(a.to_vec()),
            M::Abs => self.each(Unary::Abs, a),
            M::Sign => self.each(Unary::Sign, a),
            M::Min => self.pairs(min, a, b),
            M::Max => self.pairs(max, a, b),
            M::Clamp => {
                let low = self.pairs(max, a, b)?;
                self.pairs(min, &low, c)
            }
            M::Dot => {
                let products = self.pairs(Binary::Multiply, a, b)?;
                Ok(vec![self.fold(Binary::Add, &products)?])
            }
            M::Dot4I8Packed => self.pairs(Binary::Dot4I8, a, b),
            M::Dot4U8Packed => self.pairs(Binary::Dot4U8, a, b),
            M::CountTrailingZeros => self.each(Unary::CountTrailingZeros, a),
            M::CountLeadingZeros => self.each(Unary::CountLeadingZeros, a),
            M::CountOneBits => self.each(Unary::CountOneBits, a),
            M::ReverseBits => self.each(Unary::ReverseBits, a),
            M::FirstTrailingBit => self.each(Unary::FirstTrailingBit, a),
            M::FirstLeadingBit if signed => self.each(Unary::FirstLeadingBitSigned, a),
            M::FirstLeadingBit => self.each(Unary::FirstLeadingBit, a),
            M::ExtractBits => {
                let (&[offset], &[count]) = (b, c) else { return Err(self.refuse(missing)) };
                let mut words = Vec::with_capacity(a.len());
                for &a in a {
                    let to = self.take(1)?;
                    self.push(Op::ExtractBits { signed, to, a, offset, count })?;
                    words.push(to);
                }
                Ok(words)
            }
            M::InsertBits => {
                let (&[offset], &[count]) = (c, argument(3)) else { return Err(self.refuse(missing)) };
                let mut words = Vec::with_capacity(a.len());
                for (&a, &bits) in a.iter().zip(b) {
                    let to = self.take(1)?;
                    self.push(Op::InsertBits { to, a, bits, offset, count })?;
                    words.push(to);
                }
                Ok(words)
            }
            M::Pack4xI8 | M::Pack4xU8 => self.pack(a),
            M::Pack4xI8Clamp => {
                let (low, high) = (self.constant((-128i32).cast_unsigned())?, self.constant(127)?);
                let a = self.pairs(Binary::MaxSigned, a, &[low])?;
                let a = self.pairs(Binary::MinSigned, &a, &[high])?;
                self.pack(&a)
            }
            M::Pack4xU8Clamp => {
                let high = self.constant(255)?;
                let a = self.pairs(Binary::Min, a, &[high])?;
                self.pack(&a)
            }
            M::Unpack4xI8 | M::Unpack4xU8 => {
                let &[a] = a else { return Err(self.refuse(missing)) };
                let (signed, count) = (fun == M::Unpack4xI8, self.constant(8)?);
                let mut words = Vec::with_capacity(4);
                for byte in 0..4 {
                    let (to, offset) = (self.take(1)?, self.constant(byte * 8)?);
                    self.push(Op::ExtractBits { signed, to, a, offset, count })?;
                    words.push(to);
                }
                Ok(words)
            }
            _ => Err(self.refuse("the result of this built-in function depends on the adapter")),
        }
    }

    /// The lowest eight bits of four words.
    fn pack(&mut self, words: &[Reg]) -> Result<Vec<Reg>, Problem> {
        let (mut packed, count) = (self.constant(0)?, self.constant(8)?);
        for (byte, &bits) in words.iter().enumerate() {
            let offset = self.constant(byte as u32 * 8)?;
            let to = self.take(1)?;
            self.push(Op::InsertBits { to, a: packed, bits, offset, count })?;
            packed = to;
        }
        Ok(vec![packed])
    }
}
