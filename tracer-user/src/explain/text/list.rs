//! What there is to be explained.

use super::{
    super::schema::{BelongsTo, Call, Explanation, List},
    some,
};
use crate::report::text::{
    Cell, Ink, Kind, Line, Page, Table, count, duration, mm, relative_us, thread,
};

/// More findings than this do not help in text; the JSON has all that were kept.
const MOST_FINDINGS: usize = 20;

pub(super) fn put(explanation: &Explanation, list: &List, page: &mut Page) {
    let start = explanation.window_start_ns;
    let text = format!(
        "{} and {} in {}",
        some(explanation.calls_total, "SYNC_CORE call", "SYNC_CORE calls"),
        some(explanation.findings_total, "finding", "findings"),
        duration(explanation.window_end_ns.saturating_sub(start)),
    );
    page.hanging(Line::new(), Ink::Head, &text);
    if explanation.from_ns.or(explanation.to_ns).is_some() {
        let text = "Counted in the part that was asked for: --call and --finding take these numbers \
                    with the same --from and --to.";
        page.hanging(Line::new(), Ink::Dim, text);
    }
    if let Some(filter) = &list.filter {
        let text = format!(
            "{filter}: {} and {} are left out",
            some(list.calls_hidden, "call", "calls"),
            some(list.findings_hidden, "finding", "findings"),
        );
        page.hanging(Line::new(), Ink::Doubt, &text);
    }
    if !list.calls.is_empty() {
        page.heading("Calls", "--call N; times in us since the window opened");
        calls(&list.calls, start, page);
        if list.calls_omitted > 0 {
            let more = format!("and {} more, by their numbers", count(list.calls_omitted));
            page.line(Line::new().text("  ").ink(Ink::Dim, &more));
        }
    }
    // They may be among the first, and few are told twice for the sake of one table.
    if list.calls_omitted > 0 && !list.slowest.is_empty() {
        page.heading("The slowest", "the longest first");
        calls(&list.slowest, start, page);
    }
    if !list.findings.is_empty() {
        page.heading("Findings", "--finding N");
        for one in list.findings.iter().take(MOST_FINDINGS) {
            let lead = Line::new()
                .text(&format!("  {}. ", one.number))
                .ink(Ink::Bad, &one.rule)
                .text("  ");
            let belongs = match one.belongs_to {
                BelongsTo::Call { number: Some(number), .. } => format!(" (call {number})"),
                _ => String::new(),
            };
            page.hanging(lead, Ink::Plain, &format!("{}{belongs}", one.summary));
        }
        let more = list.findings.len().saturating_sub(MOST_FINDINGS) as u64;
        for (more, what) in [(more, "by their numbers"), (list.findings_omitted, "not kept")] {
            if more > 0 {
                let more = format!("and {} more, {what}", count(more));
                page.line(Line::new().text("  ").ink(Ink::Dim, &more));
            }
        }
    }
}

fn calls(calls: &[Call], start: u64, page: &mut Page) {
    let mut table = Table::new(&[
        ("call", Kind::Right),
        ("began", Kind::Right),
        ("cpu", Kind::Right),
        ("thread", Kind::Text),
        ("mm", Kind::Right),
        ("took", Kind::Right),
        ("targeted", Kind::Number),
        ("skipped", Kind::Number),
        ("returned", Kind::Right),
    ]);
    for call in calls {
        let returned = call.returned.map_or_else(|| "?".to_owned(), |ret| ret.to_string());
        table.row(vec![
            Cell::text(&call.number.to_string()),
            Cell::text(&relative_us(call.begin_ns, start)),
            Cell::text(&call.cpu.to_string()),
            Cell::text(&thread(call.comm.as_deref(), Some(call.tid))),
            Cell::text(&mm(Some(call.mm))),
            Cell::text(&call.latency_ns.map_or_else(|| "?".to_owned(), duration)),
            Cell::maybe(call.targeted.map(u64::from)),
            Cell::maybe(call.skipped.map(u64::from)),
            Cell::text(&returned).ink(if call.returned.is_some_and(|ret| ret < 0) {
                Ink::Doubt
            } else {
                Ink::Plain
            }),
        ]);
    }
    table.show(page);
}
