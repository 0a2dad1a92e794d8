//! `p2c2r build` of a stranger's crate, outside this workspace, with whichever toolchain this machine has.

use std::path::Path;

use serde_json::Value;

use crate::program::Author;

const SOURCE: &str = r#"
//! Sums bytes.
use p2c2r_guest::{Context, kernel};

#[kernel]
fn sum(ctx: &mut Context, input: &[u8]) -> Vec<u8> {
    ctx.charge(input.len() as u64);
    assert!(input.len() < 1000, "too many bytes");
    let sum: u64 = input.iter().map(|&byte| u64::from(byte)).sum();
    sum.to_string().into_bytes()
}
"#;

#[test]
fn a_stranger_s_crate_becomes_a_kernel() {
    let author = Author::new();
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    // No crate-type, no profile, no workspace: what `cargo new --lib` leaves.
    let manifest = format!(
        "[package]\nname = \"byte_sum\"\nversion = \"0.3.0\"\nedition = \"2024\"\n\n\
         [dependencies]\np2c2r-guest = {{ path = {:?} }}\n",
        sdk.to_str().unwrap()
    );
    author.write("sum/Cargo.toml", manifest);
    author.write("sum/src/lib.rs", SOURCE);
    author.write("sum/p2c2r.toml", "publisher = 'A Stranger'\nunit = 'byte'\n");
    // The same versions as in this workspace, so that nothing is fetched.
    author.write("sum/Cargo.lock", std::fs::read(sdk.parent().unwrap().join("Cargo.lock")).unwrap());

    // One folder for all runs of this test: the standard library is built there once, where it has to be.
    let target_dir = concat!(env!("CARGO_TARGET_TMPDIR"), "/kernel-build");
    let built = author.ok(&["build", "sum", "--target-dir", target_dir, "--out", "sum.wasm"]);
    assert!(built.starts_with("byte-sum 0.3.0: sum.wasm, "), "{built}");

    let report: Value = serde_json::from_str(&author.ok(&["inspect", "sum.wasm", "--json"])).unwrap();
    assert_eq!(report["manifest"]["publisher"], "A Stranger");
    assert!(report["imports"].as_array().unwrap().iter().all(|import| import[0] == "p2c2r_v1"), "{report}");

    author.write("bytes", [1, 2, 250]);
    let ran: Value =
        serde_json::from_str(&author.ok(&["run", "sum.wasm", "--input", "bytes", "--output", "out", "--json"]))
            .unwrap();
    assert_eq!((author.read("out").as_slice(), &ran["units"]), (&b"253"[..], &Value::from(3)));

    author.write("bytes", [0; 1000]);
    let output = author.run(&["run", "sum.wasm", "--input", "bytes", "--json"], b"");
    let ran: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(ran["outcome"], serde_json::json!({"trap": "unreachable"}));
    assert!(ran["log"][0]["text"].as_str().unwrap().contains("too many bytes"), "{ran}");

    let wasm = author.read("sum.wasm");
    for secret in
        [author.path("").to_str().unwrap(), sdk.to_str().unwrap(), &std::env::var("HOME").unwrap_or("/home/".into())]
    {
        let leaks = wasm.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!leaks, "the kernel's bytes contain {secret}");
    }
}
