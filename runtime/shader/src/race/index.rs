//! The form of every expression of the entry point, as far as the walk has come.

use crate::limits::{RACE_ROUNDS, UNBOUNDED_ROUNDS};
use naga::valid::FunctionInfo;
use naga::{
    BinaryOperator, Binding, Block, BuiltIn, EntryPoint, Expression, Function, Handle, Literal, MathFunction, Module,
    ScalarKind, Statement, TypeInner,
};

use super::form::{Form, Symbol};
use crate::source::statements;
use crate::uniform::{Root, Uniformity, root};

pub(super) struct Indices<'a> {
    module: &'a Module,
    function: &'a Function,
    info: &'a FunctionInfo,
    shared: Uniformity,
    /// Sides of the workgroup.
    sides: [u32; 3],
    forms: Vec<Form>,
    /// The largest value of each local, over the whole function.
    most: Vec<u64>,
    versions: Vec<u32>,
    next_version: u32,
}

impl<'a> Indices<'a> {
    pub(super) fn new(module: &'a Module, entry: &'a EntryPoint, info: &'a FunctionInfo, shared: Uniformity) -> Self {
        let function = &entry.function;
        let locals = function.local_variables.len();
        let mut indices = Self {
            module,
            function,
            info,
            shared,
            sides: entry.workgroup_size,
            forms: vec![Form::UNKNOWN; function.expressions.len()],
            most: vec![0; locals],
            versions: vec![0; locals],
            next_version: 1,
        };
        indices.bound();
        indices
    }

    pub(super) fn of(&self, expression: Handle<Expression>) -> Form {
        self.forms[expression.index()]
    }

    pub(super) fn evaluate(&mut self, expression: Handle<Expression>) {
        self.forms[expression.index()] = self.form(expression);
    }

    /// The local that a pointer leads into has another value from here on.
    pub(super) fn store(&mut self, pointer: Handle<Expression>) {
        if let Some(Root::Local(local)) = root(self.function, pointer) {
            self.versions[local.index()] = self.next_version;
            self.next_version += 1;
        }
    }

    /// What is assigned in `block` may have another value from here on.
    pub(super) fn forget(&mut self, block: &Block) {
        for (statement, _) in statements(block) {
            match statement {
                Statement::Store { pointer, .. } => self.store(*pointer),
                Statement::Call { arguments, .. } => arguments.iter().for_each(|argument| self.store(*argument)),
                _ => {}
            }
        }
    }

    /// The largest value of each local, whatever the order of assignments.
    fn bound(&mut self) {
        for (local, variable) in self.function.local_variables.iter() {
            let Some(init) = variable.init else { continue };
            self.most[local.index()] = self.form(init).most();
        }
        for round in 0..RACE_ROUNDS + UNBOUNDED_ROUNDS {
            for (handle, _) in self.function.expressions.iter() {
                self.evaluate(handle);
            }
            let mut grew = false;
            for (statement, _) in statements(&self.function.body) {
                let (pointers, value) = match statement {
                    Statement::Store { pointer, value } => (std::slice::from_ref(pointer), Some(*value)),
                    Statement::Call { arguments, .. } => (arguments.as_slice(), None),
                    _ => continue,
                };
                for pointer in pointers {
                    let Some(Root::Local(local)) = root(self.function, *pointer) else { continue };
                    let whole = matches!(self.function.expressions[*pointer], Expression::LocalVariable(_));
                    let most = match value {
                        Some(value) if whole => self.of(value).most(),
                        _ => u64::from(u32::MAX),
                    };
                    if most > self.most[local.index()] {
                        // What still grows is unbounded; then what depends on it is looked at again.
                        self.most[local.index()] = if round < RACE_ROUNDS { most } else { u64::from(u32::MAX) };
                        grew = true;
                    }
                }
            }
            // Nothing changed since the expressions were evaluated: every assignment is within the bounds.
            if !grew {
                return;
            }
        }
        self.most.fill(u64::from(u32::MAX));
    }

    /// The largest value of the expression's type, if it is a number an index can be.
    fn type_most(&self, expression: Handle<Expression>) -> Option<u64> {
        match self.info[expression].ty.inner_with(&self.module.types) {
            TypeInner::Scalar(scalar) => match scalar.kind {
                ScalarKind::Uint => Some(u64::from(u32::MAX)),
                ScalarKind::Sint => Some(i32::MAX as u64),
                _ => None,
            },
            _ => None,
        }
    }

    fn form(&self, handle: Handle<Expression>) -> Form {
        let Some(most) = self.type_most(handle) else { return Form::UNKNOWN };
        let signed = most == i32::MAX as u64;
        let form = match self.function.expressions[handle] {
            Expression::Literal(literal) => number(literal),
            Expression::Constant(constant) => {
                match self.module.global_expressions[self.module.constants[constant].init] {
                    Expression::Literal(literal) => number(literal),
                    _ => Form::UNKNOWN,
                }
            }
            Expression::ZeroValue(_) => Form::exactly(0),
            Expression::FunctionArgument(argument) => self.builtin(argument, None),
            Expression::AccessIndex { base, index } => match self.function.expressions[base] {
                Expression::FunctionArgument(argument) => self.builtin(argument, Some(index)),
                _ => Form::UNKNOWN,
            },
            Expression::Load { pointer } => match self.function.expressions[pointer] {
                Expression::LocalVariable(local) => {
                    let most = self.most[local.index()];
                    if self.shared.is_shared(handle) {
                        let symbol = Symbol { local, version: self.versions[local.index()], most };
                        Form { symbol: Some(symbol), ..Form::exactly(0) }
                    } else {
                        Form::range(0, most)
                    }
                }
                _ => Form::UNKNOWN,
            },
            Expression::As { expr, convert: Some(4) | None, .. } if self.type_most(expr).is_some() => self.of(expr),
            Expression::Math { fun: MathFunction::Min, arg, arg1: Some(other), .. } if !signed => {
                Form::range(0, self.of(arg).most().min(self.of(other).most()))
            }
            Expression::Binary { op, left, right } => self.binary(op, self.of(left), self.of(right), signed),
            _ => Form::UNKNOWN,
        };
        form.within(most)
    }

    fn binary(&self, op: BinaryOperator, left: Form, right: Form, signed: bool) -> Form {
        let constant = right.constant();
        match (op, constant) {
            (BinaryOperator::Add, _) => left.plus(right),
            (BinaryOperator::Subtract, _) => left.minus(right),
            (BinaryOperator::Multiply, Some(factor)) => left.times(factor),
            (BinaryOperator::Multiply, None) => left.constant().map_or(Form::UNKNOWN, |factor| right.times(factor)),
            (BinaryOperator::ShiftLeft, Some(count @ 0..32)) => left.times(1 << count),
            // A negative number has a large form already, which these would make small.
            (BinaryOperator::ShiftRight, Some(count)) if !signed => Form::range(0, left.most() >> (count & 31)),
            (BinaryOperator::Divide, Some(by @ 1..)) if !signed => Form::range(0, left.most() / by),
            (BinaryOperator::Modulo, Some(by @ 1..)) if !signed => Form::range(0, left.most().min(by - 1)),
            (BinaryOperator::And, _) if !signed => Form::range(0, left.most().min(right.most())),
            _ => Form::UNKNOWN,
        }
    }

    fn builtin(&self, argument: u32, component: Option<u32>) -> Form {
        let binding = self.function.arguments.get(argument as usize).and_then(|argument| argument.binding.as_ref());
        let Some(Binding::BuiltIn(builtin)) = binding else { return Form::UNKNOWN };
        let in_line = self.sides[1] == 1 && self.sides[2] == 1;
        match (builtin, component) {
            (BuiltIn::LocalInvocationIndex, None) => Form::lane(),
            (BuiltIn::LocalInvocationId, Some(0)) if in_line => Form::lane(),
            (BuiltIn::WorkGroupId, Some(0)) => Form::group(),
            (BuiltIn::GlobalInvocationId, Some(0)) if in_line => Form::global(u64::from(self.sides[0])),
            _ => Form::UNKNOWN,
        }
    }
}

/// A number that an index can be; negative ones are none.
fn number(literal: Literal) -> Form {
    match literal {
        Literal::U32(number) => Form::exactly(u64::from(number)),
        Literal::I32(number) => u64::try_from(number).map_or(Form::UNKNOWN, Form::exactly),
        _ => Form::UNKNOWN,
    }
}
