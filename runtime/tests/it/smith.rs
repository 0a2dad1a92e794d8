//! A few hundred generated modules. `cargo run -p p2c2r-runtime --example soak` takes any number.

use std::collections::BTreeMap;

use crate::generated::check;
use crate::kit::sandbox;

#[test]
fn generated_modules_never_surprise_the_sandbox() {
    let mut endings = BTreeMap::<String, u32>::new();
    for seed in 0..300 {
        let ending = check(sandbox(), seed).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
        *endings.entry(ending).or_default() += 1;
    }
    // Most modules must get as far as running, or this tests nothing.
    let ran: u32 = endings
        .iter()
        .filter(|(ending, _)| !ending.starts_with("refused") && *ending != "BadAbi")
        .map(|(_, n)| n)
        .sum();
    assert!(ran > 100, "{endings:#?}");
    eprintln!("{endings:#?}");
}
