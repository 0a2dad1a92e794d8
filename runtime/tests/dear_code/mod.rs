//! Modules that are small and valid and cost the compiler all they can.

use super::limits::{BLOCKS, FUNCTION_BYTES, GLOBALS, LOCALS, LOOPS, TYPE_VALUES};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, ExportKind, ExportSection, Function, FunctionSection, GlobalSection, GlobalType,
    InstructionSink, MemArg, MemorySection, MemoryType, Module, RefType, TableSection, TableType, TypeSection, ValType,
};

/// Parameters, and results, of the widest function, and of a block of type [`THROUGH`].
const WIDE: u32 = TYPE_VALUES / 2;

/// The type of the entry.
const ENTRY: u32 = 0;
/// The type that takes and gives nothing.
const NOTHING: u32 = 1;
/// The type that takes and gives as many values as it may.
const THROUGH: u32 = 2;

/// A module with an entry that returns 0 and, behind it, `bodies` of type `() -> ()`; then one that takes as many values as it may,
/// and returns them; then `rest`.
pub(super) fn module(bodies: &[Function], rest: &[u8]) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I32]);
    types.ty().function([], []);
    types.ty().function(vec![ValType::I64; WIDE as usize], vec![ValType::I64; WIDE as usize]);
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    functions.function(ENTRY);
    let mut main = Function::new([]);
    main.instructions().i32_const(0).end();
    code.function(&main);
    for body in bodies {
        functions.function(NOTHING);
        code.function(body);
    }
    functions.function(THROUGH);
    let mut wide = Function::new([]);
    (0..WIDE).for_each(|index| {
        wide.instructions().local_get(index);
    });
    wide.instructions().end();
    code.function(&wide);
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: 8,
        maximum: None,
        shared: false,
    });
    let mut memories = MemorySection::new();
    memories.memory(MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None });
    let mut globals = GlobalSection::new();
    for _ in 0..GLOBALS {
        let ty = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        globals.global(ty, &ConstExpr::i32_const(0));
    }
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0).export("p2c2r_main", ExportKind::Func, 0);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&tables).section(&memories);
    module.section(&globals).section(&exports).section(&code);
    [module.finish(), rest.to_vec()].concat()
}

pub(super) fn body(locals: u32, f: impl FnOnce(&mut InstructionSink<'_>)) -> Function {
    let mut body = Function::new([(locals, ValType::I32)]);
    f(&mut body.instructions());
    body.instructions().end();
    body
}

/// One function.
fn one(locals: u32, f: impl FnOnce(&mut InstructionSink<'_>)) -> Vec<u8> {
    module(&[body(locals, f)], &[])
}

/// Stores all locals, so that none of them was in vain.
fn store_all(i: &mut InstructionSink<'_>, locals: u32) {
    for local in 0..locals {
        let place = MemArg { offset: u64::from(4 * local), align: 0, memory_index: 0 };
        i.i32_const(0).local_get(local).i32_store(place);
    }
}

/// Something nobody knows before.
fn unknown(i: &mut InstructionSink<'_>) {
    i.i32_const(0).i32_load(MemArg { offset: 0, align: 0, memory_index: 0 });
}

/// Blocks in blocks, each opened by `open`, and `close` before its end.
fn nest(
    locals: u32,
    depth: u32,
    open: impl Fn(&mut InstructionSink<'_>, u32),
    close: impl Fn(&mut InstructionSink<'_>, u32),
) -> Vec<u8> {
    one(locals, |i| {
        (0..depth).for_each(|n| open(i, n));
        (0..depth).rev().for_each(|n| {
            close(i, n);
            i.end();
        });
        store_all(i, locals);
    })
}

/// Blocks in blocks with nothing in them.
pub(super) fn blocks_in_blocks(depth: u32) -> Vec<u8> {
    nest(1, depth, |i, _| _ = i.block(BlockType::Empty), |_, _| ())
}

/// Each condition in the arm of another one.
pub(super) fn conditions_in_conditions(depth: u32) -> Vec<u8> {
    let open = |i: &mut InstructionSink<'_>, _| {
        unknown(i);
        i.if_(BlockType::Empty);
    };
    nest(1, depth, open, |_, _| ())
}

/// Loops in loops that each go round.
pub(super) fn loops_in_loops(depth: u32) -> Vec<u8> {
    let close = |i: &mut InstructionSink<'_>, _| {
        unknown(i);
        i.br_if(0);
    };
    nest(1, depth, |i, _| _ = i.loop_(BlockType::Empty), close)
}

/// Loops one after the other.
pub(super) fn loops_in_a_row(count: u32) -> Vec<u8> {
    one(1, |i| {
        (0..count).for_each(|_| {
            i.loop_(BlockType::Empty);
            unknown(i);
            i.br_if(0).end();
        });
    })
}

/// Loops in loops, each of which changes one of `locals`.
pub(super) fn loops_over_locals(depth: u32, locals: u32) -> Vec<u8> {
    let step = move |i: &mut InstructionSink<'_>, n: u32| {
        unknown(i);
        i.local_get(n % locals).i32_add().local_set(n % locals);
    };
    nest(
        locals,
        depth,
        move |i, n| {
            i.loop_(BlockType::Empty);
            step(i, n);
        },
        move |i, n| {
            step(i, n + 1);
            unknown(i);
            i.br_if(0);
        },
    )
}

/// Conditions in conditions, each of which changes one of `locals` in its arm.
pub(super) fn conditions_over_locals(depth: u32, locals: u32) -> Vec<u8> {
    nest(
        locals,
        depth,
        move |i, n| {
            unknown(i);
            i.if_(BlockType::Empty);
            unknown(i);
            i.local_set(n % locals);
        },
        |_, _| (),
    )
}

/// Branches out of blocks in blocks, the outermost last, each after a change of one of `locals`.
pub(super) fn branches_over_locals(depth: u32, locals: u32) -> Vec<u8> {
    one(locals, |i| {
        (0..depth).for_each(|_| {
            i.block(BlockType::Empty);
        });
        for n in 0..depth {
            unknown(i);
            i.local_set(n % locals);
            unknown(i);
            i.br_if(n);
        }
        (0..depth).for_each(|_| {
            i.end();
        });
        store_all(i, locals);
    })
}

/// All `locals` changed in the innermost of loops in loops.
pub(super) fn loops_around_locals(depth: u32, locals: u32) -> Vec<u8> {
    one(locals, |i| {
        (0..depth).for_each(|_| {
            i.loop_(BlockType::Empty);
        });
        for local in 0..locals {
            unknown(i);
            i.local_get(local).i32_add().local_set(local);
        }
        for n in 0..depth {
            unknown(i);
            i.br_if(n % 3.min(depth - n)).end();
        }
        store_all(i, locals);
    })
}

/// Many variables alive over many conditions in one loop.
pub(super) fn variables_over_blocks(blocks: u32, variables: u32) -> Vec<u8> {
    one(variables, |i| {
        i.loop_(BlockType::Empty);
        for n in 0..blocks {
            unknown(i);
            i.if_(BlockType::Empty);
            i.local_get((n + 1) % variables);
            unknown(i);
            i.i32_add().local_set(n % variables).end();
        }
        unknown(i);
        i.br_if(0).end();
        store_all(i, variables);
    })
}

/// Functions of branches to one place.
pub(super) fn branches(functions: u32, count: u32) -> Vec<u8> {
    let function = body(1, |i| {
        i.block(BlockType::Empty);
        (0..count).for_each(|_| {
            unknown(i);
            i.br_if(0);
        });
        i.end();
    });
    module(&vec![function; functions as usize], &[])
}

/// Calls through the table.
pub(super) fn table_calls(count: u32) -> Vec<u8> {
    one(1, |i| {
        (0..count).for_each(|_| {
            unknown(i);
            i.call_indirect(0, NOTHING);
        });
    })
}

/// Accesses of `globals` globals, in turns.
pub(super) fn global_accesses(count: u32, globals: u32) -> Vec<u8> {
    one(1, |i| {
        (0..count / 2).for_each(|n| {
            i.global_get((n * 7) % globals).global_set(n % globals);
        });
    })
}

/// One function that does something with as many values as one may take.
fn wide(f: impl FnOnce(&mut InstructionSink<'_>)) -> Vec<u8> {
    one(0, |i| {
        (0..WIDE).for_each(|_| {
            i.i64_const(1);
        });
        f(i);
        (0..WIDE).for_each(|_| {
            i.drop();
        });
    })
}

/// Loops that each take as many values as they may, in one another or in a row.
pub(super) fn wide_loops(count: u32, nested: bool) -> Vec<u8> {
    wide(|i| {
        for _ in 0..count {
            i.loop_(BlockType::FunctionType(THROUGH));
            if !nested {
                unknown(i);
                i.br_if(0).end();
            }
        }
        if nested {
            (0..count).for_each(|_| {
                unknown(i);
                i.br_if(0).end();
            });
        }
    })
}

/// Calls that each hand on as many values as they may.
pub(super) fn wide_calls(count: u32) -> Vec<u8> {
    wide(|i| {
        (0..count).for_each(|_| {
            i.call(2);
        });
    })
}

/// Values on the operand stack while there are so many conditions.
pub(super) fn operands_over_blocks(values: u32, blocks: u32) -> Vec<u8> {
    one(1, |i| {
        (0..values).for_each(|n| {
            i.i32_const(0).i32_load(MemArg { offset: n.into(), align: 0, memory_index: 0 });
        });
        (0..blocks).for_each(|_| {
            unknown(i);
            i.if_(BlockType::Empty).i32_const(1).local_set(0).end();
        });
        (1..values).for_each(|_| {
            i.i32_add();
        });
        i.local_set(0);
        store_all(i, 1);
    })
}

/// One operator after the other on one value.
pub(super) fn chain(length: u32) -> Vec<u8> {
    one(1, |i| {
        i.local_get(0);
        (0..length).for_each(|_| {
            i.i32_eqz();
        });
        i.drop();
    })
}

/// A sum whose terms are all on the stack first.
pub(super) fn terms(count: u32) -> Vec<u8> {
    one(1, |i| {
        (0..count).for_each(|_| {
            i.local_get(0);
        });
        (1..count).for_each(|_| {
            i.i32_add();
        });
        i.drop();
    })
}

/// One jump table.
pub(super) fn jump_table(targets: u32) -> Vec<u8> {
    one(1, |i| {
        i.block(BlockType::Empty).local_get(0).br_table(vec![0; targets as usize], 0).end();
    })
}

/// A jump table over the blocks around it, in each of many blocks.
pub(super) fn jump_tables(depth: u32) -> Vec<u8> {
    one(1, |i| {
        (0..depth).for_each(|_| {
            i.block(BlockType::Empty);
        });
        (0..depth).for_each(|n| {
            i.local_get(0).br_table((0..depth - n).collect::<Vec<_>>(), 0).end();
        });
    })
}

/// Each function calls the next one so many times that replacing calls by what they call would never end.
pub(super) fn doubling(functions: u32, calls: u32) -> Vec<u8> {
    // The entry is 0.
    let function = |index: u32| {
        body(0, |code| {
            (0..calls).for_each(|_| {
                code.call(index + 1);
            });
        })
    };
    let mut bodies: Vec<_> = (1..functions).map(function).collect();
    bodies.push(body(0, |_| {}));
    module(&bodies, &[])
}

/// As many locals as allowed.
pub(super) fn locals(functions: u32) -> Vec<u8> {
    module(&vec![body(LOCALS / functions, |_| ()); functions as usize], &[])
}

/// What is dear, and compiled.
pub(super) fn dear() -> Vec<(&'static str, Vec<u8>)> {
    let bytes = FUNCTION_BYTES as u32;
    vec![
        ("blocks in blocks", blocks_in_blocks(BLOCKS)),
        ("conditions in conditions", conditions_in_conditions(BLOCKS)),
        ("loops in loops", loops_in_loops(LOOPS / 2)),
        ("loops in a row", loops_in_a_row(LOOPS)),
        ("loops over locals", loops_over_locals(500, 100)),
        ("conditions over locals", conditions_over_locals(250, 250)),
        ("branches over locals", branches_over_locals(200, 200)),
        ("loops around locals", loops_around_locals(200, 100)),
        ("variables over blocks", variables_over_blocks(BLOCKS / 4, 500)),
        ("branches to one place", branches(1, 30_000)),
        ("calls through the table", table_calls(8_000)),
        ("accesses of globals", global_accesses(20_000, GLOBALS)),
        ("wide loops in loops", wide_loops(500, true)),
        ("wide loops in a row", wide_loops(500, false)),
        ("wide calls", wide_calls(500)),
        ("operands over blocks", operands_over_blocks(1_000, BLOCKS / 4)),
        ("one chain", chain(bytes - 100)),
        ("everything on the stack", terms(bytes / 10)),
        ("one jump table", jump_table(65_000)),
        ("jump tables over many blocks", jump_tables(500)),
        ("500 functions that call the next twice", doubling(500, 2)),
        ("50 functions that call the next 40 times", doubling(50, 40)),
        ("20 functions that call the next 1,000 times", doubling(20, 1_000)),
        ("as many locals as allowed", locals(40)),
    ]
}

/// What is too dear: within every count, and minutes or gigabytes for the compiler.
pub(super) fn too_dear() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("loops over locals", loops_over_locals(LOOPS, 300)),
        ("conditions over locals", conditions_over_locals(BLOCKS, 500)),
        ("branches over locals", branches_over_locals(1_000, 1_000)),
        ("loops around locals", loops_around_locals(LOOPS, 1_000)),
        ("variables over blocks", variables_over_blocks(BLOCKS - 1, 4_000)),
        ("branches to one place", branches(6, 70_000)),
        ("calls through the table", table_calls(45_000)),
        ("accesses of globals", global_accesses(120_000, GLOBALS)),
        ("wide loops in loops", wide_loops(LOOPS, true)),
        ("wide loops in a row", wide_loops(LOOPS, false)),
        ("wide calls", wide_calls(20_000)),
        ("operands over blocks", operands_over_blocks(20_000, BLOCKS)),
    ]
}
