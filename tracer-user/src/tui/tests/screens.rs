//! Every screen at every size, on nothing, little and much.

use std::fmt::Write as _;

use super::{app, press, show, traces};
use crate::{
    explain::{self, Ask},
    tui::{fake::Fake, machine::Explained, samples, snapshot::Snapshot},
};

const SIZES: [&str; 3] = ["40x10", "80x24", "200x60"];

/// All six screens, one below the other.
fn all_screens(snapshot: &Snapshot, size: &str) -> String {
    let mut app = app(Fake::new(snapshot.clone()));
    let mut out = String::new();
    for screen in 1..=6 {
        press(&mut app, &screen.to_string());
        _ = writeln!(out, "{}", show(&mut app, size));
    }
    out
}

fn check(name: &str, snapshot: &Snapshot) {
    for size in SIZES {
        let screens = all_screens(snapshot, size);
        let (columns, _) = size.split_once('x').expect("a size");
        let columns: usize = columns.parse().expect("a number");
        for line in screens.lines() {
            assert!(crate::report::text::width(line) <= columns, "{size}: {line}");
            assert!(line.chars().all(|c| !c.is_control()), "{size}: {line:?}");
        }
        insta::assert_snapshot!(format!("{name}_{size}"), screens);
    }
}

#[test]
fn on_no_data() {
    check("nothing", &samples::nothing());
}

#[test]
fn on_one_cpu_that_is_lost_and_has_a_hostile_name() {
    let snapshot = samples::one_cpu();
    check("one_cpu", &snapshot);
    assert!(all_screens(&snapshot, "80x24").contains(r"\x1b[2J"));
}

#[test]
fn on_two_cpus_with_a_finding() {
    check("two_cpus", &samples::two_cpus());
}

#[test]
fn on_256_cpus() {
    check("256_cpus", &samples::many_cpus(256));
}

/// No size makes it panic, and 512 CPUs can be scrolled to the last.
#[test]
fn at_every_size() {
    for snapshot in [samples::nothing(), samples::two_cpus(), samples::many_cpus(512)] {
        for size in ["1x1", "2x2", "5x3", "7x30", "20x4", "300x5", "33x13", "79x17", "500x200"] {
            all_screens(&snapshot, size);
            let mut app = app(Fake::new(snapshot.clone()));
            for keys in
                ["?", "esc 1 enter", "esc 3 enter", "esc 4 enter", "esc :", "enter", "f a = enter"]
            {
                press(&mut app, keys);
                show(&mut app, size);
            }
        }
    }
    let mut app = app(Fake::new(samples::many_cpus(512)));
    show(&mut app, "80x24");
    press(&mut app, "G");
    assert!(show(&mut app, "80x24").contains("\n511 "));
}

#[test]
fn help_of_every_screen() {
    for screen in 1..=6 {
        let mut app = app(Fake::new(samples::two_cpus()));
        press(&mut app, &format!("{screen} ?"));
        insta::assert_snapshot!(format!("help_{screen}"), show(&mut app, "80x60"));
    }
}

#[test]
fn the_palette() {
    let mut app = app(Fake::new(samples::two_cpus()));
    press(&mut app, ": find");
    insta::assert_snapshot!(show(&mut app, "80x24"));
}

/// The traces with findings: the list, and the first finding of each rule explained.
#[test]
fn findings_of_every_rule() {
    let dir = tempfile::tempdir().expect("a directory");
    let divergence = dir.path().join("divergence.mcap");
    traces::write_a_divergence(&divergence);
    let golden = [
        "hole",
        "caller-skip",
        "rq-stale",
        "tables-skip",
        "unlazy-nogen",
        "exec-norq",
        "ipi-mb",
        "lazy-drop",
    ];
    let files = golden.map(traces::golden).into_iter().chain([divergence]);
    let mut rules: Vec<String> = Vec::new();
    for file in files {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let (snapshot, parts) = traces::end_of(&file);
        let list = all_screens(&snapshot, "80x24");
        assert!(list.contains(" FINDING") || list.contains("R7 1"), "{name}: {list}");
        let new = snapshot.findings.iter().find(|row| !rules.contains(&row.finding.rule));
        let Some(row) = new.cloned() else { continue };
        rules.push(row.finding.rule.clone());
        let explained = explain::explain(&parts, Ask::Finding(row.number)).expect("explained");
        let mut fake = Fake::new(snapshot);
        fake.explained = Explained::Ready(Box::new(explained.explanation));
        let mut app = app(fake);
        press(&mut app, "4");
        let down = "down ".repeat(row.number as usize - 1);
        press(&mut app, &down);
        let list = show(&mut app, "100x20");
        press(&mut app, "enter");
        let told = show(&mut app, "100x60");
        insta::assert_snapshot!(format!("golden_{}_{name}", row.finding.rule), list + &told);
    }
    rules.sort();
    assert_eq!(rules, ["R1", "R2", "R3", "R4", "R5", "R6", "R7"]);
}
