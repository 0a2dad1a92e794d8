//! The GPU worker: adapter and driver, with nothing of a guest but its shaders and buffers. Attempts talk to it on lines of
//! their own, each on a thread; the supervisor only has sessions opened.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use p2c2r_runtime::engine_id;
use p2c2r_runtime::gpu::{
    Gpu, GpuAttempt, GpuFault, GpuOptions, GpuSession, GpuStop, OK, Shaders, Until, limits::COPY_BYTES,
};
use p2c2r_signing::{ModuleId, manifest};

use super::{WorkerError, reason, verified};
use crate::channel::{Channel, ReceiveError, Received, is_over};
use crate::confine;
use crate::limits::{GPU_AWAKE, GPU_KERNELS, GPU_PAUSE, INLINE_BYTES, LOOK_EVERY};
use crate::memory::Window;
use crate::message::{About, Adapter, GpuCall, GpuReply, KernelRef, Order, Payload, Refusal, Report};

/// Kernels whose shaders are compiled, most recently used last.
#[derive(Default)]
struct Prepared(Vec<(ModuleId, Result<Ready, String>)>);

/// What a session of a kernel needs.
#[derive(Clone)]
struct Ready {
    shaders: Shaders,
    limits: manifest::Gpu,
}

/// What an attempt has here.
struct Seat {
    line: OwnedFd,
    window: Window,
    lease: OwnedFd,
}

pub(super) fn serve(options: GpuOptions, channel: &mut Channel) -> Result<(), WorkerError> {
    let protections = confine::shut_gpu()?;
    let gpu = Gpu::open(options).map_err(reason);
    let adapter = gpu.as_ref().map(|gpu| Adapter::from(gpu.info())).map_err(Clone::clone);
    let about = About { engine_id: engine_id(), code_id: None, protections, adapter: Some(adapter) };
    channel.send(&Report::Ready(Box::new(about)), &[])?;
    let Ok(gpu) = gpu else { return Ok(()) };
    let mut prepared = Prepared::default();
    loop {
        let Received { message, descriptors } = channel.receive()?;
        let done = match message {
            Order::Prepare { kernel } => {
                let [module] = exactly(descriptors)?;
                prepared.ready(kernel.id, || prepare(&gpu, &kernel, &module)).map(drop)
            }
            Order::Attach { kernel, window_bytes, deadline } => {
                let ends = Instant::now() + deadline;
                let [module, line, window, lease] = exactly(descriptors)?;
                let seat = Seat { line, window: Window::from_parts(window, window_bytes), lease };
                let ready = prepared.ready(kernel.id, || prepare(&gpu, &kernel, &module));
                ready.and_then(|ready| attach(&gpu, &ready, seat, ends))
            }
            _ => return Err(WorkerError::Order("not for the gpu")),
        };
        channel.send(&Report::Attached(done), &[])?;
    }
}

fn exactly<const N: usize>(descriptors: Vec<OwnedFd>) -> Result<[OwnedFd; N], WorkerError> {
    <[_; N]>::try_from(descriptors).map_err(|_wrong| WorkerError::Order("not the descriptors of an attempt"))
}

impl Prepared {
    fn ready(&mut self, id: ModuleId, prepare: impl FnOnce() -> Result<Ready, String>) -> Result<Ready, Refusal> {
        let known = self.0.iter().position(|(known, _)| *known == id).map(|at| self.0.remove(at));
        let (_, ready) = known.unwrap_or_else(|| (id, prepare()));
        if self.0.len() >= GPU_KERNELS {
            drop(self.0.remove(0));
        }
        self.0.push((id, ready.clone()));
        ready.map_err(Refusal::Kernel)
    }
}

/// Looks at a module, once for all attempts of its kernel.
fn prepare(gpu: &Gpu, kernel: &KernelRef, module: &OwnedFd) -> Result<Ready, String> {
    let module = verified(module, kernel.bytes, kernel.signer)?;
    if module.id() != kernel.id {
        return Err(format!("this is kernel {}, not {}", module.id(), kernel.id));
    }
    let limits = module.manifest().gpu.ok_or("no gpu in its manifest")?;
    Ok(Ready { shaders: gpu.prepare(&module).map_err(reason)?, limits })
}

/// Opens a session and serves it on a thread of its own, until its line or its deadline ends.
fn attach(gpu: &Gpu, Ready { shaders, limits }: &Ready, seat: Seat, ends: Instant) -> Result<(), Refusal> {
    let device = |error: &dyn std::fmt::Display| Refusal::Device(reason(error));
    let watched = seat.line.try_clone().map_err(|error| device(&error))?;
    // Who waits for the attempt no longer kills its worker.
    let looked = Mutex::new(Instant::now());
    let until = Until::deadline_or(ends, move || {
        let mut looked = looked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = looked.elapsed() >= LOOK_EVERY;
        if due {
            *looked = Instant::now();
        }
        due && is_over(watched.as_fd())
    });
    let session = GpuSession::new(gpu, shaders, limits, until).map_err(|fault| device(&fault))?;
    let thread = std::thread::Builder::new().name("p2c2r-gpu-attempt".to_owned());
    thread.spawn(move || serve_attempt(session, seat)).map(drop).map_err(|error| device(&error))
}

fn serve_attempt(mut session: GpuSession, Seat { line, window, lease }: Seat) {
    let mut line = Channel::new(line);
    // The guest that cannot be told is gone.
    let _ = serve_calls(&mut session, &mut line, &window);
    drop(session);
    // Only now: with it the supervisor counts the device as free.
    drop(lease);
}

fn serve_calls(session: &mut GpuSession, line: &mut Channel, window: &Window) -> Result<(), ReceiveError> {
    line.send(&GpuReply::Interfaces(session.interfaces()), &[])?;
    // Of a call that is not answered: told with the next that is, and nothing is done until then.
    let mut fault = None;
    let mut buffer = Vec::new();
    loop {
        // A dispatch goes along with the read that follows it, if that comes at once.
        if fault.is_none() && session.is_holding_back() && !line.wait(GPU_PAUSE)? {
            fault = session.flush().err();
        }
        let call = line.receive::<GpuCall<'_>>()?.message;
        let answered = call.is_answered();
        let done = match fault.take() {
            Some(fault) => Err(GpuStop::Fault(fault)),
            None => obey(session, call, window, &mut buffer),
        };
        if answered {
            let reply = done.unwrap_or_else(GpuReply::from);
            line.send(&reply, &[])?;
            if matches!(reply, GpuReply::Fault(_)) {
                return Ok(());
            }
            stay_awake(line)?;
        } else if let Err(GpuStop::Fault(unsaid)) = done {
            fault = Some(unsaid);
        }
    }
}

/// Looks for the next call, again and again, for a moment.
fn stay_awake(line: &Channel) -> Result<(), ReceiveError> {
    let until = Instant::now() + GPU_AWAKE;
    while !line.wait(Duration::ZERO)? && Instant::now() < until {
        std::hint::spin_loop();
    }
    Ok(())
}

/// Does what a call says. The guest was told that it may be done, or is not told until it is. Bytes pass through `buffer`.
fn obey<'b>(
    session: &mut GpuSession,
    call: GpuCall<'_>,
    window: &Window,
    buffer: &'b mut Vec<u8>,
) -> Result<GpuReply<'b>, GpuStop> {
    match call {
        GpuCall::Create(bytes) => match session.buf_create(bytes)? {
            handle if handle > OK => {}
            refused => return Err(disagree(refused)),
        },
        GpuCall::Write { handle, offset, bytes: Payload::Inline(bytes) } => {
            in_order(session.buf_write(handle, offset, bytes)?)?;
        }
        GpuCall::Write { handle, offset, bytes: Payload::Window(bytes) } => {
            pieces(session, (handle, offset, bytes), buffer, |session, at, piece| {
                window.read(at, piece).map_err(shared_memory)?;
                Ok(session.buf_write(handle, offset.saturating_add_unsigned(at), piece)?)
            })?;
        }
        GpuCall::Read { handle, offset, bytes } if bytes <= INLINE_BYTES as u64 => {
            buffer.resize(bytes as usize, 0);
            in_order(session.buf_read(handle, offset, buffer)?)?;
            return Ok(GpuReply::Read(Payload::Inline(buffer)));
        }
        GpuCall::Read { handle, offset, bytes } => {
            pieces(session, (handle, offset, bytes), buffer, |session, at, piece| {
                let status = session.buf_read(handle, offset.saturating_add_unsigned(at), piece)?;
                window.write(at, piece).map_err(shared_memory)?;
                Ok(status)
            })?;
            return Ok(GpuReply::Read(Payload::Window(bytes)));
        }
        GpuCall::Drop(handle) => in_order(session.buf_drop(handle)?)?,
        GpuCall::Dispatch { name, groups, bindings } => in_order(session.dispatch(name, groups, &bindings)?)?,
        GpuCall::Trace => return session.trace().map(GpuReply::Trace),
    }
    Ok(GpuReply::Done)
}

/// Copies piece by piece, once the whole is known to be in range: what a guest names is not what this process allocates.
fn pieces(
    session: &mut GpuSession,
    (handle, offset, bytes): (i32, i64, u64),
    buffer: &mut Vec<u8>,
    mut copy: impl FnMut(&mut GpuSession, u64, &mut [u8]) -> Result<i32, GpuStop>,
) -> Result<(), GpuStop> {
    if let Some(refused) = session.refuses(handle, offset, bytes) {
        return Err(disagree(refused));
    }
    let most = COPY_BYTES as u64;
    buffer.resize(bytes.min(most) as usize, 0);
    for at in (0..bytes).step_by(COPY_BYTES) {
        in_order(copy(session, at, &mut buffer[..(bytes - at).min(most) as usize])?)?;
    }
    Ok(())
}

fn in_order(status: i32) -> Result<(), GpuStop> {
    if status == OK { Ok(()) } else { Err(disagree(status)) }
}

/// Both go by the same rules, so one of them is not what it should be.
fn disagree(status: i32) -> GpuStop {
    GpuFault::Refused(format!("a call that the guest was told to be in order has status {status}")).into()
}

fn shared_memory(error: std::io::Error) -> GpuFault {
    GpuFault::Refused(format!("shared memory: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_kernels_stay_prepared_and_the_longest_unused_goes() {
        let mut prepared = Prepared::default();
        let mut ask = |number: usize| {
            let mut made = false;
            let id = ModuleId::from_bytes([number as u8; 32]);
            let ready = prepared.ready(id, || {
                made = true;
                Err(number.to_string())
            });
            assert!(matches!(ready, Err(Refusal::Kernel(why)) if why == number.to_string()));
            made
        };
        assert!((0..GPU_KERNELS).all(&mut ask), "each is made");
        assert!(!(0..GPU_KERNELS).any(&mut ask), "all are kept");
        assert!(ask(GPU_KERNELS));
        assert!(!ask(1));
        assert!(ask(0), "the longest unused had to go");
    }
}
