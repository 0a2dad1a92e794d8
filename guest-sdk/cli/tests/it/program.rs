//! Starting the program and looking at what it says.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder of its own and the program run inside it.
pub(crate) struct Author {
    folder: TempDir,
}

impl Author {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Runs and must succeed; returns standard output.
    pub(crate) fn ok<A: AsRef<OsStr>>(&self, arguments: &[A]) -> String {
        let output = self.run(arguments, b"");
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs and must fail with exit code 1; returns standard error.
    pub(crate) fn fails<A: AsRef<OsStr>>(&self, arguments: &[A]) -> String {
        let output = self.run(arguments, b"");
        assert_eq!(output.status.code(), Some(1), "{} {}", text(&output.stdout), text(&output.stderr));
        text(&output.stderr)
    }

    /// Runs and must fail with an error that says `part`.
    pub(crate) fn refuses<A: AsRef<OsStr>>(&self, arguments: &[A], part: &str) {
        let error = self.fails(arguments);
        // What the program noticed on the way may stand before the error, and nothing else.
        let first = error.lines().find(|line| !line.starts_with("note: ")).unwrap_or_default();
        assert!(first.starts_with("error: ") && error.contains(part), "{error:?} does not say {part:?}");
    }

    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: &[A], input: &[u8]) -> Output {
        run_in(self.folder.path(), arguments, input)
    }
}

fn run_in<A: AsRef<OsStr>>(folder: &Path, arguments: &[A], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_p2c2r"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read its input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A kernel's description without Cargo.
pub(crate) const DESCRIPTION: &str = r#"
name = "echo"
version = "1.2.3"
publisher = "Tests"
unit = "byte"
"#;

/// Gives back its input and charges one unit for each byte; says "empty" and fails with 7 if there is none.
pub(crate) fn echo_kernel() -> Vec<u8> {
    wat::parse_str(
        r#"(module
            (import "p2c2r_v1" "input_len" (func $len (result i32)))
            (import "p2c2r_v1" "input_read" (func $read (param i32 i32 i32) (result i32)))
            (import "p2c2r_v1" "output_write" (func $write (param i32 i32) (result i32)))
            (import "p2c2r_v1" "charge" (func $charge (param i64)))
            (import "p2c2r_v1" "log" (func $log (param i32 i32 i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "empty")
            (func (export "p2c2r_main") (result i32)
                (if (i32.eqz (call $len)) (then
                    (call $log (i32.const 2) (i32.const 0) (i32.const 5))
                    (drop (call $write (i32.const 0) (i32.const 5)))
                    (return (i32.const 7))))
                (drop (call $read (i32.const 0) (i32.const 1024) (call $len)))
                (drop (call $write (i32.const 1024) (call $len)))
                (call $charge (i64.extend_i32_u (call $len)))
                (i32.const 0)))"#,
    )
    .unwrap()
}

/// A WASI program: `cat` of up to 1 KiB.
pub(crate) fn wasi_cat() -> Vec<u8> {
    wat::parse_str(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            ;; one vector: address 1024, length 1024
            (data (i32.const 0) "\00\04\00\00\00\04\00\00")
            (func (export "_start")
                (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
                (i32.store (i32.const 4) (i32.load (i32.const 8)))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
    )
    .unwrap()
}
