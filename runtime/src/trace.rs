//! The trace root: a digest of what an attempt left behind, which nobody can know who did not run it.
//!
//! It covers the final linear memory and the GPU's buffers, however the attempt ended. Memory is hashed as runs of
//! 4 KiB pages that are not all zero, each run as `first page: u64, pages: u64, bytes`, so memory that was granted and
//! never used costs almost nothing. A run of `u64::MAX, 0` ends them.
//!
//! Two endings need care. When instantiation fails there is no instance to ask, so the memory counts as absent. When
//! the guest trapped on an address outside memory, the last 16 bytes count as zero: a store that straddles the end may
//! or may not have written its first part, depending on the processor (16 bytes is the widest store).

use p2c2r_signing::{Outcome, TraceRoot, TrapCode};

use crate::touched;

const TRACE_DOMAIN: &str = "P2C2R 2026-11-22 trace root v1";

/// Bytes of a page of the trace; the unit of "untouched" in every operating system we run on, or a divisor of it.
pub(crate) const PAGE: usize = 4096;

/// Bytes of the widest WebAssembly store, `v128.store`.
const WIDEST_STORE: usize = 16;

/// Starts the digest with the memory, if there was one.
pub(crate) fn memory(memory: Option<&mut [u8]>, outcome: Outcome) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new_derive_key(TRACE_DOMAIN);
    hasher.update(&[u8::from(memory.is_some())]);
    if let Some(memory) = memory {
        if outcome == Outcome::Trap(TrapCode::MemoryOutOfBounds) {
            let end = memory.len().saturating_sub(WIDEST_STORE);
            memory[end..].fill(0);
        }
        pages(memory, &mut hasher);
    }
    hasher
}

/// Ends the digest.
pub(crate) fn root(hasher: &blake3::Hasher) -> TraceRoot {
    TraceRoot::from_bytes(*hasher.finalize().as_bytes())
}

fn pages(memory: &[u8], hasher: &mut blake3::Hasher) {
    hasher.update(&(memory.len() as u64).to_le_bytes());
    let mut run = 0..0;
    touched::each(memory, |index| {
        let page = &memory[index * PAGE..memory.len().min((index + 1) * PAGE)];
        if *page == ZEROS[..page.len()] {
            return;
        }
        if run.end != index {
            flush(memory, &run, hasher);
            run.start = index;
        }
        run.end = index + 1;
    });
    flush(memory, &run, hasher);
    hasher.update(&u64::MAX.to_le_bytes());
    hasher.update(&0u64.to_le_bytes());
}

static ZEROS: [u8; PAGE] = [0; PAGE];

fn flush(memory: &[u8], run: &std::ops::Range<usize>, hasher: &mut blake3::Hasher) {
    if run.is_empty() {
        return;
    }
    hasher.update(&(run.start as u64).to_le_bytes());
    hasher.update(&(run.len() as u64).to_le_bytes());
    hasher.update(&memory[run.start * PAGE..memory.len().min(run.end * PAGE)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(bytes: &mut [u8], outcome: Outcome) -> TraceRoot {
        root(&memory(Some(bytes), outcome))
    }

    #[test]
    fn layout_is_pinned() {
        let mut bytes = vec![0u8; 6 * PAGE];
        bytes[PAGE + 1] = 1;
        bytes[2 * PAGE] = 2;
        bytes[5 * PAGE + 9] = 3;
        let by_hand = {
            let mut h = blake3::Hasher::new_derive_key(TRACE_DOMAIN);
            h.update(&[1]);
            h.update(&(6 * PAGE as u64).to_le_bytes());
            for (first, pages) in [(1u64, 2u64), (5, 1)] {
                h.update(&first.to_le_bytes());
                h.update(&pages.to_le_bytes());
                h.update(&bytes[first as usize * PAGE..(first + pages) as usize * PAGE]);
            }
            h.update(&u64::MAX.to_le_bytes());
            h.update(&0u64.to_le_bytes());
            root(&h)
        };
        assert_eq!(trace(&mut bytes, Outcome::Output), by_hand);
        assert_eq!(by_hand.to_string(), "c31bf95f57ca7dd2af63797c13235ab5a27a17839b0733b6bb1ef7fd72878c1d");
    }

    #[test]
    fn every_byte_counts() {
        let mut bytes = vec![0u8; 16 * PAGE];
        let empty = trace(&mut bytes, Outcome::Output);
        for at in [0, 1, PAGE - 1, PAGE, 7 * PAGE + 9, 16 * PAGE - 1] {
            bytes[at] = 1;
            assert_ne!(trace(&mut bytes, Outcome::Output), empty, "{at}");
            bytes[at] = 0;
        }
        assert_eq!(trace(&mut bytes, Outcome::Output), empty);
    }

    #[test]
    fn place_and_length_count() {
        let at = |page: usize, pages: usize| {
            let mut bytes = vec![0u8; pages * PAGE];
            bytes[page * PAGE] = 1;
            trace(&mut bytes, Outcome::Output)
        };
        assert_ne!(at(0, 4), at(1, 4));
        assert_ne!(at(0, 4), at(0, 8));
        assert_ne!(root(&memory(None, Outcome::BadAbi)), trace(&mut [], Outcome::BadAbi));
    }

    #[test]
    fn a_torn_store_at_the_end_does_not_count() {
        let outside = Outcome::Trap(TrapCode::MemoryOutOfBounds);
        let mut clean = vec![0u8; 2 * PAGE];
        let mut torn = clean.clone();
        torn[2 * PAGE - 3..].fill(7);
        assert_ne!(trace(&mut clean, Outcome::Output), trace(&mut torn.clone(), Outcome::Output));
        assert_eq!(trace(&mut clean, outside), trace(&mut torn, outside));
    }
}
