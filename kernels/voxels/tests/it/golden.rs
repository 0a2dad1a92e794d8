//! Golden vectors: every GPU computes these bytes.

use kernel_voxels::{Frame, World};
use p2c2r_guest::testing::Outcome;
use serde::{Deserialize, Serialize};

use crate::run;

/// A row of `tests/golden/voxels.json`: digests in hex. The same rows are checked through the sandbox.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Golden {
    side: u32,
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
    let rows = [(16, 1, 1, 16), (32, 48, 30, 4), (64, 7, 31, 9)].map(|(side, width, height, samples)| {
        let world = World::island(side, 4);
        let task = Frame::harbour(&world, width, height, samples).all_rows();
        let input = p2c2r_guest::encode(task.clone()).unwrap();
        let report = run(&world, &task);
        assert_eq!(report.outcome, Outcome::Output, "{}", report.message());
        let hex = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
        let (input, blob, output) = (hex(&input), hex(&world.to_bytes()), hex(&report.output));
        Golden { side, width, height, samples, input, blob, output, units: report.units }
    });
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/voxels.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(file, serde_json::to_string_pretty(&rows).unwrap() + "\n").unwrap();
    }
    let golden: Vec<Golden> = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(rows.as_slice(), golden);
}
