//! The verbs, one file each: arguments and what they do.

pub(crate) mod build;
pub(crate) mod inspect;
pub(crate) mod keygen;
pub(crate) mod lint;
pub(crate) mod new;
pub(crate) mod probe;
pub(crate) mod run;
pub(crate) mod sign;
pub(crate) mod verify;
