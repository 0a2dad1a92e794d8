//! How an attempt ended: the one function from errors to outcomes and faults.

use p2c2r_signing::{Outcome, TrapCode};
use wasmtime::{PoolConcurrencyLimitError, Trap};

use crate::attempt::HostFault;
use crate::limits::WASM_STACK_BYTES;

/// Raised by the host to end a guest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    /// The guest broke a rule; a vote.
    #[error("trap {0:?}")]
    Trap(TrapCode),
    /// A WASI program called `proc_exit`; a vote.
    #[error("exit {0}")]
    Exit(i32),
    /// The host cannot go on; no vote.
    #[error(transparent)]
    Fault(HostFault),
}

impl Stop {
    pub(crate) fn internal(reason: impl ToString) -> Self {
        Self::Fault(HostFault::Internal(reason.to_string()))
    }
}

/// What an error of instantiation or of a call means.
pub(crate) fn classify(error: &wasmtime::Error, workers: u32) -> Result<Outcome, HostFault> {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return match stop {
            Stop::Trap(code) => Ok(Outcome::Trap(*code)),
            Stop::Exit(0) => Ok(Outcome::Output),
            Stop::Exit(code) => Ok(Outcome::Failed(*code)),
            Stop::Fault(fault) => Err(fault.clone()),
        };
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return trap_outcome(*trap);
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Err(HostFault::Busy { workers });
    }
    if error.is::<wasmtime::OutOfMemory>() || error.is::<std::io::Error>() {
        return Err(HostFault::OutOfMemory(error.to_string()));
    }
    Err(HostFault::Internal(format!("{error:#}")))
}

fn trap_outcome(trap: Trap) -> Result<Outcome, HostFault> {
    let code = match trap {
        Trap::UnreachableCodeReached => TrapCode::Unreachable,
        Trap::MemoryOutOfBounds => TrapCode::MemoryOutOfBounds,
        Trap::TableOutOfBounds => TrapCode::TableOutOfBounds,
        Trap::IndirectCallToNull => TrapCode::IndirectCallToNull,
        Trap::BadSignature => TrapCode::BadSignature,
        Trap::IntegerOverflow => TrapCode::IntegerOverflow,
        Trap::IntegerDivisionByZero => TrapCode::IntegerDivisionByZero,
        Trap::BadConversionToInteger => TrapCode::BadConversionToInteger,
        Trap::OutOfFuel => return Ok(Outcome::OutOfFuel),
        Trap::StackOverflow => return Err(HostFault::StackOverflow { bytes: WASM_STACK_BYTES }),
        // Everything else belongs to features that are off.
        other => return Err(HostFault::Internal(format!("unexpected trap: {other}"))),
    };
    Ok(Outcome::Trap(code))
}
