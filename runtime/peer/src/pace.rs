//! How long each kernel's attempts usually take here.

use std::collections::BTreeMap;
use std::time::Duration;

use p2c2r_signing::ModuleId;

use crate::limits;

/// Moving averages, for the kernels that ran last.
#[derive(Debug, Default)]
pub(crate) struct Paces {
    known: BTreeMap<ModuleId, Pace>,
    clock: u64,
}

#[derive(Debug)]
struct Pace {
    usual: Duration,
    noted: u64,
}

impl Paces {
    /// Whether the next attempt is expected to be over in less than [`limits::QUICK`]. No for an unknown kernel.
    pub(crate) fn is_quick(&self, module: &ModuleId) -> bool {
        self.known.get(module).is_some_and(|pace| pace.usual < limits::QUICK)
    }

    /// Takes one attempt in; the last one weighs a quarter.
    pub(crate) fn note(&mut self, module: ModuleId, took: Duration) {
        self.clock += 1;
        let noted = self.clock;
        if let Some(pace) = self.known.get_mut(&module) {
            pace.usual = (pace.usual * 3 + took) / 4;
            pace.noted = noted;
            return;
        }
        if self.known.len() >= limits::PACES
            && let Some(oldest) = self.known.iter().min_by_key(|(_, pace)| pace.noted).map(|(module, _)| *module)
        {
            self.known.remove(&oldest);
        }
        self.known.insert(module, Pace { usual: took, noted });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learns_and_forgets() {
        let module = |n: u8| ModuleId::of(&[n]);
        let mut paces = Paces::default();
        assert!(!paces.is_quick(&module(0)));
        paces.note(module(0), Duration::from_millis(40));
        assert!(!paces.is_quick(&module(0)), "the first run compiles");
        (0..30).for_each(|_| paces.note(module(0), Duration::from_micros(10)));
        assert!(paces.is_quick(&module(0)));
        paces.note(module(0), limits::QUICK_DEADLINE);
        assert!(!paces.is_quick(&module(0)), "one slow run is enough");
        (1..=64).for_each(|n| paces.note(module(n), Duration::ZERO));
        assert!(!paces.is_quick(&module(0)) && paces.known.len() == limits::PACES);
    }
}
