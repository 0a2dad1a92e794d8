//! keygen, build --module, sign, verify, inspect.

use serde_json::Value;

use crate::program::{Author, DESCRIPTION, echo_kernel};

/// An author with a key and `echo.wasm`, unsigned.
fn author() -> Author {
    let author = Author::new();
    author.write("p2c2r.toml", DESCRIPTION);
    author.write("compiled.wasm", echo_kernel());
    author.ok(&["keygen", "author.pem"]);
    author.ok(&["build", ".", "--module", "compiled.wasm", "--out", "echo.wasm"]);
    author
}

fn inspect(author: &Author, file: &str) -> Value {
    serde_json::from_str(&author.ok(&["inspect", file, "--json"])).unwrap()
}

#[test]
fn a_kernel_is_made_signed_and_verified() {
    let author = author();
    assert_eq!(inspect(&author, "echo.wasm")["signature"]["state"], "absent");

    let signed = author.ok(&["sign", "echo.wasm", "--key", "author.pem"]);
    let verified = author.ok(&["verify", "echo.wasm", "--key", "author.pub.pem"]);
    assert!(verified.contains("echo 1.2.3"), "{verified}");

    let report = inspect(&author, "echo.wasm");
    assert_eq!(report["signature"]["state"], "valid");
    assert_eq!(report["manifest"]["name"], "echo");
    assert_eq!(report["manifest"]["abi"], 1);
    assert_eq!(report["exports"], serde_json::json!(["memory", "p2c2r_main"]));
    assert_eq!(report["imports"][0], serde_json::json!(["p2c2r_v1", "input_len"]));
    let id = report["id"].as_str().unwrap();
    assert!(signed.contains(id) && verified.contains(id), "{signed} {verified}");

    // The key's text form does as well as its file.
    let key = report["signature"]["signer"].as_str().unwrap();
    author.ok(&["verify", "echo.wasm", "--key", key]);
    let people = author.ok(&["inspect", "echo.wasm"]);
    assert!(people.contains(&format!("intact, by {key}")) && people.contains("echo 1.2.3 by Tests"), "{people}");
}

#[test]
fn shaders_are_what_the_manifest_says() {
    let author = author();
    let half = "@group(0) @binding(0) var<storage, read_write> words: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    words[id.x] = u32(f32(words[id.x]) * 0.5);
}";
    author.write("shaders/half.wgsl", half);
    for (class, fits) in [("device", true), ("exact", false)] {
        let gpu = "[gpu]\nbuffers = 1\nbuffer_bytes = 4096\ndispatches = 1\nworkgroups = 1\n";
        author.write("p2c2r.toml", format!("result_class = \"{class}\"\n{DESCRIPTION}\n{gpu}"));
        author.ok(&["build", ".", "--module", "compiled.wasm", "--out", "half.wasm"]);
        let sign = ["sign", "half.wasm", "--key", "author.pem"];
        if fits {
            author.ok(&sign);
        } else {
            author.refuses(&sign, "shaders/half.wgsl:3:");
            author.refuses(&sign, "float");
        }
    }
}

#[test]
fn signing_elsewhere_leaves_the_original() {
    let author = author();
    let before = author.read("echo.wasm");
    author.ok(&["sign", "echo.wasm", "--key", "author.pem", "--out", "signed/echo.wasm"]);
    assert_eq!(author.read("echo.wasm"), before);
    author.ok(&["verify", "signed/echo.wasm", "--key", "author.pub.pem"]);
    // ed25519 is deterministic: signing again gives the same kernel.
    let first = author.read("signed/echo.wasm");
    author.ok(&["sign", "signed/echo.wasm", "--key", "author.pem"]);
    assert_eq!(author.read("signed/echo.wasm"), first);
}

#[test]
fn a_stranger_s_key_is_refused() {
    let author = author();
    author.ok(&["sign", "echo.wasm", "--key", "author.pem"]);
    author.ok(&["keygen", "other.pem"]);
    author.refuses(&["verify", "echo.wasm", "--key", "other.pub.pem"], "the signer is not trusted");
    author.ok(&["verify", "echo.wasm", "--key", "other.pub.pem", "--key", "author.pub.pem"]);
}

#[test]
fn a_changed_byte_is_refused() {
    let author = author();
    author.ok(&["sign", "echo.wasm", "--key", "author.pem"]);
    let mut bytes = author.read("echo.wasm");
    let at = bytes.windows(5).position(|w| w == b"empty").unwrap();
    bytes[at] = b'E';
    author.write("echo.wasm", bytes);
    author.refuses(&["verify", "echo.wasm", "--key", "author.pub.pem"], "changed after signing");
    author.refuses(&["run", "echo.wasm"], "changed after signing");
    assert_eq!(inspect(&author, "echo.wasm")["signature"]["state"], "invalid");
}

#[test]
fn keys_are_never_overwritten() {
    let author = author();
    let (secret, public) = (author.read("author.pem"), author.read("author.pub.pem"));
    author.refuses(&["keygen", "author.pem"], "exist");
    std::fs::remove_file(author.path("author.pub.pem")).unwrap();
    author.refuses(&["keygen", "author.pem"], "exist");
    assert_eq!(author.read("author.pem"), secret);
    assert!(!author.path("author.pub.pem").exists());
    author.write("author.pub.pem", public);
    author.refuses(&["keygen", "author.pem"], "exist");
}

#[cfg(unix)]
#[test]
fn a_secret_key_is_its_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt;
    let author = author();
    let mode = std::fs::metadata(author.path("author.pem")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn errors_name_the_fix() {
    let author = author();
    author.refuses(&["sign", "echo.wasm", "--key", "missing.pem"], "make one with: p2c2r keygen");
    let error = author.fails(&["sign", "echo.wasm", "--key", "missing.pem"]);
    assert_eq!(error.matches("No such file").count(), 1, "{error}");
    let public = ["sign", "echo.wasm", "--key", "author.pub.pem"];
    author.refuses(&public, "that is the public half, give the file with the secret one");
    assert!(!author.fails(&public).contains("keygen"));
    author.refuses(&["keygen", "author"], "the public key of author would go to author.pub.pem, which exists");
    author.refuses(&["sign", "compiled.wasm", "--key", "author.pem"], "attach one with: p2c2r build");
    author.refuses(&["verify", "echo.wasm", "--key", "author.pub.pem"], "sign it with: p2c2r sign");
    author.refuses(&["verify", "echo.wasm", "--key", "author.pem"], "no public key: give 64 hex digits");
    author.refuses(&["inspect", "p2c2r.toml"], "not a WebAssembly module");
    author.refuses(&["inspect", "missing.wasm"], "cannot read module missing.wasm");
    author.refuses(&["build", "missing"], "is not a folder");
    author.write("empty/readme", "");
    author.refuses(&["build", "empty", "--module", "compiled.wasm"], "has no p2c2r.toml; make one");
    author.refuses(&["build", "empty"], "has no Cargo.toml; for a module compiled by another tool");
    author.write("bad/p2c2r.toml", "name = 'bad'\nversion = '1.0.0'\npublisher = 'P'\nunit = 'u'\nentry = 'other'");
    author.refuses(&["build", "bad", "--module", "compiled.wasm"], "exports no function other");
    author
        .write("bad/p2c2r.toml", "name = 'bad'\nversion = '1.0.0'\npublisher = 'P'\nunit = 'u'\n[limits]\nunits = -1");
    author.refuses(&["build", "bad", "--module", "compiled.wasm"], "error: bad/p2c2r.toml:6:9: ");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let author = Author::new();
    for arguments in [&["sign", "x.wasm"][..], &["frobnicate"], &["run", "x.wasm", "--seed", "many"], &[]] {
        assert_eq!(author.run(arguments, b"").status.code(), Some(2), "{arguments:?}");
    }
}
