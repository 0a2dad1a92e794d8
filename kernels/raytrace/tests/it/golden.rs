//! Golden vectors: every machine, native or Wasm, computes these bytes on the CPU path.

use kernel_raytrace::{Frame, Mesh, Scene, raytrace};
use p2c2r_guest::testing::{Host, Outcome};
use serde::{Deserialize, Serialize};

/// A row of `tests/golden/raytrace.json`: digests in hex. The same rows are checked through the sandbox.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Golden {
    width: u32,
    height: u32,
    samples: u32,
    input: String,
    blob: String,
    output: String,
    units: u64,
}

/// `UPDATE_GOLDEN=1` writes the file anew: results then changed on purpose, and the kernel's version with them.
#[test]
fn golden_vectors() {
    let blob = Scene::studio(&Mesh::procedural()).to_bytes();
    let rows = [(1, 1, 16), (48, 27, 4), (7, 31, 2)].map(|(width, height, samples)| {
        let input = Frame::studio(width, height, samples).all_rows().to_bytes();
        let report = Host::new().input(input.clone()).blob(blob.clone()).run(raytrace);
        assert_eq!(report.outcome, Outcome::Output, "{}", report.message());
        let hex = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
        let (input, blob, output) = (hex(&input), hex(&blob), hex(&report.output));
        Golden { width, height, samples, input, blob, output, units: report.units }
    });
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/raytrace.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(file, serde_json::to_string_pretty(&rows).unwrap() + "\n").unwrap();
    }
    let golden: Vec<Golden> = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(rows.as_slice(), golden);
}
