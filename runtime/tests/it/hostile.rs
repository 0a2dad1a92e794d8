//! Whatever bytes a publisher signs and whatever numbers a guest passes, the process lives.

use std::time::Duration;

use p2c2r_runtime::Attempt;
use proptest::prelude::*;

use crate::kit::{core, manifest, sandbox, sign, try_run, try_sign, wasi_manifest};

/// Loads and, if it loads, runs. Any outcome and any fault is fine.
fn survive(wasm: &[u8]) {
    let Some(module) = try_sign(wasm, &manifest(), &[]) else { return };
    if let Ok(kernel) = sandbox().load(&module) {
        let _ = sandbox().run(&kernel, Attempt { deadline: Duration::from_millis(50), ..Attempt::new("input") });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        survive(&bytes);
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend_from_slice(&bytes);
        survive(&module);
    }

    #[test]
    fn a_changed_module(at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut wasm = wat::parse_str(core(
            "(call $put (i32.const 1)) (call $seed (i32.const 64)) (drop (memory.grow (i32.const 1)))",
        )).unwrap();
        let at = at.index(wasm.len());
        wasm[at] = to;
        survive(&wasm);
        wasm.truncate(cut.index(wasm.len()));
        survive(&wasm);
    }

    #[test]
    fn any_arguments_to_any_import(which in 0usize..13, a in number(), b in number(), c in number(), d in number()) {
        let call = match which {
            0 => format!("(drop (call $input_read (i32.const {a}) (i32.const {b}) (i32.const {c})))"),
            1 => format!("(drop (call $output_write (i32.const {a}) (i32.const {b})))"),
            2 => format!("(drop (call $blob_len (i32.const {a})))"),
            3 => format!("(drop (call $blob_read (i32.const {a}) (i64.const {b}) (i32.const {c}) (i32.const {d})))"),
            4 => format!("(call $seed (i32.const {a}))"),
            5 => format!("(call $log (i32.const {a}) (i32.const {b}) (i32.const {c}))"),
            6 => format!("(call $charge (i64.const {a}))"),
            7 => format!("(drop (call $buf_create (i64.const {a})))"),
            8 => format!("(drop (call $buf_write (i32.const {a}) (i64.const {b}) (i32.const {c}) (i32.const {d})))"),
            9 => format!("(drop (call $buf_read (i32.const {a}) (i64.const {b}) (i32.const {c}) (i32.const {d})))"),
            10 => format!("(drop (call $buf_drop (i32.const {a})))"),
            11 => format!(
                "(drop (call $dispatch (i32.const {a}) (i32.const {b}) (i32.const {c}) (i32.const {d}) (i32.const {a})
                    (i32.const {b}) (i32.const {c})))"
            ),
            _ => format!("(drop (memory.grow (i32.const {a})))"),
        };
        let attempt = Attempt { blobs: vec!["blob".into()], ..Attempt::new("input") };
        try_run(&core(&call), &manifest(), attempt).unwrap();
    }

    #[test]
    fn any_arguments_to_any_wasi_import(which in 0usize..WASI.len(), numbers in proptest::collection::vec(number(), 9)) {
        let (name, params) = WASI[which];
        let types: Vec<_> = params.chars().map(|c| if c == 'l' { "i64" } else { "i32" }).collect();
        let arguments: String =
            types.iter().zip(&numbers).map(|(ty, number)| format!("({ty}.const {number}) ")).collect();
        let wat = format!(
            r#"(module
                (import "wasi_snapshot_preview1" "{name}" (func $f (param {}) (result i32)))
                (memory (export "memory") 1)
                (func (export "_start") (drop (call $f {arguments}))))"#,
            types.join(" ")
        );
        let kernel = sandbox().load(&sign(&wat::parse_str(&wat).unwrap(), &wasi_manifest(), &[])).unwrap();
        prop_assert_eq!(kernel.bad_abi(), None);
        sandbox().run(&kernel, Attempt::new("input")).unwrap();
    }
}

/// Numbers around the edges of things.
fn number() -> impl Strategy<Value = i32> {
    prop_oneof![
        Just(0),
        Just(1),
        Just(-1),
        Just(i32::MAX),
        Just(i32::MIN),
        Just(65_535),
        Just(65_536),
        0i32..16,
        1000i32..1100,
        any::<i32>(),
    ]
}

/// Every import of WASI preview 1 that returns, and its parameters: `i` is i32, `l` is i64.
const WASI: &[(&str, &str)] = &[
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "ili"),
    ("fd_advise", "illi"),
    ("fd_allocate", "ill"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "ill"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "il"),
    ("fd_filestat_set_times", "illi"),
    ("fd_pread", "iiili"),
    ("fd_prestat_get", "ii"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_pwrite", "iiili"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiili"),
    ("fd_renumber", "ii"),
    ("fd_seek", "ilii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiilli"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiillii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("proc_raise", "i"),
    ("random_get", "ii"),
    ("sched_yield", ""),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];
