//! What a run came to, as a table's line and as JSON.

use std::collections::BTreeMap;

use p2c2r_signing::AccountId;

use crate::attack::Attack;

/// Nano-USD a client pays for one execution.
pub const PRICE: u64 = 10_000;
/// Nano-USD an execution costs who does the work: a third of its pay. A lie costs nothing.
pub const WORK_COST: u64 = 2_500;

/// Counts of a run.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    /// Tasks submitted and answered in time, second half of the run.
    pub(crate) submitted: u64,
    pub(crate) answered: u64,
    pub(crate) refused: u64,
    pub(crate) wrong_provisional: u64,
    pub(crate) on_quorum: u64,
    pub(crate) wrong_on_quorum: u64,
    pub(crate) on_window: u64,
    pub(crate) wrong_confirmed_window: u64,
    pub(crate) wrong_never_withdrawn: u64,
    pub(crate) withdrawn: u64,
    pub(crate) forfeited: BTreeMap<AccountId, u64>,
    pub(crate) honest_margin: i128,
    pub(crate) attacker_margin: i128,
    pub(crate) honest_punished: u64,
}

impl Tallies {
    pub(crate) fn peer(&mut self, attacker: bool, margin: i128, lost: bool) {
        if attacker {
            self.attacker_margin += margin;
        } else {
            self.honest_margin += margin;
            self.honest_punished += u64::from(lost);
        }
    }
}

/// What a run came to. Shares are of the tasks that were confirmed, in parts per million.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// The rule of verification.
    pub rule: String,
    /// The attack.
    pub attack: Attack,
    /// Peers that attack.
    pub attackers: u64,
    /// All peers.
    pub peers: u64,
    /// Tasks confirmed.
    pub confirmed: u64,
    /// Tasks refused.
    pub refused: u64,
    /// Wrong answers delivered before their verdict.
    pub wrong_provisional: u64,
    /// Tasks that rest on a quorum.
    pub on_quorum: u64,
    /// Wrong ones among them.
    pub wrong_on_quorum: u64,
    /// Tasks that rest on one execution and the pay held for it.
    pub on_window: u64,
    /// Wrong ones among them when they were confirmed.
    pub wrong_on_window: u64,
    /// Wrong ones among them that were never withdrawn.
    pub wrong_kept: u64,
    /// Answers withdrawn, right ones too.
    pub withdrawn: u64,
    /// Wrong answers kept, by quorum or window, of a million confirmed.
    pub wrong_kept_ppm: u64,
    /// Mean margin of an attacker, percent of an honest peer's; negative if it lost.
    pub attacker_margin_percent: i64,
    /// Executions for a thousand confirmed tasks, second half of the run.
    pub executions_per_1000_tasks: u64,
    /// Honest peers that lost money, or are suspended at the end.
    pub honest_punished: u64,
    /// Tasks answered inside their 100 ms, of a million submitted, second half of the run; refused ones are not. `None`
    /// where time is not modelled.
    pub in_time_ppm: Option<u64>,
    /// Whether the kernel was held to be at fault, if only for a while.
    pub kernel_at_fault: bool,
}

impl Report {
    pub(crate) fn new(
        rule: &str,
        attack: Attack,
        attackers: usize,
        peers: usize,
        tallies: &Tallies,
        attempts: u64,
        tasks: u64,
    ) -> Self {
        let confirmed = tallies.on_quorum + tallies.on_window;
        let (bad, honest) = (attackers as i128, (peers - attackers) as i128);
        // Means of both, as a quotient of products.
        let (mine, theirs) = (tallies.attacker_margin * honest, tallies.honest_margin * bad);
        let percent = (mine * 100).checked_div(theirs).unwrap_or(0);
        Self {
            rule: rule.to_owned(),
            attack,
            attackers: attackers as u64,
            peers: peers as u64,
            confirmed,
            refused: tallies.refused,
            wrong_provisional: tallies.wrong_provisional,
            on_quorum: tallies.on_quorum,
            wrong_on_quorum: tallies.wrong_on_quorum,
            on_window: tallies.on_window,
            wrong_on_window: tallies.wrong_confirmed_window,
            wrong_kept: tallies.wrong_never_withdrawn,
            withdrawn: tallies.withdrawn,
            wrong_kept_ppm: ((tallies.wrong_on_quorum + tallies.wrong_never_withdrawn) * 1_000_000)
                .checked_div(confirmed)
                .unwrap_or(0),
            attacker_margin_percent: i64::try_from(percent).unwrap_or(i64::MAX),
            executions_per_1000_tasks: (attempts * 1_000).checked_div(tasks).unwrap_or(0),
            honest_punished: tallies.honest_punished,
            in_time_ppm: (tallies.answered * 1_000_000).checked_div(tallies.submitted),
            kernel_at_fault: false,
        }
    }

    /// The table's head.
    #[must_use]
    pub fn head() -> String {
        format!(
            "{:<12}{:<12}{:>6}{:>11}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>8}{:>8}{:>9}{:>8}",
            "rule",
            "attack",
            "bad %",
            "confirmed",
            "refused",
            "w.prov",
            "w.quorum",
            "w.window",
            "w.kept",
            "kept ppm",
            "income%",
            "exec/1k",
            "punished",
            "100ms%"
        )
    }

    /// Its line of the table.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "{:<12}{:<12}{:>6}{:>11}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>8}{:>8}{:>9}{:>8}",
            self.rule,
            self.attack.name(),
            (self.attackers * 100).checked_div(self.peers).unwrap_or(0),
            self.confirmed,
            self.refused,
            self.wrong_provisional,
            self.wrong_on_quorum,
            self.wrong_on_window,
            self.wrong_on_quorum + self.wrong_kept,
            self.wrong_kept_ppm,
            self.attacker_margin_percent,
            self.executions_per_1000_tasks,
            self.honest_punished,
            percent(self.in_time_ppm)
        )
    }
}

/// Parts in a million as percent with two digits.
pub(crate) fn percent(ppm: Option<u64>) -> String {
    ppm.map_or_else(|| "-".to_owned(), |ppm| format!("{}.{:02}", ppm / 10_000, ppm % 10_000 / 100))
}
