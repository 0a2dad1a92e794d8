//! Counters and gauges for `/metrics` and reports. Counters start at 0 with the process.

/// What the market did and how full it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Tasks accepted.
    pub tasks_submitted: u64,
    /// Tasks that ended in `TaskRefused`, at once or in the queue.
    pub tasks_refused: u64,
    /// Of them, those refused at once because they were predicted to miss their deadline.
    pub tasks_refused_late: u64,
    /// Tasks confirmed, revoked answers included.
    pub tasks_confirmed: u64,
    /// Confirmed tasks whose first answer was wrong.
    pub tasks_revoked: u64,
    /// Of them, those that rest on a window of held pay; the others rest on a quorum or a referee.
    pub tasks_on_held_window: u64,
    /// Of them, those a referee decided.
    pub tasks_on_referee: u64,
    /// Answers withdrawn after their verdict, because their peer lied; those replaced by the right one as well.
    pub tasks_withdrawn: u64,
    /// Answers of a liar that others ran again.
    pub rechecks: u64,
    /// Of them, those that were right and stand.
    pub rechecks_right: u64,
    /// Of them, those that were wrong and replaced.
    pub rechecks_wrong: u64,
    /// Gauge: bytes of work kept for that.
    pub recheck_bytes: u64,
    /// Tasks the platform had executed once more than asked, to check.
    pub audits: u64,
    /// Of them, those that ended without the check: nobody could be asked in time.
    pub audits_waived: u64,
    /// Golden tasks given out.
    pub goldens: u64,
    /// Golden tasks whose confirmed answer others found wrong: those who confirmed it were in league, or all wrong.
    pub goldens_refuted: u64,
    /// Gauge: bytes of golden tasks kept.
    pub golden_bytes: u64,
    /// Disputes the referee decided and ran once more, to see whether it agrees with itself.
    pub referee_checks: u64,
    /// Wrong votes forgiven because their kernel turned out to be at fault.
    pub penalties_lifted: u64,
    /// Nano-USD of forfeited pay given back with them.
    pub restored_nano_usd: u64,
    /// Gauge: kernels held to be at fault.
    pub kernels_suspected: u64,
    /// Tasks that ended without a quorum.
    pub tasks_unverified: u64,
    /// Tasks rebuilt from tickets after a restart.
    pub tasks_recovered: u64,
    /// Attempts given to peers.
    pub attempts: u64,
    /// Attempts beyond the first `replicas` of a task.
    pub reissues: u64,
    /// Attempts given out because others of their task were slow; not among `reissues`.
    pub hedges: u64,
    /// Of them, those that brought the answer the client got first.
    pub hedges_won: u64,
    /// Results that were counted as votes.
    pub votes: u64,
    /// Results that came twice, too late or for nothing known.
    pub results_late: u64,
    /// Votes settled as right.
    pub votes_agreed: u64,
    /// Votes settled as wrong.
    pub votes_outvoted: u64,
    /// Attempts that ended without an outcome.
    pub faults: u64,
    /// Settlement batches cut.
    pub batches: u64,
    /// Nano-USD charged to sessions in them.
    pub charged_nano_usd: u64,
    /// Nano-USD of it paid to peers.
    pub paid_nano_usd: u64,
    /// Nano-USD of it kept by the platform.
    pub fee_nano_usd: u64,
    /// Nano-USD of withheld pay lost by liars.
    pub forfeited_nano_usd: u64,
    /// Nano-USD paid back to clients for withdrawn answers.
    pub refunded_nano_usd: u64,
    /// Gauge: clients connected.
    pub clients: u64,
    /// Gauge: peers connected.
    pub peers: u64,
    /// Gauge: open sessions.
    pub sessions: u64,
    /// Gauge: tasks between submit and settlement.
    pub tasks: u64,
    /// Gauge: tasks waiting for free peers.
    pub pending: u64,
    /// Gauge: attempts running at peers.
    pub running: u64,
    /// Gauge: tasks decided and not yet in a batch.
    pub unsettled: u64,
    /// Gauge: commits handed to the store and not yet durable.
    pub commits_in_flight: u64,
}
