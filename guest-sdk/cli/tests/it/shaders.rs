//! Shaders on their way into a kernel: blocks are put in before signing, and messages name the author's lines.

use crate::program::{Author, DESCRIPTION, echo_kernel, text};

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
fn what_no_peer_runs_is_refused_before_it_is_built() {
    for (line, part) in [
        ("return fixed_squirt(a);", "error: ./shaders/change.wgsl:4:"),
        ("return fixed_sqrt(1.5);", "error: ./shaders/change.wgsl:4:"),
    ] {
        author(&shader(line)).refuses(&BUILD, part);
    }
}

#[test]
fn what_is_not_exact_is_told_when_it_is_built_and_refused_when_it_is_signed() {
    let author = author(&shader("return i32(f32(a) * 0.5);"));
    let said = text(&author.run(&BUILD, b"").stderr);
    assert!(said.starts_with("warning: ./shaders/change.wgsl:4:"), "{said}");
    assert!(said.contains("warning: the manifest says result_class = \"exact\""), "{said}");
    let [build @ .., _, _] = BUILD;
    assert_eq!(text(&author.run(&[&build[..], &["--quiet", "--out", "kernel.wasm"]].concat(), b"").stderr), "");
    let error = author.fails(&SIGN);
    assert!(error.starts_with("error: cannot sign kernel.wasm: the manifest says"), "{error}");
    assert!(error.contains("\nshaders/change.wgsl:4:"), "{error}");
    let error = author.fails(&["run", "kernel.wasm"]);
    assert!(error.contains("no peer runs the shaders of kernel.wasm: the manifest says"), "{error}");
}

#[test]
fn shaders_where_nobody_looks_are_told() {
    let author = author(&shader("return a;"));
    let said = |author: &Author| text(&author.run(&BUILD, b"").stderr);
    assert_eq!(said(&author), "");
    author.write("shader/one.wgsl", "");
    author.write("shaders/more/two.wgsl", "");
    author.write("three.wgsl", "");
    let warnings = said(&author);
    for file in ["./shader/one.wgsl", "./shaders/more/two.wgsl", "./three.wgsl"] {
        assert!(warnings.contains(&format!("warning: {file} is left out: ")), "{warnings}");
    }
    std::fs::remove_file(author.path("shaders/change.wgsl")).unwrap();
    assert!(said(&author).contains("p2c2r.toml has [gpu] and there is no ./shaders/*.wgsl"), "{}", said(&author));
    assert!(author.ok(&["lint", "kernel.wasm"]).ends_with("kernel.wasm: no shaders\n"));
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_shader() {
    let wgsl = shader("return a;");
    let author = author(&format!("\u{feff}{wgsl}"));
    author.ok(&BUILD);
    author.ok(&["lint", "shaders/change.wgsl"]);
    let kernel = author.read("kernel.wasm");
    assert!(!kernel.windows(3).any(|window| window == "\u{feff}".as_bytes()));
}

#[test]
fn a_block_that_is_not_there_is_refused_by_name() {
    let author = author(&shader("// p2c2r: use fxied\nreturn a;"));
    author.refuses(&BUILD, "change.wgsl:4: there is no block \"fxied\"; there are: fixed, ");
}
