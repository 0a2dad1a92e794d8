//! Whether floats are within what WGSL allows (its section "Floating Point Accuracy"). Inside it adapters differ, and their
//! numeric class says how; outside it none is to be relied on.

/// Words of `floats.wgsl` for each invocation.
pub(super) const WORDS: usize = 31;

/// Checks what `floats.wgsl` made of `inputs`, as far as WGSL says something exact enough.
pub(super) fn judge(inputs: &[[u32; 2]], words: &[u32]) -> Result<(), String> {
    inputs.iter().zip(words.chunks_exact(WORDS)).enumerate().try_for_each(|(i, (input, words))| {
        verdict(*input, words).map_err(|what| format!("{what} is outside of what WGSL allows (invocation {i})"))
    })
}

fn verdict([x, y]: [u32; 2], words: &[u32]) -> Result<(), &'static str> {
    // As in the shader.
    let a = f32::from_bits((x >> 9) | 0x3f80_0000);
    let b = f32::from_bits((y >> 9) | 0x3f00_0000);
    let tiny = f32::from_bits(x & 0x007f_ffff);
    let (wide_a, wide_b) = (f64::from(a), f64::from(b));
    let product = wide_a * wide_b;
    let got = |word: usize| f64::from(f32::from_bits(words[word]));
    let near = |word: usize, exact: f64, ulps: f64| (got(word) - exact).abs() <= ulps * ulp(exact);
    let checks = [
        // "Correctly rounded" leaves the direction open.
        ("addition", near(0, wide_a + wide_b, 1.0)),
        ("multiplication", near(1, product, 1.0)),
        // Fused or not: what is left is at most what the product lost.
        ("fma", got(3).abs() <= ulp(product)),
        ("division", near(4, wide_a / wide_b, 2.5)),
        // Inherited from 1 / inverseSqrt: 2 and 2.5 ulp, and one of the argument.
        ("sqrt", near(6, (wide_a * 3.0).sqrt(), 6.0)),
        ("inverseSqrt", near(7, 1.0 / wide_b.sqrt(), 2.0)),
        // Subnormals may be flushed, before or after.
        ("subnormal sum", got(22) == 2.0 * f64::from(tiny) || got(22) == 0.0),
        ("subnormal product", near(23, 0.5 * f64::from(tiny), 1.0) || got(23) == 0.0),
        ("conversion from u32", near(24, f64::from(x), 1.0)),
    ];
    checks.iter().find(|(_, right)| !right).map_or(Ok(()), |(what, _)| Err(*what))
}

/// What this machine's C library makes of functions that naga computes in constants, `const x = tan(0.5);`, where it reads a
/// `device` shader: libraries differ in the last bit.
pub(super) fn constants() -> Vec<u32> {
    const FUNCTIONS: [fn(f32) -> f32; 17] = [
        f32::sin,
        f32::cos,
        f32::tan,
        f32::asin,
        f32::acos,
        f32::atan,
        f32::sinh,
        f32::cosh,
        f32::tanh,
        f32::asinh,
        f32::acosh,
        f32::atanh,
        f32::exp,
        f32::exp2,
        f32::ln,
        f32::log2,
        |x| x.powf(1.7),
    ];
    // By no compiler, which would ask the library of the machine it runs on.
    let inputs = (1..=64u32).map(|n| std::hint::black_box(n) as f32 / 37.0);
    let values = inputs.flat_map(|x| FUNCTIONS.map(|function| function(x)));
    // Outside of where a function is defined nothing is promised of the bits, and naga refuses.
    values.map(|value| if value.is_finite() { value.to_bits() } else { 0 }).collect()
}

/// Distance between neighbouring floats at `value`.
fn ulp(value: f64) -> f64 {
    // A few more than are needed do no harm: the smallest is that of subnormals.
    let exponent = value.abs().max(f64::from(f32::MIN_POSITIVE)).log2().floor();
    (exponent - 23.0).exp2()
}

#[cfg(test)]
pub(super) mod tests {
    use std::f32::consts::{FRAC_PI_2, FRAC_PI_4};

    use super::*;
    use crate::gpu::probe::exact::random_pairs;

    #[test]
    fn constants_are_those_of_the_library() {
        let words = constants();
        assert_eq!((words.len(), &words), (64 * 17, &constants()));
        // Of 1, the 37th, within what any library does.
        let of_one = [0.841_471, 0.540_302, 1.557_408, FRAC_PI_2, 0.0, FRAC_PI_4];
        for (word, near) in words[36 * 17..].iter().zip(of_one) {
            assert!((f32::from_bits(*word) - near).abs() < 1e-5, "{near}");
        }
    }

    /// What a machine computes that rounds to nearest, fuses nothing and keeps subnormals.
    pub(in crate::gpu::probe) fn words(input: [u32; 2]) -> Vec<u32> {
        let (a, b) = (f32::from_bits((input[0] >> 9) | 0x3f80_0000), f32::from_bits((input[1] >> 9) | 0x3f00_0000));
        let tiny = f32::from_bits(input[0] & 0x007f_ffff);
        let mut words = vec![0; WORDS];
        for (word, value) in [
            (0, a + b),
            (1, a * b),
            (4, a / b),
            (6, (a * 3.0).sqrt()),
            (7, 1.0 / b.sqrt()),
            (22, tiny + tiny),
            (23, tiny * 0.5),
            (24, input[0] as f32),
        ] {
            words[word] = value.to_bits();
        }
        words
    }

    fn judged(change: impl Fn(&mut Vec<u32>)) -> Result<(), String> {
        let inputs = random_pairs();
        let words = inputs.iter().flat_map(|input| {
            let mut words = words(*input);
            change(&mut words);
            words
        });
        judge(&inputs, &words.collect::<Vec<_>>())
    }

    #[test]
    fn what_wgsl_allows_passes() {
        assert_eq!(judged(|_| {}), Ok(()));
        assert_eq!(judged(|words| words[4] += 2), Ok(()), "division may be off by 2.5 ulp");
        assert_eq!(judged(|words| (words[22], words[23]) = (0, 0)), Ok(()), "subnormals may be flushed");
    }

    #[test]
    fn what_it_does_not_allow_is_named() {
        for (word, what) in [
            (0, "addition"),
            (1, "multiplication"),
            (4, "division"),
            (6, "sqrt"),
            (7, "inverseSqrt"),
            (24, "conversion"),
        ] {
            let error = judged(|words| words[word] += 9).unwrap_err();
            assert!(error.starts_with(what), "{error}");
        }
        let error = judged(|words| words[3] = 1e-3f32.to_bits()).unwrap_err();
        assert!(error.starts_with("fma"), "{error}");
        assert!(judged(|words| words[1] = f32::NAN.to_bits()).is_err());
    }
}
