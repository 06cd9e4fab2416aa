//! All that the screens show at one moment, as plain data.
//!
//! A [`Snapshot`] is what a [`Machine`](super::machine::Machine) hands out for its cursor: the state
//! after the last event at or before it. Nothing here knows engines, files or terminals, so that a
//! test can write one down. Where the report has a type for a thing, it is used.
//!
//! Unknown is `None`, never a zero that looks like a number. For an mm, `Some(`[`NO_MM`]`)` is "none".
//!
//! [`NO_MM`]: crate::report::NO_MM

use std::collections::BTreeMap;

use crate::{
    explain,
    report::{self, Mode},
};

/// One moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// Where it comes from, and when it is.
    pub moment: Moment,
    /// What was counted from where the window opened until the cursor.
    pub totals: Totals,
    /// The CPUs that may come online, by number.
    pub cpus: Vec<CpuRow>,
    /// The mms that mattered until then.
    pub mms: Vec<MmRow>,
    /// Mms that `mms` leaves out.
    pub mms_omitted: u64,
    /// Whose an mm is, as `comm/tgid`: for every mm that any row names, as far as known.
    pub owners: BTreeMap<u64, String>,
    /// The last calls until then, oldest first; those that are under way among them.
    pub calls: Vec<CallRow>,
    /// Calls before those of `calls`.
    pub calls_omitted: u64,
    /// The findings until then, in the order in which they were found.
    pub findings: Vec<FindingRow>,
    /// Findings until then that were not kept.
    pub findings_omitted: u64,
    /// Findings after the cursor, as far as they are known yet.
    pub findings_ahead: u64,
    /// The last events until then, oldest first; a dozen or so.
    pub recent: Vec<report::ChainLink>,
    /// Who interrupts whom.
    pub ipis: Ipis,
    /// How sure all this is, and what it costs.
    pub health: Health,
    /// The whole span, in short.
    pub timeline: Timeline,
}

/// When a snapshot is, and of what.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Moment {
    /// What is looked at: a file's name, or the host's.
    pub source: String,
    /// The cursor, in nanoseconds of `clock`.
    pub at_ns: u64,
    /// Where the span that can be visited begins.
    pub first_ns: u64,
    /// Where it ends, as far as known.
    pub last_ns: u64,
    /// Which event it is, from 1; 0 before the first. `None` if not known.
    pub event: Option<u64>,
    /// The clock of all times.
    pub clock: String,
    /// What to add for nanoseconds since 1970 (UTC).
    pub to_realtime_ns: Option<i64>,
    /// What the probes could see.
    pub mode: Mode,
    /// The cursor was moved and this is not yet what is there: an earlier snapshot is shown.
    pub seeking: bool,
    /// A word from below for the user: why tracing ended, what was damaged. Empty if all is well.
    pub note: String,
}

/// What was counted until the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Totals {
    /// Events judged.
    pub events: u64,
    /// Events a second, over the last second or so.
    pub events_per_s: Option<f64>,
    /// Events lost.
    pub lost: u64,
    /// Checks that could not be decided.
    pub inconclusive: u64,
    /// Findings, without the self-checks.
    pub findings: u64,
    /// Where the reconstruction and the kernel's own variables disagreed (R7).
    pub divergences: u64,
}

/// A CPU at the cursor.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CpuRow {
    /// Number, thread, the two mms, laziness, last serialization. Its `ns_ago` counts from the cursor.
    pub state: report::Cpu,
    /// Hotplug took it away.
    pub offline: bool,
    /// The thread is a kernel thread; the idle task is one.
    pub kthread: Option<bool>,
    /// For how long that thread has been there.
    pub on_cpu_ns: Option<u64>,
    /// Where the thread is.
    pub place: Place,
    /// The logical mm is registered for SYNC_CORE.
    pub registered: Option<bool>,
    /// `switch_mm_irqs_off` is under way, or a temporary mm is loaded: the two mms differ on purpose.
    pub switching: bool,
    /// The slot of the loaded mm's ASID; `None` if not known, or not read in this mode.
    pub asid: Option<Asid>,
    /// What R1 asks of it before it next returns to user mode.
    pub owes: Option<Owed>,
    /// The last SYNC_CORE call that left it alone, if it has not serialized since.
    pub left_alone: Option<LeftAlone>,
    /// Interrupts since the window opened.
    pub interrupts: u64,
    /// Interrupts a second, over the last second or so.
    pub interrupts_per_s: Option<f64>,
    /// Events of it that were lost.
    pub lost: u64,
}

/// Where a CPU's thread is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place {
    /// Not known.
    #[default]
    Unknown,
    /// The idle task.
    Idle,
    /// In kernel mode.
    Kernel,
    /// In an interrupt.
    Interrupt,
    /// In user mode, or past the last event before it.
    User,
}

/// How far a CPU's TLB has caught up with the flushes of the mm that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Asid {
    /// `loaded_mm_asid`; `None` if not read.
    pub number: Option<u16>,
    /// It is a global one, flushed by broadcast: it has no generation of its own.
    pub global: bool,
    /// `ctxs[].tlb_gen`
    pub tlb_gen: u64,
    /// How far that is behind the last flush of the mm that was requested; `None` if not known.
    pub behind: Option<u64>,
}

/// What R1 asks: that the CPU serializes before it runs user code of this mm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Owed {
    /// The mm that became the logical mm.
    pub mm: u64,
    /// Since when.
    pub since_ns: u64,
    /// It may have serialized since, unseen.
    pub maybe_paid: bool,
}

/// A SYNC_CORE call did not interrupt a CPU.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeftAlone {
    /// When that was noticed.
    pub ts_ns: u64,
    /// The call's mm.
    pub mm: u64,
    /// Why, as in `unlazy.report/1`: `kthread_lazy`, `idle_lazy`, …
    pub reason: &'static str,
}

/// An mm at the cursor.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MmRow {
    /// Owner, registrations, membarrier calls, targets, skips.
    pub state: report::Mm,
    /// It has been freed.
    pub gone: bool,
    /// Nanoseconds that its threads spent in membarrier calls; `None` if no call's length was seen.
    pub membarrier_ns: Option<u64>,
    /// Flushes of it; `None` if this mode can't see them.
    pub flushes: Option<u64>,
    /// IPIs that its threads sent to flush TLBs.
    pub shootdowns_sent: Option<u64>,
    /// IPIs for such flushes that arrived while it was the logical mm.
    pub shootdowns_received: Option<u64>,
}

/// What kind of call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum CallKind {
    /// `MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE`
    #[default]
    SyncCore,
    /// Another membarrier command that interrupts CPUs.
    Membarrier,
    /// A TLB flush of an mm that was asked of other CPUs.
    Flush,
}

impl CallKind {
    /// The word that is shown, and that a filter's `kind=` takes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SyncCore => "sync_core",
            Self::Membarrier => "membarrier",
            Self::Flush => "flush",
        }
    }
}

/// A membarrier call or a flush.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallRow {
    /// What it is.
    pub kind: CallKind,
    /// The call. Its `number` is what [`Machine::explain`](super::machine::Machine::explain) takes, for
    /// [`CallKind::SyncCore`]; for the others it counts calls of their kind, and they can't be explained.
    pub call: explain::Call,
    /// What became of each CPU, by number.
    pub coverage: Vec<Cover>,
}

/// What a call did about a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cover {
    /// Not known.
    #[default]
    Unknown,
    /// The caller's own.
    Own,
    /// It was sent an IPI, or asked to run the function.
    Targeted,
    /// Left alone: a kernel thread ran there, lazy on this mm.
    KthreadLazy,
    /// Left alone: a kernel thread with another mm.
    KthreadOther,
    /// Left alone: idle, lazy on this mm.
    IdleLazy,
    /// Left alone: idle, with another mm.
    IdleOther,
    /// Left alone: another process ran there.
    OtherMm,
    /// It was offline.
    Offline,
    /// Left alone: it changed mm while the call looked.
    Raced,
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FindingRow {
    /// Its number, from 1, in the order in which they were found: what
    /// [`Machine::explain`](super::machine::Machine::explain) takes.
    pub number: u64,
    /// Rule, severity, place, evidence, sentence, and chain.
    pub finding: report::Finding,
}

/// Who interrupted whom until the cursor.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ipis {
    /// The length of time that the counts are of, ending at the cursor.
    pub window_ns: u64,
    /// Interprocessor interrupts by source and target, where there were any.
    pub cells: Vec<IpiCell>,
    /// Who sent most, the most first.
    pub senders: Vec<IpiSender>,
    /// Interrupts by CPU and vector (`local_timer`, `reschedule`, …), where there were any.
    pub received: Vec<Received>,
}

/// IPIs from one CPU to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IpiCell {
    /// The CPU that sent them; `None` if that was not seen.
    pub from: Option<u32>,
    /// The CPU that they went to.
    pub to: u32,
    /// How many.
    pub count: u64,
}

/// IPIs by one task for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IpiSender {
    /// The thread that was running; 0 is the idle task.
    pub tid: u32,
    /// Its process.
    pub tgid: Option<u32>,
    /// Its name.
    pub comm: Option<String>,
    /// Its mm.
    pub mm: Option<u64>,
    /// Why: the function that was to run (`ipi_sync_core`, `flush_tlb_func`), or `reschedule`.
    pub reason: String,
    /// How many interrupts.
    pub count: u64,
    /// The same by target CPU, where that was seen: CPU and how many, in the order of the CPUs.
    pub targets: Vec<(u32, u64)>,
}

/// Interrupts of one CPU by one vector.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Received {
    /// The CPU.
    pub cpu: u32,
    /// The vector's name.
    pub vector: String,
    /// How many.
    pub count: u64,
}

/// How sure everything is, and what it costs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Health {
    /// The kernel and machine.
    pub kernel: report::Kernel,
    /// Every probe of the table.
    pub probes: Vec<report::Probe>,
    /// How each rule fared until the cursor.
    pub rules: Vec<report::Rule>,
    /// What arrived until the cursor, and what did not.
    pub events: report::Events,
    /// How logical and real mm moved until the cursor.
    pub transitions: report::Transitions,
    /// Returns to user mode until the cursor.
    pub user_returns: report::UserReturns,
    /// What this mode, on this kernel, cannot see.
    pub blind_spots: Vec<report::Blindness>,
    /// What the running kernel's text has where its source promises serialization.
    pub text_audit: report::TextAudit,
    /// What watching costs.
    pub cost: Cost,
}

/// What watching costs. `None`: not measured here (a recording costs nobody anything any more).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cost {
    /// CPU time of unlazy, all threads, in percent of one CPU, over the last second or so.
    pub cpu_percent: Option<f64>,
    /// Resident size in KiB.
    pub rss_kib: Option<u64>,
    /// Bytes of history that are kept to go back in.
    pub history_bytes: Option<u64>,
    /// How many nanoseconds that history reaches back.
    pub history_ns: Option<u64>,
    /// Size of each CPU's buffer in bytes.
    pub ring_bytes_per_cpu: Option<u64>,
    /// The fullest that any CPU's buffer was seen, in bytes.
    pub ring_high_water: Option<u64>,
    /// Run time of the BPF programs, if the kernel counts it (`kernel.bpf_stats_enabled`).
    pub programs: Option<Vec<ProgramCost>>,
}

/// One BPF program's run time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProgramCost {
    /// The probe's name.
    pub name: String,
    /// How often it ran.
    pub runs: u64,
    /// For how long in all, in nanoseconds.
    pub ns: u64,
}

/// The whole span in a fixed number of slices, for the bar that is scrubbed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Timeline {
    /// Where the first slice begins.
    pub from_ns: u64,
    /// Where the last ends.
    pub to_ns: u64,
    /// Up to where it is known what happened: less than `to_ns` while a recording is being read.
    pub known_to_ns: u64,
    /// Slices of equal length; none if nothing is known yet.
    pub slices: Vec<Slice>,
}

/// What happened in one slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Slice {
    /// Events.
    pub events: u64,
    /// SYNC_CORE calls that began.
    pub calls: u64,
    /// Findings.
    pub findings: u64,
    /// Events lost.
    pub lost: u64,
}

impl CpuRow {
    /// How the logical mm stands to the real one.
    pub fn relation(&self) -> Relation {
        let report::Cpu { logical_mm, active_mm, real_mm, lazy, .. } = self.state;
        match (logical_mm, real_mm) {
            _ if self.offline => Relation::Offline,
            (Some(logical), Some(real)) if self.switching && logical != real => Relation::Switching,
            (Some(report::NO_MM), Some(real)) if real != report::INIT_MM => match lazy {
                Some(true) => Relation::Lazy,
                _ => Relation::Borrowed,
            },
            (Some(report::NO_MM), Some(_)) => Relation::Kernel,
            (Some(logical), Some(real)) if logical == real => match lazy {
                Some(true) => Relation::LazySame,
                _ => Relation::Same,
            },
            (Some(_), Some(_)) => Relation::Differ,
            (Some(report::NO_MM), None) if active_mm.is_some() && lazy == Some(true) => {
                Relation::Lazy
            }
            _ => Relation::Unknown,
        }
    }
}

/// How a CPU's logical mm stands to its real one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// They differ, and neither a switch nor laziness explains it.
    Differ,
    /// A process's mm is logical and real, and the CPU is lazy all the same: `kthread_use_mm` or a
    /// switch has not cleared it yet.
    LazySame,
    /// No logical mm; the real one is a process's, kept lazily.
    Lazy,
    /// No logical mm; the real one is a process's, and the CPU is not lazy, or that is not known.
    Borrowed,
    /// A switch is under way.
    Switching,
    /// The same process's.
    Same,
    /// No logical mm, and `init_mm` is loaded.
    Kernel,
    /// One of them is not known.
    Unknown,
    /// The CPU is offline.
    Offline,
}
