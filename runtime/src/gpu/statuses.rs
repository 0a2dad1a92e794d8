//! The status of every call of an attempt, told before the work is done and by somebody else than who does it.

use p2c2r_abi::status;
use p2c2r_signing::manifest;

use super::interface::Interface;
use super::ledger::Ledger;
use super::refused::Refused;

/// The statuses of one attempt's calls, told where its shaders do not run: no status depends on the device. Whoever does the work
/// decides once more, by the same rules.
#[derive(Debug)]
pub struct Statuses {
    interfaces: Vec<Interface>,
    ledger: Ledger<()>,
}

impl Statuses {
    /// Of an attempt with no buffers; `interfaces` as [`super::GpuSession::interfaces`] has them.
    #[must_use]
    pub const fn new(interfaces: Vec<Interface>, limits: manifest::Gpu) -> Self {
        Self { interfaces, ledger: Ledger::new(limits) }
    }

    /// Of [`super::GpuAttempt::buf_create`]: a handle, or what refuses it.
    pub fn buf_create(&mut self, bytes: i64) -> i32 {
        match self.ledger.room(bytes) {
            Ok(bytes) => self.ledger.insert((), bytes),
            Err(refused) => self.ledger.refuse(refused),
        }
    }

    /// Of [`super::GpuAttempt::buf_write`] and [`super::GpuAttempt::buf_read`] with `len` bytes.
    pub fn access(&mut self, handle: i32, offset: i64, len: u64) -> i32 {
        let placed = self.ledger.place(handle, offset, len).map(drop);
        self.status(placed)
    }

    /// Of [`super::GpuAttempt::buf_drop`].
    pub fn buf_drop(&mut self, handle: i32) -> i32 {
        let gone = self.ledger.remove(handle).map(drop);
        self.status(gone)
    }

    /// Of [`super::GpuAttempt::dispatch`].
    pub fn dispatch(&mut self, name: &[u8], groups: [u32; 3], bindings: &[(u32, i32)]) -> i32 {
        let admitted = self.ledger.admit(&self.interfaces, name, groups, bindings).map(drop);
        self.status(admitted)
    }

    /// As [`super::GpuAttempt::why_refused`].
    #[must_use]
    pub fn why_refused(&self) -> Option<String> {
        self.ledger.why_refused()
    }

    fn status(&mut self, done: Result<(), Refused>) -> i32 {
        done.map_or_else(|refused| self.ledger.refuse(refused), |()| status::OK)
    }
}
