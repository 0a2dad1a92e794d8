//! The last step, by itself: a shader that can be run on a part of its workgroups. Where the part begins, and of how many
//! workgroups it is one, come in a uniform buffer; what the shader asks about its place is made of both.
//!
//! | built-in | becomes |
//! |---|---|
//! | `workgroup_id` | itself + workgroups before |
//! | `global_invocation_id` | itself + workgroups before x workgroup size |
//! | `num_workgroups` | workgroups of the whole |
//!
//! Invocations of different workgroups see nothing of each other but through atomic operations that commute and, in `device`,
//! through races: in whatever parts a dispatch is run, it computes what it may compute in one.

use naga::{
    AddressSpace, Arena, AtomicFunction, BinaryOperator, Binding, Block, BuiltIn, EntryPoint, Expression, Function,
    FunctionArgument, GlobalVariable, Handle, Literal, Module, Range, ResourceBinding, Scalar, Span, Statement,
    StructMember, Type, TypeInner, UniqueArena, VectorSize,
};

use super::value::operands;
use crate::limits::{SLICE_BINDING, SLICE_BYTES};
use crate::refusal::Problem;
use crate::source::{chain, validate};

/// What a sliced shader must be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Asks {
    /// Where its slice begins.
    pub(crate) offset: bool,
    /// How many workgroups there are.
    pub(crate) total: bool,
}

/// Members of the uniform buffer.
const OFFSET: u32 = 0;
const TOTAL: u32 = 1;

/// `module` so that it can be run in slices.
pub(crate) fn slice(module: &Module) -> Result<(Module, Asks), Problem> {
    let mut sliced = module.clone();
    let mut asks = Asks::default();
    for entry in &sliced.entry_points {
        for argument in moved(&entry.function, &sliced.types) {
            for built_in in built_ins(&entry.function.arguments[argument as usize], &sliced.types) {
                asks.offset |= matches!(built_in, BuiltIn::WorkGroupId | BuiltIn::GlobalInvocationId);
                asks.total |= built_in == BuiltIn::NumWorkGroups;
            }
        }
    }
    if asks == Asks::default() {
        return Ok((sliced, asks));
    }
    let given = Given::declare(&mut sliced);
    for entry in &mut sliced.entry_points {
        place(entry, given, &sliced.types)?;
    }
    // A failure is a bug of ours, or of naga's; either way the shader is not run.
    validate(&sliced).map_err(|error| {
        Problem::new(Span::UNDEFINED, format!("sliced shader is not valid: {}", chain(error.as_inner())))
    })?;
    Ok((sliced, asks))
}

/// What the new expressions are made of.
#[derive(Clone, Copy)]
struct Given {
    variable: Handle<GlobalVariable>,
    vector: Handle<Type>,
}

impl Given {
    fn declare(module: &mut Module) -> Self {
        let inner = TypeInner::Vector { size: VectorSize::Tri, scalar: Scalar::U32 };
        let vector = module.types.insert(Type { name: None, inner }, Span::UNDEFINED);
        let member =
            |name: &str, offset| StructMember { name: Some(name.to_owned()), ty: vector, binding: None, offset };
        let members = vec![member("offset", 0), member("total", SLICE_BYTES / 2)];
        let inner = TypeInner::Struct { members, span: SLICE_BYTES };
        let ty = module.types.insert(Type { name: Some("P2c2rSlice".to_owned()), inner }, Span::UNDEFINED);
        let variable = GlobalVariable {
            name: Some("p2c2r_slice".to_owned()),
            space: AddressSpace::Uniform,
            binding: Some(ResourceBinding { group: 0, binding: SLICE_BINDING }),
            ty,
            init: None,
            memory_decorations: naga::MemoryDecorations::empty(),
        };
        Self { variable: module.global_variables.append(variable, Span::UNDEFINED), vector }
    }
}

/// Indices of the arguments that the body uses and that depend on the slice.
fn moved(function: &Function, types: &UniqueArena<Type>) -> Vec<u32> {
    let depends =
        |built_in| matches!(built_in, BuiltIn::WorkGroupId | BuiltIn::GlobalInvocationId | BuiltIn::NumWorkGroups);
    let used =
        |index| function.expressions.iter().any(|(_, e)| matches!(e, Expression::FunctionArgument(i) if *i == index));
    let arguments = (0u32..).zip(&function.arguments);
    arguments.filter(|(i, a)| built_ins(a, types).any(depends) && used(*i)).map(|(i, _)| i).collect()
}

/// Those of an argument, or of the members of its struct.
fn built_ins<'a>(
    argument: &'a FunctionArgument,
    types: &'a UniqueArena<Type>,
) -> impl Iterator<Item = BuiltIn> + use<'a> {
    let members = match &types[argument.ty].inner {
        TypeInner::Struct { members, .. } => members.as_slice(),
        _ => &[],
    };
    let bindings = std::iter::once(&argument.binding).chain(members.iter().map(|member| &member.binding));
    bindings.filter_map(|binding| built_in(binding.as_ref()))
}

fn built_in(binding: Option<&Binding>) -> Option<BuiltIn> {
    match binding {
        Some(Binding::BuiltIn(built_in)) => Some(*built_in),
        _ => None,
    }
}

/// Computes the new arguments at the head of the body, before all that was there.
fn place(entry: &mut EntryPoint, given: Given, types: &UniqueArena<Type>) -> Result<(), Problem> {
    let size = entry.workgroup_size;
    let function = &mut entry.function;
    let arguments = moved(function, types);
    let mut head = Head::new(&arguments, size, given);
    let first_computed = head.expressions.len();
    let placed: Vec<_> = arguments
        .iter()
        .enumerate()
        .map(|(at, index)| (*index, head.argument(at, &function.arguments[*index as usize], types)))
        .collect();
    let computed: Vec<_> = head.expressions.iter().skip(first_computed).map(|(handle, _)| handle).collect();

    // What was there before follows, each expression as many places later.
    let mut expressions = head.expressions;
    let mut moves = Moves(Vec::with_capacity(function.expressions.len()));
    for (handle, old) in function.expressions.iter() {
        let span = function.expressions.get_span(handle);
        let mut new = old.clone();
        moves.expression(&mut new, span)?;
        let new = expressions.append(new, span);
        let replaced = match old {
            Expression::FunctionArgument(index) => placed.iter().find(|(of, _)| of == index).map(|(_, by)| *by),
            _ => None,
        };
        moves.0.push(Moved { place: new, value: replaced.unwrap_or(new) });
    }
    function.expressions = expressions;
    for (_, local) in function.local_variables.iter_mut() {
        local.init.iter_mut().for_each(|init| moves.operand(init));
    }
    function.named_expressions = function
        .named_expressions
        .drain(..)
        .map(|(mut handle, name)| {
            moves.operand(&mut handle);
            (handle, name)
        })
        .collect();
    moves.block(&mut function.body)?;
    if let (Some(first), Some(last)) = (computed.first(), computed.last()) {
        let body = std::mem::take(&mut function.body);
        function.body = Block::from_vec(vec![Statement::Emit(Range::new_from_bounds(*first, *last))]);
        function.body.extend_block(body);
    }
    Ok(())
}

/// The new expressions: first those that need no evaluation, then those that do.
struct Head {
    expressions: Arena<Expression>,
    given: Given,
    slice: Handle<Expression>,
    arguments: Vec<Handle<Expression>>,
    size: [Handle<Expression>; 3],
}

impl Head {
    fn new(arguments: &[u32], size: [u32; 3], given: Given) -> Self {
        let mut expressions = Arena::new();
        let mut append = |expression| expressions.append(expression, Span::UNDEFINED);
        let slice = append(Expression::GlobalVariable(given.variable));
        let arguments = arguments.iter().map(|index| append(Expression::FunctionArgument(*index))).collect();
        let size = size.map(|n| append(Expression::Literal(Literal::U32(n))));
        Self { expressions, given, slice, arguments, size }
    }

    fn argument(&mut self, at: usize, argument: &FunctionArgument, types: &UniqueArena<Type>) -> Handle<Expression> {
        let value = self.arguments[at];
        if let Some(built_in) = built_in(argument.binding.as_ref()) {
            return self.placed(built_in, value);
        }
        let TypeInner::Struct { members, .. } = &types[argument.ty].inner else { return value };
        let components = (0u32..).zip(members).map(|(index, member)| {
            let value = self.append(Expression::AccessIndex { base: value, index });
            built_in(member.binding.as_ref()).map_or(value, |built_in| self.placed(built_in, value))
        });
        let components = components.collect();
        self.append(Expression::Compose { ty: argument.ty, components })
    }

    fn placed(&mut self, built_in: BuiltIn, value: Handle<Expression>) -> Handle<Expression> {
        match built_in {
            BuiltIn::WorkGroupId => {
                let before = self.member(OFFSET);
                self.binary(BinaryOperator::Add, value, before)
            }
            BuiltIn::GlobalInvocationId => {
                let before = self.member(OFFSET);
                let size = self.append(Expression::Compose { ty: self.given.vector, components: self.size.to_vec() });
                let before = self.binary(BinaryOperator::Multiply, before, size);
                self.binary(BinaryOperator::Add, value, before)
            }
            BuiltIn::NumWorkGroups => self.member(TOTAL),
            _ => value,
        }
    }

    fn member(&mut self, index: u32) -> Handle<Expression> {
        let pointer = self.append(Expression::AccessIndex { base: self.slice, index });
        self.append(Expression::Load { pointer })
    }

    fn binary(
        &mut self,
        op: BinaryOperator,
        left: Handle<Expression>,
        right: Handle<Expression>,
    ) -> Handle<Expression> {
        self.append(Expression::Binary { op, left, right })
    }

    fn append(&mut self, expression: Expression) -> Handle<Expression> {
        self.expressions.append(expression, Span::UNDEFINED)
    }
}

/// Where an old expression is now.
#[derive(Clone, Copy)]
struct Moved {
    /// As it was.
    place: Handle<Expression>,
    /// What stands for it.
    value: Handle<Expression>,
}

/// Where all old expressions are, by their index. Recursive over blocks and nothing else, which [`crate::nesting`] bounds.
struct Moves(Vec<Moved>);

impl Moves {
    fn operand(&self, handle: &mut Handle<Expression>) {
        *handle = self.0[handle.index()].value;
    }

    /// Operands come before what uses them.
    fn expression(&self, expression: &mut Expression, span: Span) -> Result<(), Problem> {
        let alone = matches!(
            expression,
            Expression::CallResult(_) | Expression::AtomicResult { .. } | Expression::WorkGroupUniformLoadResult { .. }
        );
        if alone || operands(expression, |operand| self.operand(operand)) {
            return Ok(());
        }
        Err(Problem::new(span, "this kind of expression is not allowed in a kernel"))
    }

    fn block(&self, block: &mut Block) -> Result<(), Problem> {
        block
            .span_iter_mut()
            .try_for_each(|(statement, span)| self.statement(statement, span.map_or(Span::UNDEFINED, |span| *span)))
    }

    fn statement(&self, statement: &mut Statement, span: Span) -> Result<(), Problem> {
        match statement {
            Statement::Emit(range) => {
                if let Some((first, last)) = range.first_and_last() {
                    let place = |handle: Handle<Expression>| self.0[handle.index()].place;
                    *range = Range::new_from_bounds(place(first), place(last));
                }
            }
            Statement::Block(block) => self.block(block)?,
            Statement::If { condition, accept, reject } => {
                self.operand(condition);
                self.block(accept)?;
                self.block(reject)?;
            }
            Statement::Switch { selector, cases } => {
                self.operand(selector);
                cases.iter_mut().try_for_each(|case| self.block(&mut case.body))?;
            }
            Statement::Loop { body, continuing, break_if } => {
                self.block(body)?;
                self.block(continuing)?;
                break_if.iter_mut().for_each(|condition| self.operand(condition));
            }
            Statement::Return { value } => value.iter_mut().for_each(|value| self.operand(value)),
            Statement::Store { pointer, value } => {
                [pointer, value].into_iter().for_each(|operand| self.operand(operand))
            }
            Statement::Atomic { pointer, fun, value, result } => {
                [pointer, value].into_iter().for_each(|operand| self.operand(operand));
                if let AtomicFunction::Exchange { compare: Some(compare) } = fun {
                    self.operand(compare);
                }
                result.iter_mut().for_each(|result| self.operand(result));
            }
            Statement::WorkGroupUniformLoad { pointer, result } => {
                [pointer, result].into_iter().for_each(|operand| self.operand(operand));
            }
            Statement::Call { function: _, arguments, result } => {
                arguments.iter_mut().chain(result).for_each(|operand| self.operand(operand));
            }
            Statement::Break | Statement::Continue | Statement::ControlBarrier(_) | Statement::MemoryBarrier(_) => {}
            _ => return Err(Problem::new(span, "this kind of statement is not allowed in a kernel")),
        }
        Ok(())
    }
}
