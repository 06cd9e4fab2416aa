//! What is printed: the text for people, the JSON for machines.

use std::process::Command;

use serde_json::Value;

use crate::support::{UNLAZY, check, machine, run, skipped};

fn plain(text: &str) {
    assert!(!text.contains('\u{1b}') && !text.contains('\r'), "escape codes in {text:?}");
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
    }
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn the_text_leads_with_the_verdict_and_fits() {
    let _machine = machine();
    let ran = run(&mut check(&["--", UNLAZY, "stress", "--for", "1s", "--json", "/dev/null"]));
    // What the command printed comes first; then the report.
    let report = ran.out.find("\nCLEAN ").or_else(|| ran.out.find("\nINCONCLUSIVE "));
    let report = &ran.out[report.unwrap_or_else(|| panic!("{ran}")) + 1..];
    let first = report.lines().next().expect("a line");
    let word = match ran.code {
        Some(0) => "CLEAN ",
        Some(3) => "INCONCLUSIVE ",
        _ => panic!("{ran}"),
    };
    assert!(first.starts_with(word), "{first}");
    plain(&ran.out);
    plain(&ran.err);
    for name in ["R1", "R2", "R7", "Transitions", "membarrier", "Not seen", "Machine"] {
        assert!(ran.out.contains(name), "no {name} in {ran}");
    }
}

/// The same on a terminal.
fn on_a_terminal(environment: &str) -> String {
    let ran = run(Command::new("script")
        .args(["-qec", &format!("{environment} {UNLAZY} check --for 1s"), "/dev/null"])
        .env_remove("NO_COLOR")
        .env_remove("SUDO_UID")
        .env("TERM", "xterm-256color"));
    assert!(matches!(ran.code, Some(0 | 3)), "{ran}");
    ran.out
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn colours_and_progress_are_for_terminals() {
    let _machine = machine();
    if Command::new("script").arg("--version").output().is_err() {
        skipped("there is no script(1) here");
        return;
    }
    let text = on_a_terminal("env");
    assert!(text.contains("\u{1b}[1;32mCLEAN") || text.contains("\u{1b}["), "{text:?}");
    assert!(text.contains(" events"), "{text:?}");
    let text = on_a_terminal("env NO_COLOR=1");
    assert!(!text.contains("\u{1b}[3") && !text.contains("\u{1b}[1"), "{text:?}");
}

/// Keys and what they hold: `u` a number, `s` a text, `b` a truth value, `a` a list, `o` an object;
/// `?` behind it allows null.
fn has(value: &Value, at: &str, keys: &str) {
    for word in keys.split_whitespace() {
        let (key, kind) = word.split_once(':').expect("a key and its kind");
        let held = value.get(key).unwrap_or_else(|| panic!("no {at}.{key} in {value:#}"));
        let right = match kind.as_bytes() {
            [_, b'?'] if held.is_null() => true,
            [b'u', ..] => held.is_u64(),
            [b's', ..] => held.is_string(),
            [b'b', ..] => held.is_boolean(),
            [b'a', ..] => held.is_array(),
            [b'o', ..] => held.is_object(),
            _ => false,
        };
        assert!(right, "{at}.{key} is {held}, not {kind}");
    }
}

/// The same for every item of a list that is not empty.
fn each(value: &Value, at: &str, keys: &str) {
    let items = value.as_array().unwrap_or_else(|| panic!("{at} is no list"));
    assert!(!items.is_empty(), "{at}");
    for item in items {
        has(item, at, keys);
    }
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn the_json_keeps_the_contract() {
    let machine = machine();
    let file = machine.file("report.json");
    let workload = ["--", UNLAZY, "stress", "--for", "1s", "--json", "/dev/null"];
    let ran = run(&mut check(&[["--json", &file].as_slice(), &workload].concat()));
    assert!(!ran.out.is_empty(), "the text is still printed");
    let report = crate::support::read(file);
    has(
        &report,
        "",
        "schema:s verdict:s mode:s kernel:o probes:a duration_ns:u events:o cpus:a mms:a \
         transitions:o user_returns:o rules:a findings:a",
    );
    assert_eq!(report["schema"], "unlazy.report/1");
    assert_eq!(report["mode"], "tracepoint");
    let kernel = "release:s machine:s cpus_online:u cpu_vendor:s? pti:b? pcid:b? serialize:b? \
                  invlpgb:b? flush_tlb_multi:s?";
    has(&report["kernel"], "kernel", kernel);
    each(&report["probes"], "probes", "name:s kind:s state:s why:s");
    has(&report["events"], "events", "total:u by_kind:o lost:o");
    assert!(report["events"]["by_kind"].as_object().expect("kinds").values().all(Value::is_u64));
    has(&report["events"]["lost"], "lost", "total:u by_cpu:a");
    let cpu = "cpu:u known:b tid:u? comm:s? logical_mm:u? active_mm:u? real_mm:u? lazy:b? \
               last_sync:o?";
    each(&report["cpus"], "cpus", cpu);
    for cpu in report["cpus"].as_array().expect("CPUs") {
        if !cpu["last_sync"].is_null() {
            has(&cpu["last_sync"], "last_sync", "ns_ago:u cause:s evidence:s");
        }
    }
    let mm = "id:u tgid:u? comm:s? registered:a membarrier:o targeted:u skipped:o";
    each(&report["mms"], "mms", mm);
    for mm in report["mms"].as_array().expect("mms") {
        has(&mm["membarrier"], "membarrier", "sync_core:u private:u global:u rseq:u");
        has(&mm["skipped"], "skipped", "kthread_lazy:u kthread_other:u other_mm:u");
    }
    let transitions = "switches:u logical_changes:u? enter_lazy:u? unlazy_same_mm:u? \
                       unlazy_flushed:u? lazy_to_init_mm:u? cr3_writes:u?";
    has(&report["transitions"], "transitions", transitions);
    has(&report["user_returns"], "user_returns", "observed:u inferred:u sysret:u iret:u");
    let ids: Vec<_> = report["rules"].as_array().expect("rules").iter().map(|r| &r["id"]).collect();
    assert_eq!(ids, ["R1", "R2", "R3", "R4", "R5", "R6", "R7"]);
    each(&report["rules"], "rules", "checked:u findings:u inconclusive:u");
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn where_a_file_format_goes_nothing_else_goes() {
    let _machine = machine();
    // Nothing but JSON where the JSON goes, whatever the command prints.
    let ran = run(&mut check(&["--json", "--", "sh", "-c", "echo mine"]));
    assert_eq!(ran.json()["schema"], "unlazy.report/1");
    assert!(ran.err.contains("mine"), "{ran}");
    let ran = run(&mut check(&["--for", "50ms", "--json"]));
    assert_eq!(ran.json()["schema"], "unlazy.report/1");
    let ran = run(&mut check(&["--for", "50ms", "--junit", "/dev/stdout"]));
    assert!(ran.out.starts_with("<?xml"), "{ran}");
}
