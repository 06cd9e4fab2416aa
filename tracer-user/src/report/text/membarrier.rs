//! membarrier calls, by mm.

use crate::report::{MembarrierTotal, Mm, NO_MM, Report};

use super::{
    lists,
    number::count,
    page::{Ink, Line, Page},
    seen::{mm, thread},
    table::{Cell, Kind, Table},
};

/// So many mms get a row; the rest share one.
const MOST: usize = 10;

pub(super) fn section(report: &Report, page: &mut Page) {
    let hidden = report.hidden().mms_hidden;
    if report.mms.is_empty() && hidden == 0 {
        return;
    }
    page.heading("membarrier", "calls by mm; targeted and skipped count CPUs over SYNC_CORE calls");
    let mut mms: Vec<&Mm> = report.mms.iter().collect();
    mms.sort_by_key(|m| (std::cmp::Reverse(m.membarrier.calls()), m.id));
    let (top, rest) = mms.split_at(mms.len().min(MOST));
    let mut table = Table::new(&[
        ("mm", Kind::Right),
        ("process", Kind::Text),
        ("registered", Kind::Text),
        ("sync_core", Kind::Number),
        ("private", Kind::Number),
        ("rseq", Kind::Number),
        ("global", Kind::Number),
        ("failed", Kind::Number),
        ("targeted", Kind::Number),
        ("skipped", Kind::Number),
    ]);
    for m in top {
        let process = thread(m.comm.as_deref(), m.tgid);
        table.row(row(
            &mm((m.id != NO_MM).then_some(m.id)),
            &process,
            &m.registered.join(","),
            &m.total(),
        ));
    }
    if !rest.is_empty() {
        let more = format!("{} more", count(rest.len() as u64));
        table.row(row("", &more, "", &sum(rest)));
    }
    if !top.is_empty() {
        table.show(page);
    }
    remarks(&sum(&mms), report.mms_omitted, page);
    lists::hidden(hidden, page);
}

fn row(id: &str, process: &str, registered: &str, total: &MembarrierTotal) -> Vec<Cell> {
    let failed = Cell::number(total.calls.failed);
    vec![
        Cell::text(id),
        Cell::text(process),
        Cell::text(registered),
        Cell::number(total.calls.sync_core),
        Cell::number(total.calls.private),
        Cell::number(total.calls.rseq),
        Cell::number(total.calls.global),
        if total.calls.failed > 0 { failed.ink(Ink::Doubt) } else { failed },
        Cell::number(total.targeted),
        Cell::number(total.skipped.total()),
    ]
}

fn remarks(all: &MembarrierTotal, omitted: u64, page: &mut Page) {
    let mut say = |text: &str| page.hanging(Line::new().text("  "), Ink::Dim, text);
    let reasons = all.skipped.by_reason().into_iter().filter(|&(_, n)| n > 0);
    let reasons = lists::some(reasons.map(|(why, n)| format!("{why} {}", count(n))), 8);
    if !reasons.is_empty() {
        say(&format!("skipped by reason: {reasons}"));
    }
    if all.calls.sync_core_inferred > 0 {
        say(&format!(
            "{} of the sync_core calls were counted by their IPI: they began before the system \
             call probes were attached",
            count(all.calls.sync_core_inferred)
        ));
    }
    if omitted > 0 {
        say(&format!("{} further mms are not listed", count(omitted)));
    }
}

/// Several mms together.
fn sum(mms: &[&Mm]) -> MembarrierTotal {
    let mut all = MembarrierTotal::default();
    for mm in mms {
        all.add(&mm.total());
    }
    all
}
