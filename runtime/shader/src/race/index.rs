//! The form of every expression of a function, as far as the walk has come.

use naga::valid::FunctionInfo;
use naga::{
    BinaryOperator, Binding, Block, BuiltIn, Expression, Function, FunctionArgument, GlobalVariable, Handle, Literal,
    LocalVariable, MathFunction, Module, ScalarKind, Statement, TypeInner,
};

use super::form::{Fact, Form, Symbol};
use super::scale::{Scale, Sides, Width};
use crate::limits::{BUFFER_WORDS, RACE_ROUNDS, RACE_WIDTHS, UNBOUNDED_ROUNDS};
use crate::rewrite::operands;
use crate::source::statements;
use crate::uniform::{Root, Uniformity, read_only, root};

/// What is counted through all functions.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Values that are the same in a whole dispatch: equal ones have equal numbers.
    widths: Vec<Origin>,
    versions: u32,
}

/// Where such a value comes from.
#[derive(Debug, PartialEq, Eq)]
enum Origin {
    /// A number in a buffer that is only read, by the constants that lead to it.
    Read(Handle<GlobalVariable>, Vec<u32>),
    /// An expression of a function, or of `main`.
    Computed(Option<Handle<Function>>, Handle<Expression>),
}

/// A function as it is called.
#[derive(Debug, Clone)]
pub(super) struct Called<'a> {
    pub(super) module: &'a Module,
    pub(super) function: &'a Function,
    pub(super) info: &'a FunctionInfo,
    /// `None` for `main`.
    pub(super) handle: Option<Handle<Function>>,
    /// What it is given; those of `main` are built in.
    pub(super) arguments: Vec<Form>,
    pub(super) sides: Sides,
}

pub(super) struct Indices<'a> {
    called: Called<'a>,
    shared: Uniformity,
    /// What branches around say.
    pub(super) facts: Vec<Fact>,
    /// Of each expression: it is computed from what is the same in the whole dispatch.
    fixed: Vec<bool>,
    forms: Vec<Form>,
    /// The same, wherever in the function they are.
    anywhere: Vec<Form>,
    /// The largest value of each local, over the whole function.
    most: Vec<u64>,
    /// What each local was assigned last, if that is known.
    held: Vec<Option<Form>>,
    versions: Vec<u32>,
    pub(super) names: Names,
}

impl<'a> Indices<'a> {
    pub(super) fn new(called: Called<'a>, shared: Uniformity, facts: Vec<Fact>, names: Names) -> Self {
        let function = called.function;
        let locals = function.local_variables.len();
        let mut indices = Self {
            shared,
            facts: Vec::new(),
            fixed: fixed(&called),
            forms: vec![Form::UNKNOWN; function.expressions.len()],
            anywhere: Vec::new(),
            most: vec![0; locals],
            held: vec![None; locals],
            versions: vec![0; locals],
            names,
            called,
        };
        for version in 0..locals {
            indices.versions[version] = indices.version();
        }
        indices.bound();
        indices.anywhere.clone_from(&indices.forms);
        for (local, variable) in function.local_variables.iter() {
            indices.held[local.index()] = variable.init.map(|init| indices.of(init));
        }
        indices.facts = facts;
        indices
    }

    pub(super) fn of(&self, expression: Handle<Expression>) -> Form {
        self.forms[expression.index()].given(&self.facts)
    }

    /// The same wherever in the function it is.
    pub(super) fn anywhere(&self, expression: Handle<Expression>) -> Form {
        self.anywhere[expression.index()]
    }

    pub(super) fn evaluate(&mut self, expression: Handle<Expression>) {
        self.forms[expression.index()] = self.form(expression);
    }

    /// What a call gave.
    pub(super) fn returned(&mut self, expression: Handle<Expression>, form: Form) {
        self.forms[expression.index()] = form;
    }

    /// The local that a pointer leads into has another value from here on: this, or one that is not known.
    pub(super) fn store(&mut self, pointer: Handle<Expression>, value: Option<Form>) {
        let Some(Root::Local(local)) = root(self.called.function, pointer) else { return };
        self.versions[local.index()] = self.version();
        let whole = matches!(self.called.function.expressions[pointer], Expression::LocalVariable(_));
        self.held[local.index()] = value.filter(|_| whole);
    }

    /// What is assigned in `block` may have another value from here on.
    pub(super) fn forget(&mut self, block: &Block) {
        for (statement, _) in statements(block) {
            match statement {
                Statement::Store { pointer, .. } => self.store(*pointer, None),
                Statement::Call { arguments, .. } => arguments.iter().for_each(|argument| self.store(*argument, None)),
                _ => {}
            }
        }
    }

    /// What a local was assigned last.
    pub(super) fn held(&self, local: Handle<LocalVariable>) -> Option<Form> {
        self.held[local.index()]
    }

    /// What names the value that a local holds.
    pub(super) fn version_of(&self, local: Handle<LocalVariable>) -> u32 {
        self.versions[local.index()]
    }

    /// Whether its type counts, and its form is not that of a negative number.
    pub(super) fn is_number(&self, expression: Handle<Expression>) -> bool {
        self.type_most(expression).is_some_and(|most| self.of(expression).most <= most)
    }

    /// A local is known to hold this, though it was forgotten.
    pub(super) fn hold(&mut self, local: Handle<LocalVariable>, form: Form) {
        self.held[local.index()] = Some(form);
    }

    fn version(&mut self) -> u32 {
        self.names.versions = self.names.versions.saturating_add(1);
        self.names.versions
    }

    /// The largest value of each local, whatever the order of assignments.
    fn bound(&mut self) {
        let function = self.called.function;
        for (local, variable) in function.local_variables.iter() {
            let Some(init) = variable.init else { continue };
            self.most[local.index()] = self.form(init).most;
        }
        for round in 0..RACE_ROUNDS + UNBOUNDED_ROUNDS {
            for (handle, _) in function.expressions.iter() {
                self.evaluate(handle);
            }
            let mut grew = false;
            for (statement, _) in statements(&function.body) {
                let (pointers, value) = match statement {
                    Statement::Store { pointer, value } => (std::slice::from_ref(pointer), Some(*value)),
                    Statement::Call { arguments, .. } => (arguments.as_slice(), None),
                    _ => continue,
                };
                for pointer in pointers {
                    let Some(Root::Local(local)) = root(function, *pointer) else { continue };
                    let whole = matches!(function.expressions[*pointer], Expression::LocalVariable(_));
                    let most = match value {
                        Some(value) if whole => self.of(value).most,
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
        for (handle, _) in function.expressions.iter() {
            self.evaluate(handle);
        }
    }

    /// The largest value of the expression's type, if it is a number an index can be.
    fn type_most(&self, expression: Handle<Expression>) -> Option<u64> {
        match self.called.info[expression].ty.inner_with(&self.called.module.types) {
            TypeInner::Scalar(scalar) => match scalar.kind {
                ScalarKind::Uint => Some(u64::from(u32::MAX)),
                ScalarKind::Sint => Some(i32::MAX as u64),
                _ => None,
            },
            _ => None,
        }
    }

    fn form(&mut self, handle: Handle<Expression>) -> Form {
        let Some(most) = self.type_most(handle) else { return Form::UNKNOWN };
        let signed = most == i32::MAX as u64;
        let (module, function) = (self.called.module, self.called.function);
        let form = match function.expressions[handle] {
            Expression::Literal(literal) => number(literal),
            Expression::Constant(constant) => match module.global_expressions[module.constants[constant].init] {
                Expression::Literal(literal) => number(literal),
                _ => Form::UNKNOWN,
            },
            Expression::ZeroValue(_) => Form::exactly(0),
            Expression::FunctionArgument(argument) => self.argument(argument, None),
            Expression::AccessIndex { base, index } => self.component(base, index),
            Expression::Load { pointer } => match function.expressions[pointer] {
                Expression::LocalVariable(local) => {
                    let most = self.most[local.index()];
                    match self.held[local.index()] {
                        Some(held) if held.scale().is_some() => held,
                        _ if self.shared.is_shared(handle) => {
                            Form::symbol(Symbol { local, version: self.versions[local.index()], most })
                        }
                        Some(held) => held,
                        None => Form::turns(Symbol { local, version: self.versions[local.index()], most }),
                    }
                }
                _ => Form::UNKNOWN,
            },
            Expression::ArrayLength(_) => Form::range(0, u64::from(BUFFER_WORDS)),
            Expression::As { expr, convert: Some(4) | None, .. } if self.type_most(expr).is_some() => self.of(expr),
            Expression::Math { fun: MathFunction::Min, arg, arg1: Some(other), .. } if !signed => {
                Form::range(0, self.of(arg).most.min(self.of(other).most))
            }
            Expression::Math { fun: MathFunction::Clamp, arg2: Some(high), .. } if !signed => {
                Form::range(0, self.of(high).most)
            }
            Expression::Binary { op, left, right } => self.binary(op, self.of(left), self.of(right), signed),
            _ => Form::UNKNOWN,
        };
        let form = form.within(most, self.called.sides);
        // A number that no form says more of has a name at least.
        let named = self.fixed[handle.index()] && !signed && form.scale().is_none();
        let width = if named { self.width(handle, form.most) } else { None };
        width.map_or(form, Form::width)
    }

    /// Names a value that is the same in the whole dispatch.
    fn width(&mut self, handle: Handle<Expression>, most: u64) -> Option<Width> {
        let origin = self.read(handle).unwrap_or(Origin::Computed(self.called.handle, handle));
        let known = self.names.widths.iter().position(|known| *known == origin);
        let number = known.or_else(|| {
            (self.names.widths.len() < RACE_WIDTHS).then(|| {
                self.names.widths.push(origin);
                self.names.widths.len() - 1
            })
        })?;
        Some(Width::Value { number: u32::try_from(number).ok()?, most: u32::try_from(most).unwrap_or(u32::MAX) })
    }

    fn read(&self, handle: Handle<Expression>) -> Option<Origin> {
        let Expression::Load { pointer } = self.called.function.expressions[handle] else { return None };
        let (mut at, mut path) = (pointer, Vec::new());
        loop {
            match self.called.function.expressions[at] {
                Expression::AccessIndex { base, index } => {
                    path.push(index);
                    at = base;
                }
                Expression::GlobalVariable(global) => return Some(Origin::Read(global, path)),
                _ => return None,
            }
        }
    }

    fn binary(&self, op: BinaryOperator, left: Form, right: Form, signed: bool) -> Form {
        let constant = right.constant();
        let sides = self.called.sides;
        match (op, constant) {
            (BinaryOperator::Add, _) => left.plus(right),
            (BinaryOperator::Subtract, _) => left.minus(right),
            (BinaryOperator::Multiply, _) => match (left.scale(), right.scale()) {
                (_, Some(factor)) => left.times(factor, sides).at_most(left.most.saturating_mul(right.most)),
                (Some(factor), _) => right.times(factor, sides).at_most(left.most.saturating_mul(right.most)),
                _ => Form::range(0, left.most.saturating_mul(right.most)),
            },
            (BinaryOperator::ShiftLeft, Some(count @ 0..32)) => left.times(Scale::number(1 << count), sides),
            // A negative number has a large form already, which these would make small.
            (BinaryOperator::ShiftRight, Some(count)) if !signed => Form::range(0, left.most >> (count & 31)),
            (BinaryOperator::Divide, Some(by @ 1..)) if !signed => Form::range(0, left.most / by),
            (BinaryOperator::Divide, _) if !signed => Form::range(0, left.most),
            (BinaryOperator::Modulo, Some(by @ 1..)) if !signed => Form::range(0, left.most.min(by - 1)),
            (BinaryOperator::And, _) if !signed => Form::range(0, left.most.min(right.most)),
            _ => Form::UNKNOWN,
        }
    }

    /// A component of a vector that is no pointer.
    fn component(&self, vector: Handle<Expression>, component: u32) -> Form {
        let (mut at, mut component) = (vector, component);
        loop {
            match &self.called.function.expressions[at] {
                Expression::FunctionArgument(argument) => return self.argument(*argument, Some(component)),
                Expression::Swizzle { vector, pattern, .. } => {
                    component = pattern[component as usize & 3] as u32;
                    at = *vector;
                }
                Expression::Compose { components, .. } => {
                    let scalar = |part: &Handle<Expression>| self.type_most(*part).is_some();
                    let part = components.get(component as usize).filter(|_| components.iter().all(scalar));
                    return part.map_or(Form::UNKNOWN, |part| self.of(*part));
                }
                _ => return Form::UNKNOWN,
            }
        }
    }

    fn argument(&self, argument: u32, component: Option<u32>) -> Form {
        let sides = self.called.sides;
        let Some(FunctionArgument { binding, .. }) = self.called.function.arguments.get(argument as usize) else {
            return Form::UNKNOWN;
        };
        let given = || self.called.arguments.get(argument as usize).copied().unwrap_or(Form::UNKNOWN);
        let Some(Binding::BuiltIn(builtin)) = binding else {
            return if component.is_none() { given() } else { Form::UNKNOWN };
        };
        match (builtin, component.map(|component| component as usize)) {
            (BuiltIn::LocalInvocationIndex, None) => Form::lane(sides),
            (BuiltIn::LocalInvocationId, Some(axis @ 0..3)) => Form::local(axis, sides),
            (BuiltIn::WorkGroupId, Some(axis @ 0..3)) => Form::group(axis),
            (BuiltIn::GlobalInvocationId, Some(axis @ 0..3)) => Form::global(axis, sides),
            (BuiltIn::NumWorkGroups, Some(axis @ 0..3)) => Form::width(Width::Groups(axis as u8)),
            _ => Form::UNKNOWN,
        }
    }
}

/// Of each expression of a function: whether it has one value in the whole dispatch, wherever it is evaluated.
fn fixed(called: &Called<'_>) -> Vec<bool> {
    let mut fixed: Vec<bool> = Vec::with_capacity(called.function.expressions.len());
    for (_, expression) in called.function.expressions.iter() {
        let is = match expression {
            Expression::FunctionArgument(argument) => {
                let argument = called.function.arguments.get(*argument as usize);
                let binding = argument.and_then(|argument| argument.binding.as_ref());
                called.handle.is_none() && matches!(binding, Some(Binding::BuiltIn(BuiltIn::NumWorkGroups)))
            }
            Expression::GlobalVariable(global) => read_only(called.module, *global),
            // Its length, and no contents.
            Expression::ArrayLength(_) => true,
            Expression::LocalVariable(_) => false,
            other => {
                let mut same = true;
                let pure = operands(&mut other.clone(), |operand| same &= fixed[operand.index()]);
                pure && same
            }
        };
        fixed.push(is);
    }
    fixed
}

/// A number that an index can be; negative ones are none.
fn number(literal: Literal) -> Form {
    match literal {
        Literal::U32(number) => Form::exactly(u64::from(number)),
        Literal::I32(number) => u64::try_from(number).map_or(Form::UNKNOWN, Form::exactly),
        _ => Form::UNKNOWN,
    }
}
