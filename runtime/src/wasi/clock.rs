//! Time that depends on nothing but how often it was looked at: both clocks start at a fixed instant and move by one
//! microsecond each reading, and sleeping moves them by the time slept. A program that waits for time to pass ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cap_std::time::{Duration, Instant, SystemTime};
use wasi_common::clocks::{WasiClocks, WasiMonotonicClock, WasiSystemClock};
use wasi_common::sched::subscription::RwEventFlags;
use wasi_common::sched::{Poll, Subscription, WasiSched};

/// What the wall clock says at the start: 2000-01-01 00:00:00 UTC, in seconds since 1970.
const EPOCH_S: u64 = 946_684_800;

/// Nanoseconds one reading takes; also the resolution both clocks report.
const STEP_NS: u64 = 1_000;

/// Nanoseconds after which time stands still (about 146 years): the sums below stay far from overflow.
const END_NS: u64 = u64::MAX >> 2;

/// One attempt's time. Clones share it.
#[derive(Clone)]
pub(super) struct Virtual {
    /// An arbitrary instant; only differences to it reach the guest.
    base: std::time::Instant,
    elapsed_ns: Arc<AtomicU64>,
}

impl Virtual {
    pub(super) fn new() -> Self {
        Self { base: std::time::Instant::now(), elapsed_ns: Arc::new(AtomicU64::new(0)) }
    }

    pub(super) fn clocks(&self) -> WasiClocks {
        WasiClocks::new().with_system(self.clone()).with_monotonic(self.clone())
    }

    fn read(&self) -> Duration {
        self.advance(STEP_NS)
    }

    fn advance(&self, by_ns: u64) -> Duration {
        let now = self.elapsed_ns.load(Ordering::Relaxed).saturating_add(by_ns).min(END_NS);
        self.elapsed_ns.store(now, Ordering::Relaxed);
        Duration::from_nanos(now)
    }

    fn sleep_for(&self, duration: Duration) {
        self.advance(u64::try_from(duration.as_nanos()).unwrap_or(END_NS));
    }
}

impl WasiSystemClock for Virtual {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(STEP_NS)
    }

    fn now(&self, _precision: Duration) -> SystemTime {
        let start = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH_S);
        SystemTime::from_std(start.checked_add(self.read()).unwrap_or(start))
    }
}

impl WasiMonotonicClock for Virtual {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(STEP_NS)
    }

    fn now(&self, _precision: Duration) -> Instant {
        Instant::from_std(self.base.checked_add(self.read()).unwrap_or(self.base))
    }
}

#[async_trait::async_trait]
impl WasiSched for Virtual {
    /// Streams are always ready. If there are none, time jumps to the earliest timer.
    async fn poll_oneoff<'a>(&self, poll: &mut Poll<'a>) -> Result<(), wasi_common::Error> {
        let mut ready = false;
        for subscription in poll.rw_subscriptions() {
            ready = true;
            match subscription {
                Subscription::Read(s) | Subscription::Write(s) => s.complete(1, RwEventFlags::empty()),
                Subscription::MonotonicClock(_) => {}
            }
        }
        if !ready && let Some(wait) = poll.earliest_clock_deadline().and_then(|timer| timer.duration_until()) {
            self.sleep_for(wait);
        }
        Ok(())
    }

    async fn sched_yield(&self) -> Result<(), wasi_common::Error> {
        Ok(())
    }

    async fn sleep(&self, duration: Duration) -> Result<(), wasi_common::Error> {
        self.sleep_for(duration);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_moves_by_reading_and_sleeping_only() {
        let time = Virtual::new();
        let base = time.base;
        let now = || WasiMonotonicClock::now(&time, Duration::ZERO);
        assert_eq!(now(), Instant::from_std(base + Duration::from_nanos(STEP_NS)));
        time.sleep_for(Duration::from_secs(5));
        assert_eq!(now(), Instant::from_std(base + Duration::from_nanos(5_000_000_000 + 2 * STEP_NS)));
    }

    #[test]
    fn the_end_of_time_is_no_panic() {
        let time = Virtual::new();
        for _ in 0..3 {
            time.sleep_for(Duration::MAX);
            let _ = WasiMonotonicClock::now(&time, Duration::MAX);
            let _ = WasiSystemClock::now(&time, Duration::MAX);
        }
        assert_eq!(time.elapsed_ns.load(Ordering::Relaxed), END_NS);
    }
}
