//! Which WGSL is run: baseline WebGPU compute, storage buffers in group 0, one entry point.

use std::sync::Arc;

use naga::{AddressSpace, Span, StorageAccess};
use p2c2r_shader::{Class, Finding, Grid, Place, Reference, declared_twice, place_of_word};
use p2c2r_signing::ResultClass;

use super::device::contained;
use super::fault::GpuLoadError;
use super::interface::{Binding, Interface};
use super::limits::{
    BINDING_INDEX, BINDINGS, INVOCATIONS_PER_WORKGROUP, LOCAL_BYTES, WORKGROUP_BYTES, WORKGROUP_SIZE_Z,
};

/// Name of the entry point.
const ENTRY: &str = "main";

/// A shader that passed every check, with what a dispatch must give it.
pub(super) struct Shader {
    interface: Interface,
    module: naga::Module,
    has_trap: bool,
    has_place: bool,
    asks_total: bool,
    /// If its kernel claims to be exact.
    reference: Option<Arc<Reference>>,
}

impl Shader {
    /// Parses, analyses, rewrites and reflects `wgsl`, which must be of the class that its kernel claims.
    pub(super) fn parse(name: &str, wgsl: &str, claimed: ResultClass) -> Result<Self, GpuLoadError> {
        let refused = |finding| refused(name, finding);
        let (analysed, bindings) = analyse(wgsl).map_err(refused)?;
        let exact = claimed == ResultClass::Exact;
        if exact && analysed.class() != Class::Exact {
            return Err(GpuLoadError::Inexact { shader: name.to_owned(), findings: analysed.findings().to_vec() });
        }
        let sliced = analysed.rewritten().sliced().map_err(refused)?;
        let grid = if exact { analysed.grid() } else { Grid::ANY };
        Ok(Self {
            interface: Interface { name: name.to_owned(), bindings, grid },
            has_trap: analysed.rewritten().has_trap(),
            has_place: sliced.has_place(),
            asks_total: sliced.asks_total(),
            reference: analysed.reference().filter(|_| exact).cloned(),
            module: sliced.into_module(),
        })
    }

    /// A shader of ours, as it is written.
    pub(super) fn own(name: &str, wgsl: &str) -> Result<Self, GpuLoadError> {
        let (analysed, bindings) = analyse(wgsl).map_err(|finding| refused(name, finding))?;
        let module = analysed.module().clone();
        let interface = Interface { name: name.to_owned(), bindings, grid: Grid::ANY };
        Ok(Self { interface, module, has_trap: false, has_place: false, asks_total: false, reference: None })
    }

    pub(super) const fn interface(&self) -> &Interface {
        &self.interface
    }

    pub(super) fn name(&self) -> &str {
        &self.interface.name
    }

    /// The module a driver may see.
    pub(super) const fn module(&self) -> &naga::Module {
        &self.module
    }

    /// Whether it sets a word at [`super::limits::TRAP_BINDING`].
    pub(super) const fn has_trap(&self) -> bool {
        self.has_trap
    }

    /// Whether it must be told, at [`super::limits::SLICE_BINDING`], where its slice begins.
    pub(super) const fn has_place(&self) -> bool {
        self.has_place
    }

    /// Whether it must be told there how many workgroups the dispatch has.
    pub(super) const fn asks_total(&self) -> bool {
        self.asks_total
    }

    /// What runs in place of an adapter.
    pub(super) fn reference(&self) -> Option<&Reference> {
        self.reference.as_deref()
    }
}

/// What every peer makes of the text of a shader: where its results compare, and why not everywhere.
///
/// # Errors
/// The [`Finding`] for which it is run nowhere.
pub fn lint(wgsl: &str) -> Result<(Class, Vec<Finding>), Finding> {
    let (analysed, _bindings) = analyse(wgsl)?;
    analysed.rewritten().sliced()?;
    Ok((analysed.class(), analysed.findings().to_vec()))
}

/// What a dispatch must give a shader, in the class that [`lint`] says.
///
/// # Errors
/// As [`lint`].
pub fn interface(wgsl: &str) -> Result<Interface, Finding> {
    let (analysed, bindings) = analyse(wgsl)?;
    let grid = if analysed.class() == Class::Exact { analysed.grid() } else { Grid::ANY };
    Ok(Interface { name: ENTRY.to_owned(), bindings, grid })
}

fn analyse(wgsl: &str) -> Result<(p2c2r_shader::Shader, Vec<Binding>), Finding> {
    // naga is written not to panic; this is for the day it does.
    let analysed = contained(|| p2c2r_shader::Shader::parse(wgsl));
    let analysed = analysed.unwrap_or_else(|reason| Err(Finding { place: None, reason }))?;
    let bindings = contained(|| reflect(analysed.module(), wgsl));
    let bindings = bindings.unwrap_or_else(|reason| Err(Finding { place: None, reason }))?;
    Ok((analysed, bindings))
}

fn refused(shader: &str, Finding { place, reason }: Finding) -> GpuLoadError {
    let line = place.map(|Place { line, column }| (line, column));
    GpuLoadError::Shader { shader: shader.to_owned(), line, reason }
}

fn reflect(module: &naga::Module, wgsl: &str) -> Result<Vec<Binding>, Finding> {
    let refuse = |reason: String, span: Span| {
        let at = span.location(wgsl);
        Finding { place: Some(Place { line: at.line_number, column: at.line_position }), reason }
    };
    let gctx = module.to_ctx();
    entry(module, wgsl)?;

    let mut bindings: Vec<Binding> = Vec::new();
    let (mut private_bytes, mut workgroup_bytes) = (0u64, 0u64);
    for (handle, global) in module.global_variables.iter() {
        let span = module.global_variables.get_span(handle);
        let name = global.name.as_deref().unwrap_or("?");
        let bytes = u64::from(module.types[global.ty].inner.size(gctx));
        match global.space {
            AddressSpace::Private => private_bytes += bytes,
            AddressSpace::WorkGroup => workgroup_bytes += bytes,
            AddressSpace::Storage { access } => {
                let binding = binding(name, global, access, bytes).map_err(|reason| refuse(reason, span))?;
                let mut earlier = module.global_variables.iter().take_while(|(other, _)| *other != handle);
                if let Some((_, other)) = earlier.find(|(_, other)| other.binding == global.binding) {
                    let other = other.name.as_deref().unwrap_or("?");
                    return Err(refuse(declared_twice(binding.index, other, name), span));
                }
                bindings.push(binding);
                if bindings.len() > BINDINGS {
                    return Err(refuse(format!("more than {BINDINGS} storage buffers"), span));
                }
            }
            _ => {
                let reason = format!("variable {name:?} is in no private, workgroup or storage address space");
                return Err(refuse(reason, span));
            }
        }
        if private_bytes > u64::from(LOCAL_BYTES) {
            return Err(refuse(format!("private variables take more than {LOCAL_BYTES} bytes"), span));
        }
        if workgroup_bytes > u64::from(WORKGROUP_BYTES) {
            return Err(refuse(format!("workgroup variables take more than {WORKGROUP_BYTES} bytes"), span));
        }
    }
    let functions = module.functions.iter().map(|(_, f)| f).chain(module.entry_points.iter().map(|e| &e.function));
    for function in functions {
        let mut local_bytes = 0u64;
        for (handle, local) in function.local_variables.iter() {
            local_bytes += u64::from(module.types[local.ty].inner.size(gctx));
            if local_bytes > u64::from(LOCAL_BYTES) {
                let name = function.name.as_deref().unwrap_or(ENTRY);
                let reason = format!("variables of function {name:?} take more than {LOCAL_BYTES} bytes");
                return Err(refuse(reason, function.local_variables.get_span(handle)));
            }
        }
    }
    bindings.sort_by_key(|b| b.index);
    Ok(bindings)
}

fn entry(module: &naga::Module, wgsl: &str) -> Result<(), Finding> {
    // naga keeps no place of these.
    let refuse = |reason: String, word: &str| Err(Finding { place: place_of_word(wgsl, word), reason });
    let (entry, more) = match module.entry_points.as_slice() {
        [] => return Err(Finding { place: None, reason: format!("no entry point; write @compute fn {ENTRY}") }),
        [entry, more @ ..] => (entry, more),
    };
    if let [more, ..] = more {
        return refuse(format!("{:?} is another entry point, only one is allowed", more.name), &more.name);
    }
    if entry.stage != naga::ShaderStage::Compute || entry.name != ENTRY {
        let reason = format!("entry point is {:?} {:?}, must be a compute {ENTRY:?}", entry.stage, entry.name);
        return refuse(reason, &entry.name);
    }
    let [x, y, z] = entry.workgroup_size;
    let invocations = u64::from(x) * u64::from(y) * u64::from(z);
    if invocations > u64::from(INVOCATIONS_PER_WORKGROUP) || z > WORKGROUP_SIZE_Z {
        let reason = format!(
            "workgroup size {x} x {y} x {z}, at most {INVOCATIONS_PER_WORKGROUP} invocations and z {WORKGROUP_SIZE_Z}"
        );
        return refuse(reason, "workgroup_size");
    }
    Ok(())
}

fn binding(name: &str, global: &naga::GlobalVariable, access: StorageAccess, bytes: u64) -> Result<Binding, String> {
    let Some(at) = global.binding.as_ref() else { return Err(format!("buffer {name:?} has no binding")) };
    if at.group != 0 {
        return Err(format!("buffer {name:?} is in group {}, only group 0 is allowed", at.group));
    }
    if at.binding > BINDING_INDEX {
        return Err(format!("buffer {name:?} has binding {}, at most {BINDING_INDEX} is allowed", at.binding));
    }
    Ok(Binding { index: at.binding, writable: access.contains(StorageAccess::STORE), min_bytes: bytes })
}

#[cfg(test)]
mod tests {
    use p2c2r_shader::limits::SHADER_BYTES;

    use super::*;

    const HEAD: &str = "@group(0) @binding(0) var<storage, read_write> out: array<u32>;\n";

    /// Checks that `wgsl` is refused with `needle` in the message, at `line` where one is given.
    fn refused(wgsl: &str, line: Option<u32>, needle: &str) {
        let Err(GpuLoadError::Shader { line: at, reason, shader }) = Shader::parse("s", wgsl, ResultClass::Device)
        else {
            panic!("accepted: {wgsl}");
        };
        assert_eq!(shader, "s");
        assert!(reason.contains(needle), "{reason:?} lacks {needle:?}");
        assert_eq!(at.map(|(l, _)| l), line, "{reason}");
    }

    #[test]
    fn bindings_are_reflected() {
        let shader = Shader::own(
            "s",
            "struct Params { size: vec2<u32>, items: array<vec4<f32>> }
             @group(0) @binding(3) var<storage, read> params: Params;
             @group(0) @binding(1) var<storage, read_write> out: array<u32>;
             @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
                 out[id.x] = params.size.x + u32(params.items[0].x);
             }",
        )
        .expect("a plain shader");
        let want =
            [Binding { index: 1, writable: true, min_bytes: 4 }, Binding { index: 3, writable: false, min_bytes: 32 }];
        assert_eq!(shader.interface().bindings, want);
    }

    #[test]
    fn broken_text_is_refused_with_its_line() {
        refused("fn main() {\n  let x = ;\n}", Some(2), "expected");
        refused(&format!("{HEAD}@compute @workgroup_size(1) fn main() {{\n out[0] = 1.5;\n}}"), Some(3), "");
        refused(&format!("{HEAD}@compute @workgroup_size(1) fn main() {{\n out[0] = nowhere;\n}}"), Some(3), "nowhere");
    }

    #[test]
    fn only_storage_buffers_of_group_0() {
        let main = "@compute @workgroup_size(1) fn main() { }";
        for (declaration, needle) in [
            ("@group(0) @binding(0) var t: texture_2d<f32>;", "textures are not allowed"),
            ("@group(0) @binding(0) var s: sampler;", "samplers are not allowed"),
            ("@group(0) @binding(0) var<uniform> u: vec4<f32>;", "use var<storage, read>"),
            ("@group(1) @binding(0) var<storage, read> b: array<u32>;", "group 1"),
            ("@group(0) @binding(15) var<storage, read> b: array<u32>;", "binding 15"),
            ("override n: u32 = 4;", "override"),
            ("var<private> p: array<u32, 3000>;", "8192"),
            ("var<workgroup> w: array<u32, 5000>;", "16384"),
        ] {
            refused(&format!("{declaration}\n{main}"), Some(1), needle);
        }
        let many: String =
            (0..8).map(|i| format!("@group(0) @binding({i}) var<storage, read> b{i}: array<u32>;\n")).collect();
        refused(&format!("{many}{main}"), Some(8), "7 storage buffers");
        refused(
            &format!("{HEAD}@group(0) @binding(0) var<storage, read> again: array<u32>;\n{main}"),
            Some(2),
            "declared twice",
        );
    }

    #[test]
    fn one_compute_main_of_bounded_size() {
        refused("fn helper() { }", None, "no entry point");
        let two = "@compute @workgroup_size(1) fn main() { }\n@compute @workgroup_size(1) fn other() { }";
        refused(two, Some(2), "\"other\" is another");
        refused("@compute @workgroup_size(1) fn other() { }", Some(1), "\"other\"");
        refused("@vertex fn main() -> @builtin(position) vec4<f32> { return vec4<f32>(); }", Some(1), "Vertex");
        refused("@compute @workgroup_size(257) fn main() { }", Some(1), "257");
        refused("@compute @workgroup_size(1, 1, 65) fn main() { }", Some(1), "65");
        let locals = "@compute @workgroup_size(1) fn main() {\n var a: array<u32, 3000>;\n a[0] = 1u;\n}";
        refused(locals, Some(2), "8192");
    }

    /// Checks that the text with `at` in it is accepted, and refused with one more.
    fn bound(at: u64, text: impl Fn(u64) -> String) {
        let parse = |n| Shader::parse("s", &text(n), ResultClass::Device).map(drop);
        assert_eq!(parse(at), Ok(()), "{at}");
        assert!(parse(at + 1).is_err(), "{}", at + 1);
    }

    #[test]
    fn every_bound_holds_and_one_past_it_does_not() {
        let main = "@compute @workgroup_size(1) fn main()";
        bound(u64::from(WORKGROUP_BYTES) / 4, |n| {
            format!("var<workgroup> w: array<u32, {n}>; {main} {{ w[0] = 1u; }}")
        });
        bound(u64::from(LOCAL_BYTES) / 4, |n| format!("var<private> p: array<u32, {n}>; {main} {{ p[0] = 1u; }}"));
        bound(u64::from(LOCAL_BYTES) / 4, |n| format!("{main} {{ var a: array<u32, {n}>; a[0] = 1u; }}"));
        bound(BINDINGS as u64, |n| {
            let buffer = |i| format!("@group(0) @binding({i}) var<storage, read> b{i}: array<u32>; ");
            (0..n).map(buffer).collect::<String>() + main + " {}"
        });
        bound(u64::from(BINDING_INDEX), |n| {
            format!("@group(0) @binding({n}) var<storage, read> b: array<u32>; {main} {{}}")
        });
        bound(u64::from(INVOCATIONS_PER_WORKGROUP), |n| format!("@compute @workgroup_size({n}) fn main() {{}}"));
        bound(u64::from(WORKGROUP_SIZE_Z), |n| format!("@compute @workgroup_size(1, 1, {n}) fn main() {{}}"));
        let padded = |n: u64| format!("{main} {{}}{}", " ".repeat(n as usize - main.len() - 3));
        bound(SHADER_BYTES as u64, padded);
    }

    #[test]
    fn what_needs_a_capability_is_refused() {
        for body in ["let x = subgroupAdd(1u);", "let x = 1lu;", "let x = f16(1.0);"] {
            let wgsl = format!("@compute @workgroup_size(1) fn main() {{ {body} }}");
            assert!(Shader::parse("s", &wgsl, ResultClass::Device).is_err(), "{body}");
        }
    }

    #[test]
    fn hostile_text_is_an_error_not_a_crash() {
        refused(&" ".repeat(SHADER_BYTES + 1), None, "at most");
        refused(&format!("const x = {}1{};", "(".repeat(50_000), ")".repeat(50_000)), Some(1), "nests");
        refused(&format!("fn f() {}{}", "{".repeat(50_000), "}".repeat(50_000)), Some(1), "");
        refused("\u{0}\u{202e}@@@", Some(1), "");
    }
}
