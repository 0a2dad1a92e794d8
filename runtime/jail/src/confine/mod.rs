//! Shutting a process's doors from the inside. What is there depends on the system; what was shut is reported.

#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod linux;

#[cfg(target_os = "linux")]
pub(crate) use linux::{ConfineError, begin, forbid_new_code, shut, shut_gpu, wall_off};

use serde::{Deserialize, Serialize};

/// What stands between a kernel and the machine, beside WebAssembly's own walls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protections(Vec<Protection>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// What it is called.
    pub name: String,
    /// Whether it is on.
    pub on: bool,
    /// What it does, or why it is off.
    pub detail: String,
}

impl Protections {
    /// Adds one that is on.
    pub(crate) fn on(&mut self, name: &str, detail: impl Into<String>) {
        self.0.push(Protection { name: name.to_owned(), on: true, detail: detail.into() });
    }

    /// Adds one that is off.
    pub(crate) fn off(&mut self, name: &str, detail: impl Into<String>) {
        self.0.push(Protection { name: name.to_owned(), on: false, detail: detail.into() });
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Protection> {
        self.0.iter()
    }

    /// Whether all are on.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.0.iter().all(|protection| protection.on)
    }
}
