//! A guest's GPU as its execute worker sees it: calls on a line to the GPU worker. What a guest is told of a call does not wait
//! for it: only what it reads does.

use p2c2r_runtime::gpu::{GpuAttempt, GpuFault, GpuStop, OK, Statuses};
use p2c2r_signing::{Digest, manifest};

use crate::channel::Channel;
use crate::limits::INLINE_BYTES;
use crate::memory::Window;
use crate::message::{GpuCall, GpuReply, Payload};

/// The line, with the window that bytes cross in.
#[derive(Debug)]
pub(super) struct RemoteGpu {
    line: Channel,
    window: Window,
    limits: manifest::Gpu,
    /// From the first call on.
    statuses: Option<Statuses>,
}

impl RemoteGpu {
    pub(super) const fn new(line: Channel, window: Window, limits: manifest::Gpu) -> Self {
        Self { line, window, limits, statuses: None }
    }

    fn statuses(&mut self) -> Result<&mut Statuses, GpuFault> {
        if self.statuses.is_none() {
            match hear(&mut self.line)? {
                GpuReply::Interfaces(interfaces) => self.statuses = Some(Statuses::new(interfaces, self.limits)),
                other => return Err(out_of_turn(&other)),
            }
        }
        self.statuses.as_mut().ok_or_else(|| lost("no shaders"))
    }

    /// Sends a call that nobody answers; what becomes of it is told with the next one that is.
    fn post(&mut self, call: &GpuCall<'_>) -> Result<(), GpuFault> {
        self.line.send(call, &[]).map_err(lost)
    }

    fn ask(&mut self, call: &GpuCall<'_>) -> Result<GpuReply<'_>, GpuFault> {
        self.post(call)?;
        hear(&mut self.line)
    }
}

fn hear(line: &mut Channel) -> Result<GpuReply<'_>, GpuFault> {
    match line.receive().map_err(lost)?.message {
        GpuReply::Fault(fault) => Err(fault.into()),
        reply => Ok(reply),
    }
}

impl GpuAttempt for RemoteGpu {
    fn buf_create(&mut self, bytes: i64) -> Result<i32, GpuFault> {
        let handle = self.statuses()?.buf_create(bytes);
        if handle > OK {
            self.post(&GpuCall::Create(bytes))?;
        }
        Ok(handle)
    }

    fn buf_write(&mut self, handle: i32, offset: i64, src: &[u8]) -> Result<i32, GpuFault> {
        let status = self.statuses()?.access(handle, offset, src.len() as u64);
        if status != OK || src.is_empty() {
            return Ok(status);
        }
        if src.len() <= INLINE_BYTES {
            self.post(&GpuCall::Write { handle, offset, bytes: Payload::Inline(src) })?;
            return Ok(OK);
        }
        self.window.write(0, src).map_err(shared_memory)?;
        // The window is free again when it is answered.
        match self.ask(&GpuCall::Write { handle, offset, bytes: Payload::Window(src.len() as u64) })? {
            GpuReply::Done => Ok(OK),
            other => Err(out_of_turn(&other)),
        }
    }

    fn buf_read(&mut self, handle: i32, offset: i64, dst: &mut [u8]) -> Result<i32, GpuStop> {
        let status = self.statuses()?.access(handle, offset, dst.len() as u64);
        if status != OK || dst.is_empty() {
            return Ok(status);
        }
        let bytes = dst.len() as u64;
        self.post(&GpuCall::Read { handle, offset, bytes })?;
        match hear(&mut self.line)? {
            GpuReply::Read(Payload::Inline(read)) if read.len() == dst.len() => dst.copy_from_slice(read),
            GpuReply::Read(Payload::Window(read)) if read == bytes => {
                self.window.read(0, dst).map_err(shared_memory)?
            }
            GpuReply::Trapped => {
                dst.fill(0);
                return Err(GpuStop::Trap);
            }
            other => return Err(out_of_turn(&other).into()),
        }
        Ok(OK)
    }

    fn buf_drop(&mut self, handle: i32) -> Result<i32, GpuFault> {
        let status = self.statuses()?.buf_drop(handle);
        if status == OK {
            self.post(&GpuCall::Drop(handle))?;
        }
        Ok(status)
    }

    fn dispatch(&mut self, name: &[u8], groups: [u32; 3], bindings: &[(u32, i32)]) -> Result<i32, GpuFault> {
        let status = self.statuses()?.dispatch(name, groups, bindings);
        if status == OK {
            self.post(&GpuCall::Dispatch { name, groups, bindings: bindings.to_vec() })?;
        }
        Ok(status)
    }

    fn why_refused(&self) -> Option<String> {
        self.statuses.as_ref()?.why_refused()
    }

    fn trace(&mut self) -> Result<Digest, GpuStop> {
        self.statuses()?;
        match self.ask(&GpuCall::Trace)? {
            GpuReply::Trace(digest) => Ok(digest),
            GpuReply::Trapped => Err(GpuStop::Trap),
            other => Err(out_of_turn(&other).into()),
        }
    }
}

/// The GPU worker was killed, or its driver took it down.
fn lost(why: impl std::fmt::Display) -> GpuFault {
    GpuFault::Lost(format!("gpu worker: {why}"))
}

fn out_of_turn(reply: &GpuReply<'_>) -> GpuFault {
    GpuFault::Refused(format!("the gpu worker said {reply:?} out of turn"))
}

fn shared_memory(error: std::io::Error) -> GpuFault {
    GpuFault::Refused(format!("shared memory: {error}"))
}
