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
    let mut idle_ticks = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        if shared.active.load(Ordering::SeqCst) > 0 {
            idle_ticks = 0;
        } else if idle_ticks < IDLE_TICKS {
            idle_ticks += 1;
        } else {
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
