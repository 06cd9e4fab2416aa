//! Which tracepoints unlazy attaches to, as perf and bpftrace call them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::shell;

const TRACEFS: &str = "/sys/kernel/tracing";

/// unlazy attaches these only while a SYNC_CORE-registered process exists (`When` in its table of
/// probes); so in the other loops its competitors go without them too.
const ONLY_WITH_SYNC_CORE: [&str; 7] = [
    "nmi_handler",
    "page_fault_kernel",
    "page_fault_user",
    "rseq_ip_fixup",
    "signal_deliver",
    "sys_enter",
    "sys_exit",
];

/// What perf events may not sample, so neither perf nor bpftrace can have it: each sample would raise
/// the next (`arch/x86/include/asm/trace/irq_vectors.h`, at `TRACE_EVENT_PERF_PERM`).
const NOT_SAMPLED: [&str; 1] = ["irq_vectors:irq_work_exit"];

/// Kinds of probes that sit on a tracepoint.
const KINDS: [&str; 2] = ["tp_btf", "raw_tp"];

/// `subsystem:name` of each, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tracepoints(pub(super) Vec<String>);

#[derive(Deserialize)]
struct Doctor {
    probes: Vec<Probe>,
}

#[derive(Deserialize)]
struct Probe {
    name: String,
    kind: String,
    state: String,
}

impl Tracepoints {
    /// Those of unlazy's that perf and bpftrace can have. Asks `unlazy doctor` for its probes, and tracefs for their subsystems.
    ///
    /// # Errors
    /// When either cannot be asked, or they do not know a tracepoint in common.
    pub(super) fn of(unlazy: &Path) -> Result<Self> {
        // Its exit code says whether this machine is fit; that is not the question here.
        let output = Command::new(unlazy)
            .args(["doctor", "--json"])
            .output()
            .with_context(|| format!("starting {} doctor", unlazy.display()))?;
        let doctor: Doctor = serde_json::from_slice(&output.stdout).with_context(|| {
            format!(
                "reading what `unlazy doctor --json` printed ({}): {}",
                output.status,
                String::from_utf8_lossy(&output.stderr).trim()
            )
        })?;
        let found = Self::match_up(&doctor, &known_to_tracefs()?);
        if found.0.is_empty() {
            bail!("none of the probes that `unlazy doctor` lists is a tracepoint in {TRACEFS}");
        }
        Ok(found)
    }

    fn match_up(doctor: &Doctor, known: &[String]) -> Self {
        let wanted: BTreeSet<&str> = doctor
            .probes
            .iter()
            .filter(|probe| KINDS.contains(&probe.kind.as_str()) && probe.state == "attached")
            .map(|probe| probe.name.as_str())
            .collect();
        let mut names: Vec<String> = known
            .iter()
            .filter(|full| full.split_once(':').is_some_and(|(_, name)| wanted.contains(name)))
            .filter(|full| !NOT_SAMPLED.contains(&full.as_str()))
            .cloned()
            .collect();
        names.sort();
        names.dedup();
        Self(names)
    }

    /// Those that are attached in a loop with, or without, a SYNC_CORE-registered process.
    pub(super) fn while_sync_core(&self, sync_core: bool) -> Self {
        let keep = |full: &&String| {
            let name = full.split_once(':').map_or(full.as_str(), |(_, name)| name);
            sync_core || !ONLY_WITH_SYNC_CORE.contains(&name)
        };
        Self(self.0.iter().filter(keep).cloned().collect())
    }
}

/// Every `subsystem:name` of this kernel.
fn known_to_tracefs() -> Result<Vec<String>> {
    let list = shell::capture(
        in_tracefs("sh").args(["-c", &format!("cd {TRACEFS}/events && printf '%s\\n' */*/format")]),
    )
    .context("listing the kernel's tracepoints")?;
    Ok(parse_formats(&list))
}

fn parse_formats(list: &str) -> Vec<String> {
    list.lines()
        .filter_map(|line| {
            let (subsystem, name) = line.strip_suffix("/format")?.split_once('/')?;
            Some(format!("{subsystem}:{name}"))
        })
        .collect()
}

/// `program` where tracefs is mounted: as it is if the machine has it, else in a mount namespace
/// of its own, so that the machine stays as it was.
pub(super) fn in_tracefs(program: &str) -> Command {
    if fs::exists(Path::new(TRACEFS).join("events/sched")).unwrap_or(false) {
        return Command::new(program);
    }
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c"])
        .arg(format!("mount -t tracefs tracefs {TRACEFS} && exec \"$@\""))
        .args(["sh", program]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_probes_with_the_kernels_names() {
        let doctor: Doctor = serde_json::from_str(
            r#"{"probes": [
                {"name": "sched_switch", "kind": "tp_btf", "state": "attached", "why": null},
                {"name": "sys_enter", "kind": "tp_btf", "state": "attached"},
                {"name": "csd_function_entry", "kind": "raw_tp", "state": "skipped"},
                {"name": "irq_work_exit", "kind": "tp_btf", "state": "attached"},
                {"name": "csd_queue_cpu", "kind": "raw_tp", "state": "attached"},
                {"name": "tlb_flush", "kind": "fentry", "state": "attached"}]}"#,
        )
        .unwrap();
        let known = parse_formats(
            "tlb/tlb_flush/format\nsched/sched_switch/format\nsched/sched_switch_x/format\n\
             raw_syscalls/sys_enter/format\ncsd/csd_function_entry/format\n\
             csd/csd_queue_cpu/format\n\
             irq_vectors/irq_work_exit/format\nheader\n",
        );
        let all = Tracepoints::match_up(&doctor, &known);
        assert_eq!(all.0, ["csd:csd_queue_cpu", "raw_syscalls:sys_enter", "sched:sched_switch"]);
        assert_eq!(all.while_sync_core(true), all);
        assert_eq!(all.while_sync_core(false).0, ["csd:csd_queue_cpu", "sched:sched_switch"]);
    }
}
