//! Dispatching shaders that are built on a skeleton: `// p2c2r: use map`, `stencil`, `reduce`, `scan`, `map2d` or `stencil2d`.
//!
//! A skeleton brings `main` and the buffers, the shader a function or two; races are excluded by its form, so such a shader is
//! `exact` as long as its functions are. What a shader must declare is at the head of the block (`guest-sdk/wgsl/NAME.wgsl`).
//!
//! ```wgsl
//! // p2c2r: use reduce
//! alias Item = vec2<i32>;
//! fn reduce_pair(a: Item, b: Item) -> Item { return vec2<i32>(min(a.x, b.x), max(a.y, b.y)); }
//! fn reduce_none() -> Item { return vec2<i32>(2147483647, -2147483648); }
//! ```
//!
//! ```
//! # use p2c2r_guest::{Buffer, Gpu, GpuError, skeleton};
//! fn bounds(gpu: &Gpu, numbers: &Buffer<[i32; 2]>) -> Result<[i32; 2], GpuError> {
//!     skeleton::reduce(gpu, "bounds", numbers)
//! }
//! ```
//!
//! `T` must lie in memory as the shader's type does: a `vec3` takes 16 bytes in WGSL.

use alloc::vec::Vec;

use bytemuck::Pod;

use crate::gpu::{Binding, Buffer, Gpu, GpuError};
use crate::plane::Plane;

/// Invocations in a workgroup of `map` and `stencil`.
const EACH: usize = 64;

/// Columns and rows of a workgroup of `map2d` and `stencil2d`.
const SIDE: u32 = 8;

/// Items in a workgroup of `reduce` and `scan`.
const TOGETHER: usize = 256;

/// Replaces every item by what the shader makes of it. `more` are the shader's own buffers, at bindings 1 and up.
///
/// # Errors
/// As [`Gpu::dispatch`].
pub fn map<T: Pod>(gpu: &Gpu, shader: &str, items: &Buffer<T>, more: &[Binding<'_>]) -> Result<(), GpuError> {
    let mut bindings = Vec::from([items.at(0)]);
    bindings.extend_from_slice(more);
    gpu.dispatch(shader, workgroups(items.len(), EACH), &bindings)
}

/// Makes every cell of `to` from those around it in `from`; both are grids of `columns` columns. `more` are the shader's own
/// buffers, at bindings 3 and up.
///
/// # Errors
/// As [`Gpu::dispatch`], and [`GpuError::Range`] if the grids are of different size or their last row is not whole.
pub fn stencil<T: Pod>(
    gpu: &Gpu,
    shader: &str,
    columns: u32,
    from: &Buffer<T>,
    to: &Buffer<T>,
    more: &[Binding<'_>],
) -> Result<(), GpuError> {
    let rows = from.len().checked_div(columns as usize).unwrap_or(0);
    if from.len() != to.len() || rows * columns as usize != from.len() {
        return Err(GpuError::Range { call: "stencil" });
    }
    let size = gpu.buffer_from(&[[columns, rows as u32]])?;
    let mut bindings = Vec::from([size.at(0), from.at(1), to.at(2)]);
    bindings.extend_from_slice(more);
    gpu.dispatch(shader, workgroups(to.len(), EACH), &bindings)
}

/// What all items come to, in one dispatch for each factor of 256. They are paired in an order that depends on their number only.
///
/// # Errors
/// As [`Gpu::dispatch`], and [`GpuError::Invalid`] if there is no item.
pub fn reduce<T: Pod>(gpu: &Gpu, shader: &str, items: &Buffer<T>) -> Result<T, GpuError> {
    let pass = |from: &Buffer<T>| {
        let groups = from.len().div_ceil(TOGETHER);
        let to = gpu.buffer(groups)?;
        gpu.dispatch(shader, workgroups(from.len(), TOGETHER), &[from.at(0), to.at(1)])?;
        Ok::<_, GpuError>(to)
    };
    let mut left = pass(items)?;
    while left.len() > 1 {
        left = pass(&left)?;
    }
    left.to_vec()?.first().copied().ok_or(GpuError::Invalid { call: "reduce" })
}

/// The sums of each item and all before it, whatever the shader calls a sum, in two dispatches for each factor of 256.
///
/// # Errors
/// As [`Gpu::dispatch`].
pub fn scan<T: Pod>(gpu: &Gpu, shader: &str, items: &Buffer<T>) -> Result<Buffer<T>, GpuError> {
    let groups = items.len().div_ceil(TOGETHER);
    let (sums, totals) = (gpu.buffer(items.len())?, gpu.buffer(groups)?);
    let pass = |before: &Buffer<T>, number: u32| {
        let number = gpu.buffer_from(&[number])?;
        let bindings = [items.at(0), sums.at(1), totals.at(2), before.at(3), number.at(4)];
        gpu.dispatch(shader, workgroups(items.len(), TOGETHER), &bindings)
    };
    // Nobody looks at it in the first pass, but there must be one.
    pass(&gpu.buffer(1)?, 0)?;
    if groups > 1 {
        pass(&scan(gpu, shader, &totals)?, 1)?;
    }
    Ok(sums)
}

/// Replaces every item of a plane by what the shader makes of it; `more` are the shader's own buffers, at bindings 2 and up. On the
/// CPU this is [`Plane::map`].
///
/// # Errors
/// As [`Gpu::dispatch`], and [`GpuError::Plane`] if `items` are not as many as the plane has places.
pub fn map2d<T: Pod>(
    gpu: &Gpu,
    shader: &str,
    plane: Plane,
    items: &Buffer<T>,
    more: &[Binding<'_>],
) -> Result<(), GpuError> {
    plane.check("items", items.len())?;
    over_plane(gpu, shader, plane, &[items.at(1)], more)
}

/// Makes every cell of `to` from those around it in `from`, both being planes of this size; `more` are the shader's own buffers, at
/// bindings 3 and up. On the CPU this is [`Plane::stencil`].
///
/// # Errors
/// As [`Gpu::dispatch`], and [`GpuError::Plane`] if one of the buffers does not hold as many cells as the plane has places.
pub fn stencil2d<T: Pod>(
    gpu: &Gpu,
    shader: &str,
    plane: Plane,
    from: &Buffer<T>,
    to: &Buffer<T>,
    more: &[Binding<'_>],
) -> Result<(), GpuError> {
    plane.check("from", from.len())?;
    plane.check("to", to.len())?;
    over_plane(gpu, shader, plane, &[from.at(1), to.at(2)], more)
}

/// Workgroups along x and y that cover the plane, its size at binding 0.
fn over_plane(
    gpu: &Gpu,
    shader: &str,
    plane: Plane,
    own: &[Binding<'_>],
    more: &[Binding<'_>],
) -> Result<(), GpuError> {
    let sides = [plane.width(), plane.height()];
    let size = gpu.buffer_from(&[sides])?;
    let [x, y] = sides.map(|side| side.div_ceil(SIDE));
    gpu.dispatch(shader, [x, y, 1], &[&[size.at(0)], own, more].concat())
}

/// Workgroups along x for so many items; the host refuses more than it allows.
fn workgroups(items: usize, in_each: usize) -> [u32; 3] {
    [u32::try_from(items.div_ceil(in_each)).unwrap_or(u32::MAX), 1, 1]
}
