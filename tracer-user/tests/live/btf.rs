//! A kernel that lacks something, played by an edited copy of the running kernel's BTF.

use std::fs;

use serde_json::Value;
use unlazy::probes::btf::{KERNEL_BTF, rename};

use crate::support::{Machine, Ran, UNLAZY, check, machine, nothing_found, number, rule, run};

/// A copy of the kernel's BTF in which these names are others.
fn without(machine: &Machine, names: &[(&str, &str)]) -> String {
    let mut data = fs::read(KERNEL_BTF).expect("the kernel's BTF");
    for (from, to) in names {
        assert!(rename(&mut data, from, to).expect("BTF") > 0, "no {from} in this kernel");
    }
    let file = machine.file("btf");
    fs::write(&file, data).expect("a file");
    file
}

fn traced(btf: &str) -> (Ran, Value) {
    let ran = run(&mut check(&[
        "--btf",
        btf,
        "--json",
        "--",
        UNLAZY,
        "stress",
        "--for",
        "2s",
        "--json",
        "/dev/null",
    ]));
    let report = ran.json();
    (ran, report)
}

fn probe<'a>(report: &'a Value, name: &str) -> &'a Value {
    let probes = report["probes"].as_array().expect("probes");
    probes.iter().find(|probe| probe["name"] == name).expect("a probe of the table")
}

/// Whether the report says by name that something can't be seen.
fn says(report: &Value, words: &str) -> bool {
    let spots = report["blind_spots"].as_array().expect("blind spots");
    spots.iter().any(|spot| spot.to_string().contains(words))
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn an_unedited_copy_is_as_good_as_the_kernels_own() {
    let machine = machine();
    let (ran, report) = traced(&without(&machine, &[]));
    assert_eq!(ran.code, Some(0), "{:#}", report["because"]);
    crate::support::clean(&report);
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn without_tlb_flush_less_is_known_and_nothing_is_made_up() {
    let machine = machine();
    let (ran, report) =
        traced(&without(&machine, &[("btf_trace_tlb_flush", "btf_trace_tlb_flash")]));
    ran.calm();
    nothing_found(&report);
    let lost = probe(&report, "tlb_flush");
    assert_eq!(lost["state"], "skipped");
    assert!(lost["why"].as_str().expect("why").contains("no tracepoint tlb:tlb_flush"));
    assert!(says(&report, "CR3 writes"), "{:#}", report["blind_spots"]);
    assert_eq!(rule(&report, "R7")["divergences"], serde_json::json!({}));
    // What only it could have told is unknown, not zero.
    for count in ["cr3_writes", "unlazy_same_mm", "unlazy_flushed", "lazy_to_init_mm"] {
        assert_eq!(report["transitions"][count], Value::Null, "{count}");
    }
    assert!(number(&report, "/transitions/switches") > 0);
    // The switches without it may or may not have serialized: never a clean bill on that ground.
    let r1 = rule(&report, "R1");
    assert!(number(r1, "/checked") + number(r1, "/inconclusive") > 0, "{r1:#}");
    assert_eq!(ran.code, Some(if report["verdict"] == "clean" { 0 } else { 3 }));
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn without_a_tracepoint_or_field_the_rest_still_works() {
    let machine = machine();
    for (from, to, lost) in [
        ("btf_trace_csd_function_entry", "btf_trace_csd_function_exxxx", "csd_function_entry"),
        ("btf_trace_sched_process_fork", "btf_trace_sched_process_xxxx", "sched_process_fork"),
        ("btf_trace_sys_enter", "btf_trace_sys_exxxx", "sys_enter"),
        ("btf_trace_call_function_entry", "btf_trace_call_function_exxxx", "call_function_entry"),
    ] {
        let (ran, report) = traced(&without(&machine, &[(from, to)]));
        ran.calm();
        nothing_found(&report);
        assert_eq!(probe(&report, lost)["state"], "skipped", "{lost}");
        assert!(probe(&report, lost)["why"].as_str().is_some_and(|why| why.contains(lost)));
        assert!(matches!(ran.code, Some(0 | 3)), "{lost}: {ran}");
    }
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn without_what_is_indispensable_there_is_a_reason_and_no_run() {
    let machine = machine();
    let btf = without(&machine, &[("btf_trace_sched_switch", "btf_trace_sched_swatch")]);
    run(&mut check(&["--btf", &btf, "--", "touch", &machine.file("ran")]))
        .refused(&["sched_switch", "unlazy doctor"]);
    let btf = without(&machine, &[("membarrier_state", "membarrier_stxxx")]);
    let ran = run(&mut check(&["--btf", &btf, "--for", "100ms", "--json"]));
    // The registrations are what everything is about: either named as missing, or no run at all.
    if ran.code == Some(2) {
        ran.refused(&["membarrier_state"]);
    } else {
        assert!(says(&ran.json(), "membarrier_state"), "{ran}");
    }
    assert!(!fs::exists(machine.file("ran")).expect("a directory"));
}

#[test]
#[ignore = "traces this machine; `cargo xtask test` runs it"]
fn hostile_files_are_refused() {
    let machine = machine();
    let data = fs::read(KERNEL_BTF).expect("the kernel's BTF");
    let file = machine.file("hostile");
    run(&mut check(&["--btf", "/no/such/btf"])).refused(&["/no/such/btf"]);
    run(&mut check(&["--btf", "/"])).refused(&["BTF from /"]);
    for (what, bytes) in [
        ("empty", Vec::new()),
        ("garbage", b"garbage ".repeat(1000)),
        ("cut in the header", data[..20].to_vec()),
        ("cut in the types", data[..data.len() / 3].to_vec()),
        ("cut in the names", data[..data.len() - 1].to_vec()),
        ("an ELF file", fs::read(UNLAZY).expect("our own")),
    ] {
        fs::write(&file, bytes).expect("a file");
        let ran = run(&mut check(&["--btf", &file, "--for", "50ms"]));
        ran.refused(&["BTF"]);
        assert!(ran.out.is_empty(), "{what}: {ran}");
        let doctor = run(std::process::Command::new(UNLAZY).args(["doctor", "--btf", &file]));
        assert_eq!(doctor.code, Some(2), "{what}: {doctor}");
        doctor.calm();
    }
}
