//! Small signed kernels.

use p2c2r_signing::{Manifest, ModuleId, SecretKey, attach, sign_module};

const HEAD: &str = r#"(module
  (import "p2c2r_v1" "input_len" (func $len (result i32)))
  (import "p2c2r_v1" "input_read" (func $read (param i32 i32 i32) (result i32)))
  (import "p2c2r_v1" "blob_len" (func $blob_len (param i32) (result i64)))
  (import "p2c2r_v1" "blob_read" (func $blob_read (param i32 i64 i32 i32) (result i32)))
  (import "p2c2r_v1" "output_write" (func $write (param i32 i32) (result i32)))
  (import "p2c2r_v1" "charge" (func $charge (param i64)))
  (memory (export "memory") 16 16)
  (func (export "p2c2r_main") (result i32) "#;

/// A signed kernel of this body.
fn signed(name: &str, body: &str, key: &SecretKey) -> (ModuleId, Vec<u8>) {
    let wasm = wat::parse_str(format!("{HEAD}{body}))")).unwrap();
    let manifest = format!(r#"{{"name":"{name}","version":"1.0.0","abi":1,"publisher":"test","unit":"call"}}"#);
    let attached = attach(&wasm, &Manifest::from_json(manifest.as_bytes()).unwrap(), &[]).unwrap();
    let signed = sign_module(&attached, key).unwrap();
    (ModuleId::of(&signed), signed)
}

/// Writes its input, charges 3.
pub(crate) fn echo(key: &SecretKey) -> (ModuleId, Vec<u8>) {
    let body = "(drop (call $read (i32.const 0) (i32.const 0) (call $len)))
        (drop (call $write (i32.const 0) (call $len))) (call $charge (i64.const 3)) (i32.const 0)";
    signed("echo", body, key)
}

/// Writes the first 8 bytes of its first blob.
pub(crate) fn blob_head(key: &SecretKey) -> (ModuleId, Vec<u8>) {
    let body = "(drop (call $blob_read (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 8)))
        (drop (call $write (i32.const 0) (i32.const 8))) (i32.const 0)";
    signed("blob-head", body, key)
}

/// Never ends.
pub(crate) fn endless(key: &SecretKey) -> (ModuleId, Vec<u8>) {
    signed("endless", "(loop $again (br $again)) (i32.const 0)", key)
}
