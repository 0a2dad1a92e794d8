//! An exact shader on the CPU, with the bits that it has on every adapter.
//!
//! A rewritten module is lowered once to a list of operations on registers ([`Reference`]), in which calls are replaced by what
//! they call. They are executed for up to 32 invocations side by side, a *packet*: a register holds a word for each of its lanes,
//! arithmetic is done for all of them, branches and loops switch lanes off and on. A packet runs until its next
//! barrier, then the next one does, so that an invocation may be anywhere between two barriers when another starts:
//! a shader that notices the [`Order`] has a race, which analysis was to exclude.
//!
//! Every number in an operation was made by `lower`, which refuses what does not fit: nothing a shader computes selects a
//! register or operation, but for indices of arrays, which are compared with the array's length first.

mod arithmetic;
mod layout;
mod lower;
mod op;
mod order;
mod packet;
#[cfg(test)]
mod tests;

pub use order::Order;

use naga::Module;
use naga::valid::ModuleInfo;

use self::op::{Op, Reg};
use self::packet::{Clock, LANES, Packet, Shared};
use crate::limits::WORKGROUPS_PER_DIMENSION;
use crate::refusal::Problem;

/// A workgroup: its invocations, in parts that run side by side, and its place among how many.
struct Group<'a> {
    parts: std::slice::Chunks<'a, u32>,
    ids: ([u32; 3], [u32; 3]),
}

/// An exact shader as operations of the CPU.
#[derive(Debug, Clone)]
pub struct Reference {
    ops: Vec<Op>,
    /// Of a workgroup.
    sides: [u32; 3],
    /// Built-in values and where `main` expects them.
    inputs: Vec<(Input, Reg)>,
    /// Binding indices of its buffers.
    bindings: Vec<u32>,
    /// Registers that are written; constants follow.
    variables: u32,
    constants: Vec<u32>,
    masks: u32,
    workgroup_words: u32,
    /// Words that one pass over the operations looks at.
    work: u32,
    /// Whether there is a barrier.
    waits: bool,
}

/// A built-in value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    GlobalInvocationId,
    LocalInvocationId,
    LocalInvocationIndex,
    WorkgroupId,
    NumWorkgroups,
}

/// How a dispatch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every invocation did.
    Done,
    /// An invocation ran out of its loop budget; the rest were not waited for, and what the buffers hold means nothing.
    Trapped,
}

/// The caller did not want to go on. What the buffers hold means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

impl Reference {
    /// Lowers a rewritten module. The problem is one of its size; of what is not exact, only what is met is told.
    pub(crate) fn of(module: &Module, info: &ModuleInfo) -> Result<Self, Problem> {
        lower::lower(module, info)
    }

    /// Runs every invocation of `groups` workgroups (x, y, z) on the calling thread. `bindings` are pairs of a binding index and the
    /// place of its buffer in `buffers`, words in the order of memory. Whoever calls has compared their sizes with what the
    /// shader declares; a buffer that is missing counts as empty. `go_on` is asked about every tenth of a millisecond.
    ///
    /// # Errors
    /// [`Interrupted`] as soon as `go_on` says no.
    pub fn dispatch(
        &self,
        groups: [u32; 3],
        buffers: &mut [Vec<u32>],
        bindings: &[(u32, usize)],
        order: Order,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Ended, Interrupted> {
        let bound = |index: &u32| bindings.iter().find(|(binding, _)| binding == index).map(|(_, buffer)| *buffer);
        let mut shared = Shared {
            workgroup: vec![0; self.workgroup_words as usize],
            buffers,
            bound: self.bindings.iter().map(bound).collect(),
        };
        let mut clock = Clock::new(go_on);
        let invocations = self.sides.iter().product::<u32>();
        let together = order.together();
        // Without a barrier each packet is done before the next one starts.
        let packets = if self.waits { (invocations as usize).div_ceil(together) } else { 1 };
        let mut packets: Vec<Packet> = (0..packets).map(|_| Packet::new(self)).collect();
        let mut lanes = Vec::with_capacity(invocations as usize);
        let [x, y, z] = groups.map(|side| side.min(WORKGROUPS_PER_DIMENSION));
        let (x, y) = (u64::from(x), u64::from(y));
        for group in order.groups(x * y * u64::from(z)) {
            // Each below its dimension.
            let id = [group % x, group / x % y, group / x / y].map(|side| side as u32);
            shared.workgroup.fill(0);
            order.invocations(group, invocations, &mut lanes);
            let group = Group { parts: lanes.chunks(together), ids: (id, groups) };
            let ended = if self.waits {
                self.waiting(&mut packets, group, &mut shared, &mut clock)?
            } else {
                self.in_turn(&mut packets, group, &mut shared, &mut clock)?
            };
            if ended == Ended::Trapped {
                return Ok(ended);
            }
        }
        Ok(Ended::Done)
    }

    /// One packet after the other.
    fn in_turn(
        &self,
        packets: &mut [Packet],
        group: Group<'_>,
        shared: &mut Shared<'_>,
        clock: &mut Clock<'_>,
    ) -> Result<Ended, Interrupted> {
        for lanes in group.parts {
            for packet in &mut *packets {
                self.start(packet, lanes, group.ids);
                if packet.run(self, shared, clock)? == Some(Ended::Trapped) {
                    return Ok(Ended::Trapped);
                }
            }
        }
        Ok(Ended::Done)
    }

    /// All packets to the first barrier, then all to the next.
    fn waiting(
        &self,
        packets: &mut [Packet],
        group: Group<'_>,
        shared: &mut Shared<'_>,
        clock: &mut Clock<'_>,
    ) -> Result<Ended, Interrupted> {
        for (packet, lanes) in packets.iter_mut().zip(group.parts) {
            self.start(packet, lanes, group.ids);
        }
        loop {
            let mut done = true;
            for packet in &mut *packets {
                match packet.run(self, shared, clock)? {
                    Some(Ended::Trapped) => return Ok(Ended::Trapped),
                    Some(Ended::Done) => {}
                    None => done = false,
                }
            }
            if done {
                return Ok(Ended::Done);
            }
        }
    }

    fn start(&self, packet: &mut Packet, lanes: &[u32], (group, groups): ([u32; 3], [u32; 3])) {
        packet.start(lanes.len().min(LANES));
        let [x, y, _] = self.sides;
        for (lane, &index) in lanes.iter().enumerate() {
            let local = [index % x, index / x % y, index / x / y];
            for &(input, first) in &self.inputs {
                let global = |side: usize| group[side].wrapping_mul(self.sides[side]).wrapping_add(local[side]);
                let words = match input {
                    Input::LocalInvocationIndex => {
                        packet.set(first, lane, index);
                        continue;
                    }
                    Input::GlobalInvocationId => std::array::from_fn(global),
                    Input::LocalInvocationId => local,
                    Input::WorkgroupId => group,
                    Input::NumWorkgroups => groups,
                };
                (first..).zip(words).for_each(|(register, word)| packet.set(register, lane, word));
            }
        }
    }
}
