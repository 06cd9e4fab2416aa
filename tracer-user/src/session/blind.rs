//! What can't be seen, by name.

use crate::{engine::Engine, probes::Mode, report::Blindness, source::live::Live};

/// What no mode can see on any kernel.
const ALWAYS: &[(&str, &str)] = &[(
    "exceptions other than page faults, in user and kernel mode",
    "no tracepoint; each ends in an IRET, so a finding may be milder than it reads",
)];

/// What tracepoint mode can't see on any kernel.
const TRACEPOINT: &[(&str, &str)] = &[
    (
        "whether finish_task_switch and ipi_sync_core really serialize",
        "no tracepoint stands there; taken from the kernel's source and marked \"assumed\"",
    ),
    (
        "stale TLB entries, freed page tables, mm lifetime, rq->membarrier_state (R3 to R6)",
        "needs full mode: fentry and per-CPU variables",
    ),
    (
        "the moment of a return to user mode",
        "inferred from the next system call, page fault or interrupt of that thread",
    ),
    (
        "kthread_use_mm before the kernel thread is switched out",
        "no tracepoint; seen at the switch as the thread's mm",
    ),
];

/// What full mode can't see on any kernel.
const FULL: &[(&str, &str)] = &[(
    "returns to user mode without a context switch before them",
    "switch_fpu_return runs only after one; the others are inferred from the next system call, page \
     fault or interrupt of that thread",
)];

/// What can't be seen here: what no probe of this mode shows, and what the missing ones would have.
pub(super) fn spots(live: &mut Live, engine: &Engine) -> Vec<Blindness> {
    let of_mode = match live.probes().mode() {
        Mode::Tracepoint => TRACEPOINT,
        Mode::Full => FULL,
    };
    let always = of_mode
        .iter()
        .chain(ALWAYS)
        .map(|&(what, why)| Blindness { what: what.to_owned(), why: why.to_owned() });
    let missing = live.probes().losses().into_iter().map(|loss| Blindness {
        what: loss.lost.to_owned(),
        why: format!("{}: {}", loss.name, loss.why),
    });
    let dark = engine.dark_tasks();
    let dark = (!dark.is_empty()).then(|| Blindness {
        what: format!("what these threads do: {}", dark.join(", ")),
        why: "this kernel runs no probes while they are current; their switches out are inferred"
            .to_owned(),
    });
    always.chain(missing).chain(dark).collect()
}
