//! The baseline: the same shader as a program would run it that trusts it, with wgpu and nothing else.

use anyhow::{Context, Result};

/// A device with a shader, its buffer, and one to read it back with.
pub(super) struct Bare {
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    words: wgpu::Buffer,
    stage: wgpu::Buffer,
}

/// What wgpu puts into shaders by itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Checks {
    /// Bounds of every access, and a count in every loop: what a program gets that asks for nothing.
    Usual,
    /// Nothing.
    None,
}

/// Bytes that are read back.
pub(super) const READ_BYTES: u64 = 256;

impl Bare {
    /// On the adapter of this name, with a zeroed buffer.
    pub(super) async fn open(adapter: &str, wgsl: &str, bytes: u64, checks: Checks) -> Result<Self> {
        let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let adapters = instance.enumerate_adapters(backends).await;
        let adapter = adapters.into_iter().find(|found| found.get_info().name == adapter).context("no such adapter")?;
        let (device, queue) = adapter.request_device(&wgpu::DeviceDescriptor::default()).await?;
        let source = wgpu::ShaderModuleDescriptor { label: None, source: wgpu::ShaderSource::Wgsl(wgsl.into()) };
        let checks = match checks {
            Checks::Usual => wgpu::ShaderRuntimeChecks::checked(),
            Checks::None => wgpu::ShaderRuntimeChecks::unchecked(),
        };
        #[expect(unsafe_code, reason = "the only way to choose the checks")]
        // SAFETY: the benchmark's own shaders stay in their buffers, and their loops end.
        let module = unsafe { device.create_shader_module_trusted(source, checks) };
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: None,
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            cache: None,
        });
        let buffer = |size, usage| {
            device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
        };
        let words = buffer(bytes, wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC);
        let stage = buffer(READ_BYTES, wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ);
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: words.as_entire_binding() }],
        });
        Ok(Self { device, queue, pipeline, group, words, stage })
    }

    /// One dispatch and what it has made of the first words.
    pub(super) fn run(&self, groups: u32) -> Result<Vec<u8>> {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.dispatch_workgroups(groups, 1, 1);
        drop(pass);
        encoder.copy_buffer_to_buffer(&self.words, 0, &self.stage, 0, READ_BYTES);
        self.queue.submit([encoder.finish()]);
        self.stage.map_async(wgpu::MapMode::Read, .., drop);
        self.device.poll(wgpu::PollType::wait_indefinitely())?;
        let bytes = self.stage.get_mapped_range(..)?.to_vec();
        self.stage.unmap();
        Ok(bytes)
    }
}
