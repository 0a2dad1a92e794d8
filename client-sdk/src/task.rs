//! What a game asks for.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use p2c2r_protocol::limits::{BLOBS_PER_TASK, DEADLINE_MS, REPLICAS};
use p2c2r_protocol::message::Mode;
use p2c2r_signing::{BlobId, Manifest, ModuleId, VerifiedModule};

/// A kernel the client may use: its signature was verified when it was added.
#[derive(Clone)]
pub struct Kernel {
    pub(crate) module: VerifiedModule,
}

/// A task: one run of a kernel on one input. Build it, then hand it to [`crate::Client::submit`].
#[derive(Debug, Clone)]
pub struct Task {
    pub(crate) kernel: Kernel,
    pub(crate) input: Bytes,
    pub(crate) blobs: Vec<BlobId>,
    pub(crate) seed: u64,
    pub(crate) deadline: Duration,
    pub(crate) priority: u8,
    pub(crate) mode: Mode,
    pub(crate) replicas: u8,
    pub(crate) max_units: u64,
}

/// Names a submitted task in events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskHandle(pub(crate) u64);

/// Why a task was not taken. Nothing happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Too many tasks are under way.
    #[error("{max} tasks are under way already; poll, or ask for less")]
    TooManyTasks {
        /// The bound.
        max: usize,
    },
    /// The game does not poll.
    #[error("{max} events wait to be polled")]
    TooManyEvents {
        /// The bound.
        max: usize,
    },
    /// The input is larger than the kernel takes.
    #[error("input is {got} bytes, kernel {kernel} takes at most {max}")]
    InputTooLarge {
        /// The kernel's name.
        kernel: String,
        /// The input's size.
        got: usize,
        /// The manifest's bound.
        max: u64,
    },
    /// A blob was not added with [`crate::Client::add_blob`].
    #[error("blob {blob} was not added to this client")]
    UnknownBlob {
        /// Which.
        blob: BlobId,
    },
    /// A number is out of its bounds.
    #[error("{what} must be {min} to {max}, got {got}")]
    OutOfBounds {
        /// Which.
        what: &'static str,
        /// Its value.
        got: u64,
        /// Lower bound.
        min: u64,
        /// Upper bound.
        max: u64,
    },
    /// The client was shut down.
    #[error("the client was shut down")]
    Closed,
}

impl Kernel {
    /// Its identity.
    #[must_use]
    pub fn id(&self) -> ModuleId {
        self.module.id()
    }

    /// What it says about itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.module.manifest()
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kernel({} {})", self.manifest().name, self.id().short())
    }
}

impl Task {
    /// A task with a deadline of 100 ms, provisional delivery, two executions, and the most units the manifest allows.
    #[must_use]
    pub fn new(kernel: &Kernel, input: impl Into<Bytes>) -> Self {
        Self {
            kernel: kernel.clone(),
            input: input.into(),
            blobs: Vec::new(),
            seed: 0,
            deadline: Duration::from_millis(100),
            priority: 0,
            mode: Mode::Provisional,
            replicas: 2,
            max_units: kernel.manifest().limits.units,
        }
    }

    /// How long an answer is of use, counted from submit. Whole milliseconds.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Higher goes first among this client's tasks.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// One answer, after the quorum agreed, instead of the first answer at once and a verdict later.
    #[must_use]
    pub fn confirmed(mut self) -> Self {
        self.mode = Mode::Confirmed;
        self
    }

    /// Executions asked and paid for.
    #[must_use]
    pub fn replicas(mut self, replicas: u8) -> Self {
        self.replicas = replicas;
        self
    }

    /// Appends a blob, in the order the kernel sees them.
    #[must_use]
    pub fn blob(mut self, blob: BlobId) -> Self {
        self.blobs.push(blob);
        self
    }

    /// Seed of the kernel's randomness.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Units one execution may charge. The session's budget must cover `rate * max_units * replicas` while it runs.
    #[must_use]
    pub fn max_units(mut self, max_units: u64) -> Self {
        self.max_units = max_units;
        self
    }

    /// The kernel it runs.
    #[must_use]
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The same task on another input; used for the parts of a split.
    #[must_use]
    pub(crate) fn with_input(&self, input: Bytes) -> Self {
        Self { input, ..self.clone() }
    }

    pub(crate) fn check(&self) -> Result<(), SubmitError> {
        let limits = &self.kernel.manifest().limits;
        if self.input.len() as u64 > limits.input_bytes {
            let kernel = self.kernel.manifest().name.clone();
            return Err(SubmitError::InputTooLarge { kernel, got: self.input.len(), max: limits.input_bytes });
        }
        let deadline_ms = u64::try_from(self.deadline.as_millis()).unwrap_or(u64::MAX);
        bounded("deadline in milliseconds", deadline_ms, 1, u64::from(DEADLINE_MS))?;
        bounded("replicas", u64::from(self.replicas), 1, u64::from(REPLICAS))?;
        bounded("max_units", self.max_units, 1, limits.units)?;
        bounded("number of blobs", self.blobs.len() as u64, 0, BLOBS_PER_TASK as u64)
    }
}

fn bounded(what: &'static str, got: u64, min: u64, max: u64) -> Result<(), SubmitError> {
    if (min..=max).contains(&got) { Ok(()) } else { Err(SubmitError::OutOfBounds { what, got, min, max }) }
}
