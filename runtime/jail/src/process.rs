//! One worker process, seen by the supervisor.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use p2c2r_runtime::CancelFlag;
use p2c2r_signing::Digest;

use crate::channel::{Channel, ReceiveError};
use crate::confine::Protections;
use crate::limits::{CANCEL_EVERY, START};
use crate::message::{Order, Report, Role};

/// A worker that has shut its doors. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    channel: Channel,
    about: About,
}

/// What it said when it was ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) engine_id: Digest,
    pub(crate) code_id: Digest,
    pub(crate) protections: Protections,
}

/// How long to wait for a report.
#[derive(Debug)]
pub(crate) struct Patience<'a> {
    pub(crate) until: Instant,
    pub(crate) cancel: Option<&'a CancelFlag>,
}

/// Why there was no report. The process is of no more use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("no answer in time")]
    Late,
    #[error("called off")]
    Cancelled,
    #[error("the worker died ({0})")]
    Died(String),
    #[error("the worker talks nonsense: {0}")]
    Nonsense(String),
    #[error("system: {0}")]
    System(#[from] io::Error),
}

/// Why there is no worker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("cannot start {program}: {source}")]
    Spawn { program: String, source: io::Error },
    #[error("{program} did not get ready: {source}")]
    Ready { program: String, source: AskError },
}

impl Process {
    /// Starts `program` and waits until it is ready.
    ///
    /// The thread that calls this must live as long as the process: Linux kills it with the thread.
    pub(crate) fn start(program: &Path, role: Role) -> Result<Self, StartError> {
        let spawn = |source| StartError::Spawn { program: program.display().to_string(), source };
        let (channel, theirs) = Channel::pair().map_err(spawn)?;
        let child = Command::new(program)
            .arg(role.name())
            .env_clear()
            .current_dir("/")
            .stdin(theirs)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(spawn)?;
        let about = About { engine_id: NONE, code_id: NONE, protections: Protections::default() };
        let mut process = Self { child, channel, about };
        process.about =
            process.ready().map_err(|source| StartError::Ready { program: program.display().to_string(), source })?;
        Ok(process)
    }

    pub(crate) const fn about(&self) -> &About {
        &self.about
    }

    /// Gives an order and hands the report to `hear`.
    pub(crate) fn ask<T>(
        &mut self,
        order: &Order<'_>,
        descriptors: &[BorrowedFd<'_>],
        patience: &Patience<'_>,
        hear: impl FnOnce(Report<'_>) -> Result<T, AskError>,
    ) -> Result<T, AskError> {
        if let Err(error) = self.channel.send(order, descriptors) {
            // The usual reason is that there is nobody any more.
            return Err(self.death().unwrap_or(AskError::System(error)));
        }
        self.hear(patience, hear)
    }

    fn ready(&mut self) -> Result<About, AskError> {
        let patience = Patience { until: Instant::now() + START, cancel: None };
        self.hear(&patience, |report| match report {
            Report::Ready { engine_id, code_id, protections } => Ok(About { engine_id, code_id, protections }),
            other => Err(AskError::Nonsense(format!("{other:?} before it was ready"))),
        })
    }

    fn hear<T>(
        &mut self,
        patience: &Patience<'_>,
        hear: impl FnOnce(Report<'_>) -> Result<T, AskError>,
    ) -> Result<T, AskError> {
        loop {
            let left = patience.until.saturating_duration_since(Instant::now());
            let slice = if patience.cancel.is_some() { left.min(CANCEL_EVERY) } else { left };
            // A report that is there counts, however late.
            if self.channel.wait(slice)? {
                break;
            }
            if patience.cancel.is_some_and(CancelFlag::is_cancelled) {
                return Err(AskError::Cancelled);
            }
            if left.is_zero() {
                return Err(AskError::Late);
            }
        }
        let child = &mut self.child;
        match self.channel.receive() {
            Ok(received) => hear(received.message),
            Err(ReceiveError::Closed) => Err(AskError::Died(end(child))),
            Err(ReceiveError::Garbled(what)) => Err(AskError::Nonsense(what)),
            Err(ReceiveError::System(error)) => Err(died(child).unwrap_or(AskError::System(error))),
        }
    }

    fn death(&mut self) -> Option<AskError> {
        died(&mut self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const NONE: Digest = Digest::from_bytes([0; 32]);

/// How a process ended, if it did.
fn died(child: &mut Child) -> Option<AskError> {
    let status = child.try_wait().ok().flatten()?;
    Some(AskError::Died(describe(status)))
}

/// How a process ended whose line is closed already. Killed if it has not: without its line it is of no use.
fn end(child: &mut Child) -> String {
    let deadline = Instant::now() + Duration::from_millis(100);
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(Some(status)) => return describe(status),
            Ok(None) => std::thread::yield_now(),
            Err(error) => return error.to_string(),
        }
    }
    let _ = child.kill();
    child.wait().map_or_else(|error| error.to_string(), |_killed| "it closed its line".to_owned())
}

fn describe(status: ExitStatus) -> String {
    match status.signal() {
        Some(libc::SIGSYS) => "killed for a system call it may not make".to_owned(),
        Some(libc::SIGXCPU) => "killed for its processor time".to_owned(),
        Some(signal) => format!("killed by signal {signal}"),
        None => status.to_string(),
    }
}
