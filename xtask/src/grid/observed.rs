//! What one run came to: read from the report that `unlazy check` wrote, and where the machine did
//! not live to bring it back, from what was told on the way.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// How `unlazy check` begins the line in which it tells a rule's first finding.
const FOUND: &str = "unlazy: found: ";
/// The rule that judges the tracer itself.
pub(super) const SELF_CHECK: &str = "R7";

/// The part of `unlazy.report/1` that the grid reads.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Report {
    verdict: String,
    mode: String,
    because: Vec<Reason>,
    command: Option<Command>,
    events: Events,
    rules: Vec<RuleReport>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Command {
    exit_code: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reason {
    what: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Events {
    total: u64,
    lost: Lost,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lost {
    total: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RuleReport {
    id: String,
    checked: u64,
    findings: u64,
    inconclusive: u64,
    excused: u64,
    why: String,
}

/// Text that a machine wrote, for tables and XML: without what controls a terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect()
}

/// How one rule fared in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Checks {
    pub(super) checked: u64,
    pub(super) findings: u64,
    pub(super) inconclusive: u64,
    /// Broken as the rule's letter has it, where the kernel is known to allow it.
    pub(super) excused: u64,
    /// Why it could not be checked; empty if it could.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) why: String,
}

/// One run of a row.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Observed {
    /// How the machine ended, in words.
    pub(super) end: String,
    /// Whether it did its job: the command ran to its end.
    pub(super) regular: bool,
    /// The report's verdict; `null` if none came back.
    pub(super) verdict: Option<String>,
    /// The report's reasons for it.
    pub(super) because: Vec<String>,
    /// The workload's exit code; `null` if it was ended, or nothing came back.
    pub(super) workload: Option<i64>,
    /// What it was traced with.
    pub(super) mode: Option<String>,
    /// Rules that were broken, R7 left out.
    pub(super) found: BTreeSet<String>,
    /// By rule.
    pub(super) rules: BTreeMap<String, Checks>,
    pub(super) events: u64,
    pub(super) lost: u64,
    /// Findings of R7.
    pub(super) divergences: u64,
    /// How often the bug that is on made a difference, by the kernel's own count; `null` if the
    /// kernel does not count.
    pub(super) taken: Option<u64>,
    /// From power-on to the end.
    pub(super) seconds: f64,
    /// The console's last lines, if the machine did not end well.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) console: String,
}

impl Observed {
    /// Reads what came back: the report's text if there was one, and standard error.
    ///
    /// # Errors
    /// When the report is none.
    pub(super) fn read(&mut self, report: Option<&str>, stderr: &str) -> serde_json::Result<()> {
        let told = stderr.lines().filter_map(|line| line.split_once(FOUND)?.1.split(' ').next());
        self.found = told.map(str::to_owned).collect();
        if let Some(text) = report {
            let report: Report = serde_json::from_str(text)?;
            self.because = report.because.into_iter().map(|reason| reason.what).collect();
            self.workload = report.command.and_then(|command| command.exit_code);
            self.verdict = Some(report.verdict);
            self.mode = Some(report.mode);
            self.events = report.events.total;
            self.lost = report.events.lost.total;
            for rule in report.rules {
                let RuleReport { id, checked, findings, inconclusive, excused, why } = rule;
                if findings > 0 {
                    self.found.insert(id.clone());
                }
                self.rules.insert(id, Checks { checked, findings, inconclusive, excused, why });
            }
        }
        let told = u64::from(self.found.remove(SELF_CHECK));
        self.divergences = self.rules.get(SELF_CHECK).map_or(0, |rule| rule.findings).max(told);
        Ok(())
    }

    /// Reads the kernel's own count: lines of `name on|off count`.
    pub(super) fn read_taken(&mut self, text: &str, bug: &str) {
        self.taken = text.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next()? == bug).then(|| words.nth(1)?.parse().ok())?
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{
        "schema": "unlazy.report/1", "verdict": "findings", "mode": "full",
        "command": {"argv": [], "exit_code": 0, "signal": null},
        "because": [{"what": "3 times a rule was broken", "remedy": ""}],
        "events": {"total": 1000, "by_kind": {}, "lost": {"total": 4, "by_cpu": [4, 0]}},
        "rules": [
            {"id": "R1", "checked": 10, "findings": 3, "inconclusive": 1, "why": ""},
            {"id": "R3", "checked": 0, "findings": 0, "inconclusive": 0, "why": "needs full mode"},
            {"id": "R6", "checked": 7, "findings": 0, "inconclusive": 0, "excused": 2},
            {"id": "R7", "checked": 99, "findings": 2, "inconclusive": 0}
        ], "more": {"keys": "may come"}
    }"#;

    fn read(report: Option<&str>, stderr: &str) -> Observed {
        let mut observed = Observed::default();
        observed.read(report, stderr).unwrap();
        observed
    }

    #[test]
    fn a_report_is_read() {
        let observed = read(Some(REPORT), "");
        assert_eq!(observed.verdict.as_deref(), Some("findings"));
        assert_eq!(observed.mode.as_deref(), Some("full"));
        assert_eq!(observed.workload, Some(0));
        assert_eq!(observed.because, ["3 times a rule was broken"]);
        assert_eq!(observed.found, BTreeSet::from(["R1".to_owned()]));
        assert_eq!((observed.events, observed.lost, observed.divergences), (1000, 4, 2));
        assert_eq!(observed.rules["R6"].excused, 2);
        assert_eq!(observed.rules["R3"].why, "needs full mode");
        let error = Observed::default().read(Some("{"), "").unwrap_err();
        assert!(error.is_eof(), "{error}");
    }

    #[test]
    fn what_was_told_counts_if_no_report_came_back() {
        let stderr = "unlazy: tracing while unlazy runs\n\
            unlazy: found: R5 lazy-lifetime: mm 9 was freed while cpu 1 still had it\n\
            \r   \runlazy: found: R7 shape: something\n";
        let observed = read(None, stderr);
        assert_eq!(observed.found, BTreeSet::from(["R5".to_owned()]));
        assert_eq!((observed.verdict, observed.divergences), (None, 1));
    }

    #[test]
    fn what_was_told_and_reported_is_found_once() {
        let observed = read(Some(REPORT), "unlazy: found: R1 unlazy-sync: x\n");
        assert_eq!(observed.found, BTreeSet::from(["R1".to_owned()]));
    }

    #[test]
    fn the_kernels_count_is_read() {
        let text = "lazy-nosync off 0\nipi-mb on 1234\nirq-skip off 0\n";
        let taken = |bug| {
            let mut observed = Observed::default();
            observed.read_taken(text, bug);
            observed.taken
        };
        assert_eq!(
            (taken("ipi-mb"), taken("lazy-nosync"), taken("other")),
            (Some(1234), Some(0), None)
        );
    }
}
