//! A client against a coordinator that does what the test says, over real TLS, and against no coordinator at all.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod coordinator;
mod local;
mod network;

use std::time::Duration;

use p2c2r_client::{Client, Event, Kernel};
use p2c2r_signing::{Manifest, SecretKey, TrustedKeys};

/// Longer than anything takes; a test that waits this long has failed.
const LIMIT: Duration = Duration::from_secs(60);

/// Copies its input to its output and charges one unit.
const ECHO: &str = r#"(module
  (import "p2c2r_v1" "input_len" (func $len (result i32)))
  (import "p2c2r_v1" "input_read" (func $read (param i32 i32 i32) (result i32)))
  (import "p2c2r_v1" "output_write" (func $write (param i32 i32) (result i32)))
  (import "p2c2r_v1" "charge" (func $charge (param i64)))
  (memory (export "memory") 1 1)
  (func (export "p2c2r_main") (result i32)
    (drop (call $read (i32.const 0) (i32.const 0) (call $len)))
    (drop (call $write (i32.const 0) (call $len)))
    (call $charge (i64.const 1))
    (i32.const 0)))"#;

/// A signed echo kernel, and the key it is signed with.
fn signed_echo() -> (Vec<u8>, TrustedKeys) {
    let manifest = r#"{"name":"echo","version":"1.0.0","abi":1,"publisher":"tests","unit":"call",
        "limits":{"memory_bytes":65536,"input_bytes":4096,"output_bytes":4096,"units":10},
        "split":{"header_bytes":1,"item_bytes":2}}"#;
    let manifest: Manifest = serde_json::from_str(manifest).unwrap();
    let key = SecretKey::generate();
    let wasm = p2c2r_signing::attach(&wat::parse_str(ECHO).unwrap(), &manifest, &[]).unwrap();
    (p2c2r_signing::sign_module(&wasm, &key).unwrap(), TrustedKeys::new([key.public()]).unwrap())
}

fn echo(client: &Client) -> Kernel {
    let (wasm, trusted) = signed_echo();
    client.add_kernel(wasm, &trusted).unwrap()
}

/// The next event that is not about the connection.
fn next(client: &Client) -> Event {
    loop {
        match client.wait(LIMIT).unwrap() {
            Event::Network(_) => {}
            event => return event,
        }
    }
}
