//! What each instruction does with the bits of a NaN.
//!
//! WebAssembly leaves the bits of a NaN that arithmetic produces open, and hardware fills them in differently. Only a
//! few instructions produce such a NaN, and the same ones do not care which bits they are given.

use wasmparser::Operator;

/// How a value's bytes are divided into floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lanes {
    F32,
    F64,
    F32x4,
    F64x2,
}

/// What is known about the bits of a value. The default is a value that is no NaN, however it is divided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bits {
    /// Some of them may be specified to the last bit, payloads of NaNs included: canonicalising it could be noticed.
    exact: bool,
    /// In which divisions it may have NaNs whose bits hardware chose: a bit each.
    dirt: u8,
}

/// How bits get from a value into another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    /// All of them, unchanged.
    Same,
    /// In whole lanes, from one division to another.
    Lanes(Lanes, Lanes),
    /// A NaN stays a NaN, but not the same.
    Changed,
}

/// What an instruction does with its float operands and result.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    /// Looks at its operands only as numbers, of this kind.
    Computes { takes: Option<Lanes>, gives: Bits },
    /// The result has the bits of its operands. They are in the order in which they are pushed; those without a way see
    /// every bit.
    Moves(&'static [Option<Via>]),
}

impl Lanes {
    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl Bits {
    pub(super) const PLAIN: Self = Self { exact: false, dirt: 0 };
    pub(super) const EXACT: Self = Self { exact: true, dirt: 0 };

    pub(super) const fn dirty(lanes: Lanes) -> Self {
        Self { exact: false, dirt: lanes.bit() }
    }

    /// What is known about a value that may be either. Dirt of two kinds cannot be told apart any more: the lanes of one would
    /// be damaged by canonicalising those of the other.
    pub(super) const fn join(self, other: Self) -> Self {
        let dirt = self.dirt | other.dirt;
        Self { exact: self.exact || other.exact || dirt.count_ones() > 1, dirt }
    }

    /// What it gives to the value it gets into.
    pub(super) const fn via(self, via: Via) -> Self {
        match via {
            Via::Same => self,
            Via::Changed => Self { exact: self.exact || self.dirt != 0, dirt: self.dirt },
            // Dirt of another kind is put right first: whoever moves lanes sees it.
            Via::Lanes(from, to) if self.dirt & !from.bit() != 0 => Self { exact: true, dirt: to.bit() },
            // What is no NaN in one division may be one in another.
            Via::Lanes(_, to @ (Lanes::F32x4 | Lanes::F64x2)) => Self { exact: self.exact, dirt: to.bit() },
            Via::Lanes(_, to) => Self { exact: self.exact, dirt: if self.dirt == 0 { 0 } else { to.bit() } },
        }
    }

    /// Whether somebody who looks at numbers of the kind `takes`, or at all bits, sees dirt.
    pub(super) const fn shows(self, takes: Option<Lanes>) -> bool {
        match takes {
            Some(lanes) => self.dirt & !lanes.bit() != 0,
            None => self.dirt != 0,
        }
    }

    /// The kind to canonicalise, if doing so puts all of it right and is not noticed otherwise.
    pub(super) fn fixable(self) -> Option<Lanes> {
        let all = [Lanes::F32, Lanes::F64, Lanes::F32x4, Lanes::F64x2];
        if self.exact { None } else { all.into_iter().find(|lanes| self.dirt == lanes.bit()) }
    }
}

/// The role of an instruction. `None` for all others: to them every bit of an operand matters, and every bit of their
/// result is specified. That is right, if dear, for an instruction this function does not know.
pub(super) fn role(operator: &Operator<'_>) -> Option<Role> {
    use Lanes::{F32, F32x4, F64, F64x2};
    use Operator as O;

    let arithmetic = |takes, gives| Some(Role::Computes { takes: Some(takes), gives: Bits::dirty(gives) });
    let number = |takes| Some(Role::Computes { takes: Some(takes), gives: Bits::EXACT });
    let source = |plain| Some(Role::Computes { takes: None, gives: if plain { Bits::PLAIN } else { Bits::EXACT } });
    match operator {
        O::F32Add | O::F32Sub | O::F32Mul | O::F32Div | O::F32Min | O::F32Max => arithmetic(F32, F32),
        O::F32Sqrt | O::F32Ceil | O::F32Floor | O::F32Trunc | O::F32Nearest => arithmetic(F32, F32),
        O::F64Add | O::F64Sub | O::F64Mul | O::F64Div | O::F64Min | O::F64Max => arithmetic(F64, F64),
        O::F64Sqrt | O::F64Ceil | O::F64Floor | O::F64Trunc | O::F64Nearest => arithmetic(F64, F64),
        O::F32DemoteF64 => arithmetic(F64, F32),
        O::F64PromoteF32 => arithmetic(F32, F64),

        O::F32x4Add | O::F32x4Sub | O::F32x4Mul | O::F32x4Div | O::F32x4Min | O::F32x4Max => arithmetic(F32x4, F32x4),
        O::F32x4Sqrt | O::F32x4Ceil | O::F32x4Floor | O::F32x4Trunc | O::F32x4Nearest => arithmetic(F32x4, F32x4),
        O::F64x2Add | O::F64x2Sub | O::F64x2Mul | O::F64x2Div | O::F64x2Min | O::F64x2Max => arithmetic(F64x2, F64x2),
        O::F64x2Sqrt | O::F64x2Ceil | O::F64x2Floor | O::F64x2Trunc | O::F64x2Nearest => arithmetic(F64x2, F64x2),
        O::F32x4DemoteF64x2Zero => arithmetic(F64x2, F32x4),
        O::F64x2PromoteLowF32x4 => arithmetic(F32x4, F64x2),

        O::F32Eq | O::F32Ne | O::F32Lt | O::F32Gt | O::F32Le | O::F32Ge => number(F32),
        O::I32TruncF32S | O::I32TruncF32U | O::I64TruncF32S | O::I64TruncF32U => number(F32),
        O::I32TruncSatF32S | O::I32TruncSatF32U | O::I64TruncSatF32S | O::I64TruncSatF32U => number(F32),
        O::F64Eq | O::F64Ne | O::F64Lt | O::F64Gt | O::F64Le | O::F64Ge => number(F64),
        O::I32TruncF64S | O::I32TruncF64U | O::I64TruncF64S | O::I64TruncF64U => number(F64),
        O::I32TruncSatF64S | O::I32TruncSatF64U | O::I64TruncSatF64S | O::I64TruncSatF64U => number(F64),
        O::F32x4Eq | O::F32x4Ne | O::F32x4Lt | O::F32x4Gt | O::F32x4Le | O::F32x4Ge => number(F32x4),
        O::I32x4TruncSatF32x4S | O::I32x4TruncSatF32x4U => number(F32x4),
        O::F64x2Eq | O::F64x2Ne | O::F64x2Lt | O::F64x2Gt | O::F64x2Le | O::F64x2Ge => number(F64x2),
        O::I32x4TruncSatF64x2SZero | O::I32x4TruncSatF64x2UZero => number(F64x2),

        O::F32ConvertI32S | O::F32ConvertI32U | O::F32ConvertI64S | O::F32ConvertI64U => source(true),
        O::F64ConvertI32S | O::F64ConvertI32U | O::F64ConvertI64S | O::F64ConvertI64U => source(true),
        O::F32Const { value } => source(!f32::from_bits(value.bits()).is_nan()),
        O::F64Const { value } => source(!f64::from_bits(value.bits()).is_nan()),
        O::V128Const { value } => source(!has_nan(*value.bytes())),

        O::F32Neg | O::F32Abs | O::F64Neg | O::F64Abs => Some(Role::Moves(&[Some(Via::Changed)])),
        O::F32x4Neg | O::F32x4Abs | O::F64x2Neg | O::F64x2Abs => Some(Role::Moves(&[Some(Via::Changed)])),
        // The sign of a NaN gets into a number.
        O::F32Copysign | O::F64Copysign => Some(Role::Moves(&[Some(Via::Changed), None])),
        O::F32x4PMin | O::F32x4PMax => Some(Role::Moves(&[Some(Via::Lanes(F32x4, F32x4)); 2])),
        O::F64x2PMin | O::F64x2PMax => Some(Role::Moves(&[Some(Via::Lanes(F64x2, F64x2)); 2])),
        O::F32x4Splat => Some(Role::Moves(&[Some(Via::Lanes(F32, F32x4))])),
        O::F64x2Splat => Some(Role::Moves(&[Some(Via::Lanes(F64, F64x2))])),
        O::F32x4ExtractLane { .. } => Some(Role::Moves(&[Some(Via::Lanes(F32x4, F32))])),
        O::F64x2ExtractLane { .. } => Some(Role::Moves(&[Some(Via::Lanes(F64x2, F64))])),
        O::F32x4ReplaceLane { .. } => {
            Some(Role::Moves(&[Some(Via::Lanes(F32x4, F32x4)), Some(Via::Lanes(F32, F32x4))]))
        }
        O::F64x2ReplaceLane { .. } => {
            Some(Role::Moves(&[Some(Via::Lanes(F64x2, F64x2)), Some(Via::Lanes(F64, F64x2))]))
        }
        O::I8x16Shuffle { lanes } if whole::<8>(lanes) => Some(Role::Moves(&[Some(Via::Same); 2])),
        O::I8x16Shuffle { lanes } if whole::<4>(lanes) => Some(Role::Moves(&[Some(Via::Lanes(F32x4, F32x4)); 2])),
        _ => None,
    }
}

/// Whether a shuffle moves lanes of so many bytes as they are.
fn whole<const BYTES: usize>(picked: &[u8; 16]) -> bool {
    picked.as_chunks::<BYTES>().0.iter().all(|lane| {
        let first = usize::from(lane[0]);
        first.is_multiple_of(BYTES) && lane.iter().enumerate().all(|(at, byte)| usize::from(*byte) == first + at)
    })
}

/// Whether any lane, however the bytes are divided, is a NaN.
fn has_nan(bytes: [u8; 16]) -> bool {
    let (singles, _) = bytes.as_chunks::<4>();
    let (doubles, _) = bytes.as_chunks::<8>();
    singles.iter().any(|lane| f32::from_le_bytes(*lane).is_nan())
        || doubles.iter().any(|lane| f64::from_le_bytes(*lane).is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Lanes; 4] = [Lanes::F32, Lanes::F64, Lanes::F32x4, Lanes::F64x2];

    /// Everything that can be known.
    fn all() -> impl Iterator<Item = Bits> {
        (0..16).flat_map(|dirt| [false, true].map(|exact| Bits { exact, dirt })).map(|bits| bits.join(bits))
    }

    #[test]
    fn join_is_an_upper_bound() {
        for a in all() {
            assert_eq!(a.join(Bits::PLAIN), a);
            assert!(a.join(Bits::EXACT).fixable().is_none());
            for b in all() {
                assert_eq!(a.join(b), b.join(a));
                assert_eq!(a.join(b).join(b), a.join(b));
            }
        }
        let mixed = Bits::dirty(Lanes::F32x4).join(Bits::dirty(Lanes::F64x2));
        assert_eq!((mixed.fixable(), mixed.shows(Some(Lanes::F32x4)), mixed.shows(None)), (None, true, true));
    }

    /// Otherwise what is found would depend on the order in which it is looked for.
    #[test]
    fn more_in_is_never_surer_out() {
        let ways = ALL.into_iter().flat_map(|from| ALL.map(|to| Via::Lanes(from, to)));
        for via in ways.chain([Via::Same, Via::Changed]) {
            for (a, b) in all().flat_map(|a| all().map(move |b| (a, b))) {
                let (less, more) = (a.via(via), a.join(b).via(via));
                assert_eq!(less.join(more), more, "{via:?} {a:?} {b:?}");
            }
        }
    }

    #[test]
    fn shuffles_of_whole_lanes() {
        let shuffle = |eights: [u8; 2]| std::array::from_fn(|at| eights[at / 8] * 8 + at as u8 % 8);
        assert!(whole::<8>(&shuffle([3, 0])) && whole::<4>(&shuffle([3, 0])));
        let halves: [u8; 16] = std::array::from_fn(|at| [1, 4, 7, 2][at / 4] * 4 + at as u8 % 4);
        assert!(!whole::<8>(&halves) && whole::<4>(&halves));
        let mut torn = shuffle([1, 1]);
        torn.swap(0, 1);
        assert!(!whole::<8>(&torn) && !whole::<4>(&torn));
    }

    #[test]
    fn a_vector_constant_is_a_nan_in_any_division() {
        let doubles = |a: u64, b: u64| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&a.to_le_bytes());
            bytes[8..].copy_from_slice(&b.to_le_bytes());
            bytes
        };
        assert!(!has_nan(doubles(0, 1.5f64.to_bits())));
        assert!(has_nan(doubles(0, f64::NAN.to_bits())));
        // An ordinary f64 whose lower half is a NaN of an f32.
        assert!(has_nan(doubles(0x4000_0000_7fc0_0000, 0)));
    }
}
