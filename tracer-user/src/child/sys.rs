//! The one place with `unsafe`: fork, what the child does between fork and exec, and scheduling
//! attributes.
//!
//! We may have threads, so after `fork` the child may only make async-signal-safe calls: it
//! allocates nothing, takes no lock and cannot panic. Everything it needs lies ready in [`Plan`].
//! Ids are changed by raw system calls, because glibc's functions would signal all threads.

use std::{
    ffi::{CStr, CString},
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    ptr,
};

use rustix::{process::Pid, thread::CpuSet};

use super::{
    Account, Stdout,
    word::{Step, Word},
};

/// `struct sched_attr` in its first version (`include/uapi/linux/sched/types.h`): policy, nice,
/// priority and deadline in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub(super) struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// The calling thread's scheduling attributes.
pub(super) fn sched_attr() -> io::Result<SchedAttr> {
    let mut attr = SchedAttr::default();
    let size = size_of::<SchedAttr>();
    // SAFETY: the kernel writes at most `size` bytes, which is what `attr` has.
    check(unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attr, size, 0) })?;
    Ok(attr)
}

/// Puts the calling thread before all that is not real time, at the lowest such priority.
///
/// # Errors
/// If the process may not.
pub(crate) fn real_time() -> io::Result<()> {
    let attr = SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        policy: libc::SCHED_RR as u32,
        priority: 1,
        ..SchedAttr::default()
    };
    // SAFETY: the kernel reads `attr.size` bytes, which is what there are.
    check(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) })
}

fn check(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// What the tracer changed about itself, as it was.
#[derive(Debug, Default)]
pub(super) struct Restore {
    /// Resource, soft, hard; `None` is unlimited.
    pub(super) limits: Vec<(libc::__rlimit_resource_t, Option<u64>, Option<u64>)>,
    pub(super) sched: Option<SchedAttr>,
    pub(super) affinity: Option<CpuSet>,
    pub(super) oom_score_adj: Option<String>,
}

/// Ids to take.
#[derive(Debug)]
pub(super) struct Ids {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

impl From<&Account> for Ids {
    fn from(account: &Account) -> Self {
        Self { uid: account.uid, gid: account.gid, groups: account.groups.clone() }
    }
}

/// All that the child needs, made before the fork.
#[derive(Debug)]
pub(super) struct Plan {
    paths: Vec<CString>,
    /// `argv`, and behind it the strings that it points to.
    argv: Vec<*const libc::c_char>,
    /// The same for `/bin/sh path argument…`; the path is put in by the child.
    script_argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    _owned: (Vec<CString>, Vec<CString>),
    pub(super) restore: Restore,
    pub(super) account: Option<Ids>,
    pub(super) ignored: u64,
    pub(super) blocked: u64,
    pub(super) stdout: Stdout,
}

const SHELL: &CStr = c"/bin/sh";

impl Plan {
    /// `words` is not empty.
    pub(super) fn new(paths: Vec<CString>, words: Vec<CString>, environ: Vec<CString>) -> Self {
        // The strings' heap memory stays where it is when the vectors move.
        let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
            strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
        };
        let argv = pointers(&words);
        let script_argv =
            [SHELL.as_ptr(), ptr::null()].into_iter().chain(argv.iter().copied().skip(1)).collect();
        Self {
            paths,
            argv,
            script_argv,
            envp: pointers(&environ),
            _owned: (words, environ),
            restore: Restore::default(),
            account: None,
            ignored: 0,
            blocked: 0,
            stdout: Stdout::Ours,
        }
    }
}

/// Forks. The child goes to the gate by `plan`, speaks through `status` and waits for a byte on
/// `gate`; both descriptors are above 2.
pub(super) fn fork(mut plan: Plan, gate: &OwnedFd, status: &OwnedFd) -> io::Result<Pid> {
    let (gate, status) = (gate.as_raw_fd(), status.as_raw_fd());
    debug_assert!(gate > 2 && status > 2);
    let mut all = empty_set();
    let mut before = empty_set();
    // SAFETY: both sets are initialised and ours. With every signal blocked, none of our handlers
    // can run in the child before they are reset there.
    unsafe {
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
    }
    // SAFETY: the child keeps to what this module's head says, and never returns.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: this is the child, right after the fork.
        unsafe { child(&mut plan, gate, status) }
    }
    let result = if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(pid) };
    // SAFETY: `before` was filled above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut()) };
    let pid = result?;
    Pid::from_raw(pid).ok_or_else(|| io::Error::other("fork returned no pid"))
}

fn empty_set() -> libc::sigset_t {
    // SAFETY: sigset_t is plain integers, for which zero is valid.
    let mut set = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is ours and large enough.
    unsafe { libc::sigemptyset(&raw mut set) };
    set
}

/// One step in the child, with the gate and the status pipe; false leaves the reason in `errno`.
type Act = unsafe fn(&Plan, RawFd, RawFd) -> bool;

/// The child's way to the program.
///
/// # Safety
/// Only right after `fork`, in the child.
unsafe fn child(plan: &mut Plan, gate: RawFd, status: RawFd) -> ! {
    // SAFETY: all calls are async-signal-safe; all pointers lead into `plan`,
    // which lives as long as this process image, or to locals.
    unsafe {
        let end = |word: Word| -> ! {
            say(status, word);
            libc::_exit(127)
        };
        let steps: [(Step, Act); 6] = [
            // First what needs root, then root goes.
            (Step::Descriptors, close_others),
            (Step::Restore, restore),
            (Step::Groups, take_groups),
            (Step::Gid, take_gid),
            (Step::Uid, take_uid),
            (Step::Capabilities, drop_capabilities),
        ];
        for (step, act) in steps {
            if !act(plan, gate, status) {
                end(Word::Failed(step, errno()));
            }
        }
        if !default_signals(plan) {
            end(Word::Failed(Step::Signals, errno()));
        }
        let path = match find(&plan.paths) {
            Ok(path) => path,
            Err(errno) => end(Word::Failed(Step::Find, errno)),
        };
        say(status, Word::Ready);
        let mut byte = 0_u8;
        loop {
            match libc::read(gate, (&raw mut byte).cast(), 1) {
                1 => break,
                -1 if errno() == libc::EINTR => {}
                // Nobody is left to open the gate.
                _ => libc::_exit(127),
            }
        }
        libc::execve(path, plan.argv.as_ptr(), plan.envp.as_ptr());
        if errno() == libc::ENOEXEC {
            // As execvp(3) and every shell: a script without `#!` is the shell's.
            if let Some(slot) = plan.script_argv.get_mut(1) {
                *slot = path;
            }
            libc::execve(SHELL.as_ptr(), plan.script_argv.as_ptr(), plan.envp.as_ptr());
        }
        end(Word::Failed(Step::Exec, errno()))
    }
}

unsafe fn errno() -> i32 {
    // SAFETY: glibc's errno location is always valid.
    unsafe { *libc::__errno_location() }
}

unsafe fn say(status: RawFd, word: Word) {
    let bytes = word.encode();
    // SAFETY: a pipe takes so few bytes whole. If nobody reads, nobody wants to know.
    unsafe { libc::write(status, bytes.as_ptr().cast(), bytes.len()) };
}

/// Closes all but 0 to 2 and our two, right now: what holds probes must not live on at the gate.
unsafe fn close_others(plan: &Plan, gate: RawFd, status: RawFd) -> bool {
    let placed = match plan.stdout {
        Stdout::Ours => true,
        // SAFETY: integers only; nothing in this process uses its standard output any more.
        Stdout::Stderr => unsafe { libc::dup2(2, 1) >= 0 },
        // SAFETY: the path is a string that ends in NUL, the rest integers; nothing in this process
        // uses the standard descriptors any more. The new one is above 2 and closed below.
        Stdout::Nowhere => unsafe {
            let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            null >= 0 && (0..=2).all(|fd| libc::dup2(null, fd) >= 0)
        },
    };
    if !placed {
        return false;
    }
    let (low, high) = (gate.min(status) as u32, gate.max(status) as u32);
    let ranges = [(3, low - 1), (low + 1, high - 1), (high + 1, u32::MAX)];
    ranges.into_iter().filter(|(first, last)| first <= last).all(|(first, last)| {
        // SAFETY: the descriptors are this process's own copies; nothing uses them again.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) == 0 }
    })
}

unsafe fn restore(plan: &Plan, _: RawFd, _: RawFd) -> bool {
    let Restore { limits, sched, affinity, oom_score_adj } = &plan.restore;
    // SAFETY: every pointer leads to a whole value of the type that the call expects.
    unsafe {
        for (resource, soft, hard) in limits {
            let value = |n: Option<u64>| n.unwrap_or(libc::RLIM64_INFINITY);
            let limit = libc::rlimit64 { rlim_cur: value(*soft), rlim_max: value(*hard) };
            if libc::setrlimit64(*resource, &raw const limit) != 0 {
                return false;
            }
        }
        if let Some(attr) = sched
            && libc::syscall(libc::SYS_sched_setattr, 0, ptr::from_ref(attr), 0) != 0
        {
            return false;
        }
        if let Some(set) = affinity
            && libc::syscall(libc::SYS_sched_setaffinity, 0, size_of_val(set), set) != 0
        {
            return false;
        }
        if let Some(text) = oom_score_adj {
            let fd =
                libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            if fd < 0 {
                return false;
            }
            let written = libc::write(fd, text.as_ptr().cast(), text.len());
            libc::close(fd);
            return written == text.len() as isize;
        }
    }
    true
}

unsafe fn take_groups(plan: &Plan, _: RawFd, _: RawFd) -> bool {
    let Some(ids) = &plan.account else { return true };
    // SAFETY: the pointer leads to as many groups as it says.
    unsafe { libc::syscall(libc::SYS_setgroups, ids.groups.len(), ids.groups.as_ptr()) == 0 }
}

unsafe fn take_gid(plan: &Plan, _: RawFd, _: RawFd) -> bool {
    let Some(Ids { gid, .. }) = &plan.account else { return true };
    // SAFETY: integers only.
    unsafe { libc::syscall(libc::SYS_setresgid, *gid, *gid, *gid) == 0 }
}

unsafe fn take_uid(plan: &Plan, _: RawFd, _: RawFd) -> bool {
    let Some(Ids { uid, .. }) = &plan.account else { return true };
    // SAFETY: integers only.
    unsafe { libc::syscall(libc::SYS_setresuid, *uid, *uid, *uid) == 0 }
}

/// The ambient set goes in any case; all sets go if we became somebody other than root, whom
/// `SECBIT_NO_SETUID_FIXUP` could else leave with root's.
unsafe fn drop_capabilities(plan: &Plan, _: RawFd, _: RawFd) -> bool {
    // `struct __user_cap_header_struct` and two `__user_cap_data_struct`, version 3.
    let header: [u32; 2] = [0x2008_0522, 0];
    let none = [0_u32; 6];
    // SAFETY: header and data are as version 3 wants them.
    unsafe {
        if libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 {
            return false;
        }
        match &plan.account {
            Some(ids) if ids.uid != 0 => {
                libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) == 0
            }
            _ => true,
        }
    }
}

/// Everything to its default but what was ignored when we were started; then the mask as it was.
unsafe fn default_signals(plan: &Plan) -> bool {
    let mut mask = empty_set();
    // SAFETY: `action` is whole (zero is a valid sigaction: default, no flags, empty mask).
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        for signal in 1..=64 {
            let bit = 1_u64 << (signal - 1);
            let ignore = plan.ignored & bit != 0;
            action.sa_sigaction = if ignore { libc::SIG_IGN } else { libc::SIG_DFL };
            // SIGKILL, SIGSTOP and the two of the C library refuse; they are as they must be.
            libc::sigaction(signal, &raw const action, ptr::null_mut());
            if plan.blocked & bit != 0 {
                libc::sigaddset(&raw mut mask, signal);
            }
        }
        libc::sigprocmask(libc::SIG_SETMASK, &raw const mask, ptr::null_mut()) == 0
    }
}

/// The first place with a regular file that this user may execute. As for a shell, a file that may
/// not be executed matters only if no other place has one that may.
unsafe fn find(paths: &[CString]) -> Result<*const libc::c_char, i32> {
    let mut why = libc::ENOENT;
    for path in paths {
        // SAFETY: `path` is a C string and `stat` is ours.
        unsafe {
            let mut stat: libc::stat64 = std::mem::zeroed();
            if libc::stat64(path.as_ptr(), &raw mut stat) != 0 {
                // A directory of PATH that this user may not enter says nothing about the program;
                // on the way to the only place it does.
                if errno() == libc::EACCES && paths.len() == 1 {
                    why = libc::EACCES;
                }
                continue;
            }
            let regular = stat.st_mode & libc::S_IFMT == libc::S_IFREG;
            if regular && libc::access(path.as_ptr(), libc::X_OK) == 0 {
                return Ok(path.as_ptr());
            }
            why = libc::EACCES;
        }
    }
    Err(why)
}
