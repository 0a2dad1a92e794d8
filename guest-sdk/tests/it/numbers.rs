//! `fixed`, `wide` and `random` against arithmetic that rounds nowhere, or in `f64`. The shader blocks of the same names are held
//! against these in `guest-sdk/cli/tests/it/blocks.rs`.

use p2c2r_guest::{fixed, random, wide};
use proptest::prelude::*;

/// What tends to go wrong, and everything else.
fn word() -> impl Strategy<Value = i32> {
    const EDGES: &[i32] =
        &[0, 1, -1, 2, 32767, 32768, 65535, 65536, 65537, -65536, i32::MAX, i32::MAX - 1, i32::MIN, i32::MIN + 1];
    prop_oneof![proptest::sample::select(EDGES), any::<i32>(), (any::<i32>(), 0..32u32).prop_map(|(a, n)| a >> n)]
}

fn vector() -> impl Strategy<Value = [i32; 3]> {
    [word(), word(), word()]
}

fn real(a: i32) -> f64 {
    f64::from(a) / 65536.0
}

/// Checks that `got` is `exact`, in steps, to within `steps`, or the end that is nearest to it.
fn close(got: i32, exact: f64, steps: f64) -> Result<(), TestCaseError> {
    let exact = exact.clamp(f64::from(i32::MIN), f64::from(i32::MAX));
    prop_assert!((f64::from(got) - exact).abs() <= steps, "{got} is not {exact}");
    Ok(())
}

/// Checks that `got / 2^16` is the nearest step to `sum / 2^32`.
fn nearest(got: i32, sum: i128) -> Result<(), TestCaseError> {
    let exact = ((sum + 32768) >> 16).clamp(i128::from(i32::MIN), i128::from(i32::MAX));
    prop_assert_eq!(i128::from(got), exact);
    Ok(())
}

fn product(a: i32, b: i32) -> i128 {
    i128::from(a) * i128::from(b)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn products_and_sums_are_rounded_once(a in vector(), b in vector(), t in word()) {
        nearest(fixed::mul(a[0], b[0]), product(a[0], b[0]))?;
        nearest(fixed::dot2([a[0], a[1]], [b[0], b[1]]), product(a[0], b[0]) + product(a[1], b[1]))?;
        nearest(fixed::dot3(a, b), product(a[0], b[0]) + product(a[1], b[1]) + product(a[2], b[2]))?;
        for (i, cross) in fixed::cross(a, b).into_iter().enumerate() {
            let (j, k) = ((i + 1) % 3, (i + 2) % 3);
            nearest(cross, product(a[j], b[k]) - product(a[k], b[j]))?;
        }
        let t = t.clamp(0, fixed::ONE);
        nearest(fixed::lerp(a[0], b[0], t), product(a[0], fixed::ONE) + (i128::from(b[0]) - i128::from(a[0])) * i128::from(t))?;
    }

    #[test]
    fn whole_numbers_and_sums_saturate(a in word(), b in word()) {
        nearest(fixed::add(a, b), (i128::from(a) + i128::from(b)) << 16)?;
        nearest(fixed::sub(a, b), (i128::from(a) - i128::from(b)) << 16)?;
        nearest(fixed::abs(a), i128::from(a).abs() << 16)?;
        prop_assert_eq!(fixed::floor(a), real(a).floor() as i32);
        prop_assert_eq!(fixed::round(a), (real(a) + 0.5).floor() as i32);
        prop_assert_eq!(fixed::of(a), a.clamp(-32768, 32767) * 65536);
    }

    #[test]
    fn quotients_are_rounded(a in word(), b in word()) {
        let got = fixed::div(a, b);
        if b == 0 {
            prop_assert_eq!(got, [fixed::MIN, 0, fixed::MAX][(a.signum() + 1) as usize]);
        } else {
            close(got, f64::from(a) * 65536.0 / f64::from(b), 0.5)?;
        }
    }

    #[test]
    fn roots_are_rounded(a in word()) {
        let root = fixed::sqrt(a);
        close(root, (f64::from(a.max(0)) * 65536.0).sqrt(), 0.5)?;
        if a > 0 {
            close(fixed::rsqrt(a), 65536.0 / real(a).sqrt(), 0.5)?;
        } else {
            prop_assert_eq!(fixed::rsqrt(a), fixed::MAX);
        }
    }

    #[test]
    fn angles_are_close(a in word(), b in word(), turn in any::<u32>()) {
        // The argument itself is a step wide: its exact value counts.
        close(fixed::sin(a), real(a).sin() * 65536.0, 0.51)?;
        close(fixed::cos(a), real(a).cos() * 65536.0, 0.51)?;
        let angle = f64::from(turn) / 4_294_967_296.0 * std::f64::consts::TAU;
        close(fixed::sin_turn(turn), angle.sin() * 65536.0, 0.51)?;
        close(fixed::cos_turn(turn), angle.cos() * 65536.0, 0.51)?;
        close(fixed::atan2(a, b), f64::from(a).atan2(f64::from(b)) * 65536.0, 0.53)?;
    }

    #[test]
    fn lengths_and_directions_are_close(a in vector()) {
        let exact = a.map(|v| f64::from(v).powi(2)).iter().sum::<f64>().sqrt();
        close(fixed::length3(a), exact, 0.5)?;
        close(fixed::length2([a[0], a[1]]), f64::from(a[0]).hypot(f64::from(a[1])), 0.5)?;
        for (share, a) in fixed::normalise3(a).into_iter().zip(a) {
            close(share, if exact == 0.0 { 0.0 } else { f64::from(a) / exact * 65536.0 }, 0.51)?;
        }
    }

    #[test]
    fn wide_roots_and_quotients(a in any::<u64>(), n in 0..64u32, b in any::<u32>(), c in any::<u32>()) {
        let a = a >> n;
        let root = u128::from(wide::sqrt(a));
        prop_assert!(root * root <= u128::from(a) && u128::from(a) < (root + 1) * (root + 1));
        // Nearest: between the squares of a half less and a half more, times 4.
        let near = u128::from(wide::sqrt_nearest(a));
        let four = u128::from(a) * 4;
        prop_assert!(near == 0 || (2 * near - 1) * (2 * near - 1) <= four);
        prop_assert!(four < (2 * near + 1) * (2 * near + 1) || near == u128::from(u32::MAX));
        let share = u128::from(a as u32) * u128::from(b) / u128::from(c.max(1));
        prop_assert_eq!(wide::mul_div(a as u32, b, c), if c == 0 { u32::MAX } else { share.min(u128::from(u32::MAX)) as u32 });
    }

    #[test]
    fn random_words_below(word in any::<u32>(), count in any::<u32>()) {
        prop_assert!(random::below(word, count) < count.max(1));
        prop_assert!((0..fixed::ONE).contains(&random::fixed(word)));
    }
}

#[test]
fn angles_have_their_signs_and_corners() {
    use fixed::{ONE, PI, atan2, cos_turn, of, sin_turn};
    for (turn, sine, cosine) in [(0u32, 0, ONE), (1 << 30, ONE, 0), (1 << 31, 0, -ONE), (3 << 30, -ONE, 0)] {
        assert_eq!((sin_turn(turn), cos_turn(turn)), (sine, cosine), "{turn:#x}");
    }
    for (y, x, angle) in
        [(0, 0, 0), (0, ONE, 0), (0, -ONE, PI), (-1, fixed::MIN, -PI), (ONE, 0, PI / 2 + 1), (of(7), of(7), 51472)]
    {
        assert_eq!(atan2(y, x), angle, "{y} {x}");
    }
    for turn in (0..u32::MAX).step_by(99_991) {
        assert_eq!(sin_turn(turn), -sin_turn(0u32.wrapping_sub(turn)), "sine is odd");
        assert_eq!(cos_turn(turn), cos_turn(0u32.wrapping_sub(turn)), "cosine is even");
    }
}

#[test]
fn the_sine_rises_without_a_step_back() {
    let mut last = 0;
    for turn in (0..=1u32 << 30).step_by(1 << 10) {
        let sine = fixed::sin_turn(turn);
        assert!(sine >= last, "{turn:#x}");
        last = sine;
    }
    assert_eq!(last, fixed::ONE);
}

/// Known answers of Random123's own `kat_vectors`, philox4x32 with 10 rounds.
#[test]
fn philox_is_philox() {
    for (counter, key, want) in [
        ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
        ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
        (
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ),
    ] {
        assert_eq!(random::philox(counter, key), want);
    }
}

#[test]
fn hashes_are_pinned_and_even() {
    assert_eq!([random::hash(0), random::hash(1), random::hash(u32::MAX)], [129_708_002, 2_831_084_092, 3_861_530_882]);
    // Each bit of 64 Ki hashes is set about half the time: within six standard deviations.
    for hash in [random::hash as fn(u32) -> u32, |a| random::hash3([a, 0, 0])[0], |a| random::hash3([0, a, 7])[2]] {
        for bit in 0..32 {
            let set = (0..65536).filter(|a| hash(*a) >> bit & 1 == 1).count() as i32;
            assert!((set - 32768).abs() < 6 * 128, "bit {bit}: {set}");
        }
    }
}

#[test]
fn noise_is_smooth_and_random_at_the_corners() {
    let mut last = random::noise2([-5 << 16, 3 << 16], 9);
    for x in (-5 << 16)..(5 << 16) {
        let noise = random::noise2([x, 3 << 16], 9);
        assert!((0..fixed::ONE).contains(&noise), "{noise}");
        // The steepest a smooth step gets is one and a half.
        assert!((noise - last).abs() <= 4, "{x}: {last} {noise}");
        last = noise;
    }
    let corners: std::collections::BTreeSet<i32> = (0..64).map(|x| random::noise2([x << 16, 0], 1)).collect();
    assert!(corners.len() > 60);
}
