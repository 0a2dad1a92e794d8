//! From a rewritten module to operations: calls are replaced by what they call, values get registers, branches and loops
//! become sets of lanes.
//!
//! Registers are taken when a value is made and given back at the end of its block, as naga's expressions are. Recursive over
//! blocks and calls, at most [`REFERENCE_DEPTH`] deep.

mod branch;
mod globals;
mod place;
mod registers;
mod value;

use std::collections::BTreeMap;

use naga::valid::{FunctionInfo, ModuleInfo};
use naga::{Block, EntryPoint, Expression, Function, Handle, Module, Range, Span, Statement};

use self::place::{At, Place};
use super::layout::Layouts;
use super::op::{Mask, Op, Reg};
use super::{Input, Reference};
use crate::limits::{REFERENCE_DEPTH, REFERENCE_WORK};
use crate::refusal::Problem;

/// Lowers the only entry point of `module`.
pub(super) fn lower(module: &Module, info: &ModuleInfo) -> Result<Reference, Problem> {
    let [entry] = module.entry_points.as_slice() else {
        return Err(Problem::new(Span::UNDEFINED, "a kernel's shader has one entry point"));
    };
    let mut lower = Lower {
        module,
        info,
        layouts: Layouts::of(module),
        ops: Vec::new(),
        constants: BTreeMap::new(),
        globals: vec![None; module.global_variables.len()],
        values: vec![None; module.global_expressions.len()],
        bindings: Vec::new(),
        workgroup_words: 0,
        top: 0,
        high: 0,
        masks: 0,
        most_masks: 0,
        depth: 0,
        work: 0,
        span: Span::UNDEFINED,
    };
    let inputs = lower.entry(entry)?;
    lower.finish(entry, inputs)
}

/// What an expression is once it is evaluated.
#[derive(Debug, Clone)]
enum Known<'a> {
    /// The registers of its words; others may use the same.
    Value(Vec<Reg>),
    Place(Place<'a>),
}

struct Lower<'a> {
    module: &'a Module,
    info: &'a ModuleInfo,
    layouts: Layouts<'a>,
    ops: Vec<Op>,
    constants: BTreeMap<u32, Reg>,
    globals: Vec<Option<At>>,
    /// Of the module's constant expressions, in the order of the arena.
    values: Vec<Option<Vec<Reg>>>,
    /// Binding indices, in the order that [`Memory::Buffer`] counts.
    bindings: Vec<u32>,
    workgroup_words: u32,
    /// Registers taken, and the most that ever were.
    top: u32,
    high: u32,
    masks: Mask,
    most_masks: Mask,
    depth: u32,
    work: u32,
    /// Of the statement at hand.
    span: Span,
}

/// One call of one function.
struct Frame<'a> {
    function: &'a Function,
    info: &'a FunctionInfo,
    known: Vec<Option<Known<'a>>>,
    /// First registers of the local variables.
    locals: Vec<Reg>,
    arguments: Vec<Known<'a>>,
    result: Vec<Reg>,
    /// Lanes that have returned.
    returned: Mask,
    /// Lanes that have left what is around, from the outside in.
    around: Vec<Around>,
}

/// A loop or `switch`.
#[derive(Clone, Copy)]
struct Around {
    broke: Mask,
    /// A `switch` has none.
    continued: Option<Mask>,
}

impl<'a> Lower<'a> {
    /// One call; its registers are given back but for the result.
    fn function(
        &mut self,
        function: &'a Function,
        info: &'a FunctionInfo,
        arguments: Vec<Known<'a>>,
        result: Vec<Reg>,
    ) -> Result<(), Problem> {
        let (top, masks) = (self.top, self.masks);
        let returned = self.take_mask();
        let mut frame = Frame {
            function,
            info,
            known: vec![None; function.expressions.len()],
            locals: Vec::new(),
            arguments,
            result,
            returned,
            around: Vec::new(),
        };
        self.spend(u32::try_from(function.expressions.len()).unwrap_or(u32::MAX))?;
        self.push(Op::Clear { kept: returned })?;
        for (_, local) in function.local_variables.iter() {
            let words = self.words(&self.module.types[local.ty].inner)?;
            let base = self.take(words)?;
            frame.locals.push(base);
            match local.init {
                None => self.fill(base, words)?,
                Some(init) => {
                    let init = self.initial(&mut frame, init)?;
                    self.copy(base, &init)?;
                }
            }
        }
        self.block(&mut frame, &function.body)?;
        self.push(Op::Join { kept: returned })?;
        (self.top, self.masks) = (top, masks);
        Ok(())
    }

    /// An initial value: its parts are constants, which no statement evaluates.
    fn initial(&mut self, frame: &mut Frame<'a>, init: Handle<Expression>) -> Result<Vec<Reg>, Problem> {
        let expressions = &frame.function.expressions;
        let mut needed = vec![init];
        let mut next = 0;
        while let Some(handle) = needed.get(next).copied() {
            next += 1;
            crate::rewrite::operands(&mut expressions[handle].clone(), |operand| needed.push(*operand));
            self.spend(1)?;
        }
        needed.sort_unstable();
        needed.dedup();
        for handle in needed {
            if frame.known[handle.index()].is_none() && !expressions[handle].needs_pre_emit() {
                self.evaluate(frame, handle)?;
            }
        }
        self.value(frame, init)
    }

    fn call(
        &mut self,
        frame: &mut Frame<'a>,
        callee: Handle<Function>,
        arguments: &[Handle<Expression>],
        result: Option<Handle<Expression>>,
    ) -> Result<(), Problem> {
        let module = self.module;
        let function = &module.functions[callee];
        let arguments = arguments.iter().map(|argument| self.known(frame, *argument)).collect::<Result<_, _>>()?;
        let words = match &function.result {
            Some(result) => self.words(&module.types[result.ty].inner)?,
            None => 0,
        };
        let first = self.take(words)?;
        let registers: Vec<Reg> = (first..first + words).collect();
        self.deeper(|lower| lower.function(function, &lower.info[callee], arguments, registers.clone()))?;
        if let Some(result) = result {
            frame.known[result.index()] = Some(Known::Value(registers));
        }
        Ok(())
    }

    fn block(&mut self, frame: &mut Frame<'a>, block: &'a Block) -> Result<(), Problem> {
        let (top, masks) = (self.top, self.masks);
        self.statements(frame, block)?;
        (self.top, self.masks) = (top, masks);
        Ok(())
    }

    /// As [`Self::block`], with the registers still taken.
    fn statements(&mut self, frame: &mut Frame<'a>, block: &'a Block) -> Result<(), Problem> {
        let mut skips = Vec::new();
        for (index, (statement, span)) in block.span_iter().enumerate() {
            self.span = *span;
            self.deeper(|lower| lower.statement(frame, statement))?;
            let branches =
                matches!(statement, Statement::If { .. } | Statement::Switch { .. } | Statement::Loop { .. });
            if (branches || matches!(statement, Statement::Block(_))) && index + 1 < block.len() {
                skips.push(self.ops.len());
                self.push(Op::Skip { target: 0 })?;
            }
        }
        skips.into_iter().for_each(|skip| self.here(skip));
        Ok(())
    }

    fn statement(&mut self, frame: &mut Frame<'a>, statement: &'a Statement) -> Result<(), Problem> {
        match statement {
            Statement::Emit(range) => self.emit(frame, range),
            Statement::Block(block) => self.block(frame, block),
            Statement::If { condition, accept, reject } => self.branch(frame, *condition, accept, reject),
            Statement::Switch { selector, cases } => self.switch(frame, *selector, cases),
            Statement::Loop { body, continuing, break_if } => self.repeat(frame, body, continuing, *break_if),
            Statement::Break | Statement::Continue | Statement::Return { .. } => self.leave(frame, statement),
            Statement::ControlBarrier(_) | Statement::MemoryBarrier(_) => self.push(Op::Barrier),
            Statement::Store { pointer, value } => {
                let value = self.value(frame, *value)?;
                let place = self.place(frame, *pointer)?;
                self.store(&place, &value)
            }
            Statement::Atomic { pointer, fun, value, result: None } => {
                let f = self.atomic(frame, *fun, *value)?;
                let value = self.value(frame, *value)?;
                let place = self.place(frame, *pointer)?;
                self.atomic_at(&place, f, &value)
            }
            Statement::WorkGroupUniformLoad { pointer, result } => {
                self.push(Op::Barrier)?;
                let place = self.place(frame, *pointer)?;
                let value = self.load(&place)?;
                frame.known[result.index()] = Some(Known::Value(value));
                self.push(Op::Barrier)
            }
            Statement::Call { function, arguments, result } => self.call(frame, *function, arguments, *result),
            _ => Err(self.refuse("the result of this statement depends on the adapter")),
        }
    }

    fn emit(&mut self, frame: &mut Frame<'a>, range: &Range<Expression>) -> Result<(), Problem> {
        for handle in range.clone() {
            if frame.info[handle].ref_count > 0 {
                self.evaluate(frame, handle)?;
            }
        }
        Ok(())
    }

    fn deeper<T>(&mut self, lower: impl FnOnce(&mut Self) -> Result<T, Problem>) -> Result<T, Problem> {
        if self.depth >= REFERENCE_DEPTH {
            return Err(
                self.refuse("blocks nest too deep, those of called functions included, for the reference on the CPU")
            );
        }
        self.depth += 1;
        let result = lower(self);
        self.depth -= 1;
        result
    }

    fn push(&mut self, op: Op) -> Result<(), Problem> {
        self.spend(op.work())?;
        self.ops.push(op);
        Ok(())
    }

    fn spend(&mut self, work: u32) -> Result<(), Problem> {
        self.work = self.work.saturating_add(work);
        if self.work > REFERENCE_WORK { Err(self.too_large()) } else { Ok(()) }
    }

    /// The operation at `index` leads to the next one that is written.
    fn here(&mut self, index: usize) {
        let next = self.ops.len() as u32;
        if let Some(op) = self.ops.get_mut(index) {
            op.set_target(next);
        }
    }

    fn refuse(&self, reason: &str) -> Problem {
        Problem::new(self.span, reason)
    }

    fn too_large(&self) -> Problem {
        self.refuse(
            "the shader is too large for the reference on the CPU: variables and values of one invocation, or all \
             operations with every call replaced by what it calls; use smaller arrays, or split it into several shaders",
        )
    }

    fn finish(mut self, entry: &EntryPoint, inputs: Vec<(Input, Reg)>) -> Result<Reference, Problem> {
        self.ops.iter_mut().for_each(|op| op.place_constants(self.high));
        let mut constants: Vec<_> = self.constants.into_iter().collect();
        constants.sort_unstable_by_key(|(_, register)| *register);
        Ok(Reference {
            sides: entry.workgroup_size,
            waits: self.ops.contains(&Op::Barrier),
            ops: self.ops,
            inputs,
            bindings: self.bindings,
            variables: self.high,
            constants: constants.into_iter().map(|(word, _)| word).collect(),
            masks: self.most_masks,
            workgroup_words: self.workgroup_words,
            work: self.work,
        })
    }
}
