//! Loops whose length is known when they begin.
//!
//! `for (var i = a; i < b; i++) { .. }` has `b - a` rounds, and the look that ends it, if nothing in it writes `i` or what `b` is
//! made of and nothing leaves it early. It is charged for all of them before the first, and its rounds are not counted: the
//! same budget is used up as if each were, so that it traps if and only if it would have. A loop with a `break` or `return`
//! keeps its count: it may be written to end long before its bound.

use naga::{
    BinaryOperator, Block, Expression, Handle, Literal, LocalVariable, Scalar, ScalarKind, Span, Statement, TypeInner,
};

use super::body::Writer;
use super::value::operands;
use crate::limits::{COUNTED_BOUND, TRAP_SET};
use crate::refusal::Problem;
use crate::source::statements;
use crate::uniform::{Root, read_only, root};

/// A loop that counts, in terms of the old function.
#[derive(Debug)]
pub(super) struct Counted {
    variable: Handle<LocalVariable>,
    scalar: Scalar,
    up: bool,
    /// By how much the variable changes in a round; positive.
    stride: u32,
    end: End,
}

/// The first value that the loop is not run with.
#[derive(Debug)]
enum End {
    Known(i64),
    /// What is to be evaluated for it before the loop, operands first; it is the last of them, or is there already.
    Value(Handle<Expression>, Vec<Handle<Expression>>),
}

/// The blocks of a loop.
#[derive(Clone, Copy)]
struct Parts<'a> {
    body: &'a Block,
    continuing: &'a Block,
}

impl Writer<'_> {
    /// What is known about a loop that is about to be written; `None` if it must be counted round by round.
    pub(super) fn counted(
        &self,
        body: &Block,
        continuing: &Block,
        break_if: Option<Handle<Expression>>,
    ) -> Option<Counted> {
        let head = body.iter().position(|statement| !matches!(statement, Statement::Emit(_)))?;
        let Statement::If { condition, accept, reject } = &body[head] else { return None };
        let ends_it = accept.is_empty() && matches!(reject[..], [Statement::Break]);
        let rest = &body[head + 1..];
        let returns = statements(body).any(|(statement, _)| matches!(statement, Statement::Return { .. }));
        if !ends_it || break_if.is_some() || returns || jumps(rest, true, false) || !self.is_new(*condition) {
            return None;
        }
        let Expression::Binary { op, left, right } = self.old.expressions[*condition] else { return None };
        let parts = Parts { body, continuing };
        // Behind a `continue` only `continuing` is sure to come.
        let in_body = if jumps(rest, false, true) { &[] } else { rest };
        self.counts(parts, in_body, (op, left, right))
            .or_else(|| self.counts(parts, in_body, (mirrored(op)?, right, left)))
    }

    /// The same, for a loop that goes on while `index` is on this side of `bound`.
    fn counts(
        &self,
        parts: Parts<'_>,
        in_body: &[Statement],
        (op, index, bound): (BinaryOperator, Handle<Expression>, Handle<Expression>),
    ) -> Option<Counted> {
        let variable = self.fresh_load(index)?;
        let TypeInner::Scalar(scalar) = self.module.types[self.old.local_variables[variable].ty].inner else {
            return None;
        };
        let (least, most) = match scalar {
            Scalar::U32 => (0, i64::from(u32::MAX)),
            Scalar::I32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
            _ => return None,
        };
        // Written once a round, in a place that every round comes to.
        let [_] = self.stores(parts, variable)?[..] else { return None };
        let next = self.stored(parts.continuing, variable).or_else(|| self.stored(in_body, variable))?;
        let change = self.change(next, variable)?;
        let (up, strict) = match op {
            BinaryOperator::Less => (true, true),
            BinaryOperator::LessEqual => (true, false),
            BinaryOperator::Greater => (false, true),
            BinaryOperator::GreaterEqual => (false, false),
            _ => return None,
        };
        if change == 0 || up != (change > 0) {
            return None;
        }
        let stride = u32::try_from(change.unsigned_abs()).ok()?;
        let end = match self.constant_of(bound) {
            Some(bound) => {
                let end = if strict { bound } else { bound + change.signum() };
                // The step that ends it must not lead past the type, where the variable begins again.
                let last = end + change - change.signum();
                if !(least..=most).contains(&end) || !(least..=most).contains(&last) {
                    return None;
                }
                End::Known(end)
            }
            // In steps of one it meets any bound that is not part of the loop.
            None if strict && stride == 1 => End::Value(bound, self.invariant(parts, bound)?),
            None => return None,
        };
        Some(Counted { variable, scalar, up, stride, end })
    }

    /// Writes `body` to run only if the whole loop can be paid for, and the payment before it.
    pub(super) fn pay_at_once(
        &mut self,
        counted: &Counted,
        span: Span,
        write: impl FnOnce(&mut Self) -> Result<Statement, Problem>,
    ) -> Result<(), Problem> {
        let Some(budget) = self.budget else {
            return Err(Problem::new(span, "a loop without a budget"));
        };
        let rounds = self.rounds(counted, span)?;
        let trap = self.constant(Expression::GlobalVariable(budget.trap));
        let fuel = self.constant(Expression::GlobalVariable(budget.fuel));
        let (zero, one, trapped) = (self.word(0), self.word(1), self.word(TRAP_SET));
        let left = self.emit(Expression::Load { pointer: fuel }, span);
        // One more than rounds: the look at the condition that ends it.
        let enough = self.binary(BinaryOperator::Less, rounds, left, span);
        let (accept, written) = self.within(|writer| {
            let less = writer.binary(BinaryOperator::Subtract, left, rounds, span);
            let less = writer.binary(BinaryOperator::Subtract, less, one, span);
            writer.push(Statement::Store { pointer: fuel, value: less }, span);
            let written = write(writer)?;
            writer.push(written, span);
            Ok(())
        });
        written?;
        let (reject, ()) = self.within(|writer| {
            writer.push(Statement::Store { pointer: trap, value: trapped }, span);
            writer.push(Statement::Store { pointer: fuel, value: zero }, span);
        });
        self.push(Statement::If { condition: enough, accept, reject }, span);
        Ok(())
    }

    /// How many rounds it has, a `u32`.
    fn rounds(&mut self, counted: &Counted, span: Span) -> Result<Handle<Expression>, Problem> {
        let pointer = self.constant(Expression::LocalVariable(counted.variable));
        let start = self.emit(Expression::Load { pointer }, span);
        let end = match &counted.end {
            // In range: it was looked at.
            End::Known(end) => self.constant(Expression::Literal(match counted.scalar.kind {
                ScalarKind::Sint => Literal::I32(*end as i32),
                _ => Literal::U32(*end as u32),
            })),
            End::Value(bound, needed) => {
                for old in needed {
                    self.evaluate(*old)?;
                }
                let end = self.at(*bound, span)?;
                // The loop evaluates them again.
                for old in needed {
                    self.map[old.index()] = None;
                }
                end
            }
        };
        let op = if counted.up { BinaryOperator::Less } else { BinaryOperator::Greater };
        let any = self.binary(op, start, end, span);
        let [mut from, mut to] = if counted.up { [start, end] } else { [end, start] };
        if counted.scalar == Scalar::I32 {
            for side in [&mut from, &mut to] {
                *side = self.emit(Expression::As { expr: *side, kind: ScalarKind::Uint, convert: None }, span);
            }
        }
        // Of two numbers with the smaller first, so it does not wrap, whatever they stand for.
        let mut rounds = self.binary(BinaryOperator::Subtract, to, from, span);
        let (zero, one) = (self.word(0), self.word(1));
        if counted.stride > 1 {
            let stride = self.word(counted.stride);
            let before_last = self.binary(BinaryOperator::Subtract, rounds, one, span);
            let whole = self.binary(BinaryOperator::Divide, before_last, stride, span);
            rounds = self.binary(BinaryOperator::Add, whole, one, span);
        }
        Ok(self.emit(Expression::Select { condition: any, accept: rounds, reject: zero }, span))
    }

    /// Whether an expression is evaluated in the loop, and so again in every round.
    fn is_new(&self, old: Handle<Expression>) -> bool {
        self.map[old.index()].is_none() && !self.old.expressions[old].needs_pre_emit()
    }

    /// The whole variable that is loaded in the loop.
    fn fresh_load(&self, old: Handle<Expression>) -> Option<Handle<LocalVariable>> {
        let Expression::Load { pointer } = self.old.expressions[old] else { return None };
        match self.old.expressions[pointer] {
            Expression::LocalVariable(variable) if self.is_new(old) => Some(variable),
            _ => None,
        }
    }

    /// What a loop stores in a variable; `None` if a function that it calls may do so too.
    fn stores(&self, parts: Parts<'_>, variable: Handle<LocalVariable>) -> Option<Vec<Handle<Expression>>> {
        let is = |pointer| matches!(root(self.old, pointer), Some(Root::Local(local)) if local == variable);
        let mut stores = Vec::new();
        for (statement, _) in statements(parts.body).chain(statements(parts.continuing)) {
            match statement {
                Statement::Store { pointer, value } if is(*pointer) => stores.push(*value),
                Statement::Call { arguments, .. } if arguments.iter().any(|argument| is(*argument)) => return None,
                _ => {}
            }
        }
        Some(stores)
    }

    /// What these statements store in a variable, whatever happens.
    fn stored(&self, block: &[Statement], variable: Handle<LocalVariable>) -> Option<Handle<Expression>> {
        block.iter().find_map(|statement| match statement {
            Statement::Store { pointer, value } => {
                let whole = matches!(self.old.expressions[*pointer], Expression::LocalVariable(to) if to == variable);
                whole.then_some(*value)
            }
            Statement::Block(inner) => self.stored(inner, variable),
            _ => None,
        })
    }

    /// By how much `next` differs from the variable, if that is a constant.
    fn change(&self, next: Handle<Expression>, variable: Handle<LocalVariable>) -> Option<i64> {
        let Expression::Binary { op, left, right } = self.old.expressions[next] else { return None };
        let is = |side| self.fresh_load(side) == Some(variable);
        match op {
            BinaryOperator::Add if is(left) => self.constant_of(right),
            BinaryOperator::Add if is(right) => self.constant_of(left),
            BinaryOperator::Subtract if is(left) => Some(-self.constant_of(right)?),
            _ => None,
        }
    }

    fn constant_of(&self, old: Handle<Expression>) -> Option<i64> {
        let expression = match self.old.expressions[old] {
            Expression::Constant(constant) => &self.module.global_expressions[self.module.constants[constant].init],
            ref expression => expression,
        };
        match *expression {
            Expression::Literal(Literal::U32(word)) => Some(i64::from(word)),
            Expression::Literal(Literal::I32(word)) => Some(i64::from(word)),
            _ => None,
        }
    }

    /// What must be evaluated to know `bound` before the loop, operands first; `None` if the loop could change it.
    fn invariant(&self, parts: Parts<'_>, bound: Handle<Expression>) -> Option<Vec<Handle<Expression>>> {
        let mut needed = Vec::new();
        let mut open = vec![bound];
        while let Some(old) = open.pop() {
            if !self.is_new(old) || needed.contains(&old) {
                continue;
            }
            needed.push(old);
            if needed.len() > COUNTED_BOUND {
                return None;
            }
            if let Expression::Load { pointer } = self.old.expressions[old] {
                let stays = match root(self.old, pointer)? {
                    Root::Global(global) => read_only(self.module, global),
                    Root::Local(local) => self.stores(parts, local)?.is_empty(),
                    Root::Argument => false,
                };
                if !stays {
                    return None;
                }
            }
            if !operands(&mut self.old.expressions[old].clone(), |operand| open.push(*operand)) {
                return None;
            }
        }
        // Operands come before what uses them.
        needed.sort_unstable_by_key(|old| old.index());
        Some(needed)
    }
}

/// Whether statements of a loop have a `break` or a `continue` of that loop.
fn jumps(block: &[Statement], breaks: bool, continues: bool) -> bool {
    block.iter().any(|statement| match statement {
        Statement::Break => breaks,
        Statement::Continue => continues,
        Statement::Block(inner) => jumps(inner, breaks, continues),
        Statement::If { accept, reject, .. } => jumps(accept, breaks, continues) || jumps(reject, breaks, continues),
        Statement::Switch { cases, .. } => cases.iter().any(|case| jumps(&case.body, false, continues)),
        _ => false,
    })
}

/// The comparison with its sides swapped.
const fn mirrored(op: BinaryOperator) -> Option<BinaryOperator> {
    match op {
        BinaryOperator::Less => Some(BinaryOperator::Greater),
        BinaryOperator::LessEqual => Some(BinaryOperator::GreaterEqual),
        BinaryOperator::Greater => Some(BinaryOperator::Less),
        BinaryOperator::GreaterEqual => Some(BinaryOperator::LessEqual),
        _ => None,
    }
}
