//! *The* table of guards: every condition and every barrier of the abstract kernel that the protocol
//! rests on. Each can be dropped by itself ([`mutant`](crate::mutant)), with nothing written for it.
//!
//! What only keeps the abstraction in order is none: bounds, who stands where, what is merged.

/// How a guard stands in the kernel, and so how it can be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It keeps something from happening: dropped, that may happen always.
    May,
    /// It decides between two ways: forced to one, and to the other.
    If,
    /// It is something that is done: dropped, it is not.
    Do,
}

macro_rules! guards {
    ($($kind:ident $name:ident = $text:literal, $source:literal, $about:literal;)*) => {
        /// A guard.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "each is told by the table")]
        pub enum Guard {
            $($name,)*
        }

        impl Guard {
            /// Every guard.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// How it stands in the kernel.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)* }
            }

            /// Where it is in the source (Linux 6.12).
            #[must_use]
            pub const fn source(self) -> &'static str {
                match self { $(Self::$name => $source,)* }
            }

            /// What it says.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $(Self::$name => $about,)* }
            }
        }
    };
}

guards! {
    // The scheduler.
    May PickOffCpu = "pick-off-cpu", "kernel/sched/core.c:try_to_wake_up", "a task runs on no CPU any more when one picks it";
    May PickAlive = "pick-alive", "kernel/sched/core.c:do_task_dead", "a dead task is not picked";
    Do ScheduleMb = "schedule-mb", "kernel/sched/core.c:__schedule", "smp_mb__after_spinlock before rq->curr is stored";
    If ToKernel = "to-kernel", "kernel/sched/core.c:context_switch", "the next task has no mm";
    Do GrabLazy = "grab-lazy", "kernel/sched/core.c:context_switch", "mmgrab_lazy_tlb takes a reference";
    Do GrabMb = "grab-mb", "kernel/sched/core.c:context_switch", "mmgrab_lazy_tlb is a locked instruction";
    If GrabFromUser = "grab-from-user", "kernel/sched/core.c:context_switch", "the previous task had an mm: a reference is taken, not handed on";
    May GrabIrqsOff = "grab-irqs-off", "kernel/sched/core.c:context_switch", "interrupts are off in a switch to a kernel thread";
    If SwitchCopies = "switch-copies", "kernel/sched/sched.h:membarrier_switch_mm", "the mms differ: membarrier_state is copied";
    If SetsPrevMm = "sets-prev-mm", "kernel/sched/core.c:context_switch", "the previous task had no mm: rq->prev_mm is set";
    If FinishHasMm = "finish-has-mm", "kernel/sched/core.c:finish_task_switch", "rq->prev_mm is set: it is looked after";
    Do OffCpu = "off-cpu", "kernel/sched/core.c:finish_task", "on_cpu is cleared";
    If FinishSameMm = "finish-same-mm", "include/linux/sched/mm.h:membarrier_mm_sync_core_before_usermode", "the task's mm is rq->prev_mm";
    If FinishRegistered = "finish-registered", "include/linux/sched/mm.h:membarrier_mm_sync_core_before_usermode", "the mm is registered for SYNC_CORE";
    Do FinishSync = "finish-sync", "arch/x86/include/asm/sync_core.h:sync_core_before_usermode", "the core serializes";
    Do FinishDropMb = "finish-drop-mb", "kernel/sched/core.c:finish_task_switch", "mmdrop_lazy_tlb is a barrier";
    Do FinishDrop = "finish-drop", "kernel/sched/core.c:finish_task_switch", "mmdrop_lazy_tlb drops a reference";

    // The hooks of the protocols that are not Linux.
    If HookRegistered = "hook-registered", "sync-on-logical-switch, exit-lazy-tlb: context_switch", "the mm is registered for SYNC_CORE";
    If HookLazy = "hook-lazy", "exit-lazy-tlb: context_switch", "the mm was kept lazily";
    If HookLogical = "hook-logical", "sync-on-logical-switch: context_switch", "the logical mm changes";
    Do HookSync = "hook-sync", "sync-on-logical-switch, exit-lazy-tlb: context_switch", "the core serializes";

    // switch_mm_irqs_off and its callers.
    May SwitchIrqsOff = "switch-irqs-off", "arch/x86/mm/tlb.c:switch_mm_irqs_off", "interrupts are off";
    If EnterLazyLoaded = "enter-lazy-loaded", "arch/x86/mm/tlb.c:enter_lazy_tlb", "loaded_mm is not init_mm";
    If SwitchWasLazy = "switch-was-lazy", "arch/x86/mm/tlb.c:switch_mm_irqs_off", "the CPU was lazy: is_lazy is cleared";
    If SwitchReal = "switch-real", "arch/x86/mm/tlb.c:switch_mm_irqs_off", "the real mm is another one";
    Do StoreSwitching = "store-switching", "arch/x86/mm/tlb.c:switch_mm_irqs_off", "loaded_mm is LOADED_MM_SWITCHING meanwhile";
    If UnlazyWasLazy = "unlazy-was-lazy", "arch/x86/mm/tlb.c:switch_mm_irqs_off", "the CPU was lazy: the generation is looked at";
    Do UnlazyMb = "unlazy-mb", "arch/x86/mm/tlb.c:switch_mm_irqs_off", "smp_mb between is_lazy and the generation";
    If UnlazyBehind = "unlazy-behind", "arch/x86/mm/tlb.c:switch_mm_irqs_off", "the generation is behind: a flush";
    Do CpumaskMb = "cpumask-mb", "arch/x86/mm/tlb.c:switch_mm_irqs_off", "mm_cpumask is changed by a locked instruction";
    Do CpumaskClear = "cpumask-clear", "arch/x86/mm/tlb.c:switch_mm_irqs_off", "the CPU leaves the mm_cpumask of the old mm";
    Do CpumaskSet = "cpumask-set", "arch/x86/mm/tlb.c:switch_mm_irqs_off", "the CPU enters the mm_cpumask of the next mm";
    Do SwitchCatchesUp = "switch-catches-up", "arch/x86/mm/tlb.c:switch_mm_irqs_off", "the TLB is as far as the generation that was read";
    Do Cr3Serializes = "cr3-serializes", "arch/x86/mm/tlb.c:load_new_mm_cr3", "the processor: a CR3 write serializes";
    Do StoreLoaded = "store-loaded", "arch/x86/mm/tlb.c:switch_mm_irqs_off", "loaded_mm is stored at last";
    May LeaveLoaded = "leave-loaded", "arch/x86/mm/tlb.c:leave_mm", "loaded_mm is not init_mm";
    May LeaveLazy = "leave-lazy", "arch/x86/mm/tlb.c:leave_mm", "the CPU is lazy";

    // Flushes.
    Do FlushRaises = "flush-raises", "arch/x86/include/asm/tlbflush.h:inc_mm_tlb_gen", "the generation is raised";
    Do FlushRaiseMb = "flush-raise-mb", "arch/x86/include/asm/tlbflush.h:inc_mm_tlb_gen", "by a locked instruction";
    If FlushCpumask = "flush-cpumask", "arch/x86/mm/tlb.c:flush_tlb_mm_range", "a CPU is in mm_cpumask";
    If FlushTablesAll = "flush-tables-all", "arch/x86/mm/tlb.c:native_flush_tlb_multi", "page tables were freed: lazy CPUs are not skipped";
    If FlushNotLazy = "flush-not-lazy", "arch/x86/mm/tlb.c:should_flush_tlb", "a CPU is not lazy";
    Do FlushSwitching = "flush-switching", "arch/x86/mm/tlb.c:should_flush_tlb", "LOADED_MM_SWITCHING may be the mm";
    If FlushLoaded = "flush-loaded", "arch/x86/mm/tlb.c:should_flush_tlb", "a CPU's loaded_mm is the mm";
    Do FlushSendMb = "flush-send-mb", "kernel/smp.c:smp_call_function_many_cond", "queueing is a locked instruction";
    Do FlushSend = "flush-send", "kernel/smp.c:smp_call_function_many_cond", "the IPI is sent";
    May FlushWaits = "flush-waits", "kernel/smp.c:smp_call_function_many_cond", "a flush waits for all that it has asked";
    Do FlushPreemptOff = "flush-preempt-off", "arch/x86/mm/tlb.c:flush_tlb_mm_range", "get_cpu: a flush is not preempted";
    If LocalLoaded = "local-loaded", "arch/x86/mm/tlb.c:flush_tlb_mm_range", "the flushing CPU has loaded the mm: it flushes, too";
    If LocalBehind = "local-behind", "arch/x86/mm/tlb.c:flush_tlb_func", "the flushing CPU is behind";
    Do LocalCatchesUp = "local-catches-up", "arch/x86/mm/tlb.c:flush_tlb_func", "its TLB is flushed";
    Do LocalSerializes = "local-serializes", "arch/x86/mm/tlb.c:flush_tlb_func", "the processor: flushing serializes";
    If FuncLoaded = "func-loaded", "arch/x86/mm/tlb.c:flush_tlb_func", "the interrupted CPU has loaded the mm";
    If FuncLazy = "func-lazy", "arch/x86/mm/tlb.c:flush_tlb_func", "it is lazy: it goes to init_mm";
    If FuncBehind = "func-behind", "arch/x86/mm/tlb.c:flush_tlb_func", "it is behind";
    Do FuncCatchesUp = "func-catches-up", "arch/x86/mm/tlb.c:flush_tlb_func", "its TLB is flushed";
    Do FuncSerializes = "func-serializes", "arch/x86/mm/tlb.c:flush_tlb_func", "the processor: flushing serializes";
    Do FuncRelease = "func-release", "kernel/smp.c:csd_unlock", "its answer is seen after its stores";
    Do FuncAnswers = "func-answers", "kernel/smp.c:csd_unlock", "it answers";

    // membarrier(2).
    May CallReady = "call-ready", "kernel/sched/membarrier.c:membarrier_private_expedited", "the READY bit is set";
    May CallMutex = "call-mutex", "kernel/sched/membarrier.c:membarrier_private_expedited", "one call at a time";
    Do CallMb = "call-mb", "kernel/sched/membarrier.c:membarrier_private_expedited", "smp_mb at the beginning";
    Do CallLockMb = "call-lock-mb", "kernel/sched/membarrier.c:membarrier_private_expedited", "taking the mutex is a locked instruction";
    If ScanMm = "scan-mm", "kernel/sched/membarrier.c:membarrier_private_expedited", "the CPU's task has the caller's mm";
    If ScanChanged = "scan-changed", "linux-6.12-repaired: membarrier_private_expedited", "rq->curr is another task than the one whose mm was read: it is looked at again";
    Do CallSendMb = "call-send-mb", "kernel/smp.c:smp_call_function_many_cond", "queueing is a locked instruction";
    Do CallSend = "call-send", "kernel/smp.c:smp_call_function_many_cond", "the IPI is sent";
    May CallWaits = "call-waits", "kernel/smp.c:smp_call_function_many_cond", "a call waits for all that it has asked";
    Do CallPreemptOff = "call-preempt-off", "kernel/smp.c:on_each_cpu_cond_mask", "preempt_disable: sending and waiting is not preempted";
    Do CallOwnSync = "call-own-sync", "kernel/smp.c:on_each_cpu_cond_mask", "the caller's CPU serializes, too";
    Do CallEndMb = "call-end-mb", "kernel/sched/membarrier.c:membarrier_private_expedited", "smp_mb at the end";
    Do CallUnlocks = "call-unlocks", "kernel/sched/membarrier.c:membarrier_private_expedited", "the mutex is released";

    // Interrupts, and the way to user mode.
    Do IpiSyncCore = "ipi-sync-core", "kernel/sched/membarrier.c:ipi_sync_core", "the core serializes";
    Do IpiRelease = "ipi-release", "kernel/smp.c:csd_unlock", "the answer is seen after the CPU's stores";
    Do IpiAnswers = "ipi-answers", "kernel/smp.c:csd_unlock", "it answers";
    Do IpiIret = "ipi-iret", "arch/x86/entry/entry_64.S:common_interrupt_return", "the processor: the IRET of an IPI serializes";
    Do KernelIret = "kernel-iret", "arch/x86/entry/entry_64.S:common_interrupt_return", "the processor: the IRET of a preempted task serializes";
    Do UserIret = "user-iret", "arch/x86/entry/entry_64.S:common_interrupt_return", "the processor: an IRET to user mode serializes";

    // Registration.
    Do RegisterSets = "register-sets", "kernel/sched/membarrier.c:membarrier_register_private_expedited", "the bit is set";
    Do RegisterSetMb = "register-set-mb", "kernel/sched/membarrier.c:membarrier_register_private_expedited", "by a locked instruction";
    If RegisterAlone = "register-alone", "kernel/sched/membarrier.c:sync_runqueues_membarrier_state", "mm_users is 1: no other CPU is told";
    Do RegisterOwn = "register-own", "kernel/sched/membarrier.c:sync_runqueues_membarrier_state", "alone in its mm, it tells its own run queue";
    Do RegisterAloneMb = "register-alone-mb", "kernel/sched/membarrier.c:sync_runqueues_membarrier_state", "smp_mb, alone in its mm";
    May RcuWaits = "rcu-waits", "kernel/sched/membarrier.c:sync_runqueues_membarrier_state", "synchronize_rcu waits for every CPU";
    May RcuSwitch = "rcu-switch", "kernel/sched/membarrier.c:sync_runqueues_membarrier_state", "a grace period does not end in the middle of a switch";
    May RcuIrq = "rcu-irq", "kernel/sched/membarrier.c:sync_runqueues_membarrier_state", "nor in an interrupt";
    May RegisterMutex = "register-mutex", "kernel/sched/membarrier.c:sync_runqueues_membarrier_state", "one at a time";
    If RqMine = "rq-mine", "kernel/sched/membarrier.c:ipi_sync_rq_state", "the CPU's task has the mm";
    Do RqMb = "rq-mb", "kernel/sched/membarrier.c:ipi_sync_rq_state", "smp_mb";
    Do RegisterOwnIpi = "register-own-ipi", "kernel/smp.c:on_each_cpu_cond_mask", "the CPU that registers is told, too";
    May RegisterWaits = "register-waits", "kernel/smp.c:smp_call_function_many_cond", "it waits for all that it has asked";
    Do RegisterReady = "register-ready", "kernel/sched/membarrier.c:membarrier_register_private_expedited", "the READY bit is set";
    Do RegisterEndMb = "register-end-mb", "kernel/sched/membarrier.c:membarrier_register_private_expedited", "by a locked instruction";
    Do RegisterUnlocks = "register-unlocks", "kernel/sched/membarrier.c:sync_runqueues_membarrier_state", "the mutex is released";

    // mms that come and go.
    May UseUsers = "use-users", "include/linux/sched/mm.h:mmget_not_zero", "kthread_use_mm takes an mm that has users";
    Do UseGrab = "use-grab", "kernel/kthread.c:kthread_use_mm", "mmgrab takes a reference";
    Do UseGrabMb = "use-grab-mb", "kernel/kthread.c:kthread_use_mm", "mmgrab is a locked instruction";
    Do UseCopies = "use-copies", "kernel/sched/membarrier.c:membarrier_update_current_mm", "membarrier_state is copied";
    If UseRegistered = "use-registered", "linux-6.12-repaired: kthread_use_mm", "the mm is registered for SYNC_CORE";
    If UseBorrowed = "use-borrowed", "linux-6.12-repaired: kthread_use_mm", "it had borrowed the mm";
    Do UseSync = "use-sync", "linux-6.12-repaired: kthread_use_mm", "the core serializes";
    Do UseDropMb = "use-drop-mb", "kernel/kthread.c:kthread_use_mm", "mmdrop_lazy_tlb is a barrier";
    Do UseDrop = "use-drop", "kernel/kthread.c:kthread_use_mm", "mmdrop_lazy_tlb drops what it had borrowed";
    Do UnuseMb = "unuse-mb", "kernel/kthread.c:kthread_unuse_mm", "smp_mb__after_spinlock before tsk->mm is cleared";
    Do UnuseClears = "unuse-clears", "kernel/sched/membarrier.c:membarrier_update_current_mm", "rq->membarrier_state is cleared";
    Do UnuseGrab = "unuse-grab", "kernel/kthread.c:kthread_unuse_mm", "mmgrab_lazy_tlb takes a reference";
    Do UnuseDropMb = "unuse-drop-mb", "kernel/kthread.c:kthread_unuse_mm", "mmdrop is a locked instruction";
    Do UnuseDrop = "unuse-drop", "kernel/kthread.c:kthread_unuse_mm", "mmdrop drops its reference";
    Do ExitMb = "exit-mb", "kernel/exit.c:exit_mm", "smp_mb__after_spinlock before tsk->mm is cleared";
    Do ExitClears = "exit-clears", "kernel/sched/membarrier.c:membarrier_update_current_mm", "rq->membarrier_state is cleared";
    Do ExitGrab = "exit-grab", "kernel/exit.c:exit_mm", "mmgrab_lazy_tlb takes a reference";
    Do GoesLazy = "goes-lazy", "kernel/exit.c:exit_mm, kernel/kthread.c:kthread_unuse_mm", "enter_lazy_tlb";
    Do ExitPutMb = "exit-put-mb", "kernel/fork.c:mmput", "mmput is a locked instruction";
    If LastUser = "last-user", "kernel/fork.c:mmput", "nobody uses the mm any more: its reference is dropped";
    Do ExecMb = "exec-mb", "kernel/sched/membarrier.c:membarrier_exec_mmap", "smp_mb before the state is cleared";
    Do ExecClears = "exec-clears", "kernel/sched/membarrier.c:membarrier_exec_mmap", "rq->membarrier_state is cleared";
    Do ExecPutMb = "exec-put-mb", "kernel/fork.c:mmput", "mmput is a locked instruction";
}
