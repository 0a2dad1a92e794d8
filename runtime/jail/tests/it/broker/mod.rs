//! What a GPU worker can do wrong, down to its driver: each ends the attempt as a host fault in its time, if it cannot be
//! made good, and the next attempt runs on a worker that is in order.

mod double;

use std::path::Path;
use std::time::{Duration, Instant};

use p2c2r_jail::{Jail, JailConfig, JailedKernel};
use p2c2r_runtime::{GpuPolicy, HostFault, PathKind};
use p2c2r_signing::Outcome;

use double::{Fault, Stage};

use crate::gpu::{PATIENCE, attempt, doubles, module};
use crate::kit::{config, run};

/// For attempts that meet a worker that does not answer.
const SHORT: Duration = Duration::from_millis(500);

/// The child. Plays only when the test below asks for it.
#[test]
fn be_a_double() {
    if let Some(folder) = std::env::var_os(double::FOLDER) {
        double::play(folder.into());
    }
}

/// For shaders that never compile: as short as a busy machine bears that compiles the rest of the kernel.
const SLOW: Duration = Duration::from_secs(5);

/// How late an attempt may be told that its time is over, on a busy machine. Less than what a GPU worker is given to open a
/// session, which an attempt must not wait for.
const LATE: Duration = Duration::from_secs(8);
const _: () = assert!(LATE.as_secs() < p2c2r_jail::limits::GPU_COMPILE.as_secs());

/// What becomes of the attempt that meets a fault.
#[derive(Debug, PartialEq, Eq)]
enum Meets {
    /// Another worker did the work.
    Nothing,
    Deadline,
    Gpu,
    OutOfMemory,
}

#[test]
fn whatever_a_gpu_worker_does_wrong_the_next_attempt_runs() {
    let folder = tempfile::tempdir().unwrap();
    let Some((jail, stage)) = jail(folder.path(), config()) else { return };
    let kernel = jail.load(&module()).unwrap();
    doubles(&jail, &kernel);
    assert_eq!(stage.started(), 1);
    for fault in Fault::ALL {
        let (meets, replaced) = match fault {
            // Loading a kernel prepares its shaders; the next attempt needs nothing of that.
            Fault::DiesCompiling | Fault::DiesOpening | Fault::GarblesOpening => (Meets::Nothing, true),
            // See below.
            Fault::HangsCompiling => continue,
            Fault::HangsOpening | Fault::HangsRunning => (Meets::Deadline, true),
            Fault::AnswersLate => (Meets::Deadline, false),
            Fault::DiesRunning
            | Fault::Garbles
            | Fault::SpeaksOutOfTurn
            | Fault::SpeaksTooLong
            | Fault::LosesDevice => (Meets::Gpu, true),
            Fault::RunsOutOfMemory => (Meets::OutOfMemory, false),
        };
        let before = stage.started();
        stage.wish(fault);
        let kernel = if fault == Fault::DiesCompiling { jail.load(&module()).unwrap() } else { kernel.clone() };
        let mut deadline = if meets == Meets::Deadline { SHORT } else { PATIENCE };
        let mut met = meet(&jail, &kernel, deadline);
        // On a busy machine an attempt may end before it gets that far.
        while !stage.is_granted() && deadline < PATIENCE {
            deadline *= 2;
            met = meet(&jail, &kernel, deadline);
        }
        assert_eq!(met, meets, "{fault:?}");
        assert!(stage.is_granted(), "{fault:?} did not happen");
        doubles(&jail, &kernel);
        assert_eq!(stage.started() > before, replaced, "{fault:?}");
    }
}

#[test]
fn a_kernel_whose_shaders_do_not_compile_in_time_is_told_so_and_nobody_else_is_held_up() {
    let folder = tempfile::tempdir().unwrap();
    let Some((jail, stage)) = jail(folder.path(), JailConfig { compile: SLOW, ..config() }) else { return };
    stage.wish(Fault::HangsCompiling);
    let begun = Instant::now();
    let kernel = jail.load(&module()).unwrap();
    assert!(stage.is_granted());
    assert!((SLOW..PATIENCE).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    for _ in 0..2 {
        let fault = run(&jail, &kernel, &attempt(0, 64)).unwrap_err();
        assert_eq!(fault, HostFault::Gpu("the kernel's shaders did not compile within 5 s".to_owned()));
    }
    // On the CPU path it is a kernel like any other, and the next kernel has a worker again.
    let on_cpu = p2c2r_runtime::Attempt { path: PathKind::Cpu, ..attempt(0, 64) };
    run(&jail, &kernel, &on_cpu).unwrap();
    doubles(&jail, &jail.load(&module()).unwrap());
    assert_eq!(stage.started(), 2);
}

#[test]
fn a_worker_with_another_driver_does_not_take_the_place_of_one_that_failed() {
    let folder = tempfile::tempdir().unwrap();
    let Some((jail, stage)) = jail(folder.path(), config()) else { return };
    let kernel = jail.load(&module()).unwrap();
    doubles(&jail, &kernel);
    stage.change_driver(Some(&jail.gpu_info().unwrap().driver));
    doubles(&jail, &kernel);
    stage.wish(Fault::DiesOpening);
    for _ in 0..2 {
        let fault = run(&jail, &kernel, &attempt(0, 64)).unwrap_err();
        assert_eq!(fault, HostFault::Gpu("the adapter or its driver changed; restart the peer".to_owned()));
    }
    // It was put back.
    stage.change_driver(None);
    doubles(&jail, &kernel);
}

/// A jail with a double, or `None` with a reason said.
fn jail(folder: &Path, config: JailConfig) -> Option<(Jail, Stage)> {
    let (stage, program) = Stage::set(folder);
    let jail = Jail::start(JailConfig { gpu: GpuPolicy::Auto, worker: program, ..config }).unwrap();
    let Some(missing) = jail.gpu_missing() else { return Some((jail, stage)) };
    assert!(std::env::var_os("P2C2R_REQUIRE_GPU").is_none(), "no gpu: {missing}");
    eprintln!("SKIPPED: no gpu: {missing}");
    None
}

fn meet(jail: &Jail, kernel: &JailedKernel, deadline: Duration) -> Meets {
    let begun = Instant::now();
    let ended = run(jail, kernel, &p2c2r_runtime::Attempt { deadline, ..attempt(0, 64) });
    let took = begun.elapsed();
    assert!(took < deadline + LATE, "{deadline:?} took {took:?}");
    match ended {
        Ok(execution) => {
            assert_eq!(execution.outcome, Outcome::Output, "{:?}", execution.log);
            Meets::Nothing
        }
        Err(HostFault::Deadline { after }) => {
            assert_eq!(after, deadline);
            assert!(took >= deadline, "{deadline:?} took {took:?}");
            Meets::Deadline
        }
        Err(HostFault::Gpu(_)) => Meets::Gpu,
        Err(HostFault::OutOfMemory(_)) => Meets::OutOfMemory,
        Err(other) => panic!("{other}"),
    }
}
