//! What a person can do about what doesn't work.

use std::fs;

use super::report::{Doctor, Tried};

/// What to do, most important first; empty if all is well.
pub(super) fn advice(doctor: &Doctor) -> Vec<String> {
    let mut advice = Vec::new();
    let mut say = |text: &str| advice.push(text.to_owned());
    if !doctor.privileges.ok {
        say(
            "Run `sudo unlazy doctor`: without root, or CAP_BPF and CAP_PERFMON, nothing can be tried.",
        );
    }
    if doctor.btf.bytes.is_none() {
        say(
            "Use a kernel built with CONFIG_DEBUG_INFO_BTF=y, as those of Debian, Ubuntu, Fedora and \
             Arch are; then /sys/kernel/btf/vmlinux exists.",
        );
    }
    if crate::probes::object::embedded().is_none() {
        say("Build with `cargo xtask build`; this binary has no eBPF programs inside.");
    }
    if lockdown_forbids(&fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default()) {
        say(
            "The kernel is locked down for confidentiality, which forbids eBPF to read kernel memory: \
             boot with lockdown=integrity or without Secure Boot.",
        );
    }
    let refused = |name: &str| {
        doctor.probes.iter().any(|probe| {
            probe.name == name
                && probe.state != Tried::Attached
                && !probe.why.starts_with("not tried")
        })
    };
    if refused("sched_switch") {
        say(
            "Use Linux 5.18 or later, built with CONFIG_MEMBARRIER: without a usable sched_switch \
             nothing can be judged.",
        );
    }
    let absent = |name: &str| {
        doctor.probes.iter().any(|probe| {
            probe.name == name
                && probe.lost
                && probe.why.starts_with("this kernel has no tracepoint")
        })
    };
    if absent("csd_function_entry") {
        say(
            "Linux 6.5 or later tells which function an IPI runs; before that, unlazy infers it from \
             the call_function vectors.",
        );
    }
    if doctor.modes.tracepoint.ok && !doctor.modes.full.ok {
        say(
            "R3 to R6 need full mode, which this kernel doesn't allow; R1, R2 and R7 are judged in \
             tracepoint mode. `unlazy check` says in its report what it could not see.",
        );
    }
    advice
}

/// Whether `/sys/kernel/security/lockdown` has confidentiality chosen.
fn lockdown_forbids(state: &str) -> bool {
    state.contains("[confidentiality]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_chosen_lockdown_counts() {
        assert!(lockdown_forbids("none integrity [confidentiality]\n"));
        assert!(!lockdown_forbids("[none] integrity confidentiality\n"));
        assert!(!lockdown_forbids(""));
    }
}
