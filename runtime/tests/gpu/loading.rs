//! Which modules are prepared.

use p2c2r_runtime::gpu::GpuLoadError;
use p2c2r_signing::ResultClass;

use crate::bench::{DOUBLE, adapter, claiming, module};

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
        "textures are not allowed",
    );
    check(
        "@group(0) @binding(0) var<storage, read> a: array<u32>;
         @compute @workgroup_size(1) fn main() { a[0] = 1u; }",
        Some(2),
        "",
    );
    check("@compute @workgroup_size(1) fn main(@builtin(subgroup_size) n: u32) { }", Some(1), "subgroups");
    check("@compute @workgroup_size(1) fn first() { }", Some(1), "entry point");
}

#[test]
fn exact_is_what_the_analysis_says_not_what_the_manifest_claims() {
    let Some(gpu) = adapter() else { return };
    let half = "@group(0) @binding(0) var<storage, read_write> words: array<u32>;
        @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            words[id.x] = u32(f32(words[id.x]) * 0.5);
        }";
    let racy = "@group(0) @binding(0) var<storage, read_write> words: array<u32>;
        @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            words[id.x / 2u] = id.x;
        }";
    for (wgsl, needle) in [(half, "float"), (racy, "global_invocation_id.x")] {
        let shaders = [("double", DOUBLE), ("worse", wgsl)];
        gpu.prepare(&claiming(ResultClass::Device, &shaders)).unwrap();
        let error = gpu.prepare(&claiming(ResultClass::Exact, &shaders)).unwrap_err();
        let GpuLoadError::Inexact { shader, findings } = &error else { panic!("{error}") };
        assert_eq!((shader.as_str(), findings[0].place.unwrap().line), ("worse", 3));
        assert!(error.to_string().contains("line 3:") && error.to_string().contains(needle), "{error}");
    }
    gpu.prepare(&claiming(ResultClass::Exact, &[("double", DOUBLE)])).unwrap();
}
