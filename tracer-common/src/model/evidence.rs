//! How things are known.

/// How an input to a verdict is known. The order is from strongest to weakest, so the weakest of
/// several links is their maximum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(u8)]
pub enum Evidence {
    /// A probe sat on it.
    Observed = 0,
    /// An event that happens only on that path, or two events with nothing possible in between.
    Inferred = 1,
    /// Known only from the kernel's source.
    #[default]
    Assumed = 2,
}

impl Evidence {
    /// Every kind, strongest first.
    pub const ALL: [Self; 3] = [Self::Observed, Self::Inferred, Self::Assumed];

    /// The word reports use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Inferred => "inferred",
            Self::Assumed => "assumed",
        }
    }
}

/// What serialized a core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(u8)]
pub enum SyncCause {
    /// Nothing that was seen.
    #[default]
    None = 0,
    /// `switch_mm_irqs_off` wrote CR3.
    Cr3 = 1,
    /// A TLB flush: CR3, CR4 or INVLPG.
    TlbFlush = 2,
    /// An interrupt, exception or system call left by IRET.
    Iret = 3,
    /// `ipi_sync_core` ran.
    IpiSyncCore = 4,
    /// `finish_task_switch` called `membarrier_mm_sync_core_before_usermode`.
    FinishTaskSwitch = 5,
    /// `do_sync_core` ran (the kernel patched its own text).
    TextPoke = 6,
    /// Page table isolation: every return to user mode writes CR3.
    Pti = 7,
    /// The kernel serializes on its way back from a system call.
    SyscallExit = 8,
    /// `kthread_use_mm` serializes, which no stock kernel does.
    KthreadUse = 9,
}

impl SyncCause {
    /// The words reports use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none seen",
            Self::Cr3 => "CR3 write in switch_mm_irqs_off",
            Self::TlbFlush => "TLB flush",
            Self::Iret => "IRET",
            Self::IpiSyncCore => "ipi_sync_core",
            Self::FinishTaskSwitch => "sync_core in finish_task_switch",
            Self::KthreadUse => "sync_core in kthread_use_mm",
            Self::TextPoke => "do_sync_core",
            Self::Pti => "CR3 write on exit (PTI)",
            Self::SyscallExit => "sync_core on exit",
        }
    }

    /// The cause with this number; an unknown number is [`SyncCause::None`].
    #[must_use]
    pub const fn from_u8(value: u8) -> Self {
        match value {
            1 => Self::Cr3,
            2 => Self::TlbFlush,
            3 => Self::Iret,
            4 => Self::IpiSyncCore,
            5 => Self::FinishTaskSwitch,
            6 => Self::TextPoke,
            7 => Self::Pti,
            8 => Self::SyscallExit,
            9 => Self::KthreadUse,
            _ => Self::None,
        }
    }
}

/// A serialization of one core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SyncPoint {
    /// A time at or before the serializing instruction, in nanoseconds; 0 for "never seen".
    pub ts: u64,
    /// What it was.
    pub cause: SyncCause,
    /// How it is known.
    pub evidence: Evidence,
}
