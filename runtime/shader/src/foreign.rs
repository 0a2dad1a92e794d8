//! What WGSL has and kernels do not: said in their author's words, before naga's validator says it in its own.

use naga::{AddressSpace, ArraySize, Barrier, Binding, BuiltIn, Module, Statement, TypeInner};

use crate::nesting;
use crate::refusal::Problem;
use crate::source::{functions, statements};

const SUBGROUPS: &str = "subgroups are not allowed: how many invocations are in one differs between adapters; use workgroup \
                         variables and workgroupBarrier()";

/// Refuses textures, uniform buffers, overrides, subgroups and the like.
pub(crate) fn check(module: &Module, wgsl: &str) -> Result<(), Problem> {
    if let Some((handle, _)) = module.overrides.iter().next() {
        let reason = "override declarations are not allowed: use a constant, or read the number from a buffer";
        return Err(Problem::new(module.overrides.get_span(handle), reason));
    }
    for (handle, global) in module.global_variables.iter() {
        if global.space == AddressSpace::Uniform {
            let reason = "uniform buffers are not available: use var<storage, read>";
            return Err(Problem::new(module.global_variables.get_span(handle), reason));
        }
        if let Some(what) = foreign(&module.types[global.ty].inner) {
            let reason = format!("{what} are not allowed: keep what you look up in a storage buffer");
            return Err(Problem::new(module.global_variables.get_span(handle), reason));
        }
    }
    for (handle, ty) in module.types.iter() {
        if let Some(what) = foreign(&ty.inner) {
            return Err(Problem::new(module.types.get_span(handle), format!("{what} are not allowed")));
        }
    }
    for function in functions(module) {
        for (statement, span) in statements(&function.body) {
            let subgroup = match statement {
                Statement::SubgroupBallot { .. }
                | Statement::SubgroupGather { .. }
                | Statement::SubgroupCollectiveOperation { .. } => true,
                Statement::ControlBarrier(barrier) | Statement::MemoryBarrier(barrier) => {
                    barrier.contains(Barrier::SUB_GROUP)
                }
                _ => false,
            };
            if subgroup {
                return Err(Problem::new(span, SUBGROUPS));
            }
        }
    }
    let inputs = module.entry_points.iter().flat_map(|entry| &entry.function.arguments);
    let members = module.types.iter().filter_map(|(_, ty)| match &ty.inner {
        TypeInner::Struct { members, .. } => Some(members.iter().map(|member| member.binding.as_ref())),
        _ => None,
    });
    for binding in inputs.map(|input| input.binding.as_ref()).chain(members.flatten()).flatten() {
        let name = match binding {
            Binding::BuiltIn(BuiltIn::NumSubgroups) => "num_subgroups",
            Binding::BuiltIn(BuiltIn::SubgroupId) => "subgroup_id",
            Binding::BuiltIn(BuiltIn::SubgroupSize) => "subgroup_size",
            Binding::BuiltIn(BuiltIn::SubgroupInvocationId) => "subgroup_invocation_id",
            _ => continue,
        };
        return Err(Problem::new(nesting::word(wgsl, name), SUBGROUPS));
    }
    Ok(())
}

fn foreign(ty: &TypeInner) -> Option<&'static str> {
    match ty {
        TypeInner::Image { .. } => Some("textures"),
        TypeInner::Sampler { .. } => Some("samplers"),
        TypeInner::BindingArray { .. } => Some("binding arrays"),
        TypeInner::AccelerationStructure { .. } | TypeInner::RayQuery { .. } => Some("ray queries"),
        TypeInner::CooperativeMatrix { .. } => Some("cooperative matrices"),
        TypeInner::Array { size: ArraySize::Pending(_), .. } => Some("array sizes that are not constant"),
        _ => None,
    }
}
