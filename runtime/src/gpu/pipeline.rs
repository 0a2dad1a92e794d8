//! The shaders of one module, checked once and compiled for the device at hand.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use p2c2r_signing::VerifiedModule;

use super::adapter::Gpu;
use super::device::Device;
use super::fault::{GpuFault, GpuLoadError};
use super::interface::Interface;
use super::limits::{SLICE_BINDING, SLICE_BYTES, TRAP_BINDING};
use super::shader::Shader;
use super::slice::Pace;

/// The checked shaders of one module. Cloning is cheap. When a device is lost they are compiled again for the next.
#[derive(Clone)]
pub struct Shaders {
    shaders: Arc<[Shader]>,
    compiled: Arc<Mutex<Option<Arc<Compiled>>>>,
}

/// Pipelines of one device, in the order of the shaders.
pub(super) struct Compiled {
    generation: u64,
    pipelines: Vec<Pipeline>,
}

pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
    pace: Mutex<Pace>,
}

impl Gpu {
    /// Checks, rewrites and compiles every shader the module carries.
    ///
    /// # Errors
    /// [`GpuLoadError`] names the shader and, where it is known, the line.
    pub fn prepare(&self, module: &VerifiedModule) -> Result<Shaders, GpuLoadError> {
        let prepared = Shaders::of(module)?;
        let first = || prepared.shaders.first().map(|s| s.name().to_owned()).unwrap_or_default();
        let device = self.device().map_err(|fault| GpuLoadError::Compile { shader: first(), fault })?;
        let compiled =
            compile(&device, &prepared.shaders).map_err(|(shader, fault)| GpuLoadError::Compile { shader, fault })?;
        *prepared.compiled.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(compiled));
        Ok(prepared)
    }
}

impl Shaders {
    /// Checks and rewrites every shader the module carries, for the reference on the CPU. Needs no adapter.
    ///
    /// # Errors
    /// [`GpuLoadError`] names the shader and, where it is known, the line.
    pub fn of(module: &VerifiedModule) -> Result<Self, GpuLoadError> {
        Ok(Self { shaders: check(module)?.into(), compiled: Arc::default() })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shaders.len()
    }

    /// Whether the module carries none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shaders.is_empty()
    }

    /// What dispatches must give them, in their order.
    pub(super) fn interfaces(&self) -> impl Iterator<Item = &Interface> + Clone {
        self.shaders.iter().map(Shader::interface)
    }

    /// The name of a shader that needs an adapter, if there is one.
    pub(super) fn without_reference(&self) -> Option<&str> {
        self.shaders.iter().find(|shader| shader.reference().is_none()).map(Shader::name)
    }

    pub(super) fn at(&self, index: usize) -> Option<&Shader> {
        self.shaders.get(index)
    }

    /// The pipelines for `device`.
    pub(super) fn on(&self, device: &Device) -> Result<Arc<Compiled>, GpuFault> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = compiled.as_ref().filter(|c| c.generation == device.generation()) {
            return Ok(Arc::clone(ready));
        }
        let fresh = Arc::new(compile(device, &self.shaders).map_err(|(_, fault)| fault)?);
        *compiled = Some(Arc::clone(&fresh));
        Ok(fresh)
    }
}

impl std::fmt::Debug for Shaders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.shaders.iter().map(Shader::name)).finish()
    }
}

impl Compiled {
    pub(super) fn pipeline(&self, index: usize) -> Option<&Pipeline> {
        self.pipelines.get(index)
    }

    #[cfg(test)]
    pub(super) fn slices_of(&self, workgroups: u64) {
        self.pipelines.iter().for_each(|pipeline| pipeline.pace().fix(workgroups));
    }
}

impl Pipeline {
    /// How large its slices are.
    pub(super) fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compiles one shader. wgpu's own check of bounds stays on; workgroup memory is zeroed. Its check of loops is off: a counter
    /// of 64 bits in each, in tight ones a third of their time.
    #[expect(unsafe_code, reason = "wgpu takes only on somebody's word that all loops end")]
    pub(super) fn new(device: &Device, shader: &Shader) -> Result<Self, GpuFault> {
        let buffer = |binding, ty, min_bytes| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty,
                has_dynamic_offset: false,
                min_binding_size: std::num::NonZeroU64::new(min_bytes),
            },
            count: None,
        };
        device.guarded(|device, _| {
            let source = wgpu::ShaderModuleDescriptor {
                label: Some(shader.name()),
                source: wgpu::ShaderSource::Naga(std::borrow::Cow::Owned(shader.module().clone())),
            };
            let checks =
                wgpu::ShaderRuntimeChecks { force_loop_bounding: false, ..wgpu::ShaderRuntimeChecks::checked() };
            // SAFETY: every loop ends. Those of a kernel's shaders were rewritten to: each has a budget that its rounds use up,
            // or its rounds were counted and paid for before the first. Shaders of our own have no others.
            let module = unsafe { device.create_shader_module_trusted(source, checks) };
            let storage = |read_only| wgpu::BufferBindingType::Storage { read_only };
            let mut entries: Vec<_> = shader
                .interface()
                .bindings
                .iter()
                .map(|b| buffer(b.index, storage(!b.writable), b.min_bytes))
                .collect();
            if shader.has_trap() {
                entries.push(buffer(TRAP_BINDING, storage(false), 4));
            }
            if shader.has_place() {
                entries.push(buffer(SLICE_BINDING, wgpu::BufferBindingType::Uniform, u64::from(SLICE_BYTES)));
            }
            let layout =
                device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
            let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: None,
                bind_group_layouts: &[Some(&layout)],
                immediate_size: 0,
            });
            let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(shader.name()),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &[],
                    zero_initialize_workgroup_memory: true,
                },
                cache: None,
            });
            Self { pipeline, layout, pace: Mutex::new(Pace::unknown()) }
        })
    }
}

/// Whether every adapter may be given the shaders of `module`, in the class its manifest claims. Needs no adapter.
///
/// # Errors
/// [`GpuLoadError`] names the shader and, where it is known, the line.
pub fn check_shaders(module: &VerifiedModule) -> Result<(), GpuLoadError> {
    check(module).map(drop)
}

fn check(module: &VerifiedModule) -> Result<Vec<Shader>, GpuLoadError> {
    let claimed = module.manifest().result_class;
    module.shaders().map(|(name, wgsl)| Shader::parse(name, wgsl, claimed)).collect()
}

fn compile(device: &Device, shaders: &[Shader]) -> Result<Compiled, (String, GpuFault)> {
    let pipelines = shaders
        .iter()
        .map(|shader| Pipeline::new(device, shader).map_err(|fault| (shader.name().to_owned(), fault)))
        .collect::<Result<_, _>>()?;
    Ok(Compiled { generation: device.generation(), pipelines })
}
