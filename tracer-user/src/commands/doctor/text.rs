//! The result for a person: at most 100 columns, the answer first.

use std::fmt::Write as _;

use serde_json::Value;

use super::report::{Doctor, Privilege, ProbeLine, Tried, Works};
use crate::audit;

/// The widest that a line may be.
const COLUMNS: usize = 100;
/// Where values begin.
const INDENT: usize = 14;
/// The same behind the names of audited functions.
const AUDIT: usize = 21;

/// The facts about the kernel that are shown, and how they are called.
const FACTS: &[(&str, &str)] = &[
    ("release", "release"),
    ("machine", "machine"),
    ("cpus_online", "CPUs online"),
    ("cpus_possible", "CPUs possible"),
    ("cpu_vendor", "vendor"),
    ("cpu_model", "model"),
    ("hypervisor", "hypervisor"),
    ("preempt", "preemption"),
    ("pti", "PTI"),
    ("pcid", "PCID"),
    ("serialize", "SERIALIZE"),
    ("invlpgb", "INVLPGB"),
    ("fred", "FRED"),
    ("flush_tlb_multi", "flush_tlb_multi"),
];

pub(super) fn render(doctor: &Doctor) -> String {
    let mut out = String::new();
    let answer = if doctor.modes.full.ok {
        "unlazy can trace here, in full mode.".to_owned()
    } else if doctor.modes.tracepoint.ok {
        "unlazy can trace here, in tracepoint mode.".to_owned()
    } else {
        format!("unlazy can't trace here: {}.", doctor.modes.tracepoint.why.trim_end_matches('.'))
    };
    paragraph(&mut out, "", 0, &answer);
    out.push('\n');
    paragraph(&mut out, "Kernel", INDENT, &kernel(&doctor.kernel));
    paragraph(&mut out, "Privileges", INDENT, &privileges(doctor.privileges));
    let btf = match doctor.btf.bytes {
        Some(bytes) => format!("{}, {bytes} bytes", doctor.btf.path),
        None if doctor.btf.why.contains(&doctor.btf.path) => doctor.btf.why.clone(),
        None => format!("{}: {}", doctor.btf.path, doctor.btf.why),
    };
    paragraph(&mut out, "BTF", INDENT, &btf);
    paragraph(&mut out, "tracepoint", INDENT, &works(&doctor.modes.tracepoint));
    paragraph(&mut out, "full", INDENT, &works(&doctor.modes.full));
    out.push('\n');
    probes(&mut out, &doctor.probes);
    out.push('\n');
    let pti = doctor.kernel.get("pti") == Some(&Value::Bool(true));
    for (index, (label, text)) in audit::lines(&doctor.text_audit, pti).into_iter().enumerate() {
        let indent = if index == 0 { INDENT } else { 2 + AUDIT };
        let label = if index == 0 { label.to_owned() } else { format!("  {label}") };
        paragraph(&mut out, &label, indent, &text);
    }
    if !doctor.advice.is_empty() {
        out.push_str("\nWhat to do\n");
        for advice in &doctor.advice {
            paragraph(&mut out, "  -", 4, advice);
        }
    }
    out
}

fn kernel(facts: &Value) -> String {
    let known = FACTS.iter().filter_map(|(key, name)| {
        let value = match facts.get(key)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(true) => "yes".to_owned(),
            Value::Bool(false) => "no".to_owned(),
            _ => return None,
        };
        Some(match *key {
            "release" | "machine" => value,
            _ => format!("{name} {value}"),
        })
    });
    let text = known.collect::<Vec<_>>().join(", ");
    if text.is_empty() { "not known".to_owned() } else { text }
}

fn privileges(privileges: Privilege) -> String {
    let has: Vec<_> = [
        (privileges.root, "root"),
        (privileges.cap_bpf, "CAP_BPF"),
        (privileges.cap_perfmon, "CAP_PERFMON"),
        (privileges.cap_sys_admin, "CAP_SYS_ADMIN"),
    ]
    .into_iter()
    .filter_map(|(has, name)| has.then_some(name))
    .collect();
    let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
    if privileges.ok { has } else { format!("{has}: not enough to trace") }
}

fn works(works: &Works) -> String {
    match (works.ok, works.why.as_str()) {
        (true, "") => "works".to_owned(),
        (true, why) => format!("works, {why}"),
        (false, why) => format!("no: {why}"),
    }
}

fn probes(out: &mut String, probes: &[ProbeLine]) {
    let count = |state| probes.iter().filter(|probe| probe.state == state).count();
    // Writing to a String can't fail.
    let _ = writeln!(
        out,
        "Probes: {} attached and taken away again, {} skipped, {} failed",
        count(Tried::Attached),
        count(Tried::Skipped),
        count(Tried::Failed),
    );
    let mut subsystems: Vec<&str> = Vec::new();
    for probe in probes {
        if !subsystems.contains(&probe.subsystem) {
            subsystems.push(probe.subsystem);
        }
    }
    for subsystem in subsystems {
        let names: Vec<_> = probes
            .iter()
            .filter(|probe| probe.subsystem == subsystem && probe.state == Tried::Attached)
            .map(|probe| probe.name)
            .collect();
        if !names.is_empty() {
            paragraph(out, &format!("  {subsystem}"), 2 + INDENT, &names.join(" "));
        }
    }
    let missing = || probes.iter().filter(|probe| probe.state != Tried::Attached);
    // What was not even tried says nothing about the kernel.
    let untried = missing().filter(|probe| probe.why.starts_with("not tried")).count();
    if untried > 0 {
        let _ = writeln!(out, "  {untried} were not tried, for the reason above");
    }
    // Many probes are missing for one reason, or one kind of loss: said once.
    let mut groups: Vec<(&ProbeLine, Vec<&str>)> = Vec::new();
    for probe in missing().filter(|probe| !probe.why.starts_with("not tried")) {
        let same = |other: &ProbeLine| {
            let lost = |probe: &ProbeLine| probe.lost.then_some(probe.lost_without);
            (other.state, generic(other), lost(other)) == (probe.state, generic(probe), lost(probe))
        };
        match groups.iter_mut().find(|(first, _)| same(first)) {
            Some((_, names)) => names.push(probe.name),
            None => groups.push((probe, vec![probe.name])),
        }
    }
    for (probe, names) in groups {
        let state = if probe.state == Tried::Failed { "failed" } else { "skipped" };
        let why = if names.len() > 1 { generic(probe) } else { probe.why.clone() };
        paragraph(out, &format!("  {state}"), 2 + INDENT, &format!("{}: {why}", names.join(" ")));
        if probe.lost {
            paragraph(out, "", 4 + INDENT, &format!("without it: {}", probe.lost_without));
        }
    }
}

/// The reason without the probe's own name, so that like reasons compare equal.
fn generic(probe: &ProbeLine) -> String {
    let own = format!(" {}:{}", probe.subsystem, probe.name);
    probe.why.replace(&own, " of that name")
}

/// Writes `text` under `label`, wrapped, continued at column `indent`.
fn paragraph(out: &mut String, label: &str, indent: usize, text: &str) {
    let mut line = format!("{label:indent$}");
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > COLUMNS {
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(indent);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}
