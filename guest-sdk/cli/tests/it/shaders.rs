//! Shaders on their way into a kernel: blocks are put in before signing, and messages name the author's lines.

use crate::program::{Author, DESCRIPTION, echo_kernel};

/// The description of a kernel with a GPU path.
const GPU: &str = "result_class = 'exact'\n[gpu]\nbuffers = 1\nbuffer_bytes = 1024\ndispatches = 1\nworkgroups = 1\n";

/// A shader of 8 lines; the fourth is `line`.
fn shader(line: &str) -> String {
    format!(
        "// p2c2r: use fixed\n@group(0) @binding(0) var<storage, read_write> numbers: array<i32>;\n\
         fn change(a: i32) -> i32 {{\n{line}\n}}\n\
         @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {{\n\
         numbers[id.x] = change(numbers[id.x]);\n}}"
    )
}

fn author(wgsl: &str) -> Author {
    let author = Author::new();
    author.write("p2c2r.toml", format!("{DESCRIPTION}{GPU}"));
    author.write("compiled.wasm", echo_kernel());
    author.write("shaders/change.wgsl", wgsl);
    author.ok(&["keygen", "author.pem"]);
    author
}

const BUILD: [&str; 6] = ["build", ".", "--module", "compiled.wasm", "--out", "kernel.wasm"];
const SIGN: [&str; 4] = ["sign", "kernel.wasm", "--key", "author.pem"];

#[test]
fn a_signed_kernel_holds_the_blocks_it_uses() {
    let wgsl = shader("return fixed_sqrt(a);");
    let author = author(&wgsl);
    author.ok(&BUILD);
    author.ok(&SIGN);
    let kernel = author.read("kernel.wasm");
    let has = |text: &str| kernel.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has(&wgsl) && has("fn fixed_sqrt(") && has("fn wide_sqrt_nearest("));
    assert!(!has("fn fixed_sin("));
}

#[test]
fn mistakes_are_told_on_the_author_s_line() {
    for (line, part) in [
        ("return i32(f32(a) * 0.5);", "line 4:"),
        ("return fixed_squirt(a);", "line 4:"),
        ("return fixed_sqrt(1.5);", "line 4:"),
    ] {
        let author = author(&shader(line));
        author.ok(&BUILD);
        author.refuses(&SIGN, part);
    }
}

#[test]
fn a_block_that_is_not_there_is_refused_by_name() {
    let author = author(&shader("// p2c2r: use fxied\nreturn a;"));
    author.refuses(&BUILD, "change.wgsl: line 4: there is no block \"fxied\"; there are: fixed, ");
}
