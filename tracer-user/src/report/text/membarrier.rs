//! membarrier calls, by mm.

use crate::report::{Membarrier, Mm, Report, Skipped};

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
    if report.mms.is_empty() {
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
        table.row(row(m, &mm(Some(m.id)), &thread(m.comm.as_deref(), m.tgid)));
    }
    if !rest.is_empty() {
        let sum = sum(rest.iter().copied());
        table.row(row(&sum, "", &format!("{} more", count(rest.len() as u64))));
    }
    table.show(page);
    let all = sum(mms.into_iter());
    remarks(&all, report.mms_omitted, page);
}

fn row(m: &Mm, id: &str, name: &str) -> Vec<Cell> {
    let failed = Cell::number(m.membarrier.failed);
    vec![
        Cell::text(id),
        Cell::text(name),
        Cell::text(&m.registered.join(",")),
        Cell::number(m.membarrier.sync_core),
        Cell::number(m.membarrier.private),
        Cell::number(m.membarrier.rseq),
        Cell::number(m.membarrier.global),
        if m.membarrier.failed > 0 { failed.ink(Ink::Doubt) } else { failed },
        Cell::number(m.targeted),
        Cell::number(m.skipped.total()),
    ]
}

fn remarks(all: &Mm, omitted: u64, page: &mut Page) {
    let mut say = |text: &str| page.hanging(Line::new().text("  "), Ink::Dim, text);
    let reasons = all.skipped.by_reason().into_iter().filter(|&(_, n)| n > 0);
    let reasons = lists::some(reasons.map(|(why, n)| format!("{why} {}", count(n))), 8);
    if !reasons.is_empty() {
        say(&format!("skipped by reason: {reasons}"));
    }
    if all.membarrier.sync_core_inferred > 0 {
        say(&format!(
            "{} of the sync_core calls were counted by their IPI: they began before the system \
             call probes were attached",
            count(all.membarrier.sync_core_inferred)
        ));
    }
    if omitted > 0 {
        say(&format!("{} further mms are not listed", count(omitted)));
    }
}

/// Several mms as one, for a row of sums.
fn sum<'a>(mms: impl Iterator<Item = &'a Mm>) -> Mm {
    let mut all = Mm::default();
    let add = |to: &mut u64, n: u64| *to = to.saturating_add(n);
    for m in mms {
        // Destructured in full: a new count must not be forgotten here.
        let Membarrier { sync_core, sync_core_inferred, private, global, rseq, register, failed } =
            m.membarrier;
        let to = &mut all.membarrier;
        add(&mut to.sync_core, sync_core);
        add(&mut to.sync_core_inferred, sync_core_inferred);
        add(&mut to.private, private);
        add(&mut to.global, global);
        add(&mut to.rseq, rseq);
        add(&mut to.register, register);
        add(&mut to.failed, failed);
        add(&mut all.targeted, m.targeted);
        let Skipped {
            kthread_lazy,
            kthread_other,
            idle_lazy,
            idle_other,
            other_mm,
            offline,
            raced,
            unknown,
        } = m.skipped;
        let to = &mut all.skipped;
        add(&mut to.kthread_lazy, kthread_lazy);
        add(&mut to.kthread_other, kthread_other);
        add(&mut to.idle_lazy, idle_lazy);
        add(&mut to.idle_other, idle_other);
        add(&mut to.other_mm, other_mm);
        add(&mut to.offline, offline);
        add(&mut to.raced, raced);
        add(&mut to.unknown, unknown);
    }
    all
}
