//! What the text must hold to, whatever the report; and how the usual ones look.

use insta::assert_snapshot;

use super::{MAX_WIDTH, Style, extremes, plain, render, samples};
use crate::report::{Report, Verdict};

fn text(report: &Report, style: Style) -> String {
    let mut out = Vec::new();
    render(report, &mut out, style).expect("a Vec takes everything");
    String::from_utf8(out).expect("text is UTF-8")
}

fn plain_text(report: &Report) -> String {
    text(report, Style::default())
}

fn all() -> Vec<(&'static str, Report)> {
    vec![
        ("clean", samples::clean()),
        ("findings", samples::findings()),
        ("lossy", samples::lossy()),
        ("empty", samples::empty()),
        ("extreme", extremes::extreme()),
        ("default", Report::default()),
        ("filtered", filtered()),
    ]
}

/// Of the largest, nothing is shown.
fn filtered() -> Report {
    let mut report = extremes::extreme();
    report.show_only(&"cpu=77777 mm=7777".parse().expect("a query"));
    report
}

#[test]
fn clean() {
    assert_snapshot!(plain_text(&samples::clean()));
}

#[test]
fn findings_with_a_chain() {
    assert_snapshot!(plain_text(&samples::findings()));
}

#[test]
fn inconclusive_for_lost_events() {
    assert_snapshot!(plain_text(&samples::lossy()));
}

#[test]
fn nothing_happened() {
    assert_snapshot!(plain_text(&samples::empty()));
}

#[test]
fn extreme_values() {
    assert_snapshot!(plain_text(&extremes::extreme()));
}

#[test]
fn a_part_of_it() {
    let mut report = samples::findings();
    report.show_only(&"cpu=0 rule=R2 mm=1234".parse().expect("a query"));
    assert_snapshot!(plain_text(&report));
}

#[test]
fn never_wider_than_asked() {
    for (name, report) in all() {
        for columns in [0, 60, 79, 80, 100, 300] {
            let most = columns.clamp(super::MIN_WIDTH, MAX_WIDTH);
            for line in text(&report, Style { colour: false, width: columns }).lines() {
                assert!(plain::width(line) <= most, "{name} at {columns}: {line}");
            }
        }
    }
}

#[test]
fn never_a_raw_control_character_or_a_trailing_space() {
    for (name, report) in all() {
        let text = plain_text(&report);
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{name}");
        assert!(!text.contains('\u{202e}'), "{name}");
        assert!(text.lines().all(|line| line == line.trim_end()), "{name}");
    }
}

#[test]
fn colours_change_nothing_but_colours() {
    for (name, report) in all() {
        let coloured = text(&report, Style { colour: true, ..Style::default() });
        assert!(coloured.contains("\u{1b}["), "{name}");
        let stripped = anstream::adapter::strip_str(&coloured).to_string();
        assert_eq!(stripped, plain_text(&report), "{name}");
    }
}

#[test]
fn the_verdict_comes_first() {
    for (name, report) in all() {
        let word = match report.verdict {
            Verdict::Clean => "CLEAN",
            Verdict::Findings => "FINDINGS",
            Verdict::Inconclusive => "INCONCLUSIVE",
        };
        assert!(plain_text(&report).starts_with(word), "{name}");
    }
}

#[test]
fn a_rule_that_was_never_checked_does_not_read_as_passed() {
    let mut report = samples::clean();
    report.rules[1].checked = 0;
    let text = plain_text(&report);
    assert!(text.contains("never checked: R2, R3"), "{text}");
    assert!(text.contains("never exercised"), "{text}");
}

#[test]
fn many_cpus_are_cut_to_those_in_doubt() {
    let mut report = samples::clean();
    report.cpus = (0..256)
        .map(|cpu| {
            let mut one = report.cpus[0].clone();
            one.cpu = cpu;
            one.known = cpu != 200;
            one
        })
        .collect();
    let text = plain_text(&report);
    assert!(text.contains("  200  state unknown"), "{text}");
    assert!(text.contains("224 more CPUs"), "{text}");
}
