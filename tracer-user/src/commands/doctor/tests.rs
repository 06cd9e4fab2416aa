use serde_json::json;

use super::{report::Works, *};
use crate::probes::{btf::KERNEL_BTF, privileges::Privileges};

fn facts() -> serde_json::Value {
    json!({ "release": "6.18.0", "machine": "x86_64", "cpus_online": 2, "pti": false, "fred": null })
}

/// A result like that of a kernel that lacks one probe and refuses another.
fn sample() -> Doctor {
    let line = |name, state, why: &str| ProbeLine {
        name,
        subsystem: "sched",
        kind: "tp_btf",
        need: "important",
        state,
        why: why.to_owned(),
        gives: "something",
        lost: true,
        lost_without: "something that is worth a long explanation, so long that it has to be wrapped \
                       at the end of the line and goes on in the next",
        verifier: Some(Verifier {
            instructions: 123,
            states: Some(7),
            peak_states: Some(5),
            max_states_per_instruction: None,
        }),
    };
    Doctor {
        schema: SCHEMA,
        mode: Some(Mode::Tracepoint),
        kernel: facts(),
        privileges: Privileges { root: true, bpf: true, perfmon: true, sys_admin: false }.into(),
        btf: BtfFile { path: KERNEL_BTF.to_owned(), bytes: Some(17), why: String::new() },
        probes: vec![
            line("sched_switch", Tried::Attached, ""),
            line("one", Tried::Skipped, "this kernel has no tracepoint sched:one"),
            line("two", Tried::Skipped, "this kernel has no tracepoint sched:two"),
            line("three", Tried::Failed, "the verifier refuses it: R1 invalid mem access"),
        ],
        modes: Modes {
            tracepoint: Works { ok: true, why: "without one, two, three".to_owned() },
            full: Works { ok: false, why: "fentry: Operation not permitted".to_owned() },
        },
        text_audit: crate::audit::unreadable("there is no text here"),
        advice: vec!["Do something about it. ".repeat(12)],
    }
}

#[test]
fn the_text_leads_with_the_answer_and_fits() {
    let text = text::render(&sample());
    assert!(text.starts_with("unlazy can trace here, in tracepoint mode.\n"), "{text}");
    assert!(text.contains("6.18.0, x86_64, CPUs online 2, PTI no\n"), "{text}");
    assert!(text.contains("root, CAP_BPF, CAP_PERFMON\n"), "{text}");
    assert!(
        text.contains("Probes: 1 attached and taken away again, 2 skipped, 1 failed\n"),
        "{text}"
    );
    assert!(text.contains("one two: this kernel has no tracepoint of that name\n"), "{text}");
    assert!(text.contains("three: the verifier refuses it: R1 invalid mem access\n"), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 100 && line.trim_end() == line, "{line:?}");
    }
}

#[test]
fn the_text_says_first_what_stands_in_the_way() {
    let mut doctor = sample();
    doctor.modes.tracepoint = Works { ok: false, why: "tracing needs root.".to_owned() };
    let text = text::render(&doctor);
    assert!(text.starts_with("unlazy can't trace here: tracing needs root.\n"), "{text}");
}

#[test]
fn the_json_keeps_its_contract() {
    let json = serde_json::to_value(sample()).unwrap();
    let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = [
        "schema",
        "mode",
        "kernel",
        "privileges",
        "btf",
        "probes",
        "modes",
        "text_audit",
        "advice",
    ];
    expected.sort_unstable();
    let mut sorted = keys;
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    assert_eq!(json["schema"], "unlazy.doctor/1");
    assert_eq!(json["mode"], "tracepoint");
    assert_eq!(json["btf"], json!({ "path": KERNEL_BTF, "bytes": 17, "why": "" }));
    assert_eq!(json["probes"][1]["state"], "skipped");
    for key in ["name", "subsystem", "kind", "state", "why", "gives", "lost_without"] {
        assert!(json["probes"][0].get(key).is_some(), "{key}");
    }
    let cost = &json["probes"][0]["verifier"];
    assert_eq!(cost["instructions"], 123);
    assert_eq!(cost["states"], 7);
    assert_eq!(cost["max_states_per_instruction"], serde_json::Value::Null);
    assert_eq!(json["modes"]["full"]["ok"], false);
    assert!(json["advice"].is_array());
}

#[test]
fn without_btf_nothing_works_and_the_remedy_is_named() {
    let doctor = examine(facts(), Some(std::path::Path::new("/nonexistent")));
    assert!(!doctor.modes.tracepoint.ok && doctor.mode.is_none());
    assert!(doctor.probes.iter().all(|probe| probe.state == Tried::Skipped));
    assert!(doctor.advice.iter().any(|advice| advice.contains("CONFIG_DEBUG_INFO_BTF")));
    assert!(text::render(&doctor).contains("/nonexistent"));
}

#[test]
fn every_probe_of_the_table_has_a_line() {
    let doctor = examine(facts(), None);
    assert_eq!(doctor.probes.len(), crate::probes::table::PROBES.len());
    let missing =
        doctor.probes.iter().filter(|probe| probe.state != Tried::Attached && probe.why.is_empty());
    assert_eq!(missing.count(), 0, "what isn't attached says why");
}
