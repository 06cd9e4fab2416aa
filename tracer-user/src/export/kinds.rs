//! The kinds of events, and which fields each has.

use tracer_common::{model::Event, wire::Kind};

use super::field::{Field, Field as F};

/// The name of an event's kind: the record's, where it is one.
pub const fn kind(event: &Event) -> &'static str {
    let kind = match event {
        Event::Switch { .. } => Kind::Switch,
        Event::TlbFlush(_) => Kind::TlbFlush,
        Event::IrqEntry(_) => Kind::IrqEntry,
        Event::IrqExit(_) => Kind::IrqExit,
        Event::CsdQueue { .. } => Kind::CsdQueue,
        Event::CsdEntry { .. } => Kind::CsdEntry,
        Event::CsdExit { .. } => Kind::CsdExit,
        Event::CsdLocal { .. } => Kind::CsdLocal,
        Event::IpiCpu(_) => Kind::IpiCpu,
        Event::IpiMask(_) => Kind::IpiMask,
        Event::SysEnter(_) => Kind::SysEnter,
        Event::SysExit(_) => Kind::SysExit,
        Event::MembarrierEnter(_) => Kind::MembarrierEnter,
        Event::MembarrierExit(_) => Kind::MembarrierExit,
        Event::PageFault { .. } => Kind::PageFault,
        Event::Fork(_) => Kind::Fork,
        Event::Exec(_) => Kind::Exec,
        Event::Exit(_) => Kind::Exit,
        Event::Free(_) => Kind::Free,
        Event::Rename(_) => Kind::Rename,
        Event::MmGone(_) => Kind::MmGone,
        Event::Redirect(_) => Kind::Redirect,
        Event::Nmi(_) => Kind::Nmi,
        Event::FuncName(_) => Kind::FuncName,
        Event::Hotplug(_) => Kind::Hotplug,
        Event::TlbState(_) => Kind::TlbState,
        Event::FlushBegin { .. } => Kind::FlushBegin,
        Event::FlushEnd { .. } => Kind::FlushEnd,
        Event::MmDrop(_) => Kind::MmDrop,
        Event::RqState(_) => Kind::RqState,
        Event::UserReturn(_) => Kind::UserReturn,
        Event::Serialized(_) => Kind::Serialized,
        Event::KthreadUse(_) => Kind::KthreadUse,
        Event::KthreadUnuse(_) => Kind::KthreadUnuse,
        Event::FlushMulti { .. } => Kind::FlushMulti,
        Event::PrivateBegin(_) => Kind::PrivateBegin,
        Event::PrivateEnd(_) => Kind::PrivateEnd,
        Event::CallMask { .. } => Kind::CallMask,
        Event::Handler { .. } => Kind::Handler,
        Event::SwitchCr3 => return "switch_cr3",
        Event::Gap { .. } => return "gap",
        Event::SyscallProbes(_) => return "syscall_probes",
    };
    kind.name()
}

/// A kind and its fields.
#[derive(Clone, Copy, Debug)]
pub struct KindFields {
    /// The kind's name.
    pub kind: &'static str,
    /// Fields that every such event has.
    pub always: &'static [Field],
    /// Fields that it may lack, because something is not known or does not apply.
    pub maybe: &'static [Field],
}

const fn of(kind: &'static str, always: &'static [Field], maybe: &'static [Field]) -> KindFields {
    KindFields { kind, always, maybe }
}

/// Every kind, in the order of the records' numbers; then what are no records.
pub const KINDS: &[KindFields] = &[
    of(
        "sched_switch",
        &[
            F::Tid,
            F::Mm,
            F::MembarrierState,
            F::Frame,
            F::Kthread,
            F::Preempted,
            F::Blocked,
            F::Exiting,
            F::PrevActiveMm,
            F::NextTid,
            F::NextTgid,
            F::NextMm,
            F::NextMembarrierState,
            F::NextFrame,
            F::NextKthread,
        ],
        &[F::Comm, F::NextComm],
    ),
    of("tlb_flush", &[F::Tid, F::Mm, F::Reason], &[F::Comm, F::Pages]),
    of("irq_entry", &[F::Tid, F::Vector, F::MembarrierState, F::Frame], &[F::Comm]),
    of("irq_exit", &[F::Tid, F::Vector, F::MembarrierState, F::Frame], &[F::Comm]),
    of("csd_queue_cpu", &[F::Tid, F::TargetCpu], &[F::Comm, F::Func]),
    of("csd_function_entry", &[], &[F::Func]),
    of("csd_function_exit", &[], &[F::Func]),
    of(
        "csd_function_entry_local",
        &[F::Tid, F::Tgid, F::Mm, F::SyscallNr, F::Cmd],
        &[F::Comm, F::Func],
    ),
    of("ipi_send_cpu", &[F::Tid, F::TargetCpu], &[F::Comm, F::Callsite, F::Callback]),
    of("ipi_send_cpumask", &[F::Tid, F::Mask], &[F::Comm, F::Callsite, F::Callback]),
    of("sys_enter", &[F::Tid, F::Mm, F::MembarrierState, F::SyscallNr], &[F::Comm]),
    of("sys_exit", &[F::Tid, F::Mm, F::MembarrierState, F::SyscallNr, F::Frame], &[F::Comm]),
    of(
        "membarrier_enter",
        &[F::Tid, F::Tgid, F::Mm, F::MembarrierState, F::Cmd, F::CmdFlags, F::CpuId],
        &[F::Comm, F::Command],
    ),
    of(
        "membarrier_exit",
        &[
            F::Tid,
            F::Tgid,
            F::Mm,
            F::MembarrierState,
            F::Cmd,
            F::CmdFlags,
            F::CpuId,
            F::Frame,
            F::Ret,
        ],
        &[F::Comm, F::Command],
    ),
    of("page_fault", &[F::Tid, F::MembarrierState, F::Frame, F::FromUser], &[F::Comm]),
    of(
        "sched_process_fork",
        &[F::Tid, F::ChildTid, F::ChildTgid, F::ChildComm, F::ChildMm, F::MembarrierState],
        &[F::Comm],
    ),
    of("sched_process_exec", &[F::Tid, F::OldTid, F::Mm, F::NewComm], &[F::Comm]),
    of("sched_process_exit", &[F::Tid, F::Tgid, F::Mm], &[F::Comm]),
    of("sched_process_free", &[F::Tid, F::Tgid, F::Mm], &[F::Comm]),
    of("task_rename", &[F::Tid, F::Tgid, F::NewComm], &[F::Comm]),
    of("exit_mmap", &[F::Tid, F::Mm, F::MembarrierState], &[F::Comm]),
    of("signal_deliver", &[F::Tid, F::MembarrierState, F::Frame], &[F::Comm]),
    of("nmi_handler", &[F::Tid, F::MembarrierState, F::Frame], &[F::Comm]),
    of("func_name", &[F::Func], &[F::Address]),
    of("cpuhp", &[F::TargetCpu, F::HotplugState], &[]),
    of(
        "tlb_state",
        &[F::Tid, F::SlotMm, F::SlotGen, F::MmGen, F::Asid, F::IsLazy, F::Site],
        &[F::Comm, F::LoadedMm],
    ),
    of("flush_begin", &[F::Tid, F::Mm, F::Generation, F::FreedTables], &[F::Comm]),
    of("flush_end", &[F::Tid, F::Mm, F::FreedTables], &[F::Comm]),
    of("mmdrop", &[F::Tid, F::Mm, F::MembarrierState], &[F::Comm]),
    of("rq_state", &[F::Tid, F::Mm, F::MembarrierState, F::RqState, F::Site], &[F::Comm]),
    of("user_return", &[F::Tid, F::Mm, F::MembarrierState, F::Frame], &[F::Comm]),
    of("serialized", &[F::Tid, F::Cause], &[F::Comm]),
    of("kthread_use_mm", &[F::Tid, F::Mm, F::MembarrierState], &[F::Comm]),
    of("kthread_unuse_mm", &[F::Tid, F::Mm, F::MembarrierState], &[F::Comm]),
    of("flush_tlb_multi", &[F::Tid, F::Mm, F::Generation, F::Mask, F::FreedTables], &[F::Comm]),
    of(
        "membarrier_private_begin",
        &[F::Tid, F::Tgid, F::Mm, F::MembarrierState, F::CmdFlags, F::CpuId],
        &[F::Comm],
    ),
    of(
        "membarrier_private_end",
        &[F::Tid, F::Tgid, F::Mm, F::MembarrierState, F::CmdFlags, F::CpuId, F::Ret],
        &[F::Comm],
    ),
    of("smp_call_mask", &[F::Tid, F::Mask], &[F::Comm, F::Func]),
    of("ipi_handler", &[F::Tid, F::Tgid, F::Mm, F::SyscallNr, F::Cmd], &[F::Comm, F::Func]),
    of("switch_cr3", &[], &[]),
    of("gap", &[F::Lost], &[]),
    of("syscall_probes", &[F::On], &[]),
];
