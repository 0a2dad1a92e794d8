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
