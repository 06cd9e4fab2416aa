//! How a task will leave the kernel, as its saved registers tell.

/// What `task_pt_regs(task)` says about the task's next return to user mode.
///
/// Read off the frame: `orig_ax >= 0` marks a system call; SYSRET is taken only when
/// `arch/x86/entry/common.c:do_syscall_64` (6.7 and later; before that, `entry_64.S`) finds the
/// frame fit for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(u8)]
pub enum Frame {
    /// Not read, or not readable.
    #[default]
    Unknown = 0,
    /// A system call that will leave by SYSRET, which does not serialize.
    Sysret = 1,
    /// A system call that will leave by IRET.
    SyscallIret = 2,
    /// An interrupt or exception from user mode: leaves by IRET.
    Interrupt = 3,
    /// A 32-bit system call: may leave by SYSEXIT or SYSRETL.
    Compat = 4,
}

impl Frame {
    /// The frame with this number; an unknown number is [`Frame::Unknown`].
    #[must_use]
    pub const fn from_u8(value: u8) -> Self {
        match value {
            1 => Self::Sysret,
            2 => Self::SyscallIret,
            3 => Self::Interrupt,
            4 => Self::Compat,
            _ => Self::Unknown,
        }
    }

    /// Whether the return serializes the core: `None` where the frame doesn't tell.
    #[must_use]
    pub const fn leaves_by_iret(self) -> Option<bool> {
        match self {
            Self::Sysret => Some(false),
            Self::SyscallIret | Self::Interrupt => Some(true),
            Self::Unknown | Self::Compat => None,
        }
    }
}
