//! *The* table of steps: their names, and where the kernel makes them.

macro_rules! steps {
    ($($name:ident = $text:literal, $source:literal;)*) => {
        /// What a CPU does at once, seen from the others.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "each is told by its name in the table")]
        pub enum Step {
            $($name,)*
        }

        impl Step {
            /// Every step.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name: what `--exclude` takes.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Where it is in the source (Linux 6.12).
            #[must_use]
            pub const fn source(self) -> &'static str {
                match self { $(Self::$name => $source,)* }
            }
        }
    };
}

steps! {
    Block = "sleeps", "kernel/sched/core.c:__schedule";
    Syscall = "syscall", "arch/x86/entry/common.c:do_syscall_64";
    Return = "return", "arch/x86/entry/entry_64.S:entry_SYSCALL_64, common_interrupt_return";
    Schedule = "schedule", "kernel/sched/core.c:__schedule";
    Grab = "mmgrab-lazy", "kernel/sched/core.c:context_switch";
    SwitchSame = "unlazy-reads-gen", "arch/x86/mm/tlb.c:switch_mm_irqs_off";
    SwitchMask = "switch-cpumask", "arch/x86/mm/tlb.c:switch_mm_irqs_off";
    SwitchGen = "switch-reads-gen", "arch/x86/mm/tlb.c:switch_mm_irqs_off";
    SwitchCr3 = "switch-cr3", "arch/x86/mm/tlb.c:switch_mm_irqs_off";
    Finish = "finish-task-switch", "kernel/sched/core.c:finish_task_switch";
    KernelIret = "kernel-iret", "kernel/entry/common.c:irqentry_exit";
    Leave = "leave_mm", "arch/x86/mm/tlb.c:leave_mm";
    Deliver = "ipi", "kernel/smp.c:__flush_smp_call_function_queue";
    IpiReturn = "ipi-iret", "kernel/entry/common.c:irqentry_exit";
    IpiPreempt = "ipi-preempts", "kernel/entry/common.c:irqentry_exit_cond_resched";
    Preempt = "preempt", "kernel/sched/core.c:preempt_schedule_irq";
    Call = "membarrier", "kernel/sched/membarrier.c:membarrier_private_expedited";
    CallLock = "membarrier-lock", "kernel/sched/membarrier.c:membarrier_private_expedited";
    ScanCurr = "scan-curr", "kernel/sched/membarrier.c:membarrier_private_expedited";
    ScanMm = "scan-mm", "kernel/sched/membarrier.c:membarrier_private_expedited";
    Send = "send-ipis", "kernel/smp.c:smp_call_function_many_cond";
    CallEnd = "membarrier-ends", "kernel/sched/membarrier.c:membarrier_private_expedited";
    Flush = "flush-begins", "arch/x86/mm/tlb.c:flush_tlb_mm_range";
    FlushTables = "flush-freed-tables", "arch/x86/mm/tlb.c:flush_tlb_mm_range";
    FlushRaise = "raise-gen", "arch/x86/include/asm/tlbflush.h:inc_mm_tlb_gen";
    FlushMask = "flush-cpumask", "arch/x86/mm/tlb.c:flush_tlb_mm_range";
    FlushLoaded = "flush-loaded_mm", "arch/x86/mm/tlb.c:should_flush_tlb";
    FlushLazy = "flush-is_lazy", "arch/x86/mm/tlb.c:should_flush_tlb";
    FlushSend = "flush-ipis", "kernel/smp.c:smp_call_function_many_cond";
    FlushEnd = "flush-ends", "arch/x86/mm/tlb.c:flush_tlb_mm_range";
    Use = "kthread_use_mm", "kernel/kthread.c:kthread_use_mm";
    UseDrop = "kthread_use_mm-drops", "kernel/kthread.c:kthread_use_mm";
    Unuse = "kthread_unuse_mm", "kernel/kthread.c:kthread_unuse_mm";
    UnuseDrop = "kthread_unuse_mm-drops", "kernel/kthread.c:kthread_unuse_mm";
    Exit = "exit", "kernel/exit.c:do_exit";
    ExitMm = "exit_mm", "kernel/exit.c:exit_mm";
    ExitPut = "exit-mmput", "kernel/fork.c:mmput";
    Exec = "execve", "fs/exec.c:begin_new_exec";
    ExecMmap = "exec_mmap", "fs/exec.c:exec_mmap";
    ExecPut = "exec-mmput", "fs/exec.c:exec_mmap";
    Register = "register", "kernel/sched/membarrier.c:membarrier_register_private_expedited";
    RegisterSet = "register-sets", "kernel/sched/membarrier.c:membarrier_register_private_expedited";
    Rcu = "quiescent", "kernel/sched/membarrier.c:sync_runqueues_membarrier_state";
    RegisterEnd = "register-ends", "kernel/sched/membarrier.c:membarrier_register_private_expedited";
    StoreY = "user-stores-y", "user code";
    LoadX = "user-loads-x", "user code";
    LoadY = "caller-loads-y", "user code";
}

impl Step {
    /// The step of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|step| step.name() == name)
    }
}

/// A step of a CPU, with its choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// The CPU.
    pub cpu: u8,
    /// What it does.
    pub step: Step,
    /// The task that is switched to, the CPU that is looked at, and so on.
    pub arg: u8,
}
