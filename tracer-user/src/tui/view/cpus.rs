//! CPUs: the picture of logical against real.

use ratatui::layout::Rect;

use super::{
    super::{
        snapshot::{CpuRow, Relation, Snapshot},
        state::{Key, State},
        theme::Tone,
    },
    Shown,
    canvas::{Canvas, Piece, plain, row, top},
    table::{self, Cell, Column, Row, left, right},
    words,
};
use crate::report::{
    Evidence,
    text::{Ink, Line, Page, compact, count, mm, relative_us, thread},
};

const COLUMNS: &[Column] = &[
    right("cpu", 3, 4, 0),
    left("thread", 10, 24, 1),
    right("logical", 7, 20, 0),
    left("", 2, 2, 0),
    left("real", 7, 20, 0),
    left("state", 6, 9, 2),
    right("sync", 7, 8, 3),
    left("by", 7, 32, 4),
    left("owes", 6, 18, 5),
    right("irq/s", 5, 6, 6),
    right("lag", 3, 4, 7),
    left("place", 6, 6, 8),
    left("left alone", 18, 24, 9),
    right("asid", 4, 4, 10),
    left("sure", 4, 8, 11),
    right("undecided", 9, 9, 12),
    right("lost", 5, 7, 13),
];

pub(super) fn columns() -> &'static [Column] {
    COLUMNS
}

/// Whose mm it is matters less than which one: only where there is room.
fn mm_cell(id: Option<u64>, snapshot: &Snapshot) -> Cell {
    match id {
        None => Cell::unknown(),
        Some(known) => Cell::text(words::mm_of(id, snapshot)).short(mm(id)).by(known as f64),
    }
}

pub(super) fn rows(shown: &Shown<'_>, state: &State) -> Vec<Row> {
    let cpus = shown.snapshot.cpus.iter().filter(|cpu| state.filter.matches(*cpu));
    cpus.map(|cpu| row_of(cpu, shown.snapshot)).collect()
}

fn row_of(cpu: &CpuRow, snapshot: &Snapshot) -> Row {
    let relation = cpu.relation();
    let (word, short) = words::word(relation);
    let tone = tone(relation);
    let state = &cpu.state;
    let (sync, by, sure) = match &state.last_sync {
        Some(sync) => (
            Cell::number(sync.ns_ago, words::short(sync.ns_ago)),
            Cell::text(sync.cause.clone()).short(words::cause(&sync.cause)),
            Cell::text(sync.evidence.name())
                .short(&sync.evidence.name()[..3])
                .tone(evidence_tone(sync.evidence)),
        ),
        None => (Cell::unknown(), Cell::none(), Cell::none()),
    };
    let at = snapshot.moment.at_ns;
    let owes = cpu.owes.map_or_else(Cell::none, |owed| {
        let since = at.saturating_sub(owed.since_ns);
        let perhaps = if owed.maybe_paid { "?" } else { "" };
        let short = format!("mm {}{perhaps}", mm(Some(owed.mm)));
        Cell::number(since, format!("{short} {}", words::short(since)))
            .short(short)
            .tone(Tone::Doubt)
    });
    let left_alone = cpu.left_alone.as_ref().map_or_else(Cell::none, |left| {
        let since = at.saturating_sub(left.ts_ns);
        Cell::number(since, format!("{} {}", left.reason, words::short(since))).short(left.reason)
    });
    let lag =
        match cpu.asid.map(|asid| (asid.global, asid.behind)) {
            None => Cell::none(),
            Some((true, _)) => Cell::text("all"),
            Some((false, None)) => Cell::unknown(),
            Some((false, Some(behind))) => Cell::number(behind, compact(behind))
                .tone(if behind > 0 { Tone::Doubt } else { Tone::Plain }),
        };
    let asid = cpu.asid.and_then(|asid| asid.number);
    let number = |n: u64, tone: Tone| {
        let cell = Cell::number(n, compact(n));
        if n > 0 { cell.tone(tone) } else { cell }
    };
    Row {
        key: Key::from(state.cpu),
        cells: vec![
            Cell::text(state.cpu.to_string()).by(-f64::from(state.cpu)),
            if state.known { Cell::text(words::on_cpu(state)) } else { Cell::unknown() },
            mm_cell(state.logical_mm, snapshot),
            Cell::text(words::sign(relation)).tone(tone),
            mm_cell(state.real_mm, snapshot),
            Cell::text(word).short(short).tone(tone),
            sync,
            by,
            owes,
            cpu.interrupts_per_s.map_or_else(Cell::unknown, |per_s| {
                Cell::text(compact(per_s.round() as u64)).by(per_s)
            }),
            lag,
            Cell::text(words::place(cpu.place)),
            left_alone,
            asid.map_or_else(Cell::none, |asid| Cell::number(u64::from(asid), asid.to_string())),
            sure,
            number(state.inconclusive, Tone::Doubt),
            number(cpu.lost, Tone::Doubt),
        ],
    }
}

const fn tone(relation: Relation) -> Tone {
    match relation {
        Relation::Differ => Tone::Bad,
        Relation::Lazy | Relation::LazySame => Tone::Lazy,
        Relation::Switching | Relation::Unknown | Relation::Borrowed => Tone::Doubt,
        Relation::Same => Tone::Good,
        Relation::Kernel | Relation::Offline => Tone::Dim,
    }
}

const fn evidence_tone(evidence: Evidence) -> Tone {
    match evidence {
        Evidence::Observed => Tone::Plain,
        Evidence::Inferred => Tone::Dim,
        Evidence::Assumed => Tone::Doubt,
    }
}

/// Relations in the order in which the summary tells them.
const TOLD: [Relation; 9] = [
    Relation::Differ,
    Relation::LazySame,
    Relation::Lazy,
    Relation::Same,
    Relation::Kernel,
    Relation::Borrowed,
    Relation::Switching,
    Relation::Unknown,
    Relation::Offline,
];

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, shown: &Shown<'_>, state: &mut State) {
    let cpus: Vec<&CpuRow> =
        shown.snapshot.cpus.iter().filter(|cpu| state.filter.matches(*cpu)).collect();
    let (head, mut rest) = top(area, u16::from(area.height >= 5));
    canvas.put(head, &summary(&cpus));
    // A map of all of them where the rows don't fit.
    let room = usize::from(rest.height.saturating_sub(1));
    if cpus.len() > room && rest.height >= 8 {
        let most = rest.height / 3;
        let (map, below) = top(rest, map_lines(cpus.len(), rest.width).min(most));
        draw_map(canvas, map, &cpus);
        rest = below;
    }
    let rows = rows(shown, state);
    if rows.is_empty() {
        super::nothing(canvas, rest, shown, state, "No CPU is known yet.");
        return;
    }
    table::draw(canvas, rest, state, COLUMNS, rows);
}

/// How many CPUs are how.
fn summary(cpus: &[&CpuRow]) -> Vec<Piece> {
    let mut pieces = vec![plain(match cpus.len() {
        1 => "1 CPU:".to_owned(),
        n => format!("{n} CPUs:"),
    })];
    let mut first = true;
    for relation in TOLD {
        let n = cpus.iter().filter(|cpu| cpu.relation() == relation).count();
        if n > 0 {
            pieces.push(plain(if first { " " } else { ", " }));
            first = false;
            let sign = words::sign(relation).trim();
            let sign = if sign.is_empty() { String::new() } else { format!(" {sign}") };
            pieces.push((tone(relation), format!("{n} {}{sign}", words::word(relation).0)));
        }
    }
    let owing = cpus.iter().filter(|cpu| cpu.owes.is_some()).count();
    if owing > 0 {
        pieces.push((Tone::Doubt, format!("; {owing} to serialize before user mode")));
    }
    pieces
}

/// CPUs in a line of the map: a number that is easy to count by, as many as there is room for.
fn map_width(width: u16) -> usize {
    let room = usize::from(width.saturating_sub(5));
    if room >= 16 { room / 16 * 16 } else { room.max(1) }
}

fn map_lines(cpus: usize, width: u16) -> u16 {
    cpus.div_ceil(map_width(width)) as u16
}

/// One character for each CPU; where they don't fit, one for several: of these, what stands out most.
fn draw_map(canvas: &mut Canvas<'_>, area: Rect, cpus: &[&CpuRow]) {
    let wide = map_width(area.width);
    let places = wide * usize::from(area.height);
    let group = cpus.len().div_ceil(places.max(1)).max(1);
    let groups: Vec<&[&CpuRow]> = cpus.chunks(group).collect();
    for (line, chunk) in (0..).zip(groups.chunks(wide)) {
        let first = chunk.first().and_then(|group| group.first()).map_or(0, |cpu| cpu.state.cpu);
        let mut pieces: Vec<Piece> = vec![(Tone::Dim, format!("{first:>4} "))];
        for group in chunk {
            let relation = group.iter().map(|cpu| cpu.relation()).min();
            let relation = relation.unwrap_or(Relation::Unknown);
            pieces.push((tone(relation), words::mark(relation).to_string()));
        }
        canvas.put(row(area, line), &pieces);
    }
}

/// The last events before the moment, the newest last.
pub(super) fn recent(canvas: &mut Canvas<'_>, area: Rect, snapshot: &Snapshot) {
    if snapshot.recent.is_empty() {
        return;
    }
    let room = usize::from(area.height.saturating_sub(1));
    canvas.put(
        row(area, 0),
        &[(Tone::Head, "what happened last, in us before this moment".to_owned())],
    );
    let shown = snapshot.recent.iter().rev().take(room).rev();
    for (line, event) in (1..).zip(shown) {
        canvas.put(
            row(area, line),
            &[
                plain(format!("{:>12} ", relative_us(event.ts_ns, snapshot.moment.at_ns))),
                (Tone::Head, format!("cpu {:<3} ", event.cpu)),
                (evidence_tone(event.evidence), event.what.clone()),
            ],
        );
    }
}

/// A CPU in sentences.
pub(super) fn detail(cpu: &CpuRow, snapshot: &Snapshot, page: &mut Page) {
    let state = &cpu.state;
    let at = snapshot.moment.at_ns;
    let relation = cpu.relation();
    let mut say = |label: &str, ink: Ink, text: &str| {
        page.hanging(Line::new().ink(Ink::Dim, &format!("{label:<11}")), ink, text);
    };
    let owner = |id: Option<u64>| {
        id.map_or_else(|| "not known".to_owned(), |id| words::the_mm(id, snapshot))
    };
    if state.known {
        let kind = match (state.tid, cpu.kthread) {
            (Some(0), _) => ", the idle task".to_owned(),
            (_, Some(true)) => ", a kernel thread".to_owned(),
            _ => cpu.state.tgid.map_or_else(String::new, |tgid| format!(", process {tgid}")),
        };
        let here =
            cpu.on_cpu_ns.map_or_else(String::new, |ns| format!(", for {}", words::short(ns)));
        let who = thread(state.comm.as_deref(), state.tid);
        say("runs", Ink::Plain, &format!("{who}{kind}{here}, {}", words::place(cpu.place)));
    }
    say(
        "mm",
        Ink::Plain,
        &format!(
            "logical: {}; real: {}; {}",
            owner(state.logical_mm),
            owner(state.real_mm),
            match state.lazy {
                Some(true) => "lazy",
                Some(false) => "not lazy",
                None => "lazy or not is not known",
            }
        ),
    );
    say(words::word(relation).0, Ink::Head, words::meaning(relation));
    if let Some(owed) = cpu.owes {
        let perhaps = if owed.maybe_paid { " Perhaps it has, unseen." } else { "" };
        let text = format!(
            "to serialize before it returns to user mode in {}, its logical mm since {}.{perhaps}",
            words::the_mm(owed.mm, snapshot),
            words::short(at.saturating_sub(owed.since_ns))
        );
        say("owes", Ink::Doubt, &text);
    }
    if let Some(left) = &cpu.left_alone {
        let text = format!(
            "by a SYNC_CORE call of {} {} ago: {}. It has not serialized since.",
            words::the_mm(left.mm, snapshot),
            words::short(at.saturating_sub(left.ts_ns)),
            words::left_alone(left.reason)
        );
        say("left alone", Ink::Plain, &text);
    }
    match &state.last_sync {
        Some(sync) => say(
            "serialized",
            Ink::Plain,
            &format!(
                "{} ago by {} ({})",
                words::short(sync.ns_ago),
                sync.cause,
                sync.evidence.name()
            ),
        ),
        None => say("serialized", Ink::Plain, "not seen to"),
    }
    if let Some(asid) = cpu.asid {
        let behind = match (asid.global, asid.behind) {
            (true, _) => "global: flushed by broadcast".to_owned(),
            (false, Some(0)) => "up to date".to_owned(),
            (false, Some(n)) => format!("{} behind the last flush that was requested", count(n)),
            (false, None) => "how far behind is not known".to_owned(),
        };
        let number = asid.number.map_or_else(String::new, |number| format!("ASID {number}, "));
        say("TLB", Ink::Plain, &format!("{number}generation {}: {behind}", asid.tlb_gen));
    }
    let per_s = cpu
        .interrupts_per_s
        .map_or_else(String::new, |per_s| format!(", {} a second", compact(per_s.round() as u64)));
    say("interrupts", Ink::Plain, &format!("{}{per_s}", count(cpu.interrupts)));
    if state.inconclusive > 0 || cpu.lost > 0 {
        let text = format!(
            "{} checks could not be decided, {} events lost",
            count(state.inconclusive),
            count(cpu.lost)
        );
        say("unsure", Ink::Doubt, &text);
    }
}
