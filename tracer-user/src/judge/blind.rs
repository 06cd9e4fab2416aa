//! What the mode of a run can't see, by name.

use crate::{
    engine::{Engine, Observer},
    probes::table::ProbeKind,
    report::{Attach, Blindness, Mode, Probe},
    stream::{Closing, Facts, MissedRuns, Origin},
};

type Spot = (&'static str, &'static str);

/// What tracepoint mode can't see on any kernel.
const TRACEPOINT: &[Spot] = &[
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
const FULL: &[Spot] = &[
    (
        "whether a flush by batches (arch_tlbbatch_flush: reclaim, migration) reached every CPU",
        "it names no mm and no generation, so R3 asks for nothing after it",
    ),
    (
        "returns to user mode without a context switch before them",
        "switch_fpu_return does not run then; inferred from the next system call, page fault or \
         interrupt of that thread",
    ),
    (
        "TLB entries themselves",
        "R3 judges the generation that a CPU claims to have reached (cpu_tlbstate.ctxs), not what \
         its TLB holds",
    ),
];

/// What no mode can see.
const ALWAYS: &[Spot] = &[(
    "exceptions other than page faults, in user and kernel mode",
    "no tracepoint; each ends in an IRET, so a finding may be milder than it reads",
)];

const BROADCAST: Spot = (
    "flushes by broadcast (INVLPGB)",
    "they leave no generation behind: where one may have been, R3 and R4 stay undecided",
);
const HYPERVISOR: Spot = (
    "flushes by the hypervisor",
    "flush_tlb_multi is not the kernel's own here: a virtual CPU that was not running stays behind \
     in its generations, and R3 and R4 stay undecided",
);

/// The functions whose serializing instructions a probe may sit on, and what is known without one.
const PROMISES: [(&str, &str); 2] = [
    ("finish_task_switch", "whether finish_task_switch serialized, each time"),
    ("ipi_sync_core", "whether ipi_sync_core serialized, each time"),
];
const PROMISE_WHY: &str = "no probe sits on the instruction; known from the kernel's text or its \
                           source, as the evidence says";

/// What can't be seen here: what the mode does not show, what the missing probes would have, and what
/// there was to be checked and was not.
pub(super) fn spots(
    facts: &Facts,
    closing: &Closing,
    engine: &Engine<impl Observer>,
) -> Vec<Blindness> {
    let named = named(facts, closing, engine)
        .into_iter()
        .map(|(what, why)| Blindness { what: what.to_owned(), why: why.to_owned() });
    let imported = match &facts.origin {
        Origin::Probes | Origin::Explored { .. } => &[][..],
        Origin::Import { missing, .. } => missing,
    };
    let imported =
        imported.iter().map(|(what, why)| Blindness { what: what.clone(), why: why.clone() });
    let missing = closing.losses.iter().map(|loss| Blindness {
        what: loss.lost.clone(),
        why: format!("{}: {}", loss.name, loss.why),
    });
    let dark = engine.dark_tasks();
    let dark = (!dark.is_empty()).then(|| Blindness {
        what: format!("what these threads do: {}", dark.join(", ")),
        why: match &facts.origin {
            Origin::Probes | Origin::Explored { .. } => {
                "this kernel runs no probes while they are current; their switches out are inferred"
            }
            Origin::Import { .. } => {
                "they were switched in and never out: the kernel tells nothing while they are \
                 current, or a filter or a loss that is not told took it"
            }
        }
        .to_owned(),
    });
    named.chain(imported).chain(missing).chain(dark).chain(unchecked(closing)).collect()
}

fn named(facts: &Facts, closing: &Closing, engine: &Engine<impl Observer>) -> Vec<Spot> {
    let mut spots: Vec<Spot> = Vec::new();
    if facts.origin != Origin::Probes {
        // What an import lacks, it names itself.
        return spots;
    }
    match facts.mode {
        Mode::Tracepoint => spots.extend(TRACEPOINT),
        Mode::Full => {
            spots.extend(FULL);
            let config = engine.config();
            spots.extend(config.invlpgb.then_some(BROADCAST));
            spots.extend(config.pv_flush.then_some(HYPERVISOR));
            for (function, what) in PROMISES {
                let probed = |probe: &Probe| {
                    probe.kind == ProbeKind::Kprobe.name()
                        && probe.state == Attach::Attached
                        && probe.name.starts_with(function)
                };
                if !closing.probes.iter().any(probed) {
                    spots.push((what, PROMISE_WHY));
                }
            }
        }
    }
    spots.extend(ALWAYS);
    spots
}

/// What was there to be checked and was not: runs of programs that the kernel skipped, as far as
/// nothing else depends on them, and readings that were thrown away.
fn unchecked(closing: &Closing) -> Vec<Blindness> {
    let mut spots: Vec<_> = closing
        .missed
        .iter()
        .filter(|missed| !missed.lost)
        .map(|MissedRuns { probe, gives, count, .. }| Blindness {
            what: format!("{count} times: {gives}"),
            why: format!(
                "{probe}: the kernel doesn't run a program for one task while it is in progress for \
                 another that was preempted in it on that CPU"
            ),
        })
        .collect();
    if closing.disturbed > 0 {
        spots.push(Blindness {
            what: format!(
                "{} times: the kernel's variables where a probe stood",
                closing.disturbed
            ),
            why:
                "an interrupt or another task came in between, so that they were not of one moment"
                    .to_owned(),
        });
    }
    spots
}
