//! Expressions, carried over one by one; what could be out of range is clamped, and replaced by zero where it was.

use naga::proc::TypeResolution;
use naga::{
    BinaryOperator, Expression, Handle, Literal, LocalVariable, MathFunction, Scalar, ScalarKind, Span, Statement,
    Type, TypeInner,
};

use super::body::Writer;
use crate::limits::LOCAL_BYTES;
use crate::refusal::Problem;

/// Elements behind an index.
enum Length {
    Known(u32),
    /// Of the array at the end of a buffer.
    Dynamic,
}

/// An index in the new function.
struct Index {
    value: Handle<Expression>,
    /// An `i32`.
    signed: bool,
    /// A bound that needs no check.
    most: Option<u32>,
}

impl Writer<'_> {
    /// Carries over an expression where it is evaluated.
    pub(super) fn evaluate(&mut self, old: Handle<Expression>) -> Result<(), Problem> {
        let span = self.old.expressions.get_span(old);
        let new = match &self.old.expressions[old] {
            Expression::Access { base, index } => {
                let signed =
                    self.info[*index].ty.inner_with(&self.module.types).scalar_kind() == Some(ScalarKind::Sint);
                let (most, index) = (self.at_most(*index), self.at(*index, span)?);
                self.access(old, *base, Index { value: index, signed, most }, span)?
            }
            // A buffer may be shorter than a constant, but never empty.
            Expression::AccessIndex { base, index: index @ 1.. } if self.is_buffer_array(*base) => {
                let value = self.word(*index);
                self.access(old, *base, Index { value, signed: false, most: None }, span)?
            }
            Expression::AccessIndex { base, index } => {
                self.guards[old.index()] = self.guards[base.index()];
                let base = self.at(*base, span)?;
                self.emit(Expression::AccessIndex { base, index: *index }, span)
            }
            Expression::Load { pointer } => {
                let guard = self.guards[pointer.index()];
                let pointer = self.at(*pointer, span)?;
                let value = self.emit(Expression::Load { pointer }, span);
                match guard {
                    Some(inside) => self.value_or_zero(inside, value, &self.info[old].ty, span)?,
                    None => value,
                }
            }
            Expression::Binary { op: op @ (BinaryOperator::ShiftLeft | BinaryOperator::ShiftRight), left, right } => {
                let count = self.shift_count(*right, span)?;
                let left = self.at(*left, span)?;
                self.emit(Expression::Binary { op: *op, left, right: count }, span)
            }
            other => {
                let mut copy = other.clone();
                let mut missing = None;
                let known = operands(&mut copy, |operand| match self.at(*operand, span) {
                    Ok(new) => *operand = new,
                    Err(problem) => missing = Some(problem),
                });
                if let Some(problem) = missing {
                    return Err(problem);
                }
                if !known {
                    return Err(Problem::new(span, "this kind of expression is not allowed in a kernel"));
                }
                self.emit(copy, span)
            }
        };
        self.map[old.index()] = Some(new);
        Ok(())
    }

    /// An index that may be out of range: clamped, with the condition that it was inside kept for whoever uses the result.
    fn access(
        &mut self,
        old: Handle<Expression>,
        base: Handle<Expression>,
        index: Index,
        span: Span,
    ) -> Result<Handle<Expression>, Problem> {
        let outer = self.guards[base.index()];
        let base_type = self.info[base].ty.inner_with(&self.module.types);
        let pointer = matches!(base_type, TypeInner::Pointer { .. } | TypeInner::ValuePointer { .. });
        let Some(length) = length(base_type, &self.module.types) else {
            return Err(Problem::new(span, "this cannot be indexed"));
        };
        let new_base = self.at(base, span)?;
        let constant = match self.new.expressions[index.value] {
            Expression::Literal(Literal::U32(n)) => Some(n),
            Expression::Literal(Literal::I32(n)) => u32::try_from(n).ok(),
            _ => None,
        };
        if let Length::Known(count) = length {
            let element = match (constant, index.most) {
                (Some(index), _) if index < count => Some(Expression::AccessIndex { base: new_base, index }),
                (_, Some(most)) if most < count => Some(Expression::Access { base: new_base, index: index.value }),
                _ => None,
            };
            if let Some(element) = element {
                self.guards[old.index()] = outer;
                return Ok(self.emit(element, span));
            }
        }
        // Negative indices become large ones.
        let index = if index.signed {
            self.emit(Expression::As { expr: index.value, kind: ScalarKind::Uint, convert: None }, span)
        } else {
            index.value
        };
        let (count, last) = match length {
            Length::Known(count) => (self.word(count), self.word(count - 1)),
            Length::Dynamic => {
                let count = self.emit(Expression::ArrayLength(new_base), span);
                let one = self.word(1);
                (count, self.binary(BinaryOperator::Subtract, count, one, span))
            }
        };
        let inside = self.binary(BinaryOperator::Less, index, count, span);
        let clamped = Expression::Math { fun: MathFunction::Min, arg: index, arg1: Some(last), arg2: None, arg3: None };
        let clamped = self.emit(clamped, span);
        let element = self.emit(Expression::Access { base: new_base, index: clamped }, span);
        if pointer {
            let inside = match outer {
                Some(outer) => self.binary(BinaryOperator::LogicalAnd, outer, inside, span),
                None => inside,
            };
            self.guards[old.index()] = Some(inside);
            return Ok(element);
        }
        self.value_or_zero(inside, element, &self.info[old].ty, span)
    }

    fn is_buffer_array(&self, base: Handle<Expression>) -> bool {
        matches!(length(self.info[base].ty.inner_with(&self.module.types), &self.module.types), Some(Length::Dynamic))
    }

    /// A bound of `index` that needs no check: `i & 31u`.
    fn at_most(&self, index: Handle<Expression>) -> Option<u32> {
        let Expression::Binary { op: BinaryOperator::And, left, right } = self.old.expressions[index] else {
            return None;
        };
        [left, right].into_iter().find_map(|side| match self.old.expressions[side] {
            Expression::Literal(Literal::U32(mask)) => Some(mask),
            Expression::Literal(Literal::I32(mask)) => u32::try_from(mask).ok(),
            Expression::Constant(constant) => {
                match self.module.global_expressions[self.module.constants[constant].init] {
                    Expression::Literal(Literal::U32(mask)) => Some(mask),
                    Expression::Literal(Literal::I32(mask)) => u32::try_from(mask).ok(),
                    _ => None,
                }
            }
            _ => None,
        })
    }

    /// Modulo 32.
    fn shift_count(&mut self, old: Handle<Expression>, span: Span) -> Result<Handle<Expression>, Problem> {
        let count = self.at(old, span)?;
        if let Expression::Literal(Literal::U32(0..32)) = self.new.expressions[count] {
            return Ok(count);
        }
        let vector = match *self.info[old].ty.inner_with(&self.module.types) {
            TypeInner::Vector { size, .. } => Some(size),
            _ => None,
        };
        let mut mask = self.word(31);
        if let Some(size) = vector {
            mask = self.emit(Expression::Splat { size, value: mask }, span);
        }
        Ok(self.binary(BinaryOperator::And, count, mask, span))
    }

    /// `value` if `inside`, else zero. `value` itself is always safe to look at.
    pub(super) fn value_or_zero(
        &mut self,
        inside: Handle<Expression>,
        value: Handle<Expression>,
        ty: &TypeResolution,
        span: Span,
    ) -> Result<Handle<Expression>, Problem> {
        let zero = match *ty.inner_with(&self.module.types) {
            TypeInner::Scalar(scalar) | TypeInner::Atomic(scalar) => self.zero(scalar, span)?,
            TypeInner::Vector { size, scalar } => {
                let value = self.zero(scalar, span)?;
                self.emit(Expression::Splat { size, value }, span)
            }
            _ => return self.composite_or_zero(inside, value, ty, span),
        };
        Ok(self.emit(Expression::Select { condition: inside, accept: value, reject: zero }, span))
    }

    /// `select` takes no structs, arrays or matrices; a variable does.
    fn composite_or_zero(
        &mut self,
        inside: Handle<Expression>,
        value: Handle<Expression>,
        ty: &TypeResolution,
        span: Span,
    ) -> Result<Handle<Expression>, Problem> {
        let ty = match ty {
            TypeResolution::Handle(handle) => *handle,
            TypeResolution::Value(inner) => {
                self.types.insert(Type { name: None, inner: inner.clone() }, Span::UNDEFINED)
            }
        };
        let pointer = self.scratch(ty, span)?;
        let zero = self.constant(Expression::ZeroValue(ty));
        self.push(Statement::Store { pointer, value: zero }, span);
        self.only_if(inside, span, |writer| writer.push(Statement::Store { pointer, value }, span));
        Ok(self.emit(Expression::Load { pointer }, span))
    }

    /// A variable that is read right after it was written; one for each type.
    pub(super) fn scratch(&mut self, ty: Handle<Type>, span: Span) -> Result<Handle<Expression>, Problem> {
        let known = self.scratch.iter().find(|(of, _)| *of == ty).map(|(_, variable)| *variable);
        let variable = match known {
            Some(variable) => variable,
            None => {
                let bytes = self.types[ty].inner.try_size(self.module.to_ctx()).unwrap_or(u32::MAX);
                self.scratch_bytes = self.scratch_bytes.saturating_add(bytes);
                if self.scratch_bytes > LOCAL_BYTES {
                    let reason = format!(
                        "copies more than {LOCAL_BYTES} bytes from an index that is not a constant; copy its members one by one"
                    );
                    return Err(Problem::new(span, reason));
                }
                let variable = LocalVariable { name: None, ty, init: None };
                let variable = self.new.local_variables.append(variable, Span::UNDEFINED);
                self.scratch.push((ty, variable));
                variable
            }
        };
        Ok(self.constant(Expression::LocalVariable(variable)))
    }

    fn zero(&mut self, scalar: Scalar, span: Span) -> Result<Handle<Expression>, Problem> {
        let literal = match scalar {
            Scalar::U32 => Literal::U32(0),
            Scalar::I32 => Literal::I32(0),
            Scalar::F32 => Literal::F32(0.0),
            Scalar::BOOL => Literal::Bool(false),
            other => return Err(Problem::new(span, format!("{other:?} is not allowed in a kernel"))),
        };
        Ok(self.constant(Expression::Literal(literal)))
    }

    pub(super) fn word(&mut self, word: u32) -> Handle<Expression> {
        self.constant(Expression::Literal(Literal::U32(word)))
    }

    pub(super) fn binary(
        &mut self,
        op: BinaryOperator,
        left: Handle<Expression>,
        right: Handle<Expression>,
        span: Span,
    ) -> Handle<Expression> {
        self.emit(Expression::Binary { op, left, right }, span)
    }
}

fn length(inner: &TypeInner, types: &naga::UniqueArena<Type>) -> Option<Length> {
    let inner = match inner {
        TypeInner::Pointer { base, .. } => &types[*base].inner,
        inner => inner,
    };
    match inner {
        TypeInner::Vector { size, .. } | TypeInner::ValuePointer { size: Some(size), .. } => {
            Some(Length::Known(*size as u32))
        }
        TypeInner::Matrix { columns, .. } => Some(Length::Known(*columns as u32)),
        TypeInner::Array { size: naga::ArraySize::Constant(count), .. } => Some(Length::Known(count.get())),
        TypeInner::Array { size: naga::ArraySize::Dynamic, .. } => Some(Length::Dynamic),
        _ => None,
    }
}

/// Calls `visit` for every operand. False for kinds a kernel may not have.
pub(crate) fn operands(expression: &mut Expression, mut visit: impl FnMut(&mut Handle<Expression>)) -> bool {
    match expression {
        Expression::Literal(_)
        | Expression::Constant(_)
        | Expression::ZeroValue(_)
        | Expression::FunctionArgument(_)
        | Expression::GlobalVariable(_)
        | Expression::LocalVariable(_) => {}
        Expression::Compose { components, .. } => components.iter_mut().for_each(visit),
        Expression::Splat { value: only, .. }
        | Expression::Swizzle { vector: only, .. }
        | Expression::Unary { expr: only, .. }
        | Expression::As { expr: only, .. }
        | Expression::Relational { argument: only, .. }
        | Expression::AccessIndex { base: only, .. }
        | Expression::Load { pointer: only }
        | Expression::ArrayLength(only) => visit(only),
        Expression::Access { base: left, index: right } | Expression::Binary { left, right, .. } => {
            visit(left);
            visit(right);
        }
        Expression::Select { condition, accept, reject } => {
            visit(condition);
            visit(accept);
            visit(reject);
        }
        Expression::Math { arg, arg1, arg2, arg3, .. } => {
            visit(arg);
            [arg1, arg2, arg3].into_iter().flatten().for_each(visit);
        }
        _ => return false,
    }
    true
}
