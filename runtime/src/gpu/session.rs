//! One attempt on the GPU.

use std::sync::Arc;
use std::time::{Duration, Instant};

use p2c2r_abi::status;
use p2c2r_signing::{Digest, manifest};

use super::adapter::Gpu;
use super::attempt::GpuAttempt;
use super::device::{Device, Source, Staging, Submitted, Work};
use super::fault::{GpuFault, GpuStop};
use super::interface::Interface;
use super::ledger::{Ledger, Trace};
use super::limits::{
    BIND_GROUPS, COPY_BYTES, GRACE, SLICE_BINDING, SLICE_BYTES, TRAP_BINDING, TRAP_GOING, UNSETTLED_BYTES,
};
use super::pipeline::{Compiled, Pipeline, Shaders};
use super::slice::{Grid, Slice};
use super::until::Until;

/// One attempt on an adapter of this process; what it holds goes with it. When a dispatch returns its last slice is not yet
/// submitted: a read that follows goes along with it. Reading and the trace wait for all of it, no longer than the deadline.
pub struct GpuSession {
    device: Arc<Device>,
    shaders: Shaders,
    compiled: Arc<Compiled>,
    ledger: Ledger<wgpu::Buffer>,
    until: Until,
    /// Bytes uploaded or dropped since the device was last waited for.
    unsettled_bytes: u64,
    /// The last submission not yet waited for.
    running: Option<Running>,
    /// The last slice of the last dispatch, until something else is submitted.
    queued: Option<Queued>,
    bound: Vec<Bound>,
    staging: Staging,
    /// Where the slice is that runs, with what the buffer holds; there from the first dispatch that asks on.
    place: Option<(wgpu::Buffer, [u32; 8])>,
    /// Set by shaders that run out of their loop budget; there from the first dispatch of one with loops on.
    trap: Option<wgpu::Buffer>,
    trapped: bool,
}

/// Live buffers as a dispatch bound them.
struct Bound {
    /// The shader's index.
    shader: usize,
    /// Binding and handle.
    given: Vec<(u32, i32)>,
    group: wgpu::BindGroup,
}

/// Work that the device is to be given.
struct Queued {
    work: Work,
    /// Workgroups of the shader of this index.
    slice: (usize, u64),
}

/// Work that the device was given.
struct Running {
    submitted: Submitted,
    /// Workgroups of the shader of this index, if it was a dispatch.
    slice: Option<(usize, u64)>,
}

impl GpuSession {
    /// A session with no buffers. Opens a fresh device if the last one was lost, and compiles `shaders` for it.
    ///
    /// # Errors
    /// [`GpuFault`] if there is no device to be had.
    pub fn new(
        gpu: &Gpu,
        shaders: &Shaders,
        limits: &manifest::Gpu,
        until: impl Into<Until>,
    ) -> Result<Self, GpuFault> {
        let device = gpu.device()?;
        Ok(Self {
            compiled: shaders.on(&device)?,
            shaders: shaders.clone(),
            staging: device.staging(),
            device,
            ledger: Ledger::new(*limits),
            until: until.into(),
            unsettled_bytes: 0,
            running: None,
            queued: None,
            bound: Vec::new(),
            place: None,
            trap: None,
            trapped: false,
        })
    }

    /// What dispatches must give the shaders.
    #[must_use]
    pub fn interfaces(&self) -> Vec<Interface> {
        self.shaders.interfaces().cloned().collect()
    }

    /// The status that an access of `len` bytes at `offset` gets before a byte is copied, if it is refused.
    #[must_use]
    pub fn refuses(&self, handle: i32, offset: i64, len: u64) -> Option<i32> {
        self.ledger.place(handle, offset, len).err().map(|refused| refused.status())
    }

    fn in_time(&self) -> Result<(), GpuFault> {
        self.device.check()?;
        self.until.check()
    }

    /// Whether [`Self::flush`] has something to do.
    #[must_use]
    pub const fn is_holding_back(&self) -> bool {
        self.queued.is_some()
    }

    /// Submits what the last dispatch has left to be. Without it that goes with the next read, or before whatever comes next.
    ///
    /// # Errors
    /// [`GpuFault`] when the device is lost or the deadline passed.
    pub fn flush(&mut self) -> Result<(), GpuFault> {
        let Some(Queued { work, slice }) = self.queued.take() else { return Ok(()) };
        self.catch_up()?;
        let submitted = self.device.dispatch(&work, &self.until)?;
        self.running = Some(Running { submitted, slice: Some(slice) });
        Ok(())
    }

    /// Accounts for `bytes` that the device holds until it has caught up, and makes it catch up when that is much.
    fn settle(&mut self, bytes: u64) -> Result<(), GpuFault> {
        if self.unsettled_bytes > 0 && self.unsettled_bytes + bytes > UNSETTLED_BYTES {
            self.catch_up()?;
            self.running = Some(Running { submitted: self.device.flush(&self.until)?, slice: None });
            self.catch_up()?;
            self.unsettled_bytes = 0;
        }
        self.unsettled_bytes += bytes;
        Ok(())
    }

    /// Waits for what is running, and learns from how long it took.
    fn catch_up(&mut self) -> Result<(), GpuFault> {
        let Some(Running { submitted, .. }) = &self.running else { return Ok(()) };
        let waited = !self.device.poll(&submitted.index, Duration::ZERO)?;
        if waited {
            self.device.wait(&submitted.index, &self.until)?;
        }
        self.learn(waited);
        Ok(())
    }

    /// What was running is done.
    fn learn(&mut self, waited: bool) {
        if let Some(Running { submitted, slice: Some((shader, workgroups)) }) = self.running.take()
            && let Some(pipeline) = self.compiled.pipeline(shader)
        {
            pipeline.pace().learn(workgroups, submitted.at.elapsed(), waited);
        }
    }

    /// Whether a shader ran out of its loop budget. Everything is done by now.
    fn look_for_trap(&mut self) -> Result<bool, GpuFault> {
        if let (false, Some(trap)) = (self.trapped, &self.trap) {
            let mut word = [0; 4];
            let source = Source { buffer: trap, offset: 0, flag: None };
            self.device.read(&mut self.staging, source, None, &mut word, &self.until, drop)?;
            self.trapped = word != TRAP_GOING.to_le_bytes();
        }
        Ok(self.trapped)
    }

    /// Makes the buffers of our own that `shader` binds.
    fn reserve(&mut self, shader: usize) -> Result<(), GpuFault> {
        let Some(shader) = self.shaders.at(shader) else { return Ok(()) };
        if shader.has_trap() && self.trap.is_none() {
            self.trap = Some(self.device.trap()?);
        }
        if shader.has_place() && self.place.is_none() {
            self.place = Some((self.device.uniform(u64::from(SLICE_BYTES))?, [0; 8]));
        }
        Ok(())
    }

    /// Runs a dispatch slice by slice, and leaves the last one to be submitted.
    fn run(&mut self, shader: usize, groups: [u32; 3], bound: &wgpu::BindGroup) -> Result<(), GpuFault> {
        let compiled = Arc::clone(&self.compiled);
        let pipeline = pipeline(&compiled, shader)?;
        let mut grid = Grid::new(groups);
        loop {
            self.flush()?;
            self.catch_up()?;
            let Some(slice) = grid.cut(pipeline.pace().workgroups()) else { return Ok(()) };
            self.say_where(shader, slice, groups)?;
            let work = Work { pipeline: pipeline.pipeline.clone(), bound: bound.clone(), groups: slice.groups };
            self.queued = Some(Queued { work, slice: (shader, slice.workgroups()) });
            if grid.is_done() {
                return Ok(());
            }
            self.flush()?;
            self.catch_up()?;
            // What is left of it cannot matter any more.
            if self.look_for_trap()? {
                return Ok(());
            }
        }
    }

    /// The buffers that an admitted dispatch was given, and our own, at their bindings.
    fn bind(&mut self, index: usize, given: Vec<(u32, i32)>) -> Result<wgpu::BindGroup, GpuFault> {
        if let Some(known) = self.bound.iter().find(|known| known.shader == index && known.given == given) {
            return Ok(known.group.clone());
        }
        self.reserve(index)?;
        let (has_trap, has_place) =
            self.shaders.at(index).map_or((false, false), |shader| (shader.has_trap(), shader.has_place()));
        let trap = self.trap.iter().filter(|_| has_trap).map(|trap| (TRAP_BINDING, trap));
        let place = self.place.iter().filter(|_| has_place).map(|(place, _)| (SLICE_BINDING, place));
        let buffers = given.iter().filter_map(|(binding, handle)| Some((*binding, self.ledger.find(*handle)?)));
        let all = buffers.chain(trap).chain(place);
        let group = self.device.bind(&pipeline(&self.compiled, index)?.layout, all)?;
        if self.bound.len() >= BIND_GROUPS {
            self.bound.remove(0);
        }
        self.bound.push(Bound { shader: index, given, group: group.clone() });
        Ok(group)
    }

    /// Tells the shader which slice comes next, if it asks and does not know.
    fn say_where(&mut self, shader: usize, slice: Slice, groups: [u32; 3]) -> Result<(), GpuFault> {
        let (Some(shader), Some((buffer, known))) = (self.shaders.at(shader), &mut self.place) else { return Ok(()) };
        let words = slice.words(if shader.asks_total() { groups } else { [0; 3] });
        if shader.has_place() && words != *known {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            self.device.write(buffer, 0, &bytes)?;
            *known = words;
        }
        Ok(())
    }
}

impl GpuAttempt for GpuSession {
    fn buf_create(&mut self, bytes: i64) -> Result<i32, GpuFault> {
        self.in_time()?;
        let bytes = match self.ledger.room(bytes) {
            Ok(bytes) => bytes,
            Err(refused) => return Ok(self.ledger.refuse(refused)),
        };
        let buffer = self.device.buffer(bytes)?;
        Ok(self.ledger.insert(buffer, bytes))
    }

    fn buf_write(&mut self, handle: i32, offset: i64, src: &[u8]) -> Result<i32, GpuFault> {
        self.in_time()?;
        let (buffer, mut offset) = match self.ledger.place(handle, offset, src.len() as u64) {
            Ok((buffer, offset)) => (buffer.clone(), offset),
            Err(refused) => return Ok(self.ledger.refuse(refused)),
        };
        // What is written comes before whatever is submitted later.
        self.flush()?;
        for part in src.chunks(COPY_BYTES) {
            self.settle(part.len() as u64)?;
            self.device.write(&buffer, offset, part)?;
            offset += part.len() as u64;
        }
        Ok(status::OK)
    }

    fn buf_read(&mut self, handle: i32, offset: i64, dst: &mut [u8]) -> Result<i32, GpuStop> {
        self.in_time()?;
        let (buffer, offset) = match self.ledger.place(handle, offset, dst.len() as u64) {
            Ok((buffer, offset)) => (buffer.clone(), offset),
            Err(refused) => return Ok(self.ledger.refuse(refused)),
        };
        if dst.is_empty() {
            return Ok(status::OK);
        }
        if dst.len() > COPY_BYTES {
            // More than one copy: how long the slice took would not be known.
            self.flush()?;
        }
        self.catch_up()?;
        let source = Source { buffer: &buffer, offset, flag: self.trap.as_ref() };
        let (first, slice) = self.queued.take().map(|queued| (queued.work, queued.slice)).unzip();
        // A session that ends sooner waits for it.
        let started = |submitted| self.running = Some(Running { submitted, slice });
        self.trapped |= self.device.read(&mut self.staging, source, first.as_ref(), dst, &self.until, started)?;
        self.learn(true);
        self.unsettled_bytes = 0;
        if self.trapped {
            dst.fill(0);
            return Err(GpuStop::Trap);
        }
        Ok(status::OK)
    }

    fn buf_drop(&mut self, handle: i32) -> Result<i32, GpuFault> {
        self.in_time()?;
        let gone = match self.ledger.remove(handle) {
            Ok(gone) => gone,
            Err(refused) => return Ok(self.ledger.refuse(refused)),
        };
        self.flush()?;
        self.bound.retain(|known| known.given.iter().all(|(_, buffer)| *buffer != handle));
        // wgpu keeps the memory until the work that uses it is done; bound what piles up.
        let bytes = gone.bytes;
        drop(gone);
        self.settle(bytes)?;
        Ok(status::OK)
    }

    fn dispatch(&mut self, name: &[u8], groups: [u32; 3], bindings: &[(u32, i32)]) -> Result<i32, GpuFault> {
        self.in_time()?;
        let admitted = match self.ledger.admit(self.shaders.interfaces(), name, groups, bindings) {
            Ok(admitted) => admitted,
            Err(refused) => return Ok(self.ledger.refuse(refused)),
        };
        let index = admitted.shader;
        // After a trap nobody gets to see what a shader does.
        if admitted.empty || self.trapped {
            return Ok(status::OK);
        }
        let bound = self.bind(index, admitted.bound)?;
        self.run(index, groups, &bound)?;
        Ok(status::OK)
    }

    fn why_refused(&self) -> Option<String> {
        self.ledger.why_refused()
    }

    fn trace(&mut self) -> Result<Digest, GpuStop> {
        self.in_time()?;
        self.flush()?;
        self.catch_up()?;
        if self.look_for_trap()? {
            return Err(GpuStop::Trap);
        }
        let mut trace = Trace::new();
        let mut bytes = Vec::new();
        for (handle, live) in self.ledger.iter() {
            trace.buffer(handle, live.bytes);
            let mut offset = 0;
            while offset < live.bytes {
                // At most COPY_BYTES, which fits usize.
                bytes.resize((live.bytes - offset).min(COPY_BYTES as u64) as usize, 0);
                let source = Source { buffer: &live.content, offset, flag: None };
                self.device.read(&mut self.staging, source, None, &mut bytes, &self.until, drop)?;
                trace.content(&bytes);
                offset += bytes.len() as u64;
            }
        }
        Ok(trace.finish())
    }
}

impl Drop for GpuSession {
    /// Work that outlives its attempt would be waited for by the next one: give it a moment, then give up the device. What
    /// the attempt had is left to the next.
    fn drop(&mut self) {
        let moment = Until::from(Instant::now() + GRACE);
        if let Some(last) = self.running.take()
            && let Err(fault) = self.device.wait(&last.submitted.index, &moment)
        {
            if fault == GpuFault::Deadline {
                tracing::warn!(?GRACE, "gpu work of an ended attempt does not end; giving the device up");
                self.device.give_up("given up: an attempt ended with work that did not");
            }
            return;
        }
        self.queued = None;
        self.bound.clear();
        let buffers = self.ledger.drain().chain(self.trap.take());
        self.device.recycle(buffers, std::mem::take(&mut self.staging));
    }
}

impl std::fmt::Debug for GpuSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GpuSession").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

fn pipeline(compiled: &Compiled, shader: usize) -> Result<&Pipeline, GpuFault> {
    compiled.pipeline(shader).ok_or_else(|| GpuFault::Refused(format!("shader {shader} has no pipeline")))
}
