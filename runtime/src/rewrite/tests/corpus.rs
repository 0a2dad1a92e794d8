//! One corpus, every engine: outcome, output, units and trace are the same.

use std::sync::Arc;

use arbitrary::Unstructured;
use p2c2r_signing::{Digest, Outcome, TraceRoot, TrapCode};

use super::kit::{Variant, manifest, rewritten, sign, wat};
use super::{floats, second};
use crate::attempt::{Attempt, HostFault, PathKind};
use crate::cache::Cache;
use crate::engine::{Metering, Plant, code_id};
use crate::kernel::Kernel;
use crate::run::{Opened, run};
use crate::sandbox::Runaway;
use crate::state::Clock;

const SMITH: u64 = 200;
const FLOATS: u64 = 60;

#[derive(Debug, PartialEq, Eq)]
struct End {
    outcome: Outcome,
    output: Vec<u8>,
    trace: TraceRoot,
}

/// No attempt here takes the GPU path.
const NO_GPU: fn(&Clock, PathKind) -> Opened = |_, _| Ok(None);

fn end(plant: &Arc<Plant>, cache: Option<&Cache>, wasm: &[u8]) -> (End, Kernel) {
    let fuel = (plant.metering == Metering::Fuel).then_some(1 << 40);
    let kernel = Kernel::load(&sign(wasm, &manifest(fuel)), plant, cache, None).expect("loads");
    let execution = run(&kernel, Attempt::new(""), NO_GPU).expect("no fault");
    (End { outcome: execution.outcome, output: execution.output, trace: execution.trace_root }, kernel)
}

/// Runs all modules everywhere; gives back how each ended.
fn check(modules: impl Iterator<Item = (String, Vec<u8>)>) -> Vec<Outcome> {
    let plants: Vec<_> = Variant::all().map(|variant| (variant, variant.plant())).collect();
    let dir = tempfile::tempdir().expect("a folder");
    let cache = Cache::open(&dir.path().join("aot"), Digest::from_bytes([0; 32]), code_id(&plants[0].1.engine))
        .expect("a cache");
    let mut outcomes = Vec::new();
    for (name, wasm) in modules {
        let (first, kernel) = end(&plants[0].1, Some(&cache), &wasm);
        outcomes.push(first.outcome);
        if let Some(reason) = kernel.bad_abi() {
            panic!("{name}: {reason}");
        }
        let (again, kernel) = end(&plants[0].1, Some(&cache), &wasm);
        assert!(kernel.from_cache(), "{name}");
        assert_eq!(again, first, "{name} from the cache");
        for (variant, plant) in &plants[1..] {
            assert_eq!(end(plant, None, &wasm).0, first, "{name} on {variant:?}");
        }
        // Growing past the manifest's limit is the sandbox's own trap; to wasmi it is an ordinary -1.
        if first.outcome == Outcome::Trap(TrapCode::GrowLimit) {
            continue;
        }
        let (outcome, output, trace) = second::run(&rewritten(&wasm).expect("rewritten"));
        assert_eq!(End { outcome, output, trace }, first, "{name} on wasmi");
    }
    outcomes
}

#[test]
fn by_hand() {
    let recursive = |body: &str| {
        format!(
            r#"(module (import "p2c2r_v1" "output_write" (func $out (param i32 i32) (result i32)))
                (memory (export "memory") 1) (global $n (mut i32) (i32.const 0))
                (type $t (func (param i32) (result i32))) (table 4 funcref) (elem (i32.const 0) $f $g)
                (func $count (global.set $n (i32.add (global.get $n) (i32.const 1))) (i32.store (i32.const 0) (global.get $n)))
                {body})"#
        )
    };
    let main = r#"(func (export "p2c2r_main") (result i32) (call $f (i32.const 0)))"#;
    let g = "(func $g (type $t) (i32.const 0))";
    let stack = Outcome::Trap(TrapCode::StackLimit);
    let cases = [
        ("direct", stack, recursive(&format!("{main} {g} (func $f (type $t) (call $count) (call $f (local.get 0)))"))),
        (
            "mutual, vectors, through the table",
            stack,
            recursive(&format!(
                "{main}
                (func $f (type $t) (local v128 v128 f64) (call $count) (call $g (local.get 0)))
                (func $g (type $t) (call $count) (call_indirect (type $t) (local.get 0) (i32.const 0)))"
            )),
        ),
        (
            "a null where the stack ends",
            Outcome::Trap(TrapCode::IndirectCallToNull),
            recursive(&format!("{main} {g} (func $f (type $t) (call_indirect (type $t) (local.get 0) (i32.const 3)))")),
        ),
        (
            "in the start function",
            stack,
            recursive(&format!(
                "{main} {g} (func $f (type $t) (call $count) (call $f (local.get 0)))
                 (func $s (drop (call $f (i32.const 0)))) (start $s)"
            )),
        ),
        (
            "an ordinary trap in a recursion",
            Outcome::Trap(TrapCode::Unreachable),
            recursive(&format!(
                "{main} {g} (func $f (type $t) (call $count) (if (i32.eq (local.get 0) (i32.const 100)) (then unreachable)) (call $f (i32.add (local.get 0) (i32.const 1))))"
            )),
        ),
        (
            "a recursion that ends, many times",
            Outcome::Output,
            recursive(
                r#"(func (export "p2c2r_main") (result i32) (local i32)
                    (loop $l (drop (call $f (i32.const 5000))) (br_if $l (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 100))))
                    (call $count) (drop (call $out (i32.const 0) (i32.const 4))) (i32.const 0))
                 (func $f (type $t) (if (result i32) (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 0))))
                 (func $g (type $t) (i32.const 0))"#,
            ),
        ),
    ];
    let outcomes = check(cases.iter().map(|(name, _, text)| ((*name).to_owned(), wat(text))));
    for ((name, wanted, _), got) in cases.iter().zip(outcomes) {
        assert_eq!(got, *wanted, "{name}");
    }
}

#[test]
fn generated_by_wasm_smith() {
    let outcomes = check((0..SMITH).filter_map(|seed| Some((format!("seed {seed}"), smith(seed)?))));
    let of = |wanted: fn(&Outcome) -> bool| outcomes.iter().filter(|outcome| wanted(outcome)).count();
    let returned = of(|outcome| matches!(outcome, Outcome::Output | Outcome::Failed(_)));
    let traps = of(|outcome| matches!(outcome, Outcome::Trap(_)));
    assert!(outcomes.len() as u64 > SMITH * 3 / 4 && returned > 20 && traps > 20, "a corpus of {outcomes:?}");
}

#[test]
fn generated_from_floats() {
    let outcomes = check((0..FLOATS).map(|seed| (format!("seed {seed}"), wat(&floats::module(seed)))));
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Output), "{outcomes:?}");
}

/// A module that uses what is on, ends, and stays in what the manifest allows. `None` if the seed gives none.
fn smith(seed: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 6_000];
    blake3::Hasher::new_derive_key("P2C2R test corpus").update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    let config = wasm_smith::Config {
        exports: Some(wat(
            r#"(module (memory (export "memory") 1 8) (func (export "p2c2r_main") (result i32) (i32.const 0)))"#,
        )),
        max_imports: 0,
        max_instructions: 300,
        max_memory32_bytes: 8 << 16,
        memory_max_size_required: true,
        max_table_elements: 100,
        table_max_size_required: true,
        threads_enabled: false,
        memory64_enabled: false,
        // Besides the exported one.
        max_memories: 0,
        relaxed_simd_enabled: false,
        tail_call_enabled: false,
        gc_enabled: false,
        exceptions_enabled: false,
        reference_types_enabled: false,
        compact_imports_enabled: false,
        wide_arithmetic_enabled: false,
        ..wasm_smith::Config::default()
    };
    let mut module = wasm_smith::Module::new(config, &mut Unstructured::new(&bytes)).ok()?;
    module.ensure_termination(20_000).ok()?;
    Some(module.to_bytes())
}

#[test]
fn the_native_stack_is_a_fault_and_nothing_else_is_lost() {
    // Everybody's native stack is larger than what the logical one allows; this one is not.
    const NATIVE_BYTES: usize = 64 << 10;
    let mut config = crate::engine::config(Metering::Plain, 1, Runaway::Interrupted);
    config.max_wasm_stack(NATIVE_BYTES);
    let plant = Arc::new(Plant::with(&config, Metering::Plain, 1, Runaway::Interrupted).expect("an engine"));
    let load = |text: &str| Kernel::load(&sign(&wat(text), &manifest(None)), &plant, None, None).expect("loads");
    let deep = load(
        r#"(module (memory (export "memory") 1) (func $deep (result i32) (i32.add (i32.const 1) (call $deep)))
            (func (export "p2c2r_main") (result i32) (call $deep)))"#,
    );
    let fault = run(&deep, Attempt::new(""), NO_GPU).expect_err("a fault");
    assert!(matches!(fault, HostFault::StackOverflow { .. }), "{fault}");
    let shallow =
        load(r#"(module (memory (export "memory") 1) (func (export "p2c2r_main") (result i32) (i32.const 0)))"#);
    assert_eq!(run(&shallow, Attempt::new(""), NO_GPU).expect("no fault").outcome, Outcome::Output);
}
