//! From light to bytes.

use crate::vector::Vec3;

/// RGB of a pixel from the sum of its samples: exposure, a filmic curve (Narkowicz's fit to ACES, 2015), sRGB.
#[must_use]
pub fn develop(sum: Vec3, samples: u32, exposure: f32) -> [u8; 3] {
    (sum * (exposure / samples.max(1) as f32)).to_array().map(|light| {
        // A NaN, which no finite scene makes, becomes black.
        let x = if light > 0.0 { light.min(1e4) } else { 0.0 };
        let film = x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14);
        (srgb(film.clamp(0.0, 1.0)) * 255.0 + 0.5) as u8
    })
}

/// The sRGB curve, fitted with square roots alone so that every machine rounds alike; off by less than 0.004.
fn srgb(x: f32) -> f32 {
    if x <= 0.003_130_8 {
        return x * 12.92;
    }
    let s1 = x.sqrt();
    let s2 = s1.sqrt();
    let s3 = s2.sqrt();
    (0.662_002_7 * s1 + 0.684_122_1 * s2 - 0.323_583_6 * s3 - 0.022_541_15 * x).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_is_srgb() {
        for i in 0..=1000u16 {
            let x = f32::from(i) / 1000.0;
            let exact = if x <= 0.003_130_8 { x * 12.92 } else { 1.055 * x.powf(1.0 / 2.4) - 0.055 };
            assert!((srgb(x) - exact).abs() < 0.004, "{x}: {} {exact}", srgb(x));
        }
    }

    #[test]
    fn black_stays_black_and_bright_saturates() {
        assert_eq!(develop(Vec3::default(), 4, 1.0), [0; 3]);
        assert_eq!(develop(Vec3::splat(f32::NAN), 4, 1.0), [0; 3]);
        assert_eq!(develop(Vec3::splat(f32::INFINITY), 4, 1.0), [255; 3]);
        let mut last = 0;
        for i in 0..100 {
            let [grey, ..] = develop(Vec3::splat(i as f32 * 0.05), 1, 1.0);
            assert!(grey >= last);
            last = grey;
        }
    }
}
