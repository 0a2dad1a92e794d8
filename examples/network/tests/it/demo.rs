//! The whole demo, small: every program of the project as its own process, and the figures it reports.

use serde_json::Value;

use crate::ran;

#[test]
fn the_demo_verifies_pays_and_catches_the_liar() {
    let ran = ran("raytrace.wasm", &["--quick"]);
    let (figures, shown) = (&ran.figures, &ran.shown);
    let number = |value: &Value| value.as_u64().unwrap();
    let ended = number(&figures["tasks_confirmed"]) + number(&figures["tasks_revoked"]);
    assert_eq!(number(&figures["tasks_submitted"]), ended, "{shown}");
    assert!(ended > 0 && number(&figures["tasks_local"]) > 0);
    assert_eq!(figures["ledger_balanced"], true);
    let peers = figures["peers"].as_array().unwrap();
    assert_eq!(peers.len(), 4);
    let earned: u64 = peers.iter().map(|peer| number(&peer["earned_nano_usd"])).sum();
    assert_eq!(number(&figures["client_spent_nano_usd"]), earned + number(&figures["platform_nano_usd"]));
    let liar = &peers[3];
    assert_eq!(number(&liar["earned_nano_usd"]), 0);
    assert!(number(&liar["votes_outvoted"]) > 0);
    let quantile = |name: &str| figures["latency_ms"][name].as_f64().unwrap();
    assert!(0.0 < quantile("p50") && quantile("p50") <= quantile("p95") && quantile("p95") <= quantile("p99"));
    let image = std::fs::metadata(figures["image"].as_str().unwrap()).unwrap();
    assert!(image.len() > 1000);
}
