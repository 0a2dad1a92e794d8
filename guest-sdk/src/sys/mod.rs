//! The imports, as safe functions over slices: the host's in Wasm, a mock of this thread everywhere else.

#[cfg(target_arch = "wasm32")]
mod wasm;
#[cfg(target_arch = "wasm32")]
pub(crate) use wasm::{
    blob_count, blob_len, blob_read, buf_create, buf_drop, buf_read, buf_write, charge, dispatch, gpu_caps, input_len,
    input_read, log, output_write, seed,
};

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::{
    Host, blob_count, blob_len, blob_read, buf_create, buf_drop, buf_read, buf_write, charge, dispatch, gpu_caps,
    input_len, input_read, log, output_write, seed, with_host,
};
