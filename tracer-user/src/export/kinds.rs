//! The kinds of events, and which fields each has.

use tracer_common::{model::Event, wire::Kind};

#[expect(clippy::enum_glob_use, reason = "a table of them")]
use super::Field::{self, *};

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
            Tid,
            Mm,
            MembarrierState,
            Frame,
            Kthread,
            Preempted,
            Blocked,
            Exiting,
            PrevActiveMm,
            NextTid,
            NextTgid,
            NextMm,
            NextMembarrierState,
            NextFrame,
            NextKthread,
        ],
        &[Comm, NextComm],
    ),
    of("tlb_flush", &[Tid, Mm, Reason], &[Comm, Pages]),
    of("irq_entry", &[Tid, Vector, MembarrierState, Frame], &[Comm]),
    of("irq_exit", &[Tid, Vector, MembarrierState, Frame], &[Comm]),
    of("csd_queue_cpu", &[Tid, TargetCpu], &[Comm, Func]),
    of("csd_function_entry", &[], &[Func]),
    of("csd_function_exit", &[], &[Func]),
    of("csd_function_entry_local", &[Tid, Tgid, Mm, SyscallNr, Cmd], &[Comm, Func]),
    of("ipi_send_cpu", &[Tid, TargetCpu], &[Comm, Callsite, Callback]),
    of("ipi_send_cpumask", &[Tid, Mask], &[Comm, Callsite, Callback]),
    of("sys_enter", &[Tid, Mm, MembarrierState, SyscallNr], &[Comm]),
    of("sys_exit", &[Tid, Mm, MembarrierState, SyscallNr, Frame], &[Comm]),
    of(
        "membarrier_enter",
        &[Tid, Tgid, Mm, MembarrierState, Cmd, CmdFlags, CpuId],
        &[Comm, Command],
    ),
    of(
        "membarrier_exit",
        &[Tid, Tgid, Mm, MembarrierState, Cmd, CmdFlags, CpuId, Frame, Ret],
        &[Comm, Command],
    ),
    of("page_fault", &[Tid, MembarrierState, Frame, FromUser], &[Comm]),
    of(
        "sched_process_fork",
        &[Tid, ChildTid, ChildTgid, ChildComm, ChildMm, MembarrierState],
        &[Comm],
    ),
    of("sched_process_exec", &[Tid, OldTid, Mm, NewComm], &[Comm]),
    of("sched_process_exit", &[Tid, Tgid, Mm], &[Comm]),
    of("sched_process_free", &[Tid, Tgid, Mm], &[Comm]),
    of("task_rename", &[Tid, Tgid, NewComm], &[Comm]),
    of("exit_mmap", &[Tid, Mm, MembarrierState], &[Comm]),
    of("signal_deliver", &[Tid, MembarrierState, Frame], &[Comm]),
    of("nmi_handler", &[Tid, MembarrierState, Frame], &[Comm]),
    of("func_name", &[Func], &[Address]),
    of("cpuhp", &[TargetCpu, HotplugState], &[]),
    of("tlb_state", &[Tid, SlotMm, SlotGen, MmGen, Asid, IsLazy, Site], &[Comm, LoadedMm]),
    of("flush_begin", &[Tid, Mm, Generation, FreedTables], &[Comm]),
    of("flush_end", &[Tid, Mm, FreedTables], &[Comm]),
    of("mmdrop", &[Tid, Mm, MembarrierState], &[Comm]),
    of("rq_state", &[Tid, Mm, MembarrierState, RqState, Site], &[Comm]),
    of("user_return", &[Tid, Mm, MembarrierState, Frame], &[Comm]),
    of("serialized", &[Tid, Cause], &[Comm]),
    of("kthread_use_mm", &[Tid, Mm, MembarrierState], &[Comm]),
    of("kthread_unuse_mm", &[Tid, Mm, MembarrierState], &[Comm]),
    of("flush_tlb_multi", &[Tid, Mm, Generation, Mask, FreedTables], &[Comm]),
    of("membarrier_private_begin", &[Tid, Tgid, Mm, MembarrierState, CmdFlags, CpuId], &[Comm]),
    of("membarrier_private_end", &[Tid, Tgid, Mm, MembarrierState, CmdFlags, CpuId, Ret], &[Comm]),
    of("smp_call_mask", &[Tid, Mask], &[Comm, Func]),
    of("ipi_handler", &[Tid, Tgid, Mm, SyscallNr, Cmd], &[Comm, Func]),
    of("switch_cr3", &[], &[]),
    of("gap", &[Lost], &[]),
    of("syscall_probes", &[On], &[]),
];
