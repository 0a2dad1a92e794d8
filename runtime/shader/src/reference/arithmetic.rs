//! WGSL's operations on 32 bits, as the specification's tables give them ("Bit expressions", "Arithmetic expressions",
//! "Integer built-in functions"). A bool is all ones or all zeros.

/// One operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unary {
    /// Of bits, and of bools.
    Not,
    Negate,
    Abs,
    Sign,
    FirstLeadingBit,
    /// Of an `i32`: the highest bit that is not the sign.
    FirstLeadingBitSigned,
    FirstTrailingBit,
    CountLeadingZeros,
    CountTrailingZeros,
    CountOneBits,
    ReverseBits,
    /// `bool(n)`.
    ToBool,
    /// `u32(b)`, `i32(b)`.
    FromBool,
}

/// Two operands; shift counts are below 32 after rewriting, and taken modulo 32 here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    DivideSigned,
    Remainder,
    RemainderSigned,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
    ShiftRightSigned,
    Equal,
    NotEqual,
    Less,
    LessSigned,
    LessEqual,
    LessEqualSigned,
    Min,
    MinSigned,
    Max,
    MaxSigned,
    Dot4I8,
    Dot4U8,
}

/// All ones if `condition`.
pub(super) const fn bool(condition: bool) -> u32 {
    if condition { u32::MAX } else { 0 }
}

pub(super) fn sign(a: u32) -> u32 {
    signed(a).signum().cast_unsigned()
}

/// 32 bits all zero have none, which is -1.
pub(super) fn first_leading_bit(a: u32) -> u32 {
    31u32.wrapping_sub(a.leading_zeros())
}

pub(super) fn first_leading_bit_signed(a: u32) -> u32 {
    first_leading_bit(if signed(a) < 0 { !a } else { a })
}

pub(super) fn first_trailing_bit(a: u32) -> u32 {
    if a == 0 { u32::MAX } else { a.trailing_zeros() }
}

/// By zero: the dividend.
pub(super) fn divide(a: u32, b: u32) -> u32 {
    a.checked_div(b).unwrap_or(a)
}

/// By zero, and where the quotient overflows: the dividend.
pub(super) fn divide_signed(a: u32, b: u32) -> u32 {
    signed(a).checked_div(signed(b)).map_or(a, i32::cast_unsigned)
}

/// By zero: zero.
pub(super) fn remainder(a: u32, b: u32) -> u32 {
    a.checked_rem(b).unwrap_or(0)
}

/// By zero, and where the quotient overflows: zero. The sign is the dividend's.
pub(super) fn remainder_signed(a: u32, b: u32) -> u32 {
    signed(a).checked_rem(signed(b)).unwrap_or(0).cast_unsigned()
}

pub(super) fn shift_right_signed(a: u32, b: u32) -> u32 {
    signed(a).wrapping_shr(b).cast_unsigned()
}

pub(super) fn dot4_i8(a: u32, b: u32) -> u32 {
    let products = a.to_le_bytes().into_iter().zip(b.to_le_bytes());
    products.map(|(a, b)| i32::from(a.cast_signed()) * i32::from(b.cast_signed())).sum::<i32>().cast_unsigned()
}

pub(super) fn dot4_u8(a: u32, b: u32) -> u32 {
    a.to_le_bytes().into_iter().zip(b.to_le_bytes()).map(|(a, b)| u32::from(a) * u32::from(b)).sum()
}

/// Bits `offset..offset + count`, both cut to what a word has; `by_sign` repeats the highest of them.
pub(super) fn extract_bits(a: u32, offset: u32, count: u32, by_sign: bool) -> u32 {
    let offset = offset.min(32);
    let count = count.min(32 - offset);
    if count == 0 {
        return 0;
    }
    let high = a << (32 - offset - count);
    if by_sign { shift_right_signed(high, 32 - count) } else { high >> (32 - count) }
}

/// `a` with bits `offset..offset + count`, both cut to what a word has, from the lowest of `bits`.
pub(super) fn insert_bits(a: u32, bits: u32, offset: u32, count: u32) -> u32 {
    let offset = offset.min(32);
    let count = count.min(32 - offset);
    if count == 0 {
        return a;
    }
    let mask = (u32::MAX >> (32 - count)) << offset;
    (a & !mask) | ((bits << offset) & mask)
}

pub(super) const fn signed(a: u32) -> i32 {
    a.cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: u32 = 1 << 31;
    const MINUS_ONE: u32 = u32::MAX;

    const fn minus(n: i32) -> u32 {
        (-n).cast_unsigned()
    }

    /// The tables of WGSL, section "Arithmetic expressions".
    #[test]
    fn division_has_a_result_always() {
        for (a, b, quotient, rest) in [
            (7, 2, 3, 1),
            (7, minus(2), minus(3), 1),
            (minus(7), 2, minus(3), minus(1)),
            (minus(7), minus(2), 3, minus(1)),
            (5, 0, 5, 0),
            (minus(5), 0, minus(5), 0),
            (MIN, MINUS_ONE, MIN, 0),
            (MIN, 1, MIN, 0),
        ] {
            assert_eq!((divide_signed(a, b), remainder_signed(a, b)), (quotient, rest), "{} {}", signed(a), signed(b));
        }
        for (a, b, quotient, rest) in [(7, 2, 3, 1), (5, 0, 5, 0), (MIN, MINUS_ONE, 0, MIN), (u32::MAX, 1, u32::MAX, 0)]
        {
            assert_eq!((divide(a, b), remainder(a, b)), (quotient, rest), "{a} {b}");
        }
    }

    /// Against a walk over the bits, as the specification words it.
    #[test]
    fn bits_are_found_where_they_are() {
        let words = [0, 1, 2, 3, MIN, MINUS_ONE, MIN | 1, 0x7fff_ffff, 0x0001_0000, 0xfffe_ffff, minus(2), 0x1234_5678];
        for a in words {
            let highest = |test: &dyn Fn(u32) -> bool| (0..32).rev().find(|i| test(*i)).unwrap_or(u32::MAX);
            let bit = |i: u32| a >> i & 1;
            assert_eq!(first_leading_bit(a), highest(&|i| bit(i) == 1), "{a:#x}");
            assert_eq!(first_leading_bit_signed(a), highest(&|i| bit(i) != bit(31)), "{a:#x}");
            assert_eq!(first_trailing_bit(a), (0..32).find(|i| bit(*i) == 1).unwrap_or(u32::MAX), "{a:#x}");
        }
        assert_eq!([0, 5, MIN, MINUS_ONE].map(sign), [0, 1, MINUS_ONE, MINUS_ONE]);
    }

    /// Against a walk over the bits.
    #[test]
    fn fields_of_bits_stop_at_the_word() {
        for a in [0, MINUS_ONE, 0x8765_4321, 0x1234_5678] {
            for offset in [0, 1, 7, 31, 32, 33, MINUS_ONE] {
                for count in [0, 1, 5, 31, 32, 33, MINUS_ONE] {
                    let from = offset.min(32);
                    let to = from + count.min(32 - from);
                    let (mut field, mut inserted) = (0u32, a);
                    for i in from..to {
                        field |= (a >> i & 1) << (i - from);
                        inserted = (inserted & !(1 << i)) | ((!a >> (i - from) & 1) << i);
                    }
                    let mut extended = field;
                    if to > from && field >> (to - from - 1) & 1 == 1 {
                        (to - from..32).for_each(|i| extended |= 1 << i);
                    }
                    assert_eq!(extract_bits(a, offset, count, false), field, "{a:#x} {offset} {count}");
                    assert_eq!(extract_bits(a, offset, count, true), extended, "{a:#x} {offset} {count}");
                    assert_eq!(insert_bits(a, !a, offset, count), inserted, "{a:#x} {offset} {count}");
                }
            }
        }
    }

    #[test]
    fn packed_products_are_added() {
        let a = u32::from_le_bytes([1, 0xff, 0x80, 3]);
        let b = u32::from_le_bytes([2, 4, 0x80, 0xfe]);
        assert_eq!(dot4_i8(a, b), (2 - 4 + 128 * 128 - 6i32).cast_unsigned());
        assert_eq!(dot4_u8(a, b), 2 + 255 * 4 + 128 * 128 + 3 * 254);
    }

    #[test]
    fn shifts_carry_the_sign_of_signed_integers() {
        assert_eq!(shift_right_signed(MIN, 31), MINUS_ONE);
        assert_eq!(shift_right_signed(MIN, 0), MIN);
        assert_eq!(shift_right_signed(0x4000_0000, 30), 1);
    }
}
