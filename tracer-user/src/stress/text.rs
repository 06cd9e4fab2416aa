//! The report for people.

use std::fmt::Write;
use std::time::Duration;

use super::report::Report;

/// The widest line.
const WIDTH: usize = 100;
/// Where the counts of a scenario begin.
const INDENT: usize = 22;

/// The report as text, no line wider than 100 columns.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a String can't fail.
    let _ = write_report(&mut out, report);
    out
}

fn write_report(out: &mut String, report: &Report) -> std::fmt::Result {
    let calls = &report.calls;
    let seconds = Duration::from_nanos(report.duration_ns).as_secs_f64();
    let verdict = match (report.findings(), report.failed()) {
        (0, false) => "ok".to_owned(),
        (0, true) => "a scenario failed".to_owned(),
        (n, _) => format!("{n} STALE RESULTS"),
    };
    let early = if report.interrupted { ", interrupted" } else { "" };
    writeln!(out, "stress: {verdict} ({seconds:.1} s{early})")?;
    let mut line = Wrapped::new(out, "membarrier");
    line.pair("sync_core", calls.sync_core);
    line.pair("private", calls.private);
    line.pair("global", calls.global);
    line.pair("global_expedited", calls.global_expedited);
    line.pair("rseq", calls.rseq);
    let register = &calls.register;
    line.pair(
        "register",
        register.sync_core + register.private + register.global_expedited + register.rseq,
    );
    line.pair("failed", calls.failed);
    if calls.uncertain > 0 {
        line.pair("uncertain", calls.uncertain);
    }
    line.end();
    let mut line = Wrapped::new(out, "processes");
    line.pair("forked", report.processes.forked);
    line.pair("execed", report.processes.execed);
    line.pair("exited", report.processes.exited);
    line.pair("threads", report.threads);
    line.pair("context_switches", report.context_switches);
    line.end();
    writeln!(out, "\n{:<12}{:>8}  did", "scenario", "calls")?;
    for scenario in &report.scenarios {
        let mut line =
            Wrapped::new(out, &format!("{:<12}{:>8}", scenario.name, scenario.sync_core));
        for (name, n) in &scenario.counts {
            line.pair(name, *n);
        }
        for (what, why) in [("FAILED:", &scenario.error), ("note:", &scenario.note)] {
            if let Some(why) = why {
                line.word("  ", what);
                why.split_whitespace().for_each(|word| line.word(" ", word));
            }
        }
        line.end();
    }
    Ok(())
}

/// One paragraph: a head, then words that hang under each other.
struct Wrapped<'a> {
    out: &'a mut String,
    column: usize,
}

impl<'a> Wrapped<'a> {
    fn new(out: &'a mut String, head: &str) -> Self {
        let _ = write!(out, "{head:<width$}", width = INDENT - 2);
        Self { out, column: INDENT - 2 }
    }

    fn word(&mut self, gap: &str, word: &str) {
        // What can't be broken is cut into lines.
        let mut rest: Vec<char> = word.chars().collect();
        let mut gap = gap;
        while !rest.is_empty() {
            let part: Vec<char> = rest.drain(..rest.len().min(WIDTH - INDENT)).collect();
            if self.column + gap.len() + part.len() > WIDTH {
                self.out.push('\n');
                self.out.push_str(&" ".repeat(INDENT - 2));
                self.column = INDENT - 2;
                gap = "  ";
            }
            self.out.push_str(gap);
            self.out.extend(&part);
            self.column += gap.len() + part.len();
        }
    }

    fn pair(&mut self, name: &str, n: u64) {
        self.word("  ", &format!("{name} {n}"));
    }

    fn end(self) {
        self.out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::ScenarioEnd;
    use super::super::shared::Shared;
    use super::*;
    use crate::stress::Scenario;
    use crate::stress::counts::Count;

    #[test]
    fn no_line_is_too_wide_and_the_verdict_leads() {
        let (shared, _file) = Shared::create().expect("a page");
        let ends = Scenario::ALL.map(|scenario| {
            for &count in Count::ALL {
                shared.scenario(scenario).add(count, 123_456_789_012);
            }
            ScenarioEnd { scenario, error: Some("x".repeat(300)), note: None }
        });
        let report = Report::new(shared, &ends, Duration::from_secs(9), true, 1);
        let text = text(&report);
        for line in text.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        assert!(text.starts_with("stress: "), "{text}");
        assert!(
            text.lines().next().is_some_and(|l| l.contains("STALE") && l.contains("interrupted"))
        );
    }
}
