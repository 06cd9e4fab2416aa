//! IPIs: who interrupts whom, and why: what the owner of an isolated CPU needs.

use std::collections::BTreeMap;

use ratatui::layout::Rect;

use super::{
    super::{
        snapshot::{IpiSender, Ipis, Snapshot},
        state::{Key, State},
        theme::Tone,
    },
    Shown,
    canvas::{Canvas, Piece, row, top},
    table::{self, Cell, Column, Row, left, right},
    words,
};
use crate::{
    filter::{Field, Filter, Subject, Value},
    report::text::{Ink, Line, Page, compact, count, thread},
};

const COLUMNS: &[Column] = &[
    right("cpu", 3, 4, 0),
    right("IPIs", 6, 6, 1),
    right("call", 6, 6, 3),
    right("resched", 7, 7, 4),
    right("timer", 6, 6, 5),
    right("device", 6, 6, 6),
    right("other", 6, 6, 7),
    left("most of them from", 14, 24, 2),
    left("because of", 10, 28, 3),
];

pub(super) fn columns() -> &'static [Column] {
    COLUMNS
}

/// A CPU that is interrupted, for the filter.
struct Interrupted<'a> {
    cpu: u32,
    sender: Option<&'a IpiSender>,
}

impl Subject for Interrupted<'_> {
    fn any(&self, field: Field, test: &mut dyn FnMut(Value<'_>) -> bool) -> Option<bool> {
        let sender = |test: bool| self.sender.map(|_| test);
        match field {
            Field::Cpu => Some(test(Value::Number(self.cpu.into()))),
            Field::Comm => {
                sender(test(Value::text(self.sender.and_then(|sender| sender.comm.as_deref()))))
            }
            Field::Tid => sender(test(Value::number(self.sender.map(|sender| sender.tid)))),
            Field::Pid => sender(test(Value::number(self.sender.and_then(|sender| sender.tgid)))),
            Field::Mm => sender(test(Value::number(self.sender.and_then(|sender| sender.mm)))),
            Field::Kind => sender(test(Value::text(self.sender.map(|sender| &*sender.reason)))),
            _ => None,
        }
    }
}

/// What one CPU was interrupted by.
#[derive(Default)]
struct Target<'a> {
    ipis: u64,
    vectors: BTreeMap<&'a str, u64>,
    most: Option<(&'a IpiSender, u64)>,
}

fn targets<'a>(ipis: &'a Ipis, filter: &Filter) -> BTreeMap<u32, Target<'a>> {
    let mut targets: BTreeMap<u32, Target<'a>> = BTreeMap::new();
    for cell in &ipis.cells {
        targets.entry(cell.to).or_default().ipis += cell.count;
    }
    for received in &ipis.received {
        let target = targets.entry(received.cpu).or_default();
        *target.vectors.entry(&received.vector).or_default() += received.count;
    }
    for sender in &ipis.senders {
        for &(cpu, count) in &sender.targets {
            let target = targets.entry(cpu).or_default();
            if target.most.is_none_or(|(_, most)| most < count) {
                target.most = Some((sender, count));
            }
        }
    }
    targets.retain(|&cpu, target| {
        filter.matches(&Interrupted { cpu, sender: target.most.map(|(sender, _)| sender) })
    });
    targets
}

pub(super) fn rows(shown: &Shown<'_>, state: &State) -> Vec<Row> {
    let targets = targets(&shown.snapshot.ipis, &state.filter);
    targets.into_iter().map(|(cpu, target)| row_of(cpu, &target)).collect()
}

fn row_of(cpu: u32, target: &Target<'_>) -> Row {
    let by =
        |names: &[&str]| -> u64 { names.iter().filter_map(|name| target.vectors.get(name)).sum() };
    let call = by(&["call_function", "call_function_single"]);
    let (reschedule, timer, device) =
        (by(&["reschedule"]), by(&["local_timer"]), by(&["irq_handler"]));
    let all: u64 = target.vectors.values().sum();
    let number = |n: u64| Cell::number(n, compact(n));
    let (from, reason) = target.most.map_or_else(
        || (Cell::none(), Cell::none()),
        |(sender, n)| {
            (
                Cell::text(format!(
                    "{} {}",
                    thread(sender.comm.as_deref(), Some(sender.tid)),
                    compact(n)
                )),
                Cell::text(sender.reason.clone()),
            )
        },
    );
    Row {
        key: Key::from(cpu),
        cells: vec![
            Cell::text(cpu.to_string()).by(-f64::from(cpu)),
            number(target.ipis),
            number(call),
            number(reschedule),
            number(timer),
            number(device),
            number(all - call - reschedule - timer - device),
            from,
            reason,
        ],
    }
}

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, shown: &Shown<'_>, state: &mut State) {
    let ipis = &shown.snapshot.ipis;
    let rows = rows(shown, state);
    if rows.is_empty() {
        super::nothing(canvas, area, shown, state, "No interrupt was seen yet.");
        return;
    }
    let mut area = area;
    if area.height >= 10 && !ipis.cells.is_empty() {
        let (map, below) = top(area, area.height / 2);
        let used = heat_map(canvas, map, shown.snapshot, &state.filter);
        area = Rect { y: area.y + used, height: area.height - used, ..below };
    }
    table::draw(canvas, area, state, COLUMNS, rows);
}

/// How many there were, in one character: each step is four times as many.
fn heat(n: u64) -> char {
    match n {
        0 => '.',
        n => char::from_digit((n.ilog2() / 2 + 1).min(9), 10).unwrap_or('9'),
    }
}

/// Sources downwards, targets to the right; several CPUs share a place where they don't fit. Says how
/// many lines it took.
fn heat_map(canvas: &mut Canvas<'_>, area: Rect, snapshot: &Snapshot, filter: &Filter) -> u16 {
    let ipis = &snapshot.ipis;
    let cells: Vec<_> = ipis
        .cells
        .iter()
        .filter(|cell| filter.matches(&Interrupted { cpu: cell.to, sender: None }))
        .collect();
    let most = |of: fn(&super::super::snapshot::IpiCell) -> Option<u32>| {
        cells.iter().filter_map(|cell| of(cell)).max().map_or(0, |cpu| cpu as usize + 1)
    };
    let cpus = most(|cell| cell.from).max(most(|cell| Some(cell.to))).max(1);
    let numbers = cpus * 7 + 10 <= usize::from(area.width);
    let room = usize::from(area.width).saturating_sub(10).max(1);
    let across = if numbers { 1 } else { cpus.div_ceil(room) };
    // A line for those whose source was not seen, and two heads.
    let lines = usize::from(area.height).saturating_sub(3).max(1);
    let down = cpus.div_ceil(lines);
    let mut grid: BTreeMap<(Option<usize>, usize), u64> = BTreeMap::new();
    for cell in &cells {
        let place = (cell.from.map(|cpu| cpu as usize / down), cell.to as usize / across);
        *grid.entry(place).or_default() += cell.count;
    }
    let mut head = format!("who interrupts whom in {}", words::short(ipis.window_ns));
    if !numbers {
        head.push_str("; 1: once or more, each step 4 times as often");
    }
    if across > 1 || down > 1 {
        head = format!("{head}; {down} CPUs a line, {across} a column");
    }
    canvas.put(row(area, 0), &[(Tone::Head, head)]);
    let mut pieces: Vec<Piece> = vec![(Tone::Dim, format!("{:<9}", "from\\to"))];
    if numbers {
        pieces.extend((0..cpus).map(|cpu| (Tone::Dim, format!("{cpu:>7}"))));
    } else {
        pieces.push((Tone::Dim, format!(" 0 to {}", cpus - 1)));
    }
    canvas.put(row(area, 1), &pieces);
    let columns = cpus.div_ceil(across);
    let sources = (0..cpus.div_ceil(down)).map(Some);
    let unseen = grid.keys().any(|(from, _)| from.is_none()).then_some(None);
    let mut line = 2;
    for from in sources.chain(unseen) {
        let label = match from {
            None => "not seen".to_owned(),
            Some(at) if down == 1 => format!("cpu {at}"),
            Some(at) => format!("{}-{}", at * down, ((at + 1) * down).min(cpus) - 1),
        };
        let mut pieces: Vec<Piece> = vec![(Tone::Dim, format!("{label:<9}"))];
        if !numbers {
            pieces.push((Tone::Plain, " ".to_owned()));
        }
        for to in 0..columns {
            let n = grid.get(&(from, to)).copied().unwrap_or(0);
            let tone = match heat(n) {
                '.' => Tone::Dim,
                '1'..='3' => Tone::Plain,
                '4'..='6' => Tone::Lazy,
                _ => Tone::Bad,
            };
            let text = match (numbers, n) {
                (true, 0) => format!("{:>7}", "."),
                (true, n) => format!("{:>7}", compact(n)),
                (false, n) => heat(n).to_string(),
            };
            pieces.push((tone, text));
        }
        canvas.put(row(area, line), &pieces);
        line += 1;
    }
    line.min(area.height)
}

/// Who interrupted a CPU, the most first.
pub(super) fn detail(cpu: u32, snapshot: &Snapshot, page: &mut Page) {
    let mut of: Vec<(&IpiSender, u64)> = snapshot
        .ipis
        .senders
        .iter()
        .filter_map(|sender| {
            let (_, n) = sender.targets.iter().find(|(target, _)| *target == cpu)?;
            Some((sender, *n))
        })
        .collect();
    of.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let head =
        format!("cpu {cpu}: who interrupted it in {}", words::short(snapshot.ipis.window_ns));
    page.line(Line::new().ink(Ink::Head, &head));
    if of.is_empty() {
        page.line(Line::new().ink(Ink::Dim, "Nobody, as far as senders were seen."));
    }
    for (sender, n) in of {
        let who = thread(sender.comm.as_deref(), Some(sender.tid));
        let of = sender
            .mm
            .map_or_else(String::new, |id| format!(", of {}", words::the_mm(id, snapshot)));
        let lead = Line::new().text(&format!("{:>9}  ", count(n)));
        page.hanging(lead, Ink::Plain, &format!("{} by {who}{of}", sender.reason));
    }
    for received in snapshot.ipis.received.iter().filter(|received| received.cpu == cpu) {
        let lead = Line::new().text(&format!("{:>9}  ", count(received.count)));
        page.hanging(lead, Ink::Dim, &format!("{} interrupts began", received.vector));
    }
}
