//! The findings, each with the chain of events that led there.

use crate::report::{ChainLink, Evidence, Finding, Report, Severity};

use super::{
    number::{count, moment, relative_us},
    page::{Ink, Line, Page},
    seen::{mm, thread},
    table::{Cell, Kind, Table},
};

pub(super) fn section(report: &Report, page: &mut Page) {
    if report.findings_total == 0 && report.findings.is_empty() {
        return;
    }
    let (shown, hidden) = (report.findings.len() as u64, report.hidden().findings_hidden);
    let mut aside = Vec::new();
    if report.findings_omitted > 0 {
        let total = count(report.findings_total);
        aside.push(format!("the first {} of {total}", count(shown + hidden)));
    }
    if hidden > 0 {
        aside.push(format!("{} that the filter hides", count(hidden)));
    }
    aside.push("times in us before the finding".to_owned());
    page.heading("Findings", &aside.join("; "));
    for (i, finding) in report.findings.iter().enumerate() {
        if i > 0 {
            page.blank();
        }
        one(finding, report, page);
    }
}

fn one(finding: &Finding, report: &Report, page: &mut Page) {
    let ink = match finding.severity {
        Severity::Violation => Ink::Bad,
        Severity::Hazard | Severity::SelfCheck => Ink::Doubt,
    };
    let name = report.rules.iter().find(|r| r.id == finding.rule).map_or("", |r| r.name.as_str());
    let title = format!("{} {name} {}", finding.rule, finding.severity.name());
    let lead = Line::new()
        .text(&format!("  {}. ", finding.number))
        .ink(ink, &title.split_whitespace().collect::<Vec<_>>().join(" "))
        .text("  ");
    page.hanging(lead, Ink::Plain, &place(finding));
    page.hanging(Line::new().text("     "), Ink::Plain, &finding.summary);

    chain(&finding.chain, finding.ts_ns, page);
    let at = format!("at {} s of {}", moment(finding.ts_ns), report.window.clock);
    page.line(Line::new().text("     ").ink(Ink::Dim, &at));
}

/// Where a finding was made, and how it is known.
pub(crate) fn place(finding: &Finding) -> String {
    let Finding { cpu, comm, tid, mm: id, evidence, .. } = finding;
    format!("CPU {cpu}, {}, mm {}, {}", thread(comm.as_deref(), *tid), mm(*id), evidence.name())
}

/// What led to a finding at `ts_ns`, one line an event.
pub(crate) fn chain(links: &[ChainLink], ts_ns: u64, page: &mut Page) {
    let mut table = Table::new(&[
        ("us", Kind::Right),
        ("cpu", Kind::Right),
        ("evidence", Kind::Text),
        ("what", Kind::Wrapped),
    ]);
    for link in links {
        table.row(vec![
            Cell::text(&relative_us(link.ts_ns, ts_ns)),
            Cell::text(&link.cpu.to_string()),
            Cell::text(link.evidence.name()).ink(evidence_ink(link.evidence)),
            Cell::text(&link.what),
        ]);
    }
    if !links.is_empty() {
        table.show(page);
    }
}

fn evidence_ink(evidence: Evidence) -> Ink {
    match evidence {
        Evidence::Observed => Ink::Plain,
        Evidence::Inferred => Ink::Dim,
        Evidence::Assumed => Ink::Doubt,
    }
}
