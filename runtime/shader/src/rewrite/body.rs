//! Statements, carried over in order; loops get their budget.

use naga::valid::FunctionInfo;
use naga::{
    AtomicFunction, BinaryOperator, Block, Expression, Function, Handle, LocalVariable, Module, Range, Span, Statement,
    SwitchCase, Type, UniqueArena,
};

use super::Budget;
use super::value::operands;
use crate::barrier::Barriers;
use crate::limits::{TRAP_GOING, TRAP_SET, VECTOR};
use crate::refusal::Problem;

/// Writes one function anew. Recursive over blocks and nothing else, which [`crate::nesting`] bounds.
pub(super) struct Writer<'a> {
    pub(super) module: &'a Module,
    pub(super) old: &'a Function,
    pub(super) info: &'a FunctionInfo,
    /// Of the new module.
    pub(super) types: &'a mut UniqueArena<Type>,
    pub(super) new: Function,
    /// The new expression for each old one.
    pub(super) map: Vec<Option<Handle<Expression>>>,
    /// For each old pointer, the new condition that all its indices are inside, where that is not known.
    pub(super) guards: Vec<Option<Handle<Expression>>>,
    /// Variables for [`Writer::scratch`].
    pub(super) scratch: Vec<(Handle<Type>, Handle<LocalVariable>)>,
    pub(super) scratch_bytes: u32,
    barriers: &'a Barriers,
    pub(super) budget: Option<Budget>,
    /// The block being written.
    block: Block,
    /// First and last of the expressions whose evaluation has not been written yet.
    pending: Option<(Handle<Expression>, Handle<Expression>)>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        module: &'a Module,
        old: &'a Function,
        info: &'a FunctionInfo,
        types: &'a mut UniqueArena<Type>,
        barriers: &'a Barriers,
        budget: Option<Budget>,
    ) -> Self {
        let new = Function {
            name: old.name.clone(),
            arguments: old.arguments.clone(),
            result: old.result.clone(),
            local_variables: old.local_variables.clone(),
            diagnostic_filter_leaf: old.diagnostic_filter_leaf,
            ..Function::default()
        };
        Self {
            module,
            old,
            info,
            types,
            new,
            map: vec![None; old.expressions.len()],
            guards: vec![None; old.expressions.len()],
            scratch: Vec::new(),
            scratch_bytes: 0,
            barriers,
            budget,
            block: Block::new(),
            pending: None,
        }
    }

    /// `entry` is the size of a workgroup, of an entry point.
    pub(super) fn function(mut self, entry: Option<[u32; 3]>) -> Result<Function, Problem> {
        self.initial_values()?;
        if let (Some(sides), Some(budget)) = (entry, self.budget) {
            self.stop_if_trapped(sides, budget);
        }
        let old = self.old;
        self.statements(&old.body)?;
        self.new.body = std::mem::take(&mut self.block);
        for (handle, name) in &old.named_expressions {
            if let Some(new) = self.map[handle.index()] {
                self.new.named_expressions.insert(new, name.clone());
            }
        }
        Ok(self.new)
    }

    /// Initial values of variables are constants: they are not evaluated anywhere, so they come first.
    fn initial_values(&mut self) -> Result<(), Problem> {
        let expressions = &self.old.expressions;
        let mut needed = vec![false; expressions.len()];
        for (_, local) in self.old.local_variables.iter() {
            if let Some(init) = local.init {
                needed[init.index()] = true;
            }
        }
        // Operands come before what uses them.
        for (handle, expression) in expressions.iter().rev() {
            if needed[handle.index()] {
                operands(&mut expression.clone(), |operand| needed[operand.index()] = true);
            }
        }
        let mut copies = vec![None; expressions.len()];
        for (handle, expression) in expressions.iter().filter(|(handle, _)| needed[handle.index()]) {
            let mut copy = expression.clone();
            let mut complete = true;
            let known = operands(&mut copy, |operand| match copies[operand.index()] {
                Some(new) => *operand = new,
                None => complete = false,
            });
            let span = expressions.get_span(handle);
            if !known || !complete {
                return Err(Problem::new(span, "this initial value is not a constant"));
            }
            copies[handle.index()] = Some(self.new.expressions.append(copy, span));
        }
        for (_, local) in self.new.local_variables.iter_mut() {
            local.init = local.init.and_then(|init| copies[init.index()]);
        }
        Ok(())
    }

    /// What an invocation does that starts when another has trapped already cannot matter: it need not loop.
    ///
    /// And one that does not exist must not: lavapipe runs such where a vector is not full, and grants them and their neighbours
    /// 65,535 iterations together. In loops and branches, and not outside, all that they read of buffers is zero. Hence, where there are
    /// any, a loop, gone round once. Elsewhere what decides about loops with barriers stays what every compiler sees to be the same for
    /// a workgroup.
    fn stop_if_trapped(&mut self, sides: [u32; 3], budget: Budget) {
        let span = Span::UNDEFINED;
        let [trap, fuel, rounds] =
            [budget.trap, budget.fuel, budget.rounds].map(|global| self.constant(Expression::GlobalVariable(global)));
        let [zero, going, set] = [0, TRAP_GOING, TRAP_SET].map(|word| self.word(word));
        let look = |writer: &mut Self| {
            let found = writer.emit(Expression::Load { pointer: trap }, span);
            let idle = writer.binary(BinaryOperator::NotEqual, found, going, span);
            writer.only_if(idle, span, |writer| writer.push(Statement::Store { pointer: fuel, value: zero }, span));
            found
        };
        if sides[0].is_multiple_of(VECTOR) {
            look(self);
            return;
        }
        let (body, ()) = self.within(|writer| {
            let found = look(writer);
            // Those that exist stay together in loops with barriers, whatever each of them found.
            let absent = writer.binary(BinaryOperator::Equal, found, zero, span);
            writer.only_if(absent, span, |writer| writer.push(Statement::Store { pointer: rounds, value: zero }, span));
            let known = writer.binary(BinaryOperator::LessEqual, found, set, span);
            writer.only_if(known, span, |writer| writer.push(Statement::Break, span));
        });
        self.push(Statement::Loop { body, continuing: Block::new(), break_if: None }, span);
    }

    /// At the head of a loop: leave if the budget is used up.
    fn spend(&mut self, waits: bool, span: Span) {
        let Some(budget) = self.budget else { return };
        let trap = self.constant(Expression::GlobalVariable(budget.trap));
        let counter = if waits { budget.rounds } else { budget.fuel };
        let counter = self.constant(Expression::GlobalVariable(counter));
        let (zero, one, trapped) = (self.word(0), self.word(1), self.word(TRAP_SET));
        let left = self.emit(Expression::Load { pointer: counter }, span);
        let empty = self.binary(BinaryOperator::Equal, left, zero, span);
        self.only_if(empty, span, |writer| {
            writer.push(Statement::Store { pointer: trap, value: trapped }, span);
            writer.push(Statement::Break, span);
        });
        let less = self.binary(BinaryOperator::Subtract, left, one, span);
        self.push(Statement::Store { pointer: counter, value: less }, span);
    }

    fn statements(&mut self, block: &Block) -> Result<(), Problem> {
        for (statement, span) in block.span_iter() {
            self.statement(statement, *span)?;
        }
        self.flush();
        Ok(())
    }

    /// `write` in a block of its own.
    pub(super) fn within<T>(&mut self, write: impl FnOnce(&mut Self) -> T) -> (Block, T) {
        self.flush();
        let outer = std::mem::take(&mut self.block);
        let result = write(self);
        self.flush();
        (std::mem::replace(&mut self.block, outer), result)
    }

    fn inner(&mut self, block: &Block) -> Result<Block, Problem> {
        let (block, result) = self.within(|writer| writer.statements(block));
        result.map(|()| block)
    }

    pub(super) fn only_if(&mut self, condition: Handle<Expression>, span: Span, write: impl FnOnce(&mut Self)) {
        let (accept, ()) = self.within(write);
        self.push(Statement::If { condition, accept, reject: Block::new() }, span);
    }

    fn statement(&mut self, statement: &Statement, span: Span) -> Result<(), Problem> {
        let new = match statement {
            Statement::Emit(range) => {
                for old in range.clone() {
                    self.evaluate(old)?;
                }
                return Ok(());
            }
            Statement::Block(block) => Statement::Block(self.inner(block)?),
            Statement::If { condition, accept, reject } => Statement::If {
                condition: self.at(*condition, span)?,
                accept: self.inner(accept)?,
                reject: self.inner(reject)?,
            },
            Statement::Switch { selector, cases } => {
                let selector = self.at(*selector, span)?;
                let cases = cases.iter().map(|case| {
                    let body = self.inner(&case.body)?;
                    Ok(SwitchCase { value: case.value, body, fall_through: case.fall_through })
                });
                let cases = cases.collect::<Result<_, Problem>>()?;
                Statement::Switch { selector, cases }
            }
            Statement::Loop { body, continuing, break_if } => {
                let waits = self.barriers.in_loop(body, continuing);
                let counted = if waits { None } else { self.counted(body, continuing, *break_if) };
                if let Some(counted) = counted {
                    return self.pay_at_once(&counted, span, |writer| {
                        let (body, continuing) = (writer.inner(body)?, writer.inner(continuing)?);
                        Ok(Statement::Loop { body, continuing, break_if: None })
                    });
                }
                let (new_body, result) = self.within(|writer| {
                    writer.spend(waits, span);
                    writer.statements(body)
                });
                result?;
                let continuing = self.inner(continuing)?;
                let break_if = break_if.map(|condition| self.at(condition, span)).transpose()?;
                Statement::Loop { body: new_body, continuing, break_if }
            }
            Statement::Break => Statement::Break,
            Statement::Continue => Statement::Continue,
            Statement::Return { value } => {
                let value = match (value, &self.old.result) {
                    (Some(value), _) => Some(self.at(*value, span)?),
                    // Behind a loop without an end, which has one now.
                    (None, Some(result)) => Some(self.constant(Expression::ZeroValue(result.ty))),
                    (None, None) => None,
                };
                Statement::Return { value }
            }
            Statement::ControlBarrier(barrier) => Statement::ControlBarrier(*barrier),
            Statement::MemoryBarrier(barrier) => Statement::MemoryBarrier(*barrier),
            Statement::Store { pointer, value } => {
                let guard = self.guards[pointer.index()];
                let (pointer, value) = (self.at(*pointer, span)?, self.at(*value, span)?);
                let store = Statement::Store { pointer, value };
                match guard {
                    None => store,
                    Some(inside) => {
                        self.only_if(inside, span, |writer| writer.push(store, span));
                        return Ok(());
                    }
                }
            }
            Statement::Atomic { pointer, fun, value, result } => {
                return self.atomic(*pointer, *fun, *value, *result, span);
            }
            Statement::WorkGroupUniformLoad { pointer, result } => {
                let guard = self.guards[pointer.index()];
                let pointer = self.at(*pointer, span)?;
                let value = self.constant(self.old.expressions[*result].clone());
                self.push(Statement::WorkGroupUniformLoad { pointer, result: value }, span);
                let value = match guard {
                    Some(inside) => self.value_or_zero(inside, value, &self.info[*result].ty, span)?,
                    None => value,
                };
                self.map[result.index()] = Some(value);
                return Ok(());
            }
            Statement::Call { function, arguments, result } => {
                if arguments.iter().any(|argument| self.guards[argument.index()].is_some()) {
                    let reason = "a pointer to an element whose index is not a constant cannot be passed to a function; \
                                  pass the value, or the whole variable and the index";
                    return Err(Problem::new(span, reason));
                }
                let arguments = arguments.iter().map(|argument| self.at(*argument, span)).collect::<Result<_, _>>()?;
                let result = result.map(|old| {
                    let new = self.constant(self.old.expressions[old].clone());
                    self.map[old.index()] = Some(new);
                    new
                });
                Statement::Call { function: *function, arguments, result }
            }
            _ => return Err(Problem::new(span, "this kind of statement is not allowed in a kernel")),
        };
        self.push(new, span);
        Ok(())
    }

    fn atomic(
        &mut self,
        pointer: Handle<Expression>,
        fun: AtomicFunction,
        value: Handle<Expression>,
        result: Option<Handle<Expression>>,
        span: Span,
    ) -> Result<(), Problem> {
        let guard = self.guards[pointer.index()];
        let (pointer, value) = (self.at(pointer, span)?, self.at(value, span)?);
        let fun = match fun {
            AtomicFunction::Exchange { compare: Some(compare) } => {
                AtomicFunction::Exchange { compare: Some(self.at(compare, span)?) }
            }
            fun => fun,
        };
        // naga makes a result for each, also where nobody looks at it.
        let used = matches!(fun, AtomicFunction::Exchange { .. });
        let old = result.filter(|result| used || self.info[*result].ref_count > 0);
        let new = old.map(|old| self.constant(self.old.expressions[old].clone()));
        let atomic = Statement::Atomic { pointer, fun, value, result: new };
        let result = match (guard, old, new) {
            (None, ..) => {
                self.push(atomic, span);
                new
            }
            (Some(inside), Some(old), Some(new)) => {
                let Expression::AtomicResult { ty, .. } = self.old.expressions[old] else {
                    return Err(Problem::new(span, "the result of an atomic operation is something else"));
                };
                let scratch = self.scratch(ty, span)?;
                let zero = self.constant(Expression::ZeroValue(ty));
                self.push(Statement::Store { pointer: scratch, value: zero }, span);
                self.only_if(inside, span, |writer| {
                    writer.push(atomic, span);
                    writer.push(Statement::Store { pointer: scratch, value: new }, span);
                });
                Some(self.emit(Expression::Load { pointer: scratch }, span))
            }
            (Some(inside), ..) => {
                self.only_if(inside, span, |writer| writer.push(atomic, span));
                None
            }
        };
        if let Some(old) = old {
            self.map[old.index()] = result;
        }
        Ok(())
    }

    /// The new expression for an old one; constants and variables are made when they are first needed.
    pub(super) fn at(&mut self, old: Handle<Expression>, span: Span) -> Result<Handle<Expression>, Problem> {
        if let Some(new) = self.map[old.index()] {
            return Ok(new);
        }
        let expression = &self.old.expressions[old];
        if !expression.needs_pre_emit() {
            return Err(Problem::new(span, "an expression is used before it is evaluated"));
        }
        let new = self.new.expressions.append(expression.clone(), self.old.expressions.get_span(old));
        self.map[old.index()] = Some(new);
        Ok(new)
    }

    /// An expression that is known without being evaluated.
    pub(super) fn constant(&mut self, expression: Expression) -> Handle<Expression> {
        self.new.expressions.append(expression, Span::UNDEFINED)
    }

    /// An expression that is evaluated here.
    pub(super) fn emit(&mut self, expression: Expression, span: Span) -> Handle<Expression> {
        let handle = self.new.expressions.append(expression, span);
        match &mut self.pending {
            Some((_, last)) if last.index() + 1 == handle.index() => *last = handle,
            _ => {
                self.flush();
                self.pending = Some((handle, handle));
            }
        }
        handle
    }

    pub(super) fn push(&mut self, statement: Statement, span: Span) {
        self.flush();
        self.block.push(statement, span);
    }

    fn flush(&mut self) {
        if let Some((first, last)) = self.pending.take() {
            self.block.push(Statement::Emit(Range::new_from_bounds(first, last)), Span::UNDEFINED);
        }
    }
}
