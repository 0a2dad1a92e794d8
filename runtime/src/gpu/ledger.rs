//! What an attempt holds and what it may still do: every status of a GPU import, the same wherever the work is done.

use p2c2r_shader::Grid;
use p2c2r_signing::manifest;

use super::handle::Table;
use super::interface::Interface;
use super::limits::{BUFFER_BYTES, BUFFERS, WORKGROUPS_PER_DIMENSION};
use super::refused::Refused;

const TRACE_DOMAIN: &str = "P2C2R 2026-11-23 gpu buffers v1";

/// Buffers of one attempt, each with what `B` keeps it in, and the manifest's limits on them.
pub(super) struct Ledger<B> {
    limits: manifest::Gpu,
    buffers: Table<Buffer<B>>,
    live_bytes: u64,
    dispatches: u32,
    /// The last refusal.
    refused: Option<Refused>,
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
        Self { limits, buffers: Table::new(), live_bytes: 0, dispatches: 0, refused: None }
    }

    /// The status of a call that is refused; why stays to be asked for.
    pub(super) fn refuse(&mut self, refused: Refused) -> i32 {
        self.refused.insert(refused).status()
    }

    /// Why the last call that was refused was.
    pub(super) fn why_refused(&self) -> Option<String> {
        self.refused.as_ref().map(ToString::to_string)
    }

    /// The bytes of a buffer that may be made.
    pub(super) fn room(&self, bytes: i64) -> Result<u64, Refused> {
        let Some(bytes) = u64::try_from(bytes).ok().filter(|b| *b > 0 && b.is_multiple_of(4)) else {
            return Err(Refused::Bytes(bytes));
        };
        let (live, most) = (self.live_bytes, self.limits.buffer_bytes);
        if self.buffers.len() >= BUFFERS.min(self.limits.buffers as usize) {
            return Err(Refused::Buffers { live: self.buffers.len() });
        }
        if bytes > BUFFER_BYTES {
            return Err(Refused::Large { bytes });
        }
        if bytes > most.saturating_sub(live) {
            return Err(Refused::Full { bytes, live, most });
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
            None => self.refuse(Refused::Handles),
        }
    }

    pub(super) fn remove(&mut self, handle: i32) -> Result<Buffer<B>, Refused> {
        let gone = self.buffers.remove(handle).ok_or(Refused::Handle(handle))?;
        self.live_bytes -= gone.bytes;
        Ok(gone)
    }

    /// What an attempt that has ended leaves.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = B> + use<B> {
        std::mem::replace(&mut self.buffers, Table::new()).into_values().map(|buffer| buffer.content)
    }

    /// The buffer and checked offset of an access of `len` bytes.
    pub(super) fn place(&self, handle: i32, offset: i64, len: u64) -> Result<(&B, u64), Refused> {
        let live = self.buffers.find(handle).ok_or(Refused::Handle(handle))?;
        let outside = Refused::Range { offset, len, bytes: live.bytes };
        let Ok(start) = u64::try_from(offset) else { return Err(outside) };
        if !start.is_multiple_of(4) || !len.is_multiple_of(4) {
            return Err(Refused::Unaligned { offset, len });
        }
        match start.checked_add(len) {
            Some(end) if end <= live.bytes => Ok((&live.content, start)),
            _ => Err(outside),
        }
    }

    pub(super) fn find(&self, handle: i32) -> Option<&B> {
        self.buffers.find(handle).map(|live| &live.content)
    }

    pub(super) fn find_mut(&mut self, handle: i32) -> Option<&mut B> {
        self.buffers.find_mut(handle).map(|live| &mut live.content)
    }

    /// Counts a dispatch that may run.
    pub(super) fn admit<'s>(
        &mut self,
        shaders: impl IntoIterator<Item = &'s Interface, IntoIter: Clone>,
        name: &[u8],
        groups: [u32; 3],
        bindings: &[(u32, i32)],
    ) -> Result<Admitted, Refused> {
        let known = shaders.into_iter();
        let Some((index, shader)) = known.clone().enumerate().find(|(_, shader)| shader.name.as_bytes() == name) else {
            return Err(Refused::no_shader(known.map(|shader| shader.name.as_str())));
        };
        let total = self.workgroups(groups)?;
        let bound = self.bind(shader, bindings)?;
        if !shader.grid.holds(groups) {
            return Err(outside(shader.grid, groups));
        }
        self.dispatches += 1;
        Ok(Admitted { shader: index, bound, empty: total == 0 })
    }

    /// How many workgroups one more dispatch has, within the limits on both.
    fn workgroups(&self, groups: [u32; 3]) -> Result<u64, Refused> {
        if self.dispatches >= self.limits.dispatches {
            return Err(Refused::Dispatches { done: self.dispatches });
        }
        if let Some((_, axis)) =
            groups.iter().zip(['x', 'y', 'z']).find(|(count, _)| **count > WORKGROUPS_PER_DIMENSION)
        {
            return Err(Refused::Side { groups, axis });
        }
        // Below 2^48.
        let total = groups.iter().map(|count| u64::from(*count)).product();
        let most = self.limits.workgroups;
        if total > u64::from(most) { Err(Refused::Workgroups { groups, total, most }) } else { Ok(total) }
    }

    /// Live buffers with their handles, in the order of the trace.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i32, &Buffer<B>)> {
        self.buffers.iter()
    }

    /// Resolves `given` against what `shader` declares.
    fn bind(&self, shader: &Interface, given: &[(u32, i32)]) -> Result<Vec<(u32, i32)>, Refused> {
        let live = |handle: &i32| self.buffers.find(*handle);
        if let Some((binding, handle)) = given.iter().find(|(_, handle)| live(handle).is_none()) {
            return Err(Refused::Dropped { binding: *binding, handle: *handle });
        }
        let declared = || shader.bindings.iter().map(|want| want.index).collect();
        let foreign = |index: &u32| shader.bindings.iter().all(|want| want.index != *index);
        if let Some((binding, _)) = given.iter().find(|(index, _)| foreign(index)) {
            return Err(Refused::Undeclared { binding: *binding, declared: declared() });
        }
        let mut bound = Vec::with_capacity(shader.bindings.len());
        for want in &shader.bindings {
            let mut at = given.iter().filter(|(index, _)| *index == want.index);
            let (handle, bytes) = match (at.next(), at.next()) {
                (Some((_, handle)), None) => (*handle, live(handle).map_or(0, |buffer| buffer.bytes)),
                (Some(_), Some(_)) => return Err(Refused::Twice(want.index)),
                (None, _) => return Err(Refused::Missing { missing: want.index, declared: declared() }),
            };
            if bytes < want.min_bytes {
                return Err(Refused::Small { binding: want.index, bytes, least: want.min_bytes });
            }
            let same = given.iter().find(|(index, other)| *index != want.index && *other == handle);
            if let (true, Some((other, _))) = (want.writable, same) {
                return Err(Refused::Shared { written: want.index, other: *other });
            }
            bound.push((want.index, handle));
        }
        Ok(bound)
    }
}

/// Why an exact shader is not dispatched over `groups`, which `grid` does not hold.
fn outside(grid: Grid, groups: [u32; 3]) -> Refused {
    let axes = grid.axes();
    if groups.iter().skip(axes).any(|count| *count > 1) {
        Refused::Axes { groups, axes }
    } else {
        Refused::Invocations { groups }
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
