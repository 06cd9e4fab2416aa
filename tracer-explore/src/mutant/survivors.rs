//! Mutants that are not caught, and why that is as it should be.

/// In what way a mutant is as good as the kernel with all its guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// In every space its states and steps are the same.
    Same,
    /// It has other states or steps, and nothing is wrong with them.
    Clean,
}

/// A mutant that is not caught.
#[derive(Clone, Copy, Debug)]
pub struct Survivor {
    /// Its name.
    pub name: &'static str,
    /// In what way it is as good.
    pub why: Why,
    /// The reason.
    pub reason: &'static str,
}

macro_rules! survivors {
    ($($why:ident $name:literal: $reason:literal;)*) => {
        /// All of them.
        pub const SURVIVORS: &[Survivor] =
            &[$(Survivor { name: $name, why: Why::$why, reason: $reason },)*];
    };
}

survivors! {
    Clean "schedule-mb": "x86 keeps stores in order: who sees the new rq->curr sees all that the task stored before, and loads are never late";
    Clean "grab-mb": "as before: the stores of the task that left go before that of rq->curr, and a kernel thread has no user memory to read";
    Clean "grab-irqs-off": "the mm is lazy already and rq->curr is stored: an IPI finds what it would find a moment later";
    Clean "switch-copies=always": "the same value is copied once more, and repairs what a registration could not reach";
    Clean "finish-has-mm=always": "with no rq->prev_mm nothing is dropped; the barrier in its place is one more";
    Clean "finish-same-mm=always": "one more serialization, where CR3 was written just before";
    Clean "finish-registered=always": "one more serialization";
    Clean "finish-drop-mb": "unlazying has a barrier of its own (83b0177a6c48); without both, order is broken (unlazy-drop-nomb)";
    Clean "hook-registered=always": "one more serialization";
    Clean "hook-lazy=always": "one more serialization, where CR3 was written just before";
    Clean "hook-logical=always": "one more serialization, between threads of one mm";
    Clean "enter-lazy-loaded=always": "lazy on init_mm: no flush looks for that mm, and the next switch writes CR3";
    Clean "enter-lazy-loaded=never": "never lazy: the CPU answers flushes instead, and finish_task_switch serializes by rq->prev_mm, not by is_lazy";
    Clean "switch-was-lazy=always": "is_lazy is stored once more as it is";
    Clean "switch-real=always": "CR3 is written at every switch: more than is needed";
    Clean "unlazy-was-lazy=always": "the generation is looked at between two threads, too: a flush that is on its way is only done early";
    Clean "unlazy-behind=always": "CR3 is written at every unlazying: more than is needed (ok-always-flush)";
    Clean "cpumask-clear": "mm_cpumask has CPUs that have left: they are asked, and should_flush_tlb or flush_tlb_func tells (6.14 and later do so)";
    Clean "store-loaded": "others take it for LOADED_MM_SWITCHING for ever, and so ask the CPU every time";
    Same "leave-loaded": "an idle CPU on init_mm is never lazy: the other condition says the same";
    Same "leave-lazy": "an idle CPU that has a user mm loaded is always lazy: the kernel only warns";
    Clean "flush-cpumask=always": "CPUs that never had the mm are looked at, and told by loaded_mm";
    Clean "flush-tables-all=always": "lazy CPUs are interrupted for every flush: more than is needed (ok-flush-lazy)";
    Clean "flush-not-lazy=always": "lazy CPUs are interrupted for every flush: more than is needed";
    Clean "flush-loaded=always": "CPUs that have another mm loaded are interrupted for nothing";
    Same "flush-send-mb": "the flusher's buffer is empty: raising the generation was a locked instruction, and nothing was stored since";
    Same "local-loaded=always": "who flushes its own mm from a system call has loaded it";
    Same "local-behind=always": "an interrupt that came between has flushed to the same generation, and its IRET has serialized";
    Clean "local-serializes": "whoever flushes its own mm owes nothing by then that it would not pay otherwise: a call interrupts it";
    Clean "func-loaded=always": "another mm is flushed for nothing";
    Clean "func-lazy=never": "the lazy CPU flushes and stays: R3 and R4 ask for no more (the kernel leaves since it costs as little)";
    Clean "func-behind=always": "the TLB is flushed once more";
    Clean "func-serializes": "the IRET of the same interrupt serializes";
    Clean "func-release": "the answer may be seen first: the flusher reads nothing that the handler stored";
    Clean "call-mutex": "calls share nothing but the CPUs that they interrupt; the mutex is there against floods of IPIs";
    Same "call-mb": "taking the mutex is a barrier on x86; without both, order is broken (call-nomb-nomutex)";
    Same "call-lock-mb": "smp_mb has just emptied the buffer; without both, order is broken (call-nomb-nomutex)";
    Clean "scan-mm=always": "every CPU is interrupted: more than is needed (ok-extra-ipi)";
    Clean "scan-changed=always": "it looks again until the CPU runs the caller's mm: more IPIs, and none too few (that it ends takes luck)";
    Same "call-send-mb": "queueing stands behind the call's barriers with nothing stored since";
    Clean "call-preempt-off": "whoever takes the caller's place serializes on its own account, and the caller where it goes on";
    Same "call-end-mb": "nothing was stored since the call's first barrier, but for unlocking";
    Clean "ipi-iret": "ipi_sync_core has serialized already, flush_tlb_func owes nothing, ipi_sync_rq_state promises nothing";
    Clean "kernel-iret": "whoever runs again was switched to, which has serialized if the logical mm changed";
    Clean "user-iret": "whoever returns was switched to, which has serialized if the logical mm changed; a call interrupts who did not leave";
    Clean "register-set-mb": "the bit is set at once all the same: only what the thread stored before is late, and nobody asks for that yet";
    Clean "register-alone=never": "the long way is as good (ok-single-slow)";
    Same "register-alone-mb": "setting the bit was a locked instruction, and nothing was stored since";
    Clean "rcu-irq": "an IPI's handler changes neither rq->curr nor what a switch has copied";
    Clean "register-mutex": "a registration sets a bit that stays, and tells every CPU by itself";
    Clean "rq-mb": "it orders user memory for calls of other kinds (GLOBAL_EXPEDITED), and the handler's IRET is a barrier";
    Same "register-end-mb": "the last thing that was stored before was a locked instruction's";
    Clean "use-grab-mb": "a kernel thread has touched no memory of the mm before it took it";
    Clean "use-registered=always": "one more serialization";
    Clean "use-borrowed=always": "one more serialization, where CR3 was written just before";
    Clean "use-drop-mb": "switch_mm_irqs_off has a barrier or writes CR3 on every way; without both, order is broken (use-nomb)";
    Clean "unuse-mb": "x86 keeps stores in order: who sees tsk->mm cleared sees all that was stored before";
    Clean "unuse-clears": "a copy that is left behind costs an IPI of another kind of call: back in the mm it is right, any other mm copies its own";
    Clean "unuse-drop-mb": "tsk->mm is seen late as still there: an IPI too many";
    Clean "exit-mb": "x86 keeps stores in order: who sees tsk->mm cleared sees all that was stored before";
    Clean "exit-clears": "as for kthread_unuse_mm: an IPI of another kind of call too many";
    Clean "goes-lazy": "not lazy, the CPU answers flushes; the next switch looks at the real mm all the same";
    Clean "exit-put-mb": "tsk->mm is seen late as still there: an IPI too many";
    Clean "exec-mb": "exec_mmap goes on to a CR3 write, and leaves by IRET";
    Clean "exec-put-mb": "the CR3 write before it has emptied the buffer but for loaded_mm";
}
