//! The GPU as a kernel sees it: buffers and dispatches of the module's own shaders, on any Vulkan, Metal or DX12
//! adapter, with the same limits and the same status codes everywhere.
//!
//! - [`Gpu`] is an adapter that passed the probe suite. It belongs to the process and outlives lost devices.
//! - [`Shaders`] are the shaders of one verified module, checked and compiled.
//! - [`GpuAttempt`] is what an attempt may do: buffers and dispatches. [`GpuSession`] is one in this process, with its
//!   buffers, its ledger, its deadline. Nothing survives it. [`ReferenceSession`] is one on the CPU, for exact shaders.
//!   [`Statuses`] are what a guest is told meanwhile, if that is another process.
//!
//! Two kinds of failure never mix. What follows from the task alone (a wrong handle, a limit of the manifest) is a
//! [`p2c2r_abi::status`] that the guest sees and every peer returns alike. What depends on the machine is a
//! [`GpuFault`], which ends the attempt without a vote.
//!
//! Shaders are analysed and rewritten by `p2c2r_shader` before a driver sees them. An invocation that uses up its loop budget
//! sets a word that is looked at when results are next waited for; that ends the attempt with [`GpuStop::Trap`], a vote.
//!
//! A dispatch that would keep the device for long is cut into slices, each a submission of its own: some workgroups now, some
//! later, with the same result. Between two of them the attempt may end: its deadline passed, it was called off, or trapped.
//!
//! Not here: limits on time other than those budgets and the deadline of the attempt (work that takes longer is waited for
//! until then, and its device is given up).

mod adapter;
mod attempt;
mod device;
mod fault;
mod handle;
mod interface;
mod ledger;
pub mod limits;
mod pipeline;
mod pool;
mod probe;
mod reference;
mod refused;
mod session;
mod shader;
mod slice;
#[cfg(test)]
mod sliced;
mod statuses;
mod until;

pub use adapter::{Gpu, GpuInfo, GpuOptions};
pub use attempt::GpuAttempt;
pub use fault::{GpuFault, GpuLoadError, GpuOpenError, GpuStop};
pub use interface::Interface;
pub use pipeline::{Shaders, check_shaders};
pub use reference::ReferenceSession;
pub use session::GpuSession;
pub use shader::{interface, lint};
pub use statuses::Statuses;
pub use until::Until;

pub use p2c2r_shader::{Class, Finding};

/// The status of a call that did what was asked.
pub use p2c2r_abi::status::OK;
