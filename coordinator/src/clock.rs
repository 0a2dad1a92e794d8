//! The market's time: the wall clock at the start, and from there on a clock that never goes back.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use p2c2r_core::Millis;

/// A clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    start_ms: u64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), start_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX) }
    }

    pub(crate) fn now(&self) -> Millis {
        let since_start = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        Millis(self.start_ms.saturating_add(since_start))
    }

    /// When this clock will show `then`.
    pub(crate) fn instant(&self, then: Millis) -> Instant {
        self.start + Duration::from_millis(then.0.saturating_sub(self.start_ms))
    }
}
