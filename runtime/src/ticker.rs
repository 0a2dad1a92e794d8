//! Moves an engine's epoch on every [`TICK`], but only while something runs: an idle peer is not woken.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

use wasmtime::{Engine, EngineWeak};

use crate::limits::{IDLE_TICKS, TICK};

/// The thread that ticks. Stops when dropped.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    active: AtomicU32,
    asleep: AtomicBool,
    stop: AtomicBool,
}

/// Keeps the ticker awake.
pub(crate) struct Awake<'a>(&'a Shared);

impl Ticker {
    /// Starts the thread, asleep until the first [`Self::keep_awake`].
    pub(crate) fn start(engine: &Engine) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let engine = engine.weak();
        let thread = thread::Builder::new().name("p2c2r-ticker".to_owned()).stack_size(128 << 10).spawn({
            let shared = Arc::clone(&shared);
            move || tick(&shared, &engine)
        })?;
        Ok(Self { shared, thread })
    }

    /// Ticks until the result is dropped.
    pub(crate) fn keep_awake(&self) -> Awake<'_> {
        // Sequentially consistent with the ticker's "asleep, then look at active": one of the two sees the other.
        self.shared.active.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.thread.thread().unpark();
        }
        Awake(&self.shared)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.thread.thread().unpark();
    }
}

impl Drop for Awake<'_> {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::SeqCst);
    }
}

fn tick(shared: &Shared, engine: &EngineWeak) {
    let mut idle = Idle::default();
    while !shared.stop.load(Ordering::SeqCst) {
        if idle.enough(shared.active.load(Ordering::SeqCst) > 0) {
            shared.asleep.store(true, Ordering::SeqCst);
            if shared.active.load(Ordering::SeqCst) == 0 && !shared.stop.load(Ordering::SeqCst) {
                thread::park();
            }
            shared.asleep.store(false, Ordering::SeqCst);
            continue;
        }
        thread::sleep(TICK);
        match engine.upgrade() {
            Some(engine) => engine.increment_epoch(),
            None => return,
        }
    }
}

/// Ticks since something ran.
#[derive(Default)]
struct Idle(u32);

impl Idle {
    /// Counts a tick; whether it is not worth making any more.
    fn enough(&mut self, running: bool) -> bool {
        let enough = !running && self.0 >= IDLE_TICKS;
        self.0 = if running { 0 } else { self.0 + u32::from(!enough) };
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ticker_sleeps_after_so_many_idle_ticks() {
        let mut idle = Idle::default();
        let mut until_enough = || (0..).take_while(|_| !idle.enough(false)).count();
        assert_eq!(until_enough(), IDLE_TICKS as usize);
        assert_eq!(until_enough(), 0, "and goes back to sleep when it wakes for nothing");
        assert!(!idle.enough(true));
        assert_eq!((0..).take_while(|_| !idle.enough(false)).count(), IDLE_TICKS as usize);
    }
}
