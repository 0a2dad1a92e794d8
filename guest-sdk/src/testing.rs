//! Kernels in native tests: a mock host instead of the sandbox, on this thread.
//!
//! ```
//! use p2c2r_guest::testing::{Host, Outcome};
//! use p2c2r_guest::{Context, Failure, kernel};
//!
//! #[kernel]
//! fn xor(ctx: &mut Context, input: &[u8]) -> Result<Vec<u8>, Failure> {
//!     let key = ctx.blob(0)?.to_vec(1 << 20)?;
//!     ctx.charge(input.len() as u64);
//!     Ok(input.iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b).collect())
//! }
//!
//! let report = Host::new().input(*b"abc").blob(*b"K").run(xor);
//! assert_eq!(report.outcome, Outcome::Output);
//! assert_eq!(report.output, [b'a' ^ b'K', b'b' ^ b'K', b'c' ^ b'K']);
//!
//! let report = Host::new().input(*b"abc").run(xor);
//! assert_eq!(report.message(), "blob 0 asked for, the task names 0");
//! ```
//!
//! It answers as the sandbox does, but enforces no limit of the manifest, knows nothing of a shader that its stand-in does not show (which
//! bindings it has, how large, along which axes it may be dispatched) and runs no Wasm: what only shows there (memory
//! limits, 32-bit `usize`, floats of another instruction set) needs a run in the sandbox, `p2c2r run`.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use p2c2r_abi::{SEED_BYTES, level};

use crate::codec::Decode;
use crate::failure::Failure;
use crate::kernel::{Kernel, entry};
use crate::log::Level;
use crate::sys;

/// A host to be: input, blobs, seed and shaders, all empty at first.
#[derive(Default)]
pub struct Host {
    host: sys::Host,
}

/// What an attempt left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// Output bytes; the message after a failure.
    pub output: Vec<u8>,
    /// Units charged.
    pub units: u64,
    /// Lines logged.
    pub log: Vec<(Level, String)>,
    /// GPU buffers the kernel did not drop.
    pub leaked_buffers: usize,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The kernel returned an output.
    Output,
    /// The kernel returned a failure with this code.
    Failed(i32),
    /// The kernel panicked with this message; in the sandbox, a trap.
    Trap(String),
}

/// Runs a kernel on an input, without blobs, with the seed zero, without GPU.
pub fn run<Shape>(kernel: impl Kernel<Shape>, input: impl Into<Vec<u8>>) -> Report {
    Host::new().input(input).run(kernel)
}

impl Host {
    /// A host with nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The task's input.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.host.input = bytes.into();
        self
    }

    /// One more blob.
    #[must_use]
    pub fn blob(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.host.blobs.push(bytes.into());
        self
    }

    /// The seed, zero otherwise.
    #[must_use]
    pub fn seed(mut self, seed: [u8; SEED_BYTES]) -> Self {
        self.host.seed = seed;
        self
    }

    /// Stands in for a shader: called with the workgroups and the bytes of the bound buffers by binding number. The first one
    /// turns the GPU on. This checks the kernel's use of the GPU, not the WGSL.
    #[must_use]
    pub fn shader(
        mut self,
        name: impl Into<String>,
        shader: impl Fn([u32; 3], &mut BTreeMap<u32, Vec<u8>>) + 'static,
    ) -> Self {
        self.host.shaders.insert(name.into(), Rc::new(shader));
        self
    }

    /// Runs one attempt. A panic of the kernel is caught and reported as a trap.
    pub fn run<Shape>(self, kernel: impl Kernel<Shape>) -> Report {
        let (result, host) = sys::with_host(self.host, || entry(kernel));
        let mut log: Vec<_> = host.log.into_iter().map(|(level, line)| (level_of(level), line)).collect();
        let outcome = match result {
            Ok(0) => Outcome::Output,
            Ok(code) => Outcome::Failed(code),
            Err(panic) => {
                let message = panic_message(&*panic);
                log.push((Level::Panic, message.clone()));
                Outcome::Trap(message)
            }
        };
        Report { outcome, output: host.output, units: host.units, log, leaked_buffers: host.buffers.len() }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("input_bytes", &self.host.input.len())
            .field("blobs", &self.host.blobs.len())
            .field("shaders", &self.host.shaders.keys())
            .finish_non_exhaustive()
    }
}

impl Report {
    /// The output, decoded; after a failure or a trap, that.
    ///
    /// # Errors
    /// The kernel's failure, or that of decoding.
    pub fn output_as<T: Decode>(&self) -> Result<T, Failure> {
        match &self.outcome {
            Outcome::Output => T::decode(self.output.clone()),
            Outcome::Failed(code) => Err(Failure::new(*code, self.message())),
            Outcome::Trap(message) => Err(Failure::new(0, format_args!("trap: {message}"))),
        }
    }

    /// What a failure said, or a trap; empty after success.
    #[must_use]
    pub fn message(&self) -> &str {
        match &self.outcome {
            Outcome::Output => "",
            Outcome::Failed(_) => str::from_utf8(&self.output).unwrap_or("(not UTF-8)"),
            Outcome::Trap(message) => message,
        }
    }
}

fn level_of(code: i32) -> Level {
    match code {
        level::DEBUG => Level::Debug,
        level::INFO => Level::Info,
        level::WARN => Level::Warn,
        _ => Level::Panic,
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "(no message)".to_owned())
}
