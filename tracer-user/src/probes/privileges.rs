//! What this process may do.

use std::fs;

/// `include/uapi/linux/capability.h`
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// The capabilities that matter for tracing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "capabilities are independent of each other")]
pub struct Privileges {
    /// The effective user is root.
    pub root: bool,
    /// `CAP_BPF`: may load programs and create maps. Linux 5.8.
    pub bpf: bool,
    /// `CAP_PERFMON`: may read kernel memory from programs. Linux 5.8.
    pub perfmon: bool,
    /// `CAP_SYS_ADMIN`: stands for both.
    pub sys_admin: bool,
}

impl Privileges {
    /// This process's own.
    #[must_use]
    pub fn current() -> Self {
        Self::parse(&fs::read_to_string("/proc/self/status").unwrap_or_default())
    }

    fn parse(status: &str) -> Self {
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let effective = line("CapEff:")
            .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .unwrap_or_default();
        let has = |capability: u32| effective >> capability & 1 != 0;
        Self {
            root: line("Uid:").and_then(|ids| ids.split_whitespace().nth(1)) == Some("0"),
            bpf: has(CAP_BPF),
            perfmon: has(CAP_PERFMON),
            sys_admin: has(CAP_SYS_ADMIN),
        }
    }

    /// Whether these suffice to trace.
    #[must_use]
    pub const fn suffice(self) -> bool {
        self.sys_admin || (self.bpf && self.perfmon)
    }
}

/// Gives up, for this thread and those it starts, all privileges but those that attaching another probe
/// takes. What is open stays open.
///
/// # Errors
/// If the kernel refuses.
pub fn give_up() -> std::io::Result<()> {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities, set_no_new_privs};
    let kept = CapabilitySet::BPF | CapabilitySet::PERFMON;
    let mut sets = capabilities(None)?;
    sets.effective &= kept;
    sets.permitted &= kept;
    sets.inheritable = CapabilitySet::empty();
    set_no_new_privs(true)?;
    set_capabilities(None, sets)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_status_file() {
        let root = "Name:\tx\nUid:\t0\t0\t0\t0\nCapEff:\t000001fffeffffff\n";
        let all = Privileges { root: true, bpf: true, perfmon: true, sys_admin: true };
        assert_eq!(Privileges::parse(root), all);

        let user = "Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\n";
        assert_eq!(Privileges::parse(user), Privileges::default());
        assert!(!Privileges::parse(user).suffice());

        let granted = Privileges::parse("Uid:\t1000\t1000\t0\t0\nCapEff:\t000000c000000000\n");
        assert!(granted.suffice() && !granted.root && !granted.sys_admin);
    }

    #[test]
    fn nonsense_grants_nothing() {
        for text in ["", "CapEff:", "CapEff:\tzz\nUid:", "Uid:\t\n"] {
            assert_eq!(Privileges::parse(text), Privileges::default(), "{text:?}");
        }
    }
}
