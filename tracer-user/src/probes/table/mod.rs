//! The one table of probes. The loader, `doctor`, the report and the README all read it.

mod entries;
mod fields;
mod full;
mod markdown;

pub use fields::{Field, FieldInfo};
pub use markdown::{markdown, update_section};

/// Every probe, in the order in which reports list them and the loader attaches them.
pub const PROBES: &[Probe] = &concat();

const COUNT: usize = entries::TRACEPOINTS.len() + full::FUNCTIONS.len();

/// The tracepoints, then what full mode adds.
#[expect(clippy::large_stack_arrays, reason = "it is made as the program is compiled")]
const fn concat() -> [Probe; COUNT] {
    let (first, mut all) = (entries::TRACEPOINTS, [entries::ROW; COUNT]);
    let mut at = 0;
    while at < COUNT {
        all[at] = if at < first.len() { first[at] } else { full::FUNCTIONS[at - first.len()] };
        at += 1;
    }
    all
}

/// How a probe is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProbeKind {
    /// A BTF tracepoint: typed arguments, loads checked by the verifier. Linux 5.5.
    TpBtf,
    /// A raw tracepoint: every argument a plain number. For tracepoints whose arguments a BTF
    /// tracepoint may not touch. Linux 4.17.
    RawTp,
    /// The entry of a function. Full mode.
    Fentry,
    /// The return of a function. Full mode.
    Fexit,
    /// An instruction. Full mode; its int3 serializes the CPU that is watched.
    Kprobe,
    /// A per-CPU variable that other probes read. Full mode.
    PerCpuVar,
}

impl ProbeKind {
    /// Whether only full mode has it.
    pub const fn is_full(self) -> bool {
        match self {
            Self::TpBtf | Self::RawTp => false,
            Self::Fentry | Self::Fexit | Self::Kprobe | Self::PerCpuVar => true,
        }
    }

    /// Whether it sits on a function, of which the kernel's BTF tells the arguments.
    pub const fn is_function(self) -> bool {
        matches!(self, Self::Fentry | Self::Fexit)
    }

    /// The word that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TpBtf => "tp_btf",
            Self::RawTp => "raw_tp",
            Self::Fentry => "fentry",
            Self::Fexit => "fexit",
            Self::Kprobe => "kprobe",
            Self::PerCpuVar => "percpu_var",
        }
    }
}

/// When a probe is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum When {
    /// For the whole run.
    Always,
    /// Only while an mm that is registered for SYNC_CORE exists: these probes are on paths that
    /// everybody pays for.
    WhileRegistered,
    /// Only at instructions that somebody names
    /// ([`Probes::attach_sync_sites`](super::Probes::attach_sync_sites)).
    AtSites,
}

/// How much depends on a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Need {
    /// Without it nothing can be judged.
    Required,
    /// Without it something that users ask for is lost; the report names it.
    Important,
    /// Without it some detail or some certainty is lost.
    Optional,
}

impl Need {
    /// The word that reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Important => "important",
            Self::Optional => "optional",
        }
    }
}

/// What it means that the kernel ran a program not at all, because that program was in progress on
/// that CPU already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Missing {
    /// What it would have told is lost, and what is known of the CPU is no longer sure.
    Lost,
    /// A check is not made, or some comparison; what is known stays right. Such a program runs with
    /// preemption on, so that on a preemptible kernel another task may come to the same function
    /// while it is in progress.
    Unchecked,
}

/// What a program takes an argument for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A number.
    Number,
    /// A pointer to this struct.
    Struct(&'static str),
    /// A word whose meaning the program doesn't ask for: a number or any pointer.
    Word,
}

/// An argument that a program uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsedArg {
    /// Its place in the tracepoint's `TP_PROTO` or the function's prototype, from 0.
    pub index: usize,
    /// Its name there.
    pub name: &'static str,
    /// What the program takes it for.
    pub shape: Shape,
    /// The first kernel that has it, if later than the tracepoint itself.
    pub since: Option<&'static str>,
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The program's name, or the variable's. A tracepoint's name is the same; see
    /// [`target`](Self::target) for a function's.
    pub name: &'static str,
    /// The function that the program sits on; empty if it is no function or has the row's name.
    pub function: &'static str,
    /// The tracefs directory that holds the tracepoint; for others what part of the kernel it is in.
    pub subsystem: &'static str,
    /// How it is attached.
    pub kind: ProbeKind,
    /// When it is attached.
    pub when: When,
    /// How much depends on it.
    pub need: Need,
    /// What it gives.
    pub gives: &'static str,
    /// Which kernels have it: the first release; "any" is every kernel from
    /// 5.18 on, before which `sched_switch` doesn't give enough.
    pub since: &'static str,
    /// The kernel's build option that it takes; empty if every kernel of that age has it.
    pub config: &'static str,
    /// What takes its place where it is missing; empty if nothing does.
    pub instead: &'static str,
    /// The probe in whose place this one steps where that is missing; empty if it is wanted for
    /// itself.
    pub replaces: &'static str,
    /// What is lost without it.
    pub lost_without: &'static str,
    /// The per-CPU variables without which its program can't read anything, by the names of their
    /// rows.
    pub reads: &'static [&'static str],
    /// It has nothing to tell but what it reads there.
    pub only_reads: bool,
    /// A second program for events in an interrupt that hit the first one, which the kernel does
    /// not run again then (tracer-ebpf's `pair.rs`); empty where that can't happen.
    pub again: &'static str,
    /// What it means that it was not run once.
    pub missing: Missing,
    /// The fields that its program loads.
    pub fields: &'static [Field],
    /// The arguments that its program uses.
    pub args: &'static [UsedArg],
}

impl Probe {
    /// The tracepoint, function or variable.
    #[must_use]
    pub const fn target(&self) -> &'static str {
        if self.function.is_empty() { self.name } else { self.function }
    }
}

/// The row of this name.
pub fn find(name: &str) -> Option<&'static Probe> {
    PROBES.iter().find(|probe| probe.name == name)
}

#[cfg(test)]
mod tests;
