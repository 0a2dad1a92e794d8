//! Probes of what WGSL defines bit by bit, with the answers. They are rewritten like kernels' shaders.

use super::Probe;

const INVOCATIONS: usize = 64;

/// Words of the buffer that `large.wgsl` fills: 16 MiB.
const LARGE: u32 = 1 << 22;

const CORNERS: [u32; 8] = [0, 1, u32::MAX, 1 << 31, i32::MAX as u32, 31, 32, 0x0001_0000];

pub(super) fn probes() -> Vec<Probe> {
    let random = random_pairs();
    let corners: [[u32; 2]; INVOCATIONS] = std::array::from_fn(|i| [CORNERS[i / 8], CORNERS[i % 8]]);
    let numbers = random_words(4096);
    let probe = |name, wgsl, groups, input: Vec<u32>, want: Vec<u32>| {
        let output = vec![(vec![0; want.len()], want)];
        Probe { name, wgsl, groups, input, output, runs: 1 }
    };
    vec![
        probe("integers", include_str!("integers.wgsl"), [1, 1, 1], random.concat(), integers(&random)),
        probe("corners", include_str!("corners.wgsl"), [1, 1, 1], corners.concat(), corner_cases(&corners)),
        probe("bounds", include_str!("bounds.wgsl"), [1, 1, 1], corners.concat(), bounds(&corners)),
        probe("barriers and scan", include_str!("scan.wgsl"), [16, 1, 1], numbers.clone(), scan(&numbers)),
        Probe {
            output: atomics(&numbers),
            ..probe("atomics", include_str!("atomics.wgsl"), [64, 1, 1], numbers, vec![])
        },
        // Each invocation finds nothing, and adds the 1 that it has left.
        Probe {
            runs: 2,
            ..probe("zeroed memory", include_str!("zero.wgsl"), [32, 1, 1], random_words(64), vec![1; 64 * 32])
        },
        probe("large buffer", include_str!("large.wgsl"), [256, 256, 1], vec![0x5eed], large(0x5eed)),
    ]
}

/// Corner cases first, then xorshift.
pub(super) fn random_pairs() -> [[u32; 2]; INVOCATIONS] {
    let mut random = random_words(2 * INVOCATIONS).into_iter();
    std::array::from_fn(|i| match CORNERS.get(i) {
        Some(corner) => [*corner, CORNERS[(i * 3 + 1) % CORNERS.len()]],
        None => [(); 2].map(|()| random.next().unwrap_or_default()),
    })
}

fn random_words(count: usize) -> Vec<u32> {
    let mut state = 0x9e37_79b9u32;
    (0..count).map(|_| xorshift(&mut state)).collect()
}

fn xorshift(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state
}

fn integers(inputs: &[[u32; 2]; INVOCATIONS]) -> Vec<u32> {
    let total = inputs.iter().fold(0u32, |sum, [a, _]| sum.wrapping_add(*a));
    let mut words = Vec::with_capacity(INVOCATIONS * 16);
    for (i, &[a, b]) in inputs.iter().enumerate() {
        let [mirror_a, mirror_b] = inputs[INVOCATIONS - 1 - i];
        let mut state = a | 1;
        for _ in 0..b & 1023 {
            xorshift(&mut state);
        }
        words.extend([
            a.wrapping_add(b),
            a.wrapping_sub(b),
            a.wrapping_mul(b),
            a / (b | 1),
            a % (b | 1),
            a << (b & 31),
            a >> (b & 31),
            ((a as i32) >> (b & 31)) as u32,
            (a as i32).wrapping_div((b | 1) as i32) as u32,
            a.count_ones() + 100 * (b | 1).ilog2(),
            a.reverse_bits(),
            (a >> 5) & 0x7ff,
            if (a as i32) < (b as i32) { a.max(b) } else { a.min(b) },
            mirror_a ^ mirror_b,
            total,
            state,
        ]);
    }
    words
}

fn corner_cases(inputs: &[[u32; 2]; INVOCATIONS]) -> Vec<u32> {
    let words = |&[a, b]: &[u32; 2]| {
        let (sa, sb) = (a.cast_signed(), b.cast_signed());
        // A bit field that reaches past the word is cut.
        let (offset, seven, nine) = (b.min(32), 7.min(32 - b.min(32)), 9.min(32 - b.min(32)));
        let field = |bits: u32| if bits == 0 { 0 } else { (a >> offset) & (u32::MAX >> (32 - bits)) };
        let signed_field =
            if seven == 0 { 0 } else { ((field(seven) << (32 - seven)).cast_signed() >> (32 - seven)).cast_unsigned() };
        let hole = if nine == 0 { 0 } else { (u32::MAX >> (32 - nine)) << offset };
        let inserted = if nine == 0 { a } else { (a & !hole) | ((b << offset) & hole) };
        let leading = |bits: u32| 31u32.wrapping_sub(bits.leading_zeros());
        let dot = [(sa, sb), (sb, 3), (7, sa)].iter().fold(0i32, |sum, (l, r)| sum.wrapping_add(l.wrapping_mul(*r)));
        [
            a.checked_div(b).unwrap_or(a),
            a.checked_rem(b).unwrap_or(0),
            if sb == 0 { a } else { sa.wrapping_div(sb).cast_unsigned() },
            if sb == 0 { 0 } else { sa.wrapping_rem(sb).cast_unsigned() },
            a.wrapping_shl(b),
            a.wrapping_shr(b),
            sa.wrapping_shr(b).cast_unsigned(),
            a.leading_zeros() + 100 * b.trailing_zeros(),
            leading(a),
            leading(if sa < 0 { !a } else { a }),
            if b == 0 { u32::MAX } else { b.trailing_zeros() },
            field(seven),
            signed_field,
            inserted,
            sa.wrapping_abs().cast_unsigned(),
            sa.signum().cast_unsigned(),
            sa.max(sb).min(5).cast_unsigned(),
            sa.wrapping_neg().cast_unsigned(),
            dot.cast_unsigned(),
            a.wrapping_mul(b).wrapping_add(b.wrapping_sub(a)),
        ]
    };
    inputs.iter().flat_map(words).collect()
}

fn bounds(inputs: &[[u32; 2]; INVOCATIONS]) -> Vec<u32> {
    let hits = |slot: u32| inputs.iter().filter(|[at, _]| *at == slot).count() as u32;
    let sums = hits(0) + 100 * hits(3);
    let words = |&[at, _]: &[u32; 2]| {
        let mut local = [5, 6, 7, 8];
        if let Some(place) = local.get_mut(at as usize) {
            *place = 9;
        }
        let found = |row: &[u32]| row.get(at as usize).copied().unwrap_or(0);
        // Only the largest index comes back into range when 64 is added.
        let beyond = inputs.get(at.wrapping_add(64) as usize).map_or(0, |[_, second]| *second);
        let found = local[0]
            + 10 * local[3]
            + 100 * found(&local)
            + 10_000 * found(&[1, 2, 3])
            + 100_000 * found(&[1, 2, 3, 4]);
        [found.wrapping_add(beyond), sums]
    };
    inputs.iter().flat_map(words).collect()
}

fn scan(numbers: &[u32]) -> Vec<u32> {
    let block = |block: &[u32]| {
        let sums = block.iter().scan(0u32, |sum, n| {
            *sum = sum.wrapping_add(*n);
            Some(*sum)
        });
        sums.collect::<Vec<_>>()
    };
    numbers.chunks(256).flat_map(block).collect()
}

fn atomics(numbers: &[u32]) -> Vec<(Vec<u32>, Vec<u32>)> {
    let before = vec![0, 0, u32::MAX, 0, u32::MAX, 0, 0, 0];
    let mut after = before.clone();
    let mut signed = [i32::MAX, i32::MIN];
    for a in numbers {
        after[0] = after[0].wrapping_add(*a);
        after[1] = after[1].wrapping_sub(*a);
        after[2] = after[2].min(*a);
        after[3] = after[3].max(*a);
        after[4] &= a | 0x10;
        after[5] |= a & 0x00ff_00ff;
        after[6] ^= a;
        after[7] += 1;
        signed = [signed[0].min(a.cast_signed()), signed[1].max(a.cast_signed())];
    }
    let extremes = [i32::MAX, i32::MIN].map(i32::cast_unsigned).to_vec();
    vec![(before, after), (extremes, signed.map(i32::cast_unsigned).to_vec())]
}

fn large(key: u32) -> Vec<u32> {
    (0..LARGE).map(|at| (at ^ key).wrapping_mul(2_654_435_761)).collect()
}
