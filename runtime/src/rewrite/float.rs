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

/// What is known about the bits of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bits {
    /// Not a NaN, or the canonical one: canonicalising changes nothing, however the value is divided.
    Plain,
    /// If it is a NaN, hardware chose the bits.
    Dirty(Lanes),
    /// Specified to the last bit, payloads of NaNs included: canonicalising could be noticed.
    Exact,
}

/// An instruction that looks at its float operands only as numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Role {
    /// Operands of this kind may be dirty.
    pub(super) takes: Option<Lanes>,
    /// What is known about the result.
    pub(super) gives: Bits,
}

impl Bits {
    /// What is known about a value that may be either.
    pub(super) fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Plain, bits) | (bits, Self::Plain) => bits,
            (Self::Dirty(a), Self::Dirty(b)) if a == b => self,
            _ => Self::Exact,
        }
    }
}

/// The role of an instruction. `None` for all others: to them every bit of an operand matters, and every bit of their
/// result is specified. That is right, if dear, for an instruction this function does not know.
pub(super) fn role(operator: &Operator<'_>) -> Option<Role> {
    use Lanes::{F32, F32x4, F64, F64x2};
    use Operator as O;

    let arithmetic = |takes, gives| Some(Role { takes: Some(takes), gives: Bits::Dirty(gives) });
    let number = |takes| Some(Role { takes: Some(takes), gives: Bits::Exact });
    let source = |plain| Some(Role { takes: None, gives: if plain { Bits::Plain } else { Bits::Exact } });
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
        _ => None,
    }
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

    #[test]
    fn join_is_an_upper_bound() {
        let all = [
            Bits::Plain,
            Bits::Dirty(Lanes::F32),
            Bits::Dirty(Lanes::F64),
            Bits::Dirty(Lanes::F32x4),
            Bits::Dirty(Lanes::F64x2),
            Bits::Exact,
        ];
        for a in all {
            assert_eq!(a.join(a), a);
            assert_eq!(a.join(Bits::Plain), a);
            assert_eq!(a.join(Bits::Exact), Bits::Exact);
            for b in all {
                assert_eq!(a.join(b), b.join(a));
                assert_eq!(a.join(b).join(b), a.join(b));
            }
        }
        assert_eq!(Bits::Dirty(Lanes::F32x4).join(Bits::Dirty(Lanes::F64x2)), Bits::Exact);
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
