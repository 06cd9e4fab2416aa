//! A finding, with what led there.

use super::super::schema::{BelongsTo, ExplainedFinding, Explanation};
use crate::report::text::{Ink, Line, Page, chain, mm, moment, place, relative_us};

pub(super) fn put(explanation: &Explanation, found: &ExplainedFinding, page: &mut Page) {
    let ExplainedFinding { finding, belongs_to } = found;
    let lead = Line::new()
        .ink(Ink::Head, &format!("Finding {}: ", finding.number))
        .ink(Ink::Bad, &format!("{} {}", finding.rule, finding.severity.name()))
        .text("  ");
    page.hanging(lead, Ink::Plain, &place(finding));
    page.hanging(Line::new().text("  "), Ink::Plain, &finding.summary);
    let belongs = belongs(belongs_to, finding.ts_ns);
    if !belongs.is_empty() {
        page.hanging(Line::new().text("  "), Ink::Plain, &format!("It belongs to {belongs}."));
    }
    page.heading("What led there", "times in us before the finding");
    chain(&finding.chain, finding.ts_ns, page);
    let at = format!("at {} s of {}", moment(finding.ts_ns), explanation.clock);
    page.line(Line::new().text("  ").ink(Ink::Dim, &at));
}

/// What a finding at `ts_ns` belongs to, in words; empty if that is only itself.
pub(crate) fn belongs(belongs_to: &BelongsTo, ts_ns: u64) -> String {
    let ago = |ts: u64| format!("{} us", relative_us(ts, ts_ns));
    match *belongs_to {
        BelongsTo::Call { number: Some(number), .. } => format!("call {number}, explained below"),
        BelongsTo::Call { number: None, begin_ns } => format!(
            "a call that began at {}: before the window, or too many calls ago to have a number here",
            ago(begin_ns)
        ),
        BelongsTo::Switch { ts_ns, prev_tid, prev_mm, next_tid, next_mm } => format!(
            "the switch at {} from thread {prev_tid} (mm {}) to thread {next_tid} (mm {})",
            ago(ts_ns),
            mm(Some(prev_mm)),
            mm(Some(next_mm))
        ),
        BelongsTo::MmChange { ts_ns } => format!(
            "a change of the logical mm without a switch (kthread_use_mm, exec), at {} or later",
            ago(ts_ns)
        ),
        BelongsTo::Flush { ts_ns } => format!("a flush, at {}", ago(ts_ns)),
        BelongsTo::Nothing => String::new(),
    }
}
