//! Every bound, at it and one past it. The bounds of GPU use are in `tests/gpu`, those of manifests and module bytes
//! in `signing`; what ends a run (memory, output, units, fuel) is in `endings` and `imports`.

use std::time::Duration;

use bytes::Bytes;
use p2c2r_runtime::limits::{
    BLOB_BYTES, BLOBS, BLOCKS, CODE_BYTES, CONSTANT_OPERATORS, DATA_SEGMENTS, ELEMENT_SEGMENTS, EXPORTS,
    FUNCTION_BYTES, FUNCTIONS, GLOBALS, IMPORTS, LOCALS, LOG_BYTES, LOG_LINE_BYTES, LOG_LINES, LOOPS, TABLE_ELEMENTS,
    TABLES, TYPE_VALUES, TYPES, WASI_IOVECS, WASI_RANDOM_BYTES, WASI_SUBSCRIPTIONS, WORKERS,
};
use p2c2r_runtime::{Attempt, GpuPolicy, HostFault, LoadError, Sandbox, SandboxConfig, SandboxError};
use p2c2r_signing::limits::{MEMORY_BYTES, MODULE_BYTES, PAGE_BYTES};
use p2c2r_signing::{Limits, Manifest, Outcome};
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, CustomSection, DataSection, ElementSection, Elements, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection, MemorySection, MemoryType,
    Module, RefType, TableSection, TableType, TypeSection, ValType,
};

use crate::kit::{core, load, manifest, numbers, run, run_with, sandbox, sign, try_run, wasi_manifest};

/// How many of each a module has. Everything is used: segments are copied at instantiation, functions are in the table.
#[derive(Clone)]
struct Shape {
    types: u32,
    imports: u32,
    functions: u32,
    tables: u32,
    table_elements: u64,
    pages: u64,
    globals: u32,
    exports: u32,
    element_segments: u32,
    data_segments: u32,
    locals: u32,
}

impl Shape {
    const SMALL: Self = Self {
        types: 3,
        imports: 0,
        functions: 2,
        tables: 1,
        table_elements: 10,
        pages: 1,
        globals: 1,
        exports: 2,
        element_segments: 1,
        data_segments: 1,
        locals: 0,
    };

    const LARGEST: Self = Self {
        types: TYPES,
        imports: IMPORTS,
        functions: FUNCTIONS,
        tables: TABLES,
        table_elements: TABLE_ELEMENTS as u64,
        pages: MEMORY_BYTES / PAGE_BYTES,
        globals: GLOBALS,
        exports: EXPORTS,
        element_segments: ELEMENT_SEGMENTS,
        data_segments: DATA_SEGMENTS,
        locals: LOCALS,
    };

    fn module(&self) -> Vec<u8> {
        // Types: the entry's, that of empty functions, that of `seed`, and then all different.
        let mut types = TypeSection::new();
        types.ty().function([], [ValType::I32]);
        types.ty().function([], []);
        types.ty().function([ValType::I32], []);
        let kinds = [ValType::I32, ValType::I64, ValType::F32, ValType::F64];
        for number in 3..self.types {
            types.ty().function((0..7).map(|digit| kinds[(number as usize >> (2 * digit)) % 4]), []);
        }
        let mut imports = ImportSection::new();
        for _ in 0..self.imports {
            imports.import("p2c2r_v1", "seed", EntityType::Function(2));
        }
        let mut functions = FunctionSection::new();
        let mut code = CodeSection::new();
        for number in 0..self.functions {
            functions.function(u32::from(number != 0));
            // All locals but the first function's, which the code needs none of, are spread evenly.
            let locals = if number == 0 { 0 } else { share(self.locals, self.functions - 1, number - 1) };
            let mut body = Function::new([(locals, ValType::V128)]);
            if number == 0 {
                body.instructions().i32_const(0);
            }
            body.instructions().end();
            code.function(&body);
        }
        let mut tables = TableSection::new();
        for _ in 0..self.tables {
            let (minimum, element_type) = (self.table_elements, RefType::FUNCREF);
            tables.table(TableType { element_type, table64: false, minimum, maximum: None, shared: false });
        }
        let mut memories = MemorySection::new();
        memories.memory(MemoryType {
            minimum: self.pages,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        let mut globals = GlobalSection::new();
        for number in 0..self.globals {
            let ty = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
            globals.global(ty, &ConstExpr::i32_const(number.cast_signed()));
        }
        let mut exports = ExportSection::new();
        exports.export("memory", ExportKind::Memory, 0);
        exports.export("p2c2r_main", ExportKind::Func, self.imports);
        for number in 2..self.exports {
            exports.export(&format!("e{number}"), ExportKind::Func, self.imports + number % self.functions);
        }
        let mut elements = ElementSection::new();
        let all: Vec<u32> = (self.imports..self.imports + self.functions).collect();
        for number in 0..self.element_segments {
            let listed = if number == 0 { &all[..] } else { &all[..1] };
            elements.active(Some(0), &ConstExpr::i32_const(0), Elements::Functions(listed.into()));
        }
        let mut data = DataSection::new();
        for number in 0..self.data_segments {
            data.active(0, &ConstExpr::i32_const(number.cast_signed()), [7]);
        }
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions).section(&tables).section(&memories);
        module.section(&globals).section(&exports).section(&elements).section(&code).section(&data);
        module.finish()
    }
}

/// What the `number`th of `parts` gets of `total`.
fn share(total: u32, parts: u32, number: u32) -> u32 {
    total / parts + u32::from(number < total % parts)
}

fn large_manifest() -> Manifest {
    Manifest { limits: Limits { memory_bytes: MEMORY_BYTES, ..manifest().limits }, ..manifest() }
}

#[track_caller]
fn runs(wasm: &[u8]) {
    let kernel = sandbox().load(&sign(wasm, &large_manifest(), &[])).unwrap();
    assert_eq!(kernel.bad_abi(), None);
    let execution = sandbox().run(&kernel, Attempt { deadline: Duration::from_secs(60), ..Attempt::new("") }).unwrap();
    assert_eq!(execution.outcome, Outcome::Output);
}

#[track_caller]
fn refused(wasm: &[u8], what: &'static str, max: u64) {
    let error = sandbox().load(&sign(wasm, &large_manifest(), &[])).unwrap_err();
    assert_eq!(error, LoadError::TooLarge { what, got: max + 1, max });
}

#[test]
fn a_module_with_as_many_of_everything_as_allowed_runs() {
    runs(&Shape::LARGEST.module());
}

#[test]
fn one_more_of_anything_is_refused() {
    let small = || Shape::SMALL;
    for (shape, what, max) in [
        (Shape { types: TYPES + 1, ..small() }, "types", TYPES.into()),
        (Shape { imports: IMPORTS + 1, ..small() }, "imports", IMPORTS.into()),
        (Shape { functions: FUNCTIONS + 1, table_elements: 60_000, ..small() }, "functions", FUNCTIONS.into()),
        (Shape { tables: TABLES + 1, ..small() }, "tables", TABLES.into()),
        (Shape { table_elements: TABLE_ELEMENTS as u64 + 1, ..small() }, "table elements", TABLE_ELEMENTS as u64),
        (Shape { pages: MEMORY_BYTES / PAGE_BYTES + 1, ..small() }, "pages of memory", MEMORY_BYTES / PAGE_BYTES),
        (Shape { globals: GLOBALS + 1, ..small() }, "globals", GLOBALS.into()),
        (Shape { exports: EXPORTS + 1, ..small() }, "exports", EXPORTS.into()),
        (Shape { element_segments: ELEMENT_SEGMENTS + 1, ..small() }, "element segments", ELEMENT_SEGMENTS.into()),
        (Shape { data_segments: DATA_SEGMENTS + 1, ..small() }, "data segments", DATA_SEGMENTS.into()),
        (Shape { functions: 41, table_elements: 60, locals: LOCALS + 1, ..small() }, "locals", LOCALS.into()),
    ] {
        refused(&shape.module(), what, max);
    }
}

/// A module whose bodies, entry included, have these sizes. They are filled with `nop`, which costs no compile time.
fn with_bodies(bytes: &[usize]) -> Vec<u8> {
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    for (number, bytes) in bytes.iter().enumerate() {
        functions.function(u32::from(number != 0));
        // No locals, the nops, the result of the entry, the end.
        let rest: &[u8] = if number == 0 { &[0x41, 0, 0x0b] } else { &[0x0b] };
        let body = [&[0], &vec![1; bytes - 1 - rest.len()][..], rest].concat();
        code.raw(&body);
    }
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I32]);
    types.ty().function([], []);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None });
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0).export("p2c2r_main", ExportKind::Func, 0);
    module.section(&types).section(&functions).section(&memories).section(&exports).section(&code);
    module.finish()
}

#[test]
fn code_is_bounded_by_the_byte() {
    runs(&with_bodies(&[FUNCTION_BYTES]));
    refused(&with_bodies(&[FUNCTION_BYTES + 1]), "bytes in one function", FUNCTION_BYTES as u64);

    // What counts is the section without its own length and count: bodies, and three bytes for the length of each.
    let half = FUNCTION_BYTES / 2;
    let mut bodies = vec![half; CODE_BYTES / half];
    let framing = 3 * bodies.len();
    bodies[0] -= framing;
    runs(&with_bodies(&bodies));
    bodies[1] += 1;
    refused(&with_bodies(&bodies), "bytes of code", CODE_BYTES as u64);
}

#[test]
fn blocks_and_types_are_bounded() {
    // The entry, a function of `params` parameters and `results` results, and blocks and loops, one in the other.
    let module = |params: u32, results: u32, blocks: u32, loops: u32| {
        let values = |count: u32| vec![ValType::I64; count as usize];
        let mut types = TypeSection::new();
        types.ty().function([], [ValType::I32]);
        types.ty().function(values(params), values(results));
        let mut functions = FunctionSection::new();
        functions.function(0).function(1);
        let mut memories = MemorySection::new();
        memories.memory(MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None });
        let mut exports = ExportSection::new();
        exports.export("memory", ExportKind::Memory, 0).export("p2c2r_main", ExportKind::Func, 0);
        let mut main = Function::new([]);
        (0..blocks).for_each(|_| {
            main.instructions().block(BlockType::Empty);
        });
        (0..loops).for_each(|_| {
            main.instructions().loop_(BlockType::Empty);
        });
        (0..blocks + loops).for_each(|_| {
            main.instructions().end();
        });
        main.instructions().i32_const(0).end();
        let mut wide = Function::new([]);
        (0..results).for_each(|_| {
            wide.instructions().i64_const(0);
        });
        wide.instructions().end();
        let mut code = CodeSection::new();
        code.function(&main).function(&wide);
        let mut module = Module::new();
        module.section(&types).section(&functions).section(&memories).section(&exports).section(&code);
        module.finish()
    };
    runs(&module(TYPE_VALUES, 0, BLOCKS, 0));
    runs(&module(1, TYPE_VALUES - 1, 0, LOOPS));
    refused(&module(1, TYPE_VALUES, 0, 0), "values in one type", TYPE_VALUES.into());
    refused(&module(0, 0, BLOCKS, 1), "blocks in one function", BLOCKS.into());
    refused(&module(0, 0, 0, LOOPS + 1), "loops in one function", LOOPS.into());
}

#[test]
fn constant_expressions_are_bounded() {
    let sum = |terms: u32| format!("i32.const 0 {}", "i32.const 0 i32.add ".repeat(terms as usize));
    let most = CONSTANT_OPERATORS / 2;
    let element = |offset: &str| format!("(table 1 funcref) (elem (offset {offset}) func 0)");
    let places: [&dyn Fn(&str) -> String; 3] =
        [&|sum| format!("(global i32 {sum})"), &|sum| format!("(data (offset {sum}) \"a\")"), &|sum| element(sum)];
    for place in places {
        let module = |terms: u32| {
            wat::parse_str(format!(
                r#"(module {} (memory (export "memory") 1) (func (export "p2c2r_main") (result i32) i32.const 0))"#,
                place(&sum(terms))
            ))
            .unwrap()
        };
        runs(&module(most));
        refused(&module(most + 1), "operators in one constant expression", CONSTANT_OPERATORS.into());
    }
}

#[test]
fn a_module_as_large_as_signing_allows_runs() {
    let small = Shape::SMALL.module();
    let with_custom = |bytes: usize| {
        let data = vec![0x5a; bytes];
        let section = CustomSection { name: "padding".into(), data: data.into() };
        let mut out = Vec::new();
        wasm_encoder::Section::append_to(&section, &mut out);
        [small.clone(), out].concat()
    };
    // Signing adds the manifest and the signature; what that takes does not depend on the padding.
    let room = MODULE_BYTES - 1000;
    let added = sign(&with_custom(room / 2), &large_manifest(), &[]).bytes().len() - room / 2;
    let padding = MODULE_BYTES - added;
    // The length of the custom section is a byte longer than in the probe at most.
    let exact = (padding - 2..=padding).rev().find_map(|padding| {
        let module = crate::kit::try_sign(&with_custom(padding), &large_manifest(), &[])?;
        (module.bytes().len() == MODULE_BYTES).then_some(module)
    });
    let kernel = sandbox().load(&exact.expect("a module of exactly the largest size")).unwrap();
    assert_eq!(sandbox().run(&kernel, Attempt::new("")).unwrap().outcome, Outcome::Output);
    assert!(crate::kit::try_sign(&with_custom(padding + 1), &large_manifest(), &[]).is_none());
}

#[test]
fn a_task_is_bounded() {
    let kernel = load(&core(""), &manifest()).unwrap();
    let run = |attempt| sandbox().run(&kernel, attempt).map(|execution| execution.outcome);
    let largest = manifest().limits.input_bytes;
    let input = |bytes: u64| Attempt::new(vec![0; usize::try_from(bytes).unwrap()]);
    assert_eq!(run(input(largest)), Ok(Outcome::Output));
    let fault = HostFault::TooLarge { what: "bytes of input", got: largest + 1, max: largest };
    assert_eq!(run(input(largest + 1)), Err(fault));

    let blobs = |blobs: Vec<Bytes>| Attempt { blobs, ..Attempt::new("") };
    assert_eq!(run(blobs(vec![Bytes::new(); BLOBS])), Ok(Outcome::Output));
    let fault = HostFault::TooLarge { what: "blobs", got: BLOBS as u64 + 1, max: BLOBS as u64 };
    assert_eq!(run(blobs(vec![Bytes::new(); BLOBS + 1])), Err(fault));

    // One buffer, named over and over: the bound is on what the task may read, not on what is held twice.
    let part = Bytes::from(vec![0; usize::try_from(BLOB_BYTES).unwrap() / BLOBS]);
    let mut all = vec![part.clone(); BLOBS];
    assert_eq!(run(blobs(all.clone())), Ok(Outcome::Output));
    all[0] = [&part[..], &[0]].concat().into();
    let fault = HostFault::TooLarge { what: "bytes of blobs", got: BLOB_BYTES + 1, max: BLOB_BYTES };
    assert_eq!(run(blobs(all)), Err(fault));
}

#[test]
fn logs_are_cut_at_their_bounds() {
    let lines = |count: usize, bytes: usize| {
        let body = format!(
            "(local $i i32)
             (memory.fill (i32.const 0) (i32.const 97) (i32.const 8192))
             (loop $again
                (call $log (i32.const 1) (i32.const 0) (i32.const {bytes}))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $i) (i32.const {count}))))"
        );
        let execution = run(&core(&body));
        assert_eq!(execution.outcome, Outcome::Output);
        execution.log.iter().map(|line| line.text.len()).collect::<Vec<_>>()
    };
    assert_eq!(lines(LOG_LINES, 1), vec![1; LOG_LINES]);
    assert_eq!(lines(LOG_LINES + 1, 1), vec![1; LOG_LINES]);
    assert_eq!(lines(1, LOG_LINE_BYTES), [LOG_LINE_BYTES]);
    assert_eq!(lines(1, LOG_LINE_BYTES + 1), [LOG_LINE_BYTES]);
    let full = LOG_BYTES / LOG_LINE_BYTES;
    assert_eq!(lines(full, LOG_LINE_BYTES), vec![LOG_LINE_BYTES; full]);
    assert_eq!(lines(full + 1, LOG_LINE_BYTES), vec![LOG_LINE_BYTES; full]);
}

#[test]
fn wasi_counts_are_bounded() {
    const SUCCESS: i32 = 0;
    const INVAL: i32 = 28;
    let limits = Limits { memory_bytes: 4 << 20, ..wasi_manifest().limits };
    let wide = Manifest { limits, ..wasi_manifest() };
    for (name, max, arguments) in [
        // Null vectors, null subscriptions (timers that are due), and a buffer: all from zeroed memory.
        ("fd_read", WASI_IOVECS, "(i32.const 0) (i32.const 131072) (i32.const COUNT) (i32.const 8)"),
        ("fd_write", WASI_IOVECS, "(i32.const 2) (i32.const 131072) (i32.const COUNT) (i32.const 8)"),
        ("poll_oneoff", WASI_SUBSCRIPTIONS, "(i32.const 131072) (i32.const 262144) (i32.const COUNT) (i32.const 8)"),
        ("random_get", WASI_RANDOM_BYTES, "(i32.const 131072) (i32.const COUNT)"),
    ] {
        let params = "i32 ".repeat(arguments.matches("i32.const").count());
        for (count, errno) in [(max, SUCCESS), (max + 1, INVAL)] {
            let arguments = arguments.replace("COUNT", &count.to_string());
            let wat = format!(
                r#"(module
                    (import "wasi_snapshot_preview1" "{name}" (func $it (param {params}) (result i32)))
                    (import "p2c2r_v1" "output_write" (func $write (param i32 i32) (result i32)))
                    (memory (export "memory") 32)
                    (func (export "_start")
                        (i32.store (i32.const 0) (call $it {arguments}))
                        (drop (call $write (i32.const 0) (i32.const 4)))))"#
            );
            let execution = run_with(&wat, &wide, Attempt::new(""));
            assert_eq!(execution.outcome, Outcome::Output, "{name} with {count}");
            assert_eq!(numbers(&execution), [errno], "{name} with {count}");
        }
    }
}

#[test]
fn workers_are_bounded() {
    let open = |workers| Sandbox::new(SandboxConfig { gpu: GpuPolicy::Off, workers, ..SandboxConfig::default() });
    assert_eq!(open(1).unwrap().workers(), 1);
    assert_eq!(sandbox().workers(), WORKERS, "the tests' own sandbox is at the bound");
    for workers in [0, WORKERS + 1] {
        let error = open(workers).unwrap_err();
        assert!(matches!(error, SandboxError::Workers { got, max: WORKERS } if got == workers), "{error}");
    }
}

#[test]
fn a_table_grows_to_its_bound() {
    let wat = |by: usize| {
        format!(
            r#"(module (memory (export "memory") 1) (table 1 funcref)
                (func (export "p2c2r_main") (result i32) (table.grow (ref.null func) (i32.const {by}))))"#
        )
    };
    assert_eq!(run(&wat(TABLE_ELEMENTS - 1)).outcome, Outcome::Failed(1), "its size before");
    let past = try_run(&wat(TABLE_ELEMENTS), &manifest(), Attempt::new("")).unwrap();
    assert_eq!(past.outcome, Outcome::Trap(p2c2r_signing::TrapCode::GrowLimit));
}
