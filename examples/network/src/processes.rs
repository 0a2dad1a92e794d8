//! Child processes of the demo: each with its log file, none outliving the demo.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a child may take to end after it was asked to.
const STOP_GRACE: Duration = Duration::from_secs(15);

/// Pause between two looks at something that has no way to wake us: a file, another process's HTTP answer.
pub const POLL: Duration = Duration::from_millis(50);

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts `program` with `args`; its output goes to `logs/<name>.log`, its standard output too unless `pipe_stdout`.
    ///
    /// # Errors
    /// If the log cannot be created or the program cannot be started.
    pub fn start(name: &str, program: &Path, args: &[String], logs: &Path, pipe_stdout: bool) -> Result<Self> {
        let log = logs.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let stdout = if pipe_stdout { Stdio::piped() } else { file.try_clone()?.into() };
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(file)
            .spawn()
            .with_context(|| format!("starting {} (build it with `cargo build --workspace`)", program.display()))?;
        Ok(Self { name: name.to_owned(), log, child })
    }

    /// The child's standard output, once, if it was piped.
    pub fn take_stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// The operating system's number for it.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// An error if it has ended.
    ///
    /// # Errors
    /// With its name, status and the end of its log.
    pub fn still_running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended early with {status}\n{}", self.name, self.log_tail()),
        }
    }

    /// Waits until it ends by itself, at most `limit`.
    ///
    /// # Errors
    /// If it takes longer, or ends with a failure.
    pub fn wait(&mut self, limit: Duration) -> Result<()> {
        let until = Instant::now() + limit;
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("{} failed with {status}\n{}", self.name, self.log_tail()),
                None if Instant::now() > until => {
                    bail!("{} did not end within {} s\n{}", self.name, limit.as_secs(), self.log_tail())
                }
                None => std::thread::sleep(POLL),
            }
        }
    }

    /// Asks it to end (SIGTERM) and waits.
    ///
    /// # Errors
    /// If it does not end in time or ends with a failure.
    pub fn stop(mut self) -> Result<()> {
        terminate(&self.child)?;
        self.wait(STOP_GRACE)
    }

    fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(20)..];
        format!("--- end of {}\n{}", self.log.display(), tail.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already ended, or about to: nothing useful can be done with an error here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks at `ready` every [`POLL`] until it gives something, at most `limit`; `alive` ends the wait early.
///
/// # Errors
/// What `alive` says, or that `what` did not happen in time.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut alive: impl FnMut() -> Result<()>,
    mut ready: impl FnMut() -> Option<T>,
) -> Result<T> {
    let until = Instant::now() + limit;
    loop {
        if let Some(value) = ready() {
            return Ok(value);
        }
        alive()?;
        if Instant::now() > until {
            bail!("{what} did not happen within {} s", limit.as_secs());
        }
        std::thread::sleep(POLL);
    }
}

#[cfg(unix)]
fn terminate(child: &Child) -> Result<()> {
    // The standard library can only kill; `kill(1)` is on every Unix and spares us an unsafe call.
    let status = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().context("running kill")?;
    if !status.success() {
        bail!("kill -TERM {} failed with {status}", child.id());
    }
    Ok(())
}

#[cfg(not(unix))]
fn terminate(_child: &Child) -> Result<()> {
    bail!("stopping a process gently is only implemented for Unix")
}
