//! The machine, the probes, and what watching cost.

use crate::report::{Attach, Kernel, Report};

use super::{
    lists,
    number::{count, duration},
    page::{Ink, Line, Page},
};

pub(super) fn section(report: &Report, page: &mut Page) {
    page.heading("Machine", "");
    let mut say = |name: &str, text: &str| {
        let lead = Line::new().ink(Ink::Dim, &format!("  {name:<9}"));
        page.hanging(lead, Ink::Plain, text);
    };
    say("kernel", &kernel(&report.kernel));
    say("cpu", &cpu(&report.kernel));
    say("sync", &sync_facts(&report.kernel));
    if !report.kernel.boot_params.is_empty() {
        say("booted", &report.kernel.boot_params.join(" "));
    }
    say("probes", &probes(report));
    let o = &report.overhead;
    let cost: Vec<String> = [
        o.reader_cpu_ns.map(|ns| format!("{} of CPU time", duration(ns))),
        o.max_rss_kib.map(|kib| format!("{} KiB resident at most", count(kib))),
        o.ring_bytes_per_cpu.map(|size| match o.ring_high_water {
            Some(high) => format!("buffers {} of {} bytes at most", count(high), count(size)),
            None => format!("buffers of {} bytes", count(size)),
        }),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !cost.is_empty() {
        say("cost", &cost.join(", "));
    }
    say("by", &format!("unlazy {}, {}", report.unlazy, report.schema));
}

fn kernel(k: &Kernel) -> String {
    let mut parts = vec![
        format!(
            "{} {}",
            k.release.as_deref().unwrap_or("release unknown"),
            k.machine.as_deref().unwrap_or("")
        )
        .trim_end()
        .to_owned(),
    ];
    if let Some(preempt) = &k.preempt {
        parts.push(format!("preempt {preempt}"));
    }
    if let Some(tainted) = k.tainted.filter(|&t| t != 0) {
        parts.push(format!("tainted {tainted:#x}"));
    }
    parts.join(", ")
}

fn cpu(k: &Kernel) -> String {
    let mut parts = Vec::new();
    parts.push(k.cpu_model.clone().or(k.cpu_vendor.clone()).unwrap_or_else(|| "?".to_owned()));
    if let Some(online) = k.cpus_online {
        parts.push(match k.cpus_possible {
            Some(possible) if possible != online => {
                format!("{} of {} CPUs online", count(online.into()), count(possible.into()))
            }
            _ => format!("{} CPUs", count(online.into())),
        });
    }
    match k.hypervisor.as_deref() {
        Some("none") => parts.push("bare metal".to_owned()),
        Some(name) => parts.push(format!("under {name}")),
        None => {}
    }
    parts.join(", ")
}

/// What decides how this kernel serializes.
fn sync_facts(k: &Kernel) -> String {
    let show = |name: &str, fact: Option<bool>| {
        let word = match fact {
            Some(true) => "yes",
            Some(false) => "no",
            None => "?",
        };
        format!("{name} {word}")
    };
    let mut parts = vec![
        show("PTI", k.pti),
        show("PCID", k.pcid),
        show("SERIALIZE", k.serialize),
        show("INVLPGB", k.invlpgb),
        show("FRED", k.fred),
    ];
    parts.push(format!("flush_tlb_multi {}", k.flush_tlb_multi.as_deref().unwrap_or("?")));
    parts.join(", ")
}

/// A reason that names its own probe, `subsystem:name`, as one that others can share.
fn without_name(why: &str, name: &str) -> String {
    let Some(at) = why.find(&format!(":{name}")) else { return why.to_owned() };
    let start = why[..at].rfind(' ').map_or(0, |space| space + 1);
    format!("{}of that name{}", &why[..start], &why[at + 1 + name.len()..])
}

fn probes(report: &Report) -> String {
    let attached = report.probes.iter().filter(|p| p.state == Attach::Attached).count();
    let mut text = format!("{} attached", count(attached as u64));
    for state in [Attach::Failed, Attach::Skipped] {
        let such = report.probes.iter().filter(|p| p.state == state);
        // Those that share a reason share its words.
        let mut by_reason: Vec<(String, Vec<String>)> = Vec::new();
        for p in such {
            let reason = without_name(&p.why, &p.name);
            match by_reason.iter_mut().find(|(why, _)| *why == reason) {
                Some((_, names)) => names.push(p.name.clone()),
                None => by_reason.push((reason, vec![p.name.clone()])),
            }
        }
        for (why, names) in by_reason {
            let names = lists::some(names, 8);
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            text = format!("{text}; {} {names}{why}", state.name());
        }
    }
    text
}
