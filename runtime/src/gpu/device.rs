//! One open wgpu device: every call into wgpu goes through [`Device::guarded`], so that none of its errors or
//! panics gets past this file.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::fault::GpuFault;
use super::limits::{ABANDONED_DEVICES, COPY_BYTES, POOLED_BUFFER_BYTES, TRAP_GOING};
use super::pool::Pool;
use super::until::Until;

/// The word that comes with every read.
const FLAG_BYTES: u64 = 4;

/// What a buffer is cleared with.
static ZEROS: [u8; POOLED_BUFFER_BYTES] = [0; POOLED_BUFFER_BYTES];

/// A device with its queue. Shared by the sessions of all attempts; losing it fails them all.
pub(super) struct Device {
    /// `None` only while it is being dropped.
    open: Option<(wgpu::Device, wgpu::Queue)>,
    lost: Arc<Mutex<Option<String>>>,
    /// The newest submission; see [`Device::submit`].
    last: Mutex<(u64, Option<wgpu::SubmissionIndex>)>,
    /// What ended attempts leave to the next.
    pool: Mutex<Pool<wgpu::Buffer>>,
    /// What the last attempt that ended read with. Nobody looks at more of it than was copied there before.
    stage: Mutex<Staging>,
    /// Distinguishes devices of one process; compiled shaders belong to one.
    generation: u64,
    abandoned: Arc<Abandoned>,
    /// What the next call into wgpu is to end with.
    #[cfg(test)]
    pub(super) inject: Mutex<Option<GpuFault>>,
}

/// Devices whose driver has not finished with them although nobody waits any more.
#[derive(Default)]
pub(super) struct Abandoned(pub(super) AtomicUsize);

/// Work that the device was given.
#[derive(Debug, Clone)]
pub(super) struct Submitted {
    pub(super) index: wgpu::SubmissionIndex,
    /// When; everything before it was done.
    pub(super) at: Instant,
}

/// One end of a host-device copy, kept between reads.
#[derive(Default)]
pub(super) struct Staging(Option<wgpu::Buffer>);

/// A dispatch that can be submitted.
pub(super) struct Work {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) bound: wgpu::BindGroup,
    pub(super) groups: [u32; 3],
}

/// What is read.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) buffer: &'a wgpu::Buffer,
    /// A multiple of 4, in range.
    pub(super) offset: u64,
    /// From [`Device::trap`]; it comes with the rest.
    pub(super) flag: Option<&'a wgpu::Buffer>,
}

impl Device {
    /// Opens a device with `limits` and no features.
    pub(super) fn open(
        adapter: &wgpu::Adapter,
        limits: wgpu::Limits,
        generation: u64,
        abandoned: Arc<Abandoned>,
    ) -> Result<Self, String> {
        let stuck = abandoned.0.load(Ordering::Acquire);
        if stuck >= ABANDONED_DEVICES {
            return Err(format!(
                "{stuck} devices are still busy with abandoned work, at most {ABANDONED_DEVICES} may be"
            ));
        }
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("p2c2r"),
            required_features: wgpu::Features::empty(),
            required_limits: limits,
            experimental_features: wgpu::ExperimentalFeatures::disabled(),
            memory_hints: wgpu::MemoryHints::Performance,
            trace: wgpu::Trace::Off,
        };
        let (device, queue) = contained(|| ready(adapter.request_device(&descriptor)))?
            .ok_or("the driver answered later than at once")?
            .map_err(|e| e.to_string())?;

        let lost = Arc::new(Mutex::new(None));
        let told = Arc::clone(&lost);
        device.set_device_lost_callback(move |reason, message| {
            set(&told, format!("{reason:?}: {message}"));
        });
        device.on_uncaptured_error(Arc::new(|error| tracing::error!(%error, "gpu error outside any call")));
        Ok(Self {
            open: Some((device, queue)),
            lost,
            last: Mutex::default(),
            pool: Mutex::new(Pool::new()),
            stage: Mutex::default(),
            generation,
            abandoned,
            #[cfg(test)]
            inject: Mutex::default(),
        })
    }

    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Fails if the device is gone.
    pub(super) fn check(&self) -> Result<(), GpuFault> {
        match &*self.lost.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(reason) => Err(GpuFault::Lost(reason.clone())),
            None => Ok(()),
        }
    }

    /// Declares the device gone; every session on it fails from now on.
    pub(super) fn give_up(&self, reason: &str) {
        set(&self.lost, reason.to_owned());
    }

    /// Runs calls into wgpu; whatever they report, or panic with, comes back as a fault.
    pub(super) fn guarded<T>(&self, call: impl FnOnce(&wgpu::Device, &wgpu::Queue) -> T) -> Result<T, GpuFault> {
        self.check()?;
        #[cfg(test)]
        if let Some(fault) = self.inject.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(fault);
        }
        let Some((device, queue)) = &self.open else { return Err(GpuFault::Lost("device is closed".to_owned())) };
        let filters = [wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::OutOfMemory];
        let scopes = filters.map(|filter| device.push_error_scope(filter));
        let result = contained(|| call(device, queue));
        let mut error = None;
        for scope in scopes.into_iter().rev() {
            error = error.or(ready(scope.pop()).flatten());
        }
        let value = result.map_err(|panic| {
            self.give_up(&panic);
            GpuFault::Lost(panic)
        })?;
        // A lost device is reported by the callback, not by the scopes.
        self.check()?;
        error.map_or(Ok(value), |error| Err(error.into()))
    }

    /// A zeroed storage buffer.
    pub(super) fn buffer(&self, bytes: u64) -> Result<wgpu::Buffer, GpuFault> {
        use wgpu::BufferUsages as Usage;
        let spare = self.guarded(|_, _| self.pool.lock().unwrap_or_else(PoisonError::into_inner).take(bytes))?;
        if let Some(spare) = spare {
            // Before whatever is submitted from now on, and after all that was.
            self.write(&spare, 0, &ZEROS[..bytes as usize])?;
            return Ok(spare);
        }
        self.create(bytes, Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST)
    }

    /// A word for shaders to say in that one ran out of its loop budget.
    pub(super) fn trap(&self) -> Result<wgpu::Buffer, GpuFault> {
        let trap = self.buffer(FLAG_BYTES)?;
        self.write(&trap, 0, &TRAP_GOING.to_le_bytes())?;
        Ok(trap)
    }

    /// A zeroed uniform buffer.
    pub(super) fn uniform(&self, bytes: u64) -> Result<wgpu::Buffer, GpuFault> {
        self.create(bytes, wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST)
    }

    /// What was kept to read with.
    pub(super) fn staging(&self) -> Staging {
        std::mem::take(&mut *self.stage.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps the buffers of an attempt that has ended, and `staging`, for another. Nobody else has them.
    pub(super) fn recycle(&self, buffers: impl Iterator<Item = wgpu::Buffer>, staging: Staging) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.for_each(|buffer| pool.put(buffer.size(), buffer));
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = staging;
    }

    #[cfg(test)]
    pub(super) fn spare_buffers(&self) -> usize {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Submissions so far.
    #[cfg(test)]
    pub(super) fn submissions(&self) -> u64 {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn create(&self, size: u64, usage: wgpu::BufferUsages) -> Result<wgpu::Buffer, GpuFault> {
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        self.guarded(|device, _| device.create_buffer(&descriptor))
    }

    /// Queues a copy into `buffer`; later submissions see it. `offset` and length are multiples of 4, in range.
    pub(super) fn write(&self, buffer: &wgpu::Buffer, offset: u64, bytes: &[u8]) -> Result<(), GpuFault> {
        self.guarded(|_, queue| queue.write_buffer(buffer, offset, bytes))
    }

    /// Submits what is queued.
    pub(super) fn flush(&self, until: &Until) -> Result<Submitted, GpuFault> {
        self.submit(until, |_, queue| queue.submit([]))
    }

    /// Buffers at their bindings, for [`Device::dispatch`].
    pub(super) fn bind<'a>(
        &self,
        layout: &wgpu::BindGroupLayout,
        buffers: impl Iterator<Item = (u32, &'a wgpu::Buffer)>,
    ) -> Result<wgpu::BindGroup, GpuFault> {
        let entries: Vec<_> = buffers
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        self.guarded(|device, _| {
            device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries: &entries })
        })
    }

    /// Submits one dispatch.
    pub(super) fn dispatch(&self, work: &Work, until: &Until) -> Result<Submitted, GpuFault> {
        self.submit(until, |device, queue| {
            let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            work.encode(&mut encoder);
            queue.submit([encoder.finish()])
        })
    }

    /// Copies `source` to `dst`, whose length is a multiple of 4 and in range, after everything submitted before; whether the
    /// flag is set. `first` goes before it in the same submission, and `started` hears of each submission before it is waited for.
    pub(super) fn read(
        &self,
        staging: &mut Staging,
        source: Source<'_>,
        first: Option<&Work>,
        dst: &mut [u8],
        until: &Until,
        mut started: impl FnMut(Submitted),
    ) -> Result<bool, GpuFault> {
        let (mut source, mut first) = (source, first);
        let mut set = false;
        for part in dst.chunks_mut(COPY_BYTES) {
            let bytes = part.len() as u64;
            // Taken out: a buffer whose mapping timed out must not be used again.
            let stage = match staging.0.take().filter(|b| b.size() >= bytes + FLAG_BYTES) {
                Some(stage) => stage,
                None => self.staging_buffer(bytes + FLAG_BYTES)?,
            };
            set |= self.read_part(&stage, source, first.take(), part, until, &mut started)?;
            staging.0 = Some(stage);
            source.offset += bytes;
        }
        Ok(set)
    }

    /// Waits until the device has finished `submission`.
    pub(super) fn wait(&self, submission: &wgpu::SubmissionIndex, until: &Until) -> Result<(), GpuFault> {
        loop {
            if self.poll(submission, until.slice()?)? {
                return Ok(());
            }
        }
    }

    /// Whether the device has finished `submission`, now or within `timeout`.
    pub(super) fn poll(&self, submission: &wgpu::SubmissionIndex, timeout: Duration) -> Result<bool, GpuFault> {
        let wait = wgpu::PollType::Wait { submission_index: Some(submission.clone()), timeout: Some(timeout) };
        match self.guarded(|device, _| device.poll(wait))? {
            Ok(_) => Ok(true),
            Err(wgpu::PollError::Timeout) => Ok(false),
            Err(other) => Err(GpuFault::Refused(other.to_string())),
        }
    }

    /// Submits when the device has finished all earlier submissions, of any session: some drivers (lavapipe) block in
    /// a submission until the one before is done, and a blocked call cannot keep a deadline.
    fn submit(
        &self,
        until: &Until,
        call: impl FnOnce(&wgpu::Device, &wgpu::Queue) -> wgpu::SubmissionIndex,
    ) -> Result<Submitted, GpuFault> {
        let mut finished = 0;
        loop {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            match &*last {
                // Another session may have been quicker; then its work is waited for too.
                (number, Some(earlier)) if *number != finished => {
                    let (number, earlier) = (*number, earlier.clone());
                    drop(last);
                    self.wait(&earlier, until)?;
                    finished = number;
                }
                (number, _) => {
                    let at = Instant::now();
                    let index = self.guarded(call)?;
                    *last = (number + 1, Some(index.clone()));
                    return Ok(Submitted { index, at });
                }
            }
        }
    }

    fn staging_buffer(&self, bytes: u64) -> Result<wgpu::Buffer, GpuFault> {
        self.create(bytes.next_power_of_two(), wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ)
    }

    fn read_part(
        &self,
        stage: &wgpu::Buffer,
        source: Source<'_>,
        first: Option<&Work>,
        dst: &mut [u8],
        until: &Until,
        started: &mut impl FnMut(Submitted),
    ) -> Result<bool, GpuFault> {
        // The flag first, so that its place does not depend on the rest.
        let flag_bytes = if source.flag.is_some() { FLAG_BYTES } else { 0 };
        let bytes = flag_bytes + dst.len() as u64;
        let (done, mapped) = mpsc::channel();
        let submission = self.submit(until, |device, queue| {
            let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            if let Some(work) = first {
                work.encode(&mut encoder);
            }
            if let Some(flag) = source.flag {
                encoder.copy_buffer_to_buffer(flag, 0, stage, 0, flag_bytes);
            }
            encoder.copy_buffer_to_buffer(source.buffer, source.offset, stage, flag_bytes, bytes - flag_bytes);
            let submission = queue.submit([encoder.finish()]);
            // The receiver may be gone after a timeout; then nobody needs to know.
            stage.map_async(wgpu::MapMode::Read, 0..bytes, move |result| drop(done.send(result)));
            submission
        })?;
        started(submission.clone());
        self.wait(&submission.index, until)?;
        // Another thread's poll may have taken the news of the mapping and be about to pass it on.
        loop {
            match mapped.recv_timeout(until.slice()?) {
                Ok(Ok(())) => break,
                Ok(Err(error)) => return Err(GpuFault::Lost(format!("mapping failed: {error}"))),
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(GpuFault::Refused("the mapping was dropped".to_owned()));
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            self.wait(&submission.index, until)?;
        }
        let set = self.guarded(|_, _| {
            let view = stage.get_mapped_range(0..bytes).map_err(|e| e.to_string())?;
            let (flag, data) = view.split_at(flag_bytes as usize);
            dst.copy_from_slice(data);
            Ok(source.flag.is_some() && flag != TRAP_GOING.to_le_bytes())
        })?;
        self.guarded(|_, _| stage.unmap())?;
        set.map_err(GpuFault::Refused)
    }
}

impl Work {
    fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        let [x, y, z] = self.groups;
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bound, &[]);
        pass.dispatch_workgroups(x, y, z);
    }
}

impl From<wgpu::Error> for GpuFault {
    fn from(error: wgpu::Error) -> Self {
        match error {
            wgpu::Error::OutOfMemory { .. } => Self::OutOfMemory,
            wgpu::Error::Validation { description, .. } | wgpu::Error::Internal { description, .. } => {
                Self::Refused(description)
            }
        }
    }
}

impl Drop for Device {
    /// Dropping wgpu's queue blocks until the device is idle, which a shader that never ends never is. A device
    /// that was given up is therefore dropped on a thread of its own, and counted until that ends.
    fn drop(&mut self) {
        if self.check().is_ok() {
            return;
        }
        let open = self.open.take();
        let abandoned = Arc::clone(&self.abandoned);
        abandoned.0.fetch_add(1, Ordering::AcqRel);
        let (hand_over, handed) = mpsc::channel();
        let reaper = std::thread::Builder::new().name("p2c2r-gpu-reaper".to_owned()).spawn(move || {
            let open: Result<Option<(wgpu::Device, wgpu::Queue)>, _> = handed.recv();
            if let Err(panic) = contained(|| drop(open)) {
                tracing::warn!(panic, "dropping a lost gpu device");
            }
            abandoned.0.fetch_sub(1, Ordering::AcqRel);
        });
        match reaper {
            Ok(_) => drop(hand_over.send(open)),
            // No thread that may block: leak it, still counted.
            Err(_) => std::mem::forget(open),
        }
    }
}

/// A future of wgpu, which on native platforms is ready when it is made.
pub(super) fn ready<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Runs `call`; a panic comes back as its message. wgpu holds no state of ours and its locks do not poison.
pub(super) fn contained<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("panic in the graphics layer").to_owned()
    })
}

fn set(lost: &Mutex<Option<String>>, reason: String) {
    lost.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
}
