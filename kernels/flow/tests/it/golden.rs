//! Golden vectors: every GPU computes these bytes.

use kernel_flow::{Spring, Task, Terrain, Water};
use p2c2r_guest::testing::Outcome;
use serde::{Deserialize, Serialize};

use crate::run;

/// A row of `tests/golden/flow.json`: digests in hex. The same rows are checked through the sandbox.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Golden {
    side: u32,
    steps: u32,
    input: String,
    blob: String,
    output: String,
    units: u64,
}

/// `UPDATE_GOLDEN=1` writes the file anew: results then changed on purpose, and the kernel's version with them.
#[test]
fn golden_vectors() {
    let rows = [(1, 4), (33, 60), (64, 200)].map(|(side, steps)| {
        let terrain = Terrain::valley(side, 5);
        // As examples/network/tests/it/kernels.rs makes it.
        let springs =
            vec![Spring { cell: side / 2, flow: 3 << 16 }, Spring { cell: side * side - 1, flow: -(1 << 16) }];
        let task = Task { rain: 700, springs, ..Task::new(steps, Water::none(terrain.cells())) };
        let input = p2c2r_guest::encode(task.clone()).unwrap();
        let report = run(&terrain, &task);
        assert_eq!(report.outcome, Outcome::Output, "{}", report.message());
        let hex = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
        let (input, blob, output) = (hex(&input), hex(&terrain.to_bytes()), hex(&report.output));
        Golden { side, steps, input, blob, output, units: report.units }
    });
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/flow.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(file, serde_json::to_string_pretty(&rows).unwrap() + "\n").unwrap();
    }
    let golden: Vec<Golden> = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(rows.as_slice(), golden);
}
