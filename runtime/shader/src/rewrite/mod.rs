//! What is changed about a shader before a driver sees it.
//!
//! - **Loops end.** Each invocation has [`LOOP_FUEL`] iterations of loops without a barrier and [`LOOP_ROUNDS`] of loops with
//!   one. When they are used up it sets the trap word, leaves the loop it is in, and every loop it comes to afterwards, and
//!   runs on to its end. It never skips a barrier: loops with a barrier are counted apart, and since
//!   [`crate::uniform`] has shown that all invocations of a workgroup go round them together, they leave them together.
//!   Loops without a barrier whose length is known when they begin are counted all at once ([`counted`]).
//! - **Indices stay inside.** A load out of range gives zero and a store, or an atomic operation, does nothing. Drivers
//!   clamp or give zero, each as it likes.
//! - **Shift counts** are taken modulo 32, as WGSL says and naga's back ends do not.
//!
//! Division by zero, `i32` overflow in division and in `%`, `clamp` with its bounds crossed, `extractBits` and `insertBits`
//! past the word, and conversions out of range have one result in WGSL, and naga 30 writes them out so for every back end
//! (`emit_int_div_checks`, on in wgpu's checked modules): nothing is left to do for them.

pub(crate) use slice::{Asks, slice};
pub(crate) use value::operands;

mod body;
mod counted;
mod slice;
mod value;

use naga::valid::ModuleInfo;
use naga::{
    AddressSpace, Expression, GlobalVariable, Handle, Literal, Module, ResourceBinding, Scalar, Span, StorageAccess,
    Type, TypeInner,
};

use crate::barrier::Barriers;
use crate::limits::{LOOP_FUEL, LOOP_ROUNDS, TRAP_BINDING};
use crate::refusal::Problem;
use crate::source::{chain, functions, statements, validate};

/// The variables that the budget of an invocation is kept in.
#[derive(Clone, Copy)]
struct Budget {
    /// Set to 1 by whoever runs out; shared by the whole dispatch.
    trap: Handle<GlobalVariable>,
    /// Iterations left of loops without a barrier.
    fuel: Handle<GlobalVariable>,
    /// Iterations left of loops with a barrier.
    rounds: Handle<GlobalVariable>,
}

/// A module that was rewritten and validated again.
pub(crate) struct Written {
    pub(crate) module: Module,
    pub(crate) info: ModuleInfo,
    /// Whether it has a trap word.
    pub(crate) has_trap: bool,
}

/// Rewrites `module` and validates it again.
pub(crate) fn rewrite(module: &Module, info: &ModuleInfo, barriers: &Barriers) -> Result<Written, Problem> {
    let loops = functions(module)
        .flat_map(|f| statements(&f.body))
        .any(|(statement, _)| matches!(statement, naga::Statement::Loop { .. }));
    let mut rewritten = module.clone();
    let budget = loops.then(|| Budget::declare(&mut rewritten));

    let types = &mut rewritten.types;
    for (handle, function) in module.functions.iter() {
        let writer = body::Writer::new(module, function, &info[handle], types, barriers, budget);
        *rewritten.functions.get_mut(handle) = writer.function(None)?;
    }
    for (index, (entry, new)) in module.entry_points.iter().zip(&mut rewritten.entry_points).enumerate() {
        let writer = body::Writer::new(module, &entry.function, info.get_entry_point(index), types, barriers, budget);
        new.function = writer.function(Some(entry.workgroup_size))?;
    }
    // A failure is a bug of ours, or of naga's; either way the shader is not run.
    let info = validate(&rewritten).map_err(|error| {
        Problem::new(Span::UNDEFINED, format!("rewritten shader is not valid: {}", chain(error.as_inner())))
    })?;
    Ok(Written { module: rewritten, info, has_trap: loops })
}

impl Budget {
    fn declare(module: &mut Module) -> Self {
        let scalar = |inner| Type { name: None, inner };
        let word = module.types.insert(scalar(TypeInner::Scalar(Scalar::U32)), Span::UNDEFINED);
        let atomic = module.types.insert(scalar(TypeInner::Atomic(Scalar::U32)), Span::UNDEFINED);
        let trap = module.global_variables.append(
            GlobalVariable {
                name: Some("p2c2r_trap".to_owned()),
                space: AddressSpace::Storage { access: StorageAccess::LOAD | StorageAccess::STORE },
                binding: Some(ResourceBinding { group: 0, binding: TRAP_BINDING }),
                ty: atomic,
                init: None,
                memory_decorations: naga::MemoryDecorations::empty(),
            },
            Span::UNDEFINED,
        );
        let mut counter = |name: &str, count| {
            let init = module.global_expressions.append(Expression::Literal(Literal::U32(count)), Span::UNDEFINED);
            let variable = GlobalVariable {
                name: Some(name.to_owned()),
                space: AddressSpace::Private,
                binding: None,
                ty: word,
                init: Some(init),
                memory_decorations: naga::MemoryDecorations::empty(),
            };
            module.global_variables.append(variable, Span::UNDEFINED)
        };
        Self { trap, fuel: counter("p2c2r_fuel", LOOP_FUEL), rounds: counter("p2c2r_rounds", LOOP_ROUNDS) }
    }
}
