//! The CPUs as they were at the end of the window.

use crate::report::{Cpu, Report};

use super::{
    lists,
    number::{count, duration},
    page::{Ink, Line, Page},
    seen::{mm, thread},
    table::{Cell, Kind, Table},
};

/// More rows than this do not help; the JSON has them all.
const MOST: usize = 32;

pub(super) fn section(report: &Report, page: &mut Page) {
    let hidden = report.hidden().cpus_hidden;
    if report.cpus.is_empty() && hidden == 0 {
        return;
    }
    page.heading("CPUs", "at the end of the window; - is no mm, ? is unknown");
    let mut table = Table::new(&[
        ("cpu", Kind::Right),
        ("thread", Kind::Text),
        ("logical", Kind::Right),
        ("active", Kind::Right),
        ("real", Kind::Right),
        ("lazy", Kind::Text),
        ("last sync", Kind::Right),
        ("by", Kind::Text),
        ("evidence", Kind::Text),
        ("inconclusive", Kind::Number),
    ]);
    let shown = choose(&report.cpus);
    for cpu in &shown {
        table.row(row(cpu));
    }
    if !shown.is_empty() {
        table.show(page);
    }
    let left_out = report.cpus.len() - shown.len();
    if left_out > 0 {
        let more = format!("{} more CPUs, in the JSON", count(left_out as u64));
        page.line(Line::new().text("  ").ink(Ink::Dim, &more));
    }
    lists::hidden(hidden, page);
}

/// All of them if they are few; else first those that were in doubt, and in their order.
fn choose(cpus: &[Cpu]) -> Vec<&Cpu> {
    let mut all: Vec<&Cpu> = cpus.iter().collect();
    if all.len() > MOST {
        all.sort_by_key(|c| (c.known, std::cmp::Reverse(c.inconclusive)));
        all.truncate(MOST);
        all.sort_by_key(|c| c.cpu);
    }
    all
}

fn row(cpu: &Cpu) -> Vec<Cell> {
    let lazy = match cpu.lazy {
        None => "?",
        Some(true) => "lazy",
        Some(false) => "no",
    };
    let (ago, cause, evidence) = match &cpu.last_sync {
        Some(sync) => {
            (format!("{} ago", duration(sync.ns_ago)), sync.cause.as_str(), sync.evidence.name())
        }
        None => ("?".to_owned(), "?", "?"),
    };
    let number = Cell::text(&cpu.cpu.to_string());
    let doubts = Cell::number(cpu.inconclusive);
    vec![
        if cpu.known { number } else { number.ink(Ink::Doubt) },
        Cell::text(&if cpu.known {
            thread(cpu.comm.as_deref(), cpu.tid)
        } else {
            "state unknown".to_owned()
        }),
        Cell::text(&mm(cpu.logical_mm)),
        Cell::text(&mm(cpu.active_mm)),
        Cell::text(&mm(cpu.real_mm)),
        Cell::text(lazy),
        Cell::text(&ago),
        Cell::text(cause),
        Cell::text(evidence),
        if cpu.inconclusive > 0 { doubts.ink(Ink::Doubt) } else { doubts },
    ]
}
