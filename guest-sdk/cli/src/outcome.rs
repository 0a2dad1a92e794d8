//! How an attempt ended, for the kernel's author: which bound was met and what to raise.

use anyhow::anyhow;
use p2c2r_runtime::gpu::limits::{LOOP_FUEL, LOOP_ROUNDS};
use p2c2r_runtime::{Execution, HostFault, Kernel, LogLevel, limits::STACK_SLOTS};
use p2c2r_signing::{Outcome, TrapCode};

use crate::description::DESCRIPTION_FILE;
use crate::table;

/// An outcome in words; `max_units` is what the task paid for.
pub(crate) fn outcome(execution: &Execution, kernel: &Kernel, max_units: u64) -> String {
    match execution.outcome {
        Outcome::Output => "output".to_owned(),
        Outcome::Failed(code) => format!("failed with code {code}; the output says why"),
        Outcome::Trap(code) => format!("trap: {}", trap(code, execution, kernel, max_units)),
        Outcome::OutOfFuel => format!("out of fuel; raise fuel in {DESCRIPTION_FILE} or do less per task"),
        Outcome::BadAbi => format!("bad abi: {}", kernel.bad_abi().unwrap_or("the module breaks the contract")),
    }
}

fn trap(code: TrapCode, execution: &Execution, kernel: &Kernel, max_units: u64) -> String {
    let limits = &kernel.manifest().limits;
    let raise =
        |field: &str, bytes: u64| format!("limits.{field} in {DESCRIPTION_FILE} is {} bytes", table::number(bytes));
    match code {
        TrapCode::Unreachable if execution.log.iter().any(|line| line.level == LogLevel::Panic) => {
            "the kernel panicked; its message is above".to_owned()
        }
        TrapCode::Unreachable => "an unreachable instruction, which is how a panic or an abort ends".to_owned(),
        TrapCode::MemoryOutOfBounds => "an access outside linear memory".to_owned(),
        TrapCode::TableOutOfBounds => "an access outside a table".to_owned(),
        TrapCode::IndirectCallToNull => "a call through a null function pointer".to_owned(),
        TrapCode::BadSignature => "a call through a function pointer of another type".to_owned(),
        TrapCode::IntegerOverflow => "an integer overflow in a signed division".to_owned(),
        TrapCode::IntegerDivisionByZero => "an integer division by zero".to_owned(),
        TrapCode::BadConversionToInteger => "a float that fits no integer was converted to one".to_owned(),
        TrapCode::GrowLimit => {
            format!("memory was to grow past its limit; {}", raise("memory_bytes", limits.memory_bytes))
        }
        TrapCode::OutputLimit => format!("the output passes its limit; {}", raise("output_bytes", limits.output_bytes)),
        TrapCode::UnitsLimit => format!(
            "a charge that passes {} units, what the task may charge; raise limits.units in {DESCRIPTION_FILE}{}, or charge less",
            table::number(max_units),
            if max_units < limits.units { " or --units" } else { "" }
        ),
        TrapCode::ShaderFuel => format!(
            "an invocation of a shader went round its loops more than {} times in one dispatch ({} times those with a barrier); \
             give it less, in more dispatches",
            table::number(LOOP_FUEL.into()),
            table::number(LOOP_ROUNDS.into())
        ),
        TrapCode::StackLimit => format!(
            "calls nest deeper than the {} slots they share; keep depth that follows the input in a Vec",
            table::number(STACK_SLOTS.into())
        ),
    }
}

/// Why there is no outcome, and whose fault that is: the task's, the kernel's or this machine's.
pub(crate) fn fault(fault: &HostFault) -> anyhow::Error {
    match fault {
        HostFault::Deadline { .. } => {
            anyhow!("no outcome: {fault}; give the kernel more with --deadline SECONDS, or less to do")
        }
        HostFault::TooLarge { .. } => anyhow!("no peer would be given this task: {fault}"),
        _ => anyhow!("no outcome, for a reason of this machine: {fault}"),
    }
}
