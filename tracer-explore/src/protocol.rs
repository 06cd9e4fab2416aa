//! Protocols by name: who serializes where, so that versions and proposals can be compared.

/// What a kernel does about lazy TLBs and membarrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a kernel")]
pub struct Protocol {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// `finish_task_switch` serializes if `rq->prev_mm` is the new task's mm.
    pub finish_syncs: bool,
    /// `context_switch` and `kthread_use_mm` serialize if the mm was kept lazily (the mailed hook
    /// `exit_lazy_tlb`).
    pub exit_lazy_syncs: bool,
    /// `context_switch`, `kthread_use_mm` and `exec_mmap` serialize whenever the logical mm becomes a
    /// registered one (the mail's rule).
    pub logical_syncs: bool,
    /// `kthread_use_mm` serializes if it takes a registered mm that it had borrowed.
    pub use_syncs: bool,
    /// The call looks again at `rq->curr` after it has seen a task without the caller's mm.
    pub scan_rechecks: bool,
    /// `should_flush_tlb` looks at `loaded_mm` (6.16, and its backports); else at `is_lazy` alone.
    pub flush_looks_at_mm: bool,
    /// A flush is broadcast (INVLPGB): no IPI, no serialization, and no generations.
    pub invlpgb: bool,
    /// SYNC_CORE is a flush of the whole mm.
    pub call_flushes: bool,
}

const LINUX: Protocol = Protocol {
    name: "linux-6.12",
    about: "Linux 6.12.117",
    finish_syncs: true,
    exit_lazy_syncs: false,
    logical_syncs: false,
    use_syncs: false,
    scan_rechecks: false,
    flush_looks_at_mm: true,
    invlpgb: false,
    call_flushes: false,
};

/// All of them.
pub const PROTOCOLS: &[Protocol] = &[
    Protocol {
        name: "linux-6.1",
        about: "Linux 6.1: as 6.12, but a flush asks a CPU only whether it is lazy",
        flush_looks_at_mm: false,
        ..LINUX
    },
    LINUX,
    Protocol {
        name: "linux-6.18",
        about: "Linux 6.18, as far as known: in these steps the same as 6.12",
        ..LINUX
    },
    Protocol {
        name: "linux-6.18-invlpgb",
        about: "Linux 6.18 where the mm has a global ASID (AMD): flushes are broadcast",
        invlpgb: true,
        ..LINUX
    },
    Protocol {
        name: "linux-6.12-repaired",
        about: "Linux 6.12 whose kthread_use_mm serializes when it takes a registered mm that the \
                thread had borrowed, and whose call looks again at rq->curr before it leaves a CPU out",
        use_syncs: true,
        scan_rechecks: true,
        ..LINUX
    },
    Protocol {
        name: "linux-6.12-use-syncs",
        about: "the first half of the repair alone",
        use_syncs: true,
        ..LINUX
    },
    Protocol {
        name: "sync-on-logical-switch",
        about: "the mail's rule: whatever makes a registered mm the logical one serializes (and the \
                call looks again)",
        finish_syncs: false,
        logical_syncs: true,
        scan_rechecks: true,
        ..LINUX
    },
    Protocol {
        name: "exit-lazy-tlb",
        about: "the patch that the mail answers: a hook where an mm ceases to be lazy serializes, in \
                context_switch and in kthread_use_mm (and the call looks again)",
        finish_syncs: false,
        exit_lazy_syncs: true,
        scan_rechecks: true,
        ..LINUX
    },
    Protocol {
        name: "flush-as-membarrier",
        about: "the mail's remark: SYNC_CORE is flush_tlb_mm, and nothing else serializes",
        finish_syncs: false,
        call_flushes: true,
        ..LINUX
    },
    Protocol {
        name: "flush-as-membarrier-invlpgb",
        about: "the same, where flushes are broadcast",
        finish_syncs: false,
        call_flushes: true,
        invlpgb: true,
        ..LINUX
    },
];

/// The protocol of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Protocol> {
    PROTOCOLS.iter().find(|protocol| protocol.name == name)
}
