//! `--filter`: what it leaves out, that it says so, and that nothing else is another for it.

#![expect(
    clippy::expect_used,
    reason = "in an integration test; clippy exempts only what stands under #[test]"
)]

mod program;

use program::unlazy;
use serde_json::Value;
use unlazy::filter::Filter;

fn golden(name: &str) -> String {
    format!("{}/tests/data/golden/{name}.mcap", env!("CARGO_MANIFEST_DIR"))
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("text")
}

fn json(args: &[&str], code: i32) -> Value {
    let output = unlazy(args);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn len(value: &Value) -> u64 {
    value.as_array().expect("a list").len() as u64
}

/// Whatever is asked, a report differs in its three lists alone, and says by how much.
#[test]
fn a_report_is_the_same_but_for_its_lists() {
    let file = golden("hole");
    let whole = json(&["report", &file, "--json"], 1);
    assert_eq!(whole["filter"], Value::Null);
    for query in
        ["rule=R2", "cpu=1", "cpu=77", "mm=none", "comm=ul-*", "nobody", "not rule=R1 cpu=0"]
    {
        let mut part = json(&["report", &file, "--json", "--filter", query], 1);
        let told = part["filter"].take();
        assert_eq!(told["query"], query);
        for list in ["findings", "cpus", "mms"] {
            let hidden = told[format!("{list}_hidden")].as_u64().expect("how many");
            assert_eq!(len(&part[list]) + hidden, len(&whole[list]), "{query}: {list}");
            let all = whole[list].as_array().expect("a list");
            // What is there is there as it was, in its order.
            let mut rest = all.iter();
            for one in part[list].as_array().expect("a list") {
                assert!(rest.any(|other| other == one), "{query}: {one}");
            }
            part[list] = whole[list].clone();
        }
        assert_eq!(part, whole, "{query}");
    }
    let part = json(&["report", &file, "--json", "--filter", "rule=R2"], 1);
    let findings = part["findings"].as_array().expect("a list");
    assert!(!findings.is_empty() && findings.iter().all(|finding| finding["rule"] == "R2"));
    assert_eq!(len(&part["cpus"]), 2, "a CPU has no rule");
}

#[test]
fn the_text_keeps_its_numbers_and_says_what_is_left_out() {
    let file = golden("hole");
    let whole = unlazy(&["report", &file]);
    let part = unlazy(&["report", &file, "--filter", "rule=R2 cpu=0"]);
    assert_eq!((part.status.code(), whole.status.code()), (Some(1), Some(1)));
    let (whole, part) = (text(&whole.stdout), text(&part.stdout));
    // Verdict, what was seen and what was checked.
    for (line, (one, other)) in whole.lines().zip(part.lines()).take(3).enumerate() {
        assert_eq!(one, other, "line {line}");
    }
    for words in
        ["  only rule=R2 cpu=0: 0 of 12 findings, 1 of 2 CPUs", "  1 more that the filter hides"]
    {
        assert!(part.contains(words), "no `{words}` in\n{part}");
    }
    let only = |section: &str, text: &str| -> Vec<String> {
        let from = text.split(&format!("\n{section} ")).nth(1).expect("the section");
        from.split("\n\n").next().unwrap_or_default().lines().map(str::to_owned).collect()
    };
    assert_eq!(
        only("Rules", &whole.replace("Rules\n", "Rules \n")),
        only("Rules", &part.replace("Rules\n", "Rules \n"))
    );
    let part = unlazy(&["report", &file, "--filter", "rule=R2"]);
    let part = text(&part.stdout);
    assert!(part.contains("  2. R2 membarrier"), "finding 2 is not finding 1: {part}");
    assert!(!part.contains("  1. R1"), "{part}");
}

#[test]
fn explain_lists_what_matches_under_its_own_number() {
    let file = golden("hole");
    let whole = json(&["explain", &file, "--json"], 0);
    let part = json(&["explain", &file, "--json", "--filter", "latency>140us rule=R2"], 0);
    for key in ["calls_total", "findings_total", "verdict", "lost", "window_start_ns"] {
        assert_eq!(part[key], whole[key], "{key}");
    }
    let query: Filter = "latency>140us".parse().expect("a query");
    let (part, whole) = (&part["list"], &whole["list"]);
    assert_eq!(part["filter"], "latency>140us rule=R2");
    let all = whole["calls"].as_array().expect("calls");
    let slow: Vec<_> =
        all.iter().filter(|call| call["latency_ns"].as_u64() > Some(140_000)).collect();
    assert!(!query.is_empty() && !slow.is_empty() && slow.len() < all.len());
    assert_eq!(part["calls"].as_array().expect("calls").iter().collect::<Vec<_>>(), slow);
    assert_eq!(part["calls_hidden"], (all.len() - slow.len()) as u64);
    assert_eq!(part["calls_omitted"], 0);
    let numbers = |list: &Value| -> Vec<u64> {
        let findings = list["findings"].as_array().expect("findings").iter();
        findings
            .filter(|one| one["rule"] == "R2")
            .filter_map(|one| one["number"].as_u64())
            .collect()
    };
    assert_eq!(numbers(part), numbers(whole));
    assert_eq!(
        part["findings_hidden"].as_u64(),
        Some(len(&whole["findings"]) - len(&part["findings"]))
    );
    let told = unlazy(&["explain", &file, "--filter", "latency>140us rule=R2"]);
    assert!(text(&told.stdout).contains("are left out"), "{}", text(&told.stdout));
    for ask in ["--call", "--finding"] {
        let output = unlazy(&["explain", &file, ask, "1", "--filter", "cpu=1"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("cannot be used with"));
    }
}

/// The lines that are written are those of the whole that match, word for word.
#[test]
fn an_export_has_the_lines_that_match() {
    let file = golden("hole");
    let lines = |more: &[&str]| -> Vec<Value> {
        let args = [&["export", &file, "--format", "json", "-o", "-"], more].concat();
        let output = unlazy(&args);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let lines = text(&output.stdout).lines();
        lines.map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let whole = lines(&[]);
    let mut part = lines(&["--filter", "cpu=1 kind=sched_switch rule=R1"]);
    let last = part.pop().expect("a last line");
    assert_eq!(
        (&last["kind"], &last["query"]),
        (&"filtered".into(), &"cpu=1 kind=sched_switch rule=R1".into())
    );
    let matches = |line: &&Value| match line["kind"].as_str() {
        // It has no kind, and an event has no rule.
        Some("finding") => line["cpu"] == 1 && line["rule"] == "R1",
        Some("gap") => true,
        kind => line["cpu"] == 1 && kind == Some("sched_switch"),
    };
    let wanted: Vec<&Value> = whole.iter().filter(matches).collect();
    assert!(!wanted.is_empty());
    assert_eq!(part.iter().collect::<Vec<_>>(), wanted);
    let hidden = last["events_hidden"].as_u64().zip(last["findings_hidden"].as_u64());
    let (events, findings) = hidden.expect("how many");
    assert_eq!(events + findings + part.len() as u64, whole.len() as u64);

    let dir = tempfile::tempdir().expect("a directory");
    let to = dir.path().join("t.pftrace");
    let args = [
        "export",
        &file,
        "--format",
        "perfetto",
        "--filter",
        "cpu=1",
        "-o",
        to.to_str().expect("a name"),
    ];
    let output = unlazy(&args);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--from"), "{}", text(&output.stderr));
    assert!(!to.exists());
}

/// An event is of each thread and mm that it names.
#[test]
fn a_switch_is_of_both_its_threads() {
    let file = golden("hole");
    let args =
        ["export", &file, "--format", "json", "-o", "-", "--filter", "kind=sched_switch mm=8"];
    let output = unlazy(&args);
    let lines =
        text(&output.stdout).lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let switches: Vec<_> = lines.filter(|line| line["kind"] == "sched_switch").collect();
    let named = |line: &Value, name: &str| line[name] == 8;
    assert!(
        switches.iter().any(|line| named(line, "mm") && !named(line, "next_mm")),
        "away from it"
    );
    assert!(switches.iter().any(|line| !named(line, "mm") && named(line, "next_mm")), "and to it");
    let names = ["mm", "next_mm", "prev_active_mm", "logical_mm"];
    assert!(switches.iter().all(|line| names.iter().any(|name| named(line, name))));
}

#[test]
fn junit_counts_as_ever() {
    let file = golden("hole");
    let written = |more: &[&str]| {
        let args = [&["report", &file, "--junit", "-"], more].concat();
        let output = unlazy(&args);
        assert_eq!(output.status.code(), Some(1));
        text(&output.stdout).to_owned()
    };
    let (whole, part) = (written(&[]), written(&["--filter", "cpu=77"]));
    let heads = |xml: &str| -> Vec<String> {
        let tags = ["<testsuite", "<testcase", "<failure", "<skipped", "<error"];
        let lines = xml.lines().map(str::trim);
        let of = |line: &&str| tags.iter().any(|tag| line.starts_with(tag));
        lines.filter(of).map(|line| line.split('>').next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(heads(&part), heads(&whole));
    assert!(part.contains("told is what passes the filter: cpu=77"), "{part}");
}

#[test]
fn a_wrong_query_is_refused_before_anything_is_done() {
    let file = golden("hole");
    let commands: [&[&str]; 6] = [
        &["report", &file],
        &["explain", &file],
        &["export", &file, "--format", "json", "-o", "/nonexistent/out"],
        &["check"],
        &["live"],
        &["replay", &file],
    ];
    for command in commands {
        for (query, what) in [
            ("cpuu=1", "there is no field cpuu; there are cpu"),
            ("mm=8 cpu=", "column 10: a value is missing"),
        ] {
            let output = unlazy(&[command, &["--filter", query]].concat());
            assert_eq!(output.status.code(), Some(2), "{command:?}");
            let said = text(&output.stderr);
            assert!(
                said.contains(what) && said.contains("for example --filter"),
                "{command:?}: {said}"
            );
            assert!(output.stdout.is_empty());
        }
        let help = unlazy(&[command[0], "--help"]);
        let help = text(&help.stdout);
        for words in ["latency>100us", "severity", "no such field is not judged"] {
            assert!(help.contains(words), "{command:?}: no {words} in {help}");
        }
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }
}
