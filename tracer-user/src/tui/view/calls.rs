//! Calls: membarrier calls and flushes, each with what became of every CPU.

use ratatui::layout::Rect;

use super::{
    super::{
        snapshot::{CallKind, CallRow, Cover, Snapshot},
        state::{Key, State},
        theme::Tone,
    },
    Shown,
    canvas::{Canvas, bottom, plain},
    table::{self, Cell, Column, Row, left, right},
    words,
};
use crate::report::text::{Ink, Line, Page, mm, moment, thread};

const COLUMNS: &[Column] = &[
    right("#", 4, 7, 0),
    right("ago", 8, 9, 1),
    left("kind", 6, 10, 4),
    right("cpu", 3, 4, 5),
    left("thread", 10, 22, 2),
    right("mm", 5, 22, 3),
    right("took", 8, 8, 1),
    right("tgt", 3, 4, 6),
    right("skip", 4, 4, 7),
    right("ret", 3, 4, 9),
    left("per CPU", 7, 512, 8),
];

pub(super) fn columns() -> &'static [Column] {
    COLUMNS
}

/// The key of a call: numbers of different kinds overlap.
pub(crate) fn key(row: &CallRow) -> Key {
    row.call.number.wrapping_mul(4).wrapping_add(row.kind as u64)
}

/// What became of a CPU, in one character.
pub(super) const fn mark(cover: Cover) -> char {
    match cover {
        Cover::Unknown => '?',
        Cover::Own => '@',
        Cover::Targeted => '#',
        Cover::KthreadLazy => 'z',
        Cover::IdleLazy => 'l',
        Cover::KthreadOther => 'k',
        Cover::IdleOther => 'i',
        Cover::OtherMm => 'o',
        Cover::Offline => 'x',
        Cover::Raced => 'r',
    }
}

/// The characters of [`mark`] in words.
pub(super) const LEGEND: &str = "@ the caller's own  # interrupted; left alone: z kernel thread, lazy on \
                                 it  l idle, lazy on it  k kernel thread  i idle  o another process  x \
                                 offline  r raced  ? not known";

/// CPUs of one call in a line; where they are many, how many of each.
fn coverage(row: &CallRow) -> (String, String) {
    let marks: String = row.coverage.iter().map(|&cover| mark(cover)).collect();
    let mut kinds: Vec<(char, usize)> = Vec::new();
    for mark in marks.chars() {
        match kinds.iter_mut().find(|(kind, _)| *kind == mark) {
            Some((_, n)) => *n += 1,
            None => kinds.push((mark, 1)),
        }
    }
    let short: Vec<String> = kinds.iter().map(|(mark, n)| format!("{n}{mark}")).collect();
    (marks, short.join(" "))
}

pub(super) fn rows(shown: &Shown<'_>, state: &State) -> Vec<Row> {
    // The newest first: one follows it.
    let calls = shown.snapshot.calls.iter().rev().filter(|call| state.filter.matches(*call));
    calls.map(|row| row_of(row, shown.snapshot)).collect()
}

fn row_of(row: &CallRow, snapshot: &Snapshot) -> Row {
    let call = &row.call;
    let ago = snapshot.moment.at_ns.saturating_sub(call.begin_ns);
    let number = |n: Option<u32>| {
        n.map_or_else(Cell::unknown, |n| Cell::number(u64::from(n), n.to_string()))
    };
    let (marks, short) = coverage(row);
    Row {
        key: key(row),
        cells: vec![
            Cell::number(call.number, call.number.to_string()),
            Cell::text(words::short(ago)).by(-(ago as f64)),
            Cell::text(row.kind.name()).short(match row.kind {
                CallKind::SyncCore => "sync_c",
                CallKind::Membarrier => "membar",
                CallKind::Flush => "flush",
            }),
            Cell::number(u64::from(call.cpu), call.cpu.to_string()),
            Cell::text(thread(call.comm.as_deref(), Some(call.tid))),
            Cell::text(words::mm_of(Some(call.mm), snapshot))
                .short(mm(Some(call.mm)))
                .by(call.mm as f64),
            match (call.latency_ns, call.end_ns) {
                (Some(ns), _) => Cell::number(ns, words::short(ns)),
                (None, None) => {
                    Cell { order: table::Order::Unknown, ..Cell::text("...").tone(Tone::Dim) }
                }
                (None, Some(_)) => Cell::unknown(),
            },
            number(call.targeted),
            number(call.skipped),
            call.returned.map_or_else(Cell::unknown, |ret| {
                let cell = Cell::text(ret.to_string()).by(ret as f64);
                if ret < 0 { cell.tone(Tone::Doubt) } else { cell }
            }),
            Cell::text(marks).short(short),
        ],
    }
}

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, shown: &Shown<'_>, state: &mut State) {
    let rows = rows(shown, state);
    if rows.is_empty() {
        super::nothing(canvas, area, shown, state, "No membarrier call and no flush was seen yet.");
        return;
    }
    let mut area = area;
    if area.height >= 8 {
        let (above, below) = bottom(area, 1);
        canvas.put(below, &[(Tone::Dim, LEGEND.to_owned())]);
        area = above;
    }
    if shown.snapshot.calls_omitted > 0 && area.height >= 6 {
        let (above, below) = bottom(area, 1);
        let text = format!(
            "The last {}; {} before them: go back in time to see those.",
            shown.snapshot.calls.len(),
            shown.snapshot.calls_omitted
        );
        canvas.put(below, &[plain(text)]);
        area = above;
    }
    table::draw(canvas, area, state, COLUMNS, rows);
}

/// A call in sentences.
pub(super) fn detail(row: &CallRow, snapshot: &Snapshot, page: &mut Page) {
    let call = &row.call;
    let mut say = |label: &str, text: &str| {
        page.hanging(Line::new().ink(Ink::Dim, &format!("{label:<11}")), Ink::Plain, text);
    };
    let who = thread(call.comm.as_deref(), Some(call.tid));
    say("call", &format!("{} {} by {who} on CPU {}", row.kind.name(), call.number, call.cpu));
    say("mm", &words::the_mm(call.mm, snapshot));
    let took = match (call.latency_ns, call.end_ns) {
        (Some(ns), _) => format!("took {}", words::short(ns)),
        (None, Some(end)) => format!("ended at {} s; its length was not seen", moment(end)),
        (None, None) => "has not returned yet, or was not seen to".to_owned(),
    };
    say("time", &format!("began at {} s, {took}", moment(call.begin_ns)));
    let of = |wanted: Cover| -> Vec<String> {
        let cpus = (0..).zip(&row.coverage).filter(|(_, cover)| **cover == wanted);
        cpus.map(|(cpu, _): (u32, _)| cpu.to_string()).collect()
    };
    for (cover, what) in [
        (Cover::Own, "the caller's own"),
        (Cover::Targeted, "interrupted"),
        (Cover::KthreadLazy, "left alone: a kernel thread ran there, lazy on this mm"),
        (Cover::IdleLazy, "left alone: idle, lazy on this mm"),
        (Cover::KthreadOther, "left alone: a kernel thread ran there, with another mm loaded"),
        (Cover::IdleOther, "left alone: idle, with another mm loaded"),
        (Cover::OtherMm, "left alone: another process ran there"),
        (Cover::Raced, "left alone: it ran another mm when the call looked"),
        (Cover::Offline, "offline"),
        (Cover::Unknown, "not known"),
    ] {
        let cpus = of(cover);
        if !cpus.is_empty() {
            say("CPU", &format!("{}: {what}", cpus.join(", ")));
        }
    }
}
