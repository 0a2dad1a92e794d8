//! Frames cut over real peers, small.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{built, root};

#[test]
fn a_frame_has_the_same_bytes_however_many_peers_it_is_cut_over() {
    let network = Path::new(env!("CARGO_BIN_EXE_network"));
    let (bin, kernels) = (network.parent().unwrap(), root().join("target/kernels"));
    for program in ["p2c2r-coordinator", "p2c2r-peer", "p2c2r-worker"] {
        built(bin.join(program));
    }
    built(kernels.join("raytrace.wasm"));
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("figures.json");
    let run = Command::new(network)
        .args(["--split", "--quick", "--bin", bin.to_str().unwrap(), "--kernels", kernels.to_str().unwrap()])
        .args(["--dir", dir.path().join("network").to_str().unwrap(), "--json", json.to_str().unwrap()])
        .output()
        .unwrap();
    // That the bytes are the same is checked by the run itself.
    let shown = format!("{}\n{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{shown}");
    let figures: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let runs = figures["runs"].as_array().unwrap();
    let of = |name: &str| runs.iter().map(|run| run[name].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!((of("peers"), of("parts"), of("slow_peers")), (vec![1, 2, 2], vec![1, 4, 4], vec![0, 0, 1]), "{shown}");
    assert!(runs.iter().all(|run| run["frame_ms"]["p50"].as_f64().unwrap() > 0.0), "{shown}");
}
