//! Linux: resource limits, landlock, seccomp.

use std::io;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, set_dumpable_behavior, set_parent_process_death_signal, setrlimit,
};

use super::{Protections, filter};
use crate::limits::{COMPILE_BYTES, COMPILE_CPU_SECONDS, EXECUTE_BYTES, OPEN_FILES};
use crate::message::Role;
use crate::worker::Walls;

/// The newest landlock this code knows; an older kernel enforces what it knows of it.
const LANDLOCK: ABI = ABI::V6;

/// A door that did not shut. The worker ends: it must not run what it was made for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfineError {
    /// A resource limit or process attribute.
    #[error("{what}: {source}")]
    System {
        /// Which.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The seccomp filter.
    #[error("seccomp: {0}")]
    Seccomp(String),
}

/// The first thing a worker does: nothing of the supervisor is left in it, and it does not outlive it.
pub(crate) fn begin() -> Result<(), ConfineError> {
    close_inherited().map_err(|source| ConfineError::System { what: "closing descriptors", source })?;
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(system("parent death signal"))?;
    rustix::thread::set_no_new_privs(true).map_err(system("no new privileges"))
}

/// Shuts what a thread hands down to those it starts: to be called while there is one thread, with every file open that
/// will be needed.
pub(crate) fn wall_off() -> Protections {
    let mut shut = Protections::default();
    shut.on("process", "own process, empty environment, no descriptor but its line to the peer");
    enforced(&mut shut, landlock(), "no file, no port, no signal to others");
    shut
}

/// Shuts the rest, for the whole process. Threads that were not started by now never will be.
pub(crate) fn shut(role: Role, walls: Walls, shut: &mut Protections) -> Result<(), ConfineError> {
    // No core files, and nobody of the same user may trace it or read its memory.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(system("not dumpable"))?;
    if walls.limits {
        limits(role)?;
        shut.on("limits", "memory, files, processes, processor time (rlimits)");
    }
    if walls.outer {
        filter::working(role).map_err(ConfineError::Seccomp)?;
        shut.on("seccomp", "system calls by allow-list; any other ends the process");
    }
    Ok(())
}

/// For a GPU worker: drivers open devices, read their settings, compile and start threads, so less can be shut. No
/// network, no program, no other process, no file of the owner.
pub(crate) fn shut_gpu() -> Result<Protections, ConfineError> {
    let mut shut = Protections::default();
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(system("not dumpable"))?;
    for resource in [Resource::Core, Resource::Msgqueue] {
        setrlimit(resource, Rlimit { current: Some(0), maximum: Some(0) }).map_err(system("resource limit"))?;
    }
    enforced(&mut shut, landlock_gpu(), "system libraries and graphics devices only, no port, no signal to others");
    filter::gpu().map_err(ConfineError::Seccomp)?;
    shut.on("seccomp", "no program, no network, no other process; what is refused fails");
    Ok(shut)
}

/// After the kernel's code is in place: no memory of this process becomes executable any more.
pub(crate) fn forbid_new_code() -> Result<(), ConfineError> {
    filter::loaded().map_err(ConfineError::Seccomp)
}

#[expect(unsafe_code, reason = "closes what was inherited, by number")]
fn close_inherited() -> io::Result<()> {
    // SAFETY: the first call of the program; nothing in it owns a descriptor from 3 on yet.
    let result = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn limits(role: Role) -> Result<(), ConfineError> {
    let bytes = match role {
        Role::Compile => COMPILE_BYTES,
        // Memory of the guest, and buffers of exact shaders that run on the CPU.
        Role::Execute | Role::Gpu { .. } => {
            EXECUTE_BYTES + p2c2r_signing::limits::MEMORY_BYTES + p2c2r_signing::limits::GPU_BUFFER_BYTES
        }
    };
    let mut all = vec![
        (Resource::Core, 0),
        (Resource::Nproc, 0),
        (Resource::Nofile, OPEN_FILES),
        // Private writable memory, whatever it is called; address space is wasmtime's to reserve.
        (Resource::Data, bytes),
        (Resource::Memlock, 0),
        (Resource::Msgqueue, 0),
    ];
    if role == Role::Compile {
        all.push((Resource::Cpu, COMPILE_CPU_SECONDS));
    }
    for (resource, bound) in all {
        setrlimit(resource, Rlimit { current: Some(bound), maximum: Some(bound) }).map_err(system("resource limit"))?;
    }
    Ok(())
}

/// Nothing is allowed until a rule says so.
fn nothing() -> Result<RulesetCreated, landlock::RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()
}

fn landlock() -> Result<RulesetStatus, landlock::RulesetError> {
    Ok(nothing()?.restrict_self()?.ruleset)
}

/// Where drivers and their settings are. Not all of `/etc`: a peer that runs as root could read passwords there.
const DRIVER_FILES: &[&str] = &[
    "/usr",
    "/lib",
    "/lib64",
    "/opt",
    "/sys",
    "/run/opengl-driver",
    "/etc/vulkan",
    "/etc/glvnd",
    "/etc/drirc",
    "/etc/ld.so.cache",
];

/// What drivers talk to.
const DEVICES: &[&str] =
    &["/dev/dri", "/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-modeset", "/dev/nvidia-uvm", "/dev/kfd", "/dev/shm"];

/// What drivers look up about the machine and themselves.
const ABOUT: &[&str] = &["/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/driver", "/dev/null", "/dev/urandom"];

fn landlock_gpu() -> Result<RulesetStatus, landlock::RulesetError> {
    let read = AccessFs::from_read(LANDLOCK);
    let status = nothing()?
        .add_rules(path_beneath_rules(
            DRIVER_FILES.iter().chain(ABOUT),
            read & !AccessFs::Execute | AccessFs::ReadFile,
        ))?
        .add_rules(path_beneath_rules(DEVICES, AccessFs::from_all(LANDLOCK)))?
        .restrict_self()?;
    Ok(status.ruleset)
}

fn enforced(shut: &mut Protections, status: Result<RulesetStatus, landlock::RulesetError>, detail: &str) {
    match status {
        Ok(RulesetStatus::FullyEnforced) => shut.on("landlock", detail),
        Ok(RulesetStatus::PartiallyEnforced) => {
            shut.on("landlock", "as far as this Linux knows it; files at least, from 5.13");
        }
        Ok(RulesetStatus::NotEnforced) => shut.off("landlock", "this Linux has none (5.13 or newer, enabled at boot)"),
        Err(error) => shut.off("landlock", error.to_string()),
    }
}

fn system(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> ConfineError {
    move |errno| ConfineError::System { what, source: errno.into() }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    /// Which role's limits the child is to take on.
    const CHILD: &str = "P2C2R_TEST_LIMITS";

    /// In a process of its own, as limits bind the whole process for good.
    #[test]
    fn memory_and_descriptors_end_at_their_limits() {
        if let Ok(role) = std::env::var(CHILD) {
            return limited(Role::parse(&role).unwrap());
        }
        for role in [Role::Compile, Role::Execute] {
            let ended = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "confine::linux::tests::memory_and_descriptors_end_at_their_limits", "--nocapture"])
                .env(CHILD, role.name())
                .output()
                .unwrap();
            assert!(ended.status.success(), "{role:?}: {}", String::from_utf8_lossy(&ended.stderr));
        }
    }

    fn limited(role: Role) {
        limits(role).unwrap();
        let bytes = match role {
            Role::Compile => COMPILE_BYTES,
            Role::Execute | Role::Gpu { .. } => {
                EXECUTE_BYTES + p2c2r_signing::limits::MEMORY_BYTES + p2c2r_signing::limits::GPU_BUFFER_BYTES
            }
        };
        let seconds = rustix::process::getrlimit(Resource::Cpu).current;
        assert_eq!(seconds, (role == Role::Compile).then_some(COMPILE_CPU_SECONDS));

        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let data = status.lines().find_map(|line| line.strip_prefix("VmData:")).unwrap();
        let data: u64 = data.trim().trim_end_matches(" kB").parse().unwrap();
        let free = bytes - (data << 10);
        let map = |bytes: u64| memmap2::MmapMut::map_anon(usize::try_from(bytes).unwrap());
        assert_eq!(map(free + 4096).unwrap_err().kind(), ErrorKind::OutOfMemory);
        // But for what the heap of the test itself may have grown by.
        drop(map(free - (1 << 20)).unwrap());

        let open = || std::fs::File::open("/dev/null");
        let files: Vec<_> = std::iter::repeat_with(open).map_while(Result::ok).take(OPEN_FILES as usize + 1).collect();
        let highest = files.last().map(std::os::fd::AsRawFd::as_raw_fd);
        assert_eq!(highest.map(|highest| highest as u64), Some(OPEN_FILES - 1));
    }

    /// Landlock binds the thread, so a test can go behind it.
    #[test]
    fn landlock_alone_shuts_files_and_ports() {
        let behind = std::thread::spawn(|| {
            let walls = wall_off();
            let on = walls.iter().any(|wall| wall.name == "landlock" && wall.on);
            let file = std::fs::File::open("/etc/passwd").map_err(|e| e.kind()).map(drop);
            let made = std::fs::write("/tmp/p2c2r-landlock-test", b"").map_err(|e| e.kind());
            let port = std::net::TcpListener::bind("127.0.0.1:0").map_err(|e| e.kind()).map(drop);
            (on, file, made, port)
        });
        let (on, file, made, port) = behind.join().unwrap();
        if !on {
            return eprintln!("SKIPPED: no landlock in this kernel");
        }
        assert_eq!(file, Err(ErrorKind::PermissionDenied));
        assert_eq!(made, Err(ErrorKind::PermissionDenied));
        assert_eq!(port, Err(ErrorKind::PermissionDenied));
        assert!(std::fs::File::open("/etc/passwd").is_ok(), "other threads are free");
    }
}
