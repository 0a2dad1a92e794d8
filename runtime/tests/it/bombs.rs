//! Modules that are small and valid and cost the compiler all they can: what is compiled ends the process in no case, and what would
//! take minutes or gigabytes is refused before the compiler sees it. How long each takes is printed.

use std::time::Instant;

use p2c2r_runtime::limits::FUNCTIONS;
use p2c2r_runtime::{Attempt, HostFault, LoadError, limits};
use wasm_encoder::{CustomSection, NameMap, NameSection};

use crate::kit::{manifest, sandbox, try_sign};

#[path = "../dear_code/mod.rs"]
mod dear_code;

use dear_code::{body, module};

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
            Err(error) => panic!("{name}: {error}"),
        }
    );
    if let Ok(kernel) = loaded {
        let ended = sandbox().run(&kernel, Attempt::new(""));
        assert!(!matches!(ended, Err(HostFault::Internal(_))), "{name}: {ended:?}");
    }
}

#[test]
fn dear_code_is_compiled() {
    for (name, wasm) in dear_code::dear() {
        survive(name, &wasm);
    }
}

/// Small, and within every count: refused for what it would cost, before the compiler sees it.
#[test]
fn too_dear_code_is_refused() {
    for (name, wasm) in dear_code::too_dear() {
        let signed = try_sign(&wasm, &manifest(), &[]).unwrap();
        match sandbox().load(&signed) {
            Err(LoadError::TooLarge { what, .. }) if what.ends_with("to compile (estimated)") => {}
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn many_locals() {
    let wasm = module(&vec![body(limits::LOCALS / 40, |_| ()); FUNCTIONS as usize - 2], &[]);
    let signed = try_sign(&wasm, &manifest(), &[]).unwrap();
    let error = sandbox().load(&signed).unwrap_err().to_string();
    assert!(error.contains("locals"), "{error}");
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
