//! `lint` and `probe`.

use serde_json::Value;

use crate::program::{Author, text};

const EXACT: &str = "@group(0) @binding(0) var<storage, read_write> words: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    words[id.x] = words[id.x] * 3u;
}";

const FLOATS: &str = "@group(0) @binding(0) var<storage, read_write> words: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    words[id.x] = sqrt(words[id.x]);
}";

const BROKEN: &str = "@group(0) @binding(0) var<storage, read_write> words: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32) {
    if i < 3u {
        workgroupBarrier();
    }
}";

/// Lints a file and gives its exit code and report.
fn lint(author: &Author, file: &str) -> (Option<i32>, Value) {
    let output = author.run(&["lint", file, "--json"], b"");
    (
        output.status.code(),
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr))),
    )
}

#[test]
fn each_class_has_its_exit_code_and_its_lines() {
    let author = Author::new();
    for (wgsl, class, code, line) in [
        (EXACT, "exact", 0, None),
        (FLOATS, "device", 0, Some(3)),
        (BROKEN, "refused", 1, Some(4)),
        ("fn main() {\n let x = ;\n}", "refused", 1, Some(2)),
        (
            "@group(1) @binding(0) var<storage> w: array<u32>;\n@compute @workgroup_size(1) fn main() {}",
            "refused",
            1,
            Some(1),
        ),
    ] {
        author.write("s.wgsl", wgsl);
        let (got, report) = lint(&author, "s.wgsl");
        assert_eq!(report["class"], class, "{report}");
        assert_eq!(got, Some(code), "{report}");
        let findings = report["findings"].as_array().unwrap();
        assert_eq!(findings.is_empty(), class == "exact", "{report}");
        if let Some(line) = line {
            assert!(findings.iter().any(|finding| finding["line"] == line), "{report}");
            assert!(findings.iter().all(|finding| !finding["message"].as_str().unwrap().is_empty()), "{report}");
        }
    }
}

#[test]
fn people_get_file_line_and_sentence() {
    let author = Author::new();
    author.write("s.wgsl", FLOATS);
    let said = author.ok(&["lint", "s.wgsl"]);
    assert!(said.starts_with("s.wgsl:3:"), "{said}");
    assert!(
        said.contains("s.wgsl: takes binding 0: at least 4 bytes, may be written; dispatched along x, y and z\n"),
        "{said}"
    );
    assert!(said.ends_with("s.wgsl: device: results compare only between adapters of one numeric class\n"), "{said}");
    author.write("s.wgsl", BROKEN);
    let output = author.run(&["lint", "s.wgsl"], b"");
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), String::new()));
    assert!(text(&output.stdout).starts_with("s.wgsl:4:"), "{}", text(&output.stdout));
    author.refuses(&["lint", "nowhere.wgsl"], "nowhere.wgsl");
    author.write("s.wgsl", [0xff, 0xfe]);
    author.refuses(&["lint", "s.wgsl"], "UTF-8");
}

#[test]
fn blocks_are_put_in_as_in_a_build() {
    let author = Author::new();
    for file in ["flow/shaders/pipes.wgsl", "flow/shaders/depths.wgsl", "voxels/shaders/trace.wgsl"] {
        let kernels = concat!(env!("CARGO_MANIFEST_DIR"), "/../../kernels");
        let (code, report) = lint(&author, &format!("{kernels}/{file}"));
        assert_eq!((code, &report["class"]), (Some(0), &Value::from("exact")), "{file}: {report}");
    }
    let linted = |wgsl: &str| {
        author.write("s.wgsl", wgsl);
        lint(&author, "s.wgsl").1
    };
    let report = linted("// p2c2r: use map\n// p2c2r: use fxied\n");
    assert_eq!(
        (&report["class"], &report["findings"][0]["line"]),
        (&Value::from("refused"), &Value::from(2)),
        "{report}"
    );
    assert!(report["findings"][0]["message"].as_str().unwrap().contains("no block \"fxied\""), "{report}");
    let said = text(&author.run(&["lint", "s.wgsl"], b"").stdout);
    assert!(said.starts_with("s.wgsl:2: there is no block"), "{said}");
    // The skeleton's own line, and the block's name: what the author gave it is of another type than it says.
    let report = linted("// p2c2r: use map\nalias Item = u32;\nfn map_item(at: u32, item: u32) -> i32 { return 1; }");
    assert_eq!(
        (&report["class"], &report["findings"][0]["block"]),
        (&Value::from("refused"), &Value::from("map")),
        "{report}"
    );
    let block = p2c2r_wgsl::BLOCKS.iter().find(|block| block.name == "map").unwrap().text;
    let line = report["findings"][0]["line"].as_u64().unwrap() as usize;
    assert!(block.lines().nth(line - 1).unwrap().contains("map_item("), "{report}");
    assert!(text(&author.run(&["lint", "s.wgsl"], b"").stdout).starts_with(&format!("s.wgsl:block map:{line}:")));
}

#[test]
fn the_shaders_of_a_module_are_named_and_measured_by_its_manifest() {
    let author = Author::new();
    let json = |class: &str| {
        format!(
            r#"{{"name":"t","version":"0.1.0","abi":1,"publisher":"t","unit":"u","result_class":"{class}",
                "gpu":{{"buffers":1,"buffer_bytes":4,"dispatches":1,"workgroups":1}}}}"#
        )
    };
    for (class, shader, want, code) in [
        ("exact", EXACT, "exact", 0),
        ("device", EXACT, "exact", 0),
        ("device", FLOATS, "device", 0),
        ("exact", FLOATS, "refused", 1),
        ("device", BROKEN, "refused", 1),
    ] {
        let manifest = p2c2r_signing::Manifest::from_json(json(class).as_bytes()).unwrap();
        let shaders = [("first".to_owned(), EXACT.to_owned()), ("second".to_owned(), shader.to_owned())];
        author.write("k.wasm", p2c2r_signing::attach(b"\0asm\x01\0\0\0", &manifest, &shaders).unwrap());
        let (got, report) = lint(&author, "k.wasm");
        assert_eq!((&report["class"], got), (&Value::from(want), Some(code)), "{class}: {report}");
        let findings = report["findings"].as_array().unwrap();
        assert!(findings.iter().all(|finding| finding["shader"] == "second" || finding["line"].is_null()), "{report}");
    }
    // Places are in the files that the module was built from, as editors take them.
    let said = text(&author.run(&["lint", "k.wasm"], b"").stdout);
    assert!(
        said.starts_with("shaders/second.wgsl:4:") && said.ends_with("k.wasm: refused: no peer runs it\n"),
        "{said}"
    );
    author.write("k.wasm", "not wasm");
    author.refuses(&["lint", "k.wasm"], "k.wasm");
}

#[test]
fn every_adapter_is_listed_with_its_votes() {
    let author = Author::new();
    let report: Value = serde_json::from_str(&author.ok(&["probe", "--json"])).unwrap();
    let adapters = report["adapters"].as_array().unwrap();
    let said = author.ok(&["probe"]);
    if adapters.is_empty() {
        assert!(std::env::var_os("P2C2R_REQUIRE_GPU").is_none(), "no adapter");
        assert!(said.starts_with("no "), "{said}");
        return eprintln!("SKIPPED: no GPU adapter");
    }
    for adapter in adapters {
        assert!(said.contains(adapter["name"].as_str().unwrap()), "{said}");
        if adapter["name"].as_str().unwrap().contains("llvmpipe") {
            assert_eq!(adapter["votes"], serde_json::json!(["device"]));
            assert_eq!((&adapter["long_loops"], &adapter["software"]), (&Value::from(false), &Value::from(true)));
            assert_eq!(adapter["numeric_class"].as_str().unwrap().len(), 64);
            assert!(adapter["problems"][0].as_str().unwrap().contains("loops"), "{adapter}");
        }
    }
}
