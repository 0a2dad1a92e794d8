//! Which modules are prepared.

use p2c2r_runtime::gpu::GpuLoadError;

use crate::bench::{DOUBLE, adapter, module};

#[test]
fn shaders_come_from_the_module_only() {
    let Some(gpu) = adapter() else { return };
    assert_eq!(gpu.prepare(&module(&[("double", DOUBLE)])).unwrap().len(), 1);
    assert!(gpu.prepare(&module(&[])).unwrap().is_empty());
}

#[test]
fn a_bad_shader_is_refused_with_its_name_and_line() {
    let Some(gpu) = adapter() else { return };
    let check = |wgsl: &str, line: Option<u32>, needle: &str| {
        let error = gpu.prepare(&module(&[("double", DOUBLE), ("worse", wgsl)])).unwrap_err();
        let GpuLoadError::Shader { shader, line: at, reason } = &error else { panic!("{error}") };
        assert_eq!((shader.as_str(), at.map(|(l, _)| l)), ("worse", line), "{error}");
        assert!(reason.contains(needle), "{error}");
        if let Some(line) = line {
            assert!(error.to_string().contains(&format!("line {line}:")), "{error}");
        }
    };
    check("@compute @workgroup_size(1)\nfn main() {\n    let x = 1u +;\n}", Some(3), "expected");
    check(
        "@compute @workgroup_size(1) fn main() { }\n@group(0) @binding(0) var t: texture_2d<f32>;",
        Some(2),
        "address space",
    );
    check(
        "@group(0) @binding(0) var<storage, read> a: array<u32>;
         @compute @workgroup_size(1) fn main() { a[0] = 1u; }",
        Some(2),
        "",
    );
    check("@compute @workgroup_size(1) fn main(@builtin(subgroup_size) n: u32) { }", None, "SUBGROUP");
    check("@compute @workgroup_size(1) fn first() { }", None, "entry point");
}
