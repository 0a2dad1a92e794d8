//! One worker process, seen by the supervisor.

use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use p2c2r_runtime::CancelFlag;

use crate::channel::{Channel, ReceiveError};
use crate::limits::{CANCEL_EVERY, LAST_WORDS, START};
use crate::message::{About, Order, Report, Role};

/// What graphics drivers and their loader are told by the environment.
const DRIVER_VARIABLES: &[&str] =
    &["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_LOADER_DRIVERS_SELECT", "VK_LOADER_DRIVERS_DISABLE", "LP_NUM_THREADS"];

/// A worker that has shut its doors. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    newborn: Newborn,
    about: About,
}

/// A worker of which nothing is known yet.
#[derive(Debug)]
struct Newborn {
    child: Child,
    channel: Channel,
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
    /// Starts `program` and waits until it is ready, at most [`START`].
    ///
    /// The thread that calls this must live as long as the process: Linux kills it with the thread.
    pub(crate) fn start(program: &Path, role: Role) -> Result<Self, StartError> {
        Self::start_within(program, role, START)
    }

    fn start_within(program: &Path, role: Role, time: Duration) -> Result<Self, StartError> {
        let spawn = |source| StartError::Spawn { program: program.display().to_string(), source };
        let not_ready = |source| StartError::Ready { program: program.display().to_string(), source };
        let (channel, theirs) = Channel::pair().map_err(spawn)?;
        let mut command = Command::new(program);
        // With more arenas, glibc's allocator opens a file of /proc the first time it gives memory back.
        command.arg(role.name()).env_clear().env("MALLOC_ARENA_MAX", "1").current_dir("/");
        if matches!(role, Role::Gpu { .. }) {
            command.envs(std::env::vars_os().filter(|(name, _)| DRIVER_VARIABLES.iter().any(|known| name == known)));
        }
        command.stdin(theirs).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(spawn)?;
        // With it goes our copy of the worker's end: only then is its death the end of the line.
        drop(command);
        let mut newborn = Newborn { child, channel };
        let about = newborn.ready(time).map_err(not_ready)?;
        Ok(Self { newborn, about })
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
        if let Err(error) = self.newborn.channel.send(order, descriptors) {
            // The usual reason is that there is nobody any more.
            return Err(died(&mut self.newborn.child).unwrap_or(AskError::System(error)));
        }
        self.newborn.hear(patience, hear)
    }
}

impl Newborn {
    fn ready(&mut self, time: Duration) -> Result<About, AskError> {
        let patience = Patience { until: Instant::now() + time, cancel: None };
        self.hear(&patience, |report| match report {
            Report::Ready(about) => Ok(*about),
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
}

impl Drop for Newborn {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a process ended, if it did.
fn died(child: &mut Child) -> Option<AskError> {
    let status = child.try_wait().ok().flatten()?;
    Some(AskError::Died(describe(status)))
}

/// How a process ended whose line is closed already. Killed if it has not: without its line it is of no use.
fn end(child: &mut Child) -> String {
    let deadline = Instant::now() + LAST_WORDS;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `yes execute` writes to its standard output, which nobody reads, until somebody ends it.
    #[test]
    fn a_program_that_never_gets_ready_is_given_up_and_ended() {
        let started = Process::start_within(Path::new("/usr/bin/yes"), Role::Execute, Duration::from_millis(20));
        assert!(matches!(started, Err(StartError::Ready { source: AskError::Late, .. })), "{started:?}");
    }

    #[test]
    fn a_program_that_is_no_worker_is_not_waited_for() {
        let started = Process::start(Path::new("/bin/true"), Role::Execute);
        assert!(matches!(started, Err(StartError::Ready { source: AskError::Died(_), .. })), "{started:?}");
    }
}
