//! How long an attempt may wait for its device.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fault::GpuFault;
use super::limits::WAIT_SLICE;

/// A deadline, and somebody to ask whether the attempt was called off before it.
#[derive(Clone)]
pub struct Until {
    deadline: Instant,
    called_off: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
}

impl Until {
    /// `called_off` is asked every few milliseconds while the device works, and between two slices of a dispatch.
    #[must_use]
    pub fn deadline_or(deadline: Instant, called_off: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { deadline, called_off: Some(Arc::new(called_off)) }
    }

    /// Fails when it is over.
    pub(super) fn check(&self) -> Result<(), GpuFault> {
        self.slice().map(drop)
    }

    /// How long to wait before asking again.
    pub(super) fn slice(&self) -> Result<Duration, GpuFault> {
        if self.called_off.as_ref().is_some_and(|called_off| called_off()) {
            return Err(GpuFault::Cancelled);
        }
        match self.deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(GpuFault::Deadline),
            left => Ok(left.min(WAIT_SLICE)),
        }
    }
}

impl From<Instant> for Until {
    fn from(deadline: Instant) -> Self {
        Self { deadline, called_off: None }
    }
}

impl std::fmt::Debug for Until {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Until").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
