//! The skeletons: exact by their form, right on a GPU, and clear about what an author gets wrong. Each is dispatched by the
//! SDK's own helper from a kernel that runs here, with the sandbox's GPU in place of the mock's shaders.

use std::cell::RefCell;
use std::collections::BTreeMap;

use p2c2r_guest::testing::{Host, Outcome};
use p2c2r_guest::{Context, Failure, Gpu, GpuError, Kernel, random, skeleton};

use crate::device::{adapter, dispatch, session, verdict};

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

/// Runs `kernel` with the shader `main` on the machine's GPU.
fn run<Shape>(wgsl: &'static str, input: &[u32], kernel: impl Kernel<Shape>) -> Option<Vec<u32>> {
    verdict(wgsl).unwrap_or_else(|error| panic!("{error}"));
    let session = RefCell::new(session(adapter()?, wgsl));
    let shader = move |groups: [u32; 3], buffers: &mut BTreeMap<u32, Vec<u8>>| {
        *buffers = dispatch(&mut **session.borrow_mut(), groups, buffers);
    };
    let report = Host::new().input(bytemuck::cast_slice(input)).shader("main", shader).run(kernel);
    assert_eq!(report.outcome, Outcome::Output, "{}", report.message());
    assert_eq!(report.leaked_buffers, 0);
    Some(report.output.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect())
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
        let Some(got) = run(MAP, &input, kernel) else { return };
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
    let Some(got) = run(LIFE, &cells, kernel) else { return };
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
        let Some(got) = run(LEAST, &input, kernel) else { return };
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
        let Some(got) = run(CHAIN, &input, kernel) else { return };
        assert_eq!(got, want, "{count}");
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
    // An average of floats.
    let reduce = "// p2c2r: use reduce\nalias Item = u32;\nfn reduce_none() -> Item { return 0u; }\nfn reduce_pair(a: Item, b: Item) -> Item {\nreturn u32(f32(a) * 0.5 + f32(b) * 0.5);\n}";
    check(reduce, 5, "this is a float");
    // A running total outside of the skeleton's own.
    let scan = "// p2c2r: use scan\nalias Item = u32;\nvar<workgroup> total: u32;\nfn scan_none() -> Item { return 0u; }\nfn scan_pair(a: Item, b: Item) -> Item {\ntotal += b;\nreturn a + b;\n}";
    check(scan, 6, "\"total\"");
}
