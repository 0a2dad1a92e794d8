//! The functions of `wasi_snapshot_preview1`, wired to wasi-common one by one.

use p2c2r_signing::TrapCode;
use wasi_common::snapshots::preview_1::types::Errno;
use wasi_common::snapshots::preview_1::wasi_snapshot_preview1 as p1;
use wasmtime::{Caller, Linker};
use wiggle::{GuestError, GuestMemory};

use crate::ending::Stop;
use crate::limits::{WASI_IOVECS, WASI_RANDOM_BYTES, WASI_SUBSCRIPTIONS};
use crate::state::State;

/// Module name of the imports.
const MODULE: &str = "wasi_snapshot_preview1";

/// Lists the imports, and defines those that are passed on as they are. `if count <= MAX` refuses a larger count with
/// `EINVAL`, because wasi-common allocates and loops by it.
macro_rules! forward {
    ($($name:ident($($arg:ident: $ty:ty),*) $(if $count:ident <= $max:expr)?;)*) => {
        /// Every function of `wasi_snapshot_preview1` that a kernel of the `wasi` profile may import, with its
        /// WebAssembly signature. `p2c2r_abi::import::ALL` comes on top.
        pub const WASI_IMPORTS: &[(&str, &str)] = &[
            $((stringify!($name), concat!("(", stringify!($($arg: $ty),*), ") -> i32")),)*
            ("proc_exit", "(code: i32)"),
            ("proc_raise", "(signal: i32) -> i32"),
        ];

        fn forward(linker: &mut Linker<State>) -> wasmtime::Result<()> {
            $(linker.func_wrap(
                MODULE,
                stringify!($name),
                |mut caller: Caller<'_, State>, $($arg: $ty),*| -> wasmtime::Result<i32> {
                    $(if $count.cast_unsigned() > $max {
                        return Ok(Errno::Inval as i32);
                    })?
                    let (memory, state) = State::split(&mut caller)?;
                    let State { wasi, output, log, .. } = state;
                    let Some(wasi) = wasi else { return Err(Stop::internal("no wasi in this attempt").into()) };
                    let mut memory = GuestMemory::Unshared(memory);
                    let result = wasi.with(output, log, |ctx| {
                        wiggle::run_in_dummy_executor(p1::$name(ctx, &mut memory $(, $arg)*))
                    });
                    result.and_then(|result| result).or_else(|error| refuse(&error).map_err(Into::into))
                },
            )?;)*
            Ok(())
        }
    };
}

forward! {
    args_get(argv: i32, argv_buf: i32);
    args_sizes_get(argc: i32, buf_size: i32);
    environ_get(environ: i32, environ_buf: i32);
    environ_sizes_get(count: i32, buf_size: i32);
    clock_res_get(id: i32, resolution: i32);
    clock_time_get(id: i32, precision: i64, time: i32);
    fd_advise(fd: i32, offset: i64, len: i64, advice: i32);
    fd_allocate(fd: i32, offset: i64, len: i64);
    fd_close(fd: i32);
    fd_datasync(fd: i32);
    fd_fdstat_get(fd: i32, stat: i32);
    fd_fdstat_set_flags(fd: i32, flags: i32);
    fd_fdstat_set_rights(fd: i32, base: i64, inheriting: i64);
    fd_filestat_get(fd: i32, stat: i32);
    fd_filestat_set_size(fd: i32, size: i64);
    fd_filestat_set_times(fd: i32, atim: i64, mtim: i64, flags: i32);
    fd_pread(fd: i32, iovs: i32, iovs_len: i32, offset: i64, nread: i32) if iovs_len <= WASI_IOVECS;
    fd_prestat_get(fd: i32, prestat: i32);
    fd_prestat_dir_name(fd: i32, path: i32, path_len: i32);
    fd_pwrite(fd: i32, iovs: i32, iovs_len: i32, offset: i64, nwritten: i32) if iovs_len <= WASI_IOVECS;
    fd_read(fd: i32, iovs: i32, iovs_len: i32, nread: i32) if iovs_len <= WASI_IOVECS;
    fd_readdir(fd: i32, buf: i32, buf_len: i32, cookie: i64, used: i32);
    fd_renumber(fd: i32, to: i32);
    fd_seek(fd: i32, offset: i64, whence: i32, position: i32);
    fd_sync(fd: i32);
    fd_tell(fd: i32, position: i32);
    fd_write(fd: i32, iovs: i32, iovs_len: i32, nwritten: i32) if iovs_len <= WASI_IOVECS;
    path_create_directory(fd: i32, path: i32, path_len: i32);
    path_filestat_get(fd: i32, flags: i32, path: i32, path_len: i32, stat: i32);
    path_filestat_set_times(
        fd: i32, flags: i32, path: i32, path_len: i32, atim: i64, mtim: i64, fst_flags: i32
    );
    path_link(
        old_fd: i32, old_flags: i32, old_path: i32, old_len: i32, new_fd: i32, new_path: i32, new_len: i32
    );
    path_open(
        fd: i32, dirflags: i32, path: i32, path_len: i32, oflags: i32, base: i64, inheriting: i64,
        fdflags: i32, opened: i32
    );
    path_readlink(fd: i32, path: i32, path_len: i32, buf: i32, buf_len: i32, used: i32);
    path_remove_directory(fd: i32, path: i32, path_len: i32);
    path_rename(fd: i32, old_path: i32, old_len: i32, new_fd: i32, new_path: i32, new_len: i32);
    path_symlink(old_path: i32, old_len: i32, fd: i32, new_path: i32, new_len: i32);
    path_unlink_file(fd: i32, path: i32, path_len: i32);
    poll_oneoff(subscriptions: i32, events: i32, len: i32, ready: i32) if len <= WASI_SUBSCRIPTIONS;
    random_get(buf: i32, buf_len: i32) if buf_len <= WASI_RANDOM_BYTES;
    sched_yield();
    sock_accept(fd: i32, flags: i32, accepted: i32);
    sock_recv(fd: i32, iovs: i32, iovs_len: i32, flags: i32, nread: i32, out_flags: i32) if iovs_len <= WASI_IOVECS;
    sock_send(fd: i32, iovs: i32, iovs_len: i32, flags: i32, nwritten: i32) if iovs_len <= WASI_IOVECS;
    sock_shutdown(fd: i32, how: i32);
}

pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    forward(linker)?;
    // wasi-common answers these two with errors that have no type: exit codes from 126 up, and every signal.
    linker.func_wrap(MODULE, "proc_exit", |code: i32| -> wasmtime::Result<()> { Err(Stop::Exit(code).into()) })?;
    linker.func_wrap(MODULE, "proc_raise", |_signal: i32| -> wasmtime::Result<i32> {
        Err(Stop::Trap(TrapCode::Unreachable).into())
    })?;
    Ok(())
}

/// What an error of wasi-common means: an errno for numbers that name nothing, a trap for pointers that are outside
/// memory or not aligned. Everything else a guest can get wrong is no error there.
fn refuse(error: &wiggle::error::Error) -> Result<i32, Stop> {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return Err(stop.clone());
    }
    let Some(mut guest) = error.downcast_ref::<GuestError>() else {
        return Err(Stop::internal(format!("wasi: {error:#}")));
    };
    while let GuestError::InFunc { err, .. } = guest {
        guest = err;
    }
    match guest {
        GuestError::InvalidEnumValue(_) | GuestError::InvalidFlagValue(_) | GuestError::TryFromIntError(_) => {
            Ok(Errno::Inval as i32)
        }
        GuestError::InvalidUtf8(_) => Ok(Errno::Ilseq as i32),
        _ => Err(Stop::Trap(TrapCode::MemoryOutOfBounds)),
    }
}
