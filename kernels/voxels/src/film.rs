//! From light to bytes, in integers like the rest.

use p2c2r_guest::fixed;

/// `number / 10^4` in Q16.16.
const fn decimal(number: i64) -> i32 {
    (number * fixed::ONE as i64 / 10_000) as i32
}

/// RGB of a pixel from the sum of its samples: exposure, a filmic curve (Narkowicz's fit to ACES, 2015), sRGB.
#[must_use]
pub fn develop(sum: [i32; 3], samples: u32, exposure: i32) -> [u8; 3] {
    sum.map(|light| {
        let x = fixed::mul(light / samples.max(1) as i32, exposure).clamp(0, fixed::of(64));
        let above = fixed::mul(x, fixed::mul(decimal(25_100), x) + decimal(300));
        let below = fixed::mul(x, fixed::mul(decimal(24_300), x) + decimal(5_900)) + decimal(1_400);
        fixed::round(srgb(fixed::div(above, below).clamp(0, fixed::ONE)) * 255) as u8
    })
}

/// The sRGB curve, fitted with square roots; off by less than 0.004.
fn srgb(x: i32) -> i32 {
    if x <= decimal(31) {
        return fixed::mul(x, decimal(129_200));
    }
    let s1 = fixed::sqrt(x);
    let s2 = fixed::sqrt(s1);
    let s3 = fixed::sqrt(s2);
    let sum = fixed::mul(decimal(6_620), s1) + fixed::mul(decimal(6_841), s2) - fixed::mul(decimal(3_236), s3);
    (sum - fixed::mul(decimal(225), x)).clamp(0, fixed::ONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_is_srgb() {
        for x in 0..=fixed::ONE {
            let real = f64::from(x) / 65536.0;
            let exact = if real <= 0.003_130_8 { real * 12.92 } else { 1.055 * real.powf(1.0 / 2.4) - 0.055 };
            assert!((f64::from(srgb(x)) / 65536.0 - exact).abs() < 0.004, "{x}: {} {exact}", srgb(x));
        }
    }

    #[test]
    fn black_stays_black_and_bright_saturates() {
        assert_eq!(develop([0; 3], 4, fixed::ONE), [0; 3]);
        assert_eq!(develop([i32::MAX; 3], 1, fixed::of(256)), [255; 3]);
        let grey = |light| develop([light; 3], 1, fixed::ONE)[0];
        assert!((0..fixed::of(12)).step_by(1000).all(|light| grey(light) <= grey(light + 1000)));
    }
}
