//! A few hundred generated modules. `cargo run -p p2c2r-jail --example soak` takes any number.

use std::collections::BTreeMap;

use crate::judges::Judges;

#[test]
fn generated_modules_never_surprise_the_jail() {
    let judges = Judges::new(env!("CARGO_BIN_EXE_p2c2r-worker").into()).unwrap();
    let mut endings = BTreeMap::<String, u32>::new();
    for seed in 0..300 {
        let ending = judges.check(seed).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
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
