//! Input, output, blobs, seed, log and units.

use p2c2r_abi::{IMPORT_MODULE, import, status};
use wasmtime::{Caller, Linker, Result};

use crate::attempt::LogLevel;
use crate::ending::Stop;
use crate::state::{State, place};

pub(super) fn link(linker: &mut Linker<State>) -> Result<()> {
    linker
        .func_wrap(IMPORT_MODULE, import::INPUT_LEN, |caller: Caller<'_, State>| -> i32 {
            saturate(caller.data().input.len())
        })?
        .func_wrap(
            IMPORT_MODULE,
            import::INPUT_READ,
            |mut caller: Caller<'_, State>, offset: i32, dst: i32, len: i32| -> Result<i32> {
                let (memory, state) = State::split(&mut caller)?;
                Ok(read(&state.input, u64::from(offset.cast_unsigned()), target(memory, dst, len)?))
            },
        )?
        .func_wrap(
            IMPORT_MODULE,
            import::OUTPUT_WRITE,
            |mut caller: Caller<'_, State>, src: i32, len: i32| -> Result<i32> {
                let (memory, state) = State::split(&mut caller)?;
                state.output.write(&[target(memory, src, len)?])?;
                Ok(status::OK)
            },
        )?
        .func_wrap(IMPORT_MODULE, import::BLOB_COUNT, |caller: Caller<'_, State>| -> i32 {
            saturate(caller.data().blobs.len())
        })?
        .func_wrap(IMPORT_MODULE, import::BLOB_LEN, |caller: Caller<'_, State>, index: i32| -> i64 {
            let blob = blob(caller.data(), index);
            blob.map_or(i64::from(status::HANDLE), |blob| i64::try_from(blob.len()).unwrap_or(i64::MAX))
        })?
        .func_wrap(
            IMPORT_MODULE,
            import::BLOB_READ,
            |mut caller: Caller<'_, State>, index: i32, offset: i64, dst: i32, len: i32| -> Result<i32> {
                let (memory, state) = State::split(&mut caller)?;
                let dst = target(memory, dst, len)?;
                let Some(blob) = blob(state, index) else { return Ok(status::HANDLE) };
                Ok(u64::try_from(offset).map_or(status::RANGE, |offset| read(blob, offset, dst)))
            },
        )?
        .func_wrap(IMPORT_MODULE, import::SEED, |mut caller: Caller<'_, State>, dst: i32| -> Result<()> {
            let (memory, state) = State::split(&mut caller)?;
            let range = place(memory, dst, state.seed.len() as u64)?;
            memory[range].copy_from_slice(&state.seed);
            Ok(())
        })?
        .func_wrap(
            IMPORT_MODULE,
            import::LOG,
            |mut caller: Caller<'_, State>, level: i32, src: i32, len: i32| -> Result<()> {
                let (memory, state) = State::split(&mut caller)?;
                state.log.line(LogLevel::from_abi(level), target(memory, src, len)?);
                Ok(())
            },
        )?
        .func_wrap(IMPORT_MODULE, import::CHARGE, |mut caller: Caller<'_, State>, units: i64| -> Result<()> {
            Ok(caller.data_mut().units.charge(units)?)
        })?;
    Ok(())
}

fn target(memory: &mut [u8], pointer: i32, len: i32) -> Result<&mut [u8], Stop> {
    let range = place(memory, pointer, u64::from(len.cast_unsigned()))?;
    Ok(&mut memory[range])
}

fn blob(state: &State, index: i32) -> Option<&[u8]> {
    let blob = state.blobs.get(usize::try_from(index).ok()?)?;
    Some(blob)
}

/// Fills `dst` from `offset`, all or nothing.
fn read(source: &[u8], offset: u64, dst: &mut [u8]) -> i32 {
    let found = usize::try_from(offset).ok().and_then(|offset| source.get(offset..)).and_then(|s| s.get(..dst.len()));
    match found {
        Some(bytes) => {
            dst.copy_from_slice(bytes);
            status::OK
        }
        None => status::RANGE,
    }
}

fn saturate(len: usize) -> i32 {
    i32::try_from(len).unwrap_or(i32::MAX)
}
