//! Kernels in text, and a jail to run them in.

use std::path::PathBuf;
use std::sync::OnceLock;

use p2c2r_jail::{Jail, JailConfig, JailedKernel};
use p2c2r_runtime::{Attempt, Execution, GpuPolicy, HostFault};
use p2c2r_signing::{
    BlobId, Limits, Manifest, SecretKey, TrustedKeys, VerifiedModule, attach, sign_module, verify_module,
};

pub(crate) fn config() -> JailConfig {
    let gpu = GpuPolicy::Off;
    JailConfig { workers: 4, gpu, ..JailConfig::new(PathBuf::from(env!("CARGO_BIN_EXE_p2c2r-worker"))) }
}

/// One for all tests that do not ask for their own.
pub(crate) fn jail() -> &'static Jail {
    static JAIL: OnceLock<Jail> = OnceLock::new();
    JAIL.get_or_init(|| Jail::start(config()).expect("a jail"))
}

pub(crate) fn manifest() -> Manifest {
    let json = br#"{"name": "test", "version": "1.0.0", "abi": 1, "publisher": "Tests", "unit": "unit"}"#;
    let limits = Limits { memory_bytes: 64 << 20, input_bytes: 8 << 20, output_bytes: 8 << 20, units: 10_000_000 };
    Manifest { limits, ..Manifest::from_json(json).unwrap() }
}

/// A kernel whose `main` is `body`; memory of 130 pages. `$in` is the length of the input.
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
        (memory (export "memory") 130)
        (func (export "p2c2r_main") (result i32) (local $i i32) (local $n i32)
            {body}
            (i32.const 0)))"#
    )
}

/// Writes the input back and charges a unit a byte.
pub(crate) const ECHO: &str = "(drop (call $input_read (i32.const 0) (i32.const 0) (call $input_len)))
    (drop (call $output_write (i32.const 0) (call $input_len)))
    (call $charge (i64.extend_i32_u (call $input_len)))";

/// Never ends.
pub(crate) const SPIN: &str = "(loop (br 0))";

pub(crate) fn module(wat: &str, manifest: &Manifest) -> VerifiedModule {
    with_shaders(wat, manifest, &[])
}

pub(crate) fn with_shaders(wat: &str, manifest: &Manifest, shaders: &[(String, String)]) -> VerifiedModule {
    let wasm = wat::parse_str(wat).unwrap();
    let key = SecretKey::generate();
    let signed = sign_module(&attach(&wasm, manifest, shaders).unwrap(), &key).unwrap();
    verify_module(signed, &TrustedKeys::from(key.public())).unwrap()
}

pub(crate) fn load(jail: &Jail, body: &str) -> JailedKernel {
    jail.load(&module(&core(body), &manifest())).unwrap()
}

pub(crate) fn run(jail: &Jail, kernel: &JailedKernel, attempt: &Attempt) -> Result<Execution, HostFault> {
    let ids: Vec<BlobId> = attempt.blobs.iter().map(|blob| BlobId::of(blob)).collect();
    jail.run(kernel, attempt, &ids)
}
