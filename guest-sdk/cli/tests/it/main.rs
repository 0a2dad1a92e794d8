//! `p2c2r` as its users run it, and the workspace's own rules about who may depend on whom.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod blocks;
mod building;
mod device;
mod edges;
mod kernels;
mod linting;
mod program;
mod running;
mod shaders;
mod signing;
mod skeletons;
