//! Facts about the running kernel and machine that bear on what serializes a core.
//!
//! Reading and parsing are apart: every parser takes text, so that it can be tried on any. A fact
//! that cannot be had is `None`; nothing here fails as a whole.

mod boot;
mod cpuinfo;
mod cpulist;
mod hypervisor;
mod proc;
mod symbols;

use std::{fs, path::Path};

pub use cpulist::{CpuListError, online_cpus, parse_cpu_list, possible_cpus};
pub use proc::{Task, Tasks, boot_id, in_initial_pid_ns, proc_comm, proc_stat_ctxt, tasks};
pub use symbols::{SymbolError, SymbolTable, TextSymbol, is_cold};

use crate::report::Kernel;
use cpuinfo::CpuInfo;

/// The kernel's own BTF.
pub const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";

/// The preemption models, the one in use in parentheses.
const PREEMPT_PATH: &str = "/sys/kernel/debug/sched/preempt";

/// All facts, read now.
pub fn facts() -> Kernel {
    let uname = rustix::system::uname();
    let version = uname.version().to_string_lossy().into_owned();
    let cmdline = read("/proc/cmdline").unwrap_or_default();
    let cpuinfo = fs::read("/proc/cpuinfo").ok();
    let cpu = cpuinfo.map(|text| CpuInfo::parse(&String::from_utf8_lossy(&text)));
    let cpu = cpu.unwrap_or_default();
    let possible = possible_cpus().ok().map(|cpus| cpus.len() as u32);
    let meltdown = read("/sys/devices/system/cpu/vulnerabilities/meltdown");

    let on_hypervisor = cpu.has("hypervisor");
    let broadcast = hypervisor::cpu_has_invlpgb();
    // The symbol table is long: it is read only where something depends on it.
    let wanted = on_hypervisor == Some(true) || broadcast == Some(true);
    let symbols = wanted.then(symbols::read).flatten();
    let beneath = match on_hypervisor {
        Some(true) => hypervisor::detect(),
        _ => None,
    };
    let flush = match on_hypervisor {
        None => None,
        Some(false) => Some("native"),
        Some(true) => hypervisor::flush_tlb_multi(&hypervisor::Guest {
            beneath: beneath.as_ref(),
            symbols: symbols.as_ref(),
            log: hypervisor::kernel_log().as_deref(),
            xen_type: read("/sys/hypervisor/guest_type").as_deref(),
            nopv: boot::has(&cmdline, "nopv"),
            mwait: cpu.has("monitor"),
            possible,
        }),
    };
    Kernel {
        release: Some(uname.release().to_string_lossy().into_owned()),
        machine: Some(uname.machine().to_string_lossy().into_owned()),
        cpus_online: online_cpus().ok().map(|cpus| cpus.len() as u32),
        cpus_possible: possible,
        pti: cpuinfo::pti(cpu.has("pti"), meltdown.as_deref()),
        pcid: cpu.has("pcid"),
        serialize: cpu.has("serialize"),
        invlpgb: invlpgb(broadcast, symbols.as_ref(), cpu.has("pcid")),
        fred: cpu.has("fred"),
        la57: cpu.has("la57"),
        cpu_vendor: cpu.vendor,
        cpu_model: cpu.model,
        flush_tlb_multi: flush.map(str::to_owned),
        hypervisor: match (on_hypervisor, beneath) {
            (Some(false), _) => Some("none".to_owned()),
            (_, Some(beneath)) => Some(beneath.name),
            _ => None,
        },
        preempt: boot::preempt(&version, read(PREEMPT_PATH).as_deref(), &cmdline),
        btf: Path::new(BTF_PATH).exists().then(|| BTF_PATH.to_owned()),
        btf_bytes: fs::metadata(BTF_PATH).ok().map(|meta| meta.len()),
        tainted: read("/proc/sys/kernel/tainted").and_then(|text| text.parse().ok()),
        boot_params: boot::relevant(&cmdline),
        version: Some(version),
    }
}

/// The preemption model in use, where the kernel says so: it can be changed while it runs.
pub fn preempt_in_use() -> Option<String> {
    read(PREEMPT_PATH).as_deref().and_then(boot::in_use).map(str::to_owned)
}

/// The flag has no name in `/proc/cpuinfo`, so it takes the CPU's word and the kernel's symbols:
/// broadcast flushes came with global ASIDs, and need PCIDs.
fn invlpgb(
    cpu: Option<bool>,
    symbols: Option<&symbols::Symbols>,
    pcid: Option<bool>,
) -> Option<bool> {
    match (cpu?, symbols) {
        (false, _) => Some(false),
        (true, Some(symbols)) if !symbols.global_asids => Some(false),
        (true, Some(_)) => pcid,
        (true, None) => None,
    }
}

/// A small file's text without the space around it.
fn read(path: &str) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_facts() {
        let facts = facts();
        assert!(facts.release.is_some_and(|release| !release.is_empty()));
        let online = facts.cpus_online.expect("sysfs is mounted");
        assert!(online >= 1);
        assert!(facts.cpus_possible.expect("sysfs is mounted") >= online);
        assert!(facts.pti.is_some() && facts.pcid.is_some() && facts.serialize.is_some());
        if facts.hypervisor.as_deref() == Some("none") {
            assert_eq!(facts.flush_tlb_multi.as_deref(), Some("native"));
        }
    }

    #[test]
    fn broadcast_flushes_need_cpu_and_kernel() {
        let with = symbols::Symbols { global_asids: true, ..Default::default() };
        let without = symbols::Symbols::default();
        assert_eq!(invlpgb(Some(false), None, None), Some(false));
        assert_eq!(invlpgb(Some(true), Some(&without), Some(true)), Some(false));
        assert_eq!(invlpgb(Some(true), Some(&with), Some(true)), Some(true));
        assert_eq!(invlpgb(Some(true), Some(&with), Some(false)), Some(false));
        assert_eq!(invlpgb(Some(true), None, Some(true)), None);
        assert_eq!(invlpgb(None, Some(&with), Some(true)), None);
    }
}
