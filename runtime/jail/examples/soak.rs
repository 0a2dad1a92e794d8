//! Generated modules, valid and changed, through sign, verify, compile and run in the jail: `soak --count 100000 --seed 0`.
//! Prints how many ended how; stops at the first that breaks a rule, with the seed that makes it again.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use p2c2r_jail::JailConfig;

#[path = "../tests/generated/mod.rs"]
mod judges;

use judges::Judges;

/// Modules between two lines of progress.
const PROGRESS: u64 = 5_000;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut count, mut first) = (1_000u64, 0u64);
    while let Some(name) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse().ok());
        match (name.as_str(), value) {
            ("--count", Some(value)) => count = value,
            ("--seed", Some(value)) => first = value,
            _ => {
                eprintln!("usage: soak [--count N] [--seed S]");
                return ExitCode::FAILURE;
            }
        }
    }
    let judges = match JailConfig::worker_beside_me().map_err(Into::into).and_then(Judges::new) {
        Ok(judges) => judges,
        Err(error) => {
            eprintln!("soak: {error}");
            return ExitCode::FAILURE;
        }
    };
    let started = Instant::now();
    let mut endings = BTreeMap::<String, u64>::new();
    for (done, seed) in (first..first.saturating_add(count)).enumerate() {
        match judges.check(seed) {
            Ok(ending) => *endings.entry(ending).or_default() += 1,
            Err(broken) => {
                eprintln!("soak: seed {seed}: {broken}");
                return ExitCode::FAILURE;
            }
        }
        if (done as u64 + 1).is_multiple_of(PROGRESS) {
            eprintln!("{} of {count} after {} s", done + 1, started.elapsed().as_secs());
        }
    }
    eprintln!("{count} modules from seed {first} in {} s", started.elapsed().as_secs());
    for (ending, number) in endings {
        eprintln!("{number:>10}  {ending}");
    }
    ExitCode::SUCCESS
}
