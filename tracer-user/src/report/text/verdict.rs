//! The verdict: what, why, how long, how much was seen, what to do.

use crate::report::{Command, Filtered, Report, Rule, Verdict};

use super::{
    lists,
    number::{count, duration},
    page::{Ink, Line, Page},
};

pub(super) fn section(report: &Report, page: &mut Page) {
    let (word, ink) = match report.verdict {
        Verdict::Clean => ("CLEAN", Ink::Good),
        Verdict::Findings => ("FINDINGS", Ink::Bad),
        Verdict::Inconclusive => ("INCONCLUSIVE", Ink::Doubt),
    };
    page.hanging(Line::new().ink(ink, word).text("  "), Ink::Plain, &headline(report));
    for (i, reason) in report.because.iter().enumerate() {
        // The first reason of an inconclusive run stands in the headline.
        if i > 0 || report.verdict != Verdict::Inconclusive {
            page.hanging(Line::new().ink(Ink::Dim, "  why  "), Ink::Plain, &reason.what);
        }
        if !reason.remedy.is_empty() {
            page.hanging(Line::new().ink(Ink::Dim, "  do   "), Ink::Plain, &reason.remedy);
        }
    }
    page.hanging(Line::new().ink(Ink::Dim, "  saw  "), Ink::Plain, &scope(report));
    page.hanging(Line::new().ink(Ink::Dim, "  ran  "), Ink::Plain, &exercised(&report.rules));
    if let Some(filter) = &report.filter {
        page.hanging(Line::new().ink(Ink::Dim, "  only "), Ink::Doubt, &only(report, filter));
    }
    if let Some(command) = &report.command {
        page.hanging(Line::new().ink(Ink::Dim, "  cmd  "), Ink::Plain, &ended(command));
    }
}

/// One line: what and why, how long, how many events, how many lost.
fn headline(report: &Report) -> String {
    let time = duration(report.duration_ns);
    let events = count(report.events.total);
    let lost = count(report.events.lost.total);
    match report.verdict {
        // R7 is about ourselves.
        Verdict::Clean if report.rules.iter().all(|r| r.checked == 0 || r.id == "R7") => {
            format!("nothing was there to check in {time}: {events} events, {lost} lost")
        }
        Verdict::Clean => {
            let undecided: u64 = report.rules.iter().map(|r| r.inconclusive).sum();
            let undecided = match undecided {
                0 => String::new(),
                n => format!(", {} checks undecided", count(n)),
            };
            format!("no check failed in {time}: {events} events, {lost} lost{undecided}")
        }
        Verdict::Findings => format!("{} in {time}: {events} events, {lost} lost", broken(report)),
        Verdict::Inconclusive => {
            let why = report.because.first().map_or("not everything could be judged", |r| &r.what);
            format!("{why} ({time}, {events} events, {lost} lost)")
        }
    }
}

fn broken(report: &Report) -> String {
    let rules = report.rules.iter().filter(|r| r.findings > 0);
    let by_rule = lists::some(rules.map(|r| format!("{} {}", r.id, count(r.findings))), 7);
    let total = count(report.findings_total);
    if by_rule.is_empty() { total } else { format!("{total} ({by_rule})") }
}

/// Mode, CPUs, since when.
fn scope(report: &Report) -> String {
    let hidden = report.hidden();
    let known = report.cpus.iter().filter(|c| c.known).count() as u64 + hidden.cpus_hidden_known;
    let since = match report.window.known_after_ns {
        Some(0) => "all known from the start".to_owned(),
        Some(ns) => format!("all known after {}", duration(ns)),
        None => "never all known at once".to_owned(),
    };
    format!(
        "{} mode; {known} of {} CPUs known at the end, {since}",
        report.mode.name(),
        report.cpus.len() as u64 + hidden.cpus_hidden,
    )
}

/// What a query shows of the lists.
fn only(report: &Report, filter: &Filtered) -> String {
    let of = |shown: usize, hidden: u64, what: &str| {
        format!("{} of {} {what}", count(shown as u64), count(shown as u64 + hidden))
    };
    let kept = report.findings_omitted > 0;
    let findings = if kept { "findings that were kept" } else { "findings" };
    format!(
        "{}: {}, {} and {} are shown; what is judged and counted is the whole run",
        filter.query,
        of(report.findings.len(), filter.findings_hidden, findings),
        of(report.cpus.len(), filter.cpus_hidden, "CPUs"),
        of(report.mms.len(), filter.mms_hidden, "mms"),
    )
}

/// What was checked how often, and what never: the difference between passed and not tried.
fn exercised(rules: &[Rule]) -> String {
    let ran = rules.iter().filter(|r| r.checked > 0);
    let ran = lists::some(ran.map(|r| format!("{} {}", r.id, count(r.checked))), 16);
    let idle = rules.iter().filter(|r| r.checked == 0).map(|r| r.id.clone());
    let idle = lists::some(idle, 16);
    match (ran.is_empty(), idle.is_empty()) {
        (true, _) => "no check at all: nothing happened that any rule speaks of".to_owned(),
        (false, true) => format!("checks: {ran}"),
        (false, false) => format!("checks: {ran}; never checked: {idle}"),
    }
}

fn ended(command: &Command) -> String {
    let argv = command.argv.join(" ");
    match (command.exit_code, command.signal) {
        (_, Some(signal)) => format!("{argv}: killed by signal {signal}"),
        (Some(code), None) => format!("{argv}: exit code {code}"),
        (None, None) => format!("{argv}: still running when the window closed"),
    }
}
