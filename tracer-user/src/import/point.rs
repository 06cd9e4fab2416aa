//! An event of another tool's trace, as far as it says something here.

use tracer_common::wire::Vector;

/// Where, when and who, and what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point<'a> {
    pub(super) cpu: u32,
    /// In nanoseconds of the trace's clock.
    pub(super) ts: u64,
    /// `current->pid`, where it is told: perf has none of a task that is gone for the most part.
    pub(super) tid: Option<u32>,
    /// `current->tgid`, where it is told.
    pub(super) tgid: Option<u32>,
    /// `current->comm`, as the tool remembers it; empty where it does not.
    pub(super) comm: &'a str,
    pub(super) what: What<'a>,
}

/// A function, by what the trace has of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callee<'a> {
    /// Its name; what follows it (`+0x12/0x34`, `[module]`) is cut off.
    Name(&'a str),
    /// Its address, where it has no name.
    Address(u64),
    /// None, or it is not told.
    None,
}

/// From which tracepoints system calls are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    /// `syscalls:sys_enter_membarrier` and its exit.
    Own,
    /// `raw_syscalls:sys_enter` and `sys_exit`.
    Raw,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What<'a> {
    Switch {
        prev: u32,
        next: u32,
        next_comm: &'a str,
        blocked: bool,
        preempted: bool,
    },
    TlbFlush {
        pages: u64,
        reason: u32,
    },
    Irq {
        vector: Vector,
        entry: bool,
    },
    CsdQueue {
        target: u32,
        func: Callee<'a>,
    },
    CsdEntry {
        func: Callee<'a>,
        local: bool,
    },
    CsdExit {
        func: Callee<'a>,
    },
    IpiCpu {
        target: u32,
        callsite: Callee<'a>,
        callback: Callee<'a>,
    },
    IpiMask {
        mask: u64,
        callsite: Callee<'a>,
        callback: Callee<'a>,
    },
    MembarrierEnter {
        from: Calls,
        cmd: i32,
        flags: u32,
        cpu_id: i32,
    },
    MembarrierExit {
        from: Calls,
        ret: i64,
    },
    PageFault {
        user: bool,
    },
    Fork {
        parent: u32,
        child: u32,
        child_comm: &'a str,
    },
    Exec {
        tid: u32,
        old: u32,
    },
    Exit {
        tid: u32,
    },
    Free {
        tid: u32,
    },
    Rename {
        tid: u32,
        comm: &'a str,
    },
    Hotplug {
        cpu: u32,
        target: u32,
    },
    Nmi,
    /// An event that says nothing here.
    Unused,
}

/// `arch/x86/entry/syscalls/syscall_64.tbl`
pub(super) const NR_MEMBARRIER: i64 = 324;

/// The interrupt that a tracepoint of `irq_vectors` or `irq` is about, and whether it begins.
pub(super) fn vector(event: &str) -> Option<(Vector, bool)> {
    let (name, entry) = match event.strip_suffix("_entry") {
        Some(name) => (name, true),
        None => (event.strip_suffix("_exit")?, false),
    };
    let vector = match name {
        "local_timer" => Vector::LocalTimer,
        "reschedule" => Vector::Reschedule,
        "call_function" => Vector::CallFunction,
        "call_function_single" => Vector::CallFunctionSingle,
        "irq_work" => Vector::IrqWork,
        "irq_handler" => Vector::Device,
        "thermal_apic"
        | "threshold_apic"
        | "deferred_error_apic"
        | "error_apic"
        | "spurious_apic"
        | "x86_platform_ipi" => Vector::Other,
        _ => return None,
    };
    Some((vector, entry))
}
