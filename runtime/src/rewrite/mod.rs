//! What is changed about a module before it is compiled, so that its results are the same in every engine.
//!
//! Two things are open in WebAssembly that a kernel could tell: the bits of a NaN that arithmetic produces, and how
//! deep calls may nest. Both are closed here, in WebAssembly itself, so whatever engine compiles the result agrees.
//! Module, manifest and identity stay those that were signed; nothing rewritten leaves this crate.
//!
//! # NaNs
//! The rewritten module computes what the specification's deterministic profile says: an arithmetic instruction that
//! gives a NaN gives the canonical one (positive, only the first bit of the payload set), in every lane. All other
//! instructions keep every bit, payloads of loaded NaNs included.
//!
//! The bits are put right where somebody looks at them, not where they arise. Arithmetic, comparison and conversion to
//! an integer do not look, so in `a * b + c` only the sum is canonicalised, and a sum that a loop carries along only
//! after the loop. `neg`, `abs`, moving whole lanes of a vector, and calls of functions that nothing else reaches hand on who
//! looks. A store, `reinterpret`, a call through a table, a global and every other instruction do look. [`values`] says how the
//! places are found.
//!
//! # Stack
//! Native frames differ between engines, and between two configurations of one. So calls count instead, in slots of 8
//! bytes: a function's parameters, locals, highest operand stack and [`FRAME_SLOTS`]. Every call that may be part of
//! a recursion takes its callee's slots from a global and gives them back when it returns; who takes the global below
//! zero traps, at the same call everywhere. Other calls cannot nest deeper than the module is long and cost nothing.
//! [`calls`] says which are which.
//!
//! The pass takes time in proportion to the module. What it may add is bounded
//! ([`crate::limits::REWRITTEN_FUNCTION_BYTES`]).
//!
//! [`FRAME_SLOTS`]: crate::limits::FRAME_SLOTS

mod body;
mod calls;
mod emit;
mod float;
#[cfg(test)]
mod tests;
mod values;

use std::borrow::Cow;
use std::collections::HashSet;

use wasm_encoder::SectionId;
use wasmparser::{
    ConstExpr, ElementItems, Export, ExternalKind, FuncValidatorAllocations, Import, Operator, Parser, Payload,
    TableInit, TypeRef, ValidPayload, Validator, WasmFeatures,
};

use self::body::{Body, Reader};
use self::calls::Charges;
use self::emit::{Code, Growth, Sections};
use self::values::Values;
use crate::kernel::LoadError;

/// Exports whose names start like this belong to the sandbox; a module that has one of its own breaks the contract.
const RESERVED: &str = "p2c2r.sandbox.";

/// The global that counts the stack. Only there where something is counted.
pub(crate) const STACK_EXPORT: &str = "p2c2r.sandbox.stack";

/// The start function of a module that counts its stack: the host calls it, as it could not look at the global after
/// an instantiation that failed.
pub(crate) const START_EXPORT: &str = "p2c2r.sandbox.start";

/// Why there is no rewritten module.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The module breaks the contract.
    BadAbi(String),
    /// It would become too large.
    Load(LoadError),
}

impl Refusal {
    fn bound(what: &'static str, got: u64, max: u64) -> Result<(), Self> {
        if got > max { Err(Self::Load(LoadError::TooLarge { what, got, max })) } else { Ok(()) }
    }
}

impl From<wasmparser::BinaryReaderError> for Refusal {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::BadAbi(error.to_string())
    }
}

/// The module to compile in place of `bytes`: the same bytes if there is nothing to change.
///
/// # Errors
/// [`Refusal`] if the module is not valid, uses a reserved name, or would become too large.
pub(crate) fn rewrite(bytes: &[u8], features: WasmFeatures) -> Result<Cow<'_, [u8]>, Refusal> {
    rewrite_within(bytes, features, Growth::MOST, Parts { nans: true, stack: true })
}

/// What is done to a module; less than both is only good for measuring what the other one costs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts {
    pub(crate) nans: bool,
    pub(crate) stack: bool,
}

/// As [`rewrite`], in part.
///
/// # Errors
/// As [`rewrite`].
pub(crate) fn rewrite_partly(bytes: &[u8], features: WasmFeatures, parts: Parts) -> Result<Cow<'_, [u8]>, Refusal> {
    rewrite_within(bytes, features, Growth::MOST, parts)
}

fn rewrite_within(
    bytes: &[u8],
    features: WasmFeatures,
    growth: Growth,
    parts: Parts,
) -> Result<Cow<'_, [u8]>, Refusal> {
    let mut validator = Validator::new_with_features(features);
    let mut reader = Reader {
        open: HashSet::new(),
        imported: 0,
        values: Values::new(),
        allocations: FuncValidatorAllocations::default(),
    };
    let mut module = Sections { sections: Vec::new(), start: None };
    let (mut bodies, mut sources): (Vec<Body>, Vec<_>) = (Vec::new(), Vec::new());
    let mut referenced = Vec::new();
    let mut types = None;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        match validator.payload(&payload)? {
            ValidPayload::Func(function, source) => {
                let mut body = body::read(function, &source, &mut reader)?;
                referenced.append(&mut body.references);
                bodies.push(body);
                sources.push(source);
            }
            ValidPayload::End(all) => types = Some(all),
            ValidPayload::Ok | ValidPayload::Parser(_) => {}
        }
        references(&payload, &mut referenced)?;
        match &payload {
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports() {
                    let Import { module, name, ty } = import?;
                    // The validator lets them in whether or not their feature is on, and the compiler takes none.
                    if matches!(ty, TypeRef::FuncExact(_)) {
                        let import = format!("{module}.{name}");
                        return Err(Refusal::BadAbi(format!(
                            "import {import:?} is of an exact type, a feature that is off"
                        )));
                    }
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports.clone() {
                    let Export { name, kind, index } = export?;
                    if kind == ExternalKind::Func {
                        reader.open.insert(index);
                    }
                    if name.starts_with(RESERVED) {
                        return Err(Refusal::BadAbi(format!("export {name:?} has a name of the sandbox's own")));
                    }
                }
            }
            Payload::StartSection { func, .. } => module.start = Some(*func),
            // All that the code may take a reference of was named before it.
            Payload::CodeSectionStart { count, .. } => {
                reader.imported = validator.types(0).map_or(0, |types| types.function_count()).saturating_sub(*count);
                reader.open.extend(referenced.iter().chain(&module.start));
            }
            _ => {}
        }
        if let Some((id, range)) = payload.as_section()
            && let Some(id) = section_id(id)
        {
            module.sections.push((id, &bytes[range]));
        }
    }
    let Some(types) = types else { return Ok(Cow::Borrowed(bytes)) };
    let types = types.as_ref();
    let imported = types.function_count().saturating_sub(bodies.len() as u32);
    for (body, canon) in bodies.iter_mut().zip(reader.values.solve()) {
        if parts.nans {
            body.canon = canon;
        }
    }
    let charges = Charges::new(types, imported, &bodies, &referenced);
    if !parts.stack {
        bodies.iter_mut().for_each(|body| body.calls.clear());
    }
    let mut code = Code::new(&charges, types.global_count(), growth);
    for (index, (source, body)) in sources.iter().zip(&bodies).enumerate() {
        code.function(index, source, body)?;
    }
    if !code.changed() {
        return Ok(Cow::Borrowed(bytes));
    }
    let (code, depth) = code.finish();
    module.with_code(&code, depth).map(Cow::Owned)
}

/// Collects functions that tables may hold, but for those that code takes a reference of.
fn references(payload: &Payload<'_>, into: &mut Vec<u32>) -> Result<(), Refusal> {
    match payload {
        Payload::TableSection(tables) => {
            for table in tables.clone() {
                if let TableInit::Expr(init) = &table?.init {
                    in_expression(init, into)?;
                }
            }
        }
        Payload::GlobalSection(globals) => {
            for global in globals.clone() {
                in_expression(&global?.init_expr, into)?;
            }
        }
        Payload::ElementSection(elements) => {
            for element in elements.clone() {
                match element?.items {
                    ElementItems::Functions(functions) => {
                        for function in functions {
                            into.push(function?);
                        }
                    }
                    ElementItems::Expressions(_, items) => {
                        for item in items {
                            in_expression(&item?, into)?;
                        }
                    }
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn in_expression(expression: &ConstExpr<'_>, into: &mut Vec<u32>) -> Result<(), Refusal> {
    for operator in expression.get_operators_reader() {
        if let Operator::RefFunc { function_index } = operator? {
            into.push(function_index);
        }
    }
    Ok(())
}

/// Sections a compiler needs. Custom sections are left out: shaders and manifest are read from the signed module.
fn section_id(id: u8) -> Option<SectionId> {
    Some(match id {
        1 => SectionId::Type,
        2 => SectionId::Import,
        3 => SectionId::Function,
        4 => SectionId::Table,
        5 => SectionId::Memory,
        6 => SectionId::Global,
        7 => SectionId::Export,
        8 => SectionId::Start,
        9 => SectionId::Element,
        10 => SectionId::Code,
        11 => SectionId::Data,
        12 => SectionId::DataCount,
        13 => SectionId::Tag,
        _ => return None,
    })
}
