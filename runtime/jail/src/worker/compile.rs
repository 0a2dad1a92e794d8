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
