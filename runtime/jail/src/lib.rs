//! The processes a peer runs kernels in.
//!
//! The *supervisor* is the peer's own process: it has keys, network and policy, and neither compiles nor executes what
//! comes from outside. A [`Jail`] gives it the two verbs of [`p2c2r_runtime::Sandbox`], `load` and `run`, and does them
//! in worker processes that hold no secret and that nobody misses:
//!
//! | worker | does | lives |
//! |---|---|---|
//! | compile | verifies and compiles one module | for one module |
//! | execute | runs attempts of one kernel, one at a time | until an attempt outstays its deadline, or another kernel needs the place |
//! | gpu | owns adapter and driver, runs no guest code | until an attempt outstays its deadline there |
//!
//! On Linux a worker starts with an empty environment and no descriptor but its line to the supervisor, opens what it
//! needs, and shuts the doors behind itself: resource limits, landlock (no file, no port), and a seccomp allow-list that
//! has no system call to open, connect, fork, trace or signal. One that asks for another call is killed. Deadlines work
//! the same way: nothing in the guest's code looks at a clock, the supervisor kills the process and takes a warm one.
//!
//! Other systems have no jail yet: there, attempts run in the peer's own process, as [`p2c2r_runtime::Sandbox`] does by
//! itself, and [`Jail::protections`] says so.
//!
//! Modules, in reading order: [`jail`], `gpu`, `stock`, `process`, `message`, `channel`, `memory`, `confine`, `worker`.

#[cfg(target_os = "linux")]
mod blobs;
#[cfg(target_os = "linux")]
mod channel;
mod config;
mod confine;
#[cfg(target_os = "linux")]
mod gpu;
#[cfg(target_os = "linux")]
pub mod jail;
#[cfg(not(target_os = "linux"))]
#[path = "inline.rs"]
pub mod jail;
#[cfg(target_os = "linux")]
mod lease;
pub mod limits;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod message;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod stock;
#[cfg(target_os = "linux")]
pub mod worker;

pub use config::JailConfig;
pub use confine::{Protection, Protections};
pub use jail::{Jail, JailError, JailedKernel, LoadError};
