//! mms: what each process asked of membarrier and of the TLBs.

use ratatui::layout::Rect;

use super::{
    super::{
        snapshot::{MmRow, Snapshot},
        state::State,
        theme::Tone,
    },
    Shown,
    canvas::Canvas,
    table::{self, Cell, Column, Row, left, right},
    words,
};
use crate::report::text::{Ink, Line, Page, compact, count, mm, thread};

const COLUMNS: &[Column] = &[
    right("mm", 5, 8, 0),
    left("owner", 10, 24, 1),
    left("reg", 4, 28, 2),
    right("calls", 6, 6, 3),
    right("sync_core", 9, 9, 8),
    right("cost", 7, 8, 4),
    right("targets", 7, 7, 5),
    right("lazy", 6, 6, 6),
    right("idle", 6, 6, 7),
    right("other", 6, 6, 9),
    right("flushes", 7, 7, 10),
    right("sent", 6, 6, 11),
    right("recv", 6, 6, 12),
    right("on", 3, 3, 13),
    right("kept", 4, 4, 14),
    right("private", 7, 7, 15),
    right("rseq", 6, 6, 16),
    right("global", 6, 6, 17),
    right("failed", 6, 6, 18),
];

pub(super) fn columns() -> &'static [Column] {
    COLUMNS
}

pub(super) fn rows(shown: &Shown<'_>, state: &State) -> Vec<Row> {
    let mms = shown.snapshot.mms.iter().filter(|mm| state.filter.matches(*mm));
    mms.map(|mm| row_of(mm, shown.snapshot)).collect()
}

/// CPUs whose logical mm it is, and CPUs that keep it loaded without.
fn where_it_is(id: u64, snapshot: &Snapshot) -> (u64, u64) {
    let cpus = || snapshot.cpus.iter().map(|cpu| &cpu.state);
    let on = cpus().filter(|cpu| cpu.logical_mm == Some(id)).count() as u64;
    let kept = cpus().filter(|cpu| cpu.logical_mm != Some(id) && cpu.real_mm == Some(id)).count();
    (on, kept as u64)
}

fn row_of(row: &MmRow, snapshot: &Snapshot) -> Row {
    let state = &row.state;
    let number = |n: u64| Cell::number(n, compact(n));
    let maybe = |n: Option<u64>| n.map_or_else(Cell::unknown, number);
    let skipped = &state.skipped;
    let (on, kept) = where_it_is(state.id, snapshot);
    let letters: String = state.registered.iter().filter_map(|name| name.chars().next()).collect();
    let owner = Cell::text(thread(state.comm.as_deref(), state.tgid));
    Row {
        key: state.id,
        cells: vec![
            Cell::number(state.id, mm(Some(state.id))),
            if row.gone { owner.tone(Tone::Dim) } else { owner },
            Cell::text(state.registered.join(",")).short(letters),
            number(state.membarrier.calls()),
            number(state.membarrier.sync_core),
            row.membarrier_ns.map_or_else(Cell::unknown, |ns| Cell::number(ns, words::short(ns))),
            number(state.targeted),
            number(skipped.kthread_lazy.saturating_add(skipped.idle_lazy)).tone(Tone::Lazy),
            number(skipped.idle_other),
            number(
                skipped
                    .other_mm
                    .saturating_add(skipped.kthread_other)
                    .saturating_add(skipped.offline)
                    .saturating_add(skipped.raced)
                    .saturating_add(skipped.unknown),
            ),
            maybe(row.flushes),
            maybe(row.shootdowns_sent),
            maybe(row.shootdowns_received),
            number(on),
            number(kept),
            number(state.membarrier.private),
            number(state.membarrier.rseq),
            number(state.membarrier.global),
            number(state.membarrier.failed),
        ],
    }
}

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, shown: &Shown<'_>, state: &mut State) {
    let rows = rows(shown, state);
    if rows.is_empty() {
        let text = "No process has registered for membarrier, called it, or been flushed yet.";
        super::nothing(canvas, area, shown, state, text);
        return;
    }
    table::draw(canvas, area, state, COLUMNS, rows);
}

/// An mm in sentences.
pub(super) fn detail(row: &MmRow, snapshot: &Snapshot, page: &mut Page) {
    let state = &row.state;
    let mut say = |label: &str, text: &str| {
        page.hanging(Line::new().ink(Ink::Dim, &format!("{label:<11}")), Ink::Plain, text);
    };
    let gone = if row.gone { "; it has been freed" } else { "" };
    let who = thread(state.comm.as_deref(), state.tgid);
    say("mm", &format!("{}, of {who}{gone}", mm(Some(state.id))));
    let registered = if state.registered.is_empty() {
        "for nothing, as far as seen".to_owned()
    } else {
        format!("for {}", state.registered.join(", "))
    };
    say("registered", &registered);
    let calls = &state.membarrier;
    say(
        "calls",
        &format!(
            "{} SYNC_CORE ({} known by their IPIs only), {} private, {} rseq, {} global; {} \
             registrations, {} failed",
            count(calls.sync_core),
            count(calls.sync_core_inferred),
            count(calls.private),
            count(calls.rseq),
            count(calls.global),
            count(calls.register),
            count(calls.failed)
        ),
    );
    if let Some(ns) = row.membarrier_ns {
        say("cost", &format!("{} in membarrier calls", words::short(ns)));
    }
    say("targeted", &format!("{} CPUs by its SYNC_CORE calls, summed", count(state.targeted)));
    for (reason, n) in state.skipped.by_reason().into_iter().filter(|&(_, n)| n > 0) {
        say("left alone", &format!("{} times: {}", count(n), words::left_alone(reason)));
    }
    let (on, kept) = where_it_is(state.id, snapshot);
    say("now", &format!("logical mm of {on} CPUs; {kept} more keep it loaded"));
    let maybe = |n: Option<u64>| n.map_or_else(|| "not seen in this mode".to_owned(), count);
    say("flushes", &maybe(row.flushes));
    say(
        "shootdowns",
        &format!(
            "IPIs sent: {}; received: {}",
            maybe(row.shootdowns_sent),
            maybe(row.shootdowns_received)
        ),
    );
}
