//! Shaders that must pass, and in which class.

use p2c2r_shader::{Class, Shader};

fn exact(wgsl: &str) -> Shader {
    let shader = Shader::parse(wgsl).unwrap_or_else(|finding| panic!("{finding}\n{wgsl}"));
    assert_eq!(shader.findings(), [], "{wgsl}");
    assert_eq!(shader.class(), Class::Exact);
    shader
}

const OUT: &str = "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
@group(0) @binding(1) var<storage, read> words: array<u32>;
var<workgroup> x: array<u32, 256>;\n";

fn exact_main(body: &str) -> Shader {
    exact(&format!(
        "{OUT}@compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3<u32>,
         @builtin(local_invocation_index) i: u32, @builtin(workgroup_id) group: vec3<u32>,
         @builtin(num_workgroups) groups: vec3<u32>) {{ {body} }}"
    ))
}

#[test]
fn maps() {
    let shader = exact_main("if id.x >= arrayLength(&out) { return; } out[id.x] = words[id.x] * 3u;");
    assert!(shader.line_only());
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
    assert!(!shader.line_only());
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
