//! What an imported trace lacks, by name.

use tracer_common::wire::Kind;

use super::{Format, Imported, point::Calls, translate::Translator};

/// What no tracepoint tells.
const ALWAYS: &[(&str, &str)] = &[
    (
        "which mm a task or a CPU has (logical, active and real mm, laziness), and registrations",
        "no tracepoint of the kernel tells mms: R1 and R2 stay undecided, R3 to R7 are not asked; \
         that two tasks are of one process does not tell that others are of two mms",
    ),
    (
        "how tasks return to user mode (SYSRET or IRET)",
        "it takes the task's saved registers, which no tracepoint tells",
    ),
    (
        "whether finish_task_switch, ipi_sync_core and interrupts' returns serialize",
        "nothing of the traced kernel's text or CPU is in the trace, so nothing is assumed",
    ),
];

/// What is not known without an event: its tracepoint, its kinds, and what it tells.
const EVENTS: &[(&str, &[Kind], &str)] = &[
    ("sched:sched_switch", &[Kind::Switch], "who runs on which CPU"),
    ("tlb:tlb_flush", &[Kind::TlbFlush], "CR3 writes and TLB flushes"),
    ("irq_vectors:*", &[Kind::IrqEntry, Kind::IrqExit], "interrupts"),
    (
        "csd:csd_function_entry",
        &[Kind::CsdEntry, Kind::CsdLocal],
        "functions that CPUs run for one another, ipi_sync_core among them",
    ),
    ("csd:csd_queue_cpu", &[Kind::CsdQueue], "which CPUs a membarrier call interrupts"),
    (
        "syscalls:sys_enter_membarrier, syscalls:sys_exit_membarrier",
        &[Kind::MembarrierEnter, Kind::MembarrierExit],
        "membarrier calls, their commands and what they return",
    ),
    ("sched:sched_process_fork", &[Kind::Fork], "tasks that are born"),
    ("sched:sched_process_exec", &[Kind::Exec], "programs that begin"),
    ("exceptions:page_fault_user", &[Kind::PageFault], "page faults"),
];

/// What this one lacks, and why.
pub(super) fn missing(translator: &Translator, imported: &Imported) -> Vec<(String, String)> {
    let mut missing: Vec<(String, String)> =
        ALWAYS.iter().map(|&(what, why)| (what.to_owned(), why.to_owned())).collect();
    let mut add = |what: String, why: &str| missing.push((what, why.to_owned()));
    for (tracepoint, kinds, what) in EVENTS {
        if !kinds.iter().any(|kind| translator.kinds.contains(kind)) {
            let why = format!("{tracepoint}: not traced, or it did not happen");
            add((*what).to_owned(), &why);
        }
    }
    if translator.calls_by == Some(Calls::Raw) {
        add(
            "whether a system call was made by 32-bit code".to_owned(),
            "raw_syscalls does not tell; number 324 is taken for membarrier",
        );
    }
    if translator.calls_cut > 0 {
        add(
            format!("{} membarrier calls whose returns alone are there", translator.calls_cut),
            "they began before the trace, or where events were lost; what they were is not told",
        );
    }
    if translator.overwritten > 0 {
        add(
            format!("{} events before the first", translator.overwritten),
            "the kernel's buffer was too small, and they were overwritten",
        );
    }
    if imported.format == Format::Perf && imported.lost == 0 {
        add(
            "events that perf lost".to_owned(),
            "perf script tells of them only with --show-lost-events",
        );
    }
    match translator.clock.as_deref() {
        None => add(
            "how far the clocks of the CPUs agree".to_owned(),
            "the text does not name its clock, and ftrace's default (local) is each CPU's own",
        ),
        Some("local") => add(
            "how far the clocks of the CPUs agree".to_owned(),
            "the trace's clock (local) is each CPU's own",
        ),
        Some(_) => {}
    }
    if !translator.other_buffers.is_empty() {
        add(
            format!("events of other buffers: {}", translator.other_buffers.join(", ")),
            "only the fullest buffer of a trace.dat is imported; the text of `trace-cmd report` has all of \
             them",
        );
    }
    if !translator.fine {
        add(
            "the order of events within one microsecond".to_owned(),
            "the times have no more digits",
        );
    }
    if imported.backwards > 0 {
        add(
            format!("{} events", imported.backwards),
            "their time is before that of the event before on their CPU: left out",
        );
    }
    if imported.not_understood > 0 {
        let what = match imported.format {
            Format::TraceDat => "records",
            Format::Ftrace | Format::Perf => "lines",
        };
        add(
            format!("what {} {what} say", imported.not_understood),
            "they were not understood, and are left out",
        );
    }
    missing
}
