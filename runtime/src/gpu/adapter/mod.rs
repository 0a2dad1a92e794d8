//! The adapter: which one, with which limits, and how it computes.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use p2c2r_signing::{Digest, ResultClass};

use super::device::{Abandoned, Device, contained, ready};
use super::fault::{GpuFault, GpuOpenError};
use super::probe::Probed;
use super::{limits, probe};

/// Backends that keep naga's bounds checks on. GLES switches them off, so it is never used.
const BACKENDS: wgpu::Backends = wgpu::Backends::VULKAN.union(wgpu::Backends::METAL).union(wgpu::Backends::DX12);

/// naga's release, which writes shaders for drivers: two may order float operations differently.
const NAGA_VERSION: &str = "30.0.1";

/// Which adapters to take.
#[derive(Debug, Clone, Copy)]
pub struct GpuOptions {
    /// Take a software adapter (lavapipe, WARP) when there is no hardware. On by default: it computes right
    /// answers and reports itself as [`GpuInfo::software`].
    pub software: bool,
    /// Let it run exact shaders if the probe suite does. On by default; else they are left to the CPU reference.
    pub exact: bool,
}

/// What adapter this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuInfo {
    /// Name the driver gives it.
    pub adapter: String,
    /// Driver name and version.
    pub driver: String,
    /// `vulkan`, `metal` or `dx12`.
    pub backend: String,
    /// Runs on the CPU.
    pub software: bool,
    /// Loops of 70,000 iterations run to their end. Lavapipe stops at 65,535 without an error, which is more than any shader's
    /// budget.
    pub long_loops: bool,
    /// Why it may not vote on `exact` results, each in a sentence: loops that do not run to their end, or past it. Lavapipe counts
    /// iterations of the invocations that it runs in lockstep together, and Mesa's compiler is wrong about some loops. And that it was told to leave them, [`Self::leave_exact`].
    pub unfit_loops: Vec<String>,
    /// Why it may not vote on `device` results, if so: its floats are not what WGSL allows, or not the same each time.
    /// Its integers are right, or it would not be open.
    pub unfit_floats: Option<String>,
    /// Adapters with equal classes computed the same bits for every probe, and are the same model with the same
    /// driver; only inside one class are float results compared.
    pub numeric_class: Digest,
}

impl GpuInfo {
    /// Leaves what is `exact` to the CPU reference, whatever the probes say.
    pub fn leave_exact(&mut self) {
        self.unfit_loops.push("exact kernels are left to the CPU reference, as configured".to_owned());
    }

    /// Whether results of this class that it computes may be voted on. For `exact` every probe of integers and loops must be
    /// right, for `device` its floats must be WGSL's.
    #[must_use]
    pub const fn may_vote_on(&self, class: ResultClass) -> bool {
        match class {
            ResultClass::Exact => self.unfit_loops.is_empty(),
            ResultClass::Device => self.unfit_floats.is_none(),
        }
    }
}

/// An adapter that passed the probe suite. Cloning is cheap; clones share the device.
#[derive(Clone)]
pub struct Gpu {
    inner: Arc<Inner>,
}

struct Inner {
    options: GpuOptions,
    info: GpuInfo,
    /// Of the adapter that the suite ran on.
    about: wgpu::AdapterInfo,
    adapter: Mutex<wgpu::Adapter>,
    current: Mutex<Option<Arc<Device>>>,
    generations: AtomicU64,
    abandoned: Arc<Abandoned>,
}

impl Default for GpuOptions {
    fn default() -> Self {
        Self { software: true, exact: true }
    }
}

impl Gpu {
    /// Finds an adapter (discrete before integrated before virtual before software), opens a device with the
    /// fixed limits and no features, and runs the probe suite on it.
    ///
    /// # Errors
    /// [`GpuOpenError`]: none is there, its driver refuses, or it computes wrongly. A machine without a graphics
    /// driver is the ordinary case of the first.
    pub fn open(options: GpuOptions) -> Result<Self, GpuOpenError> {
        let adapter = select(&options)?;
        let abandoned = Arc::new(Abandoned::default());
        let (device, mut info) = probed(&adapter, &abandoned)?;
        if !options.exact {
            info.leave_exact();
        }
        let inner = Inner {
            options,
            info,
            about: adapter.get_info(),
            adapter: Mutex::new(adapter),
            current: Mutex::new(Some(Arc::new(device))),
            generations: AtomicU64::new(1),
            abandoned,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Every adapter of this machine by name, with what the probe suite makes of it.
    #[must_use]
    pub fn survey() -> Vec<(String, Result<GpuInfo, GpuOpenError>)> {
        let abandoned = Arc::new(Abandoned::default());
        let survey = |adapter: wgpu::Adapter| {
            let info = probed(&adapter, &abandoned).map(|(_device, info)| info);
            (adapter.get_info().name, info)
        };
        adapters().into_iter().map(survey).collect()
    }

    /// What adapter this is.
    #[must_use]
    pub fn info(&self) -> &GpuInfo {
        &self.inner.info
    }

    /// The open device, or a fresh one if the last was lost.
    pub(super) fn device(&self) -> Result<Arc<Device>, GpuFault> {
        let mut current = self.inner.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(device) = current.as_ref().filter(|device| device.check().is_ok()) {
            return Ok(Arc::clone(device));
        }
        *current = None;
        let device = Arc::new(self.reopen().map_err(GpuFault::Unavailable)?);
        tracing::info!(adapter = self.inner.info.adapter, generation = device.generation(), "gpu device reopened");
        *current = Some(Arc::clone(&device));
        Ok(device)
    }

    /// A device of the same adapter, found again if the driver has been reset since.
    fn reopen(&self) -> Result<Device, String> {
        let generation = self.inner.generations.fetch_add(1, Ordering::Relaxed) + 1;
        let mut adapter = self.inner.adapter.lock().unwrap_or_else(PoisonError::into_inner);
        let open = |adapter: &_| Device::open(adapter, fixed_limits(), generation, Arc::clone(&self.inner.abandoned));
        if let Ok(device) = open(&adapter) {
            return Ok(device);
        }
        let again = select(&self.inner.options).map_err(|e| e.to_string())?;
        let (was, is) = (&self.inner.about, again.get_info());
        if model(was).finalize() != model(&is).finalize() {
            return Err(format!(
                "the adapter or its driver changed, from {:?} with {:?} to {:?} with {:?}: its class must be measured again",
                was.name,
                driver(was),
                is.name,
                driver(&is)
            ));
        }
        *adapter = again;
        open(&adapter)
    }
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gpu").field("info", &self.inner.info).finish_non_exhaustive()
    }
}

/// Opens a device and runs the probe suite on it.
fn probed(adapter: &wgpu::Adapter, abandoned: &Arc<Abandoned>) -> Result<(Device, GpuInfo), GpuOpenError> {
    let about = adapter.get_info();
    let device = Device::open(adapter, fixed_limits(), 1, Arc::clone(abandoned))
        .map_err(|reason| GpuOpenError::Device { adapter: about.name.clone(), reason })?;
    let probed = probe::run(&device, &about.name)?;
    Ok((device, info(about, probed)))
}

fn info(about: wgpu::AdapterInfo, probed: Probed) -> GpuInfo {
    GpuInfo {
        numeric_class: class(&about, &probed.words),
        driver: driver(&about),
        backend: about.backend.to_str().to_owned(),
        software: about.device_type == wgpu::DeviceType::Cpu,
        long_loops: probed.long_loops,
        unfit_loops: probed.unfit_loops,
        unfit_floats: probed.floats.err(),
        adapter: about.name,
    }
}

/// Name and version.
fn driver(about: &wgpu::AdapterInfo) -> String {
    [about.driver.as_str(), about.driver_info.as_str()].join(" ").trim().to_owned()
}

fn adapters() -> Vec<wgpu::Adapter> {
    let found = contained(|| {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: BACKENDS,
            flags: wgpu::InstanceFlags::empty(),
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        ready(instance.enumerate_adapters(BACKENDS)).unwrap_or_default()
    });
    found.unwrap_or_else(|panic| {
        tracing::warn!(panic, "looking for gpu adapters");
        Vec::new()
    })
}

fn select(options: &GpuOptions) -> Result<wgpu::Adapter, GpuOpenError> {
    let found = adapters();
    let seen = found.len();
    let mut software_hidden = false;
    let mut best: Option<(u8, wgpu::Adapter)> = None;
    for adapter in found {
        let about = adapter.get_info();
        let rank = match about.device_type {
            wgpu::DeviceType::DiscreteGpu => 0,
            wgpu::DeviceType::IntegratedGpu => 1,
            wgpu::DeviceType::VirtualGpu => 2,
            wgpu::DeviceType::Other => 3,
            wgpu::DeviceType::Cpu => 4,
        };
        if about.device_type == wgpu::DeviceType::Cpu && !options.software {
            software_hidden = true;
            continue;
        }
        // The first of equals, so that a restart takes the same one.
        if best.as_ref().is_none_or(|(other, _)| rank < *other) {
            best = Some((rank, adapter));
        }
    }
    best.map(|(_, adapter)| adapter).ok_or(GpuOpenError::NoAdapter { seen, software_hidden })
}

/// The same on every adapter, so that no kernel works on one machine only.
fn fixed_limits() -> wgpu::Limits {
    wgpu::Limits {
        max_storage_buffers_per_shader_stage: limits::BINDINGS as u32 + 1,
        max_storage_buffer_binding_size: limits::BUFFER_BYTES,
        max_buffer_size: limits::BUFFER_BYTES,
        max_compute_workgroup_storage_size: limits::WORKGROUP_BYTES,
        max_compute_invocations_per_workgroup: limits::INVOCATIONS_PER_WORKGROUP,
        max_compute_workgroup_size_x: limits::INVOCATIONS_PER_WORKGROUP,
        max_compute_workgroup_size_y: limits::INVOCATIONS_PER_WORKGROUP,
        max_compute_workgroup_size_z: limits::WORKGROUP_SIZE_Z,
        max_compute_workgroups_per_dimension: limits::WORKGROUPS_PER_DIMENSION,
        ..wgpu::Limits::downlevel_defaults()
    }
}

/// Digest of everything float results may depend on: model, driver, translator and the bits the probes gave.
fn class(about: &wgpu::AdapterInfo, words: &[u32]) -> Digest {
    let mut h = model(about);
    h.update(&(words.len() as u64).to_le_bytes());
    for word in words {
        h.update(&word.to_le_bytes());
    }
    Digest::from_bytes(*h.finalize().as_bytes())
}

/// The part of it that is known without a probe.
fn model(about: &wgpu::AdapterInfo) -> blake3::Hasher {
    const DOMAIN: &str = "P2C2R 2026-11-23 gpu numeric class v2";
    let translator = format!("naga {NAGA_VERSION}");
    let mut h = blake3::Hasher::new_derive_key(DOMAIN);
    for text in [&translator, about.backend.to_str(), &about.name, &about.driver, &about.driver_info] {
        h.update(&(text.len() as u64).to_le_bytes());
        h.update(text.as_bytes());
    }
    h.update(&about.vendor.to_le_bytes());
    h.update(&about.device.to_le_bytes());
    h
}
