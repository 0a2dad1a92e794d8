//! What one attempt owns while it runs, and the limits on it.

use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use p2c2r_signing::TrapCode;
use wasmtime::{Caller, Memory, ModuleExport, ResourceLimiter, UpdateDeadline};

use crate::attempt::{CancelFlag, HostFault};
use crate::ending::Stop;
use crate::gpu::GpuAttempt;
use crate::limits::TABLE_ELEMENTS;
use crate::log::Log;
use crate::wasi::Wasi;

/// The data of an attempt's store. Dropped with it: nothing survives an attempt.
pub(crate) struct State {
    pub(crate) memory: GuestMemory,
    pub(crate) input: Bytes,
    pub(crate) blobs: Vec<Bytes>,
    pub(crate) seed: [u8; 32],
    pub(crate) output: Output,
    pub(crate) log: Log,
    pub(crate) units: Units,
    pub(crate) gpu: Option<Box<dyn GpuAttempt>>,
    pub(crate) wasi: Option<Box<Wasi>>,
    pub(crate) memory_limit_bytes: usize,
    pub(crate) clock: Clock,
}

/// The guest's linear memory, found on first use: the start function may call imports before anybody could look.
pub(crate) enum GuestMemory {
    Unknown(ModuleExport),
    Known(Memory),
}

/// Bytes written so far, and how many may be.
pub(crate) struct Output {
    pub(crate) bytes: Vec<u8>,
    pub(crate) limit_bytes: usize,
}

/// Units charged so far, and how many may be.
pub(crate) struct Units {
    pub(crate) charged: u64,
    pub(crate) limit: u64,
}

/// When the attempt must end.
pub(crate) struct Clock {
    pub(crate) ends: Instant,
    pub(crate) after: Duration,
    pub(crate) cancel: Option<CancelFlag>,
}

impl State {
    /// The guest's memory as a slice, and the rest of the state beside it.
    pub(crate) fn split<'a>(caller: &'a mut Caller<'_, Self>) -> Result<(&'a mut [u8], &'a mut Self), Stop> {
        let memory = match caller.data().memory {
            GuestMemory::Known(memory) => memory,
            GuestMemory::Unknown(export) => {
                let found = caller.get_module_export(&export).and_then(wasmtime::Extern::into_memory);
                let memory = found.ok_or_else(|| Stop::internal("memory export is not a memory"))?;
                caller.data_mut().memory = GuestMemory::Known(memory);
                memory
            }
        };
        Ok(memory.data_and_store_mut(caller))
    }
}

/// Checks a guest's pointer and length against its memory, in 64-bit arithmetic.
pub(crate) fn place(memory: &[u8], pointer: i32, len: u64) -> Result<Range<usize>, Stop> {
    let outside = Stop::Trap(TrapCode::MemoryOutOfBounds);
    let start = u64::from(pointer.cast_unsigned());
    let end = start.checked_add(len).filter(|end| *end <= memory.len() as u64).ok_or(outside)?;
    // Both fit: they are at most memory.len().
    Ok(start as usize..end as usize)
}

impl Output {
    /// Appends, or traps without appending anything.
    pub(crate) fn write(&mut self, parts: &[&[u8]]) -> Result<(), Stop> {
        let room = self.limit_bytes.saturating_sub(self.bytes.len());
        let wanted = parts.iter().try_fold(0usize, |sum, part| sum.checked_add(part.len()));
        if wanted.is_none_or(|wanted| wanted > room) {
            return Err(Stop::Trap(TrapCode::OutputLimit));
        }
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        Ok(())
    }
}

impl Units {
    pub(crate) fn charge(&mut self, units: i64) -> Result<(), Stop> {
        let charged = u64::try_from(units).ok().and_then(|units| self.charged.checked_add(units));
        self.charged = charged.filter(|c| *c <= self.limit).ok_or(Stop::Trap(TrapCode::UnitsLimit))?;
        Ok(())
    }
}

impl Clock {
    /// Whether the attempt may go on; asked every tick.
    pub(crate) fn check(&self) -> Result<UpdateDeadline, Stop> {
        if self.cancel.as_ref().is_some_and(CancelFlag::is_cancelled) {
            return Err(Stop::Fault(HostFault::Cancelled));
        }
        if Instant::now() >= self.ends {
            return Err(Stop::Fault(HostFault::Deadline { after: self.after }));
        }
        Ok(UpdateDeadline::Continue(1))
    }
}

/// Growing past the manifest's limit traps, with the same code everywhere. Growing past the module's own maximum
/// fails as WebAssembly says. A host that cannot give what both allow is a fault.
impl ResourceLimiter for State {
    fn memory_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.memory_limit_bytes {
            return Err(Stop::Trap(TrapCode::GrowLimit).into());
        }
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(Stop::Fault(HostFault::OutOfMemory(error.to_string())).into())
    }

    fn table_growing(&mut self, _current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        // The pool reports its own capacity as a maximum; the module's own is the smaller one, if there is one.
        if desired > TABLE_ELEMENTS {
            return Err(Stop::Trap(TrapCode::GrowLimit).into());
        }
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(Stop::Fault(HostFault::OutOfMemory(error.to_string())).into())
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        crate::limits::TABLES as usize
    }

    fn memories(&self) -> usize {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let memory = [0u8; 100];
        let ok = |pointer, len| place(&memory, pointer, len).ok();
        assert_eq!(ok(0, 100), Some(0..100));
        assert_eq!(ok(100, 0), Some(100..100));
        assert_eq!(ok(101, 0), None);
        assert_eq!(ok(99, 2), None);
        assert_eq!(ok(-1, 1), None);
        assert_eq!(ok(-1, u64::MAX), None);
        assert_eq!(ok(1, u64::MAX), None);
    }

    #[test]
    fn units_stop_at_the_limit() {
        let mut units = Units { charged: 0, limit: 10 };
        assert!(units.charge(10).is_ok());
        assert!(units.charge(0).is_ok());
        assert!(units.charge(1).is_err());
        assert!(units.charge(-1).is_err());
        assert_eq!(units.charged, 10);
        let mut units = Units { charged: u64::MAX, limit: u64::MAX };
        assert!(units.charge(1).is_err());
    }
}
