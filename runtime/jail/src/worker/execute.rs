//! The execute worker: loads one kernel, runs attempts of it, one at a time. It never looks at a deadline; whoever
//! waits for it does.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use p2c2r_runtime::{Attempt, Compiled, Execution, HostFault, Kernel, PathKind, Sandbox};
use p2c2r_signing::{BlobId, PublicKey};

use super::remote::RemoteGpu;
use super::{Walls, WorkerError, reason, verified};
use crate::channel::{Channel, Received};
use crate::confine;
use crate::limits::INLINE_BYTES;
use crate::memory::{self, Window};
use crate::message::{Fault, Order, Payload, Ran, Report, Run};

/// What a worker has when it has loaded.
struct Bench<'a> {
    sandbox: &'a Sandbox,
    kernel: Kernel,
    input: Window,
    output: Window,
    blobs: BTreeMap<BlobId, Bytes>,
}

pub(super) fn serve(sandbox: &Sandbox, walls: Walls, channel: &mut Channel) -> Result<(), WorkerError> {
    let Received { message, descriptors } = channel.receive()?;
    let Order::Load { signer, module_bytes, code, input_bytes, output_bytes } = message else {
        return Err(WorkerError::Order("not a kernel to load"));
    };
    let code = code.map_err(std::borrow::Cow::into_owned);
    let Ok([module, code_memory, input, output]) = <[_; 4]>::try_from(descriptors) else {
        return Err(WorkerError::Order("not the descriptors of a kernel"));
    };
    let kernel = load(sandbox, signer, (&module, module_bytes), (&code_memory, code));
    let kernel = match kernel {
        Ok(kernel) => kernel,
        Err(why) => {
            channel.send(&Report::Loaded(Err(why)), &[])?;
            return Ok(());
        }
    };
    if walls.outer {
        confine::forbid_new_code()?;
    }
    channel.send(&Report::Loaded(Ok(())), &[])?;
    let mut bench = Bench {
        sandbox,
        kernel,
        input: Window::from_parts(input, input_bytes),
        output: Window::from_parts(output, output_bytes),
        blobs: BTreeMap::new(),
    };
    loop {
        let Received { message, descriptors } = channel.receive()?;
        let Order::Run(run) = message else { return Err(WorkerError::Order("not an attempt")) };
        let ran = bench.attempt(run, descriptors)?;
        let output;
        let ran = match ran {
            Ok(execution) => {
                output = execution.output;
                Ok(Ran {
                    outcome: execution.outcome,
                    output: bench.hand_over(&output)?,
                    units: execution.units,
                    trace_root: execution.trace_root,
                    log: execution.log.into_iter().map(|line| (line.level.into(), line.text)).collect(),
                    duration: execution.duration,
                })
            }
            Err(fault) => Err(Fault::from(fault)),
        };
        channel.send(&Report::Ran(ran), &[])?;
    }
}

#[expect(unsafe_code, reason = "runs code that another process compiled")]
fn load(
    sandbox: &Sandbox,
    signer: PublicKey,
    (module, module_bytes): (&OwnedFd, u64),
    (code, code_bytes): (&OwnedFd, Result<u64, String>),
) -> Result<Kernel, String> {
    let module = verified(module, module_bytes, signer)?;
    let compiled = match code_bytes {
        Ok(bytes) => Compiled::Code(memory::map(code, bytes).map_err(reason)?.to_vec()),
        Err(why) => Compiled::BadAbi(why),
    };
    // SAFETY: a compile worker made it of this module and the supervisor kept it, under its MAC. Were it anything else,
    // this process holds no secret and reaches nothing, and runs nothing but this one kernel.
    unsafe { sandbox.load_compiled(&module, &compiled) }.map_err(reason)
}

impl Bench<'_> {
    /// The outer error ends the worker, the inner one the attempt.
    fn attempt(
        &mut self,
        run: Run<'_>,
        descriptors: Vec<OwnedFd>,
    ) -> Result<Result<Execution, HostFault>, WorkerError> {
        run.forget.iter().for_each(|id| drop(self.blobs.remove(id)));
        let mut descriptors = descriptors.into_iter();
        let mut blobs = Vec::with_capacity(run.blobs.len());
        for blob in &run.blobs {
            if blob.here {
                let descriptor = descriptors.next().ok_or(WorkerError::Order("a blob without its descriptor"))?;
                self.blobs.insert(blob.id, memory::map(&descriptor, blob.bytes)?);
            }
            blobs.push(self.blobs.get(&blob.id).cloned().ok_or(WorkerError::Order("a blob that was never given"))?);
        }
        let input = match run.input {
            Payload::Inline(bytes) => Bytes::copy_from_slice(bytes),
            Payload::Window(bytes) => self.input.take(bytes)?.into(),
        };
        let attempt = Attempt {
            input,
            blobs,
            seed: run.seed,
            path: if run.gpu.is_some() { PathKind::Gpu } else { PathKind::Cpu },
            max_units: run.max_units,
            deadline: run.deadline,
            cancel: None,
        };
        let Some(window_bytes) = run.gpu else { return Ok(self.sandbox.run(&self.kernel, attempt)) };
        let (Some(line), Some(window)) = (descriptors.next(), descriptors.next()) else {
            return Err(WorkerError::Order("no line to the gpu"));
        };
        let gpu = RemoteGpu::new(Channel::new(line), Window::from_parts(window, window_bytes));
        Ok(self.sandbox.run_with_gpu(&self.kernel, attempt, Box::new(gpu)))
    }

    fn hand_over<'a>(&self, output: &'a [u8]) -> Result<Payload<'a>, WorkerError> {
        if output.len() <= INLINE_BYTES {
            return Ok(Payload::Inline(output));
        }
        self.output.write(0, output)?;
        Ok(Payload::Window(output.len() as u64))
    }
}
