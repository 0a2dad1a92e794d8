//! `p2c2r run`.

use serde_json::Value;

use crate::program::{Author, DESCRIPTION, echo_kernel, text, wasi_cat};

fn author() -> Author {
    let author = Author::new();
    author.write("p2c2r.toml", DESCRIPTION);
    author.write("compiled.wasm", echo_kernel());
    author.write("cat.wasm", wasi_cat());
    author.write("hello.txt", "hello");
    author.ok(&["build", ".", "--module", "compiled.wasm", "--out", "echo.wasm"]);
    author
}

#[test]
fn a_kernel_runs() {
    let author = author();
    let arguments = ["run", "echo.wasm", "--input", "hello.txt", "--output", "out.txt", "--json"];
    let report: Value = serde_json::from_str(&author.ok(&arguments)).unwrap();
    assert_eq!(report["outcome"], "output");
    assert_eq!(report["output_bytes"], 5);
    // blake3 of "hello"
    let digest = "ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f";
    assert_eq!(report["output_digest"], digest);
    assert_eq!((&report["units"], &report["unit"]), (&Value::from(5), &Value::from("byte")));
    assert_eq!(author.read("out.txt"), b"hello");

    let people = author.ok(&["run", "echo.wasm", "--input", "hello.txt"]);
    for part in ["outcome    output", "5 B\n           hello", digest, "5 of at most"] {
        assert!(people.contains(part), "{people:?} does not say {part:?}");
    }
}

#[test]
fn the_same_file_gives_the_same_report() {
    let author = author();
    let run = |file: &str| -> Value {
        let mut report: Value =
            serde_json::from_str(&author.ok(&["run", file, "--input", "hello.txt", "--json"])).unwrap();
        let timings = report.as_object_mut().unwrap();
        assert!(timings.remove("duration_ms").is_some() && timings.remove("load_ms").is_some());
        report
    };
    assert_eq!(run("echo.wasm"), run("echo.wasm"));
}

#[test]
fn a_wasi_program_runs_without_a_manifest() {
    let author = author();
    let output = author.run(&["run", "cat.wasm", "--input", "-", "--output", "-"], b"meow");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(output.stdout, b"meow");
    let notes = text(&output.stderr);
    assert!(notes.contains("no manifest") && notes.contains("throw-away key"), "{notes}");
}

#[test]
fn a_failing_kernel_is_exit_code_1() {
    let author = author();
    let output = author.run(&["run", "echo.wasm"], b"");
    assert_eq!(output.status.code(), Some(1));
    let report = text(&output.stdout);
    for part in ["warn       empty", "failed with code 7", "5 B\n           empty"] {
        assert!(report.contains(part), "{report:?} does not say {part:?}");
    }
}

#[test]
fn the_task_s_units_are_a_bound() {
    let author = author();
    let output = author.run(&["run", "echo.wasm", "--input", "hello.txt", "--units", "4", "--json"], b"");
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["outcome"], serde_json::json!({"trap": "units_limit"}));
}

#[test]
fn an_endless_kernel_ends_at_its_deadline() {
    let author = author();
    let endless = r#"(module (memory (export "memory") 1)
        (func (export "p2c2r_main") (result i32) (loop (br 0)) (i32.const 0)))"#;
    author.write("endless.wasm", wat::parse_str(endless).unwrap());
    let error = author.fails(&["run", "endless.wasm", "--deadline", "1"]);
    assert!(error.contains("1000 ms, its deadline"), "{error}");
}

#[test]
fn a_signature_can_be_demanded() {
    let author = author();
    author.ok(&["keygen", "author.pem"]);
    author.ok(&["keygen", "other.pem"]);
    let run = |key| ["run", "echo.wasm", "--input", "hello.txt", "--key", key];
    author.refuses(&run("author.pub.pem"), "not signed");
    author.ok(&["sign", "echo.wasm", "--key", "author.pem"]);
    author.ok(&run("author.pub.pem"));
    author.refuses(&run("other.pub.pem"), "not trusted");
}

#[test]
fn errors_name_the_fix() {
    let author = author();
    author.refuses(&["run", "echo.wasm", "--gpu"], "no GPU path");
    author.refuses(&["run", "echo.wasm", "--input", "missing"], "cannot read input missing");
    author.write("library.wasm", wat::parse_str("(module)").unwrap());
    let error = author.fails(&["run", "library.wasm"]);
    assert!(error.contains("exports neither p2c2r_main"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_pipe_is_written_to_and_not_replaced() {
    use std::os::unix::fs::FileTypeExt;
    let author = author();
    let pipe = author.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read(pipe).unwrap()
    });
    author.ok(&["run", "echo.wasm", "--input", "hello.txt", "--output", "pipe"]);
    assert!(std::fs::metadata(&pipe).unwrap().file_type().is_fifo());
    assert_eq!(reader.join().unwrap(), b"hello");
}
