//! Where a probe of full mode stood when it read the kernel's variables.

macro_rules! sites {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $text:literal;)*) => {
        /// Where a probe stood. "Entry" is before the function's first instruction, "exit" after its
        /// last.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Site {
            $($(#[$doc])* $name = $value,)*
        }

        impl Site {
            /// Every site.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The site with this number, if there is one.
            #[must_use]
            pub const fn from_u8(value: u8) -> Option<Self> {
                match value {
                    $($value => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The words reports use.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

sites! {
    /// Interrupts are off. In a context switch `current` is still the previous task.
    SwitchMmEntry = 1, "entry of switch_mm_irqs_off";
    /// Interrupts are off. In a context switch `current` is still the previous task.
    SwitchMmExit = 2, "exit of switch_mm_irqs_off";
    /// Interrupts are off.
    EnterLazyTlb = 3, "exit of enter_lazy_tlb";
    /// Interrupts are off.
    LeaveMm = 4, "exit of leave_mm";
    /// Interrupts are off: an IPI's, or the flushing CPU's own work.
    FlushTlbFunc = 5, "exit of flush_tlb_func";
    /// Interrupts may be on.
    FlushRangeEntry = 6, "entry of flush_tlb_mm_range";
    /// Interrupts may be on.
    FlushRangeExit = 7, "exit of flush_tlb_mm_range";
    /// Preemption is off.
    FlushMulti = 8, "entry of native_flush_tlb_multi";
    /// Interrupts may be on.
    BatchFlush = 9, "exit of arch_tlbbatch_flush";
    /// Interrupts are off.
    UserReturn = 10, "entry of switch_fpu_return";
    /// Interrupts are on.
    KthreadUse = 11, "exit of kthread_use_mm";
    /// Interrupts are on.
    KthreadUnuse = 12, "exit of kthread_unuse_mm";
    /// Interrupts may be on.
    ExecMmap = 13, "exit of membarrier_exec_mmap";
    /// Interrupts may be on.
    MmDrop = 14, "entry of __mmdrop";
    /// Interrupts are on.
    PrivateBegin = 15, "entry of membarrier_private_expedited";
    /// Interrupts are on.
    PrivateEnd = 16, "exit of membarrier_private_expedited";
    /// Interrupts are off: an IPI's, or the registering CPU's own.
    SyncRqState = 17, "exit of ipi_sync_rq_state";
    /// Interrupts are on: a registration is about to return.
    Register = 18, "exit of the registering system call";
}
