//! The rewritten module against Cranelift's own canonicalisation of the original.

use wasmtime::{Engine, Instance, Module, Store};

use super::floats;
use super::kit::{rewritten, wat};
use crate::engine::{Metering, config};
use crate::sandbox::Runaway;

/// Memory after the entry returned.
fn memory_after(engine: &Engine, wasm: &[u8]) -> Vec<u8> {
    let module = Module::from_binary(engine, wasm).expect("compiles");
    let mut store = Store::new(engine, ());
    store.set_epoch_deadline(1);
    let instance = Instance::new(&mut store, &module, &[]).expect("instantiates");
    let main = instance.get_typed_func::<(), i32>(&mut store, "p2c2r_main").expect("an entry");
    main.call(&mut store, ()).expect("returns");
    instance.get_memory(&mut store, "memory").expect("a memory").data(&store).to_vec()
}

#[test]
fn agrees_with_cranelifts_canonicalisation() {
    let ours = config(Metering::Plain, 2, Runaway::Interrupted);
    let mut theirs = ours.clone();
    theirs.cranelift_nan_canonicalization(true);
    let (ours, theirs) = (Engine::new(&ours).expect("an engine"), Engine::new(&theirs).expect("an engine"));
    let mut noticed = 0;
    for seed in 0..400 {
        let wasm = wat(&floats::module(seed));
        let wanted = memory_after(&theirs, &wasm);
        let got = memory_after(&ours, &rewritten(&wasm).expect("rewritten"));
        let first = got.iter().zip(&wanted).position(|(a, b)| a != b);
        assert_eq!(first, None, "seed {seed}: first different byte of memory");
        noticed += usize::from(memory_after(&ours, &wasm) != wanted);
    }
    assert!(noticed > 100, "only {noticed} of 400 modules tell whether anybody canonicalises");
}
