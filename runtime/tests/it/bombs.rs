//! Modules that are small and valid and cost the compiler all they can. Each either loads or is refused with an error
//! that says why; none may end the process. How long each takes is printed: a worker's compile limit must be above it.

use std::time::Instant;

use p2c2r_runtime::limits::{BLOCKS, FUNCTION_BYTES, FUNCTIONS, LOCALS, LOOPS, TYPE_VALUES};
use p2c2r_runtime::{Attempt, HostFault};
use wasm_encoder::{
    BlockType, CodeSection, CustomSection, ExportKind, ExportSection, Function, FunctionSection, InstructionSink,
    MemorySection, MemoryType, Module, NameMap, NameSection, TypeSection, ValType,
};

use crate::kit::{manifest, sandbox, try_sign};

/// Parameters, and results, of the widest function.
const WIDE: u32 = TYPE_VALUES / 2;

/// A module with an entry that returns 0 and, behind it, `bodies` of type `() -> ()`; then `rest`.
fn module(bodies: &[Function], rest: &[u8]) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I32]);
    types.ty().function([], []);
    types.ty().function(vec![ValType::I64; WIDE as usize], vec![ValType::I64; WIDE as usize]);
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    functions.function(0);
    let mut main = Function::new([]);
    main.instructions().i32_const(0).end();
    code.function(&main);
    for body in bodies {
        functions.function(1);
        code.function(body);
    }
    // The last one takes as many values as it may, and returns them.
    functions.function(2);
    let mut wide = Function::new([]);
    (0..WIDE).for_each(|index| {
        wide.instructions().local_get(index);
    });
    wide.instructions().end();
    code.function(&wide);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None });
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0).export("p2c2r_main", ExportKind::Func, 0);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&memories).section(&exports).section(&code);
    [module.finish(), rest.to_vec()].concat()
}

fn body(locals: u32, f: impl FnOnce(&mut InstructionSink<'_>)) -> Function {
    let mut body = Function::new([(locals, ValType::I32)]);
    f(&mut body.instructions());
    body.instructions().end();
    body
}

/// Loads and runs it.
fn survive(name: &str, wasm: &[u8]) {
    let started = Instant::now();
    let Some(signed) = try_sign(wasm, &manifest(), &[]) else { panic!("{name}: not valid") };
    let loaded = sandbox().load(&signed);
    eprintln!(
        "{name}: {} bytes, {} ms, {}",
        wasm.len(),
        started.elapsed().as_millis(),
        match &loaded {
            Ok(kernel) => kernel.bad_abi().unwrap_or("loads").to_owned(),
            Err(error) => error.to_string(),
        }
    );
    if let Ok(kernel) = loaded {
        let ended = sandbox().run(&kernel, Attempt::new(""));
        assert!(!matches!(ended, Err(HostFault::Internal(_))), "{name}: {ended:?}");
    }
}

#[test]
fn deep_nesting() {
    let nest = |depth: u32, open: &dyn Fn(&mut InstructionSink<'_>)| {
        body(1, |i| {
            (0..depth).for_each(|_| open(i));
            (0..depth).for_each(|_| {
                i.end();
            });
        })
    };
    let block = nest(BLOCKS, &|i| {
        i.block(BlockType::Empty);
    });
    survive("blocks in blocks", &module(&[block], &[]));
    let condition = nest(BLOCKS, &|i| {
        i.local_get(0).if_(BlockType::Empty);
    });
    survive("conditions in conditions", &module(&[condition], &[]));
    let idle = nest(LOOPS, &|i| {
        i.loop_(BlockType::Empty);
    });
    survive("loops in loops", &module(&[idle], &[]));
    let busy = nest(LOOPS, &|i| {
        i.loop_(BlockType::Empty).local_get(0).br_if(0);
    });
    survive("loops that loop", &module(&[busy], &[]));
}

#[test]
fn long_expressions() {
    survive(
        "one chain",
        &module(
            &[body(1, |i| {
                i.local_get(0);
                (0..FUNCTION_BYTES - 100).for_each(|_| {
                    i.i32_eqz();
                });
                i.drop();
            })],
            &[],
        ),
    );
    let terms = FUNCTION_BYTES / 4;
    survive(
        "everything on the stack",
        &module(
            &[body(1, |i| {
                (0..terms).for_each(|_| {
                    i.local_get(0);
                });
                (1..terms).for_each(|_| {
                    i.i32_add();
                });
                i.drop();
            })],
            &[],
        ),
    );
}

#[test]
fn many_branches() {
    let targets = FUNCTION_BYTES - 1000;
    survive(
        "one jump table",
        &module(
            &[body(1, |i| {
                i.block(BlockType::Empty).local_get(0).br_table(vec![0; targets], 0).end();
            })],
            &[],
        ),
    );
    let depth = 500u32;
    survive(
        "jump tables over many blocks",
        &module(
            &[body(1, |i| {
                (0..depth).for_each(|_| {
                    i.block(BlockType::Empty);
                });
                (0..depth).for_each(|n| {
                    i.local_get(0).br_table((0..depth - n).collect::<Vec<_>>(), 0).end();
                });
            })],
            &[],
        ),
    );
    let variables = 500u32;
    survive(
        "many variables over many blocks",
        &module(
            &[body(variables, |i| {
                i.loop_(BlockType::Empty);
                for n in 0..BLOCKS / 4 {
                    i.local_get(n % variables).if_(BlockType::Empty);
                    i.local_get((n + 1) % variables)
                        .local_get((n * 7) % variables)
                        .i32_add()
                        .local_set(n % variables)
                        .end();
                }
                i.local_get(0).br_if(0).end();
            })],
            &[],
        ),
    );
}

#[test]
fn many_locals() {
    let each = LOCALS / 40;
    let one = body(each, |_| ());
    survive("as many locals as allowed", &module(&vec![one.clone(); 40], &[]));
    let wasm = module(&vec![one; FUNCTIONS as usize - 2], &[]);
    let signed = try_sign(&wasm, &manifest(), &[]).unwrap();
    let error = sandbox().load(&signed).unwrap_err().to_string();
    assert!(error.contains("locals"), "{error}");
}

#[test]
fn wide_calls() {
    // The last function of `module` takes and returns as many values as it may; this one calls it again and again.
    survive(
        "wide calls",
        &module(
            &[body(0, |i| {
                (0..WIDE).for_each(|_| {
                    i.i64_const(1);
                });
                (0..500).for_each(|_| {
                    i.call(2);
                });
                (0..WIDE).for_each(|_| {
                    i.drop();
                });
            })],
            &[],
        ),
    );
}

#[test]
fn name_and_custom_sections() {
    let encode = |section: &dyn wasm_encoder::Section| {
        let mut out = Vec::new();
        section.append_to(&mut out);
        out
    };
    let long = "n".repeat(60_000);
    let mut names = NameSection::new();
    let mut functions = NameMap::new();
    (0..400).for_each(|index| functions.append(index, &long));
    names.module(&long);
    names.functions(&functions);
    survive("names of functions that do not exist", &module(&[], &encode(&names)));
    let custom = |name: &str, data: Vec<u8>| encode(&CustomSection { name: name.into(), data: data.into() });
    // The length says four gigabytes, and a count of four thousand million.
    survive("a name section cut short", &module(&[], &custom("name", vec![1, 0xff, 0xff, 0xff, 0xff, 0x0f])));
    survive("a name section of lies", &module(&[], &custom("name", vec![1, 5, 0xff, 0xff, 0xff, 0xff, 0x0f])));
    survive("a second name section", &module(&[], &[custom("name", vec![]), custom("name", vec![9; 1000])].concat()));
    for name in [
        ".debug_info",
        ".debug_abbrev",
        ".debug_line",
        ".debug_str",
        "producers",
        "dylink.0",
        "linking",
        "wasmtime.info",
    ] {
        survive(name, &module(&[], &custom(name, vec![0xff; 1 << 20])));
    }
    survive("a custom section with a long name", &module(&[], &custom(&"x".repeat(100_000), vec![])));
    survive("as many sections as allowed", &module(&[], &custom("x", vec![]).repeat(240)));
}

/// Each function calls the next one so many times that replacing calls by what they call would never end. In this process no call
/// is replaced; where calls are, a worker that takes too long is killed.
#[test]
fn calls_that_would_double_when_inlined() {
    for (count, calls) in [(500, 2), (50, 40), (20, 1_000)] {
        // The entry is 0.
        let function = |index: u32| {
            body(0, |code| {
                (0..calls).for_each(|_| {
                    code.call(index + 1);
                });
            })
        };
        let mut bodies: Vec<_> = (1..count).map(function).collect();
        bodies.push(body(0, |_| {}));
        survive(&format!("{count} functions that call the next {calls} times"), &module(&bodies, &[]));
    }
}
