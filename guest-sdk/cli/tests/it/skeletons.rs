//! The skeletons: exact by their form, right on a GPU and on the reference, and clear about what an author gets wrong. Each is
//! dispatched by the SDK's own helper from a kernel that runs here, with the sandbox's GPU in place of the mock's shaders.

use std::cell::RefCell;
use std::collections::BTreeMap;

use p2c2r_guest::limits::PLANE_SIDE;
use p2c2r_guest::plane::Cells;
use p2c2r_guest::testing::{Host, Outcome};
use p2c2r_guest::{Context, Failure, Gpu, GpuError, Kernel, Plane, random, skeleton};
use p2c2r_runtime::gpu::GpuAttempt;

use crate::device::{adapter, dispatch, reference, session, verdict};

/// The SDK cannot ask the runtime; its mock refuses what peers do.
#[test]
fn the_mock_has_the_limits_of_peers() {
    use p2c2r_guest::limits as mock;
    use p2c2r_runtime::gpu::limits as peers;
    assert_eq!(
        (mock::BUFFER_BYTES, mock::WORKGROUPS_PER_AXIS, mock::BINDINGS),
        (peers::BUFFER_BYTES, peers::WORKGROUPS_PER_DIMENSION, peers::BINDINGS)
    );
}

/// Doubles what is even and adds its number to what is odd.
const MAP: &str = "// p2c2r: use map
alias Item = u32;
@group(0) @binding(1) var<storage, read> factor: u32;
fn map_item(at: u32, item: Item) -> Item { return select(item * factor, item + at, (item & 1u) == 1u); }";

/// Conway's game of life on a torus.
const LIFE: &str = "// p2c2r: use stencil
alias Cell = u32;
fn stencil_cell(at: vec2<i32>) -> Cell {
    var around = 0u;
    for (var k = 0; k < 9; k++) { if k != 4 { around += stencil_wrapped(at + vec2<i32>(k % 3 - 1, k / 3 - 1)); } }
    return u32(around == 3u || (around == 2u && stencil_wrapped(at) == 1u));
}";

/// [`MAP`] over a plane, the number made of column and row.
const MAP_2D: &str = "// p2c2r: use map2d
alias Item = u32;
@group(0) @binding(2) var<storage, read> factor: u32;
fn map2d_item(at: vec2<u32>, item: Item) -> Item {
    return select(item * factor, item + at.x * 3u + at.y * 5u, (item & 1u) == 1u);
}";

/// Sums with weights that no turn or mirror image of the plane leaves alone, both kinds of border, and looks further than small
/// planes are large.
const BLUR: &str = "// p2c2r: use stencil2d
alias Cell = vec2<u32>;
@group(0) @binding(3) var<storage, read> weights: array<u32>;
fn stencil2d_cell(at: vec2<i32>) -> Cell {
    var sum = stencil2d_clamped(at + vec2<i32>(-20, 7));
    for (var k = 0; k < 15; k++) {
        let there = at + vec2<i32>(k % 5 - 2, k / 5 - 1);
        sum += stencil2d_clamped(there) * weights[k] + stencil2d_wrapped(there).yx * weights[14 - k];
    }
    return sum ^ stencil2d_wrapped(at + vec2<i32>(9, -20)) ^ vec2<u32>(at);
}";

const WEIGHTS: [u32; 15] = [1, 4, 16, 5, 2, 9, 40, 100, 41, 10, 3, 6, 17, 8, 7];

/// Sizes that fill their workgroups and such that do not, one row, one column, one place, and the longest sides.
const PLANES: [[u32; 2]; 13] = [
    [1, 1],
    [8, 8],
    [16, 24],
    [7, 9],
    [9, 7],
    [37, 23],
    [64, 1],
    [65, 1],
    [1, 64],
    [1, 65],
    [2, 3],
    [PLANE_SIDE, 3],
    [3, PLANE_SIDE],
];

/// The least number and where it is.
const LEAST: &str = "// p2c2r: use reduce
alias Item = vec2<u32>;
fn reduce_pair(a: Item, b: Item) -> Item { return select(b, a, a.x < b.x || (a.x == b.x && a.y < b.y)); }
fn reduce_none() -> Item { return vec2<u32>(0xffffffffu); }";

/// Affine maps one after the other: associative, not commutative.
const CHAIN: &str = "// p2c2r: use scan
alias Item = vec2<u32>;
fn scan_pair(before: Item, item: Item) -> Item { return vec2<u32>(before.x * item.x, before.y * item.x + item.y); }
fn scan_none() -> Item { return vec2<u32>(1u, 0u); }";

/// What `kernel` makes of the input with the shader `main`: on the reference, and the same on the machine's GPU.
fn run<Shape>(wgsl: &'static str, input: &[u32], kernel: impl Kernel<Shape> + Copy) -> Vec<u32> {
    verdict(wgsl).unwrap_or_else(|error| panic!("{error}"));
    let on = |session: Box<dyn GpuAttempt>| {
        let session = RefCell::new(session);
        let shader = move |groups: [u32; 3], buffers: &mut BTreeMap<u32, Vec<u8>>| {
            *buffers = dispatch(&mut **session.borrow_mut(), groups, buffers);
        };
        let report = Host::new().input(bytemuck::cast_slice(input)).shader("main", shader).run(kernel);
        assert_eq!(report.outcome, Outcome::Output, "{}", report.message());
        assert_eq!(report.leaked_buffers, 0);
        report.output
    };
    let output = on(reference(wgsl));
    if let Some(gpu) = adapter() {
        assert!(on(session(gpu, wgsl)) == output, "adapter and reference differ");
    }
    output.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect()
}

fn gpu(ctx: &Context) -> Result<Gpu, Failure> {
    Ok(ctx.gpu().ok_or(GpuError::NoGpu { call: "test" })?)
}

fn numbers(count: usize) -> Vec<u32> {
    (0..count as u32).map(|n| random::hash(n) >> (n % 7)).collect()
}

fn items<T: bytemuck::Pod>(input: &[u8]) -> Vec<T> {
    input.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()
}

fn output<T: bytemuck::Pod>(values: &[T]) -> Vec<u8> {
    bytemuck::cast_slice(values).to_vec()
}

#[test]
fn map_changes_each_item() {
    let kernel = |ctx: &mut Context, input: &[u8]| -> Result<Vec<u8>, Failure> {
        let gpu = gpu(ctx)?;
        let numbers = gpu.buffer_from(&items::<u32>(input))?;
        skeleton::map(&gpu, "main", &numbers, &[gpu.buffer_from(&[2u32])?.at(1)])?;
        Ok(output(&numbers.to_vec()?))
    };
    for count in [1, 64, 65, 1000] {
        let input = numbers(count);
        let want = (0..).zip(&input).map(|(at, n)| if n & 1 == 1 { n.wrapping_add(at) } else { n.wrapping_mul(2) });
        let got = run(MAP, &input, kernel);
        assert_eq!(got, want.collect::<Vec<_>>(), "{count}");
    }
}

#[test]
fn stencil_sees_the_cells_around() {
    const COLUMNS: usize = 37;
    let kernel = |ctx: &mut Context, input: &[u8]| -> Result<Vec<u8>, Failure> {
        let gpu = gpu(ctx)?;
        let mut cells = gpu.buffer_from(&items::<u32>(input))?;
        let mut next = gpu.buffer::<u32>(cells.len())?;
        for _ in 0..4 {
            skeleton::stencil(&gpu, "main", COLUMNS as u32, &cells, &next, &[])?;
            std::mem::swap(&mut cells, &mut next);
        }
        let wrong = skeleton::stencil(&gpu, "main", 36, &cells, &next, &[]);
        assert!(matches!(wrong, Err(GpuError::Range { .. })), "{wrong:?}");
        Ok(output(&cells.to_vec()?))
    };
    let mut cells: Vec<u32> = numbers(COLUMNS * 23).iter().map(|n| n >> 4 & 1).collect();
    let got = run(LIFE, &cells, kernel);
    for _ in 0..4 {
        let life = |at: usize| {
            let (x, y) = (at % COLUMNS, at / COLUMNS);
            let beside = |k: usize| cells[(y + 22 + k / 3) % 23 * COLUMNS + (x + COLUMNS - 1 + k % 3) % COLUMNS];
            let around: u32 = (0..9).filter(|k| *k != 4).map(beside).sum();
            u32::from(around == 3 || (around == 2 && cells[at] == 1))
        };
        cells = (0..cells.len()).map(life).collect();
    }
    assert_eq!(got, cells);
}

#[test]
fn reduce_leaves_one() {
    let kernel = |ctx: &mut Context, input: &[u8]| -> Result<Vec<u8>, Failure> {
        let gpu = gpu(ctx)?;
        let numbers = gpu.buffer_from(&items::<[u32; 2]>(input))?;
        Ok(output(&[skeleton::reduce(&gpu, "main", &numbers)?]))
    };
    for count in [1, 255, 256, 257, 70_000] {
        let input: Vec<u32> = (0..).zip(numbers(count)).flat_map(|(at, n)| [n >> 9, at]).collect();
        let want = input.chunks_exact(2).map(|item| [item[0], item[1]]).min().unwrap();
        let got = run(LEAST, &input, kernel);
        assert_eq!(got, want, "{count}");
    }
}

#[test]
fn scan_keeps_the_order() {
    let kernel = |ctx: &mut Context, input: &[u8]| -> Result<Vec<u8>, Failure> {
        let gpu = gpu(ctx)?;
        let maps = gpu.buffer_from(&items::<[u32; 2]>(input))?;
        Ok(output(&skeleton::scan(&gpu, "main", &maps)?.to_vec()?))
    };
    for count in [1, 256, 257, 70_000] {
        let input: Vec<u32> = numbers(count * 2).iter().map(|n| n | 1).collect();
        let mut so_far = [1u32, 0];
        let mut want = Vec::new();
        for item in input.chunks_exact(2) {
            so_far = [so_far[0].wrapping_mul(item[0]), so_far[1].wrapping_mul(item[0]).wrapping_add(item[1])];
            want.extend(so_far);
        }
        let got = run(CHAIN, &input, kernel);
        assert_eq!(got, want, "{count}");
    }
}

/// The first two words of an input, as the size of a plane, and the items behind them.
fn sized<T: bytemuck::Pod>(input: &[u8]) -> Result<(Plane, Vec<T>), Failure> {
    let (size, rest) = input.split_at(8);
    let [width, height] = bytemuck::pod_read_unaligned(size);
    Ok((Plane::new(width, height)?, items(rest)))
}

#[test]
fn map2d_changes_each_item() {
    let kernel = |ctx: &mut Context, input: &[u8]| -> Result<Vec<u8>, Failure> {
        let (gpu, (plane, numbers)) = (gpu(ctx)?, sized::<u32>(input)?);
        let numbers = gpu.buffer_from(&numbers)?;
        skeleton::map2d(&gpu, "main", plane, &numbers, &[gpu.buffer_from(&[2u32])?.at(2)])?;
        Ok(output(&numbers.to_vec()?))
    };
    for [width, height] in PLANES {
        let plane = Plane::new(width, height).unwrap();
        let mut numbers = numbers(plane.places());
        let got = run(MAP_2D, &[&[width, height][..], &numbers].concat(), kernel);
        let twin =
            |[x, y]: [u32; 2], n: u32| if n & 1 == 1 { n.wrapping_add(x * 3 + y * 5) } else { n.wrapping_mul(2) };
        plane.map(&mut numbers, twin).unwrap();
        assert!(got == numbers, "{width} x {height}");
    }
}

#[test]
fn stencil2d_sees_the_cells_around() {
    let kernel = |ctx: &mut Context, input: &[u8]| -> Result<Vec<u8>, Failure> {
        let (gpu, (plane, cells)) = (gpu(ctx)?, sized::<[u32; 2]>(input)?);
        let (mut cells, weights) = (gpu.buffer_from(&cells)?, gpu.buffer_from(&WEIGHTS)?);
        let mut next = gpu.buffer(cells.len())?;
        for _ in 0..2 {
            skeleton::stencil2d(&gpu, "main", plane, &cells, &next, &[weights.at(3)])?;
            std::mem::swap(&mut cells, &mut next);
        }
        Ok(output(&cells.to_vec()?))
    };
    let times = |[a, b]: [u32; 2], by: u32| [a.wrapping_mul(by), b.wrapping_mul(by)];
    let plus = |[a, b]: [u32; 2], [c, d]: [u32; 2]| [a.wrapping_add(c), b.wrapping_add(d)];
    for [width, height] in PLANES {
        let plane = Plane::new(width, height).unwrap();
        let input = numbers(plane.places() * 2);
        let got = run(BLUR, &[&[width, height][..], &input].concat(), kernel);
        let mut cells = items::<[u32; 2]>(&output(&input));
        for _ in 0..2 {
            let blur = |cells: Cells<'_, [u32; 2]>, [x, y]: [i32; 2]| {
                let mut sum = cells.clamped([x - 20, y + 7]);
                for (k, weight) in (0..).zip(WEIGHTS) {
                    let there = [x + k % 5 - 2, y + k / 5 - 1];
                    let [a, b] = cells.wrapped(there);
                    sum = plus(sum, times(cells.clamped(there), weight));
                    sum = plus(sum, times([b, a], WEIGHTS[14 - k as usize]));
                }
                let [a, b] = cells.wrapped([x + 9, y - 20]);
                [sum[0] ^ a ^ x.cast_unsigned(), sum[1] ^ b ^ y.cast_unsigned()]
            };
            cells = plane.stencil(&cells, blur).unwrap();
        }
        assert!(got == *cells.as_flattened(), "{width} x {height}");
    }
}

/// The bound is written out in the blocks, which know no constant of the SDK's. That it is the last one which the race check
/// lets pass is a test of `runtime/shader`.
#[test]
fn planes_end_where_the_blocks_say() {
    for name in ["map2d", "stencil2d"] {
        let text = p2c2r_wgsl::BLOCKS.iter().find(|block| block.name == name).unwrap().text;
        assert!(text.contains(&format!("min({name}_size.x, {PLANE_SIDE}u)")), "{name}");
    }
}

/// The `line`th of each shader is an author's natural mistake.
#[test]
fn mistakes_are_refused_on_the_author_s_line() {
    let check = |wgsl: &str, line: u32, part: &str| {
        let error = verdict(wgsl).unwrap_err().to_string();
        assert!(
            error.contains(&format!("line {line}:")) && error.contains(part),
            "{error} lacks line {line} or {part:?}"
        );
    };
    // Reads what other invocations write at the same time.
    let map = "// p2c2r: use map\nalias Item = u32;\nfn map_item(at: u32, item: Item) -> Item {\nreturn item + map_items[at + 1u];\n}";
    check(map, 4, "\"map_items\"");
    let stencil = "// p2c2r: use stencil\nalias Cell = u32;\nfn stencil_cell(at: vec2<i32>) -> Cell {\nreturn stencil_to[at.x] + stencil_clamped(at);\n}";
    check(stencil, 4, "\"stencil_to\"");
    let map2d = "// p2c2r: use map2d\nalias Item = u32;\nfn map2d_item(at: vec2<u32>, item: Item) -> Item {\nreturn item + map2d_items[at.y];\n}";
    check(map2d, 4, "\"map2d_items\"");
    let stencil2d = "// p2c2r: use stencil2d\nalias Cell = u32;\nfn stencil2d_cell(at: vec2<i32>) -> Cell {\nreturn stencil2d_to[at.x] + stencil2d_wrapped(at);\n}";
    check(stencil2d, 4, "\"stencil2d_to\"");
    // An average of floats.
    let reduce = "// p2c2r: use reduce\nalias Item = u32;\nfn reduce_none() -> Item { return 0u; }\nfn reduce_pair(a: Item, b: Item) -> Item {\nreturn u32(f32(a) * 0.5 + f32(b) * 0.5);\n}";
    check(reduce, 5, "this is a float");
    // A running total outside of the skeleton's own.
    let scan = "// p2c2r: use scan\nalias Item = u32;\nvar<workgroup> total: u32;\nfn scan_none() -> Item { return 0u; }\nfn scan_pair(a: Item, b: Item) -> Item {\ntotal += b;\nreturn a + b;\n}";
    check(scan, 6, "\"total\"");
}
