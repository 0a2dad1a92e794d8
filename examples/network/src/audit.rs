//! The books, computed a second time from the list of settled executions, by code that shares nothing with the
//! coordinator's: what every peer must have earned, what the platform must have kept, what the client must have paid.

use std::collections::{BTreeMap, BTreeSet};

use p2c2r_signing::PublicKey;

use crate::admin::SettledExecution;

/// Peers' part of what clients pay, percent.
const PEER_PERCENT: u64 = 75;

/// What the rules say everybody is due, nano-USD.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Dues {
    /// Per peer key.
    pub peers: BTreeMap<PublicKey, u64>,
    /// The platform's part.
    pub platform: u64,
    /// What clients pay.
    pub clients: u64,
}

/// Applies the pay rule: within a batch and kernel, the peers' 75 % of all task costs is divided by units over the right
/// executions, rounded down; what is left goes to the platform.
#[must_use]
pub fn dues(executions: &[SettledExecution]) -> Dues {
    let mut pools: BTreeMap<(u64, &str), Vec<&SettledExecution>> = BTreeMap::new();
    for execution in executions {
        pools.entry((execution.batch, &execution.module)).or_default().push(execution);
    }
    let mut dues = Dues::default();
    for lines in pools.values() {
        let tasks: BTreeMap<&str, u64> = lines
            .iter()
            .filter(|line| line.standing == "agreed")
            .map(|line| (line.task.as_str(), line.task_cost_nano_usd))
            .collect();
        let charged: u64 = tasks.values().sum();
        let pool = u128::from(charged) * u128::from(PEER_PERCENT) / 100;
        let right: Vec<_> = lines.iter().filter(|line| line.standing == "agreed").collect();
        let units: u128 = right.iter().map(|line| u128::from(line.units)).sum();
        let mut paid = 0;
        for line in right {
            let earned = (pool * u128::from(line.units)).checked_div(units).unwrap_or(0);
            let earned = u64::try_from(earned).expect("a part of a u64 pool fits");
            *dues.peers.entry(line.peer).or_default() += earned;
            paid += earned;
        }
        dues.clients += charged;
        dues.platform += charged - paid;
    }
    dues
}

/// Every way in which the coordinator's own lines break the rule; empty when the books hold.
#[must_use]
pub fn findings(executions: &[SettledExecution], liars: &BTreeSet<PublicKey>) -> Vec<String> {
    let mut findings = Vec::new();
    for line in executions {
        if line.standing != "agreed" && line.earned_nano_usd != 0 {
            findings.push(format!(
                "task {}: a {} execution of {} was paid {} nano-USD",
                line.task, line.standing, line.peer, line.earned_nano_usd
            ));
        }
        if liars.contains(&line.peer) && line.standing == "agreed" {
            findings.push(format!("task {}: a lie of {} was taken for right", line.task, line.peer));
        }
    }
    let mut paid: BTreeMap<PublicKey, u64> = BTreeMap::new();
    for line in executions {
        *paid.entry(line.peer).or_default() += line.earned_nano_usd;
    }
    paid.retain(|_, earned| *earned > 0);
    let mut due = dues(executions).peers;
    due.retain(|_, earned| *earned > 0);
    if paid != due {
        findings.push(format!("peers were paid {paid:?}, but are due {due:?}"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(task: &str, peer: u8, units: u64, cost: u64, standing: &str, earned: u64) -> SettledExecution {
        SettledExecution {
            batch: 1,
            task: task.to_owned(),
            module: "m".to_owned(),
            peer: p2c2r_signing::SecretKey::from_seed(&[peer; 32]).public(),
            units,
            task_cost_nano_usd: cost,
            standing: standing.to_owned(),
            earned_nano_usd: earned,
        }
    }

    #[test]
    fn two_right_executions_share_three_quarters() {
        let lines = [line("a", 1, 10, 200, "agreed", 75), line("a", 2, 10, 200, "agreed", 75)];
        let dues = dues(&lines);
        assert_eq!((dues.clients, dues.platform), (200, 50));
        assert!(findings(&lines, &BTreeSet::new()).is_empty());
    }

    #[test]
    fn a_paid_lie_is_found() {
        let lines = [line("a", 1, 10, 200, "agreed", 75), line("a", 2, 10, 200, "outvoted", 75)];
        assert_eq!(findings(&lines, &BTreeSet::new()).len(), 2);
    }

    #[test]
    fn a_lie_taken_for_right_is_found() {
        let lines = [line("a", 1, 10, 100, "agreed", 75)];
        let liars = BTreeSet::from([lines[0].peer]);
        assert_eq!(findings(&lines, &liars).len(), 1);
    }

    #[test]
    fn one_nano_usd_off_is_found() {
        let lines = [line("a", 1, 10, 101, "agreed", 76)];
        assert_eq!(dues(&lines).platform, 26);
        assert_eq!(findings(&lines, &BTreeSet::new()).len(), 1);
    }
}
