//! How fast this machine is, independent of any kernel: operations per microsecond of one thread on a mix of integer
//! arithmetic, dependent loads and floating point over 64 KiB.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::{file, limits};

const FILE: &str = "benchmark.json";

/// Version of the mix; a result of another one is measured again.
const MIX: u32 = 1;

const WORDS: usize = 8 << 10;
const OPERATIONS_PER_STEP: u64 = 8;

/// A result kept in the data folder.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    mix: u32,
    speed: u32,
}

/// The speed measured on an earlier start, or measured now (a tenth of a second) and kept in `data`.
#[must_use]
pub fn cached(data: &Path) -> u32 {
    let path = data.join(FILE);
    let kept = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
    if let Some(Kept { mix: MIX, speed }) = kept {
        return speed;
    }
    let speed = measure(limits::BENCHMARK);
    let written = serde_json::to_vec(&Kept { mix: MIX, speed }).map_err(std::io::Error::other);
    if let Err(error) = written.and_then(|bytes| file::replace(&path, &bytes)) {
        tracing::warn!(%error, "benchmark not kept");
    }
    speed
}

/// Measures for `time`.
#[must_use]
pub fn measure(time: Duration) -> u32 {
    let mut words: Vec<u64> = (0..WORDS as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    let (mut state, mut sum, mut steps) = (1u64, 0f64, 0u64);
    let start = Instant::now();
    while start.elapsed() < time {
        for _ in 0..1024 {
            // Operations: load, xor, shift, multiply, add, store, convert, float add.
            let at = usize::try_from(state % WORDS as u64).unwrap_or_default();
            let word = words.get_mut(at);
            if let Some(word) = word {
                state = (state ^ *word).rotate_left(17).wrapping_mul(0xbf58_476d_1ce4_e5b9).wrapping_add(1);
                *word = state;
                sum += state as f64;
            }
        }
        steps += 1024;
    }
    black_box((sum, &words));
    let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
    u32::try_from(steps.saturating_mul(OPERATIONS_PER_STEP) / micros).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measured_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let speed = cached(dir.path());
        assert!(speed > 0);
        assert_eq!(cached(dir.path()), speed);
        std::fs::write(dir.path().join(FILE), b"{\"mix\":1,\"speed\":7}").unwrap();
        assert_eq!(cached(dir.path()), 7);
        std::fs::write(dir.path().join(FILE), b"torn").unwrap();
        assert!(cached(dir.path()) > 0);
    }
}
