//! GPU buffers and dispatch. Shaders are WGSL files in the kernel's `shaders/` folder; they travel inside the signed module.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::marker::PhantomData;

use bytemuck::Pod;
use p2c2r_abi::{BINDING_BYTES, gpu, status};

use crate::failure::{Failure, code};
use crate::plane::PlaneError;
use crate::sys;

/// Proof that this task's class has a GPU; from [`Context::gpu`](crate::Context::gpu).
#[derive(Debug, Clone, Copy)]
pub struct Gpu {
    _private: (),
}

/// A storage buffer of `len` values of `T`, zeroed at creation, freed on drop. Sizes and offsets in bytes must be multiples of
/// 4, so `T` is best a type of 4-byte fields. Values have WGSL's layout only if `T` does: beware of `vec3`.
#[derive(Debug)]
pub struct Buffer<T: Pod> {
    handle: i32,
    len: usize,
    values: PhantomData<T>,
}

/// A buffer at a binding of group 0; from [`Buffer::at`].
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    record: [u8; BINDING_BYTES],
    buffer: PhantomData<&'a ()>,
}

/// Why a GPU call was refused. All of these are the same on every peer; what depends on the device ends the attempt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    /// Offset and length leave the buffer.
    #[error("{call} leaves the buffer")]
    Range {
        /// What was called.
        call: &'static str,
    },
    /// A limit would be passed: of the manifest (buffers, their bytes, dispatches, workgroups), or that of every peer on one buffer
    /// (128 MiB) and on the workgroups along an axis (65,535). The attempt's log says which.
    #[error("{call} passes a limit of the manifest or of every peer; the attempt's log says which")]
    Limit {
        /// What was called.
        call: &'static str,
    },
    /// The host does not know the buffer.
    #[error("{call} of a buffer the host does not know")]
    Handle {
        /// What was called.
        call: &'static str,
    },
    /// The task runs in a class without GPU.
    #[error("{call} in a task without gpu")]
    NoGpu {
        /// What was called.
        call: &'static str,
    },
    /// The module has no shader of that name.
    #[error("no shader named {name:?} in this module")]
    NoShader {
        /// The name asked for.
        name: String,
    },
    /// Bytes, an offset or a length that is not a multiple of 4, or a buffer of none; of a dispatch, bindings or workgroups that do not
    /// fit the shader. The attempt's log says which.
    #[error("{call} {}; the attempt's log says which", invalid(.call))]
    Invalid {
        /// What was called.
        call: &'static str,
    },
    /// A buffer does not hold one item for each place of a plane.
    #[error(transparent)]
    Plane(#[from] PlaneError),
    /// The host answered with a status this version does not know.
    #[error("{call} answered with unknown status {status}")]
    Unknown {
        /// What was called.
        call: &'static str,
        /// What came back.
        status: i32,
    },
}

impl From<GpuError> for Failure {
    fn from(error: GpuError) -> Self {
        Self::new(code::GPU, error)
    }
}

impl Gpu {
    pub(crate) fn of_this_task() -> Option<Self> {
        (sys::gpu_caps() & gpu::DISPATCH != 0).then_some(Self { _private: () })
    }

    /// A zeroed buffer of `len` values.
    ///
    /// # Errors
    /// [`GpuError::Limit`] past the manifest's buffers or bytes, [`GpuError::Invalid`] if its bytes are none or not a multiple of 4.
    pub fn buffer<T: Pod>(&self, len: usize) -> Result<Buffer<T>, GpuError> {
        const CALL: &str = "buf_create";
        let bytes = (size_of::<T>() as u64).checked_mul(len as u64).ok_or(GpuError::Limit { call: CALL })?;
        match sys::buf_create(bytes) {
            handle @ 1.. => Ok(Buffer { handle, len, values: PhantomData }),
            refused => Err(error(CALL, refused)),
        }
    }

    /// A buffer holding `values`.
    ///
    /// # Errors
    /// As [`buffer`](Self::buffer).
    pub fn buffer_from<T: Pod>(&self, values: &[T]) -> Result<Buffer<T>, GpuError> {
        let buffer = self.buffer(values.len())?;
        buffer.write(0, values)?;
        Ok(buffer)
    }

    /// Runs the module's shader of that name over `workgroups` (x, y, z) workgroups with `bindings` in group 0, all
    /// storage buffers. Reads and later dispatches see what it wrote.
    ///
    /// # Errors
    /// [`GpuError::NoShader`], [`GpuError::Invalid`] if the bindings do not fit, [`GpuError::Limit`].
    pub fn dispatch(&self, shader: &str, workgroups: [u32; 3], bindings: &[Binding<'_>]) -> Result<(), GpuError> {
        let records: Vec<_> = bindings.iter().map(|binding| binding.record).collect();
        match sys::dispatch(shader, workgroups, &records) {
            status::NO_SHADER => Err(GpuError::NoShader { name: shader.into() }),
            answer => check("dispatch", answer),
        }
    }
}

impl<T: Pod> Buffer<T> {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes `values` from value `offset` on.
    ///
    /// # Errors
    /// [`GpuError::Range`] past the end.
    pub fn write(&self, offset: usize, values: &[T]) -> Result<(), GpuError> {
        check("buf_write", sys::buf_write(self.handle, Self::byte_offset(offset), bytemuck::cast_slice(values)))
    }

    /// Fills `values` from value `offset` on.
    ///
    /// # Errors
    /// [`GpuError::Range`] past the end.
    pub fn read(&self, offset: usize, values: &mut [T]) -> Result<(), GpuError> {
        check("buf_read", sys::buf_read(self.handle, Self::byte_offset(offset), bytemuck::cast_slice_mut(values)))
    }

    /// All values.
    ///
    /// # Errors
    /// None but those of a host that lost the buffer.
    pub fn to_vec(&self) -> Result<Vec<T>, GpuError> {
        let mut values = vec![T::zeroed(); self.len];
        self.read(0, &mut values)?;
        Ok(values)
    }

    /// This buffer as `@group(0) @binding(binding)`.
    #[must_use]
    pub fn at(&self, binding: u32) -> Binding<'_> {
        let mut record = [0; BINDING_BYTES];
        let (number, handle) = record.split_at_mut(4);
        number.copy_from_slice(&binding.to_le_bytes());
        handle.copy_from_slice(&self.handle.to_le_bytes());
        Binding { record, buffer: PhantomData }
    }

    /// Saturates: an offset that large is past every buffer, and the host says so.
    fn byte_offset(offset: usize) -> u64 {
        (offset as u64).saturating_mul(size_of::<T>() as u64)
    }
}

impl<T: Pod> Drop for Buffer<T> {
    fn drop(&mut self) {
        let _freed = sys::buf_drop(self.handle);
    }
}

/// What an `INVALID` call may have been given.
fn invalid(call: &str) -> &'static str {
    match call {
        "dispatch" => "with bindings or workgroups that do not fit the shader",
        "buf_create" => "of no bytes, or not of a multiple of 4",
        _ => "with an offset or a length that is not a multiple of 4 bytes",
    }
}

fn check(call: &'static str, answer: i32) -> Result<(), GpuError> {
    if answer == status::OK { Ok(()) } else { Err(error(call, answer)) }
}

fn error(call: &'static str, answer: i32) -> GpuError {
    match answer {
        status::RANGE => GpuError::Range { call },
        status::LIMIT => GpuError::Limit { call },
        status::HANDLE => GpuError::Handle { call },
        status::NO_GPU => GpuError::NoGpu { call },
        status::INVALID => GpuError::Invalid { call },
        status => GpuError::Unknown { call, status },
    }
}
