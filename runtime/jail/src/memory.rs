//! Memory that two processes see. The supervisor makes it and fixes its size, so that neither can pull it away under the
//! other; it reads and writes by system calls, so that nothing a worker does to the memory can fault the supervisor.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, ftruncate, memfd_create};

use crate::limits::WINDOW_KEEP_BYTES;

/// Memory of fixed size that both sides may write.
#[derive(Debug)]
pub(crate) struct Window {
    file: File,
    bytes: u64,
}

/// Memory that nobody can change any more.
#[derive(Debug)]
pub(crate) struct Sealed(OwnedFd);

impl Window {
    /// Costs nothing until it is written.
    pub(crate) fn new(bytes: u64) -> io::Result<Self> {
        let file = memory()?;
        ftruncate(&file, bytes)?;
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok(Self { file: file.into(), bytes })
    }

    /// The worker's side of one.
    pub(crate) fn from_parts(descriptor: OwnedFd, bytes: u64) -> Self {
        Self { file: descriptor.into(), bytes }
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    pub(crate) fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset)
    }

    /// The first `len` bytes; an error if there are not so many.
    pub(crate) fn take(&self, len: u64) -> io::Result<Vec<u8>> {
        if len > self.bytes {
            return Err(io::Error::other(format!("{len} bytes in shared memory of {}", self.bytes)));
        }
        let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        self.read(0, &mut bytes)?;
        Ok(bytes)
    }

    /// Gives the memory of the first `used` bytes back, if that is worth a system call.
    pub(crate) fn release(&self, used: u64) -> io::Result<()> {
        if used > WINDOW_KEEP_BYTES {
            fallocate(&self.file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 0, used)?;
        }
        Ok(())
    }
}

impl Sealed {
    /// A copy of `bytes`.
    pub(crate) fn new(bytes: &[u8]) -> io::Result<Self> {
        let file = File::from(memory()?);
        file.write_all_at(bytes, 0)?;
        let seals = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        fcntl_add_seals(&file, seals)?;
        Ok(Self(file.into()))
    }
}

/// Maps what the supervisor sealed, in a worker.
#[expect(unsafe_code, reason = "mapping a file is sound only if nobody changes it")]
pub(crate) fn map(descriptor: &OwnedFd, bytes: u64) -> io::Result<Bytes> {
    if bytes == 0 {
        return Ok(Bytes::new());
    }
    let len = usize::try_from(bytes).map_err(io::Error::other)?;
    // SAFETY: the memory is sealed by the supervisor against writing and shrinking before a worker gets to see it.
    let map = unsafe { memmap2::MmapOptions::new().len(len).map(descriptor) }?;
    Ok(Bytes::from_owner(map))
}

impl AsFd for Window {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsFd for Sealed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn memory() -> io::Result<OwnedFd> {
    Ok(memfd_create("p2c2r", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_keeps_its_size() {
        let window = Window::new(1 << 30).unwrap();
        window.write(5 << 20, b"far").unwrap();
        let mut bytes = [0; 3];
        window.read(5 << 20, &mut bytes).unwrap();
        assert_eq!(&bytes, b"far");
        window.release(6 << 20).unwrap();
        window.read(5 << 20, &mut bytes).unwrap();
        assert_eq!(bytes, [0; 3]);
        assert!(ftruncate(window.as_fd(), 1).is_err());
        assert!(window.write(1 << 30, b"past").is_err());
        assert!(window.take((1 << 30) + 1).is_err());
        assert!(fcntl_add_seals(window.as_fd(), SealFlags::WRITE).is_err());
    }

    #[test]
    fn a_window_gives_back_what_is_more_than_it_keeps() {
        let window = Window::new(4 << 20).unwrap();
        let mut byte = [0];
        for (used, left) in [(WINDOW_KEEP_BYTES, 7), (WINDOW_KEEP_BYTES + 1, 0)] {
            window.write(0, &[7]).unwrap();
            window.release(used).unwrap();
            window.read(0, &mut byte).unwrap();
            assert_eq!(byte, [left], "{used} bytes were used");
        }
    }

    #[test]
    fn what_is_sealed_stays() {
        let sealed = Sealed::new(b"forever").unwrap();
        let other = sealed.as_fd().try_clone_to_owned().unwrap();
        assert!(File::from(other.try_clone().unwrap()).write_all_at(b"n", 0).is_err());
        assert!(ftruncate(&other, 0).is_err());
        assert_eq!(&map(&other, 7).unwrap()[..], b"forever");
        assert!(map(&other, 0).unwrap().is_empty());
    }
}
