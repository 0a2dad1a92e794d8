//! What a shader may do. [`Shader`] is WGSL that was parsed, validated and looked at: whether its results are the same
//! bits on every machine ([`Class`]), and the same shader rewritten so that it ends, stays inside its buffers and waits for
//! nobody in vain ([`Rewritten`]). Nothing here knows a driver: it is all text in, data out.
//!
//! ```
//! use p2c2r_shader::{Class, Shader};
//!
//! let shader = Shader::parse(
//!     "@group(0) @binding(0) var<storage, read_write> words: array<u32>;
//!      @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
//!          words[id.x] = words[id.x] * 3u;
//!      }",
//! )?;
//! assert_eq!(shader.class(), Class::Exact);
//! assert!(!shader.rewritten().has_trap());
//! # Ok::<(), p2c2r_shader::Finding>(())
//! ```
//!
//! In reading order: `nesting`, `declared`, `source`, `foreign` and `invalid` (text to module, bounded), `barrier` and `uniform` (who
//! waits for whom), `exact` and `race` (what could differ between machines), `rewrite`, `reference` (an exact shader on the CPU).

#![forbid(unsafe_code)]

mod barrier;
mod declared;
mod exact;
mod foreign;
mod invalid;
pub mod limits;
mod nesting;
mod race;
pub mod reference;
mod refusal;
mod rewrite;
mod source;
mod uniform;

use std::sync::Arc;

use naga::Module;
use serde::{Deserialize, Serialize};

pub use invalid::declared_twice;
pub use reference::Reference;
pub use refusal::{Finding, Place};

/// Raised with every change that gives a shader another class or other results: it is part of a peer's engine id.
pub const REVISION: u32 = 6;

/// Where a word of a shader stands first, outside comments; for what a parsed module keeps no place of.
#[must_use]
pub fn place_of_word(wgsl: &str, word: &str) -> Option<Place> {
    refusal::Problem::new(nesting::word(wgsl, word), "").in_text(wgsl).place
}

/// Where the results of a shader compare bit for bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// On every adapter, and on the CPU.
    Exact,
    /// Between adapters of one numeric class, if at all.
    Device,
}

/// What a dispatch must be like for a shader to be [`Class::Exact`] in it: past it, invocations would meet at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grid {
    /// `None` for any.
    axes: Option<usize>,
    /// Invocations of a workgroup.
    workgroup: u64,
}

/// WGSL that may be run.
#[derive(Debug)]
pub struct Shader {
    module: Module,
    findings: Vec<Finding>,
    grid: Grid,
    rewritten: Rewritten,
    reference: Option<Arc<Reference>>,
}

/// A shader as a driver may see it.
#[derive(Debug, Clone)]
pub struct Rewritten {
    module: Module,
    has_trap: bool,
}

/// [`Rewritten`] in one more respect: part of its workgroups can be run by themselves.
#[derive(Debug, Clone)]
pub struct Sliced {
    module: Module,
    asks: rewrite::Asks,
}

impl Shader {
    /// Parses, validates, analyses and rewrites `wgsl`.
    ///
    /// # Errors
    /// The [`Finding`] for which it is run nowhere, in no class.
    pub fn parse(wgsl: &str) -> Result<Self, Finding> {
        let (module, info) = source::parse(wgsl)?;
        let in_text = |problem: refusal::Problem| problem.in_text(wgsl);
        let barriers = barrier::Barriers::of(&module);
        uniform::check(&module, &barriers).map_err(in_text)?;
        let written = rewrite::rewrite(&module, &info, &barriers).map_err(in_text)?;
        let mut problems = exact::problems(wgsl, &module, &info);
        let races = race::problems(wgsl, &module, &info, &barriers);
        let grid = Grid::of(&module, races.axes);
        problems.extend(races.problems);
        let start = |problem: &refusal::Problem| problem.span.to_range().map_or(0, |range| range.start);
        problems.sort_by(|one, other| (start(one), &one.reason).cmp(&(start(other), &other.reason)));
        // A float is one in more than one expression that begins here.
        problems.dedup_by(|one, other| start(one) == start(other) && one.reason == other.reason);
        problems.truncate(limits::FINDINGS);
        // What is exact runs anywhere: what is too large for the CPU is not.
        let mut reference = None;
        if problems.is_empty() {
            match Reference::of(&written.module, &written.info) {
                Ok(lowered) => reference = Some(Arc::new(lowered)),
                Err(problem) => problems.push(problem),
            }
        }
        let findings = problems.into_iter().map(in_text).collect();
        let rewritten = Rewritten { module: written.module, has_trap: written.has_trap };
        Ok(Self { module, findings, grid, rewritten, reference })
    }

    /// Where its results compare.
    #[must_use]
    pub const fn class(&self) -> Class {
        if self.findings.is_empty() { Class::Exact } else { Class::Device }
    }

    /// Why it is not [`Class::Exact`], in the order of the text, at most [`limits::FINDINGS`].
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Over which workgroups it is [`Class::Exact`].
    #[must_use]
    pub const fn grid(&self) -> Grid {
        self.grid
    }

    /// What runs on the CPU in place of an adapter, if it is [`Class::Exact`].
    #[must_use]
    pub const fn reference(&self) -> Option<&Arc<Reference>> {
        self.reference.as_ref()
    }

    /// The module as it was written.
    #[must_use]
    pub const fn module(&self) -> &Module {
        &self.module
    }

    /// The module to run.
    #[must_use]
    pub const fn rewritten(&self) -> &Rewritten {
        &self.rewritten
    }
}

impl Grid {
    /// Any dispatch.
    pub const ANY: Self = Self { axes: None, workgroup: 1 };

    fn of(module: &Module, axes: Option<usize>) -> Self {
        if axes.is_none() {
            return Self::ANY;
        }
        let sides = module.entry_points.first().map_or([1; 3], |entry| entry.workgroup_size);
        Self { axes, workgroup: sides.into_iter().map(u64::from).product() }
    }

    /// Axes along which there may be more than one workgroup: x, then y, then z.
    #[must_use]
    pub fn axes(&self) -> usize {
        self.axes.unwrap_or(3)
    }

    /// Whether a dispatch of `groups` workgroups along x, y and z is such: along these axes only, and, along more than x, of
    /// at most [`limits::GRID_INVOCATIONS`] invocations.
    #[must_use]
    pub fn holds(&self, groups: [u32; 3]) -> bool {
        let Some(axes) = self.axes else { return true };
        let along = groups.iter().rposition(|count| *count > 1).map_or(0, |axis| axis + 1);
        let invocations = groups.iter().fold(self.workgroup, |all, count| all.saturating_mul(u64::from(*count)));
        along <= axes && (along <= 1 || invocations <= u64::from(limits::GRID_INVOCATIONS))
    }
}

impl Rewritten {
    /// For `wgpu::ShaderSource::Naga`, or a back end of naga.
    #[must_use]
    pub const fn module(&self) -> &Module {
        &self.module
    }

    /// Whether a buffer of one word, [`limits::TRAP_GOING`] at first, is bound at [`limits::TRAP_BINDING`]: some invocation
    /// sets it to [`limits::TRAP_SET`] if and only if one runs out of its loop budget. A shader without loops has none.
    #[must_use]
    pub const fn has_trap(&self) -> bool {
        self.has_trap
    }

    /// The same, to be run in slices: boxes of workgroups, each a dispatch of its own.
    ///
    /// # Errors
    /// A [`Finding`] without a place if naga does not take the result: a bug of ours, or of naga's.
    pub fn sliced(&self) -> Result<Sliced, Finding> {
        let nowhere = |problem: refusal::Problem| Finding { place: None, reason: problem.reason };
        let (module, asks) = rewrite::slice(&self.module).map_err(nowhere)?;
        Ok(Sliced { module, asks })
    }
}

impl Sliced {
    /// For `wgpu::ShaderSource::Naga`, or a back end of naga.
    #[must_use]
    pub const fn module(&self) -> &Module {
        &self.module
    }

    /// The same, to keep.
    #[must_use]
    pub fn into_module(self) -> Module {
        self.module
    }

    /// Whether a uniform buffer of [`limits::SLICE_BYTES`] is bound at [`limits::SLICE_BINDING`]. A shader that does not
    /// ask where it is has none: all its workgroups are alike.
    #[must_use]
    pub const fn has_place(&self) -> bool {
        self.asks.offset || self.asks.total
    }

    /// Whether it looks at the second half of that buffer.
    #[must_use]
    pub const fn asks_total(&self) -> bool {
        self.asks.total
    }
}
