//! A kernel of ours that an execute worker runs before it says that it is ready. What happens once in a process, finding
//! code on disk above all, then happens while nobody waits: 0.9 ms to a first result in place of 1.2, for a longer start (one run each
//! of examples/bench on a busy machine, so a hint and no measurement).

use p2c2r_runtime::{Attempt, Sandbox};
use p2c2r_signing::{Manifest, Outcome, SecretKey, TrustedKeys, attach, sign_module, verify_module};

use super::{WorkerError, reason};

/// Writes one number to memory and returns: `(memory (export "memory") 1)` and
/// `(func (export "p2c2r_main") (result i32) (i32.store (i32.const 0) (i32.const 1)) (i32.const 0))`.
const MODULE: &[u8] = b"\0asm\x01\0\0\0\
    \x01\x05\x01\x60\0\x01\x7f\
    \x03\x02\x01\0\
    \x05\x03\x01\0\x01\
    \x07\x17\x02\x06memory\x02\0\x0ap2c2r_main\0\0\
    \x0a\x0d\x01\x0b\0\x41\0\x41\x01\x36\x02\0\x41\0\x0b";

const MANIFEST: &[u8] = br#"{"name": "rehearsal", "version": "1.0.0", "abi": 1, "publisher": "P2C2R", "unit": "call"}"#;

/// Goes the whole way of a kernel: verify, compile, load, run. Nothing of it is left that a guest could see.
pub(super) fn rehearse(sandbox: &Sandbox) -> Result<(), WorkerError> {
    run(sandbox).map_err(WorkerError::Rehearsal)
}

fn run(sandbox: &Sandbox) -> Result<(), String> {
    let key = SecretKey::generate();
    let manifest = Manifest::from_json(MANIFEST).map_err(reason)?;
    let signed = sign_module(&attach(MODULE, &manifest, &[]).map_err(reason)?, &key).map_err(reason)?;
    let module = verify_module(signed, &TrustedKeys::from(key.public())).map_err(reason)?;
    let kernel = sandbox.load(&module).map_err(reason)?;
    let ran = sandbox.run(&kernel, Attempt::new("")).map_err(reason)?;
    if ran.outcome == Outcome::Output { Ok(()) } else { Err(format!("{:?}", ran.outcome)) }
}

#[cfg(test)]
mod tests {
    use p2c2r_runtime::{GpuPolicy, SandboxConfig};

    use super::*;

    #[test]
    fn the_rehearsal_goes_well() {
        let sandbox = Sandbox::new(SandboxConfig { gpu: GpuPolicy::Off, ..SandboxConfig::default() }).unwrap();
        run(&sandbox).unwrap();
    }
}
