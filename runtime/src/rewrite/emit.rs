//! Writing the rewritten module. What does not change is copied byte for byte; nothing is encoded a second time.

use wasm_encoder::{
    BlockType, CodeSection, Encode, ExportKind, InstructionSink, Module, RawSection, SectionId, ValType,
};
use wasmparser::{BinaryReader, FunctionBody};

use super::body::Body;
use super::calls::Charges;
use super::float::Lanes;
use super::values::Canon;
use super::{Refusal, STACK_EXPORT, START_EXPORT};
use crate::limits::{REWRITTEN_CODE_BYTES, REWRITTEN_FUNCTION_BYTES, REWRITTEN_LOCALS, STACK_SLOTS};

/// The sections of a module in their order, without those that say nothing to a compiler. There is one of code.
pub(super) struct Sections<'a> {
    pub(super) sections: Vec<(SectionId, &'a [u8])>,
    /// Index of the start function.
    pub(super) start: Option<u32>,
}

impl Sections<'_> {
    /// The module with other code. `depth` is the index of the global that counts the stack, if there is one: the next
    /// after the module's own.
    pub(super) fn with_code(&self, code: &CodeSection, depth: Option<u32>) -> Result<Vec<u8>, Refusal> {
        let mut module = Module::new();
        let mut added = Vec::new();
        if let Some(depth) = depth {
            added.push((SectionId::Global, vec![global()]));
            let start = self.start.map(|start| export(START_EXPORT, ExportKind::Func, start));
            let exports = std::iter::once(export(STACK_EXPORT, ExportKind::Global, depth)).chain(start);
            added.push((SectionId::Export, exports.collect()));
        }
        let mut added = added.into_iter().peekable();
        for &(id, data) in &self.sections {
            // A section that the module lacks goes before the first that must come after it.
            while let Some((new, items)) = added.next_if(|(new, _)| order(*new) < order(id)) {
                raw(&mut module, new, &append(&[0], &items)?);
            }
            match (id, added.next_if(|(new, _)| *new == id)) {
                (_, Some((_, items))) => raw(&mut module, id, &append(data, &items)?),
                (SectionId::Code, None) => drop(module.section(code)),
                // Exported instead.
                (SectionId::Start, None) if depth.is_some() => {}
                (_, None) => raw(&mut module, id, data),
            }
        }
        Ok(module.finish())
    }
}

fn raw(module: &mut Module, id: SectionId, data: &[u8]) {
    module.section(&RawSection { id: id.into(), data });
}

/// A section with more items: it is a count and the items.
fn append(section: &[u8], items: &[Vec<u8>]) -> Result<Vec<u8>, Refusal> {
    let mut reader = BinaryReader::new(section, 0);
    let count = reader.read_var_u32()?;
    let mut out = Vec::with_capacity(section.len() + 64);
    (count + items.len() as u32).encode(&mut out);
    out.extend_from_slice(&section[reader.current_position()..]);
    items.iter().for_each(|item| out.extend_from_slice(item));
    Ok(out)
}

/// A mutable i32 that starts at the limit.
fn global() -> Vec<u8> {
    let mut out = Vec::new();
    ValType::I32.encode(&mut out);
    out.push(1);
    InstructionSink::new(&mut out).i32_const(STACK_SLOTS as i32).end();
    out
}

fn export(name: &str, kind: ExportKind, index: u32) -> Vec<u8> {
    let mut out = Vec::new();
    name.encode(&mut out);
    kind.encode(&mut out);
    index.encode(&mut out);
    out
}

/// Where a section stands in a module.
fn order(id: SectionId) -> u8 {
    match id {
        SectionId::Custom => 0,
        SectionId::Type => 1,
        SectionId::Import => 2,
        SectionId::Function => 3,
        SectionId::Table => 4,
        SectionId::Memory => 5,
        SectionId::Tag => 6,
        SectionId::Global => 7,
        SectionId::Export => 8,
        SectionId::Start => 9,
        SectionId::Element => 10,
        SectionId::DataCount => 11,
        SectionId::Code => 12,
        SectionId::Data => 13,
    }
}

/// What rewriting may make of a module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Growth {
    /// Of one function.
    pub(super) function_bytes: usize,
    /// Of all of them.
    pub(super) code_bytes: usize,
}

impl Growth {
    pub(super) const MOST: Self = Self { function_bytes: REWRITTEN_FUNCTION_BYTES, code_bytes: REWRITTEN_CODE_BYTES };
}

/// The functions of a module with what was found to be added to them.
pub(super) struct Code<'a> {
    pub(super) charges: &'a Charges,
    /// Index of the global that counts the stack.
    pub(super) depth: u32,
    growth: Growth,
    section: CodeSection,
    charged: bool,
    changed: bool,
}

impl<'a> Code<'a> {
    pub(super) fn new(charges: &'a Charges, depth: u32, growth: Growth) -> Self {
        Self { charges, depth, growth, section: CodeSection::new(), charged: false, changed: false }
    }

    /// Whether any function changed.
    pub(super) fn changed(&self) -> bool {
        self.changed
    }

    /// The code, and the global it counts the stack in if it does.
    pub(super) fn finish(self) -> (CodeSection, Option<u32>) {
        (self.section, self.charged.then_some(self.depth))
    }

    /// Adds the function `index` among those the module defines.
    pub(super) fn function(&mut self, index: usize, source: &FunctionBody<'_>, body: &Body) -> Result<(), Refusal> {
        let inserts = self.inserts(index, body);
        if inserts.is_empty() {
            self.section.raw(source.as_bytes());
        } else {
            self.changed = true;
            let function = self.rewrite(source, body, &inserts)?;
            self.section.raw(&function);
        }
        Refusal::bound("bytes of rewritten code", self.section.byte_len() as u64, self.growth.code_bytes as u64)
    }

    /// What goes where, ordered by place. At one place, what ends an instruction comes before what starts the next.
    fn inserts(&self, index: usize, body: &Body) -> Vec<(u32, Insert)> {
        let canon = body.canon.iter().map(|Canon { at, lanes }| (*at, Insert::Canonicalise(*lanes)));
        let mut inserts: Vec<_> = canon.collect();
        for call in &body.calls {
            if let Some(slots) = self.charges.of(index, call) {
                inserts.push((call.end, Insert::GiveBack(slots)));
                inserts.push((call.start, Insert::Charge(slots)));
            }
        }
        inserts.sort_by_key(|(at, insert)| (*at, matches!(insert, Insert::Charge(_))));
        inserts
    }

    fn rewrite(
        &mut self,
        source: &FunctionBody<'_>,
        body: &Body,
        inserts: &[(u32, Insert)],
    ) -> Result<Vec<u8>, Refusal> {
        let bytes = source.as_bytes();
        let start = source.range().start;
        let operators = source.get_operators_reader()?.original_position() - start;
        let mut scratch = Scratch::new(body.locals);
        for (_, insert) in inserts {
            if let Insert::Canonicalise(lanes) = insert {
                scratch.local(*lanes);
            }
        }
        Refusal::bound("locals in one function", scratch.next.into(), REWRITTEN_LOCALS.into())?;

        let grown = |bytes: usize| {
            Refusal::bound("bytes in one rewritten function", bytes as u64, self.growth.function_bytes as u64)
        };
        let mut out = append(&bytes[..operators], &scratch.declarations())?;
        let mut copied = operators;
        for (at, insert) in inserts {
            let at = *at as usize;
            out.extend_from_slice(&bytes[copied..at]);
            copied = at;
            let mut sink = InstructionSink::new(&mut out);
            match insert {
                Insert::Canonicalise(lanes) => canonicalise(&mut sink, *lanes, scratch.local(*lanes)),
                Insert::Charge(slots) => charge(&mut sink, self.depth, *slots),
                Insert::GiveBack(slots) => {
                    sink.global_get(self.depth).i32_const(*slots as i32).i32_add().global_set(self.depth);
                }
            }
            grown(out.len())?;
        }
        out.extend_from_slice(&bytes[copied..]);
        grown(out.len())?;
        self.charged |= inserts.iter().any(|(_, insert)| matches!(insert, Insert::Charge(_)));
        Ok(out)
    }
}

#[derive(Debug, Clone, Copy)]
enum Insert {
    /// Of the value on top of the stack.
    Canonicalise(Lanes),
    /// Takes slots before a call.
    Charge(u32),
    /// Gives them back after it.
    GiveBack(u32),
}

/// Replaces a NaN on top of the stack by the canonical one.
fn canonicalise(sink: &mut InstructionSink<'_>, lanes: Lanes, scratch: u32) {
    const F32: u32 = 0x7fc0_0000;
    const F64: u64 = 0x7ff8_0000_0000_0000;
    const F32X4: i128 = (F32 as i128) * 0x0000_0001_0000_0001_0000_0001_0000_0001;
    const F64X2: i128 = (F64 as i128) * 0x0000_0000_0000_0001_0000_0000_0000_0001;
    sink.local_tee(scratch);
    match lanes {
        Lanes::F32 => sink.f32_const(wasm_encoder::Ieee32::new(F32)),
        Lanes::F64 => sink.f64_const(wasm_encoder::Ieee64::new(F64)),
        Lanes::F32x4 => sink.v128_const(F32X4),
        Lanes::F64x2 => sink.v128_const(F64X2),
    };
    sink.local_get(scratch).local_get(scratch);
    match lanes {
        // Not `eq`, which is two branches on x86-64.
        Lanes::F32 => sink.f32_ge().select(),
        Lanes::F64 => sink.f64_ge().select(),
        Lanes::F32x4 => sink.f32x4_eq().v128_bitselect(),
        Lanes::F64x2 => sink.f64x2_eq().v128_bitselect(),
    };
}

/// Traps if fewer than `slots` are left; the global is then below zero, which no other trap leaves behind.
fn charge(sink: &mut InstructionSink<'_>, depth: u32, slots: u32) {
    sink.global_get(depth).i32_const(slots as i32).i32_sub().global_set(depth);
    sink.global_get(depth).i32_const(0).i32_lt_s().if_(BlockType::Empty).unreachable().end();
}

/// A local of each type that needs one, after the function's own.
struct Scratch {
    next: u32,
    /// For f32, f64, v128.
    locals: [Option<u32>; 3],
    order: Vec<ValType>,
}

impl Scratch {
    fn new(next: u32) -> Self {
        Self { next, locals: [None; 3], order: Vec::new() }
    }

    fn local(&mut self, lanes: Lanes) -> u32 {
        let (at, ty) = match lanes {
            Lanes::F32 => (0, ValType::F32),
            Lanes::F64 => (1, ValType::F64),
            Lanes::F32x4 | Lanes::F64x2 => (2, ValType::V128),
        };
        *self.locals[at].get_or_insert_with(|| {
            self.order.push(ty);
            self.next += 1;
            self.next - 1
        })
    }

    fn declarations(&self) -> Vec<Vec<u8>> {
        let declaration = |ty: &ValType| {
            let mut out = vec![1];
            ty.encode(&mut out);
            out
        };
        self.order.iter().map(declaration).collect()
    }
}
