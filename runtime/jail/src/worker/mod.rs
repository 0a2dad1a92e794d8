//! What a worker process does: open what it will need, shut the doors, wait for orders.

mod compile;
mod execute;
mod gpu;
mod rehearsal;
mod remote;

use std::os::fd::OwnedFd;
use std::process::ExitCode;

use bytes::Bytes;
use p2c2r_runtime::gpu::GpuOptions;
use p2c2r_runtime::{GpuPolicy, Runaway, Sandbox, SandboxConfig, SandboxError};
use p2c2r_signing::{PublicKey, TrustedKeys, VerifiedModule, verify_module};

use crate::channel::{Channel, ReceiveError};
use crate::confine::{self, ConfineError, Protections};
use crate::limits;
use crate::memory;
use crate::message::{About, Report, Role};

/// Why a worker ends early. Nobody reads it but whoever starts a worker by hand: the supervisor sees the end.
#[derive(Debug, thiserror::Error)]
enum WorkerError {
    #[error("started by hand: the line to a supervisor must be standard input, and the role the only argument")]
    Usage,
    #[error(transparent)]
    Confine(#[from] ConfineError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("line to the supervisor: {0}")]
    Line(#[from] ReceiveError),
    #[error("system: {0}")]
    System(#[from] std::io::Error),
    #[error("a kernel of our own does not run: {0}")]
    Rehearsal(String),
    #[error("the supervisor's order makes no sense here: {0}")]
    Order(&'static str),
}

/// The program: `p2c2r-worker ROLE`, with its line to the supervisor as standard input.
#[must_use]
pub fn main() -> ExitCode {
    main_behind(Walls { outer: true, limits: true })
}

/// Which walls stand. Fewer than all are for measuring what the others cost, in a program of the benchmark's own.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Walls {
    /// Landlock and seccomp.
    pub outer: bool,
    /// Resource limits.
    pub limits: bool,
}

/// As [`main`], behind some of the walls.
#[doc(hidden)]
#[must_use]
pub fn main_behind(walls: Walls) -> ExitCode {
    let role = std::env::args().nth(1).and_then(|role| Role::parse(&role));
    let ended = role.ok_or(WorkerError::Usage).and_then(|role| {
        confine::begin()?;
        let mut channel = Channel::new(line()?);
        if let Role::Gpu { software } = role {
            return gpu::serve(GpuOptions { software, ..GpuOptions::default() }, &mut channel);
        }
        locked(role, walls, move |sandbox, protections| {
            if role == Role::Execute {
                rehearsal::rehearse(sandbox)?;
            }
            let (engine_id, code_id) = (sandbox.engine_id(), Some(sandbox.code_id()));
            let about = About { engine_id, code_id, protections, adapter: None };
            channel.send(&Report::Ready(Box::new(about)), &[])?;
            match role {
                Role::Compile => compile::serve(sandbox, &mut channel),
                _ => execute::serve(sandbox, walls, &mut channel),
            }
        })
    });
    match ended {
        // The supervisor is done with this worker.
        Ok(()) | Err(WorkerError::Line(ReceiveError::Closed)) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// Runs `escape` with the doors shut as behind a worker that has loaded its kernel: what a guest could do that found a
/// hole in the compiler. For the tests of the jail; the calling process is of no other use any more.
///
/// # Errors
/// Why the doors could not be shut, in words.
#[doc(hidden)]
pub fn break_out(escape: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let begun = confine::begin().map_err(WorkerError::from);
    let escaped = begun.and_then(|()| {
        let all = Walls { outer: true, limits: true };
        locked(Role::Execute, all, |_sandbox, _protections| {
            confine::forbid_new_code()?;
            escape();
            Ok(())
        })
    });
    escaped.map_err(|error| error.to_string())
}

#[expect(clippy::print_stderr, reason = "for whoever starts a worker by hand; a supervisor gives it no standard error")]
fn report(error: &WorkerError) {
    eprintln!("p2c2r-worker: {error}");
}

/// Opens what a worker needs, shuts the doors, and goes on to `work`.
fn locked(
    role: Role,
    walls: Walls,
    work: impl FnOnce(&Sandbox, Protections) -> Result<(), WorkerError> + Send + 'static,
) -> Result<(), WorkerError> {
    let sandbox =
        Sandbox::new(SandboxConfig { cache_dir: None, gpu: GpuPolicy::Off, workers: 1, runaway: Runaway::Killed })?;
    sandbox.prepare()?;
    let mut protections = if walls.outer { confine::wall_off() } else { Protections::default() };
    // Guests run on this thread's stack. It is the last one: the filter lets no thread start.
    let thread = std::thread::Builder::new().stack_size(limits::STACK_BYTES).spawn(move || {
        confine::shut(role, walls, &mut protections)?;
        work(&sandbox, protections)
    })?;
    thread.join().unwrap_or(Err(WorkerError::Order("a panic")))
}

fn line() -> Result<OwnedFd, WorkerError> {
    use std::os::fd::AsFd;
    let stdin = std::io::stdin().as_fd().try_clone_to_owned()?;
    match rustix::net::sockopt::socket_type(&stdin) {
        Ok(rustix::net::SocketType::SEQPACKET) => Ok(stdin),
        _ => Err(WorkerError::Usage),
    }
}

/// Verified here as well: nothing gets to the compiler or into a store any other way.
fn verified(descriptor: &OwnedFd, bytes: u64, signer: PublicKey) -> Result<VerifiedModule, String> {
    let bytes: Bytes = memory::map(descriptor, bytes).map_err(|e| e.to_string())?;
    verify_module(bytes, &TrustedKeys::from(signer)).map_err(reason)
}

fn reason(error: impl std::fmt::Display) -> String {
    let mut text = error.to_string();
    text.truncate(text.floor_char_boundary(limits::REASON_BYTES));
    text
}

#[cfg(test)]
mod tests {
    use super::reason;
    use crate::limits::REASON_BYTES;

    #[test]
    fn a_reason_is_cut_at_its_bound_between_two_letters() {
        let bytes = |text: String| reason(text).len();
        assert_eq!(bytes("x".repeat(REASON_BYTES)), REASON_BYTES);
        assert_eq!(bytes("x".repeat(REASON_BYTES + 1)), REASON_BYTES);
        assert_eq!(bytes(format!("x{}", "\u{e9}".repeat(REASON_BYTES))), REASON_BYTES - 1);
    }
}
