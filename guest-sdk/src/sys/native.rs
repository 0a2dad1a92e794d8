//! The imports on a native target: a mock host of this thread with the status codes of the real one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use p2c2r_abi::{BINDING_BYTES, SEED_BYTES, gpu, status};

use crate::limits::{BINDINGS, BUFFER_BYTES, WORKGROUPS_PER_AXIS};

/// A shader's stand-in: gets workgroups and the bound buffers by binding number.
pub(crate) type Shader = Rc<dyn Fn([u32; 3], &mut BTreeMap<u32, Vec<u8>>)>;

/// What the imports read and what they leave behind.
#[derive(Default)]
pub(crate) struct Host {
    pub(crate) input: Vec<u8>,
    pub(crate) blobs: Vec<Vec<u8>>,
    pub(crate) seed: [u8; SEED_BYTES],
    pub(crate) shaders: BTreeMap<String, Shader>,
    pub(crate) output: Vec<u8>,
    pub(crate) units: u64,
    pub(crate) log: Vec<(i32, String)>,
    /// Live buffers by handle; handles are never used twice.
    pub(crate) buffers: BTreeMap<i32, Vec<u8>>,
    pub(crate) buffers_made: i32,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::new(Host::default());
}

/// Runs `f` with `host` as this thread's host, and gives the host back as `f` left it, however `f` ended.
pub(crate) fn with_host<R>(host: Host, f: impl FnOnce() -> R) -> (std::thread::Result<R>, Host) {
    let outer = HOST.replace(host);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    (result, HOST.replace(outer))
}

pub(crate) fn input_len() -> usize {
    HOST.with_borrow(|host| host.input.len())
}

pub(crate) fn input_read(offset: u32, dst: &mut [u8]) -> i32 {
    HOST.with_borrow(|host| copy_out(&host.input, u64::from(offset), dst))
}

pub(crate) fn output_write(src: &[u8]) -> i32 {
    HOST.with_borrow_mut(|host| host.output.extend_from_slice(src));
    status::OK
}

pub(crate) fn blob_count() -> u32 {
    HOST.with_borrow(|host| host.blobs.len() as u32)
}

pub(crate) fn blob_len(index: u32) -> i64 {
    HOST.with_borrow(|host| match host.blobs.get(index as usize) {
        Some(blob) => blob.len() as i64,
        None => i64::from(status::HANDLE),
    })
}

pub(crate) fn blob_read(index: u32, offset: u64, dst: &mut [u8]) -> i32 {
    HOST.with_borrow(|host| match host.blobs.get(index as usize) {
        Some(blob) => copy_out(blob, offset, dst),
        None => status::HANDLE,
    })
}

pub(crate) fn seed() -> [u8; SEED_BYTES] {
    HOST.with_borrow(|host| host.seed)
}

pub(crate) fn log(level: i32, line: &str) {
    HOST.with_borrow_mut(|host| host.log.push((level, line.to_owned())));
}

/// # Panics
/// Where the real host traps: a bill past `i64::MAX`.
pub(crate) fn charge(units: u64) {
    let total = HOST.with_borrow(|host| host.units).checked_add(units).filter(|total| i64::try_from(*total).is_ok());
    let Some(total) = total else { panic!("{}", p2c2r_abi::trap::UNITS) };
    HOST.with_borrow_mut(|host| host.units = total);
}

pub(crate) fn gpu_caps() -> i32 {
    HOST.with_borrow(|host| if host.shaders.is_empty() { 0 } else { gpu::DISPATCH })
}

pub(crate) fn buf_create(bytes: u64) -> i32 {
    if gpu_caps() == 0 {
        return status::NO_GPU;
    }
    if bytes == 0 || !bytes.is_multiple_of(4) || i64::try_from(bytes).is_err() {
        return status::INVALID;
    }
    if bytes > BUFFER_BYTES {
        return status::LIMIT;
    }
    HOST.with_borrow_mut(|host| {
        host.buffers_made += 1;
        host.buffers.insert(host.buffers_made, vec![0; bytes as usize]);
        host.buffers_made
    })
}

pub(crate) fn buf_write(handle: i32, offset: u64, src: &[u8]) -> i32 {
    HOST.with_borrow_mut(|host| match host.buffers.get_mut(&handle) {
        None => status::HANDLE,
        Some(_) if !offset.is_multiple_of(4) || !src.len().is_multiple_of(4) => status::INVALID,
        Some(buffer) => match range(buffer.len(), offset, src.len()) {
            Some(range) => {
                buffer[range].copy_from_slice(src);
                status::OK
            }
            None => status::RANGE,
        },
    })
}

pub(crate) fn buf_read(handle: i32, offset: u64, dst: &mut [u8]) -> i32 {
    HOST.with_borrow(|host| match host.buffers.get(&handle) {
        None => status::HANDLE,
        Some(_) if !offset.is_multiple_of(4) || !dst.len().is_multiple_of(4) => status::INVALID,
        Some(buffer) => copy_out(buffer, offset, dst),
    })
}

pub(crate) fn buf_drop(handle: i32) -> i32 {
    HOST.with_borrow_mut(|host| match host.buffers.remove(&handle) {
        Some(_) => status::OK,
        None => status::HANDLE,
    })
}

pub(crate) fn dispatch(shader: &str, workgroups: [u32; 3], bindings: &[[u8; BINDING_BYTES]]) -> i32 {
    if gpu_caps() == 0 {
        return status::NO_GPU;
    }
    let Some(run) = HOST.with_borrow(|host| host.shaders.get(shader).map(Rc::clone)) else {
        return status::NO_SHADER;
    };
    if workgroups.iter().any(|count| *count > WORKGROUPS_PER_AXIS) {
        return status::LIMIT;
    }
    // The real one reads no more than this either.
    let handles: Vec<_> = bindings.iter().take(BINDINGS + 1).map(binding).collect();
    let mut bound = BTreeMap::new();
    for (binding, handle) in &handles {
        let Some(buffer) = HOST.with_borrow(|host| host.buffers.get(handle).cloned()) else {
            return status::HANDLE;
        };
        bound.insert(*binding, buffer);
    }
    if bound.len() != bindings.len() || bound.len() > BINDINGS {
        return status::INVALID;
    }
    run(workgroups, &mut bound);
    // What is declared writable is known of a real shader; of a stand-in, what it wrote.
    let written = |binding, handle| {
        HOST.with_borrow(|host| bound.get(&binding).is_some_and(|after| host.buffers.get(&handle) != Some(after)))
    };
    let shared = |handle| handles.iter().filter(|(_, other)| *other == handle).count() > 1;
    if handles.iter().any(|(binding, handle)| shared(*handle) && written(*binding, *handle)) {
        return status::INVALID;
    }
    for (binding, handle) in handles {
        if let Some(buffer) = bound.remove(&binding) {
            HOST.with_borrow_mut(|host| host.buffers.insert(handle, buffer));
        }
    }
    status::OK
}

fn binding(&[a, b, c, d, e, f, g, h]: &[u8; BINDING_BYTES]) -> (u32, i32) {
    (u32::from_le_bytes([a, b, c, d]), i32::from_le_bytes([e, f, g, h]))
}

fn copy_out(from: &[u8], offset: u64, dst: &mut [u8]) -> i32 {
    match range(from.len(), offset, dst.len()) {
        Some(range) => {
            dst.copy_from_slice(&from[range]);
            status::OK
        }
        None => status::RANGE,
    }
}

fn range(total: usize, offset: u64, bytes: usize) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(bytes)?;
    (end <= total).then_some(start..end)
}
