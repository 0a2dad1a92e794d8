//! The compile worker: one module, then the end.

use p2c2r_runtime::{Compiled, Sandbox};

use super::{WorkerError, reason, verified};
use crate::channel::{Channel, Received};
use crate::memory::Window;
use crate::message::{Order, Report};

pub(super) fn serve(sandbox: &Sandbox, channel: &mut Channel) -> Result<(), WorkerError> {
    let Received { message, descriptors } = channel.receive::<Order<'_>>()?;
    let (Order::Compile { signer, module_bytes, code_bytes }, Ok([module, window])) =
        (message, <[_; 2]>::try_from(descriptors))
    else {
        return Err(WorkerError::Order("not a module to compile"));
    };
    let window = Window::from_parts(window, code_bytes);
    let compiled = verified(&module, module_bytes, signer)
        .and_then(|module| sandbox.compile(&module).map_err(reason))
        .and_then(|compiled| match compiled {
            Compiled::BadAbi(why) => Ok(Err(reason(why))),
            Compiled::Code(code) if code.len() as u64 > window.bytes() => {
                Err(format!("compiled to {} bytes, at most {} are kept", code.len(), window.bytes()))
            }
            Compiled::Code(code) => window.write(0, &code).map(|()| Ok(code.len() as u64)).map_err(reason),
        });
    channel.send(&Report::Compiled(compiled), &[])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use p2c2r_runtime::{GpuPolicy, SandboxConfig};
    use p2c2r_signing::{Manifest, SecretKey, attach, sign_module};

    use super::*;
    use crate::memory::Sealed;

    /// The room is what the supervisor made, `CACHE_ENTRY_BYTES` for a peer.
    #[test]
    fn code_is_handed_over_if_it_fits_to_the_byte() {
        let manifest = br#"{"name": "test", "version": "1.0.0", "abi": 1, "publisher": "Test", "unit": "unit"}"#;
        let wasm = attach(b"\0asm\x01\0\0\0", &Manifest::from_json(manifest).unwrap(), &[]).unwrap();
        let key = SecretKey::generate();
        let module = sign_module(&wasm, &key).unwrap();
        let memory = Sealed::new(&module).unwrap();
        let config = SandboxConfig { gpu: GpuPolicy::Off, workers: 1, ..SandboxConfig::default() };
        let sandbox = Sandbox::new(config).unwrap();
        let compile = |code_bytes: u64| {
            let (mut supervisor, line) = Channel::pair().unwrap();
            let window = Window::new(code_bytes).unwrap();
            let order = Order::Compile { signer: key.public(), module_bytes: module.len() as u64, code_bytes };
            supervisor.send(&order, &[memory.as_fd(), window.as_fd()]).unwrap();
            serve(&sandbox, &mut Channel::new(line)).unwrap();
            let Received { message: Report::Compiled(compiled), .. } = supervisor.receive::<Report<'_>>().unwrap()
            else {
                panic!("another report")
            };
            compiled.map(|code| code.unwrap())
        };
        let bytes = compile(1 << 20).unwrap();
        assert_eq!(compile(bytes), Ok(bytes));
        assert_eq!(compile(bytes - 1), Err(format!("compiled to {bytes} bytes, at most {} are kept", bytes - 1)));
    }
}
