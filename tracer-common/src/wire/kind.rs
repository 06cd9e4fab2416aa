//! What a record is about.

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $text:literal;)*) => {
        /// What a record is about; the number stands in [`Header::kind`](super::Header::kind).
        ///
        /// Numbers are never reused. 1 to 29 come from tracepoints, 30 on from probes of full mode.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Kind {
            $($(#[$doc])* $name = $value,)*
        }

        impl Kind {
            /// Every kind, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The kind with this number, if there is one.
            #[must_use]
            pub const fn from_u16(value: u16) -> Option<Self> {
                match value {
                    $($value => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The name under which reports count it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

kinds! {
    /// A context switch: [`Switch`](super::Switch).
    Switch = 1, "sched_switch";
    /// `tlb_flush`: [`TlbFlush`](super::TlbFlush).
    TlbFlush = 2, "tlb_flush";
    /// An interrupt begins: [`Irq`](super::Irq).
    IrqEntry = 3, "irq_entry";
    /// An interrupt's handler ended; its IRET is still to come: [`Irq`](super::Irq).
    IrqExit = 4, "irq_exit";
    /// A function was queued for another CPU: [`CsdQueue`](super::CsdQueue).
    CsdQueue = 5, "csd_queue_cpu";
    /// A queued function begins on its target: [`CsdRun`](super::CsdRun).
    CsdEntry = 6, "csd_function_entry";
    /// It ended: [`CsdRun`](super::CsdRun).
    CsdExit = 7, "csd_function_exit";
    /// A function begins on the CPU that asked for it, by a direct call:
    /// [`CsdLocal`](super::CsdLocal).
    CsdLocal = 8, "csd_function_entry_local";
    /// An IPI to one CPU: [`IpiCpu`](super::IpiCpu).
    IpiCpu = 9, "ipi_send_cpu";
    /// An IPI to several: [`IpiMask`](super::IpiMask).
    IpiMask = 10, "ipi_send_cpumask";
    /// A task of a SYNC_CORE-registered mm entered a system call: [`Syscall`](super::Syscall).
    SysEnter = 11, "sys_enter";
    /// It is about to leave it: [`Syscall`](super::Syscall).
    SysExit = 12, "sys_exit";
    /// membarrier(2) begins: [`Membarrier`](super::Membarrier).
    MembarrierEnter = 13, "membarrier_enter";
    /// membarrier(2) ends: [`Membarrier`](super::Membarrier).
    MembarrierExit = 14, "membarrier_exit";
    /// A page fault in a SYNC_CORE-registered mm: [`Fault`](super::Fault).
    PageFault = 15, "page_fault";
    /// A task is born: [`Fork`](super::Fork).
    Fork = 16, "sched_process_fork";
    /// A task has a new program: [`Exec`](super::Exec).
    Exec = 17, "sched_process_exec";
    /// A task begins to exit: [`Task`](super::Task).
    Exit = 18, "sched_process_exit";
    /// A task is gone: [`Task`](super::Task).
    Free = 19, "sched_process_free";
    /// A task has a new name: [`Rename`](super::Rename).
    Rename = 20, "task_rename";
    /// An mm lost its last user: [`MmGone`](super::MmGone).
    MmGone = 21, "exit_mmap";
    /// A signal frame was set up, or a restartable sequence aborted, in a SYNC_CORE-registered mm:
    /// the task leaves by IRET. [`Fault`](super::Fault).
    Redirect = 22, "signal_deliver";
    /// An NMI's handler ran: [`Fault`](super::Fault).
    Nmi = 23, "nmi_handler";
    /// The name of a kernel function, sent once: [`FuncName`](super::FuncName).
    FuncName = 24, "func_name";
    /// A step of CPU hotplug: [`Hotplug`](super::Hotplug).
    Hotplug = 25, "cpuhp";
    /// The state of `cpu_tlbstate` where a probe read it, and [where](super::Site):
    /// [`TlbState`](super::TlbState).
    TlbState = 30, "tlb_state";
    /// `flush_tlb_mm_range` begins: [`Flush`](super::Flush).
    FlushBegin = 31, "flush_begin";
    /// `flush_tlb_mm_range` returned: [`Flush`](super::Flush).
    FlushEnd = 32, "flush_end";
    /// The last reference to an mm is dropped (`__mmdrop`): [`MmGone`](super::MmGone).
    MmDrop = 33, "mmdrop";
    /// `rq->membarrier_state` beside the mm's own: [`RqState`](super::RqState).
    RqState = 34, "rq_state";
    /// A return to user mode was seen: [`UserReturn`](super::UserReturn).
    UserReturn = 35, "user_return";
    /// A serializing instruction was seen: [`Serialized`](super::Serialized).
    Serialized = 36, "serialized";
    /// A kernel thread took an mm (`kthread_use_mm`): [`KthreadMm`](super::KthreadMm).
    KthreadUse = 37, "kthread_use_mm";
    /// It gave it back (`kthread_unuse_mm`): [`KthreadMm`](super::KthreadMm).
    KthreadUnuse = 38, "kthread_unuse_mm";
    /// A shootdown goes to these CPUs (`native_flush_tlb_multi`): [`FlushMulti`](super::FlushMulti).
    FlushMulti = 39, "flush_tlb_multi";
    /// `membarrier_private_expedited` begins: [`PrivateCall`](super::PrivateCall).
    PrivateBegin = 40, "membarrier_private_begin";
    /// It returned: [`PrivateCall`](super::PrivateCall).
    PrivateEnd = 41, "membarrier_private_end";
    /// A function goes to these CPUs, where no tracepoint tells
    /// (`smp_call_function_many_cond`): [`CallMask`](super::CallMask).
    CallMask = 42, "smp_call_mask";
    /// A membarrier handler begins, in an interrupt or by a direct call, where no tracepoint tells:
    /// [`CsdLocal`](super::CsdLocal).
    Handler = 43, "ipi_handler";
}
