//! What WGSL leaves to the machine: floats above all, and the order of atomic operations.

use naga::valid::{FunctionInfo, ModuleInfo};
use naga::{AtomicFunction, Expression, Function, MathFunction as M, Module, ScalarKind, Statement, TypeInner};

use crate::limits::FINDINGS;
use crate::refusal::Problem;
use crate::source::statements;

/// Every reason but races for which results may differ between machines; more than [`FINDINGS`] of one function are left out.
pub(crate) fn problems(module: &Module, info: &ModuleInfo) -> Vec<Problem> {
    let floats = types_with_floats(module);
    let mut problems = Vec::new();
    for (handle, function) in module.functions.iter() {
        function_problems(module, function, &info[handle], &floats, &mut problems);
    }
    for (index, entry) in module.entry_points.iter().enumerate() {
        function_problems(module, &entry.function, info.get_entry_point(index), &floats, &mut problems);
    }
    problems
}

fn function_problems(
    module: &Module,
    function: &Function,
    info: &FunctionInfo,
    floats: &[bool],
    problems: &mut Vec<Problem>,
) {
    let most = problems.len() + FINDINGS;
    for (handle, expression) in function.expressions.iter() {
        if problems.len() >= most {
            return;
        }
        // What is left of a constant that was computed while parsing.
        if info[handle].ref_count == 0 && !matches!(expression, Expression::CallResult(_)) {
            continue;
        }
        let reason = if is_float(info[handle].ty.inner_with(&module.types), floats) {
            "this is a float, which adapters round differently; use integers or fixed point, or result_class = \"device\""
        } else if !allowed(expression) {
            "the result of this built-in function depends on the adapter"
        } else {
            continue;
        };
        problems.push(Problem::new(function.expressions.get_span(handle), reason));
    }
    for (statement, span) in statements(&function.body) {
        if problems.len() >= most {
            return;
        }
        let reason = match statement {
            Statement::Atomic { fun: AtomicFunction::Exchange { .. }, .. } => {
                "atomic exchanges depend on the order in which invocations come; use add, sub, min, max, and, or, xor"
            }
            Statement::Atomic { result: Some(result), .. } if info[*result].ref_count > 0 => {
                "what an atomic operation returns depends on the order in which invocations come; do not use it, and read the \
                 total in the next dispatch"
            }
            Statement::Emit(_)
            | Statement::Block(_)
            | Statement::If { .. }
            | Statement::Switch { .. }
            | Statement::Loop { .. }
            | Statement::Break
            | Statement::Continue
            | Statement::Return { .. }
            | Statement::ControlBarrier(_)
            | Statement::Store { .. }
            | Statement::Atomic { .. }
            | Statement::WorkGroupUniformLoad { .. }
            | Statement::Call { .. } => continue,
            _ => "the result of this statement depends on the adapter",
        };
        problems.push(Problem::new(span, reason));
    }
}

/// Of each type of the module: whether a value of it holds a float. Types come after those they are made of.
fn types_with_floats(module: &Module) -> Vec<bool> {
    let mut known: Vec<bool> = Vec::with_capacity(module.types.len());
    for (_, ty) in module.types.iter() {
        let float = match &ty.inner {
            TypeInner::Array { base, .. } => known[base.index()],
            TypeInner::Struct { members, .. } => members.iter().any(|member| known[member.ty.index()]),
            inner => is_float(inner, &known),
        };
        known.push(float);
    }
    known
}

/// Whether a value of this type holds a float. A pointer holds none: what is loaded through it is looked at by itself.
fn is_float(inner: &TypeInner, floats: &[bool]) -> bool {
    match inner {
        TypeInner::Array { base, .. } => floats[base.index()],
        TypeInner::Struct { members, .. } => members.iter().any(|member| floats[member.ty.index()]),
        TypeInner::Scalar(scalar)
        | TypeInner::Vector { scalar, .. }
        | TypeInner::Matrix { scalar, .. }
        | TypeInner::Atomic(scalar) => matches!(scalar.kind, ScalarKind::Float | ScalarKind::AbstractFloat),
        _ => false,
    }
}

/// Kinds of expression whose result WGSL fixes, given that no float is near.
fn allowed(expression: &Expression) -> bool {
    match expression {
        Expression::Literal(_)
        | Expression::Constant(_)
        | Expression::ZeroValue(_)
        | Expression::Compose { .. }
        | Expression::Access { .. }
        | Expression::AccessIndex { .. }
        | Expression::Splat { .. }
        | Expression::Swizzle { .. }
        | Expression::FunctionArgument(_)
        | Expression::GlobalVariable(_)
        | Expression::LocalVariable(_)
        | Expression::Load { .. }
        | Expression::Unary { .. }
        | Expression::Binary { .. }
        | Expression::Select { .. }
        | Expression::As { .. }
        | Expression::CallResult(_)
        | Expression::AtomicResult { .. }
        | Expression::WorkGroupUniformLoadResult { .. }
        | Expression::ArrayLength(_) => true,
        Expression::Relational { fun, .. } => {
            matches!(fun, naga::RelationalFunction::All | naga::RelationalFunction::Any)
        }
        Expression::Math { fun, .. } => INTEGER_FUNCTIONS.contains(fun),
        _ => false,
    }
}

/// Built-in functions that are defined bit by bit.
const INTEGER_FUNCTIONS: &[M] = &[
    M::Abs,
    M::Min,
    M::Max,
    M::Clamp,
    M::Sign,
    M::Dot,
    M::Dot4I8Packed,
    M::Dot4U8Packed,
    M::CountTrailingZeros,
    M::CountLeadingZeros,
    M::CountOneBits,
    M::ReverseBits,
    M::ExtractBits,
    M::InsertBits,
    M::FirstTrailingBit,
    M::FirstLeadingBit,
    M::Pack4xI8,
    M::Pack4xU8,
    M::Pack4xI8Clamp,
    M::Pack4xU8Clamp,
    M::Unpack4xI8,
    M::Unpack4xU8,
];
