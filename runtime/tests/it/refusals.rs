//! What the `wasi` profile refuses, each with the errno that a program sees. The table is in docs/SANDBOX.md.

use p2c2r_runtime::Attempt;
use p2c2r_signing::Outcome;

use crate::kit::{Import, numbers, run_with, wasi_imports};

/// Errno values of preview 1.
const SUCCESS: i32 = 0;
const BADF: i32 = 8;
const INVAL: i32 = 28;
const NOTDIR: i32 = 54;
const NOTSUP: i32 = 58;
const SPIPE: i32 = 70;

/// Every function that takes a descriptor, and what it says about standard input, standard output, and a descriptor
/// that is not open: there are no others.
const DESCRIPTORS: &[(&str, [i32; 3])] = &[
    ("fd_advise", [BADF, BADF, BADF]),
    ("fd_allocate", [NOTSUP, NOTSUP, BADF]),
    ("fd_close", [SUCCESS, SUCCESS, BADF]),
    ("fd_datasync", [SUCCESS, SUCCESS, BADF]),
    ("fd_fdstat_get", [SUCCESS, SUCCESS, BADF]),
    ("fd_fdstat_set_flags", [BADF, BADF, BADF]),
    ("fd_fdstat_set_rights", [NOTSUP, NOTSUP, BADF]),
    ("fd_filestat_get", [SUCCESS, SUCCESS, BADF]),
    ("fd_filestat_set_size", [BADF, BADF, BADF]),
    ("fd_filestat_set_times", [BADF, BADF, BADF]),
    ("fd_pread", [BADF, BADF, BADF]),
    ("fd_prestat_get", [BADF, BADF, BADF]),
    ("fd_prestat_dir_name", [NOTDIR, NOTDIR, NOTDIR]),
    ("fd_pwrite", [BADF, BADF, BADF]),
    ("fd_read", [SUCCESS, BADF, BADF]),
    ("fd_readdir", [BADF, BADF, BADF]),
    ("fd_renumber", [SUCCESS, SUCCESS, BADF]),
    ("fd_seek", [SPIPE, SPIPE, BADF]),
    ("fd_sync", [SUCCESS, SUCCESS, BADF]),
    ("fd_tell", [SPIPE, SPIPE, BADF]),
    ("fd_write", [BADF, SUCCESS, BADF]),
    ("path_create_directory", [BADF, BADF, BADF]),
    ("path_filestat_get", [BADF, BADF, BADF]),
    ("path_filestat_set_times", [BADF, BADF, BADF]),
    ("path_link", [BADF, BADF, BADF]),
    ("path_open", [NOTDIR, NOTDIR, BADF]),
    ("path_readlink", [BADF, BADF, BADF]),
    ("path_remove_directory", [BADF, BADF, BADF]),
    ("path_rename", [BADF, BADF, BADF]),
    ("path_symlink", [BADF, BADF, BADF]),
    ("path_unlink_file", [BADF, BADF, BADF]),
    ("sock_accept", [BADF, BADF, BADF]),
    ("sock_recv", [BADF, BADF, BADF]),
    ("sock_send", [BADF, BADF, BADF]),
    ("sock_shutdown", [BADF, BADF, BADF]),
];

/// The errno of one call. It goes out through the core import, because the call may have closed standard output.
fn errno(import: &Import, arguments: &[i64]) -> i32 {
    let types: String = import.params.iter().map(|(_, ty)| format!(" {ty}")).collect();
    let arguments: String =
        import.params.iter().zip(arguments).map(|((_, ty), number)| format!("({ty}.const {number}) ")).collect();
    let wat = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "{}" (func $it (param{types}) (result i32)))
            (import "p2c2r_v1" "output_write" (func $write (param i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 16) "\00\10\00\00\08\00\00\00")
            (data (i32.const 1024) "/etc/passwd")
            (func (export "_start")
                (i32.store (i32.const 8) (call $it {arguments}))
                (drop (call $write (i32.const 8) (i32.const 4)))))"#,
        import.name
    );
    let execution = run_with(&wat, &import.manifest(), Attempt::new("input"));
    assert_eq!(execution.outcome, Outcome::Output, "{} {arguments}", import.name);
    let said = numbers(&execution);
    *said.last().expect("an errno")
}

fn find(name: &str) -> Import {
    wasi_imports().into_iter().find(|import| import.name == name).expect("a function of preview 1")
}

#[test]
fn every_descriptor_answers_as_documented() {
    for import in wasi_imports() {
        let takes = import.params.iter().any(|(name, _)| ["fd", "old_fd", "new_fd"].contains(name));
        let expected = DESCRIPTORS.iter().find(|(name, _)| *name == import.name).map(|(_, expected)| expected);
        assert_eq!(takes, expected.is_some(), "{} belongs in the table, or does not", import.name);
        let Some(expected) = expected else { continue };
        for (fd, expected) in [0, 1, 3].into_iter().zip(expected) {
            let arguments: Vec<i64> = import
                .params
                .iter()
                .map(|(name, _)| match *name {
                    "fd" | "old_fd" | "new_fd" => fd,
                    "iovs" => 16,
                    "iovs_len" => 1,
                    "path" | "old_path" | "new_path" => 1024,
                    "path_len" | "old_len" | "new_len" => 11,
                    "buf_len" => 64,
                    "flags" | "advice" | "whence" | "fst_flags" | "dirflags" | "old_flags" | "oflags" | "fdflags"
                    | "how" | "to" | "offset" | "len" | "size" | "atim" | "mtim" | "cookie" | "base" | "inheriting" => {
                        0
                    }
                    _ => 512,
                })
                .collect();
            assert_eq!(errno(&import, &arguments), *expected, "{} on descriptor {fd}", import.name);
        }
    }
}

#[test]
fn numbers_that_name_nothing_are_invalid() {
    for (name, arguments) in [
        ("clock_time_get", &[4, 0, 64][..]),
        ("clock_time_get", &[-1, 0, 64]),
        ("clock_res_get", &[4, 64]),
        ("fd_seek", &[0, 0, 3, 64]),
        ("fd_advise", &[0, 0, 0, 6]),
        ("fd_fdstat_set_flags", &[1, 1 << 5]),
        ("path_open", &[3, 0, 1024, 11, 1 << 4, 0, 0, 0, 64]),
        ("sock_shutdown", &[3, 1 << 2]),
        ("sock_send", &[3, 16, 1, 1 << 16, 64]),
    ] {
        assert_eq!(errno(&find(name), arguments), INVAL, "{name} {arguments:?}");
    }
}

#[test]
fn only_two_clocks_exist() {
    for (id, expected) in [(0, SUCCESS), (1, SUCCESS), (2, BADF), (3, BADF)] {
        assert_eq!(errno(&find("clock_time_get"), &[id, 0, 64]), expected, "clock {id}");
        assert_eq!(errno(&find("clock_res_get"), &[id, 64]), expected, "resolution of clock {id}");
    }
}
