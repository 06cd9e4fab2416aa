//! The results as text.

use std::fmt::Write as _;

use super::loops::LOOPS;
use super::results::{Programs, Results, Timing};

/// All tables.
pub(super) fn render(results: &Results) -> String {
    let mut text = format!(
        "Linux {}, {} CPUs, load {:.1} at the start; loops on CPU {}; medians of {} rounds, \
         ratios within a round; {} tracepoints for bpftrace and perf\n",
        results.kernel,
        results.cpus,
        results.load,
        results.cpu,
        results.rounds,
        results.tracepoints.len()
    );
    // Here and below: writing to a String cannot fail.
    for remark in &results.remarks {
        let _ = writeln!(text, "Note: {remark}.");
    }
    for looped in LOOPS {
        let rows: Vec<Vec<String>> = results
            .timings
            .iter()
            .filter(|timing| timing.looped == looped)
            .map(timing_row)
            .collect();
        let _ = write!(text, "\n{}\n", looped.title());
        text += &columns(&["", "ns", "ratio", "lowest .. highest"], &rows);
    }
    text += "\nBPF programs by the kernel's own statistics (in a pass of their own)\n";
    let rows: Vec<Vec<String>> = results.programs.iter().flat_map(program_rows).collect();
    text + &columns(&["", "program", "runs", "ns a run"], &rows)
}

fn timing_row(timing: &Timing) -> Vec<String> {
    let name = timing.observer.title().to_owned();
    match (&timing.missing, timing.ns, timing.ratio) {
        (None, Some(ns), Some(ratio)) => vec![
            name,
            format!("{:.1}", ns.median),
            format!("{:.3}", ratio.median),
            format!("{:.3} .. {:.3}", ratio.min, ratio.max),
        ],
        (Some(why), ..) => vec![name, why.clone()],
        (None, ..) => vec![name, "not measured".to_owned()],
    }
}

/// The programs that the loop itself sets off; those of ticks and other tasks are noise here.
fn program_rows(programs: &Programs) -> Vec<Vec<String>> {
    let kind = format!("{:?}", programs.looped.kind).to_lowercase();
    let with = if programs.looped.sync_core { ", SYNC_CORE" } else { "" };
    let title = format!("{}, {kind}{with}", programs.observer.title());
    let rows: Vec<Vec<String>> = programs
        .runs
        .iter()
        .filter(|run| run.runs.saturating_mul(20) >= programs.iterations)
        .map(|run| {
            vec![
                title.clone(),
                run.program.clone(),
                run.runs.to_string(),
                format!("{:.0}", run.ns_per_run),
            ]
        })
        .collect();
    if rows.is_empty() { vec![vec![title, "none of it".to_owned()]] } else { rows }
}

/// Aligned columns: the first to the left, numbers to the right. The last cell of a short row may
/// run on: it is a remark.
fn columns(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows.iter().filter(|row| row.len() == head.len()) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in rows {
        widths[0] = widths[0].max(row.first().map_or(0, |cell| cell.chars().count()));
    }
    let mut text = String::new();
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::from("  ");
        for (index, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let _ = if index == 0 {
                write!(line, "{cell:<width$}")
            } else if row.len() < head.len() {
                write!(line, "   {cell}")
            } else {
                write!(line, "   {cell:>width$}")
            };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::loops::{Kind, Loop};
    use crate::bench::observer::Observer;
    use crate::bench::programs::ProgramRun;
    use crate::bench::stats::Spread;

    #[test]
    fn aligns_columns_and_lets_remarks_run_on() {
        let rows = vec![
            vec!["nothing".to_owned(), "9.5".to_owned()],
            vec!["unlazy".to_owned(), "123.0".to_owned()],
        ];
        assert_eq!(
            columns(&["", "ns"], &rows),
            "               ns\n  nothing     9.5\n  unlazy    123.0\n"
        );
        let rows = vec![vec!["perf".to_owned(), "not installed".to_owned()]];
        assert_eq!(
            columns(&["", "ns", "ratio"], &rows),
            "         ns   ratio\n  perf   not installed\n"
        );
    }

    #[test]
    fn only_programs_of_the_loop_itself_are_shown() {
        let run = |program: &str, runs| ProgramRun {
            program: program.to_owned(),
            runs,
            ns_per_run: 61.6,
        };
        let programs = Programs {
            looped: Loop { kind: Kind::Syscall, sync_core: true },
            observer: Observer::Unlazy,
            iterations: 1000,
            runs: vec![run("sys_enter", 1010), run("local_timer_entry", 3)],
        };
        let rows = program_rows(&programs);
        assert_eq!(rows, [["unlazy check, syscall, SYNC_CORE", "sys_enter", "1010", "62"]]);
        let rows = program_rows(&Programs { runs: Vec::new(), ..programs });
        assert_eq!(rows, [["unlazy check, syscall, SYNC_CORE", "none of it"]]);
    }

    #[test]
    fn a_missing_observer_says_what_to_do() {
        let timing = Timing {
            looped: Loop { kind: Kind::Syscall, sync_core: false },
            observer: Observer::Perf,
            missing: Some("not installed".to_owned()),
            samples_ns: Vec::new(),
            ns: None,
            ratio: None,
        };
        assert_eq!(timing_row(&timing), ["perf record", "not installed"]);
        let spread = Spread { median: 1.5, min: 1.0, max: 2.0 };
        let timing = Timing { missing: None, ns: Some(spread), ratio: Some(spread), ..timing };
        assert_eq!(timing_row(&timing), ["perf record", "1.5", "1.500", "1.000 .. 2.000"]);
    }
}
