//! Attempts and workers that end otherwise than by an outcome.

use std::time::{Duration, Instant};

use p2c2r_jail::{Jail, JailConfig, JailError, LoadError};
use p2c2r_runtime::{Attempt, CancelFlag, HostFault};

use crate::kit::{ECHO, SPIN, config, core, jail, load, manifest, module, run};

const SOON: Duration = Duration::from_millis(50);

#[test]
fn an_endless_loop_ends_at_its_deadline_and_costs_nobody_else() {
    let (spin, echo) = (load(jail(), SPIN), load(jail(), ECHO));
    for _ in 0..3 {
        let started = Instant::now();
        let ended = run(jail(), &spin, &Attempt { deadline: SOON, ..Attempt::new("") });
        assert_eq!(ended.unwrap_err(), HostFault::Deadline { after: SOON });
        assert!(started.elapsed() >= SOON);
        assert_eq!(run(jail(), &echo, &Attempt::new("next")).unwrap().output, b"next");
    }
}

#[test]
fn a_cancelled_attempt_is_killed() {
    let spin = load(jail(), SPIN);
    let cancel = CancelFlag::new();
    let attempt = Attempt { deadline: Duration::from_secs(600), cancel: Some(cancel.clone()), ..Attempt::new("") };
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run(jail(), &spin, &attempt));
        cancel.cancel();
        assert_eq!(running.join().unwrap().unwrap_err(), HostFault::Cancelled);
    });
}

#[test]
fn more_attempts_than_workers_are_refused() {
    let jail = Jail::start(JailConfig { workers: 1, ..config() }).unwrap();
    let (spin, echo) = (load(&jail, SPIN), load(&jail, ECHO));
    let cancel = CancelFlag::new();
    let attempt = Attempt { deadline: Duration::from_secs(600), cancel: Some(cancel.clone()), ..Attempt::new("") };
    std::thread::scope(|scope| {
        // Each may find the place taken by the other for a moment.
        let running = scope.spawn(|| {
            loop {
                match run(&jail, &spin, &attempt) {
                    Err(HostFault::Busy { .. }) => {}
                    ended => break ended,
                }
            }
        });
        while run(&jail, &echo, &Attempt::new("")).is_ok() {}
        assert_eq!(run(&jail, &echo, &Attempt::new("")).unwrap_err(), HostFault::Busy { workers: 1 });
        cancel.cancel();
        assert_eq!(running.join().unwrap().unwrap_err(), HostFault::Cancelled);
    });
    assert!(run(&jail, &echo, &Attempt::new("")).is_ok());
}

#[test]
fn kernels_take_turns_at_few_workers() {
    let jail = Jail::start(JailConfig { workers: 2, ..config() }).unwrap();
    let kernels: Vec<_> =
        (0..5).map(|n| load(&jail, &format!("{ECHO} (i32.store (i32.const 0) (i32.const {n}))"))).collect();
    for _ in 0..2 {
        for kernel in &kernels {
            assert_eq!(run(&jail, kernel, &Attempt::new("turn")).unwrap().output, b"turn");
        }
    }
}

#[test]
fn a_module_that_takes_too_long_to_compile_is_given_up() {
    // Nested blocks with a branch out of each make every pass of the compiler work.
    let body = "(drop (i32.add (i32.const 1) (local.get $i)))".repeat(40_000);
    let functions: String = (0..2).map(|n| format!("(func $f{n} (param $i i32) {body})")).collect();
    let wat = core("").replace("(memory", &format!("{functions} (memory"));
    let limit = Duration::from_millis(1);
    let jail = Jail::start(JailConfig { compile: limit, ..config() }).unwrap();
    let error = jail.load(&module(&wat, &manifest())).err().unwrap();
    assert_eq!(error, LoadError::CompileTime { limit });
    assert_eq!(error.to_string(), "not compiled after 0 s, the limit");
}

#[test]
fn too_large_a_module_is_refused_before_it_is_compiled() {
    let functions = "(func)".repeat(50_001);
    let wat = core("").replace("(memory", &format!("{functions} (memory"));
    let error = jail().load(&module(&wat, &manifest())).err().unwrap();
    assert!(matches!(&error, LoadError::Refused(why) if why.contains("50002 functions")), "{error}");
}

#[test]
fn sizes_are_checked_before_anything_is_sent() {
    let echo = load(jail(), ECHO);
    let error = run(jail(), &echo, &Attempt::new(vec![0; (8 << 20) + 1])).unwrap_err();
    assert_eq!(error.to_string(), "8388609 bytes of input, at most 8388608 are allowed");
}

#[test]
fn a_missing_program_is_named() {
    let nowhere = JailConfig::new("/nowhere/p2c2r-worker".into());
    let error = Jail::start(nowhere).err().unwrap();
    assert!(matches!(error, JailError::Missing(_)));
    assert!(error.to_string().starts_with("/nowhere/p2c2r-worker: "), "{error}");
    let other = Jail::start(JailConfig::new("/bin/true".into())).err().unwrap();
    assert!(other.to_string().contains("/bin/true did not get ready: the worker died (exit status: 0)"), "{other}");
    let none = Jail::start(JailConfig { workers: 0, ..config() }).err().unwrap();
    assert_eq!(none.to_string(), "workers is 0, must be 1 to 64");
}

#[test]
fn all_protections_are_on_here() {
    let off: Vec<_> = jail().protections().iter().filter(|protection| !protection.on).collect();
    if off.iter().any(|protection| protection.name == "landlock") {
        return eprintln!("SKIPPED: no landlock in this kernel");
    }
    assert!(off.is_empty(), "{off:?}");
    let names: Vec<_> = jail().protections().iter().map(|protection| protection.name.as_str()).collect();
    assert_eq!(names, ["process", "landlock", "limits", "seccomp"]);
}

/// Set for the child of the test below.
const SUPERVISE: &str = "P2C2R_TEST_SUPERVISE";

/// The child: a supervisor in the middle of an attempt, until it is killed.
#[test]
#[expect(clippy::print_stdout, reason = "tells its parent")]
fn supervise() {
    if std::env::var_os(SUPERVISE).is_none() {
        return;
    }
    let spin = load(jail(), SPIN);
    std::thread::scope(|scope| {
        scope.spawn(|| run(jail(), &spin, &Attempt { deadline: Duration::from_secs(600), ..Attempt::new("") }));
        println!("\nworkers {}", children().iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        // Whoever reads that line kills this process.
        loop {
            std::thread::park();
        }
    });
}

#[test]
fn workers_do_not_outlive_their_supervisor() {
    use std::io::{BufRead, BufReader};
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "endings::supervise", "--nocapture"])
        .env(SUPERVISE, "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.starts_with("workers ")).unwrap();
    let workers: Vec<_> = line
        .split_whitespace()
        .skip(1)
        .map(|pid| rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap())
        .map(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap())
        .collect();
    assert!(!workers.is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    for worker in &workers {
        let mut polled = [rustix::event::PollFd::new(worker, rustix::event::PollFlags::IN)];
        let patience = rustix::event::Timespec { tv_sec: 30, tv_nsec: 0 };
        assert_eq!(rustix::event::poll(&mut polled, Some(&patience)), Ok(1), "a worker lives on");
    }
}

/// Processes that this one started, the workers it has by now.
fn children() -> Vec<u32> {
    let parent = std::process::id().to_string();
    let is_child = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)) == Some(&parent)
    };
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok()).filter(is_child).collect()
}
