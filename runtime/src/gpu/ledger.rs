//! What an attempt holds and what it may still do: every status of a GPU import, the same wherever the work is done.

use p2c2r_abi::status;
use p2c2r_signing::manifest;

use super::handle::Table;
use super::interface::Interface;
use super::limits::{BUFFER_BYTES, BUFFERS, WORKGROUPS_PER_DIMENSION};

const TRACE_DOMAIN: &str = "P2C2R 2026-11-23 gpu buffers v1";

/// Buffers of one attempt, each with what `B` keeps it in, and the manifest's limits on them.
pub(super) struct Ledger<B> {
    limits: manifest::Gpu,
    buffers: Table<Buffer<B>>,
    live_bytes: u64,
    dispatches: u32,
}

/// A live buffer.
pub(super) struct Buffer<B> {
    pub(super) content: B,
    pub(super) bytes: u64,
}

/// A dispatch that may run.
pub(super) struct Admitted {
    /// Index of its shader.
    pub(super) shader: usize,
    /// Binding indices and handles of live buffers, in the order the shader declares them.
    pub(super) bound: Vec<(u32, i32)>,
    /// Whether there is no workgroup to run.
    pub(super) empty: bool,
}

impl<B> Ledger<B> {
    pub(super) const fn new(limits: manifest::Gpu) -> Self {
        Self { limits, buffers: Table::new(), live_bytes: 0, dispatches: 0 }
    }

    /// The bytes of a buffer that may be made, or the status that refuses it.
    pub(super) fn room(&self, bytes: i64) -> Result<u64, i32> {
        let Some(bytes) = u64::try_from(bytes).ok().filter(|b| *b > 0 && b.is_multiple_of(4)) else {
            return Err(status::INVALID);
        };
        let slots = BUFFERS.min(self.limits.buffers as usize);
        let room = self.limits.buffer_bytes.saturating_sub(self.live_bytes);
        if self.buffers.len() >= slots || bytes > BUFFER_BYTES || bytes > room {
            return Err(status::LIMIT);
        }
        Ok(bytes)
    }

    /// Keeps a buffer of what [`Self::room`] said; its handle, or the status where every handle is used up.
    pub(super) fn insert(&mut self, content: B, bytes: u64) -> i32 {
        match self.buffers.insert(Buffer { content, bytes }) {
            Some(handle) => {
                self.live_bytes += bytes;
                handle
            }
            None => status::LIMIT,
        }
    }

    pub(super) fn remove(&mut self, handle: i32) -> Option<Buffer<B>> {
        let gone = self.buffers.remove(handle)?;
        self.live_bytes -= gone.bytes;
        Some(gone)
    }

    /// What an attempt that has ended leaves.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = B> + use<B> {
        std::mem::replace(&mut self.buffers, Table::new()).into_values().map(|buffer| buffer.content)
    }

    /// The buffer and checked offset of an access of `len` bytes, or the status that refuses it.
    pub(super) fn place(&self, handle: i32, offset: i64, len: u64) -> Result<(&B, u64), i32> {
        let live = self.buffers.find(handle).ok_or(status::HANDLE)?;
        let Ok(offset) = u64::try_from(offset) else { return Err(status::RANGE) };
        if !offset.is_multiple_of(4) || !len.is_multiple_of(4) {
            return Err(status::INVALID);
        }
        match offset.checked_add(len) {
            Some(end) if end <= live.bytes => Ok((&live.content, offset)),
            _ => Err(status::RANGE),
        }
    }

    pub(super) fn find(&self, handle: i32) -> Option<&B> {
        self.buffers.find(handle).map(|live| &live.content)
    }

    pub(super) fn find_mut(&mut self, handle: i32) -> Option<&mut B> {
        self.buffers.find_mut(handle).map(|live| &mut live.content)
    }

    /// Counts a dispatch that may run, or says which status refuses it.
    pub(super) fn admit<'s>(
        &mut self,
        shaders: impl IntoIterator<Item = &'s Interface>,
        name: &[u8],
        groups: [u32; 3],
        bindings: &[(u32, i32)],
    ) -> Result<Admitted, i32> {
        let mut known = shaders.into_iter().enumerate();
        let Some((index, shader)) = known.find(|(_, shader)| shader.name.as_bytes() == name) else {
            return Err(status::NO_SHADER);
        };
        let total = groups
            .iter()
            .try_fold(1u64, |n, g| (*g <= WORKGROUPS_PER_DIMENSION).then(|| n.saturating_mul(u64::from(*g))));
        if self.dispatches >= self.limits.dispatches || total.is_none_or(|n| n > u64::from(self.limits.workgroups)) {
            return Err(status::LIMIT);
        }
        let bound = self.bind(shader, bindings)?;
        if !shader.grid.holds(groups) {
            return Err(status::INVALID);
        }
        self.dispatches += 1;
        Ok(Admitted { shader: index, bound, empty: total == Some(0) })
    }

    /// Live buffers with their handles, in the order of the trace.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i32, &Buffer<B>)> {
        self.buffers.iter()
    }

    /// Resolves `given` against what `shader` declares.
    fn bind(&self, shader: &Interface, given: &[(u32, i32)]) -> Result<Vec<(u32, i32)>, i32> {
        if given.iter().any(|(_, handle)| self.buffers.find(*handle).is_none()) {
            return Err(status::HANDLE);
        }
        let declared = &shader.bindings;
        if given.len() != declared.len() {
            return Err(status::INVALID);
        }
        let mut bound = Vec::with_capacity(declared.len());
        for want in declared {
            let mut at = given.iter().filter(|(index, _)| *index == want.index);
            let (Some((_, handle)), None) = (at.next(), at.next()) else { return Err(status::INVALID) };
            let live = self.buffers.find(*handle).ok_or(status::HANDLE)?;
            let shared = given.iter().filter(|(_, other)| other == handle).count() > 1;
            if live.bytes < want.min_bytes || (shared && want.writable) {
                return Err(status::INVALID);
            }
            bound.push((want.index, *handle));
        }
        Ok(bound)
    }
}

impl<B> std::fmt::Debug for Ledger<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("buffers", &self.buffers.len())
            .field("live_bytes", &self.live_bytes)
            .field("dispatches", &self.dispatches)
            .finish_non_exhaustive()
    }
}

/// Digest of live buffers in the making; see [`super::GpuAttempt::trace`].
pub(super) struct Trace(blake3::Hasher);

impl Trace {
    pub(super) fn new() -> Self {
        Self(blake3::Hasher::new_derive_key(TRACE_DOMAIN))
    }

    /// A buffer; its contents follow.
    pub(super) fn buffer(&mut self, handle: i32, bytes: u64) {
        self.0.update(&handle.to_le_bytes());
        self.0.update(&bytes.to_le_bytes());
    }

    pub(super) fn content(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(&self) -> p2c2r_signing::Digest {
        p2c2r_signing::Digest::from_bytes(*self.0.finalize().as_bytes())
    }
}
