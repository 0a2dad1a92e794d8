//! Buffers and dispatch. On the CPU path there is no session, and every call that got its pointers right says so.

use std::fmt;

use p2c2r_abi::{BINDING_BYTES, IMPORT_MODULE, gpu, import, status};
use p2c2r_signing::TrapCode;
use p2c2r_signing::limits::NAME_BYTES;
use wasmtime::{Caller, Linker, Result};

use crate::attempt::HostFault;
use crate::ending::Stop;
use crate::gpu::{GpuAttempt, GpuFault, GpuStop, limits::BINDINGS};
use crate::state::{Clock, State, place};

pub(super) fn link(linker: &mut Linker<State>) -> Result<()> {
    linker
        .func_wrap(IMPORT_MODULE, import::GPU_CAPS, |caller: Caller<'_, State>| -> i32 {
            if caller.data().gpu.is_some() { gpu::DISPATCH } else { 0 }
        })?
        .func_wrap(IMPORT_MODULE, import::BUF_CREATE, |mut caller: Caller<'_, State>, bytes: i64| -> Result<i32> {
            call(caller.data_mut(), import::BUF_CREATE, |gpu| gpu.buf_create(bytes))
        })?
        .func_wrap(
            IMPORT_MODULE,
            import::BUF_WRITE,
            |mut caller: Caller<'_, State>, handle: i32, offset: i64, src: i32, len: i32| -> Result<i32> {
                let (memory, state) = State::split(&mut caller)?;
                let range = place(memory, src, u64::from(len.cast_unsigned()))?;
                call(state, import::BUF_WRITE, |gpu| gpu.buf_write(handle, offset, &memory[range]))
            },
        )?
        .func_wrap(
            IMPORT_MODULE,
            import::BUF_READ,
            |mut caller: Caller<'_, State>, handle: i32, offset: i64, dst: i32, len: i32| -> Result<i32> {
                let (memory, state) = State::split(&mut caller)?;
                let range = place(memory, dst, u64::from(len.cast_unsigned()))?;
                call(state, import::BUF_READ, |gpu| gpu.buf_read(handle, offset, &mut memory[range]))
            },
        )?
        .func_wrap(IMPORT_MODULE, import::BUF_DROP, |mut caller: Caller<'_, State>, handle: i32| -> Result<i32> {
            call(caller.data_mut(), import::BUF_DROP, |gpu| gpu.buf_drop(handle))
        })?
        .func_wrap(
            IMPORT_MODULE,
            import::DISPATCH,
            |mut caller: Caller<'_, State>,
             name: i32,
             name_len: i32,
             x: i32,
             y: i32,
             z: i32,
             bindings: i32,
             count: i32|
             -> Result<i32> {
                let (memory, state) = State::split(&mut caller)?;
                let name = place(memory, name, u64::from(name_len.cast_unsigned()))?;
                let records = u64::from(count.cast_unsigned()) * BINDING_BYTES as u64;
                let records = place(memory, bindings, records)?;
                // One more than any shader may bind is as wrong as a million.
                let mut bindings = [(0u32, 0i32); BINDINGS + 1];
                let mut used = 0;
                for (slot, record) in bindings.iter_mut().zip(memory[records].chunks_exact(BINDING_BYTES)) {
                    *slot = (word(record, 0), word(record, 4).cast_signed());
                    used += 1;
                }
                let groups = [x, y, z].map(i32::cast_unsigned);
                let name = &memory[name];
                let what = Dispatch(name);
                call(state, what, |gpu| gpu.dispatch(name, groups, &bindings[..used]))
            },
        )?;
    Ok(())
}

/// Does a call, and logs why it is refused if it is.
fn call<E: Into<GpuStop>>(
    state: &mut State,
    what: impl fmt::Display,
    f: impl FnOnce(&mut dyn GpuAttempt) -> Result<i32, E>,
) -> Result<i32> {
    let Some(gpu) = state.gpu.as_mut() else { return Ok(status::NO_GPU) };
    let answer = f(gpu.as_mut()).map_err(|error| match error.into() {
        GpuStop::Fault(fault) => Stop::Fault(host_fault(fault, &state.clock)),
        GpuStop::Trap => Stop::Trap(TrapCode::ShaderFuel),
    })?;
    if answer < status::OK {
        state.log.refusal(|| Some(format!("{what}: {}", gpu.why_refused()?)));
    }
    Ok(answer)
}

/// A dispatch of the shader that a guest names so.
struct Dispatch<'a>(&'a [u8]);

impl fmt::Display for Dispatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = String::from_utf8_lossy(&self.0[..self.0.len().min(NAME_BYTES)]);
        write!(f, "{} {name:?}", import::DISPATCH)
    }
}

/// What the GPU's fault means for the attempt.
pub(crate) fn host_fault(fault: GpuFault, clock: &Clock) -> HostFault {
    match fault {
        GpuFault::Deadline => HostFault::Deadline { after: clock.after },
        GpuFault::Cancelled => HostFault::Cancelled,
        GpuFault::OutOfMemory => HostFault::OutOfMemory(fault.to_string()),
        fault => HostFault::Gpu(fault.to_string()),
    }
}

fn word(record: &[u8], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&record[at..at + 4]);
    u32::from_le_bytes(bytes)
}
