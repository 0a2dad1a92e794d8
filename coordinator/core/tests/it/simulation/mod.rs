//! Seeded simulation of a whole network in one thread: a virtual clock, delayed and broken connections, hostile peers
//! and clients, a store that is slow, stops and loses what it had not written, and coordinators that die at any moment.
//!
//! What must hold is checked after every event (see `audit`) and at the end, when everything must have drained. A
//! failure prints its seed; `P2C2R_SIM_SEEDS=first..last` runs others, `P2C2R_SIM_STEPS` makes them longer.

mod audit;
mod client;
mod dice;
mod peer;
mod store;
mod world;

use std::panic::AssertUnwindSafe;

use world::{Adapters, World};

fn setting(name: &str, default: &str) -> String {
    // Test settings only: the market itself reads no environment.
    #[expect(clippy::disallowed_methods, reason = "a test's own settings")]
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

#[test]
fn honest_work_is_paid_and_nothing_else_whatever_happens() {
    let seeds = setting("P2C2R_SIM_SEEDS", "0..200");
    let (first, last) = seeds.split_once("..").unwrap();
    let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
    let steps: u64 = setting("P2C2R_SIM_STEPS", "300").parse().unwrap();
    let mut totals = world::Totals::default();
    for seed in first..last {
        let run = std::panic::catch_unwind(AssertUnwindSafe(|| World::new(seed, Adapters::Differ).run(steps)));
        match run {
            Ok(run) => totals.add(&run),
            Err(_) => panic!("the simulation failed: seed {seed}, {steps} steps"),
        }
    }
    // The simulation must have been about something.
    if last - first >= 100 {
        assert!(totals.confirmed > 2_000 && totals.revoked > 50 && totals.unverified > 50, "{totals:?}");
        assert!(totals.crashes > 50 && totals.recovered > 50 && totals.refused > 500, "{totals:?}");
        assert!(totals.refereed > 100, "{totals:?}");
        assert!(totals.forfeited > 10_000 && totals.refunded > 0, "{totals:?}");
        assert!(totals.rechecked[0] > 10 && totals.rechecked[1] > 30, "{totals:?}");
        assert!(totals.goldens > 200, "{totals:?}");
        assert!(totals.outvoted > 200 && totals.void > 20, "{totals:?}");
    }
}

/// Seeds that found something: 587, a golden task that was paid out of what was set aside for a rerun in the same batch; 2290, an
/// answer to late work whose acknowledgement was taken for that of a batch still with the store; 2891, a task that the referee had
/// decided, and that after a restart nobody decided any more. All adapters were of one class then.
#[test]
fn what_was_found_stays_mended() {
    [587, 2290, 2891].into_iter().for_each(|seed| drop(World::new(seed, Adapters::Alike).run(300)));
}

#[test]
fn a_seed_is_a_run() {
    let run = |seed| World::new(seed, Adapters::Differ).run(200);
    let (a, b) = (run(42), run(42));
    assert_eq!(a, b);
    assert_ne!(a.journal, run(43).journal);
}
