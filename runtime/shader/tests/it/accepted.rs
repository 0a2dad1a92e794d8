//! Shaders that must pass, and in which class.

use p2c2r_shader::{Class, Grid, Shader};

fn exact(wgsl: &str) -> Shader {
    let shader = Shader::parse(wgsl).unwrap_or_else(|finding| panic!("{finding}\n{wgsl}"));
    assert_eq!(shader.findings(), [], "{wgsl}");
    assert_eq!(shader.class(), Class::Exact);
    shader
}

const OUT: &str = "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@group(0) @binding(1) var<storage, read> words: array<u32>;
var<workgroup> x: array<u32, 256>;\n";

fn main_text(body: &str) -> String {
    format!(
        "{OUT}@compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3<u32>,
         @builtin(local_invocation_index) i: u32, @builtin(workgroup_id) group: vec3<u32>,
         @builtin(num_workgroups) groups: vec3<u32>) {{ {body} }}"
    )
}

fn parse_main(body: &str) -> Shader {
    Shader::parse(&main_text(body)).unwrap_or_else(|finding| panic!("{finding}\n{body}"))
}

fn exact_main(body: &str) -> Shader {
    exact(&main_text(body))
}

#[test]
fn maps() {
    let shader = exact_main("if id.x >= arrayLength(&out) { return; } out[id.x] = words[id.x] * 3u;");
    assert_eq!(shader.grid().axes(), 1);
    exact_main("let at = group.x * 256u + i; out[at] += 1u;");
    exact_main("out[id.x * 4u] = 1u; out[id.x * 4u + 3u] = 2u;");
    exact_main("for (var k = 0u; k < 4u; k++) { out[id.x * 4u + (k & 3u)] = k; }");
    exact_main("let at = i32(id.x); out[at] = u32(-at);");
    exact_main("if id.x == 0u { for (var k = 0u; k < 100u; k++) { out[k] = k; } }");
}

#[test]
fn stencils() {
    exact_main("out[id.x] = words[id.x - 1u] + words[id.x] + words[id.x + 1u];");
}

#[test]
fn reductions() {
    exact_main(
        "x[i] = words[id.x];
         workgroupBarrier();
         for (var s = 128u; s > 0u; s >>= 1u) {
             if i < s { x[i] += x[i + s]; }
             workgroupBarrier();
         }
         if i == 0u { out[group.x] = x[0]; }",
    );
    exact_main(
        "x[i] = words[id.x];
         workgroupBarrier();
         for (var s = 128u; s > 0u; s /= 2u) { if i < s { x[i] = max(x[i], x[i + s]); } workgroupBarrier(); }
         if i == 0u { out[group.x] = x[0]; }",
    );
    // Unrolled.
    exact_main(
        "x[i] = words[id.x];
         workgroupBarrier();
         if i < 128u { x[i] += x[i + 128u]; }
         workgroupBarrier();
         if i < 64u { x[i] += x[i + 64u]; }
         workgroupBarrier();
         if i == 0u { out[group.x] = x[0] + x[1]; }",
    );
}

#[test]
fn scans() {
    exact_main(
        "x[i] = words[id.x];
         workgroupBarrier();
         for (var step = 1u; step < 256u; step <<= 1u) {
             var before = 0u;
             if i >= step { before = x[i - step]; }
             workgroupBarrier();
             x[i] += before;
             workgroupBarrier();
         }
         out[id.x] = x[i];",
    );
}

#[test]
fn loops_and_switches_inside_a_loop_with_barriers() {
    exact_main(
        "x[i] = words[id.x];
         workgroupBarrier();
         var n = 0u;
         for (var s = 128u; s > 0u; s >>= 1u) {
             if i < s { x[i] += x[i + s]; }
             for (var k = 0u; k < 9u; k++) { if k == words[id.x] { break; } if k == 3u { continue; } n += k; }
             switch n { case 1u: { if n == words[i] { break; } n = 4u; } default: { n += 1u; } }
             workgroupBarrier();
         }
         out[id.x] = x[0] + n;",
    );
    // With one invocation there is nobody to race with.
    exact(
        "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
         var<workgroup> x: array<u32, 8>;
         @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
             for (var k = 0u; k < 8u; k++) { x[k * id.x % 8u] += k; }
             out[id.x] = x[id.x % 3u];
         }",
    );
}

#[test]
fn neighbours_in_workgroup_memory() {
    exact_main("x[i] = words[id.x]; workgroupBarrier(); out[id.x] = x[(i + 1u) % 256u] + x[255u - i];");
}

#[test]
fn atomics_that_commute() {
    let shader = exact(
        "@group(0) @binding(0) var<storage, read_write> bins: array<atomic<u32>, 16>;
         @group(0) @binding(1) var<storage, read> words: array<u32>;
         @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
             atomicAdd(&bins[words[id.x] & 15u], 1u);
             atomicSub(&bins[words[id.y]], 1u);
         }",
    );
    assert_eq!(shader.grid(), Grid::ANY);
    exact(
        "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
         var<workgroup> most: atomic<u32>;
         @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
             atomicMax(&most, id.x);
             workgroupBarrier();
             out[id.x] = atomicLoad(&most);
         }",
    );
}

#[test]
fn constants_may_be_floats() {
    exact_main("out[id.x] = u32(1.5 * 4.0);");
}

#[test]
fn functions_without_shared_variables() {
    exact(&format!(
        "{OUT}var<private> state: u32;
         fn next() -> u32 {{ state = state * 747796405u + 2891336453u; return state >> 3u; }}
         fn fill(p: ptr<function, array<u32, 4>>) {{ (*p)[next() & 3u] = 1u; }}
         @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
             state = id.x;
             var bits: array<u32, 4>;
             fill(&bits);
             out[id.x] = bits[0] + bits[words[id.x]];
         }}"
    ));
}

#[test]
fn barriers_everybody_reaches() {
    exact_main(
        "if words[0] > 3u { workgroupBarrier(); }
         let n = workgroupUniformLoad(&x[7]);
         for (var k = 0u; k < n; k++) { workgroupBarrier(); }
         switch group.x { case 1u: { workgroupBarrier(); } default: { } }",
    );
    // A barrier in every case.
    exact_main(
        "x[i] = words[id.x];
         switch words[0] { case 1u, 2u: { workgroupBarrier(); } default: { workgroupBarrier(); } }
         out[id.x] = x[255u - i];",
    );
}

#[test]
fn floats_are_a_class_of_their_own() {
    let shader = Shader::parse(
        "@group(0) @binding(0) var<storage, read_write> out: array<f32>;
         @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
             out[id.x] = out[id.x] * 0.5;
         }",
    );
    assert_eq!(shader.unwrap().class(), Class::Device);
}

#[test]
fn the_path_tracer_is_of_class_device() {
    let shader = Shader::parse(include_str!("../../../../kernels/raytrace/shaders/trace.wgsl")).unwrap();
    assert_eq!(shader.class(), Class::Device);
    assert!(shader.rewritten().has_trap());
    assert!(shader.findings().iter().any(|finding| finding.reason.contains("float")));
}

#[test]
fn a_shader_without_loops_has_no_trap() {
    assert!(!exact_main("out[id.x] = 1u;").rewritten().has_trap());
    assert!(exact_main("loop { }").rewritten().has_trap());
}

/// What shaders over grids have in common; workgroups of 8 by 8.
fn planar(body: &str) -> String {
    format!(
        "struct Params {{ width: u32, height: u32 }}
const SPAN = 100u;
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@group(0) @binding(1) var<storage, read> words: array<u32>;
@group(0) @binding(2) var<storage, read> params: Params;
var<workgroup> tile: array<u32, 256>;
var<workgroup> square: array<array<u32, 8>, 8>;
@compute @workgroup_size(8, 8) fn main(@builtin(global_invocation_id) id: vec3<u32>,
@builtin(local_invocation_index) i: u32, @builtin(local_invocation_id) local: vec3<u32>,
@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {{
{body}
}}"
    )
}

/// Each with the axes along which it may be dispatched, and a near miss: what is left of it, and what comes in its place.
#[test]
fn grids() {
    let width = "let width = min(params.width, 4096u); ";
    let own = "out[id.y * width + id.x] = 1u;";
    for (body, axes, misses) in [
        // A constant width.
        (
            "if id.x < SPAN { out[id.y * SPAN + id.x] += 1u; }".to_owned(),
            2,
            &[
                ("id.x < SPAN", "id.x < 101u"),
                ("id.x < SPAN", "id.x <= SPAN"),
                ("id.x < SPAN", "id.y < SPAN"),
                ("id.x < SPAN", "id.x < SPAN || id.y < SPAN"),
                ("id.x < SPAN", "id.x >= SPAN"),
                ("id.x < SPAN", "i < SPAN"),
                ("y * SPAN", "y * 99u"),
                ("y * SPAN", "z * SPAN"),
                ("y * SPAN + id.x", "y * SPAN + id.x * 2u"),
                ("+= 1u;", "+= 1u; out[id.y] = 2u;"),
                ("+= 1u;", "= out[id.y * SPAN + id.x + 1u];"),
            ][..],
        ),
        // Those past an edge leave.
        (
            "if id.x >= SPAN || id.y >= 50u { return; } out[id.y * SPAN + id.x] = words[id.x];".to_owned(),
            2,
            &[
                ("id.x >= SPAN ||", "id.x >= SPAN &&"),
                ("{ return; }", "{ }"),
                ("{ return; } out", "{ return; } else { out[0] = 1u; } out"),
                ("id.x >= SPAN ||", "words[id.x] == 3u ||"),
            ],
        ),
        // A width that nobody knows before.
        (
            format!("{width}if id.x >= width {{ return; }} {own}"),
            2,
            &[
                // May wrap.
                ("min(params.width, 4096u)", "params.width"),
                ("min(params.width, 4096u)", "min(params.width, 16384u)"),
                ("id.x >= width", "id.x >= params.width"),
                ("id.x >= width", "id.y >= width"),
                ("id.x >= width", "id.x > width"),
                ("min(params.width, 4096u)", "min(words[id.x], 4096u)"),
                ("min(params.width, 4096u)", "min(out[0], 4096u)"),
                ("id.y * width", "id.y * (width - 1u)"),
            ],
        ),
        (
            "if params.width > 4096u || id.x >= params.width { return; } out[id.y * params.width + id.x] = 1u;"
                .to_owned(),
            2,
            &[("params.width > 4096u", "params.height > 4096u"), ("id.y * params.width", "id.y * params.height")],
        ),
        // The widest one, as in the skeletons over planes.
        (
            "let width = min(params.width, 8192u);
             if id.x < width && id.y < params.height { let at = id.y * width + id.x; out[at] = out[at] * 3u + words[id.x]; }"
                .to_owned(),
            2,
            &[("8192u", "8193u"), ("id.x < width", "id.x < params.width")],
        ),
        // A width that some invocation may see changed.
        (
            "var width = 64u; if id.x >= width { return; } out[id.y * width + id.x] = 1u;".to_owned(),
            2,
            &[
                ("out[id.y", "width = 63u; out[id.y"),
                ("out[id.y", "if id.y == 3u { width = 63u; } out[id.y"),
                ("out[id.y", "loop { width -= 1u; if width < words[0] { break; } } out[id.y"),
            ],
        ),
        // The whole dispatch along x.
        (
            "let width = groups.x * 8u; out[id.y * width + id.x] = 1u;".to_owned(),
            2,
            &[
                ("groups.x * 8u", "groups.x * 7u"),
                ("groups.x * 8u", "groups.y * 8u"),
                ("groups.x * 8u", "groups.x"),
                ("+ id.x", "+ id.x + (words[id.x] & 1u)"),
            ],
        ),
        (
            "let at = id.y * groups.x * 8u + id.x; out[at * 2u] = 1u; out[at * 2u + 1u] = 2u;".to_owned(),
            2,
            &[("at * 2u + 1u", "at * 2u + 2u")],
        ),
        // By workgroups.
        (
            "out[(group.y * groups.x + group.x) * 64u + i] = 1u;".to_owned(),
            2,
            &[("* 64u", "* 63u"), ("groups.x +", "groups.y +")],
        ),
        ("if i == 0u { out[group.y * groups.x + group.x] = 1u; }".to_owned(), 2, &[("i == 0u", "i < 2u")]),
        // Three axes.
        (
            "let x = groups.x * 8u; let y = groups.y * 8u; out[(id.z * y + id.y) * x + id.x] = 1u;".to_owned(),
            3,
            &[("id.z * y", "id.z * x"), ("id.y) * x", "id.y) * y"), ("groups.y * 8u", "groups.y * 4u")],
        ),
        (
            "if id.x < 16u && id.y < 16u { out[id.z * 256u + id.y * 16u + id.x] = 1u; }".to_owned(),
            3,
            &[("id.y < 16u", "id.z < 16u"), ("id.z * 256u", "id.z * 255u")],
        ),
        // Items of an array in an array, and vectors.
        (
            "let at = id.xy; if at.x < SPAN { out[at.y * SPAN + at.x] = 1u; }".to_owned(),
            2,
            &[("at.x < SPAN", "at.y < SPAN"), ("id.xy", "id.xx")],
        ),
    ] {
        let wgsl = planar(&body);
        assert_eq!(exact(&wgsl).grid().axes(), axes, "{body}");
        for (there, instead) in misses {
            assert!(body.contains(there), "{body} has no {there}");
            let wgsl = planar(&body.replacen(there, instead, 1));
            let shader = Shader::parse(&wgsl).unwrap_or_else(|finding| panic!("{finding}\n{wgsl}"));
            let grid = shader.grid();
            assert!(shader.class() == Class::Device || grid.axes() < axes, "{instead} for {there} in {body}");
        }
    }
}

#[test]
fn places_of_a_workgroup() {
    for (body, misses) in [
        (
            "tile[local.y * 8u + local.x] = words[id.x]; workgroupBarrier(); out[id.y * groups.x * 8u + id.x] = tile[63u - i];",
            &[("local.y * 8u", "local.y * 7u"), ("local.y", "local.z"), ("workgroupBarrier();", "")][..],
        ),
        // With a border.
        (
            "tile[(local.y + 1u) * 10u + local.x + 1u] = 1u; workgroupBarrier(); out[id.y * groups.x * 8u + id.x] = tile[i];",
            &[("* 10u", "* 6u"), ("local.x + 1u", "local.x + (words[i] & 3u)")],
        ),
        (
            "square[local.y][local.x] = 1u; square[local.y][local.x] += 2u;",
            &[
                ("square[local.y][local.x] += 2u", "square[local.x][local.y] += 2u"),
                ("[local.x] += 2u", "[local.x + 1u] += 2u"),
            ],
        ),
        (
            "for (var k = i; k < 256u; k += 64u) { tile[k] = k; }",
            &[("k += 64u", "k += 63u"), ("k += 64u", "k += words[0]"), ("k = i;", "k = i / 2u;")],
        ),
    ] {
        let wgsl = planar(body);
        exact(&wgsl);
        for (there, instead) in misses {
            assert!(body.contains(there), "{body} has no {there}");
            let wgsl = planar(&body.replacen(there, instead, 1));
            let shader = Shader::parse(&wgsl).unwrap_or_else(|finding| panic!("{finding}\n{wgsl}"));
            assert_eq!(shader.class(), Class::Device, "{instead} for {there} in {body}");
        }
    }
}

#[test]
fn loops_that_stride() {
    for (body, misses) in [
        (
            "let total = groups.x * 256u; for (var k = id.x; k < arrayLength(&out); k += total) { out[k] = out[k] * 3u; }",
            &[
                ("256u", "255u"),
                ("256u", "128u"),
                ("groups.x", "group.x"),
                ("groups.x * 256u", "words[0]"),
                // Comes round past 2^32.
                ("arrayLength(&out)", "words[0]"),
                ("arrayLength(&out)", "0xfffffff0u"),
                ("k < arrayLength(&out)", "k != arrayLength(&out)"),
                ("k = id.x", "k = i"),
                ("k = id.x", "k = id.x / 2u"),
                ("out[k] = ", "out[k + 1u] = "),
                ("out[k] = out", "k += 1u; out[k] = out"),
                ("out[k] = out", "if words[k] == 1u { k = 0u; } out[k] = out"),
                ("out[k] = out", "if words[k] == 1u { continue; } k++; out[k] = out"),
            ][..],
        ),
        (
            "for (var k = id.x; k < min(words[0], 1000u); k += groups.x * 256u) { out[k * 2u] = k; out[k * 2u + 1u] = 3u; }",
            &[("k * 2u + 1u", "k * 2u + 2u"), ("k * 2u] =", "k * 3u] ="), (", 1000u", ", 0xfffffff0u")],
        ),
        (
            "for (var k = id.x; k < arrayLength(&out); k += groups.x * 512u) { out[k] = k; } out[id.x] = 1u;",
            &[("512u", "255u"), ("out[id.x]", "out[id.x + 1u]")],
        ),
        // Columns.
        (
            "if id.x < 100u { for (var y = 0u; y < 9u; y++) { out[y * 100u + id.x] = y; } }",
            &[("y * 100u", "y * 99u"), ("id.x < 100u", "id.x < 101u"), ("y < 9u", "y < words[0]")],
        ),
        // Its own words, one after the other.
        (
            "for (var k = 0u; k < 4u; k++) { out[id.x * 4u + k] = k; }",
            &[
                ("k < 4u", "k < 5u"),
                ("k < 4u", "k < words[0]"),
                ("id.x * 4u", "id.x * 3u"),
                ("{ out[id.x", "{ out[id.x * 4u] = 9u; k += 1u; out[id.x"),
            ],
        ),
    ] {
        exact_main(body);
        for (there, instead) in misses {
            assert!(body.contains(there), "{body} has no {there}");
            let body = body.replacen(there, instead, 1);
            let shader = parse_main(&body);
            assert_eq!(shader.class(), Class::Device, "{instead} for {there}: {body}");
        }
    }
}

#[test]
fn functions_that_touch_what_is_written() {
    let helpers = "fn add(at: u32, by: u32) { out[at] += by; }
        fn place(x: u32, y: u32) -> u32 { return y * 64u + x; }
        fn early(at: u32) -> u32 { if at > 9u { return 3u; } return at; }
        fn put(at: u32) { if at < 100u { add(at, 1u); } }
        fn all(first: u32, step: u32) { for (var k = first; k < arrayLength(&out); k += step) { out[k] = k; } }
        fn share(at: u32) -> u32 { x[at] = at; workgroupBarrier(); return x[255u - at]; }
        fn leave(at: u32) { if words[0] == 1u { return; } workgroupBarrier(); x[at] = 1u; }";
    let text = |body: &str| {
        let main = main_text(body);
        main.replacen("@compute", &format!("{helpers}\n@compute"), 1)
    };
    for (body, misses) in [
        (
            "add(id.x, 2u);",
            &[("id.x", "i"), ("id.x", "id.x / 2u"), ("add(id.x, 2u);", "add(id.x, 2u); add(id.x + 1u, 2u);")][..],
        ),
        ("put(id.x);", &[("id.x", "words[id.x]")]),
        ("out[place(3u, id.x)] = 1u;", &[("3u, id.x", "id.x, words[id.x] & 1u"), ("place(3u, id.x)", "early(id.x)")]),
        ("all(id.x, groups.x * 256u);", &[("256u", "255u"), ("id.x,", "i,")]),
        ("out[id.x] = share(i);", &[("share(i)", "share(i) + x[3]; x[i] = 3u"), ("share(i)", "share(i / 2u)")]),
        (
            "leave(i);",
            &[("leave(i);", "x[255u - i] = 3u; leave(i);"), ("leave(i);", "leave(i); out[id.x] = x[i + 1u];")],
        ),
    ] {
        exact(&text(body));
        for (there, instead) in misses {
            assert!(body.contains(there), "{body} has no {there}");
            let wgsl = text(&body.replacen(there, instead, 1));
            let shader = Shader::parse(&wgsl).unwrap_or_else(|finding| panic!("{finding}\n{wgsl}"));
            assert_eq!(shader.class(), Class::Device, "{instead} for {there} in {body}");
        }
    }
}

#[test]
fn dispatches_that_hold() {
    let line = exact_main("out[id.x] = 1u;").grid();
    assert!(line.holds([65_535, 1, 1]) && line.holds([0, 1, 1]) && line.holds([3, 1, 0]));
    assert!(!line.holds([1, 2, 1]) && !line.holds([1, 1, 2]));
    let plane = exact(&planar("out[id.y * groups.x * 8u + id.x] = 1u;")).grid();
    // 2^26 invocations, 64 a workgroup.
    assert!(plane.holds([1024, 1024, 1]) && plane.holds([65_535, 1, 1]) && !plane.holds([1024, 1025, 1]));
    assert!(!plane.holds([1, 1, 2]) && Grid::ANY.holds([u32::MAX; 3]));
}
