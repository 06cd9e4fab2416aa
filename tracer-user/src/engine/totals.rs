//! What membarrier did with an mm, in the report's terms.

use tracer_common::model::{CallCounts, Mm, SKIPS};

use crate::report;

pub(super) const fn of(mm: &Mm) -> report::MembarrierTotal {
    report::MembarrierTotal {
        calls: calls(&mm.calls),
        targeted: mm.targeted,
        skipped: skipped(&mm.skipped),
    }
}

const fn calls(counts: &CallCounts) -> report::Membarrier {
    let CallCounts { sync_core, sync_core_inferred, private, global, rseq, register, failed } =
        *counts;
    report::Membarrier { sync_core, sync_core_inferred, private, global, rseq, register, failed }
}

const fn skipped(by: &[u64; SKIPS]) -> report::Skipped {
    // In the order of tracer_common::model::Skip.
    let [kthread_lazy, kthread_other, idle_lazy, idle_other, other_mm, offline, raced, unknown] =
        *by;
    report::Skipped {
        kthread_lazy,
        kthread_other,
        idle_lazy,
        idle_other,
        other_mm,
        offline,
        raced,
        unknown,
    }
}
