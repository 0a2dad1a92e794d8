//! Counts what a module has before the compiler sees it: compiling is the one thing here that cannot be interrupted.

use p2c2r_signing::limits::{MEMORY_BYTES, PAGE_BYTES};
use wasmparser::{
    ConstExpr, DataKind, Element, ElementItems, ElementKind, FunctionBody, Operator, Parser, Payload, TableInit,
};

use crate::kernel::LoadError;
use crate::limits::{
    BLOCKS, CODE_BYTES, CONSTANT_OPERATORS, DATA_SEGMENTS, ELEMENT_SEGMENTS, EXPORTS, FUNCTION_BYTES, FUNCTIONS,
    GLOBALS, IMPORTS, LOCALS, LOOPS, TABLE_ELEMENTS, TABLES, TYPE_VALUES, TYPES,
};

/// Checks every count against its limit. A module that does not parse passes: validation will say why it is wrong.
pub(crate) fn check(bytes: &[u8]) -> Result<(), LoadError> {
    let mut locals = 0u64;
    for payload in Parser::new(0).parse_all(bytes) {
        let Ok(payload) = payload else { return Ok(()) };
        match payload {
            Payload::TypeSection(s) => {
                bound("types", s.count(), TYPES)?;
                for ty in s.into_iter_err_on_gc_types().map_while(Result::ok) {
                    bound("values in one type", (ty.params().len() + ty.results().len()) as u64, TYPE_VALUES)?;
                }
            }
            Payload::ImportSection(s) => bound("imports", s.count(), IMPORTS)?,
            Payload::FunctionSection(s) => bound("functions", s.count(), FUNCTIONS)?,
            Payload::TableSection(s) => {
                bound("tables", s.count(), TABLES)?;
                for table in s.into_iter().map_while(Result::ok) {
                    bound("table elements", table.ty.initial, TABLE_ELEMENTS as u64)?;
                    if let TableInit::Expr(init) = &table.init {
                        check_constant(init)?;
                    }
                }
            }
            Payload::MemorySection(s) => {
                for memory in s.into_iter().map_while(Result::ok) {
                    bound("pages of memory", memory.initial, MEMORY_BYTES / PAGE_BYTES)?;
                }
            }
            Payload::GlobalSection(s) => {
                bound("globals", s.count(), GLOBALS)?;
                for global in s.into_iter().map_while(Result::ok) {
                    check_constant(&global.init_expr)?;
                }
            }
            Payload::ExportSection(s) => bound("exports", s.count(), EXPORTS)?,
            Payload::ElementSection(s) => {
                bound("element segments", s.count(), ELEMENT_SEGMENTS)?;
                s.into_iter().map_while(Result::ok).try_for_each(|segment| check_elements(&segment))?;
            }
            Payload::DataSection(s) => {
                bound("data segments", s.count(), DATA_SEGMENTS)?;
                for segment in s.into_iter().map_while(Result::ok) {
                    if let DataKind::Active { offset_expr, .. } = &segment.kind {
                        check_constant(offset_expr)?;
                    }
                }
            }
            Payload::CodeSectionStart { size, .. } => bound("bytes of code", size, CODE_BYTES as u64)?,
            Payload::CodeSectionEntry(body) => {
                bound("bytes in one function", body.range().len() as u64, FUNCTION_BYTES as u64)?;
                check_locals(&body, &mut locals)?;
                check_blocks(&body)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Adds a function's locals to those before it.
fn check_locals(body: &FunctionBody<'_>, locals: &mut u64) -> Result<(), LoadError> {
    let Ok(groups) = body.get_locals_reader() else { return Ok(()) };
    for (count, _) in groups.into_iter().map_while(Result::ok) {
        *locals = locals.saturating_add(count.into());
        bound("locals", *locals, LOCALS)?;
    }
    Ok(())
}

fn check_blocks(body: &FunctionBody<'_>) -> Result<(), LoadError> {
    let Ok(operators) = body.get_operators_reader() else { return Ok(()) };
    let (mut blocks, mut loops) = (0u32, 0u32);
    for operator in operators.into_iter().map_while(Result::ok) {
        match operator {
            Operator::Block { .. } | Operator::If { .. } => blocks += 1,
            Operator::Loop { .. } => (blocks, loops) = (blocks + 1, loops + 1),
            _ => continue,
        }
        bound("blocks in one function", blocks, BLOCKS)?;
        bound("loops in one function", loops, LOOPS)?;
    }
    Ok(())
}

fn check_elements(segment: &Element<'_>) -> Result<(), LoadError> {
    if let ElementKind::Active { offset_expr, .. } = &segment.kind {
        check_constant(offset_expr)?;
    }
    match &segment.items {
        ElementItems::Functions(_) => Ok(()),
        ElementItems::Expressions(_, items) => {
            items.clone().into_iter().map_while(Result::ok).try_for_each(|item| check_constant(&item))
        }
    }
}

/// Bounds a constant expression; the `end` of each counts for none.
fn check_constant(expression: &ConstExpr<'_>) -> Result<(), LoadError> {
    let operators = expression.get_operators_reader().into_iter().map_while(Result::ok);
    let count = operators.take(CONSTANT_OPERATORS as usize + 2).count().saturating_sub(1);
    bound("operators in one constant expression", count as u64, CONSTANT_OPERATORS)
}

fn bound<T: Into<u64>, M: Into<u64>>(what: &'static str, got: T, max: M) -> Result<(), LoadError> {
    let (got, max) = (got.into(), max.into());
    if got > max { Err(LoadError::TooLarge { what, got, max }) } else { Ok(()) }
}
