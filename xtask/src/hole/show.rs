//! The finding as people read it.

use std::fmt::Write;

use serde::Deserialize;
use serde_json::Value;

/// A finding of `unlazy.report/1`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Finding {
    pub(super) rule: String,
    severity: String,
    cpu: u32,
    tid: Option<u32>,
    comm: Option<String>,
    mm: Option<u64>,
    ts_ns: u64,
    evidence: String,
    summary: String,
    chain: Vec<Link>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Link {
    ts_ns: u64,
    cpu: u32,
    what: String,
    evidence: String,
}

/// Lines are no wider than this.
const WIDTH: usize = 100;

/// The first finding of each rule, in the order of the rules.
pub(super) fn findings(report: &Value) -> Vec<Finding> {
    let all: Vec<Finding> = serde_json::from_value(report["findings"].clone()).unwrap_or_default();
    let mut first: Vec<Finding> = Vec::new();
    for finding in all {
        if first.iter().all(|before| before.rule != finding.rule) {
            first.push(finding);
        }
    }
    // The discipline before the promise that rests on it, whichever was caught first.
    first.sort_by(|a, b| a.rule.cmp(&b.rule));
    first
}

/// The whole story.
pub(super) fn text(release: &str, report: &Value, findings: &[Finding]) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut out, release, report, findings);
    out
}

fn write(
    out: &mut String,
    release: &str,
    report: &Value,
    findings: &[Finding],
) -> std::fmt::Result {
    let text = |pointer: &str| report.pointer(pointer).and_then(Value::as_str).unwrap_or("?");
    let number = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    // So end the releases of Debian's own kernels for this machine, and no other's.
    let whose = if release.ends_with("-amd64") { ", as Debian ships it" } else { "" };
    writeln!(
        out,
        "Linux {release}{whose}: {} after {:.1} s in {} mode",
        text("/verdict"),
        number("/duration_ns") as f64 / 1e9,
        text("/mode"),
    )?;
    for finding in findings {
        writeln!(out)?;
        write_finding(out, finding)?;
    }
    writeln!(out)?;
    let rules = report["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
    let counts: Vec<_> = rules
        .iter()
        .filter(|rule| rule["checked"].as_u64().is_some_and(|checked| checked > 0))
        .map(|rule| {
            let count = |key: &str| rule[key].as_u64().unwrap_or(0);
            let id = rule["id"].as_str().unwrap_or("?");
            format!("{id} {} of {}", count("findings"), count("checked"))
        })
        .collect();
    writeln!(out, "broken in so many checks: {}", counts.join(", "))?;
    writeln!(
        out,
        "{} SYNC_CORE calls; {} events, {} lost",
        number("/membarrier/sync_core"),
        number("/events/total"),
        number("/events/lost/total"),
    )
}

fn write_finding(out: &mut String, finding: &Finding) -> std::fmt::Result {
    let Finding { rule, severity, cpu, tid, comm, mm, ts_ns, evidence, summary, chain } = finding;
    let thread = match (comm, tid) {
        (Some(comm), Some(tid)) => format!("{comm}/{tid}"),
        (_, Some(tid)) => format!("thread {tid}"),
        _ => "an unknown thread".to_owned(),
    };
    let mm = mm.map_or_else(|| "?".to_owned(), |mm| mm.to_string());
    writeln!(out, "{rule} ({severity}) on CPU {cpu}, {thread}, mm {mm}; {evidence}")?;
    wrap(out, summary)?;
    writeln!(out, "  {:>10}  cpu  {:<8}  what", "us", "evidence")?;
    for Link { ts_ns: at, cpu, what, evidence } in chain {
        // Before the finding, so negative; a time of day says nothing.
        let us = (*at as f64 - *ts_ns as f64) / 1_000.0;
        writeln!(out, "  {us:>10.3}  {cpu:>3}  {evidence:<8}  {what}")?;
    }
    Ok(())
}

/// Writes words in lines of at most [`WIDTH`], indented.
fn wrap(out: &mut String, text: &str) -> std::fmt::Result {
    let mut line = String::from(" ");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            writeln!(out, "{line}")?;
            line = String::from(" ");
        }
        line.push(' ');
        line.push_str(word);
    }
    writeln!(out, "{line}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_story_is_told_once_for_each_rule() {
        let link = |ts: u64, cpu: u32, what: &str| json!({"ts_ns": ts, "cpu": cpu, "what": what, "evidence": "observed"});
        let finding = |rule: &str, summary: &str| {
            json!({
                "rule": rule, "severity": "hazard", "cpu": 1, "tid": 159, "comm": "ul-sleep",
                "mm": 29, "ts_ns": 1_000_000, "evidence": "inferred", "summary": summary,
                "chain": [
                    link(211_366, 1, "interrupt call_function_single ends"),
                    link(845_703, 1, "sched_switch unlazy_hole/1/158 (mm 29) -> ul-sleep/159 (mm 29)"),
                    link(1_000_000, 1, "ul-sleep/159 enters system call 0"),
                ],
            })
        };
        let long = "cpu 1 ran user code of thread 159 in mm 29 without serializing since its \
            logical mm became mm 29 686825 ns before";
        let report = json!({
            "verdict": "findings", "mode": "full", "duration_ns": 6_340_000_000_u64,
            "findings": [finding("R1", long), finding("R2", "short"), finding("R1", "again")],
            "rules": [
                {"id": "R1", "checked": 5562, "findings": 746},
                {"id": "R2", "checked": 1832, "findings": 848},
                {"id": "R3", "checked": 0, "findings": 0},
            ],
            "membarrier": {"sync_core": 916}, "events": {"total": 64427, "lost": {"total": 0}},
        });
        let findings = findings(&report);
        assert_eq!(findings.len(), 2);
        insta::assert_snapshot!(text("6.12.117+deb12-cloud-amd64", &report, &findings));
    }
}
