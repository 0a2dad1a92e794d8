//! Bounds of this kernel. The manifest (`p2c2r.toml`) follows from them.

/// Cells along one side of a nav grid: a blob of at most 1 MiB.
pub const GRID_SIDE: u16 = 1024;

/// Agents in one task.
pub const AGENTS: usize = 4096;

/// Nodes one search may expand. 4096 agents at this bound are about a minute of one core: a client picks its own bound in
/// [`World::max_nodes`](crate::World::max_nodes).
pub const NODES: u32 = 16_384;

/// Units an agent costs before its search, in nodes: scoring six actions takes about as long as expanding this many.
pub const AGENT_UNITS: u64 = 16;

/// Units an agent's steps by the policy cost, in nodes: in Wasm an agent takes as long as expanding 107 to 138 of them (4096 agents,
/// both movers on the same busy machine). On a GPU it costs the same, because the bill is part of the task.
pub const POLICY_UNITS: u64 = 112;

/// Size of a bias of the policy's network, so that no sum overflows.
pub const POLICY_BIAS: i32 = 1 << 24;
