//! `p2c2r new`, and `p2c2r build` of a stranger's crate, outside this workspace, with whichever toolchain this machine has.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::program::{Author, text};

/// One folder for all runs of these tests: the standard library is built there once, where it has to be.
const TARGET_DIR: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/kernel-build");

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

    let built = author.ok(&["build", "sum", "--target-dir", TARGET_DIR, "--out", "sum.wasm"]);
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

#[test]
fn a_new_kernel_is_tested_built_signed_and_run_as_it_is() {
    let author = Author::new();
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    author.ok(&["keygen", "author.pem"]);
    for (name, more, class) in [("my-sum", None, "no shaders"), ("my-mix", Some("--gpu"), "exact: ")] {
        let new = [Some("new"), Some(name), Some("--sdk"), sdk.to_str(), more];
        author.ok(&new.into_iter().flatten().collect::<Vec<_>>());
        author.refuses(&["new", name], &format!("{name} exists"));
        // The same versions as in this workspace, so that nothing is fetched.
        std::fs::copy(sdk.with_file_name("Cargo.lock"), author.path(name).join("Cargo.lock")).unwrap();
        let cargo = |arguments: &[&str]| {
            let output = Command::new(env!("CARGO"))
                .args([arguments[0], "--quiet", "--offline"])
                .args(["--target-dir", concat!(env!("CARGO_TARGET_TMPDIR"), "/new-kernels")])
                .args(&arguments[1..])
                .current_dir(author.path(name))
                .output()
                .unwrap();
            (output.status.success(), text(&output.stdout) + &text(&output.stderr))
        };
        let (passed, said) = cargo(&["test"]);
        assert!(passed && said.contains("1 passed"), "{said}");
        let wrote = cargo(&["run", "--example", "task", "numbers.bin"]);
        assert!(wrote.0, "{wrote:?}");

        let kernel = format!("{name}.wasm");
        author.ok(&["build", name, "--quiet", "--target-dir", TARGET_DIR, "--out", &kernel]);
        assert!(author.ok(&["lint", &kernel]).contains(&format!("{kernel}: {class}")));
        author.ok(&["sign", &kernel, "--key", "author.pem"]);
        let run = ["run", &kernel, "--input", &format!("{name}/numbers.bin")];
        let said = author.ok(&run);
        assert!(said.contains("1_000 of at most 1_000_000 (1 unit = 1 number)"), "{said}");
        if more.is_some() {
            assert!(author.ok(&[&run[..], &["--check"]].concat()).contains("same       the CPU path"));
        }
    }
}

#[test]
fn a_new_kernel_needs_a_name_and_the_sdk() {
    let author = Author::new();
    author.refuses(&["new", "My_Kernel"], "My_Kernel names no kernel");
    author.refuses(&["new", "sum"], "no folder guest-sdk above sum; name that of a checkout with --sdk");
    author.refuses(&["new", "sum", "--sdk", "."], ". is not the guest SDK");
    author.write("guest-sdk/src/lib.rs", "");
    author.write("guest-sdk/abi/Cargo.toml", "");
    author.ok(&["new", "kernels/games/sum"]);
    assert!(text(&author.read("kernels/games/sum/Cargo.toml")).contains("{ path = \"../../../guest-sdk\" }"));
}
