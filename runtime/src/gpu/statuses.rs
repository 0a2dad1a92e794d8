//! The status of every call of an attempt, told before the work is done and by somebody else than who does it.

use p2c2r_abi::status;
use p2c2r_signing::manifest;

use super::interface::Interface;
use super::ledger::Ledger;

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
        self.ledger.room(bytes).map_or_else(|refused| refused, |bytes| self.ledger.insert((), bytes))
    }

    /// Of [`super::GpuAttempt::buf_write`] and [`super::GpuAttempt::buf_read`] with `len` bytes.
    #[must_use]
    pub fn access(&self, handle: i32, offset: i64, len: u64) -> i32 {
        self.ledger.place(handle, offset, len).err().unwrap_or(status::OK)
    }

    /// Of [`super::GpuAttempt::buf_drop`].
    pub fn buf_drop(&mut self, handle: i32) -> i32 {
        self.ledger.remove(handle).map_or(status::HANDLE, |_| status::OK)
    }

    /// Of [`super::GpuAttempt::dispatch`].
    pub fn dispatch(&mut self, name: &[u8], groups: [u32; 3], bindings: &[(u32, i32)]) -> i32 {
        self.ledger.admit(&self.interfaces, name, groups, bindings).err().unwrap_or(status::OK)
    }
}
