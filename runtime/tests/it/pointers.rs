//! Every pointer of every import, out of range. What is called comes from the tables of the contract, and a parameter
//! whose name is not known here fails the test: a new import is covered or noticed.

use p2c2r_runtime::Attempt;
use p2c2r_signing::{Outcome, TrapCode};

use crate::kit::{Import, core_imports, numbers, run_with, wasi_imports};

/// What a parameter of `p2c2r_v1` is.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// A pointer, and the number of bytes at it when no parameter says.
    Pointer(Option<i64>),
    /// The bytes, or records, at the pointer before it or two before it.
    Length,
    Number,
}

fn core_kind(name: &str) -> Kind {
    match name {
        "src" | "name" | "bindings" => Kind::Pointer(None),
        "dst" => Kind::Pointer(Some(p2c2r_abi::SEED_BYTES as i64)),
        "len" | "name_len" | "count" => Kind::Length,
        "offset" | "index" | "level" | "units" | "bytes" | "handle" | "x" | "y" | "z" => Kind::Number,
        other => panic!("what kind of parameter is {other:?}?"),
    }
}

const MEMORY_BYTES: i64 = 65_536;
const OUT_OF_BOUNDS: Outcome = Outcome::Trap(TrapCode::MemoryOutOfBounds);

fn outcome(import: &Import, arguments: &[i64]) -> Outcome {
    run_with(&import.caller(arguments, false), &import.manifest(), Attempt::new("input")).outcome
}

#[test]
fn every_pointer_of_every_core_import_is_checked() {
    // Pointer and length. Lengths are signed in the text and unsigned in the contract.
    let outside = [
        (MEMORY_BYTES, 1),
        (MEMORY_BYTES - 1, 2),
        (-1, 1),
        (0, MEMORY_BYTES + 1),
        (0, -1),
        (-1, -1),
        (i64::from(i32::MIN), 8),
        (MEMORY_BYTES + 1, 0),
    ];
    let mut pointers = 0;
    for import in core_imports() {
        let kinds: Vec<_> = import.params.iter().map(|(name, _)| core_kind(name)).collect();
        let good: Vec<i64> = kinds.iter().map(|kind| if *kind == Kind::Number { 0 } else { 8 }).collect();
        for (at, kind) in kinds.iter().enumerate() {
            let Kind::Pointer(fixed) = kind else { continue };
            pointers += 1;
            let length = (at + 1..kinds.len()).find(|i| kinds[*i] == Kind::Length);
            let with = |pointer, len| {
                let mut arguments = good.clone();
                arguments[at] = pointer;
                if let Some(length) = length {
                    arguments[length] = len;
                }
                outcome(&import, &arguments)
            };
            match (length, fixed) {
                (Some(_), _) => {
                    for (pointer, len) in outside {
                        assert_eq!(with(pointer, len), OUT_OF_BOUNDS, "{} with {pointer}, {len}", import.name);
                    }
                    for (pointer, len) in [(MEMORY_BYTES, 0), (MEMORY_BYTES - 8, 1), (0, 0)] {
                        assert_eq!(with(pointer, len), Outcome::Output, "{} with {pointer}, {len}", import.name);
                    }
                }
                (None, Some(bytes)) => {
                    for pointer in [MEMORY_BYTES - bytes + 1, MEMORY_BYTES, -1, -bytes, i64::from(i32::MIN)] {
                        assert_eq!(with(pointer, 0), OUT_OF_BOUNDS, "{} with {pointer}", import.name);
                    }
                    assert_eq!(with(MEMORY_BYTES - bytes, 0), Outcome::Output, "{}", import.name);
                }
                (None, None) => panic!("{}: nothing says how long it is", import.name),
            }
        }
    }
    assert_eq!(pointers, 9, "seed, log, output, two to read, two buffer copies and two of dispatch");
}

/// Whether a parameter of a WASI function is a pointer.
fn is_wasi_pointer(name: &str) -> bool {
    match name {
        "argv" | "argv_buf" | "argc" | "environ" | "environ_buf" | "count" | "buf_size" | "resolution" | "time"
        | "stat" | "iovs" | "nread" | "nwritten" | "prestat" | "path" | "buf" | "used" | "position" | "old_path"
        | "new_path" | "opened" | "subscriptions" | "events" | "ready" | "accepted" | "out_flags" => true,
        "id" | "precision" | "fd" | "offset" | "len" | "advice" | "flags" | "base" | "inheriting" | "size" | "atim"
        | "mtim" | "iovs_len" | "path_len" | "buf_len" | "cookie" | "to" | "whence" | "fst_flags" | "old_fd"
        | "old_flags" | "old_len" | "new_fd" | "new_len" | "dirflags" | "oflags" | "fdflags" | "how" | "code"
        | "signal" => false,
        other => panic!("is {other:?} a pointer?"),
    }
}

/// The errno of one call, or how the attempt ended.
fn errno(import: &Import, arguments: &[i64]) -> Result<i32, Outcome> {
    let execution = run_with(&import.caller(arguments, false), &import.manifest(), Attempt::new("input"));
    numbers(&execution).last().copied().filter(|_| execution.outcome == Outcome::Output).ok_or(execution.outcome)
}

#[test]
fn every_pointer_of_every_wasi_import_is_checked() {
    let mut pointers = 0;
    for import in wasi_imports() {
        let fd = i64::from(!import.name.contains("read"));
        let good: Vec<i64> = import
            .params
            .iter()
            .map(|(name, _)| match *name {
                "fd" => fd,
                "iovs" => 16,
                "iovs_len" | "path_len" | "old_len" | "new_len" | "buf_len" | "len" => 1,
                name if is_wasi_pointer(name) => 512,
                _ => 0,
            })
            .collect();
        let said = errno(&import, &good);
        for (at, (name, _)) in import.params.iter().enumerate().filter(|(_, (name, _))| is_wasi_pointer(name)) {
            pointers += 1;
            for pointer in [MEMORY_BYTES, -1, -8, i64::from(i32::MIN)] {
                let mut arguments = good.clone();
                arguments[at] = pointer;
                let ended = errno(&import, &arguments);
                let nothing_to_write = ["args_get", "environ_get"].contains(&import.name);
                // What is refused anyway may be refused before the pointer is looked at.
                let expected = ended == Err(OUT_OF_BOUNDS) || (ended == said && (said != Ok(0) || nothing_to_write));
                assert!(expected, "{}: {name} = {pointer} gave {ended:?}, a good pointer {said:?}", import.name);
            }
        }
    }
    assert!(pointers > 50, "only {pointers} pointers were found");
}
