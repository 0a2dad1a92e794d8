//! What the estimate says of bombs and of programs, and how it was fitted.

use std::time::Instant;

use super::*;
use crate::engine::{Bounds, FEATURES, Metering, Plant};
use crate::limits;
use crate::rewrite::rewrite;
use crate::sandbox::Runaway;

#[path = "../../tests/dear_code/mod.rs"]
mod dear_code;

#[test]
fn the_bounds_are_exact() {
    let check = |weight: Weight| weight.check().map_err(|error| error.to_string());
    // A millisecond is 500 values; 64 bytes are one value carried in a loop.
    let most = Weight { values: COMPILE_MS * 500 + 499, ..Weight::default() };
    assert_eq!(check(most), Ok(()));
    let more = Weight { values: most.values + 1, ..most };
    assert_eq!(
        check(more),
        Err("module has 50001 milliseconds to compile (estimated), at most 50000 are compiled".to_owned())
    );
    let most = Weight { passed: COMPILE_BYTES / 16, ..Weight::default() };
    assert_eq!(check(most), Ok(()));
    let more = Weight { passed: most.passed + 1, ..most };
    assert_eq!(
        check(more),
        Err("module has 2147483664 bytes of memory to compile (estimated), at most 2147483648 are compiled".to_owned())
    );
    let most = Weight { blocks_squared: u64::MAX, passed: u64::MAX, ..Weight::default() };
    assert!(check(most).is_err(), "saturates");
}

/// What is counted of one function.
#[track_caller]
fn of(body: &str) -> Weight {
    let module = format!(
        r#"(module (global $g (mut i32) (i32.const 0)) (global (mut i32) (i32.const 0)) (table 1 funcref)
            (type $two (func (param i32 i32) (result i32)))
            (func $f (param $p i32) (local $x i32) {body}))"#
    );
    weigh(&wat::parse_str(module).unwrap(), FEATURES).unwrap()
}

#[test]
fn a_local_lives_from_its_first_write_to_its_last_read() {
    let carried = |body: &str| (of(body).carried, of(body).carried_in_loops);
    let branch = "(if (local.get $p) (then))";
    // The parameter lives to its last read.
    assert_eq!(carried(branch), (0, 0));
    assert_eq!(carried(&branch.repeat(3)), (2, 0));
    let read = "(drop (local.get $x))";
    let write = "(local.set $x (i32.const 1))";
    // Nothing joins between the write and the read.
    assert_eq!(carried(&format!("{branch} {write} {read}")), (0, 0));
    assert_eq!(carried(&format!("{write} {branch} {read}")), (1, 0));
    // Read in a loop after the write, it lives to the end of the loop, whose head counts, and what is in it.
    assert_eq!(carried(&format!("{write} (loop {read} (block (br 0)) (block (br 0)))")), (3, 3));
    // Written in the loop first, it is not carried around.
    assert_eq!(carried(&format!("(loop {write} {read} (block (br 0)) (block (br 0)))")), (0, 0));
    // A write in one arm does not come before the other one, or what follows: it lives from the start.
    let arm = |arm: &str| format!("(block (br 0)) (if (i32.const 1) {arm}) {read}");
    assert_eq!(carried(&arm(&format!("(then {write})"))), (2, 0));
    assert_eq!(carried(&format!("(block (br 0)) (if (i32.const 1) (then {write}) (else {read}))")), (1, 0));
    // Two lives that have nothing to do with each other are two.
    let own = format!("(block {write} {read})");
    assert_eq!(carried(&format!("{own} {} {own}", "(block (br 0))".repeat(5))), (0, 0));
}

#[test]
fn a_local_is_merged_where_a_block_ends_that_writes_it() {
    let merged = |body: &str| of(body).merged_squared.isqrt();
    let (read, write) = ("(drop (local.get $x))", "(local.set $x (i32.const 1))");
    assert_eq!(merged(&format!("(block {write} {read})")), 0, "nobody outside reads it");
    assert_eq!(merged(&format!("{write} (block {write}) {read}")), 1);
    assert_eq!(merged(&format!("(block {write}) {read}")), 1, "or it is what it was at the start");
    assert_eq!(merged(&format!("{write} (block (block (loop {write}))) {read}")), 3);
    assert_eq!(merged(&format!("{write} (block {write} (block {write} {write})) {read}")), 2, "once a block");
    assert_eq!(merged(&format!("{write} (if (local.get $p) (then {write}) (else {write})) {read}")), 2, "once an arm");
}

#[test]
fn blocks_loops_and_calls_are_counted() {
    let squares = |body: &str| {
        let Weight { blocks_squared, loops_squared, nested_squared, .. } = of(body);
        (blocks_squared, loops_squared, nested_squared)
    };
    assert_eq!(squares(""), (1, 0, 0), "the function itself");
    assert_eq!(squares("(block (br_if 0 (local.get $p)))"), (9, 0, 0));
    assert_eq!(squares("(loop (loop (loop)))"), (16, 9, 1 + 4 + 9));
    assert_eq!(squares("(loop) (loop) (loop)"), (16, 9, 3));
    assert_eq!(squares("(call_indirect (local.get $p))").0, 25);
    let wide = |parameters: usize| {
        let (types, values) = ("i32 ".repeat(parameters), "(i32.const 0)".repeat(parameters));
        of(&format!("(call_indirect (param {types}) {values} (i32.const 0))")).wide
    };
    assert_eq!((wide(7), wide(8), wide(20)), (0, 1, 13));
    assert_eq!(of("(global.set $g (global.get $g))").globals, 8);
    // One value out of a block whose end is the only place where paths join.
    let block = "i32.const 1 i32.const 2 (block (type $two) i32.add (br_if 0 (local.get $p))) drop";
    assert_eq!(of(block).passed, 1);
}

#[test]
fn what_is_too_dear_is_told_from_what_is_not() {
    for (name, wasm) in dear_code::dear() {
        assert_eq!(check(&wasm, FEATURES), Ok(()), "{name}");
    }
    for (name, wasm) in dear_code::too_dear() {
        assert!(check(&wasm, FEATURES).is_err(), "{name}");
    }
}

/// Each kind of bomb in sizes that double, and modules named in `P2C2R_MODULES` (paths, colons between): what is counted, and what
/// time and memory the compiler takes. For fitting prices to another release of it:
/// `cargo nextest run --workspace --run-ignored only --no-capture calibration`.
#[test]
#[ignore = "takes minutes and measures"]
fn calibration() {
    let plant = Plant::new(Metering::Plain, 1, Runaway::Interrupted, Bounds::Guarded).unwrap();
    let measure = |name: &str, wasm: &[u8]| {
        let bytes = rewrite(wasm, FEATURES).unwrap();
        let started = Instant::now();
        let weight = weigh(&bytes, FEATURES).unwrap();
        let weighing = started.elapsed().as_micros();
        _ = std::fs::write("/proc/self/clear_refs", "5");
        let before = peak_mib();
        let started = processor_ms();
        let code = plant.engine.precompile_module(&bytes).unwrap().len();
        let ms = processor_ms() - started;
        let mib = peak_mib().saturating_sub(before);
        eprintln!(
            "{name}: {} bytes, weighed in {weighing} us; {ms} ms (estimated {}), {mib} MiB ({}), {code} bytes of code; {weight:?}",
            bytes.len(),
            weight.milliseconds(),
            weight.bytes() >> 20,
        );
        ms
    };
    for path in std::env::var("P2C2R_MODULES").unwrap_or_default().split(':').filter(|path| !path.is_empty()) {
        measure(path, &std::fs::read(path).unwrap());
    }
    for (name, make) in FAMILIES {
        let mut size = 64;
        while size <= 1 << 17 {
            let Some(wasm) = make(size) else { break };
            if measure(&format!("{name} {size}"), &wasm) > 6_000 {
                break;
            }
            size *= 2;
        }
    }
}

/// Processor time of this process, in user and kernel mode: what else the machine does counts less than in wall-clock time.
fn processor_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    // Fields 14 and 15, in hundredths of a second.
    after_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) >> 10
}

/// A kind of bomb, by size; none where it would pass a limit.
type Family = fn(u32) -> Option<Vec<u8>>;

const FAMILIES: &[(&str, Family)] = &[
    ("blocks in blocks", |n| (n <= limits::BLOCKS).then(|| dear_code::blocks_in_blocks(n))),
    ("conditions in conditions", |n| (n <= limits::BLOCKS).then(|| dear_code::conditions_in_conditions(n))),
    ("loops in loops", |n| (n <= limits::LOOPS).then(|| dear_code::loops_in_loops(n))),
    ("loops in a row", |n| (n <= limits::LOOPS).then(|| dear_code::loops_in_a_row(n))),
    ("loops over 10 locals", |n| (n <= limits::LOOPS).then(|| dear_code::loops_over_locals(n, 10))),
    ("loops over 100 locals", |n| (n <= limits::LOOPS).then(|| dear_code::loops_over_locals(n, 100))),
    ("conditions over 100 locals", |n| (n <= limits::BLOCKS).then(|| dear_code::conditions_over_locals(n, 100))),
    ("conditions over 500 locals", |n| (n <= limits::BLOCKS).then(|| dear_code::conditions_over_locals(n, 500))),
    ("branches over 50 locals", |n| (n <= limits::BLOCKS).then(|| dear_code::branches_over_locals(n, 50))),
    ("branches over as many locals", |n| (n <= 1 << 10).then(|| dear_code::branches_over_locals(n, n))),
    ("loops around 10 locals", |n| (n <= limits::LOOPS).then(|| dear_code::loops_around_locals(n, 10))),
    ("loops around 100 locals", |n| (n <= limits::LOOPS).then(|| dear_code::loops_around_locals(n, 100))),
    ("50 loops around locals", |n| (n <= 1 << 13).then(|| dear_code::loops_around_locals(50, n))),
    ("variables over blocks", |n| (n <= limits::BLOCKS).then(|| dear_code::variables_over_blocks(n, 500))),
    ("branches to one place", |n| Some(dear_code::branches(1, n))),
    ("calls through the table", |n| Some(dear_code::table_calls(n))),
    ("accesses of 100 globals", |n| Some(dear_code::global_accesses(n, 100))),
    ("accesses of all globals", |n| Some(dear_code::global_accesses(n, limits::GLOBALS))),
    ("wide loops in loops", |n| (n <= limits::LOOPS).then(|| dear_code::wide_loops(n, true))),
    ("wide loops in a row", |n| (n <= limits::LOOPS).then(|| dear_code::wide_loops(n, false))),
    ("wide calls", |n| Some(dear_code::wide_calls(n))),
    ("1,000 operands over blocks", |n| (n <= limits::BLOCKS).then(|| dear_code::operands_over_blocks(1_000, n))),
    ("operands over 1,000 blocks", |n| (n <= 1 << 15).then(|| dear_code::operands_over_blocks(n, 1_000))),
    ("chain", |n| Some(dear_code::chain(n))),
    ("terms", |n| Some(dear_code::terms(n))),
    ("jump table", |n| (n <= 65_000).then(|| dear_code::jump_table(n))),
    ("jump tables", |n| (n <= 500).then(|| dear_code::jump_tables(n))),
    ("functions that call the next twice", |n| (n <= limits::FUNCTIONS).then(|| dear_code::doubling(n, 2))),
    ("functions with locals", |n| (n <= limits::FUNCTIONS - 2).then(|| dear_code::locals(n))),
];
