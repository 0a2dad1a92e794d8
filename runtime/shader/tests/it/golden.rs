//! Small shaders and what becomes of them: `NAME.wgsl` and `NAME.rewritten.wgsl`. With `P2C2R_BLESS` set the second is
//! written anew.

use std::path::Path;

use naga::back::wgsl::{WriterFlags, write_string};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use p2c2r_shader::Shader;

fn written(module: &naga::Module) -> String {
    let info = Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(module).unwrap();
    write_string(module, &info, WriterFlags::empty()).unwrap()
}

fn check(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let text = std::fs::read_to_string(folder.join(format!("{name}.wgsl"))).unwrap();
    let got = written(Shader::parse(&text).unwrap_or_else(|finding| panic!("{finding}")).rewritten().module());
    let golden = folder.join(format!("{name}.rewritten.wgsl"));
    if std::env::var_os("P2C2R_BLESS").is_some() {
        std::fs::write(&golden, &got).unwrap();
    }
    assert_eq!(got, std::fs::read_to_string(golden).unwrap(), "{name}");
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
