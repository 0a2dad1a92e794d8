//! What WGSL leaves to the machine: floats above all, the order of atomic operations, and bytes that belong to no member.

use naga::valid::{FunctionInfo, ModuleInfo};
use naga::{
    AddressSpace, AtomicFunction, Expression, Function, Handle, MathFunction as M, Module, ScalarKind, Statement, Type,
    TypeInner, VectorSize,
};

use crate::limits::FINDINGS;
use crate::nesting::calls;
use crate::refusal::Problem;
use crate::source::statements;
use crate::uniform::{Root, root};

/// Every reason but races for which results may differ between machines; more than [`FINDINGS`] of one function are left out.
pub(crate) fn problems(wgsl: &str, module: &Module, info: &ModuleInfo) -> Vec<Problem> {
    let types = Types { floats: types_with_floats(module), gaps: types_with_gaps(module) };
    let mut problems = Vec::new();
    for (handle, function) in module.functions.iter() {
        function_problems(module, function, &info[handle], &types, &mut problems);
    }
    for (index, entry) in module.entry_points.iter().enumerate() {
        function_problems(module, &entry.function, info.get_entry_point(index), &types, &mut problems);
    }
    if problems.is_empty() {
        // Of what was computed while parsing nothing is left but the result.
        let own = |name| module.functions.iter().any(|(_, function)| function.name.as_deref() == Some(name));
        let calls = calls(wgsl).filter(|(name, _)| HOST_FUNCTIONS.contains(name) && !own(name));
        problems.extend(calls.take(FINDINGS).map(|(name, span)| {
            let reason = format!(
                "naga computes {name}() with the C library of whoever reads the shader, and those differ in the last bit; \
                 write the number"
            );
            Problem::new(span, reason)
        }));
    }
    problems
}

/// Built-in functions of floats that Rust leaves to the C library, and its precision with them; what else naga computes is rounded
/// as IEEE 754 says.
const HOST_FUNCTIONS: &[&str] = &[
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cos", "cosh", "exp", "exp2", "log", "log2", "pow",
    "sin", "sinh", "tan", "tanh",
];

/// What is known of each type of the module.
struct Types {
    /// A value of it holds a float.
    floats: Vec<bool>,
    /// In a buffer it has bytes that are no part of a value, or is a `vec3`, which has such behind it.
    gaps: Vec<bool>,
}

fn function_problems(
    module: &Module,
    function: &Function,
    info: &FunctionInfo,
    types: &Types,
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
        let reason = if is_float(info[handle].ty.inner_with(&module.types), &types.floats) {
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
            Statement::Store { pointer, .. } if dirties_gaps(module, function, info, &types.gaps, *pointer) => {
                "a vec3, or a value with gaps between its members, is stored in a buffer, and adapters differ in what they \
                 leave in the gaps; use vec4 or single numbers in structs and arrays that are written"
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

/// Whether a store through `pointer` may reach bytes of a buffer that belong to no value. Compilers do: they store a `vec3` with a
/// fourth component, copy structs whole, and write a component of a vector by writing the vector.
fn dirties_gaps(
    module: &Module,
    function: &Function,
    info: &FunctionInfo,
    gaps: &[bool],
    pointer: Handle<Expression>,
) -> bool {
    let in_buffer = match root(function, pointer) {
        Some(Root::Global(global)) => {
            matches!(module.global_variables[global].space, AddressSpace::Storage { .. })
        }
        _ => false,
    };
    let pointee = |pointer: Handle<Expression>| match info[pointer].ty.inner_with(&module.types) {
        TypeInner::Pointer { base, .. } => gaps[base.index()],
        TypeInner::ValuePointer { size, .. } => *size == Some(VectorSize::Tri),
        _ => false,
    };
    let vector = match function.expressions[pointer] {
        Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => {
            let inner = match info[base].ty.inner_with(&module.types) {
                TypeInner::Pointer { base, .. } => &module.types[*base].inner,
                inner => inner,
            };
            matches!(
                inner,
                TypeInner::Vector { size: VectorSize::Tri, .. }
                    | TypeInner::ValuePointer { size: Some(VectorSize::Tri), .. }
            )
        }
        _ => false,
    };
    in_buffer && (pointee(pointer) || vector)
}

/// See [`Types::gaps`]. Types come after those they are made of.
fn types_with_gaps(module: &Module) -> Vec<bool> {
    let mut known: Vec<bool> = Vec::with_capacity(module.types.len());
    let bytes = |ty: Handle<Type>| module.types[ty].inner.size(module.to_ctx());
    for (_, ty) in module.types.iter() {
        let gaps = match &ty.inner {
            TypeInner::Vector { size, .. } => *size == VectorSize::Tri,
            TypeInner::Array { base, stride, .. } => known[base.index()] || *stride != bytes(*base),
            TypeInner::Struct { members, span } => {
                let mut end = 0;
                let tight = members.iter().all(|member| {
                    let starts = end;
                    end = member.offset + bytes(member.ty);
                    member.offset == starts && !known[member.ty.index()]
                });
                !tight || end != *span
            }
            _ => false,
        };
        known.push(gaps);
    }
    known
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
