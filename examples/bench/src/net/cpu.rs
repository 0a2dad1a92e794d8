//! CPU time of processes, from the kernel's own accounts.

use std::time::Duration;

use anyhow::{Context, Result};

/// Ticks per second of `/proc/<pid>/stat` on every Linux that Rust supports (`USER_HZ`, fixed by the kernel's ABI).
const TICKS_PER_SECOND: u32 = 100;

/// User and system time a process has used so far.
///
/// # Errors
/// If there is no such process, or the machine has no `/proc`.
pub(crate) fn used(pid: u32) -> Result<Duration> {
    let file = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&file).with_context(|| format!("reading {file}"))?;
    // The second field is the command in brackets and may hold spaces; utime and stime are fields 14 and 15.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| -> Result<u32> { Ok(fields.get(index).context("a short stat line")?.parse()?) };
    Ok(Duration::from_secs(1) * (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

/// Microseconds of `spent` per one of `count`.
pub(crate) fn per(spent: Duration, count: u64) -> f64 {
    spent.as_secs_f64() * 1e6 / count.max(1) as f64
}
