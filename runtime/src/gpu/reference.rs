//! One attempt on the CPU, with the bits of every adapter.

use p2c2r_abi::status;
use p2c2r_shader::reference::{Ended, Order};
use p2c2r_signing::{Digest, manifest};

use super::attempt::GpuAttempt;
use super::fault::{GpuFault, GpuStop};
use super::ledger::{Ledger, Trace};
use super::limits::COPY_BYTES;
use super::pipeline::Shaders;
use super::until::Until;

/// One attempt on the CPU reference, for kernels whose shaders are all exact. A dispatch has run when it returns.
pub struct ReferenceSession {
    shaders: Shaders,
    ledger: Ledger<Vec<u32>>,
    until: Until,
    order: Order,
    trapped: bool,
}

impl ReferenceSession {
    /// A session with no buffers.
    ///
    /// # Errors
    /// [`GpuFault::Refused`] if a shader is not of a kernel that claims to be exact.
    pub fn new(shaders: &Shaders, limits: &manifest::Gpu, until: impl Into<Until>) -> Result<Self, GpuFault> {
        if let Some(name) = shaders.without_reference() {
            return Err(GpuFault::Refused(format!("shader {name:?} computes with floats: it needs an adapter")));
        }
        Ok(Self {
            shaders: shaders.clone(),
            ledger: Ledger::new(*limits),
            until: until.into(),
            order: Order::Natural,
            trapped: false,
        })
    }

    /// As it is, with dispatches in another order: an exact shader does not tell.
    #[must_use]
    pub const fn in_order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Runs shader `index`. The buffers are put back whatever happens.
    fn run(&mut self, index: usize, groups: [u32; 3], bound: &[(u32, i32)]) -> Result<(), GpuFault> {
        let Some(reference) = self.shaders.at(index).and_then(super::shader::Shader::reference) else {
            return Err(GpuFault::Refused(format!("shader {index} has no reference")));
        };
        // One that is bound twice is only read.
        let mut handles: Vec<i32> = bound.iter().map(|(_, handle)| *handle).collect();
        handles.sort_unstable();
        handles.dedup();
        let place = |handle: &i32| handles.binary_search(handle).unwrap_or(usize::MAX);
        let bindings: Vec<(u32, usize)> = bound.iter().map(|(binding, handle)| (*binding, place(handle))).collect();
        let take = |handle: &i32| self.ledger.find_mut(*handle).map(std::mem::take).unwrap_or_default();
        let mut buffers: Vec<Vec<u32>> = handles.iter().map(take).collect();
        let mut fault = None;
        let mut go_on = || {
            fault = self.until.check().err();
            fault.is_none()
        };
        let ended = reference.dispatch(groups, &mut buffers, &bindings, self.order, &mut go_on);
        for (handle, buffer) in handles.iter().zip(buffers) {
            if let Some(place) = self.ledger.find_mut(*handle) {
                *place = buffer;
            }
        }
        match ended {
            Ok(ended) => self.trapped |= ended == Ended::Trapped,
            Err(_) => return Err(fault.unwrap_or(GpuFault::Deadline)),
        }
        Ok(())
    }
}

impl GpuAttempt for ReferenceSession {
    fn buf_create(&mut self, bytes: i64) -> Result<i32, GpuFault> {
        self.until.check()?;
        let bytes = match self.ledger.room(bytes) {
            Ok(bytes) => bytes,
            Err(refused) => return Ok(self.ledger.refuse(refused)),
        };
        // At most BUFFER_BYTES, which fits usize.
        let count = (bytes / 4) as usize;
        let mut words = Vec::new();
        words.try_reserve_exact(count).map_err(|_full| GpuFault::OutOfMemory)?;
        words.resize(count, 0);
        Ok(self.ledger.insert(words, bytes))
    }

    fn buf_write(&mut self, handle: i32, offset: i64, src: &[u8]) -> Result<i32, GpuFault> {
        self.until.check()?;
        let first = match self.ledger.place(handle, offset, src.len() as u64) {
            Ok((_, offset)) => (offset / 4) as usize,
            Err(refused) => return Ok(self.ledger.refuse(refused)),
        };
        let words = self.ledger.find_mut(handle).and_then(|words| words.get_mut(first..)).unwrap_or_default();
        for (word, bytes) in words.iter_mut().zip(src.chunks_exact(4)) {
            *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        Ok(status::OK)
    }

    fn buf_read(&mut self, handle: i32, offset: i64, dst: &mut [u8]) -> Result<i32, GpuStop> {
        self.until.check()?;
        let words = match self.ledger.place(handle, offset, dst.len() as u64) {
            Ok((words, offset)) => words.get((offset / 4) as usize..).unwrap_or_default(),
            Err(refused) => return Ok(self.ledger.refuse(refused)),
        };
        if dst.is_empty() {
            return Ok(status::OK);
        }
        if self.trapped {
            dst.fill(0);
            return Err(GpuStop::Trap);
        }
        copy(words, dst);
        Ok(status::OK)
    }

    fn buf_drop(&mut self, handle: i32) -> Result<i32, GpuFault> {
        self.until.check()?;
        match self.ledger.remove(handle) {
            Ok(_) => Ok(status::OK),
            Err(refused) => Ok(self.ledger.refuse(refused)),
        }
    }

    fn dispatch(&mut self, name: &[u8], groups: [u32; 3], bindings: &[(u32, i32)]) -> Result<i32, GpuFault> {
        self.until.check()?;
        let admitted = match self.ledger.admit(self.shaders.interfaces(), name, groups, bindings) {
            Ok(admitted) => admitted,
            Err(refused) => return Ok(self.ledger.refuse(refused)),
        };
        // After a trap nobody gets to see what a shader does.
        if !admitted.empty && !self.trapped {
            self.run(admitted.shader, groups, &admitted.bound)?;
        }
        Ok(status::OK)
    }

    fn why_refused(&self) -> Option<String> {
        self.ledger.why_refused()
    }

    fn trace(&mut self) -> Result<Digest, GpuStop> {
        self.until.check()?;
        if self.trapped {
            return Err(GpuStop::Trap);
        }
        let mut trace = Trace::new();
        let mut bytes = Vec::new();
        for (handle, live) in self.ledger.iter() {
            trace.buffer(handle, live.bytes);
            for words in live.content.chunks(COPY_BYTES / 4) {
                self.until.check()?;
                bytes.resize(words.len() * 4, 0);
                copy(words, &mut bytes);
                trace.content(&bytes);
            }
        }
        Ok(trace.finish())
    }
}

impl std::fmt::Debug for ReferenceSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReferenceSession").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

fn copy(words: &[u32], bytes: &mut [u8]) {
    for (bytes, word) in bytes.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
}
