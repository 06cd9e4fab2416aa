//! The report as `JUnit` XML, for CI systems: a test case for every rule.
//!
//! A finding is a failure, a rule that was never checked is skipped, and an undecided check is an
//! error unless the run as a whole is clean all the same (a few checks before the state of a CPU was
//! known). A last test case, `verdict`, is the run itself: it fails when no single rule shows why
//! the run is inconclusive, so that such a run cannot read as passed.

use std::io::{self, Write};

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesText, Event},
};

use super::{Report, Rule, Verdict, text::printable};

/// What becomes of one rule.
enum Outcome {
    Passed,
    Failed,
    Undecided,
    NotRun,
}

fn outcome(report: &Report, rule: &Rule) -> Outcome {
    if rule.findings > 0 {
        Outcome::Failed
    } else if rule.inconclusive > 0 && report.verdict != Verdict::Clean {
        Outcome::Undecided
    } else if rule.checked == 0 {
        Outcome::NotRun
    } else {
        Outcome::Passed
    }
}

/// Writes `report` as one `JUnit` test suite, with a newline at the end.
///
/// Names from the traced machine are escaped as in the text report: XML 1.0 cannot hold control
/// characters at all.
///
/// # Errors
/// Whatever `to` refuses.
pub fn write_junit(report: &Report, mut to: impl Write) -> io::Result<()> {
    let mut xml = Writer::new_with_indent(&mut to, b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let seconds = seconds(report.duration_ns);
    let number = |f: fn(&Outcome) -> bool| {
        report.rules.iter().filter(|rule| f(&outcome(report, rule))).count()
    };
    let undecided = usize::from(report.verdict == Verdict::Inconclusive);
    let counts = [
        ("tests", report.rules.len() + 1),
        ("failures", number(|o| matches!(o, Outcome::Failed))),
        ("errors", number(|o| matches!(o, Outcome::Undecided)) + undecided),
        ("skipped", number(|o| matches!(o, Outcome::NotRun))),
    ]
    .map(|(name, n)| (name, n.to_string()));
    let attributes = || {
        let counts = counts.iter().map(|(name, n)| (*name, n.as_str()));
        [("name", "unlazy")].into_iter().chain(counts).chain([("time", seconds.as_str())])
    };
    let suites = attributes().filter(|(name, _)| *name != "skipped");
    xml.create_element("testsuites").with_attributes(suites).write_inner_content(|xml| {
        xml.create_element("testsuite")
            .with_attributes(attributes())
            .write_inner_content(|xml| {
                properties(report, xml)?;
                report.rules.iter().try_for_each(|rule| case(report, rule, xml))?;
                run(report, xml)
            })
            .map(drop)
    })?;
    to.write_all(b"\n")?;
    to.flush()
}

fn seconds(ns: u64) -> String {
    format!("{}.{:06}", ns / 1_000_000_000, ns % 1_000_000_000 / 1_000)
}

fn properties<W: Write>(report: &Report, xml: &mut Writer<W>) -> io::Result<()> {
    let kernel = report.kernel.release.as_deref().map_or_else(|| "?".to_owned(), printable);
    let facts = [
        ("verdict", report.verdict.name().to_owned()),
        ("mode", report.mode.name().to_owned()),
        ("kernel", kernel),
        ("events", report.events.total.to_string()),
        ("lost", report.events.lost.total.to_string()),
    ];
    xml.create_element("properties")
        .write_inner_content(|xml| {
            facts.iter().try_for_each(|(name, value)| {
                xml.create_element("property")
                    .with_attributes([("name", *name), ("value", value.as_str())])
                    .write_empty()
                    .map(drop)
            })
        })
        .map(drop)
}

fn case<W: Write>(report: &Report, rule: &Rule, xml: &mut Writer<W>) -> io::Result<()> {
    let name = printable(&format!("{} {}", rule.id, rule.name));
    let class = format!("unlazy.{}", rule.severity.name());
    let case = xml.create_element("testcase").with_attributes([
        ("name", name.as_str()),
        ("classname", &class),
        ("time", "0"),
    ]);
    match outcome(report, rule) {
        Outcome::Passed => case.write_empty().map(drop),
        Outcome::Failed => {
            let message = format!("broken {} times, checked {}", rule.findings, rule.checked);
            case.write_inner_content(|xml| {
                xml.create_element("failure")
                    .with_attributes([("message", message.as_str()), ("type", &name)])
                    .write_text_content(BytesText::new(&chains(report, rule)))
                    .map(drop)
            })
            .map(drop)
        }
        Outcome::Undecided => {
            let reasons: Vec<String> =
                rule.inconclusive_by.iter().map(|(why, n)| format!("{why}: {n}")).collect();
            let message = printable(&format!(
                "{} checks inconclusive, {} decided. {}",
                rule.inconclusive,
                rule.checked,
                reasons.join(", ")
            ));
            leaf(case, "error", message.trim_end())
        }
        Outcome::NotRun => {
            let why = if rule.why.is_empty() { "never exercised" } else { &rule.why };
            leaf(case, "skipped", &printable(why))
        }
    }
}

/// The run itself.
fn run<W: Write>(report: &Report, xml: &mut Writer<W>) -> io::Result<()> {
    let case = xml.create_element("testcase").with_attributes([
        ("name", "verdict"),
        ("classname", "unlazy.run"),
        ("time", "0"),
    ]);
    if report.verdict != Verdict::Inconclusive {
        return case.write_empty().map(drop);
    }
    let reasons: Vec<String> = report
        .because
        .iter()
        .map(|reason| format!("{} {}", reason.what, reason.remedy).trim().to_owned())
        .collect();
    leaf(case, "error", &printable(format!("inconclusive. {}", reasons.join(". ")).trim_end()))
}

fn leaf<W: Write>(
    case: quick_xml::writer::ElementWriter<'_, W>,
    name: &str,
    message: &str,
) -> io::Result<()> {
    case.write_inner_content(|xml| {
        xml.create_element(name).with_attribute(("message", message)).write_empty().map(drop)
    })
    .map(drop)
}

/// The rule's findings in plain lines.
fn chains(report: &Report, rule: &Rule) -> String {
    let mut lines = Vec::new();
    for finding in report.findings.iter().filter(|f| f.rule == rule.id) {
        lines.push(printable(&format!("CPU {}: {}", finding.cpu, finding.summary)));
        lines.extend(finding.chain.iter().map(|link| {
            let before = i128::from(link.ts_ns) - i128::from(finding.ts_ns);
            printable(&format!(
                "  {before} ns, CPU {}, {}: {}",
                link.cpu,
                link.evidence.name(),
                link.what
            ))
        }));
    }
    if let Some(filter) = &report.filter {
        let what = format!("told is what passes the filter: {}", filter.query);
        lines.push(printable(&what));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use quick_xml::{Reader, events::Event};

    use super::*;
    use crate::report::{ChainLink, Finding};

    fn rule(id: &str, checked: u64, findings: u64, inconclusive: u64) -> Rule {
        let name = "na<me>\u{1b}".to_owned();
        Rule { id: id.to_owned(), name, checked, findings, inconclusive, ..Rule::default() }
    }

    fn written(report: &Report) -> String {
        let mut out = Vec::new();
        write_junit(report, &mut out).expect("a Vec takes everything");
        String::from_utf8(out).expect("UTF-8")
    }

    fn sample() -> Report {
        let mut lost = rule("R2", 5, 0, 2);
        lost.inconclusive_by.insert("lost \"events\"".to_owned(), 2);
        let mut full = rule("R3", 0, 0, 0);
        full.why = "needs full mode".to_owned();
        Report {
            rules: vec![rule("R1", 5, 1, 1), lost, full, rule("R7", 9, 0, 0)],
            duration_ns: 1_500_000_000,
            findings: vec![Finding {
                rule: "R1".to_owned(),
                summary: "a < b & c\u{0}".to_owned(),
                ts_ns: 10,
                chain: vec![ChainLink { ts_ns: 3, what: "x".to_owned(), ..Default::default() }],
                ..Finding::default()
            }],
            ..Report::default()
        }
    }

    #[test]
    fn it_is_well_formed_and_holds_no_control_character() {
        let text = written(&sample());
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text}");
        let mut reader = Reader::from_str(&text);
        reader.config_mut().check_end_names = true;
        let mut cases = 0;
        loop {
            match reader.read_event().expect("well-formed") {
                Event::Start(e) | Event::Empty(e) => {
                    cases += usize::from(e.name().as_ref() == "testcase");
                    for attribute in e.attributes() {
                        attribute.expect("a well-formed attribute");
                    }
                }
                Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(cases, 5);
    }

    #[test]
    fn nothing_but_a_pass_reads_as_one() {
        let text = written(&sample());
        assert!(text.contains(r#"tests="5" failures="1" errors="2" skipped="1" time="1.500000""#));
        insta::assert_snapshot!(text);
    }
}
