//! Tasks, as stories speak of them.

use tracer_common::wire::{Frame, membarrier_state as state};

/// A process that is registered for SYNC_CORE.
pub(crate) const A: u64 = 10;
/// One that is not.
pub(crate) const B: u64 = 11;
/// Another that is registered.
pub(crate) const C: u64 = 12;

/// `mm->membarrier_state` after a registration for SYNC_CORE.
pub(crate) const REGISTERED: u8 =
    state::PRIVATE_EXPEDITED | state::SYNC_CORE | state::SYNC_CORE_READY;

/// The `membarrier_state` of a mm, unless the story says otherwise.
pub(crate) const fn state_of(mm: u64) -> u8 {
    if mm == A || mm == C { REGISTERED } else { 0 }
}

/// A task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    pub(crate) tid: u32,
    pub(crate) tgid: u32,
    /// 0 for a kernel thread without one.
    pub(crate) mm: u64,
    pub(crate) state: u8,
    pub(crate) kthread: bool,
    pub(crate) exiting: bool,
    /// What its saved registers say.
    pub(crate) frame: Frame,
    /// It runs user code.
    pub(crate) in_user: bool,
    /// Another thread's exec takes its pid, for this one, just after `sched_switch` has named it.
    pub(crate) pid_taken_for: Option<u32>,
}

/// The idle task of any CPU.
pub(crate) const IDLE: Who = kthread(0);

/// A thread of process `mm`, in a system call.
pub(crate) const fn user(tid: u32, mm: u64) -> Who {
    Who {
        tid,
        tgid: mm as u32 * 100,
        mm,
        state: state_of(mm),
        kthread: false,
        exiting: false,
        frame: Frame::Sysret,
        in_user: false,
        pid_taken_for: None,
    }
}

/// A kernel thread without an mm.
pub(crate) const fn kthread(tid: u32) -> Who {
    Who {
        tid,
        tgid: tid,
        mm: 0,
        state: 0,
        kthread: true,
        exiting: false,
        frame: Frame::Unknown,
        in_user: false,
        pid_taken_for: None,
    }
}

impl Who {
    /// It came into the kernel by an interrupt or exception.
    pub(crate) const fn in_interrupt(self) -> Self {
        Self { frame: Frame::Interrupt, ..self }
    }

    /// Its process is not registered (yet).
    pub(crate) const fn unregistered(self) -> Self {
        Self { state: 0, ..self }
    }

    /// It has another mm now, by `kthread_use_mm` or `exec_mmap`; 0 for none.
    pub(crate) const fn with_mm(self, mm: u64) -> Self {
        Self { mm, state: state_of(mm), ..self }
    }

    /// It is in `do_exit`, after `exit_mm`.
    pub(crate) const fn after_exit_mm(self) -> Self {
        Self { exiting: true, ..self.with_mm(0) }
    }
}
