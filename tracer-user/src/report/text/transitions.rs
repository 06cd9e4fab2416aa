//! How logical and real mm moved, and how CPUs went back to user mode.

use crate::report::{CrossCheck, Report};

use super::{
    number::{count, percent},
    page::{Ink, Page},
    table::{Cell, Kind, Table},
};

pub(super) fn section(report: &Report, page: &mut Page) {
    let t = &report.transitions;
    page.heading("Transitions", "");
    let mut table = Table::new(&[("", Kind::Text), ("", Kind::Number), ("", Kind::Wrapped)]);
    let mut row = |name: &str, n: Option<u64>, note: &str| {
        table.row(vec![Cell::text(name), Cell::maybe(n), Cell::text(note).ink(Ink::Dim)]);
    };
    let switches = report.crosscheck.as_ref().map_or_else(String::new, crosscheck);
    row("context switches", Some(t.switches), &switches);
    if t.unseen_switches > 0 {
        row("  not told by events", Some(t.unseen_switches), "threads without probes; see below");
    }
    row("logical mm changes", t.logical_changes, "");
    row("enter lazy", t.enter_lazy, "a kernel thread keeps the mm");
    row("unlazy, same mm", t.unlazy_same_mm, "no CR3 write: does not serialize");
    row("unlazy, flushed", t.unlazy_flushed, "flush generation was behind: CR3 written");
    row("lazy to init_mm", t.lazy_to_init_mm, "remote flush or deep idle");
    row("CR3 writes", t.cr3_writes, "");

    let u = &report.user_returns;
    let all = u.observed.saturating_add(u.inferred);
    let share = |n: u64| match all {
        0 => String::new(),
        all => format!("{} %", percent(n.into(), all.into())),
    };
    row("returns to user", Some(all), &returns(u.observed, u.inferred));
    row("  by SYSRET", Some(u.sysret), &share(u.sysret));
    row("  by IRET", Some(u.iret), &share(u.iret));
    row("  by unknown way", Some(u.unknown), &share(u.unknown));
    table.show(page);
}

fn crosscheck(check: &CrossCheck) -> String {
    format!("/proc/stat: {} ({:+.3} %)", count(check.proc_stat_ctxt), check.relative * 100.0)
}

fn returns(observed: u64, inferred: u64) -> String {
    if observed == 0 && inferred == 0 {
        return String::new();
    }
    format!("{} observed, {} inferred", count(observed), count(inferred))
}
