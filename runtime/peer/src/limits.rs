//! Bounds of the peer, each with its unit and reason. Sizes of messages are in [`p2c2r_protocol::limits`].

use std::time::Duration;

/// Bytes of kernels and blobs on disk unless the owner says otherwise.
pub const CACHE_BYTES: u64 = 4 << 30;

/// Bytes of blobs kept in memory: what repeats from task to task is read from disk once.
pub const HOT_BYTES: u64 = 256 << 20;

/// Kernels kept verified and compiled in memory.
pub const HOT_KERNELS: usize = 32;

/// Kernels and blobs waiting to be fetched or on their way: four tasks with as many blobs as a task may name.
pub const FETCHES: usize = 4 * p2c2r_protocol::limits::BLOBS_PER_TASK;

/// Bytes of all kernels and blobs on their way.
pub const FETCH_BYTES: u64 = 512 << 20;

/// Chunks of one item asked for and not yet there; hides the round trip.
pub const FETCH_WINDOW: u64 = 4;

/// Chunks of all items asked for and not yet there; a coordinator closes a connection that asks for more than 32.
pub const CHUNKS_OPEN: u64 = 16;

/// Time without a chunk after which a fetch is given up.
pub const FETCH_STALL: Duration = Duration::from_secs(30);

/// Items that could not be had or did not verify, remembered so that they are not fetched again and again.
pub const REFUSED_ITEMS: usize = 1024;

/// How long they are remembered.
pub const REFUSED_FOR: Duration = Duration::from_secs(60);

/// Results kept until they are settled. At 20,000 tasks a second and one settlement a second this is five settlements.
pub const UNSETTLED: usize = 100_000;

/// Bytes of results kept until they are settled.
pub const UNSETTLED_BYTES: u64 = 256 << 20;

/// Bytes the journal's file may have beyond what is unsettled before it is written anew.
pub const JOURNAL_SLACK_BYTES: u64 = 16 << 20;

/// Worker threads; with the network's own thread they are as many as a sandbox serves at once.
pub const WORKERS: u16 = 63;

/// Stack of a worker thread and of the network's, bytes: the sandbox asks for 2 MiB.
pub const WORKER_STACK_BYTES: usize = 4 << 20;

/// An attempt expected to take less than this runs on the network's thread: handing it to a worker and its answer back
/// costs two thread switches, more than such an attempt itself.
pub const QUICK: Duration = Duration::from_micros(150);

/// Messages heard before the quick attempts among them are run, on the network's thread.
pub const QUICK_TOGETHER: usize = 16;

/// Time after which attempts on the network's thread are broken off, at the price of their worker, and handed to another
/// thread after all. Well beyond what a busy machine does to a quick attempt.
pub const QUICK_DEADLINE: Duration = Duration::from_millis(50);

/// Kernels whose usual duration is remembered.
pub const PACES: usize = 64;

/// First wait before a reconnect; doubles up to [`RECONNECT_CAP`].
pub const RECONNECT_BASE: Duration = Duration::from_millis(200);

/// Longest wait before a reconnect.
pub const RECONNECT_CAP: Duration = Duration::from_secs(60);

/// Time running attempts get to finish when the peer is asked to stop.
pub const DRAIN: Duration = Duration::from_secs(10);

/// How often status and journal are brought to disk.
pub const REPORT_EVERY: Duration = Duration::from_secs(1);

/// How often the coordinator is asked for the account's figures.
pub const EARNINGS_EVERY: Duration = Duration::from_secs(5);

/// Time of the self-benchmark.
pub const BENCHMARK: Duration = Duration::from_millis(100);

/// Bytes of the configuration, trust and certificate files.
pub const FILE_BYTES: u64 = 1 << 20;
