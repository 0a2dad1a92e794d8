//! A guest's GPU as its execute worker sees it: calls on a line to the GPU worker.

use p2c2r_runtime::gpu::{GpuAttempt, GpuFault, GpuStop, OK};
use p2c2r_signing::Digest;

use crate::channel::Channel;
use crate::memory::Window;
use crate::message::{GpuCall, GpuReply};

/// One more than a shader's name may have: a longer one is as unknown as it is long.
const SHADER_NAME_BYTES: usize = p2c2r_signing::limits::NAME_BYTES + 1;

/// The line, with the window that bytes cross in.
#[derive(Debug)]
pub(super) struct RemoteGpu {
    line: Channel,
    window: Window,
}

impl RemoteGpu {
    pub(super) const fn new(line: Channel, window: Window) -> Self {
        Self { line, window }
    }

    fn call(&mut self, call: &GpuCall<'_>) -> Result<GpuReply, GpuFault> {
        // The GPU worker was killed, or its driver took it down.
        let lost = |why: String| GpuFault::Lost(format!("gpu worker: {why}"));
        self.line.send(call, &[]).map_err(|error| lost(error.to_string()))?;
        match self.line.receive().map_err(|error| lost(error.to_string()))?.message {
            GpuReply::Fault(fault) => Err(fault.into()),
            reply => Ok(reply),
        }
    }

    fn status(&mut self, call: &GpuCall<'_>) -> Result<i32, GpuFault> {
        match self.call(call)? {
            GpuReply::Status(status) => Ok(status),
            other => Err(out_of_turn(&other)),
        }
    }
}

impl GpuAttempt for RemoteGpu {
    fn buf_create(&mut self, bytes: i64) -> Result<i32, GpuFault> {
        self.status(&GpuCall::Create(bytes))
    }

    fn buf_write(&mut self, handle: i32, offset: i64, src: &[u8]) -> Result<i32, GpuFault> {
        self.window.write(0, src).map_err(shared_memory)?;
        self.status(&GpuCall::Write { handle, offset, bytes: src.len() as u64 })
    }

    fn buf_read(&mut self, handle: i32, offset: i64, dst: &mut [u8]) -> Result<i32, GpuStop> {
        let status = match self.call(&GpuCall::Read { handle, offset, bytes: dst.len() as u64 })? {
            GpuReply::Status(status) => status,
            GpuReply::Trapped => {
                dst.fill(0);
                return Err(GpuStop::Trap);
            }
            other => return Err(out_of_turn(&other).into()),
        };
        if status == OK {
            self.window.read(0, dst).map_err(shared_memory)?;
        }
        Ok(status)
    }

    fn buf_drop(&mut self, handle: i32) -> Result<i32, GpuFault> {
        self.status(&GpuCall::Drop(handle))
    }

    fn dispatch(&mut self, name: &[u8], groups: [u32; 3], bindings: &[(u32, i32)]) -> Result<i32, GpuFault> {
        let name = &name[..name.len().min(SHADER_NAME_BYTES)];
        self.status(&GpuCall::Dispatch { name, groups, bindings: bindings.to_vec() })
    }

    fn trace(&mut self) -> Result<Digest, GpuStop> {
        match self.call(&GpuCall::Trace)? {
            GpuReply::Trace(digest) => Ok(digest),
            GpuReply::Trapped => Err(GpuStop::Trap),
            other => Err(out_of_turn(&other).into()),
        }
    }
}

fn out_of_turn(reply: &GpuReply) -> GpuFault {
    GpuFault::Refused(format!("the gpu worker said {reply:?} out of turn"))
}

fn shared_memory(error: std::io::Error) -> GpuFault {
    GpuFault::Refused(format!("shared memory: {error}"))
}
