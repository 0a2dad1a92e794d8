//! Loops that stride: `for (var i = id.x; i < n; i += total)`.

use naga::{BinaryOperator, Block, Expression, Function, Handle, LocalVariable, Statement};

use super::form::{Form, Symbol, TURN};
use super::index::Indices;
use crate::source::statements;
use crate::uniform::{Root, root};

/// A counter and what it holds whenever an iteration begins.
pub(super) struct Counter {
    pub(super) local: Handle<LocalVariable>,
    held: Form,
    by: Form,
    below: Form,
}

impl Counter {
    /// The counter of a loop whose first statement leaves it at a bound, and whose `continuing` is nothing but a step of equal
    /// length for all, if nothing in between assigns to it and it cannot wrap. Looked at before the loop is.
    pub(super) fn of(function: &Function, indices: &Indices<'_>, body: &Block, continuing: &Block) -> Option<Self> {
        // In the loop, and so in every round; what was loaded before is what the variable held then.
        let is_new = |handle: Handle<Expression>| {
            statements(body).chain(statements(continuing)).any(|(statement, _)| {
                let Statement::Emit(range) = statement else { return false };
                range.first_and_last().is_some_and(|(first, last)| (first..=last).contains(&handle))
            })
        };
        let loaded = |handle: Handle<Expression>| match function.expressions[handle] {
            Expression::Load { pointer } if is_new(handle) => match function.expressions[pointer] {
                Expression::LocalVariable(local) => Some(local),
                _ => None,
            },
            _ => None,
        };
        let mut steps = continuing.iter().filter(|statement| !matches!(statement, Statement::Emit(_)));
        let (Some(Statement::Store { pointer, value }), None) = (steps.next(), steps.next()) else { return None };
        let Expression::LocalVariable(local) = function.expressions[*pointer] else { return None };
        let Expression::Binary { op: BinaryOperator::Add, left, right } = function.expressions[*value] else {
            return None;
        };
        let by = match (loaded(left), loaded(right)) {
            (Some(counter), _) if counter == local => right,
            (_, Some(counter)) if counter == local => left,
            _ => return None,
        };
        let mut first = body.iter().filter(|statement| !matches!(statement, Statement::Emit(_)));
        let Some(Statement::If { condition, accept, reject }) = first.next() else { return None };
        if !accept.is_empty() || !matches!(reject.iter().as_slice(), [Statement::Break]) {
            return None;
        }
        let below = match function.expressions[*condition] {
            Expression::Binary { op: BinaryOperator::Less, left, right } if loaded(left) == Some(local) => right,
            Expression::Binary { op: BinaryOperator::Greater, left, right } if loaded(right) == Some(local) => left,
            _ => return None,
        };
        let is =
            |pointer: &Handle<Expression>| matches!(root(function, *pointer), Some(Root::Local(to)) if to == local);
        let assigned = statements(body).any(|(statement, _)| match statement {
            Statement::Store { pointer, .. } => is(pointer),
            Statement::Call { arguments, .. } => arguments.iter().any(is),
            _ => false,
        });
        let (by, below) = (indices.anywhere(by), indices.anywhere(below));
        let held = indices.held(local).filter(|held| held.terms[TURN].is_none())?;
        by.scale().filter(|_| !assigned)?;
        Some(Self { local, held, by, below })
    }

    /// What it holds when an iteration begins, `version` being what names its turns.
    pub(super) fn form(&self, version: u32) -> Option<Form> {
        let last = self.below.most.saturating_sub(1).saturating_add(self.by.most);
        let most = self.held.most.max(last);
        let mut form =
            Form { stride: Some(Symbol { local: self.local, version, most }), turned: most, most, ..self.held };
        form.terms[TURN] = self.by.scale()?;
        (most <= u64::from(u32::MAX)).then_some(form)
    }
}
