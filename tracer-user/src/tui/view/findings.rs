//! Findings: which rule was broken, where, and how sure that is.

use ratatui::layout::Rect;

use super::{
    super::{
        snapshot::{FindingRow, Snapshot},
        state::State,
        theme::Tone,
    },
    Shown,
    canvas::{Canvas, bottom, plain},
    table::{self, Cell, Column, Row, left, right},
    words,
};
use crate::report::{
    ChainLink, Finding, Severity,
    text::{Ink, Line, Page, mm, moment, relative_us, thread},
};

const COLUMNS: &[Column] = &[
    right("#", 3, 5, 0),
    left("rule", 4, 4, 0),
    left("severity", 4, 10, 1),
    right("ago", 8, 9, 2),
    right("cpu", 3, 4, 1),
    left("thread", 8, 16, 3),
    right("mm", 5, 8, 4),
    left("what", 14, 200, 5),
    left("sure", 4, 8, 6),
];

pub(super) fn columns() -> &'static [Column] {
    COLUMNS
}

pub(super) fn rows(shown: &Shown<'_>, state: &State) -> Vec<Row> {
    let findings = shown.snapshot.findings.iter().filter(|finding| state.filter.matches(*finding));
    findings.map(|row| row_of(row, shown.snapshot)).collect()
}

const fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Violation => Tone::Bad,
        Severity::Hazard | Severity::SelfCheck => Tone::Doubt,
    }
}

fn row_of(row: &FindingRow, snapshot: &Snapshot) -> Row {
    let Finding { rule, severity, cpu, tid, comm, mm: id, ts_ns, evidence, summary, .. } =
        &row.finding;
    let ago = snapshot.moment.at_ns.saturating_sub(*ts_ns);
    Row {
        key: row.number,
        cells: vec![
            Cell::text(row.number.to_string()).by(-(row.number as f64)),
            Cell::text(rule.clone()).tone(tone(*severity)),
            Cell::text(severity.name()).short(&severity.name()[..4]).tone(tone(*severity)),
            Cell::text(words::short(ago)).by(-(ago as f64)),
            Cell::number(u64::from(*cpu), cpu.to_string()),
            Cell::text(thread(comm.as_deref(), *tid)),
            match id {
                Some(id) => Cell::text(words::mm_of(Some(*id), snapshot))
                    .short(mm(Some(*id)))
                    .by(*id as f64),
                None => Cell::unknown(),
            },
            Cell::text(summary.clone()),
            Cell::text(evidence.name()).short(&evidence.name()[..3]),
        ],
    }
}

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, shown: &Shown<'_>, state: &mut State) {
    let snapshot = shown.snapshot;
    let rows = rows(shown, state);
    if rows.is_empty() {
        let ahead = snapshot.findings_ahead;
        let text = match (ahead, snapshot.totals.inconclusive) {
            (1.., _) => {
                let key = shown.keymap.key(super::super::command::Command::FindingForward);
                format!("None until this moment; {ahead} later: press {key} to go to the next.")
            }
            (0, 0) => "None: no check has failed until this moment.".to_owned(),
            (0, n) => {
                format!("None until this moment, but {n} checks could not be decided: see Health.")
            }
        };
        super::nothing(canvas, area, shown, state, &text);
        return;
    }
    let mut area = area;
    let mut more = Vec::new();
    if snapshot.findings_omitted > 0 {
        more.push(format!("{} more were not kept", snapshot.findings_omitted));
    }
    if snapshot.findings_ahead > 0 {
        more.push(format!("{} later than this moment", snapshot.findings_ahead));
    }
    if !more.is_empty() && area.height >= 5 {
        let (above, below) = bottom(area, 1);
        canvas.put(below, &[plain(format!("and {}", more.join("; ")))]);
        area = above;
    }
    table::draw(canvas, area, state, COLUMNS, rows);
}

/// A finding in sentences.
pub(super) fn detail(row: &FindingRow, snapshot: &Snapshot, page: &mut Page) {
    let finding = &row.finding;
    let ink = match finding.severity {
        Severity::Violation => Ink::Bad,
        _ => Ink::Doubt,
    };
    let lead = Line::new().ink(ink, &format!("{} {}  ", finding.rule, finding.severity.name()));
    page.hanging(lead, Ink::Plain, &finding.summary);
    let place = format!(
        "CPU {}, {}, {}, at {} s, {}",
        finding.cpu,
        thread(finding.comm.as_deref(), finding.tid),
        finding.mm.map_or_else(|| "mm ?".to_owned(), |id| words::the_mm(id, snapshot)),
        moment(finding.ts_ns),
        finding.evidence.name()
    );
    page.hanging(Line::new(), Ink::Dim, &place);
}

/// More lanes than this would leave no room for words.
const LANES: usize = 12;

/// The chain of a finding on a timeline: a lane for each CPU that has a part in it, time downwards.
pub(super) fn lanes(finding: &Finding, page: &mut Page) {
    if finding.chain.is_empty() {
        return;
    }
    let mut cpus: Vec<u32> = finding.chain.iter().map(|link| link.cpu).collect();
    cpus.push(finding.cpu);
    cpus.sort_unstable();
    cpus.dedup();
    let more = cpus.len().saturating_sub(LANES);
    cpus.truncate(LANES);
    let lane = |link: &ChainLink, last: bool| -> String {
        let of = |&cpu: &u32| match (cpu == link.cpu, last) {
            (true, true) => "  X ",
            (true, false) => "  o ",
            (false, _) => "  | ",
        };
        cpus.iter().map(of).collect()
    };
    page.heading("What led there", "a lane for each CPU, time in us before the finding");
    let heads: Vec<String> = cpus.iter().map(|cpu| format!("{cpu:>3} ")).collect();
    let heads = heads.concat();
    let head = Line::new().ink(Ink::Dim, &format!("{:>12} {heads} how known  what", "us"));
    page.line(head);
    let count = finding.chain.len();
    for (at, link) in finding.chain.iter().enumerate() {
        let lead = Line::new()
            .text(&format!("{:>12} ", relative_us(link.ts_ns, finding.ts_ns)))
            .ink(Ink::Head, &lane(link, at + 1 == count))
            .ink(Ink::Dim, &format!(" {:<9}  ", link.evidence.name()));
        page.hanging(lead, Ink::Plain, &link.what);
    }
    if more > 0 {
        page.line(Line::new().ink(Ink::Dim, &format!("and {more} CPUs more, without a lane")));
    }
}
