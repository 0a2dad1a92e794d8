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
    assert!(notes.contains("4 B, written to standard output"), "{notes}");
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
    let said = text(&author.run(&["run", "echo.wasm", "--input", "hello.txt", "--units", "4"], b"").stdout);
    let part =
        "trap: a charge that passes 4 units, what the task may charge; raise limits.units in p2c2r.toml or --units";
    assert!(said.contains(part), "{said}");
}

#[test]
fn bounds_that_are_met_are_named() {
    let author = Author::new();
    author.write("compiled.wasm", echo_kernel());
    author.write("hello.txt", "hello");
    let limited = |limits: &str| {
        author.write("p2c2r.toml", format!("{DESCRIPTION}[limits]\n{limits}"));
        author.ok(&["build", ".", "--module", "compiled.wasm", "--out", "echo.wasm"]);
        author.run(&["run", "echo.wasm", "--input", "hello.txt"], b"")
    };
    let said = text(&limited("output_bytes = 4").stdout);
    assert!(said.contains("the output passes its limit; limits.output_bytes in p2c2r.toml is 4 bytes"), "{said}");
    let said = text(&limited("input_bytes = 4").stderr);
    assert!(said.contains("no peer would be given this task: 5 bytes of input, at most 4 are allowed"), "{said}");

    author.write(
        "compiled.wasm",
        wat::parse_str(r#"(module (memory (export "memory") 2) (func (export "p2c2r_main")))"#).unwrap(),
    );
    author.write("p2c2r.toml", format!("{DESCRIPTION}[limits]\nmemory_bytes = 65536"));
    author.refuses(&["build", ".", "--module", "compiled.wasm"], "memory starts with 131072 bytes");
    author.write("p2c2r.toml", DESCRIPTION);
    author.ok(&["build", ".", "--module", "compiled.wasm", "--out", "echo.wasm"]);
    let said = text(&author.run(&["run", "echo.wasm"], b"").stdout);
    assert_eq!((said.matches("is not () -> i32").count(), said.contains("panic")), (1, false), "{said}");
}

/// `p2c2r new --gpu` without its compiler: gives back its input; on a path with shaders, what the shader makes of it.
fn exact_kernel(cpu_path: bool, wgsl: &str) -> Author {
    let author = Author::new();
    let gpu = "[gpu]\nbuffers = 1\nbuffer_bytes = 4\ndispatches = 1\nworkgroups = 1";
    author.write("p2c2r.toml", format!("{DESCRIPTION}{gpu}\ncpu_path = {cpu_path}"));
    author.write("shaders/add.wgsl", wgsl);
    author.write("word", [1, 0, 0, 0]);
    let wasm = wat::parse_str(
        r#"(module
            (import "p2c2r_v1" "input_read" (func $input (param i32 i32 i32) (result i32)))
            (import "p2c2r_v1" "output_write" (func $output (param i32 i32) (result i32)))
            (import "p2c2r_v1" "gpu_caps" (func $caps (result i32)))
            (import "p2c2r_v1" "buf_create" (func $create (param i64) (result i32)))
            (import "p2c2r_v1" "buf_write" (func $write (param i32 i64 i32 i32) (result i32)))
            (import "p2c2r_v1" "buf_read" (func $read (param i32 i64 i32 i32) (result i32)))
            (import "p2c2r_v1" "dispatch" (func $dispatch (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 16) "add")
            (func (export "p2c2r_main") (result i32) (local $buffer i32)
                (drop (call $input (i32.const 0) (i32.const 0) (i32.const 4)))
                (if (call $caps) (then
                    (local.set $buffer (call $create (i64.const 4)))
                    (drop (call $write (local.get $buffer) (i64.const 0) (i32.const 0) (i32.const 4)))
                    ;; binding 0, the buffer
                    (i32.store (i32.const 36) (local.get $buffer))
                    (drop (call $dispatch (i32.const 16) (i32.const 3) (i32.const 1) (i32.const 1) (i32.const 1) (i32.const 32) (i32.const 1)))
                    (drop (call $read (local.get $buffer) (i64.const 0) (i32.const 0) (i32.const 4)))))
                (call $output (i32.const 0) (i32.const 4))))"#,
    );
    author.write("compiled.wasm", wasm.unwrap());
    author.ok(&["build", ".", "--module", "compiled.wasm", "--out", "kernel.wasm"]);
    author
}

fn adding(more: u32) -> String {
    format!(
        "@group(0) @binding(0) var<storage, read_write> words: array<u32>;
        @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3<u32>) {{ words[id.x] += {more}u; }}"
    )
}

#[test]
fn exact_kernels_take_the_path_of_peers() {
    let author = exact_kernel(true, &adding(1));
    let run = |more: &[&str]| -> Value {
        let arguments = [&["run", "kernel.wasm", "--input", "word", "--output", "out", "--json"][..], more].concat();
        serde_json::from_str(&author.ok(&arguments)).unwrap()
    };
    let report = run(&[]);
    assert_eq!((&report["path"], &report["shaders"]), (&Value::from("exact"), &Value::from("the CPU reference")));
    assert_eq!(author.read("out"), [2, 0, 0, 0]);
    assert_eq!(run(&["--gpu"])["trace_root"], report["trace_root"]);
    let report = run(&["--cpu"]);
    assert_eq!((&report["path"], &report["shaders"]), (&Value::from("cpu"), &Value::Null));
    assert_eq!(author.read("out"), [1, 0, 0, 0]);
    let said = author.run(&["run", "kernel.wasm", "--input", "word", "--cpu"], b"");
    assert!(text(&said.stderr).contains("note: no peer takes the CPU path of this kernel"), "{}", text(&said.stderr));
    let said = author.ok(&["run", "kernel.wasm", "--input", "word"]);
    assert!(said.contains(" ms on the exact path, shaders on the CPU reference, compiled"), "{said}");
}

#[test]
fn whatever_may_compute_an_exact_kernel_is_compared() {
    let check = ["run", "kernel.wasm", "--input", "word", "--check"];
    let said = exact_kernel(true, &adding(0)).ok(&check);
    for part in [
        "first      the CPU reference in ",
        "same       the CPU reference, in order 1, 1 at a time",
        "same       the CPU path",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let said = exact_kernel(false, &adding(1)).ok(&check);
    assert!(said.contains("left out   the CPU path: the manifest does not say cpu_path = true"), "{said}");
    let output = exact_kernel(true, &adding(1)).run(&check, b"");
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("DIFFERS    the CPU path") && said.contains("byte 0 of the output is 0x01, not 0x02"),
        "{said}"
    );
    author().refuses(&["run", "echo.wasm", "--check"], "the manifest has no [gpu]");
}

#[test]
fn a_shader_that_loops_for_too_long_is_told_by_how_much() {
    let endless = "@group(0) @binding(0) var<storage, read_write> words: array<u32>;
        @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            loop { words[id.x] += 1u; }
        }";
    let output = exact_kernel(false, endless).run(&["run", "kernel.wasm", "--input", "word"], b"");
    let said = text(&output.stdout);
    assert!(said.contains("more than 57_344 times in one dispatch (8_189 times those with a barrier)"), "{said}");
}

#[test]
fn an_endless_kernel_ends_at_its_deadline() {
    let author = author();
    let endless = r#"(module (memory (export "memory") 1)
        (func (export "p2c2r_main") (result i32) (loop (br 0)) (i32.const 0)))"#;
    author.write("endless.wasm", wat::parse_str(endless).unwrap());
    let error = author.fails(&["run", "endless.wasm", "--deadline", "1"]);
    assert!(
        error.contains("no outcome: not done after 1000 ms, its deadline; give the kernel more with --deadline"),
        "{error}"
    );
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
