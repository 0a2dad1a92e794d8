//! What a guest could do that broke out of WebAssembly: nothing. Each escape is tried in a process of its own, behind
//! the same doors as a worker that has loaded its kernel; the first system call that is not on the list ends it.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use p2c2r_jail::worker::break_out;

/// Which escape the child is to try.
const ESCAPE: &str = "P2C2R_TEST_ESCAPE";

/// Exit code of an escape that succeeded.
const FREE: i32 = 77;

/// By name: what to try, and what must stop it.
const ESCAPES: &[(&str, fn())] = &[
    ("open a file", || drop(std::fs::File::open("/etc/passwd"))),
    ("make a file", || drop(std::fs::File::create("/tmp/p2c2r-canary"))),
    ("list a folder", || drop(std::fs::read_dir("/"))),
    ("read the key of its peer", || drop(std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")))),
    ("read the memory of its peer", || {
        drop(std::fs::read(format!("/proc/{}/mem", std::os::unix::process::parent_id())))
    }),
    ("connect", || drop(std::net::TcpStream::connect("127.0.0.1:1"))),
    ("listen", || drop(std::net::UdpSocket::bind("127.0.0.1:0"))),
    ("a local socket", || drop(std::os::unix::net::UnixStream::pair())),
    ("start a program", || drop(Command::new("/bin/true").status())),
    ("start a thread", || drop(std::thread::Builder::new().spawn(|| {}))),
    ("change its folder", || drop(std::env::set_current_dir("/tmp"))),
    ("fork", || raw(libc::SYS_clone, [libc::SIGCHLD.into(), 0, 0])),
    ("start a process, the new way", || raw(libc::SYS_clone3, [0; 3])),
    ("execute", || raw(libc::SYS_execve, [0; 3])),
    ("trace its peer", || raw(libc::SYS_ptrace, [16, std::os::unix::process::parent_id().into(), 0])),
    ("signal its peer", || raw(libc::SYS_kill, [std::os::unix::process::parent_id().into(), 0, 0])),
    ("read another process", || raw(libc::SYS_process_vm_readv, [1, 0, 0])),
    ("duplicate a descriptor of another process", || raw(libc::SYS_pidfd_open, [1, 0, 0])),
    ("an asynchronous ring", || raw(libc::SYS_io_uring_setup, [1, 0, 0])),
    ("a kernel program", || raw(libc::SYS_bpf, [0; 3])),
    ("a performance counter", || raw(libc::SYS_perf_event_open, [0; 3])),
    ("a key ring", || raw(libc::SYS_keyctl, [0; 3])),
    ("a new name space", || raw(libc::SYS_unshare, [0x1000_0000, 0, 0])),
    ("mount", || raw(libc::SYS_mount, [0; 3])),
    ("another user", || raw(libc::SYS_setuid, [0; 3])),
    ("a page fault handler", || raw(libc::SYS_userfaultfd, [0; 3])),
    ("an ioctl", || raw(libc::SYS_ioctl, [0, 0x5401, 0])),
    ("process attributes", || raw(libc::SYS_prctl, [4, 1, 0])),
    ("limits", || raw(libc::SYS_prlimit64, [0; 3])),
    ("shared memory by name", || raw(libc::SYS_memfd_create, [0; 3])),
    ("new code", || raw(libc::SYS_mmap, [0, 4096, i64::from(libc::PROT_READ | libc::PROT_EXEC)])),
    ("code from data", || raw(libc::SYS_mprotect, [0, 4096, i64::from(libc::PROT_EXEC)])),
    ("another filter", || raw(libc::SYS_seccomp, [1, 0, 0])),
];

#[expect(unsafe_code, reason = "escapes are made of system calls")]
fn raw(call: i64, [a, b, c]: [i64; 3]) {
    // SAFETY: none of the calls gets a pointer to memory of this process; they are to be refused anyway.
    unsafe { libc::syscall(call, a, b, c) };
}

/// The child. Runs only when the test below asks for it.
#[test]
fn escape() {
    let Ok(wanted) = std::env::var(ESCAPE) else { return };
    let (_, escape) = *ESCAPES.iter().find(|(name, _)| *name == wanted).unwrap();
    let error = break_out(move || {
        escape();
        std::process::exit(FREE);
    });
    panic!("{error:?}");
}

fn attempt(name: &str) -> ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "canary::escape", "--test-threads", "1"])
        .env(ESCAPE, name)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap()
}

#[test]
fn no_escape() {
    for (name, _) in ESCAPES {
        let ended = attempt(name);
        assert_eq!(ended.signal(), Some(libc::SIGSYS), "{name}: {ended}");
    }
}

/// The same way in, with nothing tried: what ends the others is what they tried.
#[test]
fn working_is_allowed() {
    let work = || {
        let memory = vec![1u8; 10 << 20];
        assert_eq!(memory.iter().map(|byte| u64::from(*byte)).sum::<u64>(), 10 << 20);
        assert!(std::time::Instant::now().elapsed().as_secs() < 60);
        std::process::exit(FREE);
    };
    if std::env::var(ESCAPE).is_ok_and(|wanted| wanted == "work") {
        panic!("{:?}", break_out(work));
    }
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "canary::working_is_allowed", "--test-threads", "1"])
        .env(ESCAPE, "work")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert_eq!(ended.code(), Some(FREE), "{ended}");
}
