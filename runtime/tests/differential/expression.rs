//! Random expressions of a type, over what is in scope.

use super::random::Random;

/// Types of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ty {
    U32,
    I32,
    Bool,
    /// Of `u32`, 2 to 4.
    VecU(u8),
    /// Of `i32`.
    VecI(u8),
}

/// Names in scope.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) values: Vec<(String, Ty)>,
    /// Which of them may be assigned.
    pub(crate) variables: Vec<(String, Ty)>,
    /// Whether there are `grid`, an `array<array<u32, 3>, 5>`, and `pair`, a `Pair`.
    pub(crate) has_arrays: bool,
    /// Whether buffers may be read.
    pub(crate) has_buffers: bool,
    /// Functions that may be called: name, parameters, result.
    pub(crate) functions: Vec<(String, Vec<Ty>, Ty)>,
}

impl Ty {
    pub(crate) fn name(self) -> String {
        match self {
            Self::U32 => "u32".to_owned(),
            Self::I32 => "i32".to_owned(),
            Self::Bool => "bool".to_owned(),
            Self::VecU(n) => format!("vec{n}<u32>"),
            Self::VecI(n) => format!("vec{n}<i32>"),
        }
    }

    const fn element(self) -> Self {
        match self {
            Self::VecU(_) => Self::U32,
            Self::VecI(_) => Self::I32,
            scalar => scalar,
        }
    }

    const fn is_signed(self) -> bool {
        matches!(self, Self::I32 | Self::VecI(_))
    }

    pub(crate) fn any(random: &mut Random) -> Self {
        let n = 2 + random.below(3) as u8;
        match random.below(10) {
            0..4 => Self::U32,
            4..7 => Self::I32,
            7 => Self::Bool,
            8 => Self::VecU(n),
            _ => Self::VecI(n),
        }
    }
}

/// An expression of type `ty`.
pub(crate) fn expression(random: &mut Random, scope: &Scope, ty: Ty, depth: u32) -> String {
    if depth == 0 || random.chance(1, 6) {
        return leaf(random, scope, ty);
    }
    let e = |random: &mut Random, ty| expression(random, scope, ty, depth - 1);
    let calls: Vec<_> = scope.functions.iter().filter(|(.., result)| *result == ty).collect();
    if !calls.is_empty() && random.chance(1, 16) {
        let (name, parameters, _) = random.pick(&calls);
        let arguments: Vec<String> = parameters.iter().map(|ty| e(random, *ty)).collect();
        return format!("{name}({})", arguments.join(", "));
    }
    if random.chance(1, 10) {
        let condition = e(random, Ty::Bool);
        return format!("select({}, {}, {condition})", e(random, ty), e(random, ty));
    }
    match ty {
        Ty::Bool => boolean(random, scope, depth),
        Ty::VecU(n) | Ty::VecI(n) if random.chance(1, 2) => vector(random, scope, ty, n, depth),
        Ty::U32 | Ty::I32 if random.chance(1, 3) => scalar(random, scope, ty, depth),
        _ => arithmetic(random, scope, ty, depth),
    }
}

/// What works on each component.
fn arithmetic(random: &mut Random, scope: &Scope, ty: Ty, depth: u32) -> String {
    let e = |random: &mut Random, ty| expression(random, scope, ty, depth - 1);
    let counts = match ty {
        Ty::VecU(n) | Ty::VecI(n) => Ty::VecU(n),
        _ => Ty::U32,
    };
    let a = e(random, ty);
    match random.below(24) {
        0..8 => {
            let op = *random.pick(&["+", "-", "*", "/", "%", "&", "|", "^"]);
            // Constants that the driver's compiler makes something else of; zero would be refused.
            if random.chance(1, 3) {
                let number = literal(random, ty.element(), true);
                let number = if ty == ty.element() { number } else { format!("{}({number})", ty.name()) };
                format!("({a} {op} {number})")
            } else {
                format!("({a} {op} {})", e(random, ty))
            }
        }
        8 => format!("({a} {} {})", random.pick(&["<<", ">>"]), shift(random, ty)),
        9..12 => format!("({a} {} {})", *random.pick(&["<<", ">>"]), e(random, counts)),
        12 => format!("{}({a}, {})", *random.pick(&["min", "max"]), e(random, ty)),
        13 => format!("clamp({a}, {}, {})", e(random, ty), e(random, ty)),
        14 => format!("(~{a})"),
        15 if ty.is_signed() => format!("(-{a})"),
        16 if ty.is_signed() => format!("{}({a})", *random.pick(&["abs", "sign"])),
        17 => format!("extractBits({a}, {}, {})", e(random, Ty::U32), e(random, Ty::U32)),
        18 => {
            let (offset, count) = (e(random, Ty::U32), e(random, Ty::U32));
            format!("insertBits({a}, {}, {offset} % 40u, {count} % 40u)", e(random, ty))
        }
        19 => {
            let (offset, count) = (random.below(33), random.below(33));
            format!("extractBits({a}, {offset}u, {count}u)")
        }
        _ => {
            let f = *random.pick(&[
                "abs",
                "countOneBits",
                "reverseBits",
                "firstLeadingBit",
                "firstTrailingBit",
                "countLeadingZeros",
                "countTrailingZeros",
            ]);
            format!("{f}({a})")
        }
    }
}

fn scalar(random: &mut Random, scope: &Scope, ty: Ty, depth: u32) -> String {
    let e = |random: &mut Random, ty| expression(random, scope, ty, depth - 1);
    let signed = ty.is_signed();
    let n = 2 + random.below(3) as u8;
    let vector = if signed { Ty::VecI(n) } else { Ty::VecU(n) };
    match random.below(12) {
        0 => format!("dot({}, {})", e(random, vector), e(random, vector)),
        1 => format!("{}.{}", e(random, vector), random.pick(&["x", "y"])),
        // Past its end as well.
        2 => format!("{}[{}]", e(random, vector), index(random, scope, u64::from(n), depth)),
        3 => format!("{}({})", ty.name(), e(random, Ty::Bool)),
        4 => format!("{}({})", ty.name(), e(random, if signed { Ty::U32 } else { Ty::I32 })),
        5 => format!("bitcast<{}>({})", ty.name(), e(random, if signed { Ty::U32 } else { Ty::I32 })),
        6 if signed => format!("dot4I8Packed({}, {})", e(random, Ty::U32), e(random, Ty::U32)),
        6 => format!("dot4U8Packed({}, {})", e(random, Ty::U32), e(random, Ty::U32)),
        7 if !signed => format!("{}({})", *random.pick(&["pack4xI8", "pack4xI8Clamp"]), e(random, Ty::VecI(4))),
        8 if !signed => format!("{}({})", *random.pick(&["pack4xU8", "pack4xU8Clamp"]), e(random, Ty::VecU(4))),
        9 if !signed && scope.has_arrays => {
            format!("grid[{}][{}]", index(random, scope, 5, depth), index(random, scope, 3, depth))
        }
        10 if !signed && scope.has_buffers => format!("source[{}]", index(random, scope, 64, depth)),
        11 if scope.has_buffers => {
            let at = index(random, scope, 8, depth);
            match signed {
                true => format!("pairs[{at}].b[{}]", index(random, scope, 3, depth)),
                false => format!("pairs[{at}].c[{}]", index(random, scope, 3, depth)),
            }
        }
        _ => arithmetic(random, scope, ty, depth),
    }
}

fn vector(random: &mut Random, scope: &Scope, ty: Ty, n: u8, depth: u32) -> String {
    let e = |random: &mut Random, ty| expression(random, scope, ty, depth - 1);
    let sized = |n| if ty.is_signed() { Ty::VecI(n) } else { Ty::VecU(n) };
    match random.below(6) {
        0 => {
            let parts: Vec<String> = (0..n).map(|_| e(random, ty.element())).collect();
            format!("{}({})", ty.name(), parts.join(", "))
        }
        1 => format!("{}({})", ty.name(), e(random, ty.element())),
        2 => {
            let from = 2 + random.below(3) as u8;
            let pattern: String = (0..n).map(|_| char::from(b"xyzw"[random.below(u64::from(from)) as usize])).collect();
            format!("{}.{pattern}", e(random, sized(from)))
        }
        3 if n == 4 && !ty.is_signed() => format!("unpack4xU8({})", e(random, Ty::U32)),
        3 if n == 4 => format!("unpack4xI8({})", e(random, Ty::U32)),
        4 => {
            let op = *random.pick(&["<", "<=", ">", ">=", "==", "!="]);
            let (a, b) = (e(random, ty), e(random, ty));
            format!("select({}, {}, {a} {op} {b})", e(random, ty), e(random, ty))
        }
        5 if ty.is_signed() => format!("bitcast<{}>({})", ty.name(), e(random, Ty::VecU(n))),
        _ => format!("({} * {})", e(random, ty), e(random, ty)),
    }
}

fn boolean(random: &mut Random, scope: &Scope, depth: u32) -> String {
    let e = |random: &mut Random, ty| expression(random, scope, ty, depth - 1);
    let number = if random.chance(1, 2) { Ty::U32 } else { Ty::I32 };
    match random.below(9) {
        0 => format!("(!{})", e(random, Ty::Bool)),
        1 => format!("({} && {})", e(random, Ty::Bool), e(random, Ty::Bool)),
        2 => format!("({} || {})", e(random, Ty::Bool), e(random, Ty::Bool)),
        3 => format!("({} {} {})", e(random, Ty::Bool), *random.pick(&["&", "|", "==", "!="]), e(random, Ty::Bool)),
        4 => {
            let n = 2 + random.below(3) as u8;
            let ty = if random.chance(1, 2) { Ty::VecU(n) } else { Ty::VecI(n) };
            let all = *random.pick(&["all", "any"]);
            format!("{all}({} {} {})", e(random, ty), *random.pick(&["<", ">=", "==", "!="]), e(random, ty))
        }
        5 => format!("bool({})", e(random, number)),
        _ => {
            let op = *random.pick(&["<", "<=", ">", ">=", "==", "!="]);
            format!("({} {op} {})", e(random, number), e(random, number))
        }
    }
}

/// An index into `count` elements, now and then past them.
pub(crate) fn index(random: &mut Random, scope: &Scope, count: u64, depth: u32) -> String {
    let depth = depth.saturating_sub(1);
    match random.below(6) {
        0 => expression(random, scope, Ty::U32, depth),
        1 => expression(random, scope, Ty::I32, depth),
        2 => format!("({} & {}u)", expression(random, scope, Ty::U32, depth), count.next_power_of_two() - 1),
        3 => format!("{}u", random.below(count)),
        _ => format!("({} % {}u)", expression(random, scope, Ty::U32, depth), count + random.below(2)),
    }
}

fn leaf(random: &mut Random, scope: &Scope, ty: Ty) -> String {
    let known: Vec<&String> = scope.values.iter().filter(|(_, of)| *of == ty).map(|(name, _)| name).collect();
    if !known.is_empty() && random.chance(4, 5) {
        return (*random.pick(&known)).clone();
    }
    // A corner case, or what is random: no compiler knows it. Loads are long in a driver's code, so they are few.
    let word = |random: &mut Random| match scope.has_buffers {
        true if random.chance(1, 8) => format!("source[{}u]", random.below(64)),
        true => format!("given.{}", random.pick(&["x", "y", "z", "w"])),
        false => (*random.pick(&["n", "(n ^ 0xffffffffu)", "(n | 0x80000000u)"])).to_owned(),
    };
    match ty {
        Ty::U32 => word(random),
        Ty::I32 => format!("bitcast<i32>({})", word(random)),
        Ty::Bool => format!("({} > {})", word(random), word(random)),
        Ty::VecU(n) => format!("vec{n}<u32>({})", word(random)),
        Ty::VecI(n) => format!("vec{n}<i32>(bitcast<i32>({}))", word(random)),
    }
}

fn literal(random: &mut Random, ty: Ty, not_zero: bool) -> String {
    let corners = [1, 2, 3, 7, 10, 31, 32, 33, 255, 256, 0x7fff_ffff, 0x8000_0000, u32::MAX, 0x5555_5555];
    let word = match random.below(4) {
        0 if !not_zero => 0,
        0 => 1 << random.below(32),
        1 => (random.next() as u32).max(1),
        _ => *random.pick(&corners),
    };
    if ty.is_signed() {
        match word.cast_signed() {
            i32::MIN => "i32(-2147483647 - 1)".to_owned(),
            number => format!("i32({number})"),
        }
    } else {
        format!("{word}u")
    }
}

fn shift(random: &mut Random, ty: Ty) -> String {
    let count = random.below(32);
    match ty {
        Ty::VecU(n) | Ty::VecI(n) => format!("vec{n}<u32>({count}u)"),
        _ => format!("{count}u"),
    }
}
