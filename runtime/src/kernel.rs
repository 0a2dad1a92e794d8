//! A loaded kernel.

use std::sync::Arc;

use p2c2r_signing::{Manifest, ModuleId, VerifiedModule};

/// A module that cannot be loaded here. No statement about what it would compute.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LoadError {
    /// The module has more of something than this host compiles.
    #[error("module has {got} {what}, at most {max} are compiled")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        got: u64,
        /// The bound.
        max: u64,
    },
    /// The compiler failed on a valid module.
    #[error("compiler: {0}")]
    Compile(String),
}

/// A compiled kernel. Cheap to clone; clones share the code.
#[derive(Clone)]
pub struct Kernel(Arc<Inner>);

struct Inner {
    module: VerifiedModule,
}

impl Kernel {
    /// The module's identity.
    #[must_use]
    pub fn id(&self) -> ModuleId {
        self.0.module.id()
    }

    /// The module's manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.0.module.manifest()
    }

    /// Why every run ends as `Outcome::BadAbi`, if it does.
    #[must_use]
    pub fn bad_abi(&self) -> Option<&str> {
        None
    }
}
