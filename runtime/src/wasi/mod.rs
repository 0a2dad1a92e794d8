//! WASI preview 1 with nothing behind it, for kernels of the `wasi` profile: wasi-common's implementation of the
//! interface over sources that are all functions of the task. Standard input is the input, standard output the
//! output, standard error the log. No arguments, no environment, no files, no sockets, a seeded random source, and
//! clocks that move by a fixed step when they are read.
//!
//! `wasi-common` is built without its `sync` and `wasmtime` features: no code that could open a file or a socket is
//! linked, and [`imports`] calls its functions by hand.

mod clock;
mod imports;
mod stdio;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use wasi_common::{Table, WasiCtx};

use self::clock::Virtual;
use self::stdio::{Stdin, Streams, Writer};
use crate::log::Log;
use crate::state::Output;

pub use self::imports::WASI_IMPORTS;
pub(crate) use self::imports::link;

/// Where a WASI command starts, `() -> ()`.
pub(crate) const ENTRY: &str = "_start";

const RANDOM_DOMAIN: &str = "P2C2R 2026-11-22 wasi random v1";

/// The WASI side of one attempt.
pub(crate) struct Wasi {
    ctx: WasiCtx,
    streams: Arc<Mutex<Streams>>,
}

impl Wasi {
    /// A fresh world for one attempt.
    pub(crate) fn new(input: Bytes, seed: &[u8; 32]) -> Self {
        let streams = Arc::new(Mutex::new(Streams::default()));
        let random = ChaCha20Rng::from_seed(blake3::derive_key(RANDOM_DOMAIN, seed));
        let time = Virtual::new();
        let ctx = WasiCtx::new(Box::new(random), time.clocks(), Box::new(time), Table::new());
        ctx.set_stdin(Box::new(Stdin::new(input)));
        ctx.set_stdout(Box::new(Writer::stdout(&streams)));
        ctx.set_stderr(Box::new(Writer::stderr(&streams)));
        Self { ctx, streams }
    }

    /// Runs one WASI call with the attempt's output and log in reach of its file descriptors.
    fn with<T>(&mut self, output: &mut Output, log: &mut Log, call: impl FnOnce(&mut WasiCtx) -> T) -> T {
        stdio::lend(&self.streams, output, log);
        let result = call(&mut self.ctx);
        stdio::lend(&self.streams, output, log);
        result
    }
}
