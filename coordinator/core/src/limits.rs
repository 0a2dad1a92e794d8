//! Bounds on everything the market remembers, each with its unit and reason. Past a bound the newcomer is refused with
//! [`Refusal::Limit`](p2c2r_protocol::message::Refusal::Limit) or `Unavailable` and a message that names value and
//! bound; what runs is finished. Bounds on the wire are in `p2c2r_protocol::limits`.

/// The bounds. A struct rather than constants so that an operator can size them and tests can reach them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Accounts: a balance is about 100 bytes.
    pub accounts: usize,
    /// Registered kernels: a manifest is under 4 KiB.
    pub kernels: usize,
    /// Blob names known: 32 bytes each.
    pub blobs: usize,
    /// Deposit references remembered, under 256 bytes each.
    pub deposits: usize,
    /// Bytes of a deposit reference.
    pub reference_bytes: usize,
    /// Connections of clients and peers.
    pub connections: usize,
    /// Peer keys whose standing is remembered: about 200 bytes each.
    pub peers_known: usize,
    /// Peers looked at with every batch for trust that may be forgotten: with 64 a batch a second sees a million of them in four and
    /// a half hours, and is longer by microseconds.
    pub peers_swept: usize,
    /// Kinds of work whose durations are predicted: a kernel on a path in a size class. Under 700 bytes each, 100 as a rule; they
    /// are numbered with 16 bits.
    pub works: usize,
    /// Kinds of work remembered of each peer; as many bytes each.
    pub works_per_peer: usize,
    /// Blobs remembered of each peer: 8 bytes each.
    pub blobs_per_peer: usize,
    /// Result classes with at least one peer online.
    pub classes: usize,
    /// Open sessions in all: about 500 bytes each without their tasks.
    pub sessions: usize,
    /// Open sessions of one account; each holds money, so an account needs few.
    pub sessions_per_account: usize,
    /// Tasks of one session between submit and settlement.
    pub tasks_per_session: usize,
    /// Tasks between submit and settlement: each may keep its input in memory.
    pub tasks: usize,
    /// Bytes of inputs kept for reissue.
    pub input_bytes: usize,
    /// Bytes of work kept whose answer rests on one execution, to run it again should its peer be caught lying; they are not in
    /// `input_bytes`. The oldest goes first: its answer can only be withdrawn.
    pub recheck_bytes: usize,
    /// Answers run again at a time: more are withdrawn instead, or a ring that is caught would keep the clients' tasks waiting.
    pub rechecks: usize,
    /// Golden tasks kept for one kernel and class: enough that a new peer meets some it has not seen.
    pub goldens_per_class: usize,
    /// Bytes of all golden tasks; they are not in `input_bytes`. What does not fit is not kept.
    pub golden_bytes: usize,
    /// Owners one golden task is shown to, 16 bytes each; then it is worn out.
    pub golden_owners: usize,
    /// Tasks waiting for free peers; they count in `tasks` as well.
    pub pending: usize,
    /// Gaps a session may leave in its task numbers: finished numbers are kept as ranges, 16 bytes each. The oldest is closed then, and
    /// its numbers count as used: clients count on, also over tasks that were refused or that they ran themselves.
    pub number_gaps: usize,
    /// Commits handed to the store and not yet durable; past it new money is refused.
    pub commits_in_flight: usize,
    /// Executions in one settlement batch: cutting one of this size stalls the market for about 3 ms, and a batch is cut
    /// early when so many wait.
    pub batch_executions: usize,
    /// Attempts in one `Settled` message: at 60 bytes each its header stays under half of `HEADER_BYTES`.
    pub settled_entries: usize,
    /// Batches a peer may leave unacknowledged before the oldest is no longer repeated.
    pub unacked_batches: usize,
    /// Attempts in a peer's unacknowledged batches: about 48 bytes each.
    pub unacked_attempts: usize,
    /// Owners whose comparisons with one kernel are remembered for its diagnosis, 48 bytes each: a sample of so many tells
    /// two of three from less.
    pub doubt_owners: usize,
    /// Penalties remembered in case their kernel turns out to be at fault, under 128 bytes each.
    pub penalties: usize,
    /// Messages kept for a client that may come back.
    pub outbox_messages: usize,
    /// Bytes of outputs kept for a client that may come back.
    pub outbox_bytes: usize,
    /// Verdicts of a session that are told again when asked for, about 100 bytes each: what is on its way when a connection
    /// breaks.
    pub verdicts: usize,
    /// Bytes of right outputs in those verdicts, which only a revoked answer has.
    pub verdict_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            accounts: 10_000_000,
            kernels: 4_096,
            blobs: 1_000_000,
            deposits: 10_000_000,
            reference_bytes: 128,
            connections: 200_000,
            peers_known: 1_000_000,
            peers_swept: 64,
            works: 65_536,
            works_per_peer: 32,
            blobs_per_peer: 32,
            classes: 1_024,
            sessions: 100_000,
            sessions_per_account: 8,
            tasks_per_session: 65_536,
            tasks: 262_144,
            input_bytes: 1 << 30,
            recheck_bytes: 256 << 20,
            rechecks: 1_024,
            goldens_per_class: 32,
            golden_bytes: 64 << 20,
            golden_owners: 32,
            pending: 65_536,
            number_gaps: 4_096,
            commits_in_flight: 1_024,
            batch_executions: 1_024,
            settled_entries: 128,
            unacked_batches: 64,
            unacked_attempts: 65_536,
            doubt_owners: 256,
            penalties: 65_536,
            outbox_messages: 256,
            outbox_bytes: 4 << 20,
            verdicts: 64,
            verdict_bytes: 64 << 10,
        }
    }
}
