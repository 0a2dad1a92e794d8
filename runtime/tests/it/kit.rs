//! Modules made in memory, and one sandbox for all tests.

use std::sync::OnceLock;

use p2c2r_runtime::{Attempt, Execution, GpuPolicy, HostFault, Kernel, LoadError, Sandbox, SandboxConfig};
use p2c2r_signing::{
    Limits, Manifest, Outcome, Profile, SecretKey, TrapCode, TrustedKeys, VerifiedModule, attach, sign_module,
    verify_module,
};

/// Without GPU, with a worker for every test thread.
pub(crate) fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| {
        Sandbox::new(SandboxConfig { gpu: GpuPolicy::Off, workers: 64, cache_dir: None, ..SandboxConfig::default() })
            .expect("a sandbox")
    })
}

pub(crate) fn manifest() -> Manifest {
    let text = br#"{"name": "test", "version": "1.0.0", "abi": 1, "publisher": "Test", "unit": "unit"}"#;
    let mut manifest = Manifest::from_json(text).expect("a manifest");
    manifest.limits = Limits { memory_bytes: 1 << 20, input_bytes: 1 << 16, output_bytes: 1 << 12, units: 1000 };
    manifest
}

pub(crate) fn wasi_manifest() -> Manifest {
    Manifest { profile: Profile::Wasi, ..manifest() }
}

pub(crate) fn sign(wasm: &[u8], manifest: &Manifest, shaders: &[(&str, &str)]) -> VerifiedModule {
    try_sign(wasm, manifest, shaders).expect("a module that signing accepts")
}

/// `None` if signing already refuses the module.
pub(crate) fn try_sign(wasm: &[u8], manifest: &Manifest, shaders: &[(&str, &str)]) -> Option<VerifiedModule> {
    static KEY: OnceLock<SecretKey> = OnceLock::new();
    let key = KEY.get_or_init(SecretKey::generate);
    let shaders: Vec<_> = shaders.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let signed = sign_module(&attach(wasm, manifest, &shaders).ok()?, key).ok()?;
    verify_module(signed, &TrustedKeys::from(key.public())).ok()
}

pub(crate) fn module(wat: &str, manifest: &Manifest) -> VerifiedModule {
    sign(&wat::parse_str(wat).expect("a module"), manifest, &[])
}

pub(crate) fn load(wat: &str, manifest: &Manifest) -> Result<Kernel, LoadError> {
    sandbox().load(&module(wat, manifest))
}

/// A WASI program, with room to work.
pub(crate) fn load_program(wasm: &[u8]) -> Kernel {
    let limits = Limits { memory_bytes: 16 << 20, input_bytes: 1 << 20, output_bytes: 1 << 20, units: 1 };
    let kernel = sandbox().load(&sign(wasm, &Manifest { limits, ..wasi_manifest() }, &[])).expect("loads");
    assert_eq!(kernel.bad_abi(), None);
    kernel
}

/// Runs a program twice: what it says is a function of the task.
pub(crate) fn run_program(kernel: &Kernel, input: &[u8]) -> Execution {
    let run = || sandbox().run(kernel, Attempt::new(input.to_vec())).expect("no host fault");
    let (first, second) = (run(), run());
    assert_eq!((first.outcome, &first.output), (second.outcome, &second.output));
    assert_eq!(first.trace_root, second.trace_root);
    first
}

/// Loads and runs a module.
pub(crate) fn try_run(wat: &str, manifest: &Manifest, attempt: Attempt) -> Result<Execution, HostFault> {
    sandbox().run(&load(wat, manifest).expect("loads"), attempt)
}

pub(crate) fn run_with(wat: &str, manifest: &Manifest, attempt: Attempt) -> Execution {
    try_run(wat, manifest, attempt).expect("no host fault")
}

pub(crate) fn run(wat: &str) -> Execution {
    run_with(wat, &manifest(), Attempt::new(""))
}

/// A core module with every import, a page of memory at most 4, `$put` to write an i32 to the output, and `body` as
/// its entry.
pub(crate) fn core(body: &str) -> String {
    format!(
        r#"(module
            (import "p2c2r_v1" "input_len" (func $input_len (result i32)))
            (import "p2c2r_v1" "input_read" (func $input_read (param i32 i32 i32) (result i32)))
            (import "p2c2r_v1" "output_write" (func $output_write (param i32 i32) (result i32)))
            (import "p2c2r_v1" "blob_count" (func $blob_count (result i32)))
            (import "p2c2r_v1" "blob_len" (func $blob_len (param i32) (result i64)))
            (import "p2c2r_v1" "blob_read" (func $blob_read (param i32 i64 i32 i32) (result i32)))
            (import "p2c2r_v1" "seed" (func $seed (param i32)))
            (import "p2c2r_v1" "log" (func $log (param i32 i32 i32)))
            (import "p2c2r_v1" "charge" (func $charge (param i64)))
            (import "p2c2r_v1" "gpu_caps" (func $gpu_caps (result i32)))
            (import "p2c2r_v1" "buf_create" (func $buf_create (param i64) (result i32)))
            (import "p2c2r_v1" "buf_write" (func $buf_write (param i32 i64 i32 i32) (result i32)))
            (import "p2c2r_v1" "buf_read" (func $buf_read (param i32 i64 i32 i32) (result i32)))
            (import "p2c2r_v1" "buf_drop" (func $buf_drop (param i32) (result i32)))
            (import "p2c2r_v1" "dispatch"
                (func $dispatch (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 1024) "hello, sandbox")
            (data (i32.const 2048) "double")
            (func $put (param i32)
                (i32.store (i32.const 0) (local.get 0))
                (drop (call $output_write (i32.const 0) (i32.const 4))))
            (func $put64 (param i64)
                (i64.store (i32.const 0) (local.get 0))
                (drop (call $output_write (i32.const 0) (i32.const 8))))
            (func (export "p2c2r_main") (result i32)
                {body}
                (i32.const 0)))"#
    )
}

/// An import as the tables of the contract list it, so that a new one cannot be forgotten.
pub(crate) struct Import {
    pub(crate) module: &'static str,
    pub(crate) name: &'static str,
    /// Names and WebAssembly types.
    pub(crate) params: Vec<(&'static str, &'static str)>,
    returns: Option<&'static str>,
}

/// The imports of `p2c2r_v1`.
pub(crate) fn core_imports() -> Vec<Import> {
    let import =
        |(name, signature): &(&'static str, &'static str)| Import::new(p2c2r_abi::IMPORT_MODULE, name, signature);
    p2c2r_abi::import::ALL.iter().map(import).collect()
}

/// The imports of `wasi_snapshot_preview1`.
pub(crate) fn wasi_imports() -> Vec<Import> {
    let import =
        |(name, signature): &(&'static str, &'static str)| Import::new("wasi_snapshot_preview1", name, signature);
    p2c2r_runtime::WASI_IMPORTS.iter().map(import).collect()
}

impl Import {
    fn new(module: &'static str, name: &'static str, signature: &'static str) -> Self {
        let (params, result) = signature.trim_start_matches('(').split_once(')').expect("a signature");
        let params = params.split(',').filter_map(|p| p.split_once(':')).map(|(name, ty)| (name.trim(), ty.trim()));
        Self { module, name, params: params.collect(), returns: result.strip_prefix(" -> ") }
    }

    /// A module of the import's profile with a page of memory, whose entry calls the import with `arguments` and
    /// writes an i32 result to the output. `repeat` calls it for ever.
    pub(crate) fn caller(&self, arguments: &[i64], repeat: bool) -> String {
        let types: String = self.params.iter().map(|(_, ty)| format!(" {ty}")).collect();
        let arguments: String =
            self.params.iter().zip(arguments).map(|((_, ty), n)| format!("({ty}.const {n}) ")).collect();
        let result = self.returns.map_or(String::new(), |ty| format!("(result {ty})"));
        let call = format!("(call $it {arguments})");
        let (module, name) = (self.module, self.name);
        let wasi = module.starts_with("wasi");
        // An iovec at 16 covers the bytes from 4096; the result of the call goes out through another at 32.
        let put = if wasi {
            "(drop (call $out (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 40)))"
        } else {
            "(drop (call $out (i32.const 8) (i32.const 4)))"
        };
        let once = match self.returns {
            None => call.clone(),
            Some("i32") => format!("(i32.store (i32.const 8) {call}) {put}"),
            Some(_) => format!("(drop {call})"),
        };
        let body = match (repeat, self.returns) {
            (false, _) => once,
            (true, None) => format!("(loop $again {call} (br $again))"),
            (true, Some(_)) => format!("(loop $again (drop {call}) (br $again))"),
        };
        let (out, entry, end) = if wasi {
            (
                r#"(import "wasi_snapshot_preview1" "fd_write" (func $out (param i32 i32 i32 i32) (result i32)))"#,
                "_start",
                "",
            )
        } else {
            (
                r#"(import "p2c2r_v1" "output_write" (func $out (param i32 i32) (result i32)))"#,
                "p2c2r_main",
                "(i32.const 0)",
            )
        };
        let returns = if wasi { "" } else { "(result i32)" };
        format!(
            r#"(module
                (import "{module}" "{name}" (func $it (param{types}) {result}))
                {out}
                (memory (export "memory") 1)
                (data (i32.const 16) "\00\10\00\00\08\00\00\00")
                (data (i32.const 32) "\08\00\00\00\04\00\00\00")
                (func (export "{entry}") {returns} {body} {end}))"#
        )
    }

    /// The manifest of the profile that offers this import.
    pub(crate) fn manifest(&self) -> Manifest {
        if self.module.starts_with("wasi") { wasi_manifest() } else { manifest() }
    }
}

/// Endless recursion has ended in the one trap all engines agree on, long before the native stack did.
#[track_caller]
pub(crate) fn assert_stack_ended(result: &Result<Execution, HostFault>) {
    match result {
        Ok(execution) if execution.outcome == Outcome::Trap(TrapCode::StackLimit) => {}
        other => panic!("deep recursion ended as {other:?}"),
    }
}

/// The output as the numbers `$put` wrote.
pub(crate) fn numbers(execution: &Execution) -> Vec<i32> {
    execution.output.chunks(4).map(|c| i32::from_le_bytes(c.try_into().expect("four bytes"))).collect()
}
