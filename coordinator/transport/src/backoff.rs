//! Waiting between reconnects: exponential with full jitter, so that a thousand peers cut off together do not come back
//! together ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015: full jitter does the least total work).

use std::time::Duration;

/// Delays between attempts: the n-th is uniform in `0..=min(cap, base * 2^n)`.
#[derive(Debug, Clone)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    /// Delays that start below `base` and never pass `cap`.
    #[must_use]
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Self { base, cap, failures: 0 }
    }

    /// Back to the shortest delay: the connection worked.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next delay, drawn from the operating system's random numbers.
    #[must_use]
    pub fn next_delay(&mut self) -> Duration {
        let mut bytes = [0u8; 4];
        // Without random numbers the longest delay is the safe one.
        let draw = getrandom::fill(&mut bytes).map_or(u32::MAX, |()| u32::from_le_bytes(bytes));
        self.draw(draw)
    }

    fn draw(&mut self, draw: u32) -> Duration {
        let ceiling = self.base.saturating_mul(1u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(self.cap);
        self.failures = self.failures.saturating_add(1).min(31);
        ceiling.mul_f64(f64::from(draw) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap_and_starts_over() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let ceilings: Vec<_> = (0..6).map(|_| backoff.draw(u32::MAX).as_millis()).collect();
        assert_eq!(ceilings, [100, 200, 400, 800, 1000, 1000]);
        backoff.reset();
        assert_eq!(backoff.draw(u32::MAX / 2).as_millis(), 50);
        assert_eq!(backoff.draw(0).as_millis(), 0);
    }

    #[test]
    fn never_overflows() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        for _ in 0..100 {
            assert!(backoff.next_delay() <= Duration::from_secs(60));
        }
    }
}
