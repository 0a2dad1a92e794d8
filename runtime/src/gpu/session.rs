//! One attempt on the GPU.

use std::sync::Arc;
use std::time::Instant;

use p2c2r_abi::status;
use p2c2r_signing::{Digest, manifest};

use super::adapter::Gpu;
use super::attempt::GpuAttempt;
use super::device::{Device, Staging};
use super::fault::{GpuFault, GpuStop};
use super::handle::Table;
use super::limits::{
    BUFFER_BYTES, BUFFERS, COPY_BYTES, GRACE, TRAP_BINDING, UNSETTLED_BYTES, WORKGROUPS_PER_DIMENSION,
};
use super::pipeline::{Compiled, Shaders};
use super::shader::Shader;

const TRACE_DOMAIN: &str = "P2C2R 2026-11-23 gpu buffers v1";

/// One attempt on an adapter of this process; what it holds is freed with it. Work may still be running when a dispatch
/// returns; reading and the trace wait for it, no longer than the deadline.
pub struct GpuSession {
    device: Arc<Device>,
    shaders: Shaders,
    compiled: Arc<Compiled>,
    limits: manifest::Gpu,
    deadline: Instant,
    buffers: Table<Buffer>,
    live_bytes: u64,
    dispatches: u32,
    /// Bytes uploaded or dropped since the device was last waited for.
    unsettled_bytes: u64,
    /// The last submission not yet waited for.
    running: Option<wgpu::SubmissionIndex>,
    staging: Staging,
    /// Set by shaders that run out of their loop budget; there from the first dispatch of one with loops on.
    trap: Option<wgpu::Buffer>,
    trapped: bool,
}

struct Buffer {
    buffer: wgpu::Buffer,
    bytes: u64,
}

impl GpuSession {
    /// A session with no buffers. Opens a fresh device if the last one was lost, and compiles `shaders` for it.
    ///
    /// # Errors
    /// [`GpuFault`] if there is no device to be had.
    pub fn new(gpu: &Gpu, shaders: &Shaders, limits: &manifest::Gpu, deadline: Instant) -> Result<Self, GpuFault> {
        let device = gpu.device()?;
        Ok(Self {
            compiled: shaders.on(&device)?,
            shaders: shaders.clone(),
            device,
            limits: *limits,
            deadline,
            buffers: Table::new(),
            live_bytes: 0,
            dispatches: 0,
            unsettled_bytes: 0,
            running: None,
            staging: Staging::default(),
            trap: None,
            trapped: false,
        })
    }

    /// The status that an access of `len` bytes at `offset` gets before a byte is copied, if it is refused.
    #[must_use]
    pub fn refuses(&self, handle: i32, offset: i64, len: u64) -> Option<i32> {
        self.place(handle, offset, len).err()
    }

    fn in_time(&self) -> Result<(), GpuFault> {
        self.device.check()?;
        if Instant::now() >= self.deadline { Err(GpuFault::Deadline) } else { Ok(()) }
    }

    /// The buffer and checked offset of an access of `len` bytes, or the status that refuses it.
    fn place(&self, handle: i32, offset: i64, len: u64) -> Result<(&wgpu::Buffer, u64), i32> {
        let live = self.buffers.find(handle).ok_or(status::HANDLE)?;
        let Ok(offset) = u64::try_from(offset) else { return Err(status::RANGE) };
        if !offset.is_multiple_of(4) || !len.is_multiple_of(4) {
            return Err(status::INVALID);
        }
        match offset.checked_add(len) {
            Some(end) if end <= live.bytes => Ok((&live.buffer, offset)),
            _ => Err(status::RANGE),
        }
    }

    /// Accounts for `bytes` that the device holds until it has caught up, and makes it catch up when that is much.
    fn settle(&mut self, bytes: u64) -> Result<(), GpuFault> {
        if self.unsettled_bytes > 0 && self.unsettled_bytes + bytes > UNSETTLED_BYTES {
            let submission = self.device.flush(self.deadline)?;
            self.running = Some(submission.clone());
            self.device.wait(&submission, self.deadline)?;
            self.running = None;
            self.unsettled_bytes = 0;
        }
        self.unsettled_bytes += bytes;
        Ok(())
    }
}

impl GpuAttempt for GpuSession {
    fn buf_create(&mut self, bytes: i64) -> Result<i32, GpuFault> {
        self.in_time()?;
        let Some(bytes) = u64::try_from(bytes).ok().filter(|b| *b > 0 && b.is_multiple_of(4)) else {
            return Ok(status::INVALID);
        };
        let slots = BUFFERS.min(self.limits.buffers as usize);
        let room = self.limits.buffer_bytes.saturating_sub(self.live_bytes);
        if self.buffers.len() >= slots || bytes > BUFFER_BYTES || bytes > room {
            return Ok(status::LIMIT);
        }
        let buffer = self.device.buffer(bytes)?;
        match self.buffers.insert(Buffer { buffer, bytes }) {
            Some(handle) => {
                self.live_bytes += bytes;
                Ok(handle)
            }
            None => Ok(status::LIMIT),
        }
    }

    fn buf_write(&mut self, handle: i32, offset: i64, src: &[u8]) -> Result<i32, GpuFault> {
        self.in_time()?;
        let (buffer, mut offset) = match self.place(handle, offset, src.len() as u64) {
            Ok((buffer, offset)) => (buffer.clone(), offset),
            Err(status) => return Ok(status),
        };
        for part in src.chunks(COPY_BYTES) {
            self.settle(part.len() as u64)?;
            self.device.write(&buffer, offset, part)?;
            offset += part.len() as u64;
        }
        Ok(status::OK)
    }

    fn buf_read(&mut self, handle: i32, offset: i64, dst: &mut [u8]) -> Result<i32, GpuStop> {
        self.in_time()?;
        let (buffer, offset) = match self.place(handle, offset, dst.len() as u64) {
            Ok((buffer, offset)) => (buffer.clone(), offset),
            Err(status) => return Ok(status),
        };
        let trap = self.trap.as_ref();
        self.trapped |= self.device.read(&mut self.staging, (&buffer, offset), trap, dst, self.deadline)?;
        if !dst.is_empty() {
            // The copy came after everything else this session submitted.
            self.running = None;
            self.unsettled_bytes = 0;
            if self.trapped {
                dst.fill(0);
                return Err(GpuStop::Trap);
            }
        }
        Ok(status::OK)
    }

    fn buf_drop(&mut self, handle: i32) -> Result<i32, GpuFault> {
        self.in_time()?;
        let Some(gone) = self.buffers.remove(handle) else { return Ok(status::HANDLE) };
        self.live_bytes -= gone.bytes;
        // wgpu keeps the memory until the work that uses it is done; bound what piles up.
        let bytes = gone.bytes;
        drop(gone);
        self.settle(bytes)?;
        Ok(status::OK)
    }

    fn dispatch(&mut self, name: &[u8], groups: [u32; 3], bindings: &[(u32, i32)]) -> Result<i32, GpuFault> {
        self.in_time()?;
        let Some((index, shader)) = self.shaders.find(name) else { return Ok(status::NO_SHADER) };
        let total = groups
            .iter()
            .try_fold(1u64, |n, g| (*g <= WORKGROUPS_PER_DIMENSION).then(|| n.saturating_mul(u64::from(*g))));
        if self.dispatches >= self.limits.dispatches || total.is_none_or(|n| n > u64::from(self.limits.workgroups)) {
            return Ok(status::LIMIT);
        }
        let mut bound = match bind(shader, &self.buffers, bindings) {
            Ok(bound) => bound,
            Err(status) => return Ok(status),
        };
        if shader.line_only() && (groups[1] > 1 || groups[2] > 1) {
            return Ok(status::INVALID);
        }
        self.dispatches += 1;
        if total == Some(0) {
            return Ok(status::OK);
        }
        let Some(pipeline) = self.compiled.pipeline(index) else {
            return Err(GpuFault::Refused(format!("shader {index} has no pipeline")));
        };
        if shader.has_trap() {
            let trap = match &mut self.trap {
                Some(trap) => &*trap,
                none => &*none.insert(self.device.buffer(4)?),
            };
            bound.push((TRAP_BINDING, trap));
        }
        self.running =
            Some(self.device.dispatch(&pipeline.pipeline, &pipeline.layout, &bound, groups, self.deadline)?);
        Ok(status::OK)
    }

    fn trace(&mut self) -> Result<Digest, GpuStop> {
        self.in_time()?;
        if let (false, Some(trap)) = (self.trapped, &self.trap) {
            let mut word = [0; 4];
            self.device.read(&mut self.staging, (trap, 0), None, &mut word, self.deadline)?;
            self.trapped = word != [0; 4];
        }
        if self.trapped {
            return Err(GpuStop::Trap);
        }
        let mut hasher = blake3::Hasher::new_derive_key(TRACE_DOMAIN);
        let mut bytes = Vec::new();
        for (handle, live) in self.buffers.iter() {
            hasher.update(&handle.to_le_bytes());
            hasher.update(&live.bytes.to_le_bytes());
            let mut offset = 0;
            while offset < live.bytes {
                // At most COPY_BYTES, which fits usize.
                bytes.resize((live.bytes - offset).min(COPY_BYTES as u64) as usize, 0);
                self.device.read(&mut self.staging, (&live.buffer, offset), None, &mut bytes, self.deadline)?;
                hasher.update(&bytes);
                offset += bytes.len() as u64;
            }
        }
        if let Some(last) = self.running.take() {
            self.device.wait(&last, self.deadline).inspect_err(|_| self.running = Some(last))?;
        }
        Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
    }
}

impl Drop for GpuSession {
    /// Work that outlives its attempt would be waited for by the next one: give it a moment, then give up the device.
    fn drop(&mut self) {
        let Some(last) = self.running.take() else { return };
        if let Err(GpuFault::Deadline) = self.device.wait(&last, Instant::now() + GRACE) {
            tracing::warn!(?GRACE, "gpu work of an ended attempt does not end; giving the device up");
            self.device.give_up("given up: an attempt ended with work that did not");
        }
    }
}

impl std::fmt::Debug for GpuSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GpuSession")
            .field("buffers", &self.buffers.len())
            .field("live_bytes", &self.live_bytes)
            .field("dispatches", &self.dispatches)
            .finish_non_exhaustive()
    }
}

/// Resolves `given` against what `shader` declares.
fn bind<'a>(
    shader: &Shader,
    buffers: &'a Table<Buffer>,
    given: &[(u32, i32)],
) -> Result<Vec<(u32, &'a wgpu::Buffer)>, i32> {
    if given.iter().any(|(_, handle)| buffers.find(*handle).is_none()) {
        return Err(status::HANDLE);
    }
    let declared = shader.bindings();
    if given.len() != declared.len() {
        return Err(status::INVALID);
    }
    let mut bound = Vec::with_capacity(declared.len());
    for want in declared {
        let mut at = given.iter().filter(|(index, _)| *index == want.index);
        let (Some((_, handle)), None) = (at.next(), at.next()) else { return Err(status::INVALID) };
        let live = buffers.find(*handle).ok_or(status::HANDLE)?;
        let shared = given.iter().filter(|(_, other)| other == handle).count() > 1;
        if live.bytes < want.min_bytes || (shared && want.writable) {
            return Err(status::INVALID);
        }
        bound.push((want.index, &live.buffer));
    }
    Ok(bound)
}
