//! Where the words of a value are: in buffers as WGSL lays them out, everywhere else without gaps and a bool in a word.

use naga::{ArraySize, Module, Type, TypeInner, UniqueArena};

use crate::limits::{REFERENCE_REGISTERS, REFERENCE_TYPE_DEPTH};

/// Of the types of one module.
pub(super) struct Layouts<'a> {
    types: &'a UniqueArena<Type>,
    /// Of each type without gaps; `None` if it has no fixed size, or nests too deep, or is nothing a shader computes with.
    packed: Vec<Option<Packed>>,
}

#[derive(Clone, Copy)]
struct Packed {
    words: u32,
    depth: u32,
}

/// A part of a value: where it starts, from the start of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) offset: u32,
    /// From one element to the next, for an array or vector.
    pub(super) stride: u32,
}

impl<'a> Layouts<'a> {
    pub(super) fn of(module: &'a Module) -> Self {
        let mut layouts = Self { types: &module.types, packed: Vec::with_capacity(module.types.len()) };
        // Types come after those they are made of.
        for (_, ty) in module.types.iter() {
            let packed = layouts.packed(&ty.inner);
            layouts.packed.push(packed);
        }
        layouts
    }

    /// Words of a value without gaps, if it fits the registers or the workgroup's memory.
    pub(super) fn words(&self, inner: &TypeInner) -> Option<u32> {
        self.packed(inner).map(|packed| packed.words)
    }

    /// The part of `inner` that a constant index leads to (`None`: any element).
    pub(super) fn part(&self, inner: &TypeInner, index: Option<u32>, in_buffer: bool) -> Option<Part> {
        let element = |stride: u32| Some(Part { offset: stride.checked_mul(index.unwrap_or(0))?, stride });
        match inner {
            TypeInner::Vector { .. } | TypeInner::ValuePointer { size: Some(_), .. } => element(1),
            TypeInner::Array { stride, .. } if in_buffer => element(stride / 4),
            TypeInner::Array { base, .. } => element(self.packed.get(base.index()).copied()??.words),
            TypeInner::Struct { members, .. } => {
                let index = index? as usize;
                let member = members.get(index)?;
                let offset = if in_buffer {
                    member.offset / 4
                } else {
                    let before = members.get(..index)?.iter();
                    before
                        .map(|member| Some(self.packed.get(member.ty.index()).copied()??.words))
                        .sum::<Option<u32>>()?
                };
                Some(Part { offset, stride: 0 })
            }
            _ => None,
        }
    }

    /// The words of a value of this type in a buffer, as runs of (offset, length), in order.
    pub(super) fn runs(&self, inner: &TypeInner) -> Option<Vec<(u32, u32)>> {
        self.packed(inner)?;
        let mut runs = Vec::new();
        self.add_runs(inner, 0, &mut runs)?;
        Some(runs)
    }

    /// Recursive, no deeper than [`REFERENCE_TYPE_DEPTH`], no longer than [`REFERENCE_REGISTERS`]: both are in `packed`.
    fn add_runs(&self, inner: &TypeInner, at: u32, runs: &mut Vec<(u32, u32)>) -> Option<()> {
        let mut run = |words: u32| match runs.last_mut() {
            Some((start, length)) if *start + *length == at => *length += words,
            _ => runs.push((at, words)),
        };
        match inner {
            TypeInner::Scalar(_) | TypeInner::Atomic(_) => run(1),
            TypeInner::Vector { size, .. } => run(*size as u32),
            TypeInner::Array { base, size: ArraySize::Constant(count), stride } => {
                for index in 0..count.get() {
                    self.add_runs(&self.types[*base].inner, at.checked_add(index.checked_mul(stride / 4)?)?, runs)?;
                }
            }
            TypeInner::Struct { members, .. } => {
                for member in members {
                    self.add_runs(&self.types[member.ty].inner, at.checked_add(member.offset / 4)?, runs)?;
                }
            }
            _ => return None,
        }
        Some(())
    }

    fn packed(&self, inner: &TypeInner) -> Option<Packed> {
        let packed = match inner {
            TypeInner::Scalar(_) | TypeInner::Atomic(_) => Packed { words: 1, depth: 1 },
            TypeInner::Vector { size, .. } => Packed { words: *size as u32, depth: 1 },
            TypeInner::ValuePointer { size, .. } => Packed { words: size.map_or(1, |size| size as u32), depth: 1 },
            TypeInner::Pointer { base, .. } => return self.packed.get(base.index()).copied()?,
            TypeInner::Array { base, size: ArraySize::Constant(count), .. } => {
                let base = self.packed.get(base.index()).copied()??;
                Packed { words: base.words.checked_mul(count.get())?, depth: base.depth + 1 }
            }
            TypeInner::Struct { members, .. } => {
                let mut whole = Packed { words: 0, depth: 1 };
                for member in members {
                    let part = self.packed.get(member.ty.index()).copied()??;
                    whole.words = whole.words.checked_add(part.words)?;
                    whole.depth = whole.depth.max(part.depth + 1);
                }
                whole
            }
            _ => return None,
        };
        (packed.words <= REFERENCE_REGISTERS && packed.depth <= REFERENCE_TYPE_DEPTH).then_some(packed)
    }
}
