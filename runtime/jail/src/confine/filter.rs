//! The seccomp filters: what a worker may still ask of the kernel. Everything else ends the process with SIGSYS, which
//! the supervisor sees.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter_all_threads,
};

use crate::message::Role;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Talking on open descriptors, managing its own memory and threads, time, random bytes, ending.
const ALWAYS: &[c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_membarrier,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// `PAGEMAP_SCAN` of `linux/fs.h`: which pages of its own memory are in use.
const PAGEMAP_SCAN: u64 = 0xc060_6610;

/// While working. An execute worker may still make code executable, once, and then call [`loaded`].
pub(super) fn working(role: Role) -> Result<(), String> {
    let mut rules = always()?;
    match role {
        Role::Compile => memory(&mut rules, Some(libc::PROT_EXEC))?,
        Role::Execute | Role::Gpu { .. } => {
            memory(&mut rules, None)?;
            // For the second filter.
            let set_filter = equals(0, u64::from(libc::SECCOMP_SET_MODE_FILTER))?;
            let no_new_privs = equals(0, u64::from(libc::PR_SET_NO_NEW_PRIVS.unsigned_abs()))?;
            rules.insert(libc::SYS_seccomp, vec![rule(vec![set_filter])?]);
            rules.insert(libc::SYS_prctl, vec![rule(vec![no_new_privs])?]);
        }
    }
    install(rules, SeccompAction::KillProcess, SeccompAction::Allow)
}

/// What a graphics driver has no business with. The list is one of refusals: which calls a driver does need differs from
/// one to the next. They fail instead of ending the process, as drivers try things.
const NEVER_GPU: &[c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kill,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_open_by_handle_at,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_capset,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
];

/// For the GPU worker.
pub(super) fn gpu() -> Result<(), String> {
    let rules: Rules = NEVER_GPU.iter().map(|call| (*call, Vec::new())).collect();
    install(rules, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM.unsigned_abs()))
}

/// When the code is in place.
pub(super) fn loaded() -> Result<(), String> {
    let mut rules = always()?;
    memory(&mut rules, Some(libc::PROT_EXEC))?;
    install(rules, SeccompAction::KillProcess, SeccompAction::Allow)
}

fn always() -> Result<Rules, String> {
    let mut rules: Rules = ALWAYS.iter().map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_ioctl, vec![rule(vec![equals(1, PAGEMAP_SCAN)?])?]);
    // The standard library asks whether a descriptor it closes is open, in debug builds.
    let is_open = equals(1, u64::from(libc::F_GETFD.unsigned_abs()))?;
    rules.insert(libc::SYS_fcntl, vec![rule(vec![is_open])?]);
    Ok(rules)
}

/// New memory and new rights for it, without `refused` ones.
fn memory(rules: &mut Rules, refused: Option<i32>) -> Result<(), String> {
    let condition = |bit: i32| {
        let mask = u64::from(bit.unsigned_abs());
        SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), 0).map_err(text)
    };
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        let conditions = match refused {
            Some(bit) => vec![rule(vec![condition(bit)?])?],
            None => Vec::new(),
        };
        rules.insert(call, conditions);
    }
    Ok(())
}

/// `matched` for the calls of `rules`, `other` for all others.
fn install(rules: Rules, other: SeccompAction, matched: SeccompAction) -> Result<(), String> {
    let arch = std::env::consts::ARCH.try_into().map_err(text)?;
    let filter = SeccompFilter::new(rules, other, matched, arch).map_err(text)?;
    let program: BpfProgram = filter.try_into().map_err(text)?;
    apply_filter_all_threads(&program).map_err(text)
}

fn equals(argument: u8, value: u64) -> Result<SeccompCondition, String> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value).map_err(text)
}

fn rule(conditions: Vec<SeccompCondition>) -> Result<SeccompRule, String> {
    SeccompRule::new(conditions).map_err(text)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
