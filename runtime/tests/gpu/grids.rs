//! Exact shaders over planes and boxes.

use p2c2r_abi::status;

use crate::bench::{ROOMY, filled, on_every_backend, session_of, words};

/// Runs `wgsl` over `groups` on every backend; `out` has as many words as `want`, `source` holds the squares.
fn check(wgsl: &str, groups: [u32; 3], want: &[u32]) {
    let wgsl = format!(
        "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
         @group(0) @binding(1) var<storage, read> source: array<u32>;
         {wgsl}"
    );
    on_every_backend(|gpu| {
        let mut s = session_of(gpu, &[("main", &wgsl)], ROOMY);
        let out = filled(&mut *s, &vec![7; want.len()]);
        let source = filled(&mut *s, &(0..1000).map(square).collect::<Vec<_>>());
        let bindings = [(0, out), (1, source)];
        assert_eq!(s.dispatch(b"main", groups, &bindings), Ok(status::OK));
        assert_eq!(words(&mut *s, out, want.len()), want, "{groups:?} of {wgsl}");
        // Workgroups along an axis that its places do not depend on would meet.
        if groups[2] == 1 {
            let deeper = [groups[0], groups[1], 2];
            assert_eq!(s.dispatch(b"main", deeper, &bindings), Ok(status::INVALID));
        }
    });
}

const fn square(n: u32) -> u32 {
    n * n
}

#[test]
fn a_plane_of_a_width_that_is_no_multiple_of_the_workgroup() {
    let (width, height) = (11, 7);
    let want: Vec<u32> = (0..80)
        .map(|at| match at < width * height {
            true => square(at) + square(at + 1) * 3 + ((at / width) << 16),
            false => 7,
        })
        .collect();
    // The fourth and the fifth of the squares, less five, are the sides.
    let wgsl = "
        fn put(x: u32, y: u32, width: u32) { out[y * width + x] = source[y * width + x] + (y << 16u); }
        @compute @workgroup_size(4, 4) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            let width = min(source[4] - 5u, 256u);
            if id.x >= width || id.y >= source[3] - 2u { return; }
            put(id.x, id.y, width);
            out[id.y * width + id.x] += source[id.y * width + id.x + 1u] * 3u;
        }";
    check(wgsl, [3, 2, 1], &want);
    // Workgroups past the edges change nothing.
    check(wgsl, [5, 4, 1], &want);
}

#[test]
fn neighbours_in_the_tile_of_a_workgroup() {
    let wgsl = "
        var<workgroup> tile: array<array<u32, 8>, 4>;
        @compute @workgroup_size(8, 4) fn main(
            @builtin(global_invocation_id) id: vec3<u32>,
            @builtin(local_invocation_id) local: vec3<u32>,
            @builtin(num_workgroups) groups: vec3<u32>,
        ) {
            let width = groups.x * 8u;
            tile[local.y][local.x] = source[id.y * width + id.x];
            workgroupBarrier();
            out[id.y * width + id.x] = tile[local.y ^ 1u][7u - local.x];
        }";
    let (width, height) = (24, 8);
    let want: Vec<u32> = (0..width * height)
        .map(|at| {
            let (x, y) = (at % width, at / width);
            square((y ^ 1) * width + (x ^ 7))
        })
        .collect();
    check(wgsl, [3, 2, 1], &want);
}

#[test]
fn a_box() {
    let wgsl = "
        @compute @workgroup_size(2, 4, 2) fn main(
            @builtin(global_invocation_id) id: vec3<u32>,
            @builtin(num_workgroups) groups: vec3<u32>,
        ) {
            let size = groups * vec3<u32>(2u, 4u, 2u);
            let width = groups.x * 2u;
            let height = groups.y * 4u;
            let at = (id.z * height + id.y) * width + id.x;
            for (var k = 0u; k < 2u; k++) { out[at * 2u + k] = id.x + 100u * id.y + 10000u * id.z + source[k] * size.z; }
        }";
    let (width, height, depth) = (6, 8, 4);
    let want: Vec<u32> = (0..width * height * depth)
        .flat_map(|at| {
            let own = at % width + 100 * (at / width % height) + 10_000 * (at / (width * height));
            [own, own + depth]
        })
        .collect();
    check(wgsl, [3, 2, 2], &want);
}
