//! A small grid for tests: a row of every kind.

use std::time::Duration;

use serde_json::json;

use super::load::Load;
use super::observed::{Checks, Observed};
use super::plan::{Expected, Group, Row, Which};
use super::results::{Grid, KernelFacts, RowResult, SCHEMA};
use super::verdict::{Surprise, Verdict, judge};
use crate::kernel::Source;

fn row(group: Group, kernel: Which, what: &str, all: &[&str], may: &[&str]) -> Row {
    let rules = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect();
    Row {
        group,
        kernel,
        what: what.to_owned(),
        bug: None,
        append: Vec::new(),
        load: Load::stress(&["sync-core", "lazy"]),
        smp: 2,
        expected: Expected { all: rules(all), may: rules(may), ..Expected::default() },
        time: Duration::from_secs(60),
        tries: 3,
        record: false,
    }
}

fn run(found: &[&str]) -> Observed {
    let mut rules = std::collections::BTreeMap::new();
    for (id, checked) in [("R1", 5_562), ("R2", 1_832), ("R3", 0), ("R6", 123_456)] {
        let findings = u64::from(found.contains(&id)) * 7;
        rules.insert(id.to_owned(), Checks { checked, findings, ..Checks::default() });
    }
    Observed {
        end: "the command exited with 0".to_owned(),
        regular: true,
        verdict: Some(if found.is_empty() { "clean" } else { "findings" }.to_owned()),
        mode: Some("full".to_owned()),
        found: found.iter().map(|&id| id.to_owned()).collect(),
        rules,
        events: 1_000_000,
        seconds: 21.5,
        ..Observed::default()
    }
}

fn judged(row: &Row, tries: Vec<Observed>) -> RowResult {
    let verdict = judge(&row.expected, &tries, None);
    RowResult::new(row, tries, verdict)
}

/// The grid.
pub(super) fn grid() -> Grid {
    let ours = Which::Planted(Source::V6_12.into());
    let stock = Which::Debian("6.12.117+deb12-cloud");
    let died = Observed {
        end: "the guest's kernel panicked: Oops | red".to_owned(),
        regular: false,
        verdict: None,
        rules: std::collections::BTreeMap::new(),
        console: "\u{1b}[31mBUG: unable to handle <page> fault & more\nend".to_owned(),
        ..run(&[])
    };
    let missing = row(Group::Stock, Which::Debian("6.1.0-56-rt"), "stress", &[], &[]);
    let not_run = Verdict::Surprise(vec![Surprise::NotRun("apt has no such package".to_owned())]);
    let rows = vec![
        judged(
            &row(Group::Planted, ours, "lazy-nosync", &["R1"], &["R2"]),
            vec![run(&[]), run(&["R1", "R2"])],
        ),
        judged(&row(Group::Planted, ours, "unlazy-nogen", &["R3"], &[]), vec![run(&[]); 3]),
        judged(&row(Group::Stock, stock, "stress", &[], &[]), vec![run(&["R5"])]),
        judged(&row(Group::Planted, ours, "lazy-drop", &["R5"], &[]), vec![died]),
        RowResult::new(&missing, Vec::new(), not_run),
    ];
    Grid {
        schema: SCHEMA,
        quick: false,
        seconds: 321.0,
        surprises: rows.iter().filter(|row| !row.good).count(),
        kernels: vec![
            KernelFacts {
                kernel: "planted-6.12".to_owned(),
                release: Some("6.12.117".to_owned()),
                error: None,
                mode: json!("full"),
                verifier: [("sched:sched_switch".to_owned(), json!({"instructions": 4321}))].into(),
                text_audit: json!(null),
            },
            KernelFacts::missing("6.1.0-56-rt", &anyhow::anyhow!("apt has no such package")),
        ],
        rows,
    }
}

#[test]
fn the_json_has_what_readers_rely_on() {
    let json = serde_json::to_value(grid()).unwrap();
    assert_eq!(json["schema"], "unlazy.grid/1");
    assert_eq!(json["surprises"], 4);
    let row = &json["rows"][0];
    assert_eq!(row["found"], json!(["R1", "R2"]));
    assert_eq!((row["good"].as_bool(), row["tries_allowed"].as_u64()), (Some(true), Some(3)));
    assert_eq!(row["tries"][1]["rules"]["R1"]["checked"], 5_562);
    assert_eq!(json["kernels"][0]["verifier"]["sched:sched_switch"]["instructions"], 4321);
}

#[test]
fn the_table() {
    let grid = grid();
    let mut lines = vec![super::table::head()];
    lines.extend(grid.rows.iter().map(super::table::row));
    lines.push(super::table::foot(&grid));
    insta::assert_snapshot!(lines.join("\n"));
}
