//! What can go wrong, by whose fault: the machine ([`GpuOpenError`], [`GpuFault`]) or the kernel's author
//! ([`GpuLoadError`]).

/// No GPU to work with.
#[derive(Debug, thiserror::Error)]
pub enum GpuOpenError {
    /// No Vulkan, Metal or DX12 adapter that the policy allows.
    #[error("no Vulkan, Metal or DX12 adapter among {seen} found{}", if *.software_hidden { " (software adapters are excluded)" } else { "" })]
    NoAdapter {
        /// Adapters seen before the filter.
        seen: usize,
        /// Whether a software adapter was among them and the policy excludes it.
        software_hidden: bool,
    },
    /// The driver refused a device with the fixed limits.
    #[error("adapter {adapter:?} gives no device with the fixed limits: {reason}")]
    Device {
        /// Adapter name.
        adapter: String,
        /// The driver's words.
        reason: String,
    },
    /// An integer computation came out wrong: the adapter must not vote.
    #[error("adapter {adapter:?} fails known-answer test {test:?}: word {word} is {got:#010x}, must be {want:#010x}")]
    WrongAnswer {
        /// Adapter name.
        adapter: String,
        /// Which test.
        test: &'static str,
        /// Index of the wrong word.
        word: usize,
        /// What the adapter computed.
        got: u32,
        /// What it must be.
        want: u32,
    },
    /// The probe suite did not run to its end.
    #[error("adapter {adapter:?} fails the probe suite: {fault}")]
    Probe {
        /// Adapter name.
        adapter: String,
        /// What happened.
        fault: GpuFault,
    },
}

/// The device or the host failed an attempt. Never a vote and never visible to the guest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GpuFault {
    /// The device is gone: driver reset, crash, unplugged, or given up by another attempt.
    #[error("gpu device lost: {0}")]
    Lost(String),
    /// The attempt's deadline passed while the device was working.
    #[error("gpu work ran past the attempt's deadline")]
    Deadline,
    /// The attempt was called off.
    #[error("cancelled while the gpu was working")]
    Cancelled,
    /// Device memory is full although the attempt keeps its own limit.
    #[error("gpu out of memory")]
    OutOfMemory,
    /// wgpu refused what our own checks let through: a bug in this module.
    #[error("gpu call refused: {0}")]
    Refused(String),
    /// No fresh device could be opened after the last one was lost.
    #[error("no gpu device: {0}")]
    Unavailable(String),
}

/// Why an attempt does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GpuStop {
    /// The machine's fault; no vote.
    #[error(transparent)]
    Fault(#[from] GpuFault),
    /// An invocation used up [`super::limits::LOOP_FUEL`] or [`super::limits::LOOP_ROUNDS`]: the kernel's fault, and a vote.
    #[error("a shader ran out of its loop budget")]
    Trap,
}

/// A shader that will not be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GpuLoadError {
    /// The WGSL does not parse or validate, or uses something that is not allowed.
    #[error("shader {shader:?}{}: {reason}", .line.map(|(l, c)| format!(", line {l}:{c}")).unwrap_or_default())]
    Shader {
        /// Name of the shader.
        shader: String,
        /// Line and column in its text, from 1, where known.
        line: Option<(u32, u32)>,
        /// What is wrong.
        reason: String,
    },
    /// The manifest claims `result_class = "exact"`, and the analysis cannot confirm it.
    #[error("shader {shader:?}{} (the manifest says result_class = \"exact\")", listed(.findings))]
    Inexact {
        /// Name of the shader.
        shader: String,
        /// Why not.
        findings: Vec<p2c2r_shader::Finding>,
    },
    /// The shader is fine and the device still failed to compile it.
    #[error("shader {shader:?} does not compile on this device: {fault}")]
    Compile {
        /// Name of the shader.
        shader: String,
        /// What happened.
        fault: GpuFault,
    },
}

/// As [`GpuLoadError::Shader`] has its one, and the others behind it.
fn listed(findings: &[p2c2r_shader::Finding]) -> String {
    let first = if findings.first().is_some_and(|finding| finding.place.is_some()) { ", " } else { ": " };
    let all: Vec<_> = findings.iter().map(ToString::to_string).collect();
    format!("{first}{}", all.join("; "))
}
