//! From text to a checked module: parsed, validated without any capability, bounded in size and depth.

use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{Block, Function, Module, Span, Statement};

use crate::limits::{CALL_DEPTH, INLINED_NODES, SHADER_BYTES, SHADER_EXPRESSIONS, VALUE_BYTES};
use crate::refusal::{Finding, Place, Problem};
use crate::{declared, foreign, invalid, nesting};

/// Parses and validates `wgsl`.
pub(crate) fn parse(wgsl: &str) -> Result<(Module, ModuleInfo), Finding> {
    let whole = |reason: String| Finding { place: None, reason };
    if wgsl.len() > SHADER_BYTES {
        return Err(whole(format!("text is {} bytes, at most {SHADER_BYTES} are allowed", wgsl.len())));
    }
    declared::check(wgsl, &nesting::declarations(wgsl)?)?;
    let place = |at: naga::SourceLocation| Place { line: at.line_number, column: at.line_position };
    let module = naga::front::wgsl::parse_str(wgsl)
        .map_err(|e| Finding { place: e.location(wgsl).map(place), reason: e.message().to_owned() })?;
    let expressions = functions(&module).map(|f| f.expressions.len()).sum::<usize>() + module.global_expressions.len();
    if expressions > SHADER_EXPRESSIONS {
        return Err(whole(format!("{expressions} expressions, at most {SHADER_EXPRESSIONS} are allowed")));
    }
    foreign::check(&module, wgsl).map_err(|problem| problem.in_text(wgsl))?;
    let info = validate(&module).map_err(|error| invalid::problem(&module, wgsl, &error).in_text(wgsl))?;
    values(&module, &info).map_err(|problem| problem.in_text(wgsl))?;
    inlined(&module).map_err(|problem| problem.in_text(wgsl))?;
    Ok((module, info))
}

/// No capability: no subgroups, 64-bit or 16-bit types, binding arrays, ray queries.
pub(crate) fn validate(module: &Module) -> Result<ModuleInfo, Box<naga::WithSpan<naga::valid::ValidationError>>> {
    Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(module).map_err(Box::new)
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut reason = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    reason
}

/// Every function, callees first, the entry points last.
pub(crate) fn functions(module: &Module) -> impl Iterator<Item = &Function> {
    module.functions.iter().map(|(_, f)| f).chain(module.entry_points.iter().map(|e| &e.function))
}

/// Every statement of `body` with its span, in no particular order; not recursive.
pub(crate) fn statements(body: &Block) -> impl Iterator<Item = (&Statement, Span)> {
    let mut open = vec![body.span_iter()];
    std::iter::from_fn(move || {
        loop {
            let Some((statement, span)) = open.last_mut()?.next() else {
                open.pop();
                continue;
            };
            match statement {
                Statement::Block(inner) => open.push(inner.span_iter()),
                Statement::If { accept, reject, .. } => open.extend([accept.span_iter(), reject.span_iter()]),
                Statement::Switch { cases, .. } => open.extend(cases.iter().map(|case| case.body.span_iter())),
                Statement::Loop { body, continuing, .. } => open.extend([body.span_iter(), continuing.span_iter()]),
                _ => {}
            }
            return Some((statement, *span));
        }
    })
}

/// Bounds what is computed with as a whole: a value has no variable, but compilers make one of it, or one for each of its parts.
fn values(module: &Module, info: &ModuleInfo) -> Result<(), Problem> {
    let named = module.functions.iter().map(|(handle, function)| (function, &info[handle]));
    let entries = module.entry_points.iter().enumerate();
    for (function, info) in named.chain(entries.map(|(at, entry)| (&entry.function, info.get_entry_point(at)))) {
        for (handle, _) in function.expressions.iter().filter(|(handle, _)| info[*handle].ref_count > 0) {
            let bytes = info[handle].ty.inner_with(&module.types).try_size(module.to_ctx());
            if bytes.is_none_or(|bytes| bytes > VALUE_BYTES) {
                let reason = format!(
                    "a value of more than {VALUE_BYTES} bytes; use its elements one by one, and a buffer for a large table"
                );
                return Err(Problem::new(function.expressions.get_span(handle), reason));
            }
        }
    }
    Ok(())
}

/// Bounds the work of an invocation that never loops, and what a compiler makes of it.
fn inlined(module: &Module) -> Result<(), Problem> {
    // Of each function of the arena so far: nodes with all calls replaced, and calls in a row.
    let mut sizes: Vec<(u64, u32)> = Vec::new();
    for function in functions(module) {
        let mut nodes = function.expressions.len() as u64;
        let mut depth = 0;
        for (statement, span) in statements(&function.body) {
            nodes = nodes.saturating_add(1);
            let Statement::Call { function: callee, .. } = statement else { continue };
            let (inner, below) = sizes.get(callee.index()).copied().unwrap_or_default();
            nodes = nodes.saturating_add(inner);
            depth = depth.max(below + 1);
            if depth > CALL_DEPTH {
                return Err(Problem::new(span, format!("more than {CALL_DEPTH} functions call each other in a row")));
            }
            if nodes > INLINED_NODES {
                let reason = format!(
                    "with every call replaced by what it calls the shader has more than {INLINED_NODES} expressions; \
                     call less often, or loop"
                );
                return Err(Problem::new(span, reason));
            }
        }
        sizes.push((nodes, depth));
    }
    Ok(())
}
