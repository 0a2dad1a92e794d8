//! Invocations side by side: what one packet of them is, and what it does until it waits.

use super::arithmetic::{self, Binary, Unary};
use super::op::{Mask, Memory, Op, Reg};
use super::{Ended, Interrupted, Reference};

/// Invocations of a packet: the bits of a set of lanes.
pub(super) const LANES: usize = 32;

/// A word for each lane.
pub(super) type Words = [u32; LANES];

/// Operations between two looks at whether to go on: about a tenth of a millisecond.
const PATIENCE: u64 = 1 << 13;

/// The state of up to [`LANES`] invocations.
pub(super) struct Packet {
    registers: Vec<Words>,
    masks: Vec<u32>,
    /// Active lanes, a bit each.
    active: u32,
    /// The operation to go on with; `None` at the end.
    next: Option<usize>,
}

/// What invocations share.
pub(super) struct Shared<'a> {
    pub(super) workgroup: Vec<u32>,
    pub(super) buffers: &'a mut [Vec<u32>],
    /// For each of [`Reference::bindings`] the buffer.
    pub(super) bound: Vec<Option<usize>>,
}

/// Whether to go on.
pub(super) struct Clock<'a> {
    go_on: &'a mut dyn FnMut() -> bool,
    left: u64,
}

impl<'a> Clock<'a> {
    pub(super) fn new(go_on: &'a mut dyn FnMut() -> bool) -> Self {
        Self { go_on, left: 0 }
    }

    pub(super) fn spend(&mut self, work: u32) -> Result<(), Interrupted> {
        match self.left.checked_sub(u64::from(work)) {
            Some(left) => self.left = left,
            None => {
                if !(self.go_on)() {
                    return Err(Interrupted);
                }
                self.left = PATIENCE;
            }
        }
        Ok(())
    }
}

impl Shared<'_> {
    fn memory(&mut self, memory: Memory) -> &mut [u32] {
        match memory {
            Memory::Workgroup => &mut self.workgroup,
            Memory::Buffer(slot) => {
                let bound = self.bound.get(usize::from(slot)).copied().flatten();
                bound.and_then(|buffer| self.buffers.get_mut(buffer)).map_or(&mut [], Vec::as_mut_slice)
            }
        }
    }
}

impl Packet {
    pub(super) fn new(reference: &Reference) -> Self {
        let variables = reference.variables as usize;
        let mut registers = vec![[0; LANES]; variables];
        registers.extend(reference.constants.iter().map(|word| [*word; LANES]));
        Self { registers, masks: vec![0; reference.masks as usize], active: 0, next: None }
    }

    /// Back to the start, with the first `lanes` lanes.
    pub(super) fn start(&mut self, lanes: usize) {
        self.active = if lanes >= LANES { u32::MAX } else { (1 << lanes) - 1 };
        self.next = Some(0);
    }

    pub(super) fn set(&mut self, register: Reg, lane: usize, word: u32) {
        if let Some(word_of_lane) = self.registers.get_mut(register as usize).and_then(|words| words.get_mut(lane)) {
            *word_of_lane = word;
        }
    }

    /// Runs to the next barrier or to the end; whether it is at the end.
    pub(super) fn run(
        &mut self,
        reference: &Reference,
        shared: &mut Shared<'_>,
        clock: &mut Clock<'_>,
    ) -> Result<Option<Ended>, Interrupted> {
        let Some(mut at) = self.next else { return Ok(Some(Ended::Done)) };
        clock.spend(reference.work)?;
        while let Some(op) = reference.ops.get(at) {
            at += 1;
            match *op {
                Op::Unary { f, to, a } => self.unary(f, to, a),
                Op::Binary { f, to, a, b } => self.binary(f, to, a, b),
                Op::Select { to, condition, accept, reject } => {
                    let (condition, accept, reject) = (self.at(condition), self.at(accept), self.at(reject));
                    self.registers[to as usize] =
                        each(|lane| (condition[lane] & accept[lane]) | (!condition[lane] & reject[lane]));
                }
                Op::ExtractBits { signed, to, a, offset, count } => {
                    let (a, offset, count) = (self.at(a), self.at(offset), self.at(count));
                    self.registers[to as usize] =
                        each(|lane| arithmetic::extract_bits(a[lane], offset[lane], count[lane], signed));
                }
                Op::InsertBits { to, a, bits, offset, count } => {
                    let (a, bits, offset, count) = (self.at(a), self.at(bits), self.at(offset), self.at(count));
                    self.registers[to as usize] =
                        each(|lane| arithmetic::insert_bits(a[lane], bits[lane], offset[lane], count[lane]));
                }
                Op::Copy { to, from, words } => self.copy(to, from, words),
                Op::Fill { to, from, words } => {
                    let word = *self.at(from);
                    self.registers[to as usize..][..words as usize].fill(word);
                }
                Op::Assign { to, from, words } if self.active == u32::MAX => self.copy(to, from, words),
                Op::Assign { to, from, words } => {
                    let keep = spread(self.active);
                    for word in 0..words {
                        let (old, new) = (self.at(to + word), self.at(from + word));
                        self.registers[(to + word) as usize] =
                            each(|lane| (keep[lane] & new[lane]) | (!keep[lane] & old[lane]));
                    }
                }
                Op::Gather { to, from, room, at, words } => self.gather(to, from, room, at, words),
                Op::Scatter { to, room, at, from, words } => self.scatter(to, room, at, from, words),

                Op::Load { memory, to, base, at, words } => self.load(shared.memory(memory), to, base, at, words),
                Op::Store { memory, base, at, from, words } => self.store(shared.memory(memory), base, at, from, words),
                Op::Atomic { f, memory, base, at, a } => self.atomic(shared.memory(memory), f, base, at, a),
                Op::Length { memory, to, base, stride } => {
                    let words = shared.memory(memory).len().saturating_sub(base as usize);
                    let length = u32::try_from(words).unwrap_or(u32::MAX).checked_div(stride).unwrap_or(0);
                    self.registers[to as usize] = [length; LANES];
                }

                Op::Split { condition, other, target } => {
                    let accepted = self.active & bits(self.at(condition));
                    self.masks[other as usize] = self.active & !accepted;
                    self.active = accepted;
                    if accepted == 0 {
                        at = target as usize;
                    }
                }
                Op::Swap { kept, target } => {
                    std::mem::swap(&mut self.masks[kept as usize], &mut self.active);
                    if self.active == 0 {
                        at = target as usize;
                    }
                }
                Op::Join { kept } => self.active |= self.masks[kept as usize],
                Op::Clear { kept } => self.masks[kept as usize] = 0,
                Op::Keep { kept } => self.masks[kept as usize] = self.active,
                Op::Leave { kept } => self.leave(kept, u32::MAX),
                Op::LeaveIf { condition, kept } => self.leave(kept, bits(self.at(condition))),
                Op::Match { selector, value, among } => {
                    self.active |= self.masks[among as usize] & self.equal(selector, value);
                }
                Op::Unmatch { selector, value, among } => self.masks[among as usize] &= !self.equal(selector, value),
                Op::Skip { target } => {
                    if self.active == 0 {
                        at = target as usize;
                    }
                }
                Op::Again { target, work } => {
                    if self.active != 0 {
                        clock.spend(work)?;
                        at = target as usize;
                    }
                }

                Op::Barrier => {
                    self.next = Some(at);
                    return Ok(None);
                }
                Op::Trap => {
                    if self.active != 0 {
                        return Ok(Some(Ended::Trapped));
                    }
                }
                Op::End => break,
            }
        }
        self.next = None;
        Ok(Some(Ended::Done))
    }

    fn at(&self, register: Reg) -> &Words {
        &self.registers[register as usize]
    }

    fn copy(&mut self, to: Reg, from: Reg, words: u32) {
        if words == 1 {
            self.registers[to as usize] = *self.at(from);
        } else {
            let from = from as usize;
            self.registers.copy_within(from..from + words as usize, to as usize);
        }
    }

    fn leave(&mut self, kept: Mask, who: u32) {
        self.masks[kept as usize] |= self.active & who;
        self.active &= !who;
    }

    fn equal(&self, register: Reg, value: u32) -> u32 {
        let words = self.at(register);
        bits(&each(|lane| arithmetic::bool(words[lane] == value)))
    }

    /// The active lanes.
    fn lanes(&self) -> impl Iterator<Item = usize> + use<> {
        let mut left = self.active;
        std::iter::from_fn(move || {
            let lane = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            (lane < LANES).then_some(lane)
        })
    }

    fn gather(&mut self, to: Reg, from: Reg, room: u32, at: Reg, words: u32) {
        for lane in self.lanes() {
            let offset = self.at(at)[lane];
            let fits = offset.checked_add(words).is_some_and(|end| end <= room);
            for word in 0..words {
                let value = if fits { self.at(from + offset + word)[lane] } else { 0 };
                self.registers[(to + word) as usize][lane] = value;
            }
        }
    }

    fn scatter(&mut self, to: Reg, room: u32, at: Reg, from: Reg, words: u32) {
        for lane in self.lanes() {
            let offset = self.at(at)[lane];
            if offset.checked_add(words).is_some_and(|end| end <= room) {
                for word in 0..words {
                    self.registers[(to + offset + word) as usize][lane] = self.at(from + word)[lane];
                }
            }
        }
    }

    fn load(&mut self, memory: &[u32], to: Reg, base: u32, at: Option<Reg>, words: u32) {
        let there = |index: usize| memory.get(index).copied().unwrap_or(0);
        let Some(at) = at else {
            for word in 0..words {
                self.registers[(to + word) as usize] = [there(base as usize + word as usize); LANES];
            }
            return;
        };
        let offsets = *self.at(at);
        for word in 0..words {
            let base = base as usize + word as usize;
            // For lanes that are not active as well: reading does no harm.
            self.registers[(to + word) as usize] = each(|lane| there(base + offsets[lane] as usize));
        }
    }

    fn store(&self, memory: &mut [u32], base: u32, at: Option<Reg>, from: Reg, words: u32) {
        for word in 0..words {
            let values = self.at(from + word);
            let base = base as usize + word as usize;
            for lane in self.lanes() {
                let offset = at.map_or(0, |at| self.at(at)[lane] as usize);
                if let Some(place) = memory.get_mut(base + offset) {
                    *place = values[lane];
                }
            }
        }
    }

    fn atomic(&self, memory: &mut [u32], f: Binary, base: u32, at: Option<Reg>, a: Reg) {
        for lane in self.lanes() {
            let offset = at.map_or(0, |at| self.at(at)[lane] as usize);
            if let Some(place) = memory.get_mut(base as usize + offset) {
                *place = apply(f, *place, self.at(a)[lane]);
            }
        }
    }

    fn unary(&mut self, f: Unary, to: Reg, a: Reg) {
        let a = self.at(a);
        self.registers[to as usize] = match f {
            Unary::Not => each(|i| !a[i]),
            Unary::Negate => each(|i| a[i].wrapping_neg()),
            Unary::Abs => each(|i| arithmetic::signed(a[i]).wrapping_abs().cast_unsigned()),
            Unary::Sign => each(|i| arithmetic::sign(a[i])),
            Unary::FirstLeadingBit => each(|i| arithmetic::first_leading_bit(a[i])),
            Unary::FirstLeadingBitSigned => each(|i| arithmetic::first_leading_bit_signed(a[i])),
            Unary::FirstTrailingBit => each(|i| arithmetic::first_trailing_bit(a[i])),
            Unary::CountLeadingZeros => each(|i| a[i].leading_zeros()),
            Unary::CountTrailingZeros => each(|i| a[i].trailing_zeros()),
            Unary::CountOneBits => each(|i| a[i].count_ones()),
            Unary::ReverseBits => each(|i| a[i].reverse_bits()),
            Unary::ToBool => each(|i| arithmetic::bool(a[i] != 0)),
            Unary::FromBool => each(|i| a[i] & 1),
        };
    }

    fn binary(&mut self, f: Binary, to: Reg, a: Reg, b: Reg) {
        let (a, b) = (self.at(a), self.at(b));
        // Written out, so that each is a loop of its own that the compiler can do several lanes at a time.
        macro_rules! each_of {
            ($($name:ident)*) => {
                match f { $(Binary::$name => each(|i| apply(Binary::$name, a[i], b[i])),)* }
            };
        }
        self.registers[to as usize] = each_of!(
            Add Subtract Multiply Divide DivideSigned Remainder RemainderSigned And Or Xor ShiftLeft ShiftRight
            ShiftRightSigned Equal NotEqual Less LessSigned LessEqual LessEqualSigned Min MinSigned Max MaxSigned
            Dot4I8 Dot4U8
        );
    }
}

#[inline(always)]
fn apply(f: Binary, a: u32, b: u32) -> u32 {
    use arithmetic::{bool, signed};
    match f {
        Binary::Add => a.wrapping_add(b),
        Binary::Subtract => a.wrapping_sub(b),
        Binary::Multiply => a.wrapping_mul(b),
        Binary::Divide => arithmetic::divide(a, b),
        Binary::DivideSigned => arithmetic::divide_signed(a, b),
        Binary::Remainder => arithmetic::remainder(a, b),
        Binary::RemainderSigned => arithmetic::remainder_signed(a, b),
        Binary::And => a & b,
        Binary::Or => a | b,
        Binary::Xor => a ^ b,
        Binary::ShiftLeft => a.wrapping_shl(b),
        Binary::ShiftRight => a.wrapping_shr(b),
        Binary::ShiftRightSigned => arithmetic::shift_right_signed(a, b),
        Binary::Equal => bool(a == b),
        Binary::NotEqual => bool(a != b),
        Binary::Less => bool(a < b),
        Binary::LessSigned => bool(signed(a) < signed(b)),
        Binary::LessEqual => bool(a <= b),
        Binary::LessEqualSigned => bool(signed(a) <= signed(b)),
        Binary::Min => a.min(b),
        Binary::MinSigned => signed(a).min(signed(b)).cast_unsigned(),
        Binary::Max => a.max(b),
        Binary::MaxSigned => signed(a).max(signed(b)).cast_unsigned(),
        Binary::Dot4I8 => arithmetic::dot4_i8(a, b),
        Binary::Dot4U8 => arithmetic::dot4_u8(a, b),
    }
}

#[inline(always)]
fn each(f: impl Fn(usize) -> u32) -> Words {
    let mut words = [0; LANES];
    for (lane, word) in words.iter_mut().enumerate() {
        *word = f(lane);
    }
    words
}

/// The lanes whose bool is true.
fn bits(bools: &Words) -> u32 {
    bools.iter().enumerate().fold(0, |bits, (lane, is)| bits | ((is & 1) << lane))
}

/// A bool for each lane.
fn spread(bits: u32) -> Words {
    each(|lane| arithmetic::bool(bits >> lane & 1 == 1))
}
