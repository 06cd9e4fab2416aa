//! The circumstances of a run: kernel, probes, window, events, cost.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The kernel and machine, as far as they bear on what serializes a core. `None` is "not known".
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Kernel {
    /// `uname -r`.
    pub release: Option<String>,
    /// `uname -v`: build number, preemption flavour, date.
    pub version: Option<String>,
    /// `uname -m`.
    pub machine: Option<String>,
    /// CPUs online when the facts were read.
    pub cpus_online: Option<u32>,
    /// CPUs that may ever come online; per-CPU buffers exist for these.
    pub cpus_possible: Option<u32>,
    /// `GenuineIntel`, `AuthenticAMD`, …
    pub cpu_vendor: Option<String>,
    /// The CPU's marketing name.
    pub cpu_model: Option<String>,
    /// Page-table isolation: every exit to user writes CR3, so every exit serializes.
    pub pti: Option<bool>,
    /// The kernel uses PCIDs: a CR3 write need not flush.
    pub pcid: Option<bool>,
    /// `sync_core()` is the SERIALIZE instruction; else IRET-to-self.
    pub serialize: Option<bool>,
    /// The kernel may flush by broadcast, without an IPI (AMD, from 6.15).
    pub invlpgb: Option<bool>,
    /// The kernel may enter and leave by FRED; whether ERETU serializes is not documented.
    pub fred: Option<bool>,
    /// Five-level page tables are in use.
    pub la57: Option<bool>,
    /// Whose `flush_tlb_multi` is in use: `native`, `kvm` (drops preempted vCPUs from the mask),
    /// `hyperv` or `xen`.
    pub flush_tlb_multi: Option<String>,
    /// The hypervisor beneath (`kvm`, `xen`, `hyperv`, `vmware` or its CPUID signature); `none` on
    /// bare metal.
    pub hypervisor: Option<String>,
    /// `none`, `voluntary`, `full`, `lazy` or `rt`.
    pub preempt: Option<String>,
    /// The kernel's BTF; `None` if it has none.
    pub btf: Option<String>,
    /// Its size in bytes.
    pub btf_bytes: Option<u64>,
    /// The taint word of `/proc/sys/kernel/tainted`; 0 is untainted.
    pub tainted: Option<u64>,
    /// The boot parameters that bear on the verdict (`pti=`, `mitigations=`, `nopcid`, …).
    pub boot_params: Vec<String>,
}

/// What became of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Attach {
    /// It is there and runs.
    Attached,
    /// It was not wanted: not in this mode, or not on this kernel.
    #[default]
    Skipped,
    /// It was wanted and refused.
    Failed,
}

impl Attach {
    /// The word the JSON uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// One line of the probe table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Probe {
    /// The tracepoint's or function's name.
    pub name: String,
    /// `tp_btf`, `fentry`, …
    pub kind: String,
    /// What became of it.
    pub state: Attach,
    /// Why it is not attached; empty if it is.
    pub why: String,
}

/// When the run was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Window {
    /// Start, in nanoseconds of `clock`.
    pub start_ns: u64,
    /// End, in nanoseconds of `clock`.
    pub end_ns: u64,
    /// The clock of every `…_ns` time in the report.
    pub clock: String,
    /// How long after `start_ns` the state of every CPU was known; `null` if that never was.
    pub known_after_ns: Option<u64>,
}

impl Default for Window {
    fn default() -> Self {
        Self { start_ns: 0, end_ns: 0, clock: "CLOCK_MONOTONIC".to_owned(), known_after_ns: None }
    }
}

/// The command that the window was cut to, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Command {
    /// The command and its arguments.
    pub argv: Vec<String>,
    /// Its exit code; `null` if a signal ended it, or if it was still running.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

/// What arrived, and what did not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Events {
    /// Events that reached the model.
    pub total: u64,
    /// The same, by kind.
    pub by_kind: BTreeMap<String, u64>,
    /// Events that the kernel side could not hand over.
    pub lost: Lost,
    /// Events that came too late to be put in order.
    pub out_of_order: u64,
    /// Records that could not be read: of an unknown kind, or too short.
    pub unreadable: u64,
}

/// Events that the kernel side could not hand over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Lost {
    /// All of them.
    pub total: u64,
    /// By CPU: the index is the CPU's number.
    pub by_cpu: Vec<u64>,
    /// By the probe that would have sent them.
    pub by_probe: BTreeMap<String, u64>,
}

/// One thing that this mode cannot see.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Blindness {
    /// What is not seen.
    pub what: String,
    /// Why not.
    pub why: String,
}

/// Our count of context switches against `/proc/stat`'s `ctxt` over the same window.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CrossCheck {
    /// The kernel's count.
    pub proc_stat_ctxt: u64,
    /// Ours.
    pub switches: u64,
    /// `(switches - proc_stat_ctxt) / proc_stat_ctxt`; 0 if the kernel counted none.
    pub relative: f64,
}

impl CrossCheck {
    /// Compares the two counts.
    pub fn new(proc_stat_ctxt: u64, switches: u64) -> Self {
        let relative = if proc_stat_ctxt == 0 {
            0.0
        } else {
            (switches as f64 - proc_stat_ctxt as f64) / proc_stat_ctxt as f64
        };
        Self { proc_stat_ctxt, switches, relative }
    }
}

/// For how long `raw_syscalls` was attached: only while a SYNC_CORE-registered mm exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SyscallCoverage {
    /// Nanoseconds with the system call probes attached.
    pub attached_ns: u64,
    /// Nanoseconds of the window.
    pub window_ns: u64,
}

/// What watching cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Overhead {
    /// CPU time of the reader and the model, user and system, in nanoseconds.
    pub reader_cpu_ns: Option<u64>,
    /// Peak resident size in KiB.
    pub max_rss_kib: Option<u64>,
    /// Size of each CPU's buffer in bytes.
    pub ring_bytes_per_cpu: Option<u64>,
    /// The fullest that any CPU's buffer was seen, in bytes.
    pub ring_high_water: Option<u64>,
}
