//! Small shaders and what becomes of them: `NAME.wgsl`, `NAME.rewritten.wgsl` and `NAME.sliced.wgsl`. With `P2C2R_BLESS` set
//! those are written anew.

use std::path::{Path, PathBuf};

use naga::back::wgsl::{WriterFlags, write_string};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use p2c2r_shader::Shader;

fn written(module: &naga::Module) -> String {
    let info = Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(module).unwrap();
    write_string(module, &info, WriterFlags::empty()).unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn parsed(name: &str) -> Shader {
    let text = std::fs::read_to_string(folder().join(format!("{name}.wgsl"))).unwrap();
    Shader::parse(&text).unwrap_or_else(|finding| panic!("{finding}"))
}

fn compare(module: &naga::Module, file: &str) {
    let got = written(module);
    let golden = folder().join(file);
    if std::env::var_os("P2C2R_BLESS").is_some() {
        std::fs::write(&golden, &got).unwrap();
    }
    assert_eq!(got, std::fs::read_to_string(golden).unwrap(), "{file}");
}

fn check(name: &str) {
    compare(parsed(name).rewritten().module(), &format!("{name}.rewritten.wgsl"));
}

/// Whether it must be told where its slice begins, and of how many workgroups.
fn check_sliced(name: &str, has_place: bool, asks_total: bool) {
    let sliced = parsed(name).rewritten().sliced().unwrap();
    assert_eq!((sliced.has_place(), sliced.asks_total()), (has_place, asks_total), "{name}");
    compare(sliced.module(), &format!("{name}.sliced.wgsl"));
}

#[test]
fn loops() {
    check("loops");
}

#[test]
fn barriers() {
    check("barriers");
}

#[test]
fn uneven_workgroups() {
    check("uneven");
}

#[test]
fn bounds() {
    check("bounds");
}

#[test]
fn atomics() {
    check("atomics");
}

#[test]
fn shifts() {
    check("shifts");
}

#[test]
fn slices() {
    check_sliced("slices", true, true);
    check_sliced("slices_struct", true, false);
}

#[test]
fn a_shader_that_does_not_ask_where_it_is_stays_as_it_is() {
    let shader = Shader::parse(
        "@group(0) @binding(0) var<storage, read_write> words: array<atomic<u32>, 64>;
         @compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32) { atomicAdd(&words[i], i); }",
    )
    .unwrap();
    let sliced = shader.rewritten().sliced().unwrap();
    assert!(!sliced.has_place() && !sliced.asks_total());
    assert_eq!(written(sliced.module()), written(shader.rewritten().module()));
}
