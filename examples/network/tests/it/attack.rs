//! The network under attack: cheats are real processes.

use serde_json::Value;

use crate::{Ran, ran};

/// Runs the network under an attack; what it found, after its own checks.
fn under(attack: &str, tasks: u64) -> Value {
    let Ran { figures, shown, .. } = ran("npc.wasm", &["--attack", attack, "--tasks", &tasks.to_string()]);
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

/// As many tasks as it takes until peers are trusted, so that most are not checked any more.
#[test]
fn a_cheat_that_waits_until_it_is_trusted_earns_less_than_a_fifth() {
    let figures = under("strategic", 3000);
    assert!(figures["income_percent"].as_u64().unwrap() < 20, "{figures}");
}
