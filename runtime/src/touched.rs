//! Which pages of a guest's memory were ever used, as the kernel knows it. Looking at an unused page costs a page
//! fault (about a microsecond), and a guest with 16 MiB of memory has four thousand of them.
//!
//! Only an optimisation: where the kernel cannot be asked, every page counts as touched and the trace is the same.
//! It relies on memory being anonymous (copy-on-write images are off in [`crate::engine`]): a page of it that is neither
//! in memory nor swapped out was never written and reads as zero.

use crate::trace::PAGE;

/// Pages asked for at once; the answer has 8 bytes for each.
const BATCH: usize = 1024;

/// Calls `page` with the index of each page of `memory` that may be other than zero, in ascending order.
pub(crate) fn each(memory: &[u8], mut page: impl FnMut(usize)) {
    let pages = memory.len().div_ceil(PAGE);
    let first = memory.as_ptr().addr();
    // Linear memory always is aligned; of anything else pages and the kernel's pages are not the same.
    let aligned = first.is_multiple_of(PAGE);
    let mut start = 0;
    while start < pages {
        let count = BATCH.min(pages - start);
        let mut entries = [0u8; BATCH * 8];
        let known = aligned && ask(first / PAGE + start, &mut entries[..count * 8]);
        for (index, entry) in entries[..count * 8].chunks_exact(8).enumerate() {
            // Bits 63 and 62 of an entry, in the byte order of the machine: present, swapped.
            if !known || entry[7] & 0xc0 != 0 {
                page(start + index);
            }
        }
        start += count;
    }
}

/// Opens what [`each`] asks, which it otherwise does when first called.
pub(crate) fn open() {
    pagemap::file();
}

/// Fills `entries` from the kernel's own table.
fn ask(first: usize, entries: &mut [u8]) -> bool {
    pagemap::read(first, entries)
}

/// `/proc/self/pagemap` (Documentation/admin-guide/mm/pagemap.rst in Linux).
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod pagemap {
    use std::fs::File;
    use std::os::unix::fs::FileExt;
    use std::sync::OnceLock;

    /// The file, and whose it is: after a fork it would still speak of the parent.
    static PAGEMAP: OnceLock<Option<(u32, File)>> = OnceLock::new();

    pub(super) fn file() -> Option<&'static (u32, File)> {
        PAGEMAP.get_or_init(|| Some((std::process::id(), File::open("/proc/self/pagemap").ok()?))).as_ref()
    }

    pub(super) fn read(first: usize, entries: &mut [u8]) -> bool {
        let Some((process, file)) = file() else { return false };
        *process == std::process::id() && file.read_exact_at(entries, first as u64 * 8).is_ok()
    }
}

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
mod pagemap {
    pub(super) fn file() {}

    pub(super) fn read(_first: usize, _entries: &mut [u8]) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_written_is_missed() {
        // Fresh and large, so that the allocator maps it and most of it stays untouched.
        let mut memory = vec![0u8; 3000 * PAGE];
        let skip = memory.as_ptr().align_offset(PAGE);
        let memory = &mut memory[skip..];
        let written: Vec<usize> = (0..memory.len()).step_by(97 * PAGE + 13).collect();
        written.iter().for_each(|at| memory[*at] = 1);
        for memory in [&*memory, &memory[1..]] {
            let mut seen = Vec::new();
            each(memory, |page| seen.push(page));
            assert!(seen.is_sorted());
            for (page, bytes) in memory.chunks(PAGE).enumerate() {
                assert!(seen.contains(&page) || bytes.iter().all(|b| *b == 0), "page {page}");
            }
        }
    }
}
