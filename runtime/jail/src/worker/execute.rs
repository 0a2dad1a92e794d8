//! The execute worker: loads one kernel, runs attempts of it, one at a time. It never looks at a deadline; whoever
//! waits for it does.

use std::borrow::Cow;
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
    let code = code.map_err(Cow::into_owned);
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
        let Order::Run { forget, given, runs } = message else { return Err(WorkerError::Order("not an attempt")) };
        let mut descriptors = descriptors.into_iter();
        bench.stock(&forget, &given, &mut descriptors)?;
        let executions = bench.attempts(runs, descriptors)?;
        let report = executions.iter().map(|ended| bench.tell(ended)).collect::<Result<_, _>>()?;
        channel.send(&Report::Ran(report), &[])?;
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
    fn stock(
        &mut self,
        forget: &[BlobId],
        given: &[(BlobId, u64)],
        descriptors: &mut impl Iterator<Item = OwnedFd>,
    ) -> Result<(), WorkerError> {
        forget.iter().for_each(|id| drop(self.blobs.remove(id)));
        for (id, bytes) in given {
            let descriptor = descriptors.next().ok_or(WorkerError::Order("a blob without its descriptor"))?;
            self.blobs.insert(*id, memory::map(&descriptor, *bytes)?);
        }
        Ok(())
    }

    /// The first of `runs`, as many as one report can tell of. The outer error ends the worker, the inner one an attempt.
    fn attempts(
        &mut self,
        runs: Vec<Run<'_>>,
        mut descriptors: impl Iterator<Item = OwnedFd>,
    ) -> Result<Vec<Result<Execution, HostFault>>, WorkerError> {
        let mut ended = Vec::with_capacity(runs.len());
        let mut told = 0;
        for run in runs {
            let execution = self.attempt(run, &mut descriptors)?;
            let log_bytes = |execution: &Execution| execution.log.iter().map(|line| line.text.len()).sum::<usize>();
            told += execution.as_ref().map_or(0, |execution| execution.output.len() + log_bytes(execution));
            if told > INLINE_BYTES && !ended.is_empty() {
                break;
            }
            ended.push(execution);
            // Its output may be in the window, where the next one's would go.
            if told > INLINE_BYTES {
                break;
            }
        }
        Ok(ended)
    }

    fn attempt(
        &mut self,
        run: Run<'_>,
        descriptors: &mut impl Iterator<Item = OwnedFd>,
    ) -> Result<Result<Execution, HostFault>, WorkerError> {
        let never = WorkerError::Order("a blob that was never given");
        let blobs = run.blobs.iter().map(|id| self.blobs.get(id).cloned()).collect::<Option<_>>().ok_or(never)?;
        let input = match run.input {
            Payload::Inline(bytes) => Bytes::copy_from_slice(bytes),
            Payload::Window(bytes) => self.input.take(bytes)?.into(),
        };
        let attempt = Attempt {
            input,
            blobs,
            seed: run.seed,
            path: match (run.exact, run.gpu.is_some()) {
                (true, _) => PathKind::Exact,
                (false, true) => PathKind::Gpu,
                (false, false) => PathKind::Cpu,
            },
            max_units: run.max_units,
            deadline: run.deadline,
            cancel: None,
        };
        let Some(window_bytes) = run.gpu else { return Ok(self.sandbox.run(&self.kernel, attempt)) };
        let (Some(line), Some(window)) = (descriptors.next(), descriptors.next()) else {
            return Err(WorkerError::Order("no line to the gpu"));
        };
        let limits = self.kernel.manifest().gpu.ok_or(WorkerError::Order("no gpu in the manifest"))?;
        let gpu = RemoteGpu::new(Channel::new(line), Window::from_parts(window, window_bytes), limits);
        Ok(self.sandbox.run_with_gpu(&self.kernel, attempt, Box::new(gpu)))
    }

    fn tell<'a>(&self, ended: &'a Result<Execution, HostFault>) -> Result<Result<Ran<'a>, Fault>, WorkerError> {
        Ok(match ended {
            Ok(execution) => Ok(Ran {
                outcome: execution.outcome,
                output: self.hand_over(&execution.output)?,
                units: execution.units,
                trace_root: execution.trace_root,
                log: execution.log.iter().map(|line| (line.level.into(), Cow::Borrowed(line.text.as_str()))).collect(),
                duration: execution.duration,
            }),
            Err(fault) => Err(fault.into()),
        })
    }

    fn hand_over<'a>(&self, output: &'a [u8]) -> Result<Payload<'a>, WorkerError> {
        if output.len() <= INLINE_BYTES {
            return Ok(Payload::Inline(output));
        }
        self.output.write(0, output)?;
        Ok(Payload::Window(output.len() as u64))
    }
}
