//! Processes: fork, `CLONE_VM` children, exec, and ends that skip every destructor.

use std::ffi::{CString, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::io;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use super::memory::Region;

/// The exit status of a child whose code panicked, as Rust's runtime has it.
const PANICKED: i32 = 101;

/// This very program, whatever its name is now.
pub(in crate::stress) const SELF: &str = "/proc/self/exe";

/// Ends the calling process (all its threads) at once.
pub(in crate::stress) fn exit_process(status: i32) -> ! {
    // SAFETY: _exit ends the process; nothing of it is used afterwards.
    unsafe { libc::_exit(status) }
}

/// Ends the calling thread at once, by the bare system call: no destructor, no clean-up. The
/// thread's stack is never freed, so this is for processes that are about to end.
pub(in crate::stress) fn exit_thread() -> ! {
    loop {
        // SAFETY: SYS_exit ends this thread only; it owns nothing that anybody waits for.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
}

/// Forks; the child runs `body` and exits with the status it returns.
///
/// The child is killed when the calling thread ends. Fails with `EBUSY` in a process with more than
/// one thread, where the child could find a lock held for ever.
pub(in crate::stress) fn fork(body: impl FnOnce() -> i32) -> io::Result<Pid> {
    // fs/proc/base.c:proc_task_getattr adds the number of threads to the directory's own 2 links.
    if rustix::fs::stat(c"/proc/self/task")?.st_nlink > 3 {
        return Err(io::Errno::BUSY);
    }
    let parent = rustix::process::getpid();
    // SAFETY: the process has one thread (checked above, and only this thread could start
    // another), so the child's copy of the memory is consistent and all of Rust works in it.
    match unsafe { libc::fork() } {
        0 => {
            // A panic must not unwind into the parent's code, of which this is a copy.
            let status = catch_unwind(AssertUnwindSafe(|| {
                die_with(parent);
                body()
            }));
            exit_process(status.unwrap_or(PANICKED))
        }
        pid if pid > 0 => Pid::from_raw(pid).ok_or(io::Errno::CHILD),
        _ => Err(last_errno()),
    }
}

/// Has the kernel kill the calling process when `parent` ends (strictly, when the thread of it that
/// created this process does); ends it here if that has happened already.
pub(in crate::stress) fn die_with(parent: Pid) {
    // Fails for an invalid signal only.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    if getppid() != Some(parent) {
        exit_process(0);
    }
}

/// What a child made by [`clone_vm`] runs.
pub(in crate::stress) trait VmTask: Sync {
    /// The child's whole life; the result is its exit status.
    fn run(&self) -> i32;
}

/// Which kind of `CLONE_VM` child to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::stress) enum VmChild {
    /// Runs beside its parent.
    Sibling,
    /// `CLONE_VFORK`: the calling thread sleeps until the child execs or ends.
    Vfork,
}

/// Starts a process that shares the caller's memory (`CLONE_VM` without `CLONE_THREAD`).
///
/// # Safety
/// - `stack` must not be used or dropped before the child has ended or exec'ed.
/// - The child has the calling thread's thread-local storage: `task` must not allocate, panic, use
///   `errno`, locks, or any other thread-local. `rustix` calls and atomics are fine.
pub(in crate::stress) unsafe fn clone_vm<T: VmTask>(
    stack: &Region,
    kind: VmChild,
    task: &'static T,
) -> io::Result<Pid> {
    extern "C" fn entry<T: VmTask>(task: *mut c_void) -> c_int {
        // SAFETY: `clone_vm` passes a `&'static T`.
        let task = unsafe { &*task.cast_const().cast::<T>() };
        task.run()
    }
    let flags = libc::CLONE_VM
        | libc::SIGCHLD
        | match kind {
            VmChild::Sibling => 0,
            VmChild::Vfork => libc::CLONE_VFORK,
        };
    let arg = std::ptr::from_ref(task).cast_mut().cast();
    // SAFETY: the stack is the caller's and stays (contract); `entry` gets the pointer it expects;
    // the task keeps away from thread-local state (contract). libc's clone switches to the new
    // stack before any code of ours runs in the child.
    let pid = unsafe { libc::clone(entry::<T>, stack.end(), flags, arg) };
    Pid::from_raw(pid.max(0)).ok_or_else(last_errno)
}

/// A program with its arguments, laid out before a fork so that the child need not allocate.
pub(in crate::stress) struct Program {
    path: CString,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    /// What the pointers point into.
    _strings: Vec<CString>,
}

// SAFETY: the pointers lead to the value's own strings, which never change.
unsafe impl Send for Program {}
// SAFETY: as above.
unsafe impl Sync for Program {}

impl Program {
    /// `path` with the arguments `words` (the first of them is the name it sees) and the caller's environment.
    pub(in crate::stress) fn new(path: &str, words: &[&str]) -> io::Result<Self> {
        let c_string = |bytes: &[u8]| CString::new(bytes).map_err(|_| io::Errno::INVAL);
        let mut strings = Vec::new();
        for word in words {
            strings.push(c_string(word.as_bytes())?);
        }
        for (name, value) in std::env::vars_os() {
            let line = [name.as_bytes(), OsStr::new("=").as_bytes(), value.as_bytes()].concat();
            strings.push(c_string(&line)?);
        }
        // A CString's bytes lie on the heap and stay there while the Vec of CStrings moves.
        let pointers = |range: &[CString]| {
            range.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>()
        };
        let (arguments, environment) = strings.split_at(words.len());
        let (argv, envp) = (pointers(arguments), pointers(environment));
        Ok(Self { path: c_string(path.as_bytes())?, argv, envp, _strings: strings })
    }

    /// `execve`: returns only if it failed, with the reason.
    pub(in crate::stress) fn exec(&self) -> i32 {
        // SAFETY: the path and both null-terminated lists are the value's own and valid. On failure
        // libc stores errno, harmless in a vfork child too: its parent sleeps in clone().
        unsafe { libc::execve(self.path.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr()) };
        last_errno().raw_os_error()
    }
}

/// Ignores the signals that a terminal or a service manager sends to a whole group: the parent
/// takes them, and ends its children in order.
pub(in crate::stress) fn ignore_group_signals() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: SIG_IGN installs no code; the signal numbers are valid.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Voluntary and involuntary context switches of this process and of all its ended and awaited
/// descendants.
pub(in crate::stress) fn context_switches() -> u64 {
    let mut sum = 0;
    for who in [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN] {
        // SAFETY: plain data; all zeroes are valid for it.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: writes one rusage through a valid pointer; `who` is valid, so it can't fail.
        unsafe { libc::getrusage(who, &raw mut usage) };
        sum += usage.ru_nvcsw as u64 + usage.ru_nivcsw as u64;
    }
    sum
}

/// The `errno` that the last libc call of this thread left.
fn last_errno() -> io::Errno {
    let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
    io::Errno::from_raw_os_error(errno)
}
