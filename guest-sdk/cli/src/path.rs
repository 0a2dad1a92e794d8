//! Which path a run takes, and what computes its shaders there: unless told otherwise, what the network would do.

use anyhow::{Result, ensure};
use p2c2r_runtime::{GpuPolicy, PathKind, Sandbox, SandboxConfig};
use p2c2r_signing::{Manifest, ResultClass};

/// What the author asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// What a peer does; where it may be with a GPU or without, without.
    AsPeers,
    /// The path without shaders.
    Cpu,
    /// This machine's adapter.
    Gpu,
}

/// A path, and a sandbox that can take it.
pub(crate) struct Choice {
    pub(crate) path: PathKind,
    pub(crate) sandbox: Sandbox,
    /// What computes the shaders; `None` without shaders.
    pub(crate) shaders: Option<String>,
    /// What the author should know about it.
    pub(crate) note: Option<String>,
}

impl Choice {
    /// The kernel is asked before the driver, which has its own things to say.
    pub(crate) fn make(wish: Wish, manifest: &Manifest) -> Result<Self> {
        ensure!(
            wish != Wish::Gpu || manifest.gpu.is_some(),
            "{} has no GPU path (no [gpu] in its manifest); leave --gpu out",
            manifest.name
        );
        let path = path(wish, manifest);
        let adapter = wish == Wish::Gpu || path == PathKind::Gpu;
        let gpu = if adapter { GpuPolicy::Auto } else { GpuPolicy::Off };
        let sandbox = Sandbox::new(SandboxConfig { cache_dir: None, gpu, workers: 1, ..SandboxConfig::default() })?;
        let here = sandbox.classes().iter().any(|(_, class)| *class == path);
        let instead = if wish == Wish::Gpu { "leave --gpu out" } else { "run its CPU path with --cpu" };
        ensure!(
            here,
            "no usable GPU was found; {instead}, or install a Vulkan driver (Debian: apt-get install mesa-vulkan-drivers libvulkan1)"
        );
        let unfit = (wish == Wish::Gpu && path == PathKind::Exact).then(|| unfit_for_exact(&sandbox)).flatten();
        let shaders = match path {
            PathKind::Cpu => None,
            PathKind::Exact if wish != Wish::Gpu || unfit.is_some() => Some("the CPU reference".to_owned()),
            PathKind::Exact | PathKind::Gpu => sandbox.gpu_info().map(|info| info.adapter.clone()),
        };
        let note = unfit.map(|why| format!("{why}; the CPU reference runs them, with the same bits"));
        Ok(Self { path, sandbox, shaders, note: note.or_else(|| lonely(path, manifest)) })
    }
}

/// As coordinators and clients choose.
const fn path(wish: Wish, manifest: &Manifest) -> PathKind {
    match (&manifest.gpu, manifest.result_class, wish) {
        (None, ..) | (Some(_), _, Wish::Cpu) => PathKind::Cpu,
        (Some(_), ResultClass::Exact, _) => PathKind::Exact,
        (Some(gpu), ResultClass::Device, Wish::AsPeers) if gpu.cpu_path => PathKind::Cpu,
        (Some(_), ResultClass::Device, _) => PathKind::Gpu,
    }
}

/// Why no adapter of this machine runs exact shaders, if so.
pub(crate) fn unfit_for_exact(sandbox: &Sandbox) -> Option<String> {
    match sandbox.gpu_info() {
        Some(info) if info.may_vote_on(ResultClass::Exact) => None,
        Some(info) => Some(format!("{} may not run exact shaders (p2c2r probe says why)", info.adapter)),
        None => Some("no GPU that may run exact shaders was found".to_owned()),
    }
}

/// Said of a path that no peer takes.
fn lonely(path: PathKind, manifest: &Manifest) -> Option<String> {
    let gpu = manifest.gpu.as_ref().filter(|_| path == PathKind::Cpu)?;
    let why = match manifest.result_class {
        ResultClass::Exact => "exact kernels run their shaders, on a GPU or on the CPU reference",
        ResultClass::Device if !gpu.cpu_path => "the manifest does not say cpu_path = true",
        ResultClass::Device => return None,
    };
    Some(format!("no peer takes the CPU path of this kernel: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_network() {
        let manifest = |class: &str, gpu: &str| {
            let json = format!(
                r#"{{"name":"k","version":"1.0.0","abi":1,"publisher":"P","unit":"u","result_class":"{class}"{gpu}}}"#
            );
            Manifest::from_json(json.as_bytes()).unwrap()
        };
        let gpu = |cpu_path: bool| {
            format!(r#","gpu":{{"buffers":1,"buffer_bytes":4,"dispatches":1,"workgroups":1,"cpu_path":{cpu_path}}}"#)
        };
        let each = [Wish::AsPeers, Wish::Cpu, Wish::Gpu];
        for (manifest, want) in [
            (manifest("exact", ""), [PathKind::Cpu; 3]),
            (manifest("exact", &gpu(false)), [PathKind::Exact, PathKind::Cpu, PathKind::Exact]),
            (manifest("exact", &gpu(true)), [PathKind::Exact, PathKind::Cpu, PathKind::Exact]),
            (manifest("device", &gpu(false)), [PathKind::Gpu, PathKind::Cpu, PathKind::Gpu]),
            (manifest("device", &gpu(true)), [PathKind::Cpu, PathKind::Cpu, PathKind::Gpu]),
        ] {
            assert_eq!(each.map(|wish| path(wish, &manifest)), want, "{manifest:?}");
        }
    }

    #[test]
    fn nobody_takes_the_cpu_path_of_an_exact_kernel_with_shaders() {
        let json = br#"{"name":"k","version":"1.0.0","abi":1,"publisher":"P","unit":"u",
            "gpu":{"buffers":1,"buffer_bytes":4,"dispatches":1,"workgroups":1,"cpu_path":true}}"#;
        let manifest = Manifest::from_json(json).unwrap();
        let choice = Choice::make(Wish::Cpu, &manifest).unwrap();
        assert!(choice.note.unwrap().contains("exact kernels run their shaders"));
        let choice = Choice::make(Wish::AsPeers, &manifest).unwrap();
        assert_eq!(
            (choice.path, choice.shaders.as_deref(), choice.note),
            (PathKind::Exact, Some("the CPU reference"), None)
        );
    }
}
