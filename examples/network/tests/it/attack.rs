//! The network under attack: cheats are real processes.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{built, root};

/// Runs the network under an attack; what it found, after its own checks.
fn under(attack: &str, tasks: u64) -> Value {
    let network = Path::new(env!("CARGO_BIN_EXE_network"));
    let (bin, kernels) = (network.parent().unwrap(), root().join("target/kernels"));
    for program in ["p2c2r-coordinator", "p2c2r-peer", "p2c2r-worker"] {
        built(bin.join(program));
    }
    built(kernels.join("npc.wasm"));
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("figures.json");
    let run = Command::new(network)
        .args(["--attack", attack, "--tasks", &tasks.to_string()])
        .args(["--bin", bin.to_str().unwrap(), "--kernels", kernels.to_str().unwrap()])
        .args(["--dir", dir.path().join("network").to_str().unwrap(), "--json", json.to_str().unwrap()])
        .output()
        .unwrap();
    let shown = format!("{}\n{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{shown}");
    let figures: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let number = |name: &str| figures[name].as_u64().unwrap();
    assert_eq!(number("tasks"), tasks);
    assert_eq!(number("verdicts") + number("refused"), tasks, "{shown}");
    assert!(figures["ledger_balanced"] == true && number("honest_punished") == 0, "{shown}");
    figures
}

#[test]
fn a_liar_is_caught_and_earns_nothing() {
    let figures = under("liar", 300);
    assert_eq!(figures["wrong_confirmed"], 0);
    assert_eq!(figures["income_percent"], 0);
    assert!(figures["caught"][0].as_u64().unwrap() > 0);
}

#[test]
fn an_answer_that_its_client_gives_away_is_no_vote() {
    let figures = under("copier", 300);
    assert_eq!((&figures["wrong_provisional"], &figures["cheats_agreed"]), (&Value::from(0), &Value::from(0)));
}

#[test]
fn those_that_never_answer_keep_nobody_waiting_for_ever() {
    let figures = under("hoarder", 100);
    assert_eq!((&figures["wrong_confirmed"], &figures["income_percent"]), (&Value::from(0), &Value::from(0)));
}
