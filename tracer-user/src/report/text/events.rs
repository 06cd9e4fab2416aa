//! What arrived, by kind, and what was lost.

use crate::report::{Lost, Report};

use super::{
    lists,
    number::{count, duration},
    page::{Ink, Line, Page},
    plain,
};

/// Room for a kind's name and its count before the next column begins.
const CELL: usize = 46;

pub(super) fn section(report: &Report, page: &mut Page) {
    let events = &report.events;
    let aside = format!("{}, {} lost", count(events.total), count(events.lost.total));
    page.heading("Events", &aside);
    let mut kinds: Vec<_> = events.by_kind.iter().filter(|(_, n)| **n > 0).collect();
    kinds.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    let across = (page.width().saturating_sub(2) / (CELL + 2)).max(1);
    let down = kinds.len().div_ceil(across);
    for at in 0..down {
        let mut line = Line::new();
        // Column by column, so that the order reads downwards.
        for (kind, n) in kinds.iter().skip(at).step_by(down) {
            let n = count(**n);
            let room = CELL - plain::width(&n) - 1;
            let kind = plain::clip(&plain::printable(kind), room);
            let pad = " ".repeat(room - plain::width(&kind) + 1);
            line = line.text("  ").text(&kind).text(&pad).text(&n);
        }
        page.line(line);
    }
    lost(&events.lost, page);
    let mut say = |text: &str| page.hanging(Line::new().text("  "), Ink::Dim, text);
    if events.out_of_order > 0 {
        say(&format!("{} came too late to be put in order", count(events.out_of_order)));
    }
    if events.unreadable > 0 {
        say(&format!("{} could not be read", count(events.unreadable)));
    }
    if let Some(coverage) = report.syscall_coverage {
        say(&format!(
            "system calls were watched for {} of {}: while a SYNC_CORE-registered mm existed",
            duration(coverage.attached_ns),
            duration(coverage.window_ns),
        ));
    }
}

fn lost(lost: &Lost, page: &mut Page) {
    if lost.total == 0 {
        return;
    }
    let mut cpus: Vec<_> = lost.by_cpu.iter().enumerate().filter(|(_, n)| **n > 0).collect();
    cpus.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    let cpus = cpus.into_iter().map(|(cpu, n)| format!("CPU {cpu}: {}", count(*n)));
    let mut probes: Vec<_> = lost.by_probe.iter().filter(|(_, n)| **n > 0).collect();
    probes.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    let probes = probes.into_iter().map(|(probe, n)| format!("{probe}: {}", count(*n)));
    for items in [lists::some(cpus, 12), lists::some(probes, 12)] {
        if !items.is_empty() {
            let lead = Line::new().text("  ").ink(Ink::Doubt, "lost").text("  ");
            page.hanging(lead, Ink::Plain, &items);
        }
    }
}
